package sqlite

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure/connector/relational"
)

// watch is a session that sees each row which a batch changes, by whichever way: a
// statement of the erasure's own, a trigger, a constraint's action or the settling of
// a conflict, in virtual tables too (sqlite.org/c3ref/preupdate_blobwrite). To read
// what a schema says of them is never enough.
type watch struct {
	*session
	e       *estate
	class   string
	seen    map[string]*sight // by table
	indexes map[string]*indexed
	cleared addresses // of rows that are the tenant's
	doubted bool      // others were deleted or changed by the way; they are among these by now
	verb    string    // of the erasure's own statement under way
	target  string    // the rest of it
	seed    maphash.Seed
}

const (
	wasDeleted = iota
	wasChanged
	wasAdded
)

// addresses are those of rows, by table.
type addresses map[string]map[string]bool

// look makes a watch of one transaction of the erasure of a class. It is Blocked if
// one of the rows that an earlier one deleted or changed by the way isn't the tenant's.
func look(ctx context.Context, s *session, e *estate, class string, doubts addresses) (*watch, error) {
	w := &watch{session: s, e: e, class: class, seen: map[string]*sight{}, indexes: map[string]*indexed{}, cleared: doubts, seed: maphash.MakeSeed()}
	for _, t := range e.Graph.Tables() {
		c := e.class(t.Name)
		w.seen[t.Name] = &sight{added: map[string]bool{}, table: t, known: true, covered: c != "", going: c != "" && (class == "" || c == class), let: c == "" && e.lent(t)}
	}
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); held && (k.OnDelete == relational.SetNull || k.OnDelete == relational.SetDefault) {
			l := &lost{ForeignKey: k, columns: places(w.seen[k.Child.Name].table, k.Columns), parents: places(w.seen[k.Parent.Name].table, k.Parents),
				gone: map[string]bool{}, cut: map[string]int64{}}
			parent := w.seen[k.Parent.Name]
			for _, i := range l.parents {
				if i < 0 || parent.table.Columns[i].Generated {
					l.gone = nil
				}
				parent.upto = max(parent.upto, i+1)
			}
			parent.parts = append(parent.parts, l)
			w.seen[k.Child.Name].loses = append(w.seen[k.Child.Name].loses, l)
		}
	}
	for _, name := range e.c.shadows {
		w.shadow(name)
	}
	w.entries()
	return w, w.clear(ctx)
}

// places are where columns stand in a table.
func places(t relational.Table, columns []string) []int {
	out := make([]int, len(columns))
	for i, c := range columns {
		out[i] = slices.IndexFunc(t.Columns, func(o relational.Column) bool { return strings.EqualFold(o.Name, c) })
	}
	return out
}

// lent says that the blueprint answers for a trigger that writes to the table, and
// that the table holds no tenant column.
func (e *estate) lent(t relational.Table) bool {
	if e.TenantColumn(t.TableName) != "" || slices.ContainsFunc(t.Columns, func(c relational.Column) bool {
		return c.Name != "" && foldedIn(append([]string{e.a.Column}, e.a.Aliases...), c.Name)
	}) {
		return false
	}
	return slices.ContainsFunc(e.c.triggers, func(g trigger) bool {
		return e.excused(g) && slices.ContainsFunc(g.writes, func(w write) bool { return strings.EqualFold(w.table, t.Name) })
	})
}

// Exec is described at relational.Querier.
func (w *watch) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	w.verb, w.target, _ = strings.Cut(query, " ")
	defer func() { w.verb, w.target = "", "" }()
	return w.session.Exec(ctx, query, args...)
}

// change is called before a row changes.
func (w *watch) change(d sqlite.SQLitePreUpdateData) {
	if d.DatabaseName != "main" {
		return
	}
	s := w.seen[d.TableName]
	if s != nil && s.index != nil {
		w.part(s, d)
		return
	}
	how := done(d.Op)
	own := d.Depth() == 0 && w.verb == [...]string{"delete", "update", "insert"}[how]
	if s == nil {
		s = &sight{table: relational.Table{TableName: relational.TableName{Name: d.TableName}}}
		w.seen[d.TableName] = s
	}
	if !s.known { // one of Tenure's own, or of SQLite's
		if d.Depth() > 0 {
			s.fouls[how]++
		}
		return
	}
	if how == wasDeleted {
		s.deleted++
	}
	if own && s.upto == 0 && len(s.entries) == 0 {
		return
	}
	before, after := s.read(d, own)
	s.stands(how, d.OldRowID, before)
	s.stands(how, d.NewRowID, after)
	for _, l := range s.parts {
		if how == wasDeleted {
			l.went(before)
		}
	}
	if !own && (how != wasChanged || !s.lost(before, after)) {
		w.judge(s, how, s.address(d.OldRowID, before), s.address(d.NewRowID, after))
	}
}

func done(op int32) int {
	switch op {
	case sqlite3.SQLITE_DELETE:
		return wasDeleted
	case sqlite3.SQLITE_UPDATE:
		return wasChanged
	}
	return wasAdded
}

// judge takes in a row that something else than the erasure itself deleted, changed
// or added; where it may be a row of the class's, or a copy of one, that is looked
// into later. No reference is an address, so one that changes is never let.
func (w *watch) judge(s *sight, how int, from, to string) {
	switch {
	case s.let, s.going && w.e.whole && !w.e.Needs(s.table.TableName), how == wasAdded && s.covered && w.e.whole:
	case how == wasAdded && s.covered && to != "":
		s.added[to] = true
	case how != wasAdded && s.going && from != "" && (how == wasDeleted || from == to):
		w.doubt(s.table.Name, from)
	default:
		s.fouls[how]++
	}
}

// doubt notes a row that is to be looked at before the batch is done again.
func (w *watch) doubt(table, address string) {
	if w.cleared[table] == nil {
		w.cleared[table] = map[string]bool{}
	}
	if !w.cleared[table][address] {
		w.cleared[table][address], w.doubted = true, true
	}
}
