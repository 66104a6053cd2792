package relational

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// parent says that rows of the table may be the tenant's since only its rows refer to
// them.
func (c *claims) parent(n TableName) bool { return c.above[n] || c.also[n] }

// told finds the tables whose rows claims may leave out, and that the tenant's rows
// refer to besides: what nothing claims is a parent's row.
func (c *claims) told() {
	firm := *c
	firm.also, firm.ring = map[TableName]bool{}, map[TableName]*ring{}
	firm.rings()
	c.firm = &firm
	firm.firm = &firm
	certain := c.certain()
	for more := true; more; {
		more = false
		for n := range c.held {
			if c.also[n] || len(c.by[n]) == 0 || c.keyed[n] != "" || certain[n] {
				continue
			}
			c.also[n] = slices.ContainsFunc(c.g.below[n], func(k ForeignKey) bool {
				return (c.held[k.Child] || c.above[k.Child]) && (!c.claimed(k) || c.known(k))
			})
			more = more || c.also[n]
		}
	}
}

// certain are the tables each of whose rows a key or a claim tells to be somebody's.
func (c *claims) certain() map[TableName]bool {
	out := map[TableName]bool{}
	for more := true; more; {
		more = false
		for n := range c.held {
			key, _ := c.g.tables[n].Column(c.keyed[n])
			if !out[n] && (c.own(n) || c.keyed[n] != "" && key.Required || slices.ContainsFunc(c.by[n], func(k ForeignKey) bool { return !k.self() && c.g.rigid(k) && out[k.Parent] })) {
				out[n], more = true, true
			}
		}
	}
	return out
}

// known says that something else than the key may tell whose rows of its child are.
func (c *claims) known(k ForeignKey) bool {
	return c.keyed[k.Child] != "" || len(c.by[k.Child]) > 1 || c.also[k.Child]
}

// under says that rows of a table are among those that refer to rows of another,
// however far.
func (c *claims) under(n, top TableName) bool {
	seen, todo := map[TableName]bool{}, []TableName{top}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, k := range c.g.below[at] {
			if k.Child == n {
				return true
			}
			if !seen[k.Child] {
				seen[k.Child] = true
				todo = append(todo, k.Child)
			}
		}
	}
	return false
}

// leads says that rows of a table are found through those of another.
func (c *claims) leads(from, to TableName) bool {
	seen, todo := map[TableName]bool{}, []TableName{from}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at == to {
			return true
		}
		if seen[at] {
			continue
		}
		seen[at] = true
		for _, k := range c.by[at] {
			todo = append(todo, k.Parent)
		}
		if !c.parent(at) {
			continue
		}
		for _, k := range c.g.below[at] {
			if c.held[k.Child] || c.above[k.Child] {
				todo = append(todo, k.Child)
			}
		}
	}
	return false
}

// following are conditions as those of referring, by rows that follow the row under
// the alias a: one that something else claims refers to it as any other does.
func (c *claims) following(k ForeignKey, a string) (from, but []string) {
	inner := next(a)
	if c.known(k) {
		ours := c.firm.ours(k.Child, inner)
		if c.also[k.Child] && !c.under(k.Parent, k.Child) {
			ours = append(ours, c.orphaned(k.Child, inner))
		}
		from = append(from, k.down(a, inner, c.d.Name(k.Child), either(ours)))
	}
	if theirs := c.foreign(k.Child, inner, []TableName{k.Parent}); theirs != "" {
		but = append(but, "not exists (select 1 from "+c.d.Name(k.Child)+" "+Quote(inner)+" where "+k.same(inner, a)+" and ("+theirs+"))")
	}
	return from, but
}

// orphaned is the condition for rows of a parent, under the alias a, that the
// tenant's rows refer to, or referred to, and nobody else's.
func (c *claims) orphaned(n TableName, a string) string { return c.going(n, a) }

func (c *claims) going(n TableName, a string) string {
	if r := c.circle(n); r != nil {
		return r.going(n, a)
	}
	if t := c.tree(n); t != nil {
		from, but := c.referring(n, next(a))
		return t.going(a, either(from), but)
	}
	from, but := c.referring(n, a)
	return strings.Join(append([]string{either(from)}, but...), " and ")
}

// referring are conditions for rows of a parent, under the alias a: that the
// tenant's rows refer to them, one of which is enough, and that none of somebody
// else's does. Rows that follow the parent, or stand in the same table, say nothing
// of it; those of a circle are looked at together.
func (c *claims) referring(n TableName, a string) (from, but []string) {
	inner := next(a)
	if alien := c.alien(n, a, nil); alien != "" {
		but = append(but, "("+alien+") is not true")
	}
	for _, k := range c.g.below[n] {
		if k.self() || slices.Contains(c.round[n], k.Child) {
			continue
		}
		if c.claimed(k) {
			if c.also[n] {
				f, b := c.following(k, a)
				from, but = append(from, f...), append(but, b...)
			}
			continue
		}
		var ours string
		switch {
		case c.also[n] && c.leads(k.Child, n):
			ours = either(c.firm.ours(k.Child, inner))
		case c.bent[k.id()]:
		case c.held[k.Child]:
			ours = either(c.ours(k.Child, inner))
		case c.above[k.Child]:
			ours = c.going(k.Child, inner)
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
	if c.also[n] && c.tree(n) != nil {
		from = append(from, c.firm.ours(n, a)...)
	}
	if c.t.Written {
		for _, columns := range c.referred(n) {
			t := c.g.tables[n]
			asked := among(a, columns, t.equal(columns), c.d.Written(c.t.Resource, t, columns))
			if len(t.Key) > 0 { // what was anonymised isn't the tenant's, whoever referred to it
				asked = "(" + asked + " and " + unmarked(c.d, c.t.Resource, t, tenure.Anonymise, a) + ")"
			}
			from = append(from, asked)
		}
	}
	return from, but
}

// asked is the condition for rows of a parent, under the alias a, that the
// tenant's rows refer to or referred to.
func (c *claims) asked(n TableName, a string) string {
	if r := c.circle(n); r != nil {
		return r.with(n, a, r.asked)
	}
	if t := c.tree(n); t != nil {
		from, _ := c.referring(n, next(a))
		return t.with(a, either(from))
	}
	from, _ := c.referring(n, a)
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
			where += " and " + c.d.Address(c.g.tables[n], inner) + " <> " + c.d.Address(c.g.tables[n], a)
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
