package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// catalog is what a file's schema says.
type catalog struct {
	graph     *relational.Graph
	mixed     []relational.ForeignKey // whose two sides are compared by different collations
	broken    []relational.ForeignKey // whose parent's columns are no key, so that SQLite deletes nothing from it
	indexes   map[string][]index      // by table
	virtuals  []virtual
	shadows   []string // tables in which virtual ones keep what they hold
	fulltexts []fulltext
	triggers  []trigger
	conflicts map[string][]conflict // by table
}

func readCatalog(ctx context.Context, q relational.Querier) (c catalog, err error) {
	if c.virtuals, err = virtuals(ctx, q); err != nil {
		return c, err
	}
	if c.shadows, err = shadows(ctx, q, c.virtuals); err != nil {
		return c, err
	}
	if c.fulltexts, err = fulltexts(ctx, q, c.virtuals); err != nil {
		return c, err
	}
	if c.triggers, err = triggers(ctx, q); err != nil {
		return c, err
	}
	skip := append(c.apart(), c.shadows...)
	texts, err := readTexts(ctx, q, skip)
	if err != nil {
		return c, err
	}
	tables, err := readTables(ctx, q, texts, skip)
	if err != nil {
		return c, err
	}
	collations := map[string]map[string]string{}
	c.conflicts = map[string][]conflict{}
	for name, all := range texts {
		collations[name], c.conflicts[name] = collationsOf(all), conflictsOf(all)
	}
	for i := range tables {
		tables[i].Code = slices.ContainsFunc(c.triggers, func(g trigger) bool { return g.event != "insert" && strings.EqualFold(g.table, tables[i].Name) })
	}
	if c.indexes, err = readIndexes(ctx, q, skip); err != nil {
		return c, err
	}
	keys, broken, err := readKeys(ctx, q, skip, tables, c.indexes)
	if err != nil {
		return c, err
	}
	c.graph, c.broken = relational.NewGraph(tables, keys).Fold(), broken
	for _, k := range keys {
		for i := range k.Columns {
			if collations[k.Child.Name][strings.ToLower(k.Columns[i])] != collations[k.Parent.Name][strings.ToLower(k.Parents[i])] {
				c.mixed = append(c.mixed, k)
				break
			}
		}
	}
	return c, nil
}

// apart are the virtual tables whose rows stand elsewhere or can't be read.
func (c catalog) apart() []string {
	var out []string
	for _, v := range c.virtuals {
		if v.unreadable != "" {
			out = append(out, v.name)
		}
	}
	for _, f := range c.fulltexts {
		if !f.keeps() {
			out = append(out, f.name)
		}
	}
	return out
}

// has says whether there is a table of that name.
func (c catalog) has(name string) bool {
	_, ok := c.graph.Find("", name)
	return ok
}

// told says whether a trigger takes rows out of an index when rows of the table go.
func (c catalog) told(index, table string) bool {
	return slices.ContainsFunc(c.triggers, func(g trigger) bool {
		return g.event == "delete" && strings.EqualFold(g.table, table) && slices.ContainsFunc(g.writes, func(w write) bool {
			return w.removes && strings.EqualFold(w.table, index)
		})
	})
}

// steady says whether a trigger takes the row out of an index at each such event
// of the table, whatever the row.
func (c catalog) steady(index, table, event string) bool {
	return slices.ContainsFunc(c.triggers, func(g trigger) bool {
		return g.always && len(g.columns) == 0 && g.event == event && strings.EqualFold(g.table, table) && slices.ContainsFunc(g.writes, func(w write) bool {
			return w.all && (w.removes || event == "update") && strings.EqualFold(w.table, index)
		})
	})
}

// fragile says that an index forgets just the words that it is told of.
func (c catalog) fragile(index string) bool {
	return slices.ContainsFunc(c.fulltexts, func(f fulltext) bool { return f.name == index && f.bare && !f.removes })
}

// writers are the tables whose triggers write to an index, each once.
func (c catalog) writers(index string) []string {
	var out []string
	for _, g := range c.triggers {
		if slices.ContainsFunc(g.writes, func(w write) bool { return strings.EqualFold(w.table, index) }) && !slices.Contains(out, g.table) {
			out = append(out, g.table)
		}
	}
	return out
}

// virtual is the named virtual table, nil if there is none.
func (c catalog) virtual(name string) *virtual {
	for i := range c.virtuals {
		if strings.EqualFold(c.virtuals[i].name, name) {
			return &c.virtuals[i]
		}
	}
	return nil
}

