package relational

import (
	"slices"
	"strings"
)

// Reached is a table that holds rows of a tenant.
type Reached struct {
	Table Table
	Via   string // how it is reached
	Where string // SQL condition for the tenant's rows, over the bare table
	depth int
}

// A Root is a table whose rows are a tenant's by a condition of their own.
type Root struct {
	Table TableName
	Where string
	Via   string
}

// Reach finds every table whose rows belong to the roots' rows: the roots, and
// every table that refers to a reached one by a foreign key, however far. A
// table that is a root is taken by its own condition alone. The answer is
// ordered by name.
func (g *Graph) Reach(d Dialect, roots []Root) []Reached {
	w := walk{g: g, d: d, roots: map[TableName]Root{}, depth: map[TableName]int{}}
	var queue []TableName
	for _, r := range roots {
		if _, ok := g.tables[r.Table]; !ok {
			continue
		}
		w.roots[r.Table] = r
		w.depth[r.Table] = 0
		queue = append(queue, r.Table)
	}
	slices.SortFunc(queue, TableName.Compare)
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, k := range g.below[at] {
			if _, seen := w.depth[k.Child]; !seen {
				w.depth[k.Child] = w.depth[at] + 1
				queue = append(queue, k.Child)
			}
		}
	}
	out := make([]Reached, 0, len(w.depth))
	for name, depth := range w.depth {
		out = append(out, Reached{Table: g.tables[name], Via: w.via(name), Where: w.where(name, nil), depth: depth})
	}
	slices.SortFunc(out, func(a, b Reached) int { return a.Table.Compare(b.Table.TableName) })
	return out
}

type walk struct {
	g     *Graph
	d     Dialect
	roots map[TableName]Root
	depth map[TableName]int
}

// paths are the foreign keys by which a table that is no root is reached.
func (w *walk) paths(t TableName) (up, self []ForeignKey) {
	for _, k := range w.g.above[t] {
		if _, ok := w.depth[k.Parent]; !ok {
			continue
		}
		if k.self() {
			self = append(self, k)
		} else {
			up = append(up, k)
		}
	}
	return up, self
}

func (w *walk) via(t TableName) string {
	if r, ok := w.roots[t]; ok {
		return r.Via
	}
	up, _ := w.paths(t)
	var says []string
	for _, k := range up {
		if w.depth[k.Parent] < w.depth[t] {
			says = append(says, strings.Join(k.Columns, ",")+" → "+k.Parent.String())
		}
	}
	return strings.Join(says, "; ")
}

// where builds the condition; path holds the tables under way, so that a cycle
// ends.
func (w *walk) where(t TableName, path []TableName) string {
	if r, ok := w.roots[t]; ok {
		return r.Where
	}
	path = append(slices.Clone(path), t)
	up, self := w.paths(t)
	var any []string
	for _, k := range up {
		if slices.Contains(path, k.Parent) {
			continue
		}
		if inner := w.where(k.Parent, path); inner != "" {
			any = append(any, tuple(k.Columns)+" in (select "+QuoteList(k.Parents)+" from "+w.d.Name(k.Parent)+" where "+inner+")")
		}
	}
	if len(any) == 0 {
		return ""
	}
	base := strings.Join(any, " or ")
	for _, k := range self {
		any = append(any, w.chain(k, base))
	}
	if len(any) == 1 {
		return any[0]
	}
	return "(" + strings.Join(any, " or ") + ")"
}

// chain is the condition for rows that hang, by a reference to their own table,
// on rows for which base holds.
func (w *walk) chain(k ForeignKey, base string) string {
	names := make([]string, len(k.Parents))
	joined := make([]string, len(k.Parents))
	inner := make([]string, len(k.Parents))
	for i := range k.Parents {
		names[i] = Quote("k" + string(rune('a'+i)))
		inner[i] = `"c".` + Quote(k.Parents[i])
		joined[i] = `"c".` + Quote(k.Columns[i]) + ` = "r".` + names[i]
	}
	list := strings.Join(names, ", ")
	return tuple(k.Columns) + " in (with recursive \"r\"(" + list + ") as (select " + QuoteList(k.Parents) + " from " + w.d.Name(k.Child) +
		" where " + base + " union select " + strings.Join(inner, ", ") + " from " + w.d.Name(k.Child) + ` "c" join "r" on ` +
		strings.Join(joined, " and ") + ") select " + list + ` from "r")`
}

func tuple(columns []string) string {
	if len(columns) == 1 {
		return Quote(columns[0])
	}
	return "(" + QuoteList(columns) + ")"
}
