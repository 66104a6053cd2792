package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// planKey names an erasure that goes on over several batches.
type planKey struct {
	resource tenure.ResourceID
	class    string
	deputy   bool
	keep     string // what holds keep
}

var _ connector.Tallier = (*Driver)(nil)

// Erase is described at connector.Eraser: one transaction a batch, children before
// parents, with its tally. It is Blocked, by the rows that are there once the batch has
// locked its own, if a row would be deleted, set to null or kept against what the
// blueprint says.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	h, err := d.holder(r, "be erased")
	if err != nil {
		return e, err
	}
	if shared, ok := h.(pools); ok && b.Gone {
		shared.gone = true
		h = shared
	}
	there, err := h.reach(ctx, r, true, func(s *session, at reading) (err error) {
		if at, err = at.withholding(ctx, s, b.Keep); err != nil {
			return err
		}
		if b.Cursor == "" {
			if err := at.shut(ctx, s, b.Class); err != nil {
				return err
			}
		}
		if e, err = d.stage(ctx, s, r, at, b); err == nil && e.Done {
			err = at.shut(ctx, s, b.Class)
		}
		if err == nil && e.Done && len(b.Keep) > 0 {
			e.Held, err = d.heldOf(ctx, s, r, at, b.Class, b.Keep)
		}
		return refused(err)
	})
	if err == nil && !there {
		e.Done = true
		e.Total = nil
	}
	return e, coded(err)
}

// ownCursor begins the cursor of a batch that a deputy takes.
const ownCursor = "own."

// stage erases one batch where the erasure has come to: outside of a tenant's premises
// first, where rows may refer to what is on them, and then there; the other way round
// if rows on them refer to those that go outside.
func (d *Driver) stage(ctx context.Context, s *session, r connector.Ref, at reading, b connector.Batch) (e connector.Erased, err error) {
	if at.deputise == nil {
		return d.batch(ctx, s, r, at, b)
	}
	if err := keep(ctx, s); err != nil {
		return e, err
	}
	all, err := at.all(ctx, s)
	if err != nil {
		return e, err
	}
	first := slices.ContainsFunc(all.Graph.Keys(), func(k relational.ForeignKey) bool {
		return all.Own(k.Child) && !all.Own(k.Parent) && all.Classes[k.Parent] != ""
	})
	cursor, inside := strings.CutPrefix(b.Cursor, ownCursor)
	b.Cursor = cursor
	inside = inside || first && b.Cursor == ""
	if inside {
		e, err = d.indoors(ctx, r, at, b)
	} else {
		e, err = d.batch(ctx, s, r, at, b)
	}
	if err != nil {
		return connector.Erased{}, err
	}
	if inside {
		if b.Run != "" {
			total, err := kept.Read(ctx, s, b.Run, string(r.Resource))
			if err != nil {
				return e, err
			}
			e.Total, e.Detached = total.Total, total.Detached
		}
		if !e.Done {
			e.Cursor = ownCursor + e.Cursor
		}
	}
	if err != nil || !e.Done || inside != first {
		return e, err
	}
	e.Done = false
	if e.Cursor = "0."; !inside {
		e.Cursor = ownCursor
	}
	return e, nil
}

// deputyBatch bounds a batch in a deputy's session, where code may switch the server's
// own limit off and sleep until the transaction ends.
const deputyBatch = 3 * deputyLimit

