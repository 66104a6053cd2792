package scaffold

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Platform is what tenants of a platform have in its systems, to be drafted as one blueprint.
type Platform struct {
	Name       string // the blueprint's
	Taken      time.Time
	Systems    [][2]string // names and connectors
	Parameters []Parameter
	Resources  []*Resource // each after those that it refers to
	Rows       []*Rows
	Open       []string // what a person must decide, in words
	Notes      []string
}

// Parameter is what a request must say: a text, or a whole number.
type Parameter struct {
	Name, Example, Why string
	Number             bool
}

// Resource is a thing that each tenant has. The name, and attributes' texts, are the blueprint's: what
// isn't an expression in them has gone through Literal.
type Resource struct {
	Key, System, Type, Name, Why string
	Data                         bool     // it holds what a data class must be said of
	Needs                        []string // keys of what must be there before it
	Schema                       string   // the JSON Schema of its type's attributes, "" if not known
	Attributes                   []Attribute
}

// Attribute is one, with its value as JSON. Out says that it is only told, in a comment.
type Attribute struct {
	Name, Value, Why string
	Out              bool
}

// Rows are tenants' rows of a system's shared tables.
type Rows struct {
	System, Schema, Column, Key string // Key is the tenant's value of the column, as the blueprint has it
	Tables                      []RowsTable
	Draft                       *Draft // from the system's catalog, which knows references too; nil: the tables alone
}

// RowsTable is one of the tables, with the reason.
type RowsTable struct{ Name, Why string }

// Literal is a text in which nothing is an expression.
func Literal(s string) string { return literal(s) }

// Around is the text that an expression gives, between two literal texts.
func Around(before, expression, after string) string {
	plain := strings.TrimRight(before, "$")
	signs := before[len(plain):]
	if signs != "" { // with the ${ behind them, they would make it a literal one
		signs = `${"` + signs + `"}`
	}
	return literal(plain) + signs + "${" + expression + "}" + literal(after)
}

// placesClass is the data class of everything that a draft says no other one of.
const placesClass = "customer-data"

// YAML is the draft as a file. Says is what keeps it from being a blueprint as it is.
func (p *Platform) YAML(says []string) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	remark := func(indent, s string) { line("%s# %s", indent, comment(s)) }
	remark("", fmt.Sprintf("Drafted from the survey of %s: what most tenants have, under names that follow from the tenant.", p.Taken.UTC().Format(time.DateOnly)))
	line("# Read it, and decide what stands under TO DECIDE; then: tenure import propose with it.")
	remark("", "TO DECIDE: dataClasses: "+retention)
	for _, s := range p.Decisions() {
		remark("", "TO DECIDE: "+s)
	}
	for _, s := range says {
		remark("", "TO DECIDE before it can be published: "+s)
	}
	for _, s := range p.Notes {
		remark("", "note: not read: "+s)
	}
	line("apiVersion: tenure.dev/v1\nkind: Blueprint\nname: %s\nversion: \"0.1\"\ntitle: %s\n", quoted(p.Name), quoted("A tenant that existed before Tenure"))
	p.writeParameters(line)
	line("environments:\n  - {name: prod, kind: production}\n\nsystems:")
	for _, s := range p.Systems {
		line("  %s: {connector: %s}", quoted(s[0]), quoted(s[1]))
	}
	line("\ndataClasses:")
	if slices.ContainsFunc(p.Resources, func(r *Resource) bool { return r.Data }) || slices.ContainsFunc(p.Rows, func(r *Rows) bool { return r.Draft == nil }) {
		line("  %s:\n    title: The customer's data\n    personal: true", placesClass)
		writeDisposition(line)
	}
	written := map[string]bool{placesClass: true}
	for _, r := range p.Rows {
		if r.Draft != nil {
			r.Draft.writeClasses(line, written)
		}
	}
	line("\nresources:")
	for _, r := range p.Resources {
		r.write(line, remark)
	}
	for i, r := range p.Rows {
		r.write(line, remark, i)
	}
	line("\nfailure: park\n\napprovals: {onboard: 1, offboard: 2}\n\noffboarding:\n  grace: P30D\n  retrieval: P30D\n  quarantine: P14D")
	return []byte(b.String())
}

