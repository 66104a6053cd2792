package relational

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// orphaned is the condition for rows of a parent, under the alias a, that the
// tenant's rows refer to, or referred to, and nobody else's.
func (c *claims) orphaned(n TableName, a string) string { return c.parent(n, a, nil) }

func (c *claims) parent(n TableName, a string, path []TableName) string {
	if t := c.tree(n); t != nil {
		return t.within(a, path, true)
	}
	from, but := c.referring(n, a, path)
	return strings.Join(append([]string{either(from)}, but...), " and ")
}

// referring are conditions for rows of a parent, under the alias a: that the
// tenant's rows refer to them, one of which is enough, and that none of somebody
// else's does. Rows that follow the parent say nothing of it.
func (c *claims) referring(n TableName, a string, path []TableName) (from, but []string) {
	path = append(slices.Clone(path), n)
	inner := next(a)
	for _, k := range c.g.below[n] {
		if c.claimed(k) {
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
		if k.self() || ours == " and (true) is not true" {
			continue
		}
		but = append(but, "not exists (select 1 from "+c.d.Name(k.Child)+" "+Quote(inner)+" where "+k.same(inner, a)+ours+")")
	}
	if c.t.Written {
		for _, columns := range c.referred(n) {
			from = append(from, c.written(n, a, columns))
		}
	}
	return from, but
}

// written is the condition that the columns of a row, under the alias a, are a key
// that was written down, as their types compare them.
func (c *claims) written(n TableName, a string, columns []string) string {
	t := c.g.tables[n]
	keys := c.d.Written(c.t.Resource, t, columns)
	var same, names []string
	plain := true
	for i, name := range columns {
		at, _ := t.Column(name)
		equal := cmp.Or(at.Equal, "=")
		plain = plain && equal == "="
		names = append(names, "k"+strconv.Itoa(i))
		same = append(same, Quote(a, name)+" "+equal+" w."+names[i])
	}
	switch {
	case plain:
		return tuple(a, columns) + " in (" + keys + ")"
	case len(columns) == 1:
		at, _ := t.Column(columns[0])
		return Quote(a, columns[0]) + " " + at.Equal + " any (" + keys + ")"
	}
	return "exists (select 1 from (" + keys + ") w (" + strings.Join(names, ", ") + ") where " + strings.Join(same, " and ") + ")"
}

// asked is the condition for rows of a parent, under the alias a, that the
// tenant's rows refer to or referred to.
func (c *claims) asked(n TableName, a string) string {
	if t := c.tree(n); t != nil {
		return t.within(a, nil, false)
	}
	from, _ := c.referring(n, a, nil)
	return either(from)
}

// alone is the condition for rows of a parent, under the alias a, that no row
// refers to: nothing says whose they are.
func (c *claims) alone(n TableName, a string) string {
	inner := next(a)
	var none []string
	for _, k := range c.g.below[n] {
		but := ""
		if k.self() {
			but = " and " + c.d.Address(c.g.tables[n], inner) + " <> " + c.d.Address(c.g.tables[n], a)
		}
		none = append(none, "not exists (select 1 from "+c.d.Name(k.Child)+" "+Quote(inner)+" where "+k.same(inner, a)+but+")")
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