// indoors erases one batch by a deputy; or drops a table, in a session of its own, where
// code on the premises keeps the rows: it may have ended the other session.
func (d *Driver) indoors(ctx context.Context, r connector.Ref, at reading, b connector.Batch) (e connector.Erased, err error) {
	settled := func(ctx context.Context, s *session, err error) error {
		if err == nil && e.Done {
			err = s.settle(ctx)
		}
		return err
	}
	hinders := false
	err = at.deputise(ctx, func(term context.Context, s *session) (err error) {
		term, end := context.WithTimeout(term, deputyBatch)
		defer end()
		if hinders, err = d.crowded(term, s, at); err != nil || hinders {
			return err
		}
		e, err = d.batch(term, s, r, at, b)
		hinders = hindered(err) || err != nil && term.Err() != nil
		return settled(term, s, err)
	})
	if !hinders || ctx.Err() != nil {
		return e, err
	}
	err = at.deputise(ctx, func(ctx context.Context, s *session) (err error) {
		e, err = d.raze(ctx, s, r, at, b)
		return settled(ctx, s, err)
	})
	return e, err
}

// batch erases one batch, by the plan of the last one if there is one.
func (d *Driver) batch(ctx context.Context, s *session, r connector.Ref, at reading, b connector.Batch) (e connector.Erased, err error) {
	key := planKey{r.Resource, b.Class, s.deputy != nil, keepKey(b.Keep)}
	p, known, err := d.planned(ctx, s, at.here, key, b.Cursor)
	if err != nil {
		return e, err
	}
	d.forget(key) // until it has ended well
	if p.Holding.Before != nil {
		b.Limit = min(b.Limit, objectsAtOnce)
	}
	once := func(s *session) (err error) {
		e, err = d.once(ctx, s, r, at, &p, b, known)
		return err
	}
	switch err = d.patient(ctx, s, once); state(err) {
	case "23503": // something refers to the rows: see what
		p.Erasure = p.Wary()
		err = d.patient(ctx, s, once)
	case "42P01", "42703": // a table or a column has another name by now
		if p, known, err = d.planned(ctx, s, at.here, key, ""); err == nil {
			err = d.patient(ctx, s, once)
		}
	}
	if err != nil {
		return connector.Erased{}, err
	}
	if !e.Done {
		d.remember(key, p)
		return e, nil
	}
	if s.deputy != nil {
		return e, nil // what is left to do is done by Tenure's own session
	}
	if err := d.settle(ctx, s, r, p.Holding, b.Class); err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}

// once erases one batch in a transaction. A plan that is known is an older
// batch's, and the catalog may have changed since it was made.
func (d *Driver) once(ctx context.Context, s *session, r connector.Ref, at reading, p *footing, b connector.Batch, known bool) (e connector.Erased, err error) {
	if *p, err = d.current(ctx, s, r, at, *p, b.Class, known); err != nil {
		return e, err
	}
	p.Disposition = b.Disposition
	if err := p.Resume(ctx, s, kept, string(r.Resource), b); err != nil {
		return e, err
	}
	if e, err = p.take(ctx, s, b); err != nil {
		return e, err
	}
	if e.Done && known {
		if e.Done, err = d.again(ctx, s, at.here, p, b); err != nil {
			return e, err
		}
	}
	if e.Done {
		if err := p.undecided(ctx, s); err != nil {
			return e, err
		}
	}
	e.Counts, e.Detached = knownAll(r, e.Counts), knownAll(r, e.Detached)
	if b.Run == "" {
		return e, nil
	}
	if s.deputy != nil {
		return e, s.tell(ctx, b.Run, string(r.Resource), &e)
	}
	err = kept.Add(ctx, s, b.Run, string(r.Resource), &e)
	return e, err
}

// again says whether the class is erased by a fresh look at the catalog too.
func (d *Driver) again(ctx context.Context, s *session, of holdingOf, p *footing, b connector.Batch) (bool, error) {
	now, err := d.plan(ctx, s, of, b.Class)
	if err != nil || now.Same(p.Erasure) {
		return err == nil, err
	}
	now.Disposition = b.Disposition
	left, err := now.Remains(ctx, s)
	*p = now
	return left == "", err
}

func fresh(ctx context.Context, s *session, of holdingOf, class string) (*relational.Erasure, error) {
	h, err := of(ctx, s)
	if err != nil {
		return nil, err
	}
	return h.Erasure(class)
}

