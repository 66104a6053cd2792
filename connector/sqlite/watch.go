package sqlite

import (
	"context"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"strconv"
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
	cleared map[string]map[string]bool // addresses, by table, of rows that are the tenant's
	verb    string                     // of the erasure's own statement under way
	target  string                     // the rest of it
	seed    maphash.Seed
}

// sight is what was seen of the rows of one table.
type sight struct {
	table   relational.Table
	known   bool // it is a table of the platform's or the tenant's
	covered bool // by a data class
	going   bool // by one of this batch
	let     bool // the blueprint lets a trigger write there
	index   *indexed
	part    bool // of an index: it has a row for each of the index's

	upto    int // how many columns of a row that the erasure itself changes are read
	loses   []*lost
	parts   []*lost
	entries []entry

	deleted int64
	doubts  map[string]bool // addresses of rows that something else than the erasure deleted or changed
	added   map[string]bool
	fouls   [3]int64
}

// lost is a reference that a constraint takes from rows when what they refer to goes.
type lost struct {
	relational.ForeignKey
	columns, parents []int           // where they stand
	blind            bool            // the driver can't read them
	gone             map[string]bool // the values of rows that went; nil if they can't be read
}

// entry says which column of a table numbers the rows of an index; -1 is the rowid.
type entry struct {
	index  *indexed
	column int
}

// indexed is what was seen of an index.
type indexed struct {
	name  string
	wrong string                          // why it can't be told what stands in it for a row; no change of it is right then
	stand [3]map[int64]bool               // rows that were deleted, changed or added
	net   map[string]map[int64]*[2]uint64 // what a part held of a row first and last; 0 for nothing
}

const (
	wasDeleted = iota
	wasChanged
	wasAdded
)