// Decisions are the open points, those of the drafts of rows among them.
func (p *Platform) Decisions() []string {
	out := slices.Clone(p.Open)
	for _, r := range p.Resources {
		for _, name := range r.wants() {
			out = append(out, fmt.Sprintf("resources: %s needs the attribute %s, which the survey doesn't tell", r.Key, name))
		}
		for _, a := range r.Attributes {
			if a.Out {
				out = append(out, fmt.Sprintf("resources: the attribute %s of %s: %s", a.Name, r.Key, a.Why))
			}
		}
	}
	for _, r := range p.Rows {
		if r.Draft != nil {
			out = append(out, r.Draft.Open...)
		} else {
			out = append(out, fmt.Sprintf("resources: which tables of %s refer to tenants' rows without a tenant column, and which all tenants share: the survey has no catalog of them", r.System))
		}
	}
	return out
}

func (p *Platform) writeParameters(line func(string, ...any)) {
	if len(p.Parameters) == 0 {
		return
	}
	var names []string
	for _, v := range p.Parameters {
		names = append(names, v.Name)
	}
	line("parameters:\n  required: [%s]\n  properties:", strings.Join(names, ", "))
	for _, v := range p.Parameters {
		if v.Number {
			line("    %s: # %s\n      type: integer\n      examples: [%s]", v.Name, comment(v.Why), v.Example)
			continue
		}
		line("    %s: # %s\n      type: string\n      minLength: 1\n      examples: [%s]", v.Name, comment(v.Why), quoted(v.Example))
	}
	line("")
}

// wants are attributes that the type needs and the draft doesn't have.
func (r *Resource) wants() []string {
	schema := r.schema()
	var out []string
	for _, name := range schema.Required {
		if !slices.ContainsFunc(r.Attributes, func(a Attribute) bool { return a.Name == name && !a.Out }) && !(r.Data && name == "tables") {
			out = append(out, name)
		}
	}
	return out
}

// attributeSchema is what a draft reads of the JSON Schema of a type's attributes.
type attributeSchema struct {
	Required   []string
	Properties map[string]any
}

func (r *Resource) schema() (out attributeSchema) {
	_ = json.Unmarshal([]byte(r.Schema), &out) // connectors' schemas are checked where they are declared
	return out
}

func (r *Resource) write(line func(string, ...any), remark func(indent, s string)) {
	if r.Why != "" {
		remark("  ", r.Why)
	}
	line("  - key: %s\n    system: %s\n    type: %s\n    name: %s", r.Key, quoted(r.System), quoted(r.Type), Quoted(r.Name))
	if len(r.Needs) > 0 {
		line("    needs: [%s]", strings.Join(r.Needs, ", "))
	}
	_, tables := r.schema().Properties["tables"]
	if r.Data {
		line("    data: [%s]\n    handover: true", placesClass)
	}
	if tables = tables && r.Data; !tables && len(r.Attributes) == 0 {
		return
	}
	if tables || slices.ContainsFunc(r.Attributes, func(a Attribute) bool { return !a.Out }) {
		line("    attributes:")
	}
	for _, a := range r.Attributes {
		if tables && a.Name == "tables" {
			continue
		}
		mark, why := "", ""
		if a.Out {
			mark = "# "
		}
		if a.Why != "" {
			why = " # " + comment(a.Why)
		}
		line("      %s%s: %s%s", mark, quoted(a.Name), visible(a.Value), why)
	}
	if tables {
		line("      tables: {\"*\": %s}", placesClass)
	}
}

func (r *Rows) write(line func(string, ...any), remark func(indent, s string), n int) {
	key := "rows"
	if n > 0 {
		key = fmt.Sprint("rows_", n+1)
	}
	if r.Draft != nil {
		r.Draft.writeRows(line, remark, key, r.Key)
		return
	}
	line("  - key: %s\n    system: %s\n    type: rows\n    name: ${tenant.name}-${env.name} %s\n    data: [%s]\n    handover: true\n    attributes:", key, quoted(r.System), key, placesClass)
	if r.Schema != "" {
		line("      schema: %s", quoted(literal(r.Schema)))
	}
	line("      column: %s\n      key: %s\n      tables:", quoted(literal(r.Column)), r.Key)
	for _, t := range r.Tables {
		line("        %s: %s # %s", quoted(t.Name), placesClass, comment(t.Why))
	}
}

// SearchedFor has a resource's own place be searched beside the rows of the same system, where its type
// can say by which key and column.
func (r *Resource) SearchedFor(rows *Rows) {
	properties := r.schema().Properties
	said := slices.ContainsFunc(r.Attributes, func(a Attribute) bool { return a.Name == "key" || a.Name == "column" })
	if properties["key"] == nil || properties["column"] == nil || said { // by one column alone
		return
	}
	r.Attributes = append(r.Attributes,
		Attribute{Name: "column", Value: Quoted(literal(rows.Column)), Why: "the tables that tenants share are searched for the tenant, too"},
		Attribute{Name: "key", Value: Quoted(rows.Key)})
}
