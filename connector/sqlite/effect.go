package sqlite

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// errDoubted says that the batch is to be taken back and done again: something else
// than the erasure itself deleted or changed rows, and it is to be looked into, on the
// rows as they were, whether they are the tenant's.
var errDoubted = errors.New("rows are to be looked at")

// batch runs one batch of the erasure, writes what it took into the tally, and holds
// each row that changed against what a batch may do: rows of the class go, others
// lose an announced reference, a trigger copies a row of the tenant's into a covered
// table, and an index follows. Anything else is Blocked.
func (w *watch) batch(ctx context.Context, b connector.Batch, resource string) (e connector.Erased, err error) {
	before, err := w.e.dangling(ctx, w.session)
	if err != nil {
		return e, err
	}
	erasure, err := w.e.Erasure(b.Class)
	if err != nil {
		return e, err
	}
	if erasure.Begun, err = kept.Begun(ctx, w, resource, b); err != nil {
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
	switch {
	case err != nil:
		return e, w.e.refused(err, b.Class)
	case w.doubted:
		return e, errDoubted
	}
	return e, w.verdict(ctx, before)
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

// clear is Blocked if one of the rows that an earlier try deleted or changed by the way
// isn't the tenant's.
func (w *watch) clear(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(w.cleared)) {
		s := w.seen[name]
		if s == nil {
			continue
		}
		n, err := w.strangers(ctx, s, w.cleared[name])
		if err != nil {
			return err
		}
		if n > 0 {
			return w.foul(s, "delete or change", n)
		}
	}
	return nil
}

// strangers counts those of the rows that are there and aren't the tenant's.
func (w *watch) strangers(ctx context.Context, s *sight, addresses map[string]bool) (n int64, err error) {
	t, held := w.e.Table(s.table.TableName)
	for part := range slices.Chunk(slices.Collect(maps.Keys(addresses)), 1000) {
		where := (dialect{}).At(s.table, "t", part)
		if held {
			where += " and (" + w.e.Goes(t) + ") is not true"
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
			return tenure.Errorf(tenure.Blocked, "%s of %s refer to columns that would change, and be left without what they refer to: rows that they refer to lose a reference", relational.Plural(n-before[name], "row"), name).
				WithHint("let %s refer to columns that don't change; nothing was erased in this batch", name)
		}
	}
	return nil
}

func (w *watch) foul(s *sight, how string, n int64) error {
	name := s.table.Name
	return tenure.Errorf(tenure.Blocked, "the erasure would also %s %s of %s that it isn't to touch: %s", how, relational.Plural(n, "row"), name, w.causes(name)).
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
