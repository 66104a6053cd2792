package proposal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
	"github.com/tenurehq/tenure/internal/source"
	"github.com/tenurehq/tenure/internal/survey"
)

// Unknown is the value of what nothing tells: a person fills it in.
const Unknown = "?"

// Bindings say how the tenants of a survey would come under a blueprint, for people to
// review. They are proposals; nothing follows from them by itself.
type Bindings struct {
	Blueprint string    `json:"blueprint"` // name@version
	Tenants   []Binding `json:"tenants"`
	Out       []Left    `json:"leftOut"` // tenants that aren't proposed
}

// Unfit is how many of the tenants the blueprint doesn't fit.
func (b *Bindings) Unfit() (n int) {
	for _, t := range b.Tenants {
		if t.Unfit != "" {
			n++
		}
	}
	return n
}

// Binding is one tenant as it would be onboarded.
type Binding struct {
	Name         string      `json:"name"` // Unknown, or one that a tenant may have
	Organization string      `json:"organization"`
	Parameters   []Parameter `json:"parameters"`
	Adopts       []string    `json:"adopts"`  // what the blueprint's resources would adopt
	Missing      []string    `json:"missing"` // resources that nothing was found for
	LeavesOut    []string    `json:"leavesOut"`
	Unfit        string      `json:"unfit,omitempty"` // why the blueprint doesn't fit: a thing that it needs doesn't exist
}

// Parameter is a value with what tells it.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// Left is a tenant that isn't proposed, and why.
type Left struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Bind proposes bindings of a survey's tenants to a blueprint. A parameter is told where a
// resource's name, or the key of its rows, is a text around it alone; what two things tell
// otherwise isn't told. What no name tells, an attribute that is the parameter alone does. A slug
// or a name that no thing tells is what the lists call the tenant. Where there is no list of
// customers, all tenants are proposed.
func Bind(r *survey.Report, b *tenure.Blueprint) *Bindings {
	out := &Bindings{Blueprint: b.Name + "@" + b.Version, Tenants: []Binding{}, Out: []Left{}}
	places, told := patterns(b), tells(r)
	listed := slices.ContainsFunc(r.Tenants, func(t survey.Tenant) bool { return len(t.Listed) > 0 })
	for i := range r.Tenants {
		t := &r.Tenants[i]
		switch {
		case t.Left:
			out.Out = append(out.Out, Left{t.Name, strings.TrimSuffix("it has left: "+t.Status, ": ")})
		case listed && len(t.Listed) == 0:
			out.Out = append(out.Out, Left{t.Name, "it is in no customer list"})
		default:
			out.Tenants = append(out.Tenants, bind(t, b, places, told))
		}
	}
	return out
}

// pattern is where a resource of the blueprint would be, with what isn't known of it.
type pattern struct {
	spec  *tenure.ResourceSpec
	env   string
	text  string         // as the blueprint has it
	match *regexp.Regexp // nil: it can't be told from a name
	vars  []string       // what each group is
	plain int            // bytes of the text that aren't told
}

func (p *pattern) path() string { return tenure.ResourcePath(p.env, p.spec.Key) }

func patterns(b *tenure.Blueprint) (out []pattern) {
	for i := range b.Resources {
		s := &b.Resources[i]
		for _, env := range b.Environments {
			if len(s.Environments) > 0 && !slices.Contains(s.Environments, env.Name) {
				continue
			}
			p := pattern{spec: s, env: env.Name, text: s.Name}
			if key, is := s.Attributes["key"].(string); is && s.Type == "rows" {
				p.text = key // a survey names rows by it
			}
			p.compile()
			out = append(out, p)
		}
	}
	return out
}

// compile makes the expression that the pattern's names match.
func (p *pattern) compile() {
	pieces, err := source.Split(p.text)
	if err != nil {
		return
	}
	text := "^"
	for _, piece := range pieces {
		literal := piece.Literal
		switch expr := strings.TrimSpace(piece.Expr); {
		case !piece.IsExpr:
		case expr == "env.name":
			literal = p.env
		case signs.MatchString(expr): // before an expression they can't be written otherwise
			literal = strings.Trim(expr, `"`)
		case expr == "tenant.name", plainParameter.MatchString(expr):
			text += "((?s:.+))"
			p.vars = append(p.vars, strings.TrimPrefix(expr, "params."))
			continue
		default:
			return
		}
		text += regexp.QuoteMeta(literal)
		p.plain += len(literal)
	}
	p.match = regexp.MustCompile(text + "$")
}

var signs = regexp.MustCompile(`^"\$+"$`)