// readTexts reads the statements that made the tables, save SQLite's and Tenure's own
// and those to skip. No pragma lists tables without having SQLite work out every view
// of the file, which a few views can make endless.
func readTexts(ctx context.Context, q relational.Querier, skip []string) (map[string][]word, error) {
	out := map[string][]word{}
	var name, text string
	err := each(ctx, q, "select t.name, coalesce(t.sql, '') from sqlite_schema t where t.type = 'table' and not "+ownSQL, func() error {
		out[name] = words(text)
		return nil
	}, &name, &text)
	for _, name := range skip {
		delete(out, name)
	}
	return out, err
}

// readTables reads the columns of tables whose statements are given.
func readTables(ctx context.Context, q relational.Querier, texts map[string][]word, skip []string) ([]relational.Table, error) {
	var out []relational.Table
	var keys map[int]string
	var told map[string]bool
	var strict bool
	var name, column, declared string
	var notNull bool
	var pk, hidden int
	err := each(ctx, q, listed(skip)+`
 select l.name, x.name, x.type, x.pk, x."notnull", x.hidden from l, pragma_table_xinfo(l.name) x where x.hidden <> 1 order by l.name, x.cid`, func() error {
		if len(out) == 0 || out[len(out)-1].Name != name {
			var rowid bool
			rowid, strict = endsOf(texts[name])
			out = append(out, relational.Table{TableName: relational.TableName{Name: name}, RowID: rowid})
			keys, told = map[int]string{}, checkedOf(texts[name])
		}
		t := &out[len(out)-1]
		if strict && strings.EqualFold(declared, "any") {
			declared = "" // which has no affinity, while elsewhere the word means a number's
		}
		t.Columns = append(t.Columns, relational.Column{Name: column, Type: declared, Required: notNull || pk > 0 && !t.RowID, Generated: hidden > 1, Computed: hidden > 1})
		if pk > 0 {
			keys[pk] = column
			t.Key = make([]string, 0, len(keys))
			for n := 1; n <= len(keys); n++ {
				t.Key = append(t.Key, keys[n])
			}
		}
		if told[strings.ToLower(column)] {
			t.Checks = append(t.Checks, []string{column})
		}
		return nil
	}, &name, &column, &declared, &pk, &notNull, &hidden)
	return out, err
}

// listed begins a query with the names of the tables as l, save those to skip: a list
// apart, since one that can't be read must not be asked.
func listed(skip []string) string {
	names := make([]string, len(skip))
	for i, name := range skip {
		names[i] = literal(name)
	}
	return "with l as materialized (select t.name from sqlite_schema t where t.type = 'table' and not " + ownSQL + " and t.name not in (" + strings.Join(names, ", ") + "))"
}

// endsOf reads what follows a table's columns: whether its rows have a rowid, and
// whether it is strict.
func endsOf(all []word) (rowid, strict bool) {
	rowid = true
	for i := len(all) - 1; i >= 0 && !all[i].is(")"); i-- {
		rowid = rowid && !all[i].is("without")
		strict = strict || all[i].is("strict")
	}
	return rowid, strict
}

// collationsOf reads the collations that a table's statement gives its columns,
// which no pragma shows: by the column's name in lower case, itself in lower case.
func collationsOf(all []word) map[string]string {
	out := map[string]string{}
	depth, column := 0, ""
	for i, w := range all {
		switch {
		case w.is("("):
			depth++
		case w.is(")"):
			depth--
		case depth == 1 && i > 0 && all[i-1].is("(", ","):
			column = strings.ToLower(w.text)
		case depth == 1 && i > 0 && all[i-1].is("collate") && !w.is("binary"):
			out[column] = strings.ToLower(w.text)
		}
	}
	return out
}

// checkedOf are the columns, in lower case, that a check of a table's statement may
// speak of. What such a check lets pass isn't worked out: it may be a tenant's own text.
func checkedOf(all []word) map[string]bool {
	out := map[string]bool{}
	depth := 0
	for i, w := range all {
		switch {
		case depth == 0 && w.is("(") && i > 0 && all[i-1].is("check"), depth > 0 && w.is("("):
			depth++
		case depth > 0 && w.is(")"):
			depth--
		case depth > 0:
			out[strings.ToLower(w.text)] = true
		}
	}
	return out
}
