package relational

import (
	"cmp"
	"slices"
	"strings"
)

// TableName names a table. Databases without schemas leave Schema blank.
type TableName struct{ Schema, Name string }

func (t TableName) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// Compare orders names by their bytes.
func (t TableName) Compare(o TableName) int {
	return cmp.Or(strings.Compare(t.Schema, o.Schema), strings.Compare(t.Name, o.Name))
}

// Table is one table as the catalog shows it.
type Table struct {
	TableName
	Columns []string
	Key     []string // primary key; none if the table has none
	Parts   bool     // its rows lie in partitions or heirs, so a row's address needs its table
	RowID   bool     // SQLite: rows have a rowid
}

// Has says whether the table has the column.
func (t Table) Has(column string) bool { return slices.Contains(t.Columns, column) }

// OnDelete is what a foreign key does to the child when the parent goes.
type OnDelete byte

const (
	NoAction OnDelete = iota
	Cascade
	SetNull // or its default
)

// ForeignKey is a reference of Child's columns to Parent's.
type ForeignKey struct {
	Name          string
	Child, Parent TableName
	Columns       []string
	Parents       []string // the parent's columns, in the same order
	OnDelete      OnDelete
	Nullable      bool // one of the columns may be null
	Deferrable    bool
}

func (f ForeignKey) self() bool { return f.Child == f.Parent }

// Graph is a database's tables and foreign keys.
type Graph struct {
	tables map[TableName]Table
	keys   []ForeignKey
	below  map[TableName][]ForeignKey // by parent
	above  map[TableName][]ForeignKey // by child
}

// NewGraph makes a graph; its answers don't depend on the order of the input.
func NewGraph(tables []Table, keys []ForeignKey) *Graph {
	g := &Graph{
		tables: make(map[TableName]Table, len(tables)),
		keys:   slices.Clone(keys),
		below:  map[TableName][]ForeignKey{},
		above:  map[TableName][]ForeignKey{},
	}
	for _, t := range tables {
		g.tables[t.TableName] = t
	}
	slices.SortFunc(g.keys, func(a, b ForeignKey) int {
		return cmp.Or(a.Child.Compare(b.Child), a.Parent.Compare(b.Parent), strings.Compare(a.Name, b.Name))
	})
	for _, k := range g.keys {
		g.below[k.Parent] = append(g.below[k.Parent], k)
		g.above[k.Child] = append(g.above[k.Child], k)
	}
	return g
}

// Table returns a table.
func (g *Graph) Table(n TableName) (Table, bool) {
	t, ok := g.tables[n]
	return t, ok
}

// Tables returns every table, ordered by name.
func (g *Graph) Tables() []Table {
	out := make([]Table, 0, len(g.tables))
	for _, t := range g.tables {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Table) int { return a.Compare(b.TableName) })
	return out
}
