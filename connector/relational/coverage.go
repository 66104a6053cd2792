package relational

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Link is what a blueprint says of a reference that may be null, or that the
// database sets to null or to its default when the parent goes.
type Link string

const (
	Follow Link = "follow" // the child's rows are the tenant's
	Detach Link = "detach" // the child's rows stay, without the reference
	Block  Link = "block"  // nothing goes while such rows refer to the tenant's
)

// Coverage is what a blueprint says of the tables that hold a tenant's data. A
// table is named bare in the resource's own schema, else schema.table.
type Coverage struct {
	Tables  map[string]string `json:"tables"`  // the data class of each table; "*" is every other table of a whole store
	Columns map[string]string `json:"columns"` // the tenant column where it has another name; "" says that there is none
	Aliases []string          `json:"aliases"` // other names of tenant columns, in every schema
	Links   map[string]Link   `json:"links"`   // by "table.column" or "table.column1,column2", the child's
	Shared  []string          `json:"shared"`  // tables that belong to no tenant; rows refer to them, and they stay
	Derived map[string]string `json:"derived"` // materialized views: "refresh"

	// Triggers says of a trigger or rule, by "table.trigger", that it keeps nothing
	// of the tenant and touches nothing of others: "ignore". An expression that
	// calls functions goes by the name of its column, check or index.
	Triggers map[string]string `json:"triggers"`

	Transforms map[string]Transform `json:"transforms"` // by table: what becomes of the columns of rows that stay
	Aggregates map[string]Aggregate `json:"aggregates"` // by the table of sums: what is added up into it
}

// Elsewhere is how a whole store's blueprint says which rows outside of it are the
// tenant's: those that have its key. Without a key none are sought.
type Elsewhere struct {
	Key    string `json:"key"`
	Column string `json:"column"` // the tenant column's name there; "" where only Coverage.Columns or Aliases say it
}

// Check is Invalid for what can't be right on any system.
func (e Elsewhere) Check(r connector.Ref) error {
	if e.Key == "" && e.Column == "" {
		return nil
	}
	if strings.TrimSpace(e.Key) == "" {
		return tenure.Errorf(tenure.Invalid, "%s %q: column %q is of no use without a key", r.Type, r.Name, e.Column).WithHint("give the tenant's key in that column: key: VALUE")
	}
	if err := CheckName("the key of "+r.Type, e.Key, 1000); err != nil || e.Column == "" {
		return err
	}
	return CheckName("the tenant column of "+r.Type, e.Column, 500)
}

// ElsewhereSchema is the JSON Schema of those attributes' properties.
func ElsewhereSchema(where string) string {
	return `"key":{"type":"string","minLength":1,"description":"the tenant's key, by which its rows are sought in ` + where + `"},
"column":{"type":"string","minLength":1,"description":"the name of the tenant column there; key says what stands in it"}`
}

// Every is the key of Coverage.Tables that covers the tables which aren't named.
const Every = "*"

