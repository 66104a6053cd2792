package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// planKey names an erasure that goes on over several batches.
type planKey struct {
	resource tenure.ResourceID
	class    string
}

// plan is what an erasure goes by between its first batch and its last; the
// last is judged by a fresh look at the catalog.
type plan struct {
	holding *relational.Holding
	steps   []relational.EraseStep
}

// holder is a kind that holds a tenant's rows.
type holder interface {
	kind
	// reach runs f on a session that can see the rows of r, with what they are
	// made from. It isn't run if r is absent; Conflict if r isn't ours.
	reach(ctx context.Context, r connector.Ref, f func(s *session, h holdingOf) error) (there bool, err error)
}

// holdingOf reads from the catalog what is held.
type holdingOf func(ctx context.Context, s *session) (*relational.Holding, error)

func (k schemas) reach(ctx context.Context, r connector.Ref, f func(*session, holdingOf) error) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, r)
		if err != nil || have == nil {
			return err
		}
		there = true
		return f(s, func(ctx context.Context, s *session) (*relational.Holding, error) {
			g, err := graphOf(ctx, s, have.name)
			if err != nil {
				return nil, err
			}
			classes := map[relational.TableName]string{}
			for t, class := range a.Tables {
				classes[relational.TableName{Schema: have.name, Name: t}] = class
			}
			return wholly(g, classes, func(t relational.TableName) bool { return t.Schema == have.name }), nil
		})
	})
	return there, err
}

// wholly takes every row of the tables that are the tenant's own, and what
// refers to them from elsewhere.
func wholly(g *relational.Graph, classes map[relational.TableName]string, own func(relational.TableName) bool) *relational.Holding {
	var roots []relational.Root
	for _, t := range g.Tables() {
		if own(t.TableName) {
			roots = append(roots, relational.Root{Table: t.TableName, Where: "true", Via: "its own"})
		}
	}
	return relational.NewHolding(dialect{}, g, roots, classes)
}

func (k databases) reach(ctx context.Context, r connector.Ref, f func(*session, holdingOf) error) (bool, error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	return k.opened(ctx, r, func(s *session) error {
		return f(s, func(ctx context.Context, s *session) (*relational.Holding, error) {
			g, err := dialect{}.Graph(ctx, s)
			if err != nil {
				return nil, err
			}
			classes := map[relational.TableName]string{}
			for t, class := range a.Tables {
				n := relational.TableName{Schema: "public", Name: t}
				if schema, name, ok := strings.Cut(t, "."); ok {
					n = relational.TableName{Schema: schema, Name: name}
				}
				classes[n] = class
			}
			return wholly(g, classes, func(relational.TableName) bool { return true }), nil
		})
	})
}

func (k pools) reach(ctx context.Context, r connector.Ref, f func(*session, holdingOf) error) (there bool, err error) {
	a, err := k.parse(r)
	if err != nil {
		return false, err
	}
	err = k.with(ctx, func(s *session) error {
		note, err := k.noteOf(ctx, s, r)
		if err != nil {
			return err
		}
		if note == nil {
			n, err := k.has(ctx, s, a.spec())
			if err != nil || n == 0 {
				return err
			}
			return relational.Claim(k.marker, relational.Note{}, r)
		}
		there = true
		return f(s, func(ctx context.Context, s *session) (*relational.Holding, error) {
			g, err := graphOf(ctx, s, a.Schema)
			if err != nil {
				return nil, err
			}
			return k.holding(r, a, g)
		})
	})
	return there, err
}

func (k pools) holding(r connector.Ref, a poolAttributes, g *relational.Graph) (*relational.Holding, error) {
	classes := map[relational.TableName]string{}
	for t, class := range a.Tables {
		classes[relational.TableName{Schema: a.Schema, Name: t}] = class
	}
	var roots []relational.Root
	for _, t := range g.Tables() {
		if t.Schema == a.Schema && t.Has(a.Column) {
			roots = append(roots, relational.Root{Table: t.TableName, Where: quote(a.Column) + " = " + literal(a.Key), Via: "column " + a.Column})
		}
	}
	h := relational.NewHolding(dialect{}, g, roots, classes)
	for name := range classes {
		reached := false
		for _, t := range h.Tables {
			reached = reached || t.Table.TableName == name
		}
		if _, is := g.Table(name); is && !reached {
			return nil, tenure.Errorf(tenure.Invalid, "rows %q: table %s has no column %q and refers to none that has", r.Name, name, a.Column)
		}
	}
	return h, nil
}

func (d *Driver) holder(r connector.Ref, call string) (holder, error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return nil, err
	}
	h, ok := k.(holder)
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "a %s holds no data, so it can't %s", r.Type, call)
	}
	return h, nil
}

