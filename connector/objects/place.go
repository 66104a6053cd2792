package objects

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Plan is what a blueprint says becomes of a class's objects in one resource.
type Plan struct {
	Class       string
	Disposition tenure.Disposition
	Prefixes    []string // of the class
	All         map[string]Transform
	Holds       func(prefix, name string) bool // a name, or a longer prefix, begins with a prefix
	To          func(place string) error       // Blocked if results can't go there
}

// Refusal is what stands against the plan, as a data map shows it.
func (p Plan) Refusal(name, says, fix string) connector.Place {
	out := connector.Place{
		Name: cmp.Or(name, "(every key)"), Kind: connector.PlaceChange, Class: p.Class, Via: "transforms", Blocks: true,
		Says: p.Class + " is to be " + p.Disposition.Done() + ": " + says, Fix: fix,
	}
	if _, given := p.All[name]; given {
		out.At = connector.Pointer("transforms", name)
	}
	return out
}

// RefusalOf is Refusal for an error that is Blocked; of others it is the error.
func (p Plan) RefusalOf(name string, err error) ([]connector.Place, error) {
	if err == nil || tenure.CodeOf(err) != tenure.Blocked {
		return nil, err
	}
	return []connector.Place{p.Refusal(name, err.Error(), strings.Join(tenure.HintsOf(err), "; "))}, nil
}

// Against is what stands against the plan before any object is read.
func (p Plan) Against() (out []connector.Place, err error) {
	for _, prefix := range p.Prefixes {
		if _, _, err := Of(p.All, func(t string) bool { return p.Holds(t, prefix) }); err != nil {
			out = append(out, p.Refusal(prefix, "transforms says nothing of what is under "+cmp.Or(prefix, "every key"), "transforms: {\""+prefix+"\": {format: …, fields: {…}}}"))
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(p.All)) {
		t := p.All[prefix]
		if !slices.ContainsFunc(p.Prefixes, func(of string) bool { return p.Holds(prefix, of) || p.Holds(of, prefix) }) {
			continue
		}
		if says, fix := t.Against(p.Disposition); says != "" {
			out = append(out, p.Refusal(prefix, says, fix))
			continue
		}
		if p.Disposition != tenure.Anonymise {
			continue
		}
		refused, err := p.RefusalOf(t.To, p.To(t.To))
		if err != nil {
			return nil, err
		}
		for i := range refused {
			refused[i].At = connector.Pointer("transforms", prefix, "to")
		}
		out = append(out, refused...)
	}
	return out, nil
}