var wholeParameter = regexp.MustCompile(`^\$\{\s*params\.([A-Za-z_][A-Za-z0-9_]*)\s*\}$`)

var plainParameter = regexp.MustCompile(`^params\.[A-Za-z_][A-Za-z0-9_]*$`)

// tells gives the values with which the pattern has this name; false if none.
func (p *pattern) tells(t *survey.Thing) (map[string]string, bool) {
	if p.match == nil || t.System != p.spec.System || t.Type != p.spec.Type || p.otherColumn(t) {
		return nil, false
	}
	m := p.match.FindStringSubmatch(t.Name)
	if m == nil {
		return nil, false
	}
	out := make(map[string]string)
	for i, v := range p.vars {
		if have, is := out[v]; is && have != m[i+1] {
			return nil, false
		}
		out[v] = m[i+1]
	}
	return out, len(out) < 2 // two unknowns in one name can be told apart in more than one way
}

// otherColumn says that rows are told by another column than the resource has for their table.
func (p *pattern) otherColumn(t *survey.Thing) bool {
	wanted, _ := p.spec.Attributes["column"].(string)
	has, _ := t.Attributes["column"].(string)
	if p.spec.Type != "rows" || wanted == "" || has == "" {
		return false
	}
	table := strings.TrimPrefix(t.In, "table ")
	columns, _ := p.spec.Attributes["columns"].(map[string]any)
	for name, column := range columns {
		if _, bare, _ := strings.Cut(name, "."); name == table || bare == table {
			wanted, _ = column.(string)
		}
	}
	return !strings.EqualFold(strings.ReplaceAll(wanted, "$${", "${"), has)
}

func said(t *survey.Thing) string {
	return survey.What(cmp.Or(t.Word, t.Type), t.Name, t.In) + " in " + t.System
}

// tells says of which types a survey would have told every thing: those of which it told any,
// in systems that were read whole.
func tells(r *survey.Report) map[[2]string]bool {
	part := map[string]bool{}
	for _, s := range r.Systems {
		part[s.Name] = s.Sight() != "all"
	}
	out := map[[2]string]bool{}
	note := func(t *survey.Thing) {
		if t.Type != "" && !part[t.System] {
			out[[2]string{t.System, t.Type}] = true
		}
	}
	for i := range r.Tenants {
		for j := range r.Tenants[i].Things {
			note(&r.Tenants[i].Things[j])
		}
	}
	for i := range r.Shared {
		note(&r.Shared[i])
	}
	return out
}

