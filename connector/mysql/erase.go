package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// Erase is described at connector.Eraser: one transaction a batch, children before
// parents, in which Tenure's own tally is written too. The catalog isn't part of a
// transaction, so it is read again at its end: what was altered meanwhile ends the batch
// with nothing done. foreign_key_checks stay on.
func (d *Driver) Erase(ctx context.Context, r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	k, err := d.holder(r, "erased")
	if err != nil {
		return e, err
	}
	if shared, ok := k.(pools); ok && b.Gone {
		shared.gone = true
		k = shared
	}
	err = d.with(ctx, func(s *session) error {
		there, err := k.there(ctx, s, r)
		if err != nil {
			return err
		}
		if !there {
			e = connector.Erased{Done: true}
			return nil
		}
		e, err = d.batch(ctx, s, k, r, b, false)
		if isNumber(err, 1451, 1217) { // a reference, which a look for it can name
			var why error
			if _, why = d.batch(ctx, s, k, r, b, true); why != nil {
				err = why
			}
		}
		return err
	})
	if err != nil {
		return connector.Erased{}, coded(err)
	}
	return e, nil
}

func (d *Driver) batch(ctx context.Context, s *session, k holder, r connector.Ref, b connector.Batch, wary bool) (e connector.Erased, err error) {
	if err := s.run(ctx, "use "+quote(d.keep)); err != nil { // a delete by an alias wants some database
		return e, err
	}
	if err := d.seeing(ctx, s); err != nil {
		return e, err
	}
	err = s.atomic(ctx, func() error {
		held, err := k.estate(ctx, s, r)
		if err != nil {
			return err
		}
		if err := held.firm(b.Class); err != nil {
			return err
		}
		if err := held.withhold(b.Keep); err != nil {
			return tenure.Errorf(tenure.Blocked, "a hold on rows can't be followed: %w", err)
		}
		erasure, err := held.Erasure(b.Class)
		if err != nil {
			return err
		}
		if wary {
			erasure = erasure.Wary()
		}
		if e, err = erasure.Batch(ctx, s, b); err != nil {
			return held.refused(err, b.Class)
		}
		if err := d.kept.Add(ctx, s, b.Run, string(r.Resource), &e); err != nil {
			return err
		}
		if e.Done && connector.Total(e.Held) == 0 {
			if err := held.forgetPast(ctx, s, b.Class); err != nil {
				return err
			}
		}
		again, err := k.estate(ctx, s, r)
		if err != nil {
			return err
		}
		if again.c.digest != held.c.digest {
			return tenure.Errorf(tenure.Unavailable, "tables were altered while rows were erased; nothing went in this batch").Retryable()
		}
		return nil
	})
	return e, err
}

// covered are the tables of a class, "" of every one, that the resource holds.
func (e *estate) covered(class string) (out []relational.Reached) {
	for _, t := range e.Tables {
		if c := e.Classes[t.Table.TableName]; c != "" && (class == "" || c == class) {
			out = append(out, t)
		}
	}
	return out
}

// firm is Blocked by what of a table's own nature keeps its rows from being erased.
func (e *estate) firm(class string) error {
	for _, t := range e.covered(class) {
		if p, ok := e.hard(t); ok && p.Blocks {
			return tenure.Errorf(tenure.Blocked, "%s", p.Says).WithHint("%s", p.Fix)
		}
	}
	return nil
}

// hard is what of a table's own nature stands against an erasure of its rows.
func (e *estate) hard(t relational.Reached) (p connector.Place, is bool) {
	n := t.Table.TableName
	p = connector.Place{Name: n.String(), Kind: connector.PlaceOrder, Class: e.Classes[n], Via: t.Via, Blocks: true}
	switch own := e.Own(n); {
	case e.c.versioned[n] && !own:
		p.Says = n.String() + " is system-versioned: the server keeps rows that went as past rows, and can forget those of all tenants alone"
		p.Fix = "alter table " + e.Dialect.Name(n) + " drop system versioning"
	case e.c.engines[n] != "" && !own:
		p.Says = n.String() + " is of the engine " + e.c.engines[n] + ", which has no transactions and no foreign keys"
		p.Fix = "alter table " + e.Dialect.Name(n) + " engine=InnoDB"
	case len(t.Table.Key) == 0 && !(own && e.alone(t)):
		p.Says = n.String() + " has no primary key, so its rows can't be told apart"
		p.Fix = "alter table " + e.Dialect.Name(n) + " add primary key (…)"
	default:
		return p, false
	}
	return p, true
}

// alone says that nothing refers to a table's rows, they refer to nothing, and no code
// runs when they go.
func (e *estate) alone(t relational.Reached) bool {
	n := t.Table.TableName
	return !t.Table.Code && !slices.ContainsFunc(e.Graph.Keys(), func(k relational.ForeignKey) bool { return k.Parent == n || k.Child == n })
}

// forgetPast has the server forget the past rows of a tenant's own versioned tables.
func (e *estate) forgetPast(ctx context.Context, s *session, class string) error {
	for _, t := range e.covered(class) {
		if n := t.Table.TableName; e.c.versioned[n] && e.Own(n) {
			if err := s.run(ctx, "delete history from "+e.Dialect.Name(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// refused makes of a trigger's refusal, or of any other of the server's that isn't about
// locks, an error that names what stands on the tables.
func (e *estate) refused(err error, class string) error {
	number := numberOf(err)
	if number == 0 || isCoded(err) || isNumber(err, 1451, 1217) {
		return err
	}
	own := coded(err)
	if tenure.CodeOf(own) == tenure.Unavailable {
		return own
	}
	var names []string
	for _, t := range e.covered(class) {
		for _, g := range e.c.triggers {
			if g.table == t.Table.TableName && g.event != "insert" {
				names = append(names, "trigger "+g.name+" of "+g.table.String())
			}
		}
	}
	if len(names) == 0 {
		return own
	}
	return tenure.Errorf(tenure.Blocked, "rows don't go: %s may stand in the way: %w", strings.Join(sorted(names), ", "), own).
		WithHint("change it so that the rows of a tenant that leaves can go, then retry")
}

// Tally is described at connector.Tallier.
func (d *Driver) Tally(ctx context.Context, r connector.Ref, run string) (e connector.Erased, err error) {
	if _, err := d.holder(r, "erased"); err != nil {
		return e, err
	}
	err = d.with(ctx, func(s *session) error {
		e, err = d.kept.Read(ctx, s, run, string(r.Resource))
		return err
	})
	return e, coded(err)
}
