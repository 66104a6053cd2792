package relational

import (
	"cmp"
	"maps"
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

// Column is one column as the catalog shows it.
type Column struct {
	Name      string
	Type      string // as the database writes it
	Required  bool   // it can't be null
	Generated bool   // it can't be set
	Computed  bool   // it is generated from other columns of the row
	Equal     string // the operator by which its values are equal, = if blank
	Locator   bool   // PostgreSQL: its values name large objects
	List      bool   // its values are lists of such
	Unhashed  bool   // a recursive query can't tell its values apart
}

// Table is one table as the catalog shows it. Its partitions and heirs stand
// under it.
type Table struct {
	TableName
	Columns []Column
	Key     []string   // primary key; none if the table has none
	Checks  [][]string // columns that a check doesn't let be null together
	Parts   bool       // its rows lie in partitions or heirs, so a row's address needs its table
	RowID   bool       // SQLite: rows have a rowid
	Code    bool       // triggers or rules that people made run when its rows change or go
	Hidden  bool       // rights or row security may hide rows from this connection
	Alien   bool       // it belongs to a tenant's role: code of that tenant runs when it is read
}

// Column returns a column.
func (t Table) Column(name string) (Column, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Column{}, false
	}
	return t.Columns[i], true
}

// Has says whether the table has the column.
func (t Table) Has(column string) bool {
	_, ok := t.Column(column)
	return ok
}

// equal are the operators by which the columns' values are equal, = if blank.
func (t Table) equal(columns []string) []string {
	out := make([]string, len(columns))
	for i, name := range columns {
		c, _ := t.Column(name)
		out[i] = c.Equal
	}
	return out
}

// unhashed is the first of the columns that recursive queries can't have; "" if none is.
func (t Table) unhashed(columns []string) string {
	i := slices.IndexFunc(columns, func(name string) bool { c, _ := t.Column(name); return c.Unhashed })
	if i < 0 {
		return ""
	}
	return columns[i]
}

// Names are the columns' names.
func (t Table) Names() []string {
	out := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = c.Name
	}
	return out
}

// OnDelete is what a foreign key does to the child when the parent goes.
type OnDelete string

const (
	NoAction   OnDelete = "no action"
	Restrict   OnDelete = "restrict"
	Cascade    OnDelete = "cascade"
	SetNull    OnDelete = "set null"
	SetDefault OnDelete = "set default"
)

// lets says that the child's row stays and its reference goes.
func (o OnDelete) lets() bool { return o == SetNull || o == SetDefault }

// ForeignKey is a reference of Child's columns to Parent's.
type ForeignKey struct {
	Name          string
	Child, Parent TableName
	Columns       []string
	Parents       []string // the parent's columns, in the same order
	OnDelete      OnDelete
	Sets          []string // the columns that set null or set default changes; all of them if blank
	Full          bool     // match full: all of its columns are null, or none is
	Deferrable    bool
	Equal         []string // the operator by which each of Parents is equal to its column, = if blank; all are = if there are none
	Collate       []string // the collation by which each is compared where the two columns' differ, blank if they don't
	Refuses       bool     // the database itself, at once, keeps a row from going that is referred to
}

func (k ForeignKey) self() bool { return k.Child == k.Parent }

// plain says that = compares its columns as the constraint does.
func (k ForeignKey) plain() bool {
	return !slices.ContainsFunc(slices.Concat(k.Equal, k.Collate), func(s string) bool { return s != "" })
}

// same is the condition that the row under the alias child refers to the one under
// the alias parent.
func (k ForeignKey) same(child, parent string) string {
	out := make([]string, len(k.Columns))
	for i := range k.Columns {
		equal, collate := "=", ""
		if len(k.Equal) > 0 && k.Equal[i] != "" {
			equal = k.Equal[i]
		}
		if len(k.Collate) > 0 && k.Collate[i] != "" {
			collate = " collate " + k.Collate[i]
		}
		out[i] = Quote(parent, k.Parents[i]) + " " + equal + " " + Quote(child, k.Columns[i]) + collate
	}
	return strings.Join(out, " and ")
}

// up is the condition that the child's row under the alias a refers to one of the
// parent's, of the given table under the alias inner, for which cond holds.
func (k ForeignKey) up(a, inner, parent, cond string) string {
	if k.plain() {
		return in(a, k.Columns, inner, parent, k.Parents, cond)
	}
	return "exists (select 1 from " + parent + " " + Quote(inner) + " where " + k.same(a, inner) + " and (" + cond + "))"
}

