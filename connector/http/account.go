package http

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Accounts is described at connector.Enumerator: everything of the types that give access,
// and of those whose items say what an account is known by. It lists each type once.
func (d *described) Accounts(ctx context.Context, yield func(connector.Account) error) (connector.Sighting, error) {
	p := d.pass()
	var types []*typeSpec
	for i := range d.Types {
		if layer, _ := layerOf(d.Types[i].Layer); layer.IsAccess() || d.Types[i].Item.Account != nil {
			types = append(types, &d.Types[i])
		}
	}
	slices.SortFunc(types, func(a, b *typeSpec) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range types {
		list, err := p.all(ctx, t)
		if err != nil {
			return connector.Sighting{}, err
		}
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b *found) int { return cmp.Compare(a.name, b.name) })
		for _, f := range list {
			if f.ending || d.kept(t.Name, f.name) {
				continue
			}
			a, err := d.account(t, f)
			if err != nil {
				return connector.Sighting{}, err
			}
			if err := yield(a); err != nil {
				return connector.Sighting{}, err
			}
		}
	}
	return p.sighting(ctx)
}

// account is a thing as one that signs in, calls or runs.
func (d *described) account(t *typeSpec, f *found) (a connector.Account, err error) {
	a = connector.Account{Type: t.Name, Name: f.name, ID: f.id, Owner: f.owner, Enabled: f.state == tenure.ResourcePresent}
	if f.owner == connector.Ours {
		a.Resource = f.of
	}
	v := d.options.with("item", f.item, "id", f.id, "word", f.note.state, "parent", itemOf(f.parent), "resource", string(f.of))
	for name, value := range f.refers {
		v[name] = value
	}
	s := t.Item.Account
	if s == nil {
		s = &accountSpec{}
	}
	if a.Mails, err = d.fieldTexts(s.Mail, f, v); err != nil {
		return a, err
	}
	if a.ExternalIDs, err = d.fieldTexts(s.ExternalID, f, v); err != nil {
		return a, err
	}
	a.ExternalIDs = slices.DeleteFunc(a.ExternalIDs, beginsMark)
	if a.Enabled, err = d.is(s.Enabled, a.Enabled, v); err != nil {
		return a, err
	}
	a.Tells = s.LastSeen != ""
	if a.Seen, err = d.moment(s.LastSeen, f, v); err != nil {
		return a, err
	}
	if a.Created, err = d.moment(s.Created, f, v); err != nil {
		return a, err
	}
	if f.owner != connector.Ours {
		a.Disable, a.Remove = d.byHand(s.Disable, t.Suspend, t, f, v), d.byHand(s.Remove, t.Delete, t, f, v)
	}
	return a, nil
}

// fieldTexts is a field that holds a text or a list of them, without blank ones.
func (d *described) fieldTexts(from string, f *found, v vars) (out []string, err error) {
	if from == "" {
		return nil, nil
	}
	value, err := d.field(from, f.item, v)
	if err != nil {
		return nil, err
	}
	list, many := value.([]any)
	if !many {
		list = []any{value}
	}
	for _, e := range list {
		if s, ok := e.(string); ok && strings.TrimSpace(s) != "" {
			out = append(out, strings.TrimSpace(s))
		}
	}
	return out, nil
}

// moment is a field that holds a time; zero for never, and for what can't be read as one.
func (d *described) moment(from string, f *found, v vars) (time.Time, error) {
	if from == "" {
		return time.Time{}, nil
	}
	value, err := d.field(from, f.item, v)
	if err != nil {
		return time.Time{}, err
	}
	return momentOf(value), nil
}

// millis is from where on a number counts milliseconds: as seconds it would be in the year
// 5138.
const millis = 100_000_000_000

func momentOf(value any) time.Time {
	switch v := value.(type) {
	case string:
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.000-0700", "2006-01-02 15:04:05Z07:00", time.DateTime, time.DateOnly} {
			if at, err := time.Parse(layout, strings.TrimSpace(v)); err == nil && at.Year() > 1970 {
				return at.UTC() // Go takes fractions of a second at their place, whatever the layout
			}
		}
	case int64:
		return unix(v)
	case float64:
		return unix(int64(v))
	}
	return time.Time{}
}

func unix(n int64) time.Time {
	switch {
	case n <= 0:
		return time.Time{}
	case n >= millis:
		return time.UnixMilli(n).UTC()
	}
	return time.Unix(n, 0).UTC()
}

// byHand are the steps of a person: as the description words them, or the requests that
// Tenure would make of a thing of its own.
func (d *described) byHand(said []string, all steps, t *typeSpec, f *found, v vars) (out []string) {
	for _, line := range said {
		if text, err := d.eval(line, v); err == nil {
			if s, ok := text.(string); ok {
				out = append(out, s)
			}
		}
	}
	if len(said) > 0 {
		return out
	}
	own := d.vars(t, connector.Ref{Type: t.Name, Name: f.name}, f)
	for _, s := range all {
		if s.Each != nil {
			continue
		}
		path, err := d.path(s.Path, own)
		if err != nil {
			continue
		}
		line := cmp.Or(s.Method, "GET") + " " + path
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}
