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

// place is where a resource stands, as one look sees it.
type place struct {
	mine     []*found // what bears the resource's mark, wherever it is and whatever its name
	namesake *found   // what has its name and isn't its
	alike    int      // how many things have its name
	parent   *found   // what it lies in
	reused   bool     // an id may be given again, and the mark says no more than the id
}

// lookup finds what stands for a resource, in the short way where the description says one
// that sees what was renamed too, else in all lists.
func (p *pass) lookup(ctx context.Context, t *typeSpec, r connector.Ref) (place, error) {
	if at, err := p.glance(ctx, t, r); err != nil || len(at.mine) > 0 || t.Find == nil || !t.Find.Marked {
		return at, err
	}
	return p.look(ctx, t, r, false)
}

// glance is lookup that takes the short way's word for what isn't there: for what is looked
// at once more when it counts.
func (p *pass) glance(ctx context.Context, t *typeSpec, r connector.Ref) (place, error) {
	return p.look(ctx, t, r, t.Find != nil && t.Find.Marked)
}

// look finds what stands for a resource: in lists of everything or, short, in what the
// description's find gives, which may not be what was renamed.
func (p *pass) look(ctx context.Context, t *typeSpec, r connector.Ref, short bool) (at place, err error) {
	d := p.d
	at.reused = d.Marks != nil && !t.Item.Unique
	above, own := t.split(r.Name)
	parents, err := p.parents(ctx, t)
	if err != nil {
		return at, err
	}
	for _, f := range parents {
		if f != nil && f.name == above {
			at.parent = f
		}
	}
	var lists []*listing
	if short && t.Find != nil {
		if t.In != "" && at.parent == nil {
			return at, nil
		}
		out := newListing()
		v := p.d.vars(t, r, nil).with("parent", itemOf(at.parent), "mark", p.d.marker.Mark(t.Name, r.Resource))
		complete, err := p.d.each(ctx, t.Find, v, t.Item.ID, func(item any) error {
			f, err := p.read(ctx, t, at.parent, item)
			if err == nil {
				out.add(f)
			}
			return err
		})
		if err != nil {
			return at, err
		}
		p.complete = p.complete && complete
		lists = append(lists, out)
	} else {
		there := false
		// What it lies in by its name comes first: whatever is found there isn't sought elsewhere.
		parents = slices.Clone(parents)
		slices.SortStableFunc(parents, func(a, b *found) int {
			return cmp.Compare(map[bool]int{true: 0, false: 1}[a == at.parent], map[bool]int{true: 0, false: 1}[b == at.parent])
		})
		for _, parent := range parents {
			list, err := p.list(ctx, t, parent)
			if err != nil {
				return at, err
			}
			lists = append(lists, list)
			if there = slices.ContainsFunc(list.of[r.Resource], func(f *found) bool { return f.name == r.Name }); there {
				break
			}
		}
		if !there {
			p.judge(t, lists)
		}
	}
	for _, list := range lists {
		for _, f := range list.of[r.Resource] {
			if f.name == r.Name || d.tied(t, f) {
				at.mine = append(at.mine, f)
			}
		}
		for _, f := range list.named[own] {
			if f.own == own && f.parent == at.parent {
				at.alike++
			}
			switch {
			case slices.Contains(at.mine, f):
			case f.own == own && f.parent == at.parent && (at.namesake == nil || at.namesake.owner == connector.Unmarked):
				at.namesake = f
			}
		}
	}
	// One that has the resource's name is it; others that bear its mark are what somebody made
	// of it, and nobody's to touch.
	if slices.ContainsFunc(at.mine, func(f *found) bool { return f.name == r.Name }) {
		at.mine = slices.DeleteFunc(at.mine, func(f *found) bool { return f.name != r.Name })
	}
	if t.Get != nil {
		for i, f := range at.mine {
			full, err := p.get(ctx, t, r, f.id, f.parent)
			if err != nil {
				return at, err
			}
			if full != nil {
				at.mine[i] = full
			}
		}
	}
	return at, nil
}

// tied says whether a note says which thing it is about, or can't: a mark without that, on a
// thing of another name than its resource's, may have been copied there.
func (d *described) tied(t *typeSpec, f *found) bool {
	return f.note.of != "" || d.Marks == nil && len(t.Item.Mark.Write) == 0
}
