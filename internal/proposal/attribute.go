package proposal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/scaffold"
	"github.com/tenurehq/tenure/internal/survey"
)

// beside drafts what a blueprint must say beside a place, where most tenants' have it alike.
func (d *drafting) beside(p *place) {
	type said struct{ typ, attributes string }
	counts, read := map[said]int{}, map[*connector.Beside][]said{}
	for t, th := range p.has {
		for i := range th.Beside {
			one := &th.Beside[i]
			for _, text := range d.readings(one.Attributes, t, p) {
				read[one] = append(read[one], said{one.Type, text})
				counts[said{one.Type, text}]++
			}
		}
	}
	byCount := slices.SortedFunc(maps.Keys(counts), func(a, b said) int {
		return cmp.Or(counts[b]-counts[a], strings.Count(b.attributes, "${")-strings.Count(a.attributes, "${"), strings.Compare(a.typ, b.typ), strings.Compare(a.attributes, b.attributes))
	})
	n, used := 0, map[*connector.Beside]bool{}
	for _, b := range byCount {
		if !most(counts[b], len(p.has)) {
			break
		}
		of := 0 // of how many it says what no resource says yet
		for one := range read {
			if !used[one] && slices.Contains(read[one], b) {
				of++
			}
		}
		if !most(of, len(p.has)) {
			continue
		}
		for one := range read {
			used[one] = used[one] || slices.Contains(read[one], b)
		}
		n++
		end := " " + b.typ
		if n > 1 {
			end += " " + strconv.Itoa(n)
		}
		res := &scaffold.Resource{System: p.system, Type: b.typ, Name: scaffold.Around(p.before, p.variable, p.after+end), Key: d.key(p.resource.Key + end)}
		res.Why = fmt.Sprintf("so it is with %d of %d; it has no name of its own", of, len(p.has))
		if typ, ok := d.types[p.system].Type(b.typ); ok {
			res.Schema = typ.Attributes
		}
		var values map[string]json.RawMessage
		_ = json.Unmarshal([]byte(b.attributes), &values) // it was written from them
		for _, name := range slices.Sorted(maps.Keys(values)) {
			res.Attributes = append(res.Attributes, scaffold.Attribute{Name: name, Value: string(values[name])})
		}
		res.Needs = []string{p.resource.Key}
		if strings.Count(strings.ReplaceAll(b.attributes, "$${", ""), "${") < 2 && !p.holds() { // the account alone is the tenant's
			d.out.Open = append(d.out.Open, fmt.Sprintf("resources: %s gives each tenant a right on the same thing: see whether all should have it, or take it away", res.Key))
		}
		d.out.Resources = append(d.out.Resources, res)
	}
	odd := 0
	for _, th := range p.has {
		for i := range th.Beside {
			if !used[&th.Beside[i]] {
				odd++
				break
			}
		}
	}
	if odd > 0 {
		d.out.Open = append(d.out.Open, fmt.Sprintf("resources: %d of %d tenants have rights of %s that most others haven't: declare them, or these tenants can't be adopted as they are", odd, len(p.has), d.text(p)))
	}
}

// holds says that a place's things hold others, as accounts don't.
func (p *place) holds() bool {
	for _, th := range p.has {
		return th.Kind == string(connector.TracePlace)
	}
	return false
}