// look makes a watch of the erasure of a class.
func look(ctx context.Context, s *session, e *estate, class string) (*watch, error) {
	w := &watch{session: s, e: e, class: class, seen: map[string]*sight{}, indexes: map[string]*indexed{}, cleared: map[string]map[string]bool{}, seed: maphash.MakeSeed()}
	for _, t := range e.Graph.Tables() {
		c := e.class(t.Name)
		w.seen[t.Name] = &sight{table: t, known: true, covered: c != "", going: c != "" && (class == "" || c == class), let: c == "" && e.lent(t)}
	}
	for _, k := range e.Graph.Keys() {
		if _, held := e.Table(k.Parent); held && (k.OnDelete == relational.SetNull || k.OnDelete == relational.SetDefault) {
			l := &lost{ForeignKey: k, columns: places(w.seen[k.Child.Name].table, k.Columns), parents: places(w.seen[k.Parent.Name].table, k.Parents)}
			parent := w.seen[k.Parent.Name]
			for _, i := range l.parents {
				l.blind = l.blind || i < 0 || parent.table.Columns[i].Generated
				parent.upto = max(parent.upto, i+1)
			}
			parent.parts = append(parent.parts, l)
			w.seen[k.Child.Name].loses = append(w.seen[k.Child.Name].loses, l)
		}
	}
	var shadow string
	err := s.each(ctx, "select name from pragma_table_list where schema = 'main' and type = 'shadow'", func() error {
		w.shadow(shadow)
		return nil
	}, &shadow)
	if err != nil {
		return nil, err
	}
	w.entries()
	w.fresh()
	return w, nil
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

// shadow takes in a table in which a virtual one keeps what it holds. Only those
// with a row for each of its rows tell anything.
func (w *watch) shadow(name string) {
	at := strings.LastIndexByte(name, '_')
	v := w.e.c.virtual(name[:max(at, 0)])
	if v == nil {
		return
	}
	x := w.indexes[v.name]
	if x == nil {
		x = &indexed{name: v.name}
		w.indexes[v.name] = x
	}
	part := slices.Contains([]string{"content", "docsize"}, name[at+1:]) || name[at+1:] == "rowid" && !strings.HasPrefix(v.module, "fts")
	w.seen[name] = &sight{index: x, part: part && !w.e.whole}
}

// entries finds which rows of tables stand in which indexes, under which number.
func (w *watch) entries() {
	add := func(v virtual, table, column string) {
		n, _ := w.e.Graph.Find("", table)
		s, x, id := w.seen[n.Name], w.indexes[v.name], w.e.c.naming(table, column, true)
		if s == nil || x == nil || id == "" {
			return
		}
		at := -1
		if id != "rowid" {
			at = places(s.table, []string{id})[0]
		}
		if en := (entry{x, at}); !slices.Contains(s.entries, en) {
			s.entries, s.upto = append(s.entries, en), max(s.upto, at+1)
		}
	}
	for _, v := range w.e.c.virtuals {
		x := w.indexes[v.name]
		if x == nil {
			continue
		}
		if x.wrong = w.e.c.unsure(v); x.wrong != "" {
			continue
		}
		for _, g := range w.e.c.triggers {
			for _, o := range g.writes {
				if strings.EqualFold(o.table, v.name) {
					add(v, g.table, o.addresses(v, "old"))
					add(v, g.table, o.addresses(v, "new"))
				}
			}
		}
	}
	for _, f := range w.e.c.fulltexts {
		if x := w.indexes[f.name]; f.content != "" && x != nil && x.wrong == "" {
			add(f.virtual, f.content, f.rowid)
		}
	}
}

// fresh forgets what was seen.
func (w *watch) fresh() {
	for _, s := range w.seen {
		s.deleted, s.doubts, s.added, s.fouls = 0, map[string]bool{}, map[string]bool{}, [3]int64{}
		for _, l := range s.loses {
			if l.gone = nil; !l.blind {
				l.gone = map[string]bool{}
			}
		}
	}
	for _, x := range w.indexes {
		x.net = map[string]map[int64]*[2]uint64{}
		for i := range x.stand {
			x.stand[i] = map[int64]bool{}
		}
	}
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
	if s == nil { // one of Tenure's own, or of SQLite's
		if s = (&sight{table: relational.Table{TableName: relational.TableName{Name: d.TableName}}}); !own {
			s.fouls[how]++
			w.seen[d.TableName] = s
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
	if !own {
		w.judge(s, how, s.address(d.OldRowID, before), s.address(d.NewRowID, after), s.lost(before, after))
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

// read gives the row's values before and after. The driver can't read a first
// column that is virtual, and then nothing is read; of other generated columns it
// may give what isn't so, and nobody looks at those.
func (s *sight) read(d sqlite.SQLitePreUpdateData, own bool) (before, after []any) {
	n := len(s.table.Columns)
	if n == 0 || s.table.Columns[0].Generated {
		return nil, nil
	}
	if own {
		n = s.upto
	}
	if before = make([]any, n); d.Op == sqlite3.SQLITE_INSERT || d.Old(before...) != nil {
		before = nil
	}
	if after = make([]any, n); d.Op == sqlite3.SQLITE_DELETE || d.New(after...) != nil {
		after = nil
	}
	return before, after
}

// judge takes in a row that something else than the erasure itself deleted, changed
// or added; where it may be a row of the class's, or a copy of one, that is looked
// into later. No reference is an address, so one that changes is never let.
func (w *watch) judge(s *sight, how int, from, to string, lost bool) {
	switch {
	case s.let, how == wasChanged && lost, s.going && w.e.whole, how == wasAdded && s.covered && w.e.whole:
	case how == wasAdded && s.covered && to != "":
		s.added[to] = true
	case how != wasAdded && s.going && from != "" && (how == wasDeleted || from == to):
		if !w.cleared[s.table.Name][from] {
			s.doubts[from] = true
		}
	default:
		s.fouls[how]++
	}
}

// stands notes which rows of indexes stand for a row.
func (s *sight) stands(how int, rowid int64, values []any) {
	for _, en := range s.entries {
		id := rowid
		if en.column >= 0 {
			if values == nil { // there is no such row, or it can't be read
				continue
			}
			n, is := values[en.column].(int64)
			if !is {
				continue
			}
			id = n
		}
		en.index.stand[how][id] = true
	}
}

// address is a row's, as the dialect gives it; "" if it can't be told.
func (s *sight) address(id int64, values []any) string {
	if rowid(s.table) != "" {
		return strconv.FormatInt(id, 10)
	}
	if values == nil {
		return ""
	}
	columns, _ := telling(s.table)
	out := make([]string, len(columns))
	for i, at := range places(s.table, columns) {
		out[i] = written(values[at])
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// written is a value as SQL writes it.
func written(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return "cast(x'" + hex.EncodeToString([]byte(v)) + "' as text)"
	case []byte:
		return "x'" + hex.EncodeToString(v) + "'"
	}
	return "null"
}

// lost says that a row changed in nothing but a reference to a row that went.
func (s *sight) lost(before, after []any) bool {
	if before == nil || after == nil {
		return false
	}
	var changed []int
	for i, c := range s.table.Columns {
		if !c.Generated && written(before[i]) != written(after[i]) {
			changed = append(changed, i)
		}
	}
	if len(changed) == 0 {
		return true
	}
	return slices.ContainsFunc(s.loses, func(l *lost) bool {
		for _, i := range changed {
			if !slices.Contains(l.columns, i) || l.OnDelete == relational.SetNull && after[i] != nil {
				return false
			}
		}
		return l.gone == nil || l.gone[loose(before, l.columns)]
	})
}

// went notes what rows refer to a row by that goes.
func (l *lost) went(before []any) {
	if before == nil {
		l.gone = nil
	}
	if l.gone != nil {
		l.gone[loose(before, l.parents)] = true
	}
}

// loose are values as what may refer to them has them: without regard to their
// type, to case and to blanks.
func loose(values []any, at []int) string {
	var out strings.Builder
	for _, i := range at {
		if i < 0 {
			continue
		}
		text := ""
		switch v := values[i].(type) {
		case string:
			text = v
		case []byte:
			text = string(v)
		case int64:
			text = strconv.FormatInt(v, 10)
		case float64:
			text = strconv.FormatFloat(v, 'g', -1, 64)
		}
		if f, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
			text = strconv.FormatFloat(f, 'g', -1, 64)
		}
		out.WriteString(strings.ToLower(strings.TrimRight(text, " ")) + "\x00")
	}
	return out.String()
}

// part takes in a change of what an index holds. It is judged at the batch's end: an
// index runs statements of its own, so nothing tells who caused them.
func (w *watch) part(s *sight, d sqlite.SQLitePreUpdateData) {
	if !s.part || strings.HasPrefix(w.target, "from "+quote(s.index.name)+" ") {
		return
	}
	net := s.index.net[d.TableName]
	if net == nil {
		net = map[int64]*[2]uint64{}
		s.index.net[d.TableName] = net
	}
	values := func(get func(...any) error) uint64 {
		row := make([]any, d.Count())
		if get(row...) != nil {
			return 1
		}
		var h maphash.Hash
		h.SetSeed(w.seed)
		for i, v := range row {
			if strings.HasSuffix(d.TableName, "_rowid") && i == 1 {
				continue // the page of an R-Tree, which moves with other rows
			}
			_, _ = h.WriteString(written(v) + ",")
		}
		return max(h.Sum64(), 1)
	}
	id, before := d.OldRowID, uint64(0)
	if d.Op == sqlite3.SQLITE_INSERT {
		id = d.NewRowID
	} else {
		before = values(d.Old)
	}
	if net[id] == nil {
		net[id] = &[2]uint64{before, before}
	}
	if net[id][1] = 0; d.Op != sqlite3.SQLITE_DELETE {
		net[id][1] = values(d.New)
	}
}
