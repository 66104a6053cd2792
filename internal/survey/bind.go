package survey

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
)

// Unknown stands for what nothing tells: a person writes it.
const Unknown = "?"

// Bindings say how the tenants of a survey would come under a blueprint, for people to
// review. They are proposals; nothing follows from them by itself.
type Bindings struct {
	Blueprint string    `json:"blueprint"` // name@version
	Tenants   []Binding `json:"tenants"`
	Out       []Left    `json:"leftOut"` // tenants that aren't proposed
}

// Binding is one tenant as it would be onboarded.
type Binding struct {
	Name         string      `json:"name"` // Unknown, or one that a tenant may have
	Organization string      `json:"organization"`
	Parameters   []Parameter `json:"parameters"`
	Adopts       []string    `json:"adopts"`  // what the blueprint's resources would adopt
	Missing      []string    `json:"missing"` // resources that nothing was found for
	LeavesOut    []string    `json:"leavesOut"`
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
// otherwise isn't told.
func Bind(r *Report, b *tenure.Blueprint) *Bindings {
	out := &Bindings{Blueprint: b.Name + "@" + b.Version, Tenants: []Binding{}, Out: []Left{}}
	places := patterns(b)
	for i := range r.Tenants {
		t := &r.Tenants[i]
		switch {
		case t.Left:
			out.Out = append(out.Out, Left{t.Name, strings.TrimSuffix("it left: "+t.Status, ": ")})
		case len(t.Listed) == 0:
			out.Out = append(out.Out, Left{t.Name, "no list of customers names it"})
		default:
			out.Tenants = append(out.Tenants, bind(t, b, places))
		}
	}
	return out
}

// pattern is where a resource of the blueprint would stand, with what isn't known of it.
type pattern struct {
	spec  *tenure.ResourceSpec
	env   string
	text  string         // as the blueprint has it
	match *regexp.Regexp // nil: it can't be told from a name
	vars  []string       // what each group is
	plain int            // bytes of the text that aren't told
}

func (p *pattern) path() string { return tenure.ResourcePath(p.env, p.spec.Key) }

var hole = regexp.MustCompile(`\$\{\s*([^{}]*?)\s*\}`)

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
	text, at := "^", 0
	for _, m := range hole.FindAllStringSubmatchIndex(p.text, -1) {
		text += regexp.QuoteMeta(p.text[at:m[0]])
		p.plain += m[0] - at
		at = m[1]
		switch name := p.text[m[2]:m[3]]; {
		case name == "env.name":
			text += regexp.QuoteMeta(p.env)
			p.plain += len(p.env)
		case name == "tenant.name", plainParameter.MatchString(name):
			text += "(.+)"
			p.vars = append(p.vars, strings.TrimPrefix(name, "params."))
		default:
			return
		}
	}
	p.plain += len(p.text) - at
	p.match = regexp.MustCompile(text + regexp.QuoteMeta(p.text[at:]) + "$")
}

var plainParameter = regexp.MustCompile(`^params\.[A-Za-z_][A-Za-z0-9_]*$`)

// tells gives the values with which the pattern has this name; false if none.
func (p *pattern) tells(t *Thing) (map[string]string, bool) {
	if p.match == nil || t.System != p.spec.System || t.Type != p.spec.Type {
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

func said(t *Thing) string { return cmp.Or(t.Word, t.Type) + " " + t.Name + " in " + t.System }

func bind(t *Tenant, b *tenure.Blueprint, places []pattern) Binding {
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
	filled := map[string]bool{}
	for i := range t.Things {
		used := t.Things[i].Kind == string(connector.TraceTable) // its rows are named
		for _, f := range fits[i] {
			sure := true
			for v := range f.values {
				sure = sure && len(told[v]) == 1
			}
			if sure && !filled[f.pattern.path()] {
				used, filled[f.pattern.path()] = true, true
				out.Adopts = append(out.Adopts, said(&t.Things[i])+" as "+f.pattern.path())
			}
		}
		if !used {
			out.LeavesOut = append(out.LeavesOut, said(&t.Things[i]))
		}
	}
	for i := range places {
		if p := &places[i]; !filled[p.path()] {
			out.Missing = append(out.Missing, fmt.Sprintf("%s: %s %s in %s", p.path(), p.spec.Type, p.text, p.spec.System))
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
	}
	properties, _ := b.Parameters["properties"].(map[string]any)
	required, _ := b.Parameters["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, why := one(told[name])
		property, _ := properties[name].(map[string]any)
		_, has := property["default"]
		has = has || !slices.Contains(required, any(name))
		switch {
		case value != "" && suits(value, property):
		case value == "" && why == "" && has:
			continue // the blueprint does without
		case value == "" && why == "":
			value, why = Unknown, "no name tells it"
		default:
			value, why = Unknown, cmp.Or(why, "it isn't of its type")
		}
		out.Parameters = append(out.Parameters, Parameter{name, value, why})
	}
	return out
}

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