func bind(t *survey.Tenant, b *tenure.Blueprint, places []pattern, tells map[[2]string]bool) Binding {
	out := Binding{Organization: t.Name, Parameters: []Parameter{}, Adopts: []string{}, Missing: []string{}, LeavesOut: []string{}}
	told := map[string]map[string]string{} // by variable, by value: what tells it
	type fit struct {
		pattern *pattern
		values  map[string]string
	}
	fits := make([][]fit, len(t.Things))
	for i := range t.Things {
		most := 0
		for j := range places {
			if values, is := places[j].tells(&t.Things[i]); is {
				fits[i] = append(fits[i], fit{&places[j], values})
				most = max(most, places[j].plain)
			}
		}
		fits[i] = slices.DeleteFunc(fits[i], func(f fit) bool { return f.pattern.plain < most })
		for _, f := range fits[i] {
			for v, value := range f.values {
				if told[v] == nil {
					told[v] = map[string]string{}
				}
				told[v][value] = cmp.Or(told[v][value], said(&t.Things[i]))
			}
		}
	}
	filled, could, adopted := map[string]bool{}, map[string]bool{}, []*survey.Thing{}
	var through []*pattern
	byAttribute := map[string]bool{}
	bound := make([]bool, len(t.Things))
	for i := range t.Things {
		used := t.Things[i].Kind == string(connector.TraceTable) // its rows are named
		for _, f := range fits[i] {
			could[f.pattern.path()] = true
			sure := true
			for v := range f.values {
				sure = sure && len(told[v]) == 1
			}
			if sure && !filled[f.pattern.path()] {
				used, filled[f.pattern.path()] = true, true
				adopted, through = append(adopted, &t.Things[i]), append(through, f.pattern)
				out.Adopts = append(out.Adopts, said(&t.Things[i])+" as "+f.pattern.path())
			}
		}
		bound[i] = used
	}
	for i, th := range adopted { // what no name tells, an attribute may
		for name, v := range through[i].spec.Attributes {
			text, _ := v.(string)
			m := wholeParameter.FindStringSubmatch(text)
			if value, _, ok := plainValue(th.Attributes[name]); ok && m != nil && (told[m[1]] == nil || byAttribute[m[1]]) {
				if told[m[1]] == nil {
					told[m[1]], byAttribute[m[1]] = map[string]string{}, true
				}
				told[m[1]][value] = name + " of " + said(th)
			}
		}
	}
	for i := range t.Things {
		if one := &t.Things[i]; !bound[i] && !along(one, adopted, through) {
			out.LeavesOut = append(out.LeavesOut, said(one))
		}
	}
	for i := range places {
		if p := &places[i]; !filled[p.path()] {
			out.Missing = append(out.Missing, fmt.Sprintf("%s: %s %s in %s", p.path(), p.spec.Type, p.text, p.spec.System))
			if out.Unfit == "" && p.spec.When == "" && p.match != nil && len(slices.Compact(slices.Sorted(slices.Values(p.vars)))) < 2 && !could[p.path()] && tells[[2]string{p.spec.System, p.spec.Type}] {
				out.Unfit = "the blueprint needs " + out.Missing[len(out.Missing)-1]
			}
		}
	}
	out.Name = slug(t.Name)
	if value, _ := one(told["tenant.name"]); value != "" {
		out.Name = value
	} else if len(told["tenant.name"]) > 1 {
		out.Name = Unknown
	}
	if tenure.CheckTenantName(out.Name) != nil {
		out.Name = Unknown
		if value, _ := calls(t, "slug"); len(told["tenant.name"]) == 0 && tenure.CheckTenantName(value) == nil {
			out.Name = value
		}
	}
	properties, _ := b.Parameters["properties"].(map[string]any)
	required, _ := b.Parameters["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, why := one(told[name])
		if why == "" {
			value, why = calls(t, name)
		}
		property, _ := properties[name].(map[string]any)
		_, has := property["default"]
		has = has || !slices.Contains(required, any(name))
		switch {
		case value != "" && suits(value, property):
		case value == "" && why == "" && has:
			continue // the blueprint does without
		case value == "" && why == "":
			value, why = Unknown, "nothing in the survey tells it"
		default:
			value, why = Unknown, cmp.Or(why, "what the survey tells isn't of its type")
		}
		out.Parameters = append(out.Parameters, Parameter{name, value, why})
	}
	return out
}

// along says that a thing is adopted with another: it is inside it, or its table is among
// those whose rows are adopted.
func along(t *survey.Thing, adopted []*survey.Thing, through []*pattern) bool {
	for i, other := range adopted {
		if t.System != other.System {
			continue
		}
		if t.In != "" && t.In == survey.What(other.Word, other.Name, "") {
			return true
		}
		table, in := strings.CutPrefix(t.In, "table ")
		if !in || other.Kind != string(connector.TraceRows) {
			continue
		}
		tables, _ := through[i].spec.Attributes["tables"].(map[string]any)
		for name := range tables {
			if _, bare, ok := strings.Cut(name, "."); name == table || ok && bare == table {
				return true
			}
		}
	}
	return false
}

// calls is what the lists call a tenant, for a parameter that is called slug or name; blank if
// they don't tell, with the reason if they tell more than one.
func calls(t *survey.Tenant, parameter string) (value, why string) {
	switch parameter {
	case "name":
		return t.Name, "the customer list calls it so"
	case "slug":
		told := map[string]string{}
		for _, name := range append([]string{t.Name}, t.Also...) {
			if plainSlug.MatchString(name) && !survey.Distinctive(name) {
				told[name] = "the customer list"
			}
		}
		return one(told)
	}
	return "", ""
}

var plainSlug = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// one is the only value, with what tells it; blank if there is none, with the reason if
// there are many.
func one(told map[string]string) (value, why string) {
	for _, v := range slices.Sorted(maps.Keys(told)) {
		if value != "" {
			value = ""
			break
		}
		value, why = v, told[v]
	}
	if len(told) > 1 {
		var all []string
		for _, v := range slices.Sorted(maps.Keys(told)) {
			all = append(all, v+" by "+told[v])
		}
		return "", strings.Join(all, ", ")
	}
	return value, why
}

// suits says whether a text read from a name can be the value of a parameter.
func suits(value string, property map[string]any) bool {
	switch property["type"] {
	case "integer", "number":
		return json.Valid([]byte(value)) && value[0] != '"' && value[0] != '{' && value[0] != '['
	case "string", nil:
		return true
	}
	return false
}

// slug is a name that a tenant may have, made of another.
func slug(name string) string { return strings.Join(claim.Words(name), "-") }
