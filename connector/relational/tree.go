package relational

import (
	"slices"
	"strings"
)

// tree is a parent whose rows refer to rows of the same table, as categories do. A
// row that the tenant's rows refer to counts with all that stand above it, and goes
// unless something below it stays.
type tree struct {
	c       *claims
	n       TableName
	self    []ForeignKey
	follows []ForeignKey // of self: what is below a row that goes is the tenant's too
}

// blind is a column that keeps a query from following the references; "" if there is none.
func (t *tree) blind() string { return t.c.g.tables[t.n].unhashed(t.columns()) }

// tree is nil for a table that isn't one.
func (c *claims) tree(n TableName) *tree {
	t := &tree{c: c, n: n}
	for _, k := range c.g.below[n] {
		if !k.self() {
			continue
		}
		t.self = append(t.self, k)
		if c.b.links[k.id()] == Follow {
			t.follows = append(t.follows, k)
		}
	}
	if !c.parent(n) || len(t.self) == 0 || c.circle(n) != nil {
		return nil
	}
	return t
}

// closed says that rows of the table are found by a look at all that it refers to in
// itself, or in other parents.
func (c *claims) closed(n TableName) bool { return c.tree(n) != nil || c.circle(n) != nil }

// key are columns that tell the rows of the tree apart.
func (t *tree) key() []string { return t.self[0].Parents }

// is is the condition that two aliases stand for one row.
func (t *tree) is(a, b string) string {
	on := make([]string, len(t.key()))
	for i, op := range t.c.g.tables[t.n].equal(t.key()) {
		on[i] = equals(Quote(a, t.key()[i]), op, Quote(b, t.key()[i]))
	}
	return strings.Join(on, " and ")
}

// rows is the query for rows of the table under the alias a, with what to join, as
// its columns that take part in references.
func (t *tree) rows(a, join string) string {
	return "select " + list(a, t.columns()) + " from " + t.c.d.Name(t.n) + " " + Quote(a) + join
}

func (t *tree) columns() []string {
	var out []string
	for _, k := range t.self {
		out = append(append(out, k.Parents...), k.Columns...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// climb defines, under a name, the rows of a query and all that are above them.
func (t *tree) climb(name, a, rows string) string {
	var on []string
	for _, k := range t.self {
		on = append(on, k.same(name, a))
	}
	return t.define(name, rows+" union "+t.rows(a, " join "+Quote(name)+" on "+either(on)))
}

func (t *tree) define(name, query string) string {
	names := make([]string, 0, 2)
	for _, c := range t.columns() {
		names = append(names, Quote(c))
	}
	return Quote(name) + "(" + strings.Join(names, ", ") + ") as (" + query + ")"
}

// among is the condition that a row, under the alias a, is in what was defined
// under a name.
func (t *tree) among(a, name string, defined ...string) string {
	return among(a, t.key(), t.c.g.tables[t.n].equal(t.key()), "with recursive "+strings.Join(defined, ", ")+" select "+list(name, t.key())+" from "+Quote(name))
}

// with is the condition for rows, under the alias a, for which cond holds under the
// alias next(a), and for those above them.
func (t *tree) with(a, cond string) string {
	if t.blind() != "" {
		return "false"
	}
	inner := next(a)
	return t.among(a, "up", t.climb("up", inner, t.rows(inner, " where "+cond)))
}

// going is the condition for rows, under the alias a, that go: those that are asked
// for, with those above them, unless a row of somebody else's or one of the tree that
// stays refers to them; and what follows them.
func (t *tree) going(a, asked string, but []string) string {
	if t.blind() != "" {
		return "false"
	}
	inner := next(a)
	below := next(inner)
	var kept []string
	if len(but) > 0 {
		kept = append(kept, "not ("+strings.Join(but, " and ")+")")
	}
	for _, k := range t.self {
		if t.c.b.links[k.id()] != Follow {
			kept = append(kept, "exists (select 1 from "+t.c.d.Name(t.n)+" "+Quote(below)+" where "+k.same(below, inner)+
				` and not exists (select 1 from "up" where `+t.is("up", below)+"))")
		}
	}
	within := ` join "up" on ` + t.is("up", inner)
	if len(t.follows) > 0 { // what is below counts too
		within = ""
	}
	goes := "select " + list("up", t.columns()) + ` from "up" where not exists (select 1 from "stay" where ` + t.is("stay", "up") + ")"
	if len(t.follows) > 0 {
		var on []string
		for _, k := range t.follows {
			on = append(on, k.same(inner, "going"))
		}
		goes += " union " + t.rows(inner, ` join "going" on `+either(on))
	}
	return t.among(a, "going", t.climb("up", inner, t.rows(inner, " where "+asked)), t.climb("stay", inner, t.rows(inner, within+" where "+either(kept))), t.define("going", goes))
}
