package http

import (
	"cmp"
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Observe is described at connector.Driver. It lists each type once.
func (d *described) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	p := d.pass()
	p.shows = true
	for _, r := range refs {
		t, err := d.typ(r.Type)
		if err != nil {
			return connector.Sighting{}, err
		}
		if err := ctx.Err(); err != nil {
			return connector.Sighting{}, tenure.Errorf(tenure.Unavailable, "%s: %w", d.Name, err).Retryable()
		}
		at, err := p.look(ctx, t, r, false)
		if err != nil {
			return connector.Sighting{}, err
		}
		o := connector.Observed{Type: r.Type, Name: r.Name}
		f := at.namesake
		if len(at.mine) > 0 {
			f = at.mine[0]
		}
		if f != nil && !d.kept(t.Name, f.name) {
			if o, err = d.observed(t, f, r.Name); err != nil {
				return connector.Sighting{}, err
			}
			if len(at.mine) > 1 {
				o.Detail = "more than one thing bears its mark"
			}
		}
		if err := yield(o); err != nil {
			return connector.Sighting{}, err
		}
	}
	return p.sighting(ctx)
}

// Discover is described at connector.Driver.
func (d *described) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	p := d.pass()
	p.shows = true
	names := make([]string, 0, len(d.Types))
	for _, t := range d.Types {
		if len(s.Types) == 0 || slices.Contains(s.Types, t.Name) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t, err := d.typ(name)
		if err != nil {
			return connector.Sighting{}, err
		}
		list, err := p.all(ctx, t)
		if err != nil {
			return connector.Sighting{}, err
		}
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b *found) int { return cmp.Compare(a.name, b.name) })
		for _, f := range list {
			if d.kept(t.Name, f.name) || f.owner == connector.Unmarked && !t.Everything {
				continue
			}
			o, err := d.observed(t, f, "")
			if err != nil {
				return connector.Sighting{}, err
			}
			if err := yield(o); err != nil {
				return connector.Sighting{}, err
			}
		}
	}
	return p.sighting(ctx)
}
