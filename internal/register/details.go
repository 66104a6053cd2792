package register

import (
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// Details are what a record of processing says and no system knows. All may be blank.
type Details struct {
	Controller     string
	Representative string
	Officer        string              // the data protection officer
	Purposes       map[string][]string // by data class of the blueprint
	Subjects       map[string][]string // categories of data subjects, by data class of the blueprint
	Recipients     map[string][]string // categories of recipients, by system
	Transfers      []string            // to third countries, with their safeguards
	Measures       []string            // of security, beside those that the blueprint states
}

func (d Details) blank() bool {
	return d.Controller == "" && d.Representative == "" && d.Officer == "" && len(d.Purposes)+len(d.Subjects)+len(d.Recipients)+len(d.Transfers)+len(d.Measures) == 0
}

func (r *reader) record(n ast.Node) {
	d := &r.file.Record
	for _, v := range r.pairs(n, "record") {
		switch key := keyOf(v); key {
		case "controller":
			d.Controller = r.text(v)
		case "representative":
			d.Representative = r.text(v)
		case "officer":
			d.Officer = r.text(v)
		case "purposes":
			d.Purposes = r.lists(v)
		case "subjects":
			d.Subjects = r.lists(v)
		case "recipients":
			d.Recipients = r.lists(v)
		case "transfers":
			d.Transfers = r.list(v)
		case "measures":
			d.Measures = r.list(v)
		default:
			r.refuse(lineOf(v.Key.GetToken()), "record has an unknown key %q", key)
		}
	}
}

func (r *reader) lists(v *ast.MappingValueNode) map[string][]string {
	out := map[string][]string{}
	for _, one := range r.pairs(v.Value, keyOf(v)) {
		out[keyOf(one)] = r.list(one)
	}
	return out
}

// list reads texts, or one.
func (r *reader) list(v *ast.MappingValueNode) (out []string) {
	s, ok := v.Value.(*ast.SequenceNode)
	if !ok {
		if text := r.text(v); text != "" {
			out = append(out, text)
		}
		return out
	}
	for _, one := range s.Values {
		if t, ok := one.(*ast.StringNode); ok && t.Value != "" {
			out = append(out, t.Value)
		} else {
			r.refuse(lineOf(one.GetToken()), "%s holds something that isn't a text", keyOf(v))
		}
	}
	return out
}

// lines are the details as the file has them.
func (d Details) lines() (out []string) {
	if d.blank() {
		return nil
	}
	out = []string{"record:"}
	text := func(key, s string) {
		if s != "" {
			out = append(out, "  "+key+": "+quoted(s))
		}
	}
	list := func(indent, key string, all []string) {
		if len(all) == 0 {
			return
		}
		out = append(out, indent+quoted(key)+":")
		for _, s := range all {
			out = append(out, indent+"  - "+quoted(s))
		}
	}
	lists := func(key string, all map[string][]string) {
		if len(all) == 0 {
			return
		}
		out = append(out, "  "+key+":")
		for _, k := range sorted(all) {
			list("    ", k, all[k])
		}
	}
	text("controller", d.Controller)
	text("representative", d.Representative)
	text("officer", d.Officer)
	lists("purposes", d.Purposes)
	lists("subjects", d.Subjects)
	lists("recipients", d.Recipients)
	list("  ", "transfers", d.Transfers)
	list("  ", "measures", d.Measures)
	return out
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