// DataMap is described at connector.Mapper. Places are the tables that the
// resource's rows are in, and those that refer to such rows, wherever they are.
func (d *Driver) DataMap(ctx context.Context, v connector.Survey) (m connector.Map, err error) {
	r := v.Ref
	h, err := d.holder(r, "be mapped")
	if err != nil {
		return m, err
	}
	if m.Sighting, err = d.Observe(ctx, nil, func(connector.Observed) error { return nil }); err != nil {
		return m, err
	}
	_, err = h.reach(ctx, r, func(s *session, of holdingOf) error {
		held, err := of(ctx, s)
		if err != nil {
			return err
		}
		if m.Places, err = held.Places(ctx, s); err != nil {
			return err
		}
		return s.atomic(ctx, func(s *session) error {
			more, partial, err := d.audit(ctx, s, v, held)
			m.Places, m.Partial = append(m.Places, more...), partial
			return err
		})
	})
	return m, coded(err)
}

// Erase is described at connector.Eraser: one transaction a batch, children
// before parents. Rows of another class that refer to those of this one are
// Blocked, also where the database would delete them by itself.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	h, err := d.holder(r, "be erased")
	if err != nil {
		return e, err
	}
	there, err := h.reach(ctx, r, func(s *session, of holdingOf) (err error) {
		e, err = d.batch(ctx, s, r, of, b)
		return err
	})
	if err == nil && !there {
		e.Done = true
	}
	return e, coded(err)
}

// batch erases one batch, by the plan of the last one if there is one.
func (d *Driver) batch(ctx context.Context, s *session, r connector.Ref, of holdingOf, b connector.Batch) (e connector.Erased, err error) {
	key := planKey{r.Resource, b.Class}
	p, known := d.planned(key)
	if !known || b.Cursor == "" {
		if p, err = fresh(ctx, s, of, b.Class); err != nil {
			return e, err
		}
		if err := p.holding.Stands(ctx, s, b.Class); err != nil {
			return e, err
		}
		known = false
	}
	err = s.atomic(ctx, func(s *session) error {
		e, err = p.holding.Erase(ctx, s, p.steps, b)
		return err
	})
	if err != nil {
		d.forget(key)
		return connector.Erased{}, err
	}
	if e.Done && known { // the catalog may have changed since the plan was made
		again, err := fresh(ctx, s, of, b.Class)
		if err != nil {
			return connector.Erased{}, err
		}
		if !again.holding.Same(p.holding) {
			more, err := again.holding.Remains(ctx, s, b.Class)
			if err != nil {
				return connector.Erased{}, err
			}
			e.Done, p = !more, again
		}
	}
	if e.Done {
		if err := d.settle(ctx, s, r, p.holding, b.Class); err != nil {
			return connector.Erased{}, err
		}
		d.forget(key)
	} else {
		d.remember(key, p)
	}
	return e, nil
}

func fresh(ctx context.Context, s *session, of holdingOf, class string) (p plan, err error) {
	if p.holding, err = of(ctx, s); err != nil {
		return p, err
	}
	p.steps, err = p.holding.Plan(class)
	return p, err
}

func (d *Driver) planned(k planKey) (plan, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.plans[k]
	return p, ok
}

func (d *Driver) remember(k planKey, p plan) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.plans) > 1000 { // erasures that were given up; a plan is cheap to make again
		clear(d.plans)
	}
	d.plans[k] = p
}

func (d *Driver) forget(k planKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.plans, k)
}

// deleteBatch is how many rows one transaction of a delete takes.
const deleteBatch = 5000

// remove erases what remains of the rows, in batches, and takes the note away.
// Rows that no data class covers are Blocked.
func (k pools) remove(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	rec.Counts = map[string]int64{}
	there, err := k.reach(ctx, r, func(s *session, of holdingOf) error {
		b := connector.Batch{Limit: deleteBatch}
		for done := false; !done; {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			e, err := k.batch(ctx, s, r, of, b)
			if err != nil {
				return err
			}
			for t, n := range e.Counts {
				rec.Counts[t] += n
			}
			b.Cursor, done = e.Cursor, e.Done
		}
		p, err := fresh(ctx, s, of, "")
		if err != nil {
			return err
		}
		places, err := p.holding.Places(ctx, s)
		if err != nil {
			return err
		}
		for _, place := range places {
			if place.Rows > 0 {
				return tenure.Errorf(tenure.Blocked, "%d rows of %s are in no data class", place.Rows, place.Name).WithHint("name the table in the attribute tables")
			}
		}
		return s.run(ctx, []string{dropNote(r)}, "", nil)
	})
	rec.Changed = there && err == nil
	return rec, err
}
