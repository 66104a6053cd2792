package sqlite

import (
	"context"
	"maps"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// batch runs one batch of the erasure and holds each row that changed against what
// a batch may do: rows of the class go, others lose an announced reference, a
// trigger copies a row of the tenant's into a covered table, and an index follows.
// What something else than the erasure itself deleted or changed is taken back,
// looked at as it was, and done again if it is the tenant's. Anything else is
// Blocked.
func (w *watch) batch(ctx context.Context, b connector.Batch, resource string) (e connector.Erased, err error) {
	before, err := w.e.dangling(ctx, w.session)
	if err != nil {
		return e, err
	}
	for range 4 {
		if e, err = w.try(ctx, b, resource); err != nil {
			return e, err
		}
		if again, err := w.doubted(ctx); err != nil || !again {
			if err == nil {
				err = w.verdict(ctx, before)
			}
			return e, err
		}
		took := int64(0)
		for _, n := range e.Counts {
			took += n
		}
		b.Limit, b.For = int(max(1, min(took, int64(b.Limit)))), 0 // the same rows again
	}
	return e, tenure.Errorf(tenure.Unavailable, "triggers changed other rows each time").Retryable()
}

// try runs the batch under watch, and writes what it took into the tally.
func (w *watch) try(ctx context.Context, b connector.Batch, resource string) (e connector.Erased, err error) {
	w.fresh()
	erasure, err := w.e.Erasure(b.Class)
	if err != nil {
		return e, err
	}
	if err := w.run(ctx, "savepoint batch"); err != nil {
		return e, err
	}
	if err := w.hook(w.change); err != nil {
		return e, err
	}
	if e, err = erasure.Batch(ctx, w, b); err == nil {
		for name, s := range w.seen {
			if s.known && s.covered && s.deleted > e.Counts[name] {
				e.Counts[name] = s.deleted // a trigger took some
			}
		}
		err = kept.Add(ctx, w, b.Run, resource, &e)
	}
	if unhooked := w.hook(nil); err == nil {
		err = unhooked
	}
	return e, w.e.refused(err, b.Class)
}

// hook has f called before each row changes; nil ends it.
func (s *session) hook(f sqlite.PreUpdateHookFn) error {
	return s.conn.Raw(func(conn any) error {
		h, ok := conn.(sqlite.HookRegisterer)
		if !ok {
			return tenure.Errorf(tenure.Internal, "the SQLite driver doesn't tell which rows change")
		}
		h.RegisterPreUpdateHook(f)
		return nil
	})
}

// doubted takes the batch back if there are rows to be looked at, and is Blocked if
// one of them isn't the tenant's.
func (w *watch) doubted(ctx context.Context) (again bool, err error) {
	for _, s := range w.seen {
		again = again || len(s.doubts) > 0
	}
	if !again {
		return false, nil
	}
	if err := w.run(ctx, "rollback to batch; release batch"); err != nil {
		return false, err
	}
	for name, s := range w.seen {
		n, err := w.strangers(ctx, s, s.doubts)
		if err != nil {
			return false, err
		}
		if n > 0 {
			return false, w.foul(s, "delete or change", n)
		}
		if w.cleared[name] == nil {
			w.cleared[name] = map[string]bool{}
		}
		maps.Copy(w.cleared[name], s.doubts)
	}
	return true, nil
}

// strangers counts those of the rows that are there and aren't the tenant's.
func (w *watch) strangers(ctx context.Context, s *sight, addresses map[string]bool) (n int64, err error) {
	t, held := w.e.Table(s.table.TableName)
	for part := range slices.Chunk(slices.Collect(maps.Keys(addresses)), 1000) {
		where := (dialect{}).At(s.table, "t", part)
		if held {
			where += " and (" + t.Where() + ") is not true"
		}
		more, err := w.count(ctx, "select count(*) from "+quote(s.table.Name)+` as "t" where `+where)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// verdict is Blocked by what the batch has done and mustn't.
func (w *watch) verdict(ctx context.Context, before map[string]int64) error {
	for _, name := range slices.Sorted(maps.Keys(w.seen)) {
		s := w.seen[name]
		for _, l := range s.loses {
			s.fouls[wasChanged] += l.kept()
		}
		for how, n := range s.fouls {
			if n > 0 {
				return w.foul(s, []string{"delete", "change", "add"}[how], n)
			}
		}
		for _, addresses := range []map[string]bool{s.added, w.cleared[name]} {
			n, err := w.strangers(ctx, s, addresses)
			if err != nil {
				return err
			}
			if n > 0 {
				return w.foul(s, "add or change", n)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.indexes)) {
		if err := w.told(w.indexes[name]); err != nil {
			return err
		}
	}
	after, err := w.e.dangling(ctx, w.session)
	if err != nil {
		return err
	}
	for name, n := range after {
		if n > before[name] {
			return tenure.Errorf(tenure.Blocked, "%s of %s refer to columns that would change, and be left without what they refer to: rows that they refer to lose a reference", plural(n-before[name], "row"), name).
				WithHint("let %s refer to columns that don't change; nothing was erased in this batch", name)
		}
	}
	return w.run(ctx, "release batch")
}

func (w *watch) foul(s *sight, how string, n int64) error {
	name := s.table.Name
	return tenure.Errorf(tenure.Blocked, "the erasure would also %s %s of %s that it isn't to touch: %s", how, plural(n, "row"), name, w.causes(name)).
		WithHint("change it so that it leaves these rows of %s alone, then retry; nothing was erased in this batch", name)
}

// causes names what in the schema may change a table's rows besides the erasure.
func (w *watch) causes(table string) string {
	var out []string
	for _, g := range w.e.c.triggers {
		if slices.ContainsFunc(g.writes, func(o write) bool { return strings.EqualFold(o.table, table) }) {
			out = append(out, "trigger "+g.name+" of "+g.table)
		}
	}
	for _, x := range w.e.c.conflicts[table] {
		out = append(out, "on conflict "+x.how+" of "+strings.Join(x.columns, ", "))
	}
	for _, k := range w.e.Graph.Keys() {
		if _, held := w.e.Table(k.Parent); held && k.Child.Name == table {
			out = append(out, "the reference "+k.Link())
		}
	}
	if len(out) == 0 { // by way of a view, or of another table
		for _, g := range w.e.c.triggers {
			out = append(out, "trigger "+g.name+" of "+g.table)
		}
	}
	if len(out) == 0 {
		return "nothing in the schema says why"
	}
	return strings.Join(out, ", or ") + " does that"
}
