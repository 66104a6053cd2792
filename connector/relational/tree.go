package relational

import (
	"slices"
	"strings"
)

// A tree is a parent that refers to itself, such as one of departments or
// categories: what the tenant's rows refer to includes what that stands below, and
// each row that stays keeps what it stands below.
type tree struct {
	c    *claims
	n    TableName
	keys []ForeignKey // its references to itself
}

// Names that no table or column has by chance.
var (
	treeAsked = Quote("tenure asked")
	treeKept  = Quote("tenure kept")
	treeAt    = Quote("tenure address")
	treeStays = Quote("tenure stays")
)

func (c *claims) tree(n TableName) *tree {
	t := &tree{c: c, n: n}
	for _, k := range c.g.above[n] {
		if k.self() && !c.claimed(k) {
			t.keys = append(t.keys, k)
		}
	}
	if len(t.keys) == 0 {
		return nil
	}
	return t
}

// columns are those by which rows of the table refer to one another.
func (t *tree) columns() (out []string) {
	for _, k := range t.keys {
		out = append(out, slices.Concat(k.Columns, k.Parents)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// same is the condition that the row under the one alias refers to the other.
func (t *tree) same(child, parent string) string {
	any := make([]string, len(t.keys))
	for i, k := range t.keys {
		any[i] = k.same(child, parent)
	}
	return either(any)
}

// asked gives the rows that the tenant's refer to, and those that these stand below:
// their addresses, whether something outside of the table keeps them, and their columns.
func (t *tree) asked(a string, from, but []string) string {
	table := t.c.g.tables[t.n]
	stays := "0"
	if len(but) > 0 {
		stays = "case when " + strings.Join(but, " and ") + " then 0 else 1 end"
	}
	row := "select " + t.c.d.Address(table, a) + ", " + stays + ", " + list(a, t.columns()) + " from " + t.c.d.Name(t.n) + " " + Quote(a)
	return "with recursive " + treeAsked + " (" + treeAt + ", " + treeStays + ", " + QuoteList(t.columns()) + ") as (" + row + " where " + either(from) +
		" union " + row + " join " + treeAsked + " on " + t.same("tenure asked", a) + ")"
}

// within is the condition that the row under the alias a is one that the tenant's
// rows refer to, directly or not; where it is to be gone, and that no row which stays
// refers to it, directly or not.
func (t *tree) within(a string, path []TableName, gone bool) string {
	o := next(a)
	from, but := t.c.referring(t.n, o, path)
	table := t.c.g.tables[t.n]
	sql := t.asked(o, from, but)
	all := " select " + treeAt + " from " + treeAsked
	if !gone {
		return t.c.d.Address(table, a) + " in (" + sql + all + ")"
	}
	columns := QuoteList(t.columns())
	sql += ", " + treeKept + " (" + treeAt + ", " + columns + ") as (select " + treeAt + ", " + columns + " from " + treeAsked + " where " + treeStays + " = 1 or exists (select 1 from " +
		t.c.d.Name(t.n) + " " + Quote(o) + " where " + t.same(o, "tenure asked") + " and " + t.c.d.Address(table, o) + " not in (" + all + "))" +
		" union select " + treeAsked + "." + treeAt + ", " + list("tenure asked", t.columns()) + " from " + treeAsked + " join " + treeKept + " on " + t.same("tenure kept", "tenure asked") + ")"
	return t.c.d.Address(table, a) + " in (" + sql + all + " where " + treeAt + " not in (select " + treeAt + " from " + treeKept + "))"
}
