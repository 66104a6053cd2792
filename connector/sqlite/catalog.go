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
	fulltexts []fulltext
	triggers  []trigger
	conflicts map[string][]conflict // by table
}

func readCatalog(ctx context.Context, q relational.Querier) (c catalog, err error) {
	if c.virtuals, err = virtuals(ctx, q); err != nil {
		return c, err
	}
	if c.fulltexts, err = fulltexts(ctx, q, c.virtuals); err != nil {
		return c, err
	}
	if c.triggers, err = triggers(ctx, q); err != nil {
		return c, err
	}
	tables, texts, err := readTables(ctx, q, c.apart())
	if err != nil {
		return c, err
	}
	collations := map[string]map[string]string{}
	c.conflicts = map[string][]conflict{}
	for name, text := range texts {
		collations[name], c.conflicts[name] = collationsOf(text), conflictsOf(text)
	}
	for i := range tables {
		tables[i].Code = slices.ContainsFunc(c.triggers, func(g trigger) bool { return g.event != "insert" && strings.EqualFold(g.table, tables[i].Name) })
	}
	if c.indexes, err = readIndexes(ctx, q); err != nil {
		return c, err
	}
	keys, broken, err := readKeys(ctx, q, tables, c.indexes)
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

// readTables reads the tables, and by table the statement that made it.
func readTables(ctx context.Context, q relational.Querier, apart []string) ([]relational.Table, map[string]string, error) {
	texts := map[string]string{}
	skip := make([]string, len(apart))
	for i, name := range apart {
		skip[i] = literal(name)
	}
	var out []relational.Table
	keys := map[string]map[int]string{}
	var name, column, declared, text string
	var wr, strict, notNull bool
	var pk, hidden int
	// A list apart, since a virtual table that can't be read must not be asked.
	err := each(ctx, q, `with l as materialized (select t.name, t.wr, t.strict, coalesce(s.sql, '') as sql from pragma_table_list t left join sqlite_schema s on s.type = 'table' and s.name = t.name
 where t.schema = 'main' and t.type in ('table', 'virtual') and not `+ownSQL+` and t.name not in (`+strings.Join(skip, ", ")+`))
 select l.name, l.wr, l.strict, l.sql, x.name, x.type, x.pk, x."notnull", x.hidden from l, pragma_table_xinfo(l.name) x where x.hidden <> 1 order by l.name, x.cid`, func() error {
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, relational.Table{TableName: relational.TableName{Name: name}, RowID: !wr})
			keys[name] = map[int]string{}
			texts[name] = text
		}
		t := &out[len(out)-1]
		if strict && strings.EqualFold(declared, "any") {
			declared = "" // which has no affinity, while elsewhere the word means a number's
		}
		t.Columns = append(t.Columns, relational.Column{Name: column, Type: declared, Required: notNull || pk > 0 && wr, Generated: hidden > 1, Computed: hidden > 1})
		if pk > 0 {
			keys[name][pk] = column
		}
		if checked(text, column) {
			t.Checks = append(t.Checks, []string{column})
		}
		return nil
	}, &name, &wr, &strict, &text, &column, &declared, &pk, &notNull, &hidden)
	for i := range out {
		for n := 1; n <= len(keys[out[i].Name]); n++ {
			out[i].Key = append(out[i].Key, keys[out[i].Name][n])
		}
	}
	return out, texts, err
}

// collationsOf reads the collations that a table's statement gives its columns,
// which no pragma shows: by the column's name in lower case, itself in lower case.
func collationsOf(text string) map[string]string {
	out := map[string]string{}
	if !strings.Contains(strings.ToLower(text), "collate") {
		return out
	}
	depth, column := 0, ""
	all := words(text)
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

// checked says whether a check of a table's statement speaks of the column. What
// such a check lets pass isn't worked out: it may be a tenant's own text.
func checked(text, column string) bool {
	if !strings.Contains(strings.ToLower(text), "check") {
		return false
	}
	depth := 0
	all := words(text)
	for i, w := range all {
		switch {
		case depth == 0 && w.is("(") && i > 0 && all[i-1].is("check"), depth > 0 && w.is("("):
			depth++
		case depth > 0 && w.is(")"):
			depth--
		case depth > 0 && strings.EqualFold(w.text, column):
			return true
		}
	}
	return false
}
