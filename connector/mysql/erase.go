package mysql

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// Erase is described at connector.Eraser: one transaction a batch, children before
// parents, in which Tenure's own tally is written too. The catalog isn't part of a
// transaction, so it is read again at its end: what was altered meanwhile, or since the
// run's last batch read it, ends the batch with nothing done. foreign_key_checks stay on.
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
		if err := d.pace.start(ctx, s); err != nil {
			return err
		}
		began := time.Now()
		run, err := runOf(r, b)
		if err != nil {
			return err
		}
		last := d.pace.begin(run, &b)
		known := last.held != nil
		e, err = d.batch(ctx, s, k, r, b, &last, false)
		if err != nil && known && ctx.Err() == nil { // by what the last batch knew; it is looked at anew
			last.held = nil
			e, err = d.batch(ctx, s, k, r, b, &last, false)
		}
		if isNumber(err, 1451, 1217) { // a reference, which a look for it can name
			var why error
			if _, why = d.batch(ctx, s, k, r, b, &stride{}, true); why != nil {
				err = why
			}
		}
		if err == nil && !e.Done {
			d.pace.keep(run, last)
			e.Pause, err = d.pace.end(ctx, s, time.Since(began))
		}
		return err
	})
	if err != nil {
		return connector.Erased{}, coded(err)
	}
	return e, nil
}

func (d *Driver) batch(ctx context.Context, s *session, k holder, r connector.Ref, b connector.Batch, last *stride, wary bool) (e connector.Erased, err error) {
	if err := s.run(ctx, "use "+quote(d.keep)); err != nil { // a delete by an alias wants some database
		return e, err
	}
	if err := d.seeing(ctx, s); err != nil {
		return e, err
	}
	err = s.atomic(ctx, func() error {
		held := last.held
		if held == nil {
			if held, err = k.estate(ctx, s, r); err != nil {
				return err
			}
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
		erasure.Pace(&last.piece)
		if erasure.Begun, err = d.kept.Begun(ctx, s, string(r.Resource), b); err != nil {
			return err
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
		now, err := again.Erasure(b.Class)
		if err != nil {
			return err
		}
		if again.c.digest != held.c.digest || !erasure.Same(now) {
			return tenure.Errorf(tenure.Unavailable, "tables were altered while rows were erased; nothing went in this batch").Retryable()
		}
		last.held = again
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
	case e.vague(n) != "":
		p.Says = e.vague(n)
		p.Fix = "make an index over these columns of " + n.String() + " unique, or drop the foreign key"
	case len(t.Table.Key) == 0 && !(own && e.alone(t)):
		p.Says = n.String() + " has no primary key, so its rows can't be told apart"
		p.Fix = "alter table " + e.Dialect.Name(n) + " add primary key (…)"
	default:
		return p, false
	}
	return p, true
}

// vague says which reference names rows of a table by columns that no unique index
// covers: several rows may be meant, and the server acts on the reference when any of them
// goes. It is blank where there is none, or all of its rows are the tenant's.
func (e *estate) vague(n relational.TableName) string {
	for _, k := range e.Graph.Keys() {
		if k.Parent != n || e.Own(n) && e.Own(k.Child) {
			continue
		}
		told := slices.ContainsFunc(e.c.unique[n], func(index []string) bool {
			return !slices.ContainsFunc(index, func(column string) bool { return !slices.Contains(k.Parents, column) })
		})
		if !told {
			return k.Child.String() + " refers to rows of " + n.String() + " by " + strings.Join(k.Parents, ", ") + ", which no unique index covers, so a reference may be to rows of several tenants"
		}
	}
	return ""
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
