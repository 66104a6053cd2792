package objects

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// ClassChange is what a blueprint says becomes of a class's objects in one resource.
type ClassChange struct {
	Class       string
	Disposition tenure.Disposition
	Prefixes    []string // of the class
	All         map[string]Transform
	Holds       func(prefix, name string) bool // a name, or a longer prefix, begins with a prefix
	To          func(place string) error       // Blocked if results can't go there
}

// Refusal is what stands against the change, as a data map shows it.
func (c ClassChange) Refusal(name, says, fix string) connector.Place {
	out := connector.Place{
		Name: cmp.Or(name, "(every key)"), Kind: connector.PlaceChange, Class: c.Class, Via: "transforms", Blocks: true,
		Says: c.Class + " is to be " + c.Disposition.Done() + ": " + says, Fix: fix,
	}
	if _, given := c.All[name]; given {
		out.At = connector.Pointer("transforms", name)
	}
	return out
}

// RefusalOf is Refusal for an error that is Blocked; of others it is the error.
func (c ClassChange) RefusalOf(name string, err error) ([]connector.Place, error) {
	if err == nil || tenure.CodeOf(err) != tenure.Blocked {
		return nil, err
	}
	return []connector.Place{c.Refusal(name, err.Error(), strings.Join(tenure.HintsOf(err), "; "))}, nil
}

// Against is what stands against the change before any object is read.
func (c ClassChange) Against() (out []connector.Place, err error) {
	for _, prefix := range c.Prefixes {
		if _, _, err := transformOf(c.All, func(t string) bool { return c.Holds(t, prefix) }); err != nil {
			out = append(out, c.Refusal(prefix, "transforms says nothing of what is under "+cmp.Or(prefix, "every key"), "transforms: {\""+prefix+"\": {format: …, fields: {…}}}"))
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(c.All)) {
		t := c.All[prefix]
		if !slices.ContainsFunc(c.Prefixes, func(of string) bool { return c.Holds(prefix, of) || c.Holds(of, prefix) }) {
			continue
		}
		if says, fix := t.Against(c.Disposition); says != "" {
			out = append(out, c.Refusal(prefix, says, fix))
			continue
		}
		if c.Disposition != tenure.Anonymise {
			continue
		}
		refused, err := c.RefusalOf(t.To, c.To(t.To))
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