// down is the condition that one of the child's rows, of the given table under the
// alias inner, for which cond holds, refers to the parent's row under the alias a.
func (k ForeignKey) down(a, inner, child, cond string) string {
	if k.plain() {
		return in(a, k.Parents, inner, child, k.Columns, cond)
	}
	return "exists (select 1 from " + child + " " + Quote(inner) + " where " + k.same(inner, a) + " and (" + cond + "))"
}

// keyID tells foreign keys apart.
type keyID struct {
	child TableName
	name  string
}

func (k ForeignKey) id() keyID { return keyID{k.Child, k.Name} }

// Link is how a blueprint's attribute links names the reference.
func (k ForeignKey) Link() string { return k.Child.String() + "." + strings.Join(k.Columns, ",") }

// sets are the columns that change when the parent goes.
func (k ForeignKey) sets() []string {
	if len(k.Sets) > 0 {
		return k.Sets
	}
	return k.Columns
}

// Graph is a database's tables and foreign keys.
type Graph struct {
	tables map[TableName]Table
	sorted []Table
	keys   []ForeignKey
	below  map[TableName][]ForeignKey // by parent
	above  map[TableName][]ForeignKey // by child
	fold   bool
	folds  bool // of columns alone
}

// NewGraph makes a graph; its answers don't depend on the order of the input.
// Keys of tables that aren't given are left out.
func NewGraph(tables []Table, keys []ForeignKey) *Graph {
	g := &Graph{tables: make(map[TableName]Table, len(tables)), below: make(map[TableName][]ForeignKey, len(tables)), above: make(map[TableName][]ForeignKey, len(tables)), keys: make([]ForeignKey, 0, len(keys))}
	for _, t := range tables {
		g.tables[t.TableName] = t
	}
	g.sorted = slices.AppendSeq(make([]Table, 0, len(tables)), maps.Values(g.tables))
	slices.SortFunc(g.sorted, func(a, b Table) int { return a.Compare(b.TableName) })
	for _, k := range keys {
		_, child := g.tables[k.Child]
		_, parent := g.tables[k.Parent]
		if child && parent {
			g.keys = append(g.keys, k)
		}
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

// Only is the graph of those of its tables that keep takes, and of the keys between them.
func (g *Graph) Only(keep func(Table) bool) *Graph {
	var tables []Table
	for _, t := range g.sorted {
		if keep(t) {
			tables = append(tables, t)
		}
	}
	out := NewGraph(tables, g.keys)
	out.fold, out.folds = g.fold, g.folds
	return out
}

// Fold makes names be found without regard to the case of letters, and returns
// the graph.
func (g *Graph) Fold() *Graph {
	g.fold = true
	return g
}

// FoldColumns is Fold for the names of columns alone.
func (g *Graph) FoldColumns() *Graph {
	g.folds = true
	return g
}

// Table returns a table.
func (g *Graph) Table(n TableName) (Table, bool) {
	t, ok := g.tables[n]
	return t, ok
}

// Tables returns every table, ordered by name.
func (g *Graph) Tables() []Table { return g.sorted }

// Keys are the foreign keys, ordered by child, parent and name.
func (g *Graph) Keys() []ForeignKey { return g.keys }

// Find resolves a name as a blueprint writes it: a table of the schema home, or
// schema.table. The name is the one that it would have if it isn't there.
func (g *Graph) Find(home, name string) (TableName, bool) {
	own, other := TableName{home, name}, TableName{home, name}
	if schema, table, ok := strings.Cut(name, "."); ok && home != "" {
		other = TableName{schema, table}
	}
	for _, n := range []TableName{own, other} {
		if t, ok := g.tables[n]; ok {
			return t.TableName, true
		}
	}
	if g.fold {
		for n := range g.tables {
			if strings.EqualFold(n.Name, name) {
				return n, true
			}
		}
	}
	return other, false
}

// column gives a column's name as the table has it, "" if it has none.
func (g *Graph) column(t Table, name string) string {
	for _, c := range t.Columns {
		if c.Name == name || (g.fold || g.folds) && strings.EqualFold(c.Name, name) {
			return c.Name
		}
	}
	return ""
}

// optional are the columns of a reference that may be set to null.
func (g *Graph) optional(k ForeignKey) []string {
	t := g.tables[k.Child]
	var out []string
	for _, name := range k.Columns {
		if c, _ := t.Column(name); !c.Required && !c.Generated {
			out = append(out, name)
		}
	}
	if k.Full && len(out) < len(k.Columns) {
		return nil
	}
	return out
}

// rigid says that a row can't be without the reference.
func (g *Graph) rigid(k ForeignKey) bool {
	t := g.tables[k.Child]
	for _, name := range k.Columns {
		if c, _ := t.Column(name); !c.Required {
			return false
		}
	}
	return true
}
