package mysql

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// makingKey says in a note that its thing was being made when the note was written.
const makingKey = "making"

// notes are those of a type, by name.
func (d *Driver) notes(ctx context.Context, s *session, typ string) (map[string]*relational.Note, error) {
	out := map[string]*relational.Note{}
	var name, text string
	err := each(ctx, s, "select name, note from "+d.marks.Table+" where type = "+literal(typ), func() error {
		n := relational.ParseNote(text).At(typ, name)
		out[name] = &n
		return nil
	}, &name, &text)
	return out, err
}

// noteOf reads the note of r: nil if there is none, Conflict if it isn't r's.
func (d *Driver) noteOf(ctx context.Context, s *session, r connector.Ref) (*relational.Note, error) {
	n, found, err := d.marks.Free(ctx, s, d.marker, r)
	if err != nil || !found {
		return nil, err
	}
	return &n, nil
}

// elsewhere says that a note is for another system or outside the scope.
func (d *Driver) elsewhere(n *relational.Note, sc connector.Scope) bool {
	if s := n.Get("system"); s != "" && s != d.system {
		return true
	}
	t := n.Get("tenant")
	return sc.Tenant != "" && t != "" && t != string(sc.Tenant)
}

// owned fills in whose a thing is.
func (d *Driver) owned(o *connector.Observed, n *relational.Note) {
	o.Owner = connector.Unmarked
	if n != nil {
		o.Resource, o.Owner = n.Read(d.marker, o.Type)
	}
}

// absent is the error of a call that needs the thing.
func absent(r connector.Ref) error {
	return tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
}

// lost says whether the mark of r, in whose place n stands, is lost.
func (d *Driver) lost(n *relational.Note, r connector.Ref) (bool, error) {
	have := relational.Note{}
	if n != nil {
		have = *n
	}
	return relational.Lost(d.marker, have, r)
}

// names are those of refs that a query can name.
func names(refs []connector.Ref) []string {
	out := make([]string, 0, len(refs))
	for _, r := range refs {
		if checkIdentifier("", r.Name, 250) == nil {
			out = append(out, r.Name)
		}
	}
	return out
}

// sorted are the texts in order, each once.
func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return slices.Compact(all)
}

// shape are attributes as they are compared; what is blank, false or zero is left out.
type shape map[string]any

func (a shape) text(key, value string) {
	if value != "" {
		a[key] = value
	}
}

func (a shape) list(key string, values []string) {
	if len(values) > 0 {
		a[key] = values
	}
}

func (a shape) number(key string, n int64) {
	if n != 0 {
		a[key] = json.Number(strconv.FormatInt(n, 10))
	}
}

func (a shape) flag(key string, is bool) {
	if is {
		a[key] = true
	}
}

func (a shape) done() (json.RawMessage, error) { return tenure.Canonical(map[string]any(a)) }

func byName(all []connector.Observed, yield func(connector.Observed) error) error {
	slices.SortFunc(all, func(a, b connector.Observed) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range all {
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}