func (d *Driver) remembered(k planKey) (footing, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.plans[k]
	return p, ok
}

func (d *Driver) remember(k planKey, p footing) {
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

// keep makes the tables of what an erasure keeps, where they aren't there: in a
// tenant's own database they stand in a schema of Tenure's own. One that somebody
// else made isn't used.
func keep(ctx context.Context, s *session) error {
	if s.deputy != nil {
		return nil // Tenure's own session has seen to it
	}
	if there, err := keeps(ctx, s, "tally", "parent", "deputy"); err != nil || there {
		return err
	}
	made := append([]string{"create schema if not exists tenure", "revoke all on schema tenure from public"}, kept.DDL()...)
	if err := s.make(ctx, append(made, tellSQL, closeSQL)); err != nil {
		return err
	}
	there, err := keeps(ctx, s, "tally", "parent", "deputy")
	if err == nil && !there {
		err = tenure.Errorf(tenure.Blocked, "the schema tenure, or a table in it, isn't Tenure's").WithHint("rename it; Tenure keeps its counts there")
	}
	return err
}

// taken says that somebody else has made the schema in which Tenure keeps its counts,
// or something in it, in a tenant's own database.
func taken(ctx context.Context, s *session) (bool, error) {
	theirs, err := textsOf(ctx, s, `select 'yes' from pg_namespace n left join pg_class c on c.relnamespace = n.oid join pg_roles r on r.oid in (n.nspowner, c.relowner)
 where n.nspname = 'tenure' and not r.rolsuper and r.rolname <> current_user limit 1`)
	return len(theirs) > 0, err
}

// forget takes away what is kept of a resource, where anything is kept at all.
func forget(ctx context.Context, s *session, r tenure.ResourceID) error {
	there, err := keeps(ctx, s, "tally", "parent")
	if err != nil || !there {
		return err
	}
	return kept.Forget(ctx, s, string(r))
}

// Tally is described at connector.Tallier.
func (d *Driver) Tally(ctx context.Context, r connector.Ref, run string) (e connector.Erased, err error) {
	h, err := d.holder(r, "be erased")
	if err != nil {
		return e, err
	}
	_, shared := h.(pools) // their tally outlives the mark while late rows go
	_, err = h.reach(ctx, r, !shared, func(s *session, _ reading) error {
		there, err := keeps(ctx, s, "tally")
		if e.Total = map[string]int64{}; err != nil || !there { // nothing was taken yet
			return err
		}
		e, err = kept.Read(ctx, s, run, string(r.Resource))
		return err
	})
	return e, coded(err)
}

// remove takes the owner mark and what was kept of the rows away. It deletes no
// row: those that are left are Blocked if no class covers them, else a Conflict.
func (k pools) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	rec.Changed, err = k.reach(ctx, r, true, func(s *session, at reading) error {
		if err := keep(ctx, s); err != nil {
			return err
		}
		return s.atomic(ctx, func(s *session) error {
			held, err := at.here(ctx, s)
			if err != nil {
				return err
			}
			a, err := k.parse(r)
			if err != nil {
				return err
			}
			twin, _, err := k.beside(ctx, s, r, place(a.spec().object()))
			if err != nil {
				return err
			}
			if err := held.Empty(ctx, s, twin); err != nil {
				return err
			}
			g, err := k.ground(ctx, s, connector.Survey{Ref: r}, held)
			if err != nil {
				return err
			}
			if _, err := g.refresh(ctx, s, ""); err != nil { // an erasure that failed at it has left them as they were
				return err
			}
			if err := kept.Forget(ctx, s, string(r.Resource)); err != nil {
				return err
			}
			_, err = s.Exec(ctx, dropNote(r))
			return err
		})
	})
	if err == nil && !rec.Changed { // what late rows left after the mark had gone
		err = k.with(ctx, func(s *session) error { return forget(ctx, s, r.Resource) })
	}
	rec.Changed = rec.Changed && err == nil
	return rec, err
}