// Check is Invalid for what can't be right on any system. Whole says that the resource
// is a store of the tenant's own.
func (c Coverage) Check(r connector.Ref, whole bool) error {
	invalid := func(format string, args ...any) error {
		return tenure.Errorf(tenure.Invalid, "%s %q: %w", r.Type, r.Name, tenure.Errorf(tenure.Invalid, format, args...))
	}
	names := slices.Concat(c.Shared, slices.Collect(maps.Keys(c.Tables)), slices.Collect(maps.Keys(c.Columns)),
		slices.Collect(maps.Keys(c.Derived)), slices.Collect(maps.Keys(c.Links)), slices.Collect(maps.Keys(c.Triggers)), c.Aliases)
	slices.Sort(names)
	for _, n := range names {
		if err := CheckName("a table or column of "+r.Type, n, 500); err != nil {
			return err
		}
	}
	for _, t := range slices.Sorted(maps.Keys(c.Tables)) {
		switch {
		case c.Tables[t] == "":
			return invalid("table %q needs a data class", t)
		case t == Every && !whole:
			return tenure.Errorf(tenure.Invalid, `%s %q: "*" can't stand for tables that tenants share`, r.Type, r.Name).WithHint("name each table")
		case slices.Contains(c.Shared, t):
			return invalid("table %q is both in tables and in shared", t)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(c.Columns)) {
		if column := c.Columns[t]; column != "" {
			name, path, isPath := CutPath(column)
			if err := CheckName("the tenant column of "+t, name, 500); err != nil {
				return err
			}
			if isPath && slices.Contains(path, "") {
				return invalid("column %q of %s isn't a path of plain keys such as body->>tenant_key", column, t)
			}
		}
	}
	for _, l := range slices.Sorted(maps.Keys(c.Links)) {
		if w := c.Links[l]; w != Follow && w != Detach && w != Block {
			return invalid("link %q is %q, not follow, detach or block", l, w)
		}
		if !strings.Contains(l, ".") {
			return invalid("link %q doesn't name a column as table.column", l)
		}
	}
	for v, w := range c.Derived {
		if w != "refresh" {
			return invalid("derived view %q is %q, not refresh", v, w)
		}
	}
	for v, w := range c.Triggers {
		if w != "ignore" {
			return invalid("trigger %q is %q, not ignore", v, w)
		}
	}
	if err := c.checkChanges(); err != nil {
		return tenure.Errorf(tenure.Invalid, "%s %q: %w", r.Type, r.Name, err)
	}
	return nil
}

// Within is the coverage with the tables of a schema named bare: the resource's
// own schema may have another name than the blueprint gives it.
func (c Coverage) Within(schema string) Coverage {
	bare := func(name string) string { return strings.TrimPrefix(name, schema+".") }
	c.Tables, c.Columns, c.Links = renamed(c.Tables, bare), renamed(c.Columns, bare), renamed(c.Links, bare)
	c.Transforms, c.Aggregates = renamed(c.Transforms, bare), renamed(c.Aggregates, bare)
	c.Shared = slices.Clone(c.Shared)
	for i, name := range c.Shared {
		c.Shared[i] = bare(name)
	}
	return c
}

func renamed[V any](m map[string]V, name func(string) string) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[name(k)] = v
	}
	return out
}

// Schemas are those that the tables' names may begin with: a name may have dots.
func (c Coverage) Schemas() (out []string) {
	for _, name := range slices.Concat(c.Shared, slices.Collect(maps.Keys(c.Tables)), slices.Collect(maps.Keys(c.Columns)), slices.Collect(maps.Keys(c.Derived)),
		slices.Collect(maps.Keys(c.Links)), slices.Collect(maps.Keys(c.Triggers)), slices.Collect(maps.Keys(c.Aggregates))) {
		for i, r := range name {
			if r == '.' {
				out = append(out, name[:i])
			}
		}
	}
	return out
}

// Seeds are the tables that the attributes name; a name with a dot counts both as a
// table of the schema home and as schema.table.
func (c Coverage) Seeds(home string) []TableName {
	var out []TableName
	add := func(name string) {
		out = append(out, TableName{home, name})
		if schema, table, ok := strings.Cut(name, "."); ok {
			out = append(out, TableName{schema, table})
		}
	}
	for name := range c.Tables {
		add(name)
	}
	for name := range c.Columns {
		add(name)
	}
	for _, name := range c.Shared {
		add(name)
	}
	for name := range c.Aggregates {
		add(name)
	}
	slices.SortFunc(out, TableName.Compare)
	return slices.Compact(out)
}

// Unsought tells who publishes a blueprint that a whole store has no key, by which
// the tenant's rows outside of it could be sought.
func Unsought(r connector.Ref, where string) connector.Place {
	return connector.Place{Name: r.Name, Kind: connector.PlaceKey, Via: "no key",
		Says: r.Type + " " + r.Name + " says no key of the tenant's, so " + where + " can't be searched for rows that have it",
		Fix:  "key: the tenant's value in tables that tenants share, with column: the tenant column's name there"}
}

