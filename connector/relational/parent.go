package relational

import (
	"slices"
	"strings"
)

// orphaned is the condition for rows of a parent, under the alias a, that the
// tenant's rows refer to, or referred to, and nobody else's.
func (c *claims) orphaned(n TableName, a string) string { return c.parent(n, a, nil) }

func (c *claims) parent(n TableName, a string, path []TableName) string {
	if t := c.tree(n); t != nil {
		from, but := c.referring(n, next(a), path)
		return t.going(a, either(from), but)
	}
	from, but := c.referring(n, a, path)
	return strings.Join(append([]string{either(from)}, but...), " and ")
}

// referring are conditions for rows of a parent, under the alias a: that the
// tenant's rows refer to them, one of which is enough, and that none of somebody
// else's does. Rows that follow the parent, or stand in the same table, say nothing
// of it.
func (c *claims) referring(n TableName, a string, path []TableName) (from, but []string) {
	path = append(slices.Clone(path), n)
	inner := next(a)
	for _, k := range c.g.below[n] {
		if c.claimed(k) || k.self() {
			continue
		}
		var ours string
		switch {
		case c.bent[k.id()]:
		case c.held[k.Child]:
			ours = either(c.ours(k.Child, inner))
		case c.above[k.Child] && !slices.Contains(path, k.Child):
			ours = c.parent(k.Child, inner, path)
		}
		if ours != "" {
			from = append(from, k.down(a, inner, c.d.Name(k.Child), ours))
			ours = " and (" + ours + ") is not true"
		}
		if ours == " and (true) is not true" {
			continue
		}
		but = append(but, "not exists (select 1 from "+c.d.Name(k.Child)+" "+Quote(inner)+" where "+k.same(inner, a)+ours+")")
	}
	if c.t.Written {
		for _, columns := range c.referred(n) {
			from = append(from, tuple(a, columns)+" in ("+c.d.Written(c.t.Resource, c.g.tables[n], columns)+")")
		}
	}
	return from, but
}

// asked is the condition for rows of a parent, under the alias a, that the
// tenant's rows refer to or referred to.
func (c *claims) asked(n TableName, a string) string {
	if t := c.tree(n); t != nil {
		from, _ := c.referring(n, next(a), nil)
		return t.with(a, either(from))
	}
	from, _ := c.referring(n, a, nil)
	return either(from)
}

// alone is the condition for rows of a parent, under the alias a, that no other row
// refers to, and none of the tenant's did: nothing says whose they are.
func (c *claims) alone(n TableName, a string) string {
	inner := next(a)
	none := []string{"(" + c.asked(n, a) + ") is not true"}
	for _, k := range c.g.below[n] {
		where := k.same(inner, a)
		if k.self() {
			where += " and not (" + c.tree(n).is(inner, a) + ")"
		}
		none = append(none, "not exists (select 1 from "+c.d.Name(k.Child)+" "+Quote(inner)+" where "+where+")")
	}
	return strings.Join(none, " and ")
}

// referred are the lists of columns by which rows refer to a table.
func (c *claims) referred(n TableName) [][]string {
	var out [][]string
	for _, k := range c.g.below[n] {
		if !slices.ContainsFunc(out, func(o []string) bool { return slices.Equal(o, k.Parents) }) {
			out = append(out, k.Parents)
		}
	}
	return out
}
