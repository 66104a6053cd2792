package relational

import (
	"maps"
	"slices"
	"strings"
)

// ring is a set of tables whose rows claim one another by references that go
// round. Their rows are found from those that are claimed from outside, however
// far, through one of the tables, the hub, without which no reference goes round.
type ring struct {
	c      *claims
	tables []TableName
	hub    TableName
	loose  bool // there is no such table, or no query can follow its keys
}

func (r *ring) has(n TableName) bool { return r != nil && slices.Contains(r.tables, n) }

func (r *ring) inner(n TableName) []ForeignKey {
	var out []ForeignKey
	for _, k := range r.c.by[n] {
		if r.has(k.Parent) {
			out = append(out, k)
		}
	}
	return out
}

// rings finds the rings among the claims.
func (c *claims) rings() {
	edges := map[TableName][]TableName{}
	loop := map[TableName]bool{}
	for n, keys := range c.by {
		for _, k := range keys {
			edges[k.Parent] = append(edges[k.Parent], n)
			loop[n] = loop[n] || k.self()
		}
	}
	for _, part := range tableParts(slices.Collect(maps.Keys(edges)), edges) {
		if len(part) == 1 && !loop[part[0]] {
			continue
		}
		r := &ring{c: c, tables: part}
		r.loose = !slices.ContainsFunc(part, func(n TableName) bool { r.hub = n; return r.opens(n) }) ||
			c.g.tables[r.hub].unhashed(r.named()) != ""
		for _, n := range part {
			c.ring[n] = r
		}
	}
}

// opens says that no reference goes round without the table.
func (r *ring) opens(hub TableName) bool {
	edges := map[TableName][]TableName{}
	for _, n := range r.tables {
		for _, k := range r.inner(n) {
			if n == hub || k.Parent == hub {
				continue
			}
			if k.self() {
				return false
			}
			edges[k.Parent] = append(edges[k.Parent], n)
		}
	}
	return !slices.ContainsFunc(tableParts(slices.Clone(r.tables), edges), func(part []TableName) bool { return len(part) > 1 })
}

// ours are the conditions for the tenant's rows of one table of the ring.
// Where there is no hub, only what is claimed from outside is found; Plan refuses
// such tables.
func (r *ring) ours(n TableName, a string) []string {
	if r.loose {
		return r.c.outer(n, a, r)
	}
	if n != r.hub {
		out := r.c.outer(n, a, r)
		for _, k := range r.inner(n) {
			inner := next(a)
			out = append(out, r.c.refers(k, a, inner, either(r.ours(k.Parent, inner))))
		}
		return out
	}
	out := r.base(n, a)
	columns := r.named()
	closure := r.closure(columns, next(a))
	for _, path := range r.paths() {
		out = append(out, r.along(path, a, func(a string, k ForeignKey) string {
			names := make([]string, len(k.Parents))
			for i, p := range k.Parents {
				names[i] = numbered(slices.Index(columns, p))
			}
			return r.c.keyless(k.Child, a) + among(a, k.Columns, k.Equal, closure+" select "+strings.Join(names, ", ")+` from "r"`)
		}))
	}
	return out
}

// base are the conditions by claims from outside, not through the hub.
func (r *ring) base(n TableName, a string) []string {
	out := r.c.outer(n, a, r)
	for _, k := range r.inner(n) {
		if k.Parent == r.hub {
			continue
		}
		inner := next(a)
		if any := r.base(k.Parent, inner); len(any) > 0 {
			out = append(out, r.c.refers(k, a, inner, either(any)))
		}
	}
	return out
}

// named are the hub's columns by which the ring refers to it.
func (r *ring) named() []string {
	var out []string
	for _, n := range r.tables {
		for _, k := range r.inner(n) {
			if k.Parent == r.hub {
				out = append(out, k.Parents...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func numbered(i int) string { return Quote("k" + string(rune('a'+i))) }

// closure gives the hub's rows that are the tenant's, by the columns.
func (r *ring) closure(columns []string, a string) string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = numbered(i)
	}
	var on []string
	for _, path := range r.paths() {
		on = append(on, r.along(path, a, func(a string, k ForeignKey) string {
			same := make([]string, len(k.Columns))
			for i := range k.Columns {
				op := ""
				if len(k.Equal) > 0 {
					op = k.Equal[i]
				}
				same[i] = equals(Quote(a, k.Columns[i]), op, `"r".`+numbered(slices.Index(columns, k.Parents[i])))
			}
			return r.c.keyless(k.Child, a) + strings.Join(same, " and ")
		}))
	}
	hub := r.c.d.Name(r.hub) + " " + Quote(a)
	return `with recursive "r"(` + strings.Join(names, ", ") + ") as (select " + list(a, columns) + " from " + hub + " where " + either(r.base(r.hub, a)) +
		" union select " + list(a, columns) + " from " + hub + ` join "r" on ` + either(on) + ")"
}

// paths are the ways from the hub, by its references, back to it.
func (r *ring) paths() [][]ForeignKey {
	var out [][]ForeignKey
	var walk func(n TableName, path []ForeignKey)
	walk = func(n TableName, path []ForeignKey) {
		for _, k := range r.inner(n) {
			way := append(slices.Clone(path), k)
			if k.Parent == r.hub {
				out = append(out, way)
			} else {
				walk(k.Parent, way)
			}
		}
	}
	walk(r.hub, nil)
	return out
}

// along is the condition that a path from the row under the alias a ends in a
// reference for which last holds.
func (r *ring) along(path []ForeignKey, a string, last func(a string, k ForeignKey) string) string {
	if len(path) == 1 {
		return last(a, path[0])
	}
	inner := next(a)
	return r.c.refers(path[0], a, inner, r.along(path[1:], inner, last))
}