// attributes takes those that most tenants' things have alike, with the tenant's own text as the parameter.
func (d *drafting) attributes(p *place) {
	values := map[string]map[string]int{} // by attribute, by value as the blueprint would have it
	for t, th := range p.has {
		for name, v := range th.Attributes {
			if values[name] == nil {
				values[name] = map[string]int{}
			}
			for _, text := range d.readings(v, t, p) {
				values[name][text]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all := slices.SortedFunc(maps.Keys(values[name]), func(a, b string) int {
			return cmp.Or(values[name][b]-values[name][a], strings.Count(b, "${")-strings.Count(a, "${"), strings.Compare(a, b))
		})
		a := scaffold.Attribute{Name: name, Value: all[0]}
		switch n := values[name][all[0]]; {
		case n == len(p.has):
		case most(n, len(p.has)):
			a.Why = fmt.Sprintf("so it is with %d of %d; the others can't be adopted as they are", n, len(p.has))
		case d.given(p, &a):
		default:
			a.Out, a.Why = true, fmt.Sprintf("tenants differ: this is so with %d of %d", n, len(p.has))
		}
		p.resource.Attributes = append(p.resource.Attributes, a)
	}
}

// given makes a parameter of an attribute in which tenants differ, where all have a text or a whole number.
func (d *drafting) given(p *place, a *scaffold.Attribute) bool {
	numbers, example := 0, ""
	for _, t := range d.tenants {
		if th := p.has[t]; th != nil {
			value, number, ok := plainValue(th.Attributes[a.Name])
			if !ok {
				return false
			}
			if number {
				numbers++
			}
			example = cmp.Or(example, value)
		}
	}
	if numbers != 0 && numbers != len(p.has) {
		return false
	}
	name := d.key(p.resource.Key + "_" + a.Name)
	for n, base := 2, name; slices.ContainsFunc(d.out.Parameters, func(o scaffold.Parameter) bool { return o.Name == name }); n++ {
		name = base + "_" + strconv.Itoa(n)
	}
	d.out.Parameters = append(d.out.Parameters, scaffold.Parameter{Name: name, Example: example, Number: numbers > 0, Why: fmt.Sprintf("%s of %s, in which tenants differ", a.Name, d.text(p))})
	a.Value, a.Why = `"${params.`+name+`}"`, "tenants differ"
	return true
}

// plainValue is a value that isn't blank as a parameter has it, and whether it is a whole number.
func plainValue(v any) (text string, number, ok bool) {
	switch v := v.(type) {
	case string:
		return v, false, v != ""
	case float64: // as JSON has numbers
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatFloat(v, 'f', -1, 64), true, true
		}
	case int, int64:
		return fmt.Sprint(v), true, true
	}
	return "", false, false
}

// readings are the ways in which a value of a tenant's follows from the tenant, as JSON: by each parameter, and
// as it is, since a tenant may be called what all things are, such as utf8.
func (d *drafting) readings(v any, t *survey.Tenant, p *place) (out []string) {
	by := []*place{p, d.organizations()}
	for _, o := range slices.Concat(d.places, d.rows) {
		if !slices.ContainsFunc(by, func(b *place) bool { return b.variable == o.variable }) {
			by = append(by, o)
		}
	}
	add := func(v any) {
		if text, err := json.Marshal(v); err == nil && !slices.Contains(out, string(text)) {
			out = append(out, string(text))
		}
	}
	for i := range by {
		add(d.general(v, t, p, slices.Concat(by[i:i+1], by)))
	}
	add(d.general(v, nil, p, nil))
	return out
}

// organization is what the customer is called, as an expression.
const organization = "tenant.organization"

// organizations are what the tenants are called, which is at no place.
func (d *drafting) organizations() *place {
	if d.called == nil {
		d.called = &place{variable: organization, values: map[*survey.Tenant]string{}}
		for _, t := range d.tenants {
			d.called.values[t] = t.Name
		}
	}
	return d.called
}

// general is an attribute's value with the names of the tenant's other things, and what is the tenant's own in
// it, as parameters: the first that fits. Nobody's is as it is.
func (d *drafting) general(v any, t *survey.Tenant, p *place, by []*place) any {
	switch v := v.(type) {
	case string:
		if t == nil {
			return scaffold.Literal(v)
		}
		for _, o := range d.places {
			if th := o.has[t]; th != nil && o.system == p.system && th.Name == v {
				return scaffold.Around(o.before, o.variable, o.after)
			}
		}
		for _, o := range by {
			if text, is := own(v, o.values[t], o.variable); is {
				return text
			}
		}
		return scaffold.Literal(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, one := range v {
			out[name] = d.general(one, t, p, by)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = d.general(v[i], t, p, by)
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i := range v {
			out[i] = d.general(v[i], t, p, by)
		}
		return out
	}
	return v
}

// own is a text with the tenant's own one in it as an expression; false if it isn't there as it is.
func own(text, value, expression string) (string, bool) {
	before, _, after, ok := apart(text, []string{value})
	if !ok || value == "" || !strings.HasPrefix(text[len(before):], value) {
		return "", false
	}
	return scaffold.Around(before, expression, after), true
}