// Beside are the tables, as they may be called, of which other resources of a tenant
// in the same database say something under the same key: the resource that covers
// one, "" where it says that the table isn't the tenant's.
type Beside map[TableName]Covering

// Covering is the resource that covers a table, and the table's data class there.
type Covering struct{ By, Class string }

// BesideOf reads them from a survey. Before a resource is made nobody can tell which
// rows of a table bear an owner mark: those of the tenant's records are taken to; home
// is the schema of a record's table that is given without one.
func BesideOf(v connector.Survey, key, home string) Beside {
	out := Beside{}
	for _, r := range v.Beside {
		if IsRecord(r.Type) {
			if v.Ref.Resource == "" {
				out[RecordTable(r, home)] = Covering{}
			}
			continue
		}
		var a struct {
			Schema, Key string
			Coverage
		}
		text, err := json.Marshal(r.Attributes)
		if err != nil || json.Unmarshal(text, &a) != nil || key == "" || a.Key != key || r.Type == "database" {
			continue
		}
		if r.Type == "schema" {
			a.Schema = r.Name
		}
		for name, class := range a.Tables {
			for _, n := range (Coverage{Tables: map[string]string{name: class}}).Seeds(a.Schema) {
				out[n] = Covering{r.Type + " " + strconv.Quote(r.Name), class}
			}
		}
		for _, n := range (Coverage{Shared: a.Shared}).Seeds(a.Schema) {
			out[n] = Covering{}
		}
	}
	return out
}

// Has says that another resource has a word for the table.
func (b Beside) Has(n TableName) bool { return b.covering(n) != nil }

// By is the resource that covers the table, "" if none does.
func (b Beside) By(n TableName) string {
	if c := b.covering(n); c != nil {
		return c.By
	}
	return ""
}

func (b Beside) covering(n TableName) *Covering {
	for _, as := range []TableName{n, {n.Schema, Every}} {
		if c, ok := b[as]; ok {
			return &c
		}
	}
	return nil
}

// Settle leaves out the places of tables that another resource of the tenant's
// answers for, save where their rows stand in the way of this one's order. A table
// that both cover blocks: its rows would be counted, and certified, for both.
func (b Beside) Settle(h *Holding, v connector.Survey, places []connector.Place) []connector.Place {
	if len(b) == 0 {
		return places
	}
	b.twice(h, v.Ref, places)
	places = slices.DeleteFunc(places, func(p connector.Place) bool {
		if !p.IsData() || p.Class != "" {
			return false
		}
		n, ok := h.named(p.Name)
		return ok && b.Has(n)
	})
	all := *h
	all.Classes = maps.Clone(h.Classes)
	for _, t := range h.Tables {
		if c := b.covering(t.Table.TableName); c != nil && all.Classes[t.Table.TableName] == "" {
			all.Classes[t.Table.TableName] = c.Class
		}
	}
	for _, p := range all.between(v.Order) {
		if !slices.ContainsFunc(places, func(o connector.Place) bool { return o.Name == p.Name && o.Kind == p.Kind }) {
			places = append(places, p)
		}
	}
	return places
}

func (b Beside) twice(h *Holding, r connector.Ref, places []connector.Place) {
	for _, t := range h.Tables {
		other := b[t.Table.TableName].By
		if other == "" || h.Classes[t.Table.TableName] == "" {
			continue
		}
		for i := range places {
			if p := &places[i]; p.Name == t.Table.String() && p.IsData() && !p.Blocks {
				p.Blocks = true
				p.Says = p.Name + " is covered by " + r.Type + " " + strconv.Quote(r.Name) + " and by " + other + ", so its rows would be counted twice"
				p.Fix = "take " + p.Name + " out of the attribute tables of one of them"
			}
		}
	}
}

