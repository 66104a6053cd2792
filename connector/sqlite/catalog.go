package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// catalog is what a file's schema says.
type catalog struct {
	tables    []table
	graph     *relational.Graph
	virtuals  []virtual
	fulltexts []fulltext
	triggers  []trigger
}

// table is one that holds rows of its own.
type table struct {
	relational.Table
	required   []string          // columns that can't be null
	affinities map[string]string // by column
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
	if c.tables, err = readTables(ctx, q, c.without()); err != nil {
		return c, err
	}
	keys, err := readKeys(ctx, q, c.tables)
	if err != nil {
		return c, err
	}
	list := make([]relational.Table, len(c.tables))
	for i, t := range c.tables {
		list[i] = t.Table
	}
	c.graph = relational.NewGraph(list, keys)
	return c, nil
}

// without are the virtual tables whose rows stand elsewhere or can't be read.
func (c catalog) without() []string {
	out := []string{""}
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

// table is the named table, nil if there is none.
func (c catalog) table(name string) *table { return named(c.tables, name) }

// told says whether a trigger takes rows out of an index when rows of the table go.
func (c catalog) told(index, table string) bool {
	return slices.ContainsFunc(c.triggers, func(g trigger) bool {
		return g.event == "delete" && strings.EqualFold(g.table, table) && slices.ContainsFunc(g.writes, func(w write) bool {
			return w.removes && strings.EqualFold(w.table, index)
		})
	})
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

// spelled is a table's name as the schema has it.
func (c catalog) spelled(name string) string {
	if t := c.table(name); t != nil {
		return t.Name
	}
	if v := c.index(name); v != nil {
		return v.name
	}
	return name
}

// index is the named virtual table, nil if there is none.
func (c catalog) index(name string) *virtual {
	for i := range c.virtuals {
		if strings.EqualFold(c.virtuals[i].name, name) {
			return &c.virtuals[i]
		}
	}
	return nil
}

func readTables(ctx context.Context, q relational.Querier, without []string) ([]table, error) {
	skip := make([]string, len(without))
	for i, name := range without {
		skip[i] = literal(name)
	}
	var out []table
	keys := map[string]map[int]string{}
	var name, column, declared string
	var wr, strict, notNull bool
	var pk int
	// A list apart, since a virtual table that can't be read must not be asked.
	err := each(ctx, q, `with l as materialized (select t.name, t.wr, t.strict from pragma_table_list t where t.schema = 'main' and t.type in ('table', 'virtual') and not `+ownSQL+`
 and t.name not in (`+strings.Join(skip, ", ")+`)) select l.name, l.wr, l.strict, x.name, x.type, x.pk, x."notnull" from l, pragma_table_xinfo(l.name) x where x.hidden <> 1 order by l.name, x.cid`, func() error {
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, table{Table: relational.Table{TableName: relational.TableName{Name: name}, RowID: !wr}, affinities: map[string]string{}})
			keys[name] = map[int]string{}
		}
		t := &out[len(out)-1]
		t.Columns = append(t.Columns, column)
		t.affinities[column] = affinity(declared, strict)
		if pk > 0 {
			keys[name][pk] = column
		}
		if notNull || pk > 0 && wr {
			t.required = append(t.required, column)
		}
		return nil
	}, &name, &wr, &strict, &column, &declared, &pk, &notNull)
	for i := range out {
		for n := 1; n <= len(keys[out[i].Name]); n++ {
			out[i].Key = append(out[i].Key, keys[out[i].Name][n])
		}
	}
	return out, err
}
