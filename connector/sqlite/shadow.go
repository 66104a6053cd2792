package sqlite

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// indexed is what was seen of an index.
type indexed struct {
	name  string
	wrong string                          // why it can't be told what stands in it for a row; no change of it is right then
	at    int                             // where a part has what its rows are known by; -1 if that is their number
	anew  bool                            // it is built anew from a table at the end
	keys  map[int64]string                // what rows are known by
	stand [3]map[string]bool              // what rows that were deleted, changed or added are known by
	net   map[string]map[int64]*[2]uint64 // what a part held of a row first and last; 0 for nothing
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
		x = &indexed{name: v.name, net: map[string]map[int64]*[2]uint64{}, keys: map[int64]string{}, stand: [3]map[string]bool{{}, {}, {}}}
		w.indexes[v.name] = x
	}
	part := slices.Contains([]string{"content", "docsize"}, name[at+1:]) || name[at+1:] == "rowid" && !strings.HasPrefix(v.module, "fts")
	w.seen[name] = &sight{index: x, part: part && !w.e.whole}
}

// entries finds which rows of tables stand in which indexes, and by what the indexes
// know them.
func (w *watch) entries() {
	for _, v := range w.e.c.virtuals {
		x := w.indexes[v.name]
		if x == nil {
			continue
		}
		var by map[string]string
		if by, x.wrong = w.e.c.unsure(v); x.wrong != "" {
			continue
		}
		x.anew = slices.ContainsFunc(w.e.c.fulltexts, func(f fulltext) bool { return f.name == v.name && f.content != "" })
		if x.at = -1; w.e.c.finding(v) != "rowid" {
			x.at = 1 + slices.IndexFunc(w.e.c.columnsOf(v), func(c string) bool { return strings.EqualFold(c, w.e.c.finding(v)) })
		}
		for table, id := range by {
			n, _ := w.e.Graph.Find("", table)
			s := w.seen[n.Name]
			if s == nil {
				continue
			}
			at := -1
			if id != "rowid" {
				at = places(s.table, []string{id})[0]
			}
			s.entries, s.upto = append(s.entries, entry{x, at}), max(s.upto, at+1)
		}
	}
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
	id, before := d.OldRowID, uint64(0)
	if d.Op == sqlite3.SQLITE_INSERT {
		id = d.NewRowID
	} else {
		before = w.held(s.index, d, id, d.Old)
	}
	if net[id] == nil {
		net[id] = &[2]uint64{before, before}
	}
	if net[id][1] = 0; d.Op != sqlite3.SQLITE_DELETE {
		net[id][1] = w.held(s.index, d, id, d.New)
	}
}

// held sums up a row of a part, and notes what its index knows it by.
func (w *watch) held(x *indexed, d sqlite.SQLitePreUpdateData, id int64, get func(...any) error) uint64 {
	row := make([]any, d.Count())
	if get(row...) != nil {
		return 1
	}
	if strings.HasSuffix(d.TableName, "_content") && x.at >= 0 && x.at < len(row) {
		x.keys[id] = plainText(row[x.at])
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

// told is Blocked if an index lost what stands for no row that went, or may have
// kept what stands for one.
func (w *watch) told(x *indexed) error {
	if w.e.whole || w.lent(x.name) {
		return nil
	}
	if n := x.strays(); n > 0 {
		return tenure.Errorf(tenure.Blocked, "the erasure would also change %s of %s that stand for no row which goes: %s", relational.Plural(n, "row"), x.name, w.causes(x.name)).
			WithHint("change it so that it takes out of %s what stands for the row that goes, and nothing else; nothing was erased in this batch", x.name)
	}
	for _, t := range w.e.sources(x.name) {
		if s := w.seen[t]; x.wrong != "" && s != nil && s.deleted > 0 {
			return tenure.Errorf(tenure.Blocked, "what stands in %s for rows of %s that go can't be told: %s", x.name, t, x.wrong).
				WithHint("mend the triggers, and build the index anew; nothing was erased in this batch")
		}
	}
	return nil
}

// sources are the tables of the tenant's whose triggers write to an index, or whose
// texts it shows.
func (e *estate) sources(index string) []string {
	names := e.c.writers(index)
	for _, f := range e.c.fulltexts {
		if strings.EqualFold(f.name, index) {
			names = append(names, f.content)
		}
	}
	var out []string
	for _, name := range names {
		if t, held := e.table(name); held {
			out = append(out, t.Table.Name)
		}
	}
	return out
}

// strays counts the rows of an index that changed and stand for no row that did.
func (x *indexed) strays() (n int64) {
	stray := map[int64]bool{}
	for _, part := range x.net {
		for id, held := range part {
			known := strconv.FormatInt(id, 10)
			if x.at >= 0 {
				known = x.keys[id]
			}
			switch {
			case held[0] == held[1],
				x.stand[wasDeleted][known] && held[1] == 0,
				x.stand[wasAdded][known] && held[0] == 0,
				x.stand[wasChanged][known] && held[1] != 0:
			default:
				stray[id] = true
			}
		}
	}
	return int64(len(stray))
}

// lent says that the blueprint answers for what happens to an index: it calls it
// shared, or lets a trigger write to it and nothing of the tenant's stands there.
func (w *watch) lent(name string) bool {
	if w.e.shared(name) {
		return true
	}
	_, held := w.e.table(name)
	return !held && len(w.e.sources(name)) == 0 && slices.ContainsFunc(w.e.c.triggers, func(g trigger) bool {
		return w.e.excused(g) && slices.ContainsFunc(g.writes, func(o write) bool { return strings.EqualFold(o.table, name) })
	})
}