// CutPath splits the name of a tenant column such as body->>a or body->a->>b into the column and the keys.
func CutPath(column string) (name string, path []string, is bool) {
	name, rest, is := strings.Cut(column, "->")
	if !is {
		return column, nil, false
	}
	for part := range strings.SplitSeq(rest, "->") {
		path = append(path, strings.Trim(strings.TrimSpace(strings.TrimPrefix(part, ">")), "'"))
	}
	return strings.TrimSpace(name), path, true
}

// ChangesSchema is the JSON Schema of the properties that say what becomes of rows which
// aren't simply deleted.
func ChangesSchema() string {
	const text = `{"type":"string","minLength":1}`
	const rule = `{"if":{"type":"string"},"then":{"enum":["keep","clear","year","month","network","permute"]},"else":{"type":"object","minProperties":1,"additionalProperties":false,"properties":{
"constant":{},"prefix":{"type":"integer","minimum":1},"bucket":{"type":"number","exclusiveMinimum":0},"year":{"const":true},"month":{"const":true},"network":{"const":true},"else":{},
"pseudonym":` + text + `,"reversible":{"type":"boolean"},"suffix":` + text + `,"members":{"type":"object","minProperties":1},"each":{}}}}`
	return `"transforms":{"type":"object","additionalProperties":{"type":"object","additionalProperties":false,"required":["columns"],"properties":{
"columns":{"type":"object","minProperties":1,"additionalProperties":` + rule + `},"identifying":{"type":"array","items":` + text + `},"atLeast":{"type":"integer"},"of":` + text + `,"short":{"enum":["suppress"]}}},
"description":"by table, for classes that are anonymised or pseudonymised: what becomes of each column (keep, clear, constant, year, month, network, prefix, bucket, permute, pseudonym, members, each), and which columns together must be the same for at least so many rows"},
"aggregates":{"type":"object","additionalProperties":{"type":"object","additionalProperties":false,"required":["from","by","atLeast"],"properties":{
"from":` + text + `,"by":{"type":"object","minProperties":1,"additionalProperties":{"type":"object","additionalProperties":false,"required":["column","as"],"properties":{"column":` + text + `,"as":` + rule + `}}},
"sums":{"type":"object","additionalProperties":` + text + `},"count":` + text + `,"atLeast":{"type":"integer"},"of":` + text + `,"short":{"enum":["suppress"]}}},
"description":"by table of sums, for classes that are aggregated: the rows of which table are added up by what before they go, and how many make a group at least"}`
}

// CoverageSchema is the JSON Schema of the attributes' properties.
func CoverageSchema(names string) string {
	const text = `{"type":"string","minLength":1}`
	return `"tables":{"type":"object","additionalProperties":` + text + `,"description":"data class of each table, by ` + strings.ReplaceAll(names, `"`, `\"`) + `"},
"columns":{"type":"object","additionalProperties":{"type":"string"},"description":"tenant column of a table in which it has another name, as that name or a path into a JSON column such as body->>tenant_key; blank says that the table has none"},
"aliases":{"type":"array","items":` + text + `,"description":"other names of the tenant column, looked for in the whole database"},
"links":{"type":"object","additionalProperties":{"enum":["follow","detach","block"]},"description":"what a reference that can be null means, by table.column: follow (its row is the tenant's), detach (the reference becomes null) or block (nothing is erased while it is there)"},
"shared":{"type":"array","items":` + text + `,"description":"tables that belong to no tenant; they stay"},
"derived":{"type":"object","additionalProperties":{"enum":["refresh"]},"description":"materialized views that are refreshed after an erasure; PostgreSQL alone has them"},
"triggers":{"type":"object","additionalProperties":{"enum":["ignore"]},"description":"triggers and rules, by table.trigger, that keep nothing of the tenant and touch nothing of others: somebody has read them"}`
}
