package relational

import (
	"slices"
	"strconv"
	"strings"
)

// circle is a set of parents whose tables refer to one another round about. A row
// that the tenant's rows refer to counts with all that it refers to there, however
// far, and goes unless a row that stays refers to it.
type circle struct {
	c      *claims
	tables []TableName
}

// circles finds the parents that refer to one another round about.
func (c *claims) circles() {
	edges := map[TableName][]TableName{}
	for _, k := range c.g.keys {
		if c.above[k.Child] && c.above[k.Parent] && !k.self() {
			edges[k.Parent] = append(edges[k.Parent], k.Child)
		}
	}
	var nodes []TableName
	for n := range c.above {
		nodes = append(nodes, n)
	}
	for _, part := range tableParts(nodes, edges) {
		if len(part) > 1 {
			for _, n := range part {
				c.round[n] = part
			}
		}
	}
}

// circle is nil for a table that is in none.
func (c *claims) circle(n TableName) *circle {
	if len(c.round[n]) == 0 {
		return nil
	}
	return &circle{c, c.round[n]}
}

// at gives the number and the address of rows of a table, under the alias a.
func (r *circle) at(n TableName, a, where string) string {
	return "select " + strconv.Itoa(slices.Index(r.tables, n)) + ", " + r.c.d.Address(r.c.g.tables[n], a) + " from " + r.c.d.Name(n) + " " + Quote(a) + " where " + where
}

// edges defines which row of the tables refers to which.
func (r *circle) edges() string {
	var all []string
	for i, n := range r.tables {
		for _, k := range r.c.g.above[n] {
			j := slices.Index(r.tables, k.Parent)
			if j < 0 {
				continue
			}
			all = append(all, "select "+strconv.Itoa(i)+", "+r.c.d.Address(r.c.g.tables[n], "x")+", "+strconv.Itoa(j)+", "+r.c.d.Address(r.c.g.tables[k.Parent], "y")+
				" from "+r.c.d.Name(n)+` "x" join `+r.c.d.Name(k.Parent)+` "y" on `+k.same("x", "y"))
		}
	}
	return `"edge"("f", "fa", "t", "ta") as (` + strings.Join(all, " union all ") + ")"
}

// climb defines, under a name, the rows for which a condition holds, with more of
// them, and all that they refer to.
func (r *circle) climb(name, a string, where func(n TableName, a string) string, more ...string) string {
	all := more
	for _, n := range r.tables {
		all = append(all, r.at(n, a, where(n, a)))
	}
	return Quote(name) + `("t", "at") as (select * from (` + strings.Join(all, " union all ") + `) "b" union select "edge"."t", "edge"."ta" from ` + Quote(name) +
		` join "edge" on "edge"."f" = ` + Quote(name) + `."t" and "edge"."fa" = ` + Quote(name) + `."at")`
}

// among is the condition that a row, under the alias a, is in what was defined.
func (r *circle) among(n TableName, a, from string, defined ...string) string {
	return r.c.d.Address(r.c.g.tables[n], a) + " in (with recursive " + strings.Join(append([]string{r.edges()}, defined...), ", ") +
		` select "up"."at" from "up"` + from + ` "up"."t" = ` + strconv.Itoa(slices.Index(r.tables, n)) + ")"
}

// with is the condition for rows, under the alias a, for which where holds, and for
// those that they refer to in the circle.
func (r *circle) with(n TableName, a string, where func(n TableName, a string) string) string {
	return r.among(n, a, " where", r.climb("up", next(a), where))
}

func (r *circle) asked(n TableName, a string) string {
	from, _ := r.c.referring(n, a)
	return either(from)
}

// going is the condition for rows, under the alias a, that go.
func (r *circle) going(n TableName, a string) string {
	kept := func(n TableName, a string) string {
		if _, but := r.c.referring(n, a); len(but) > 0 {
			return "(" + strings.Join(but, " and ") + ") is not true"
		}
		return "false"
	}
	const strange = `select "edge"."t", "edge"."ta" from "edge" left join "up" on "up"."t" = "edge"."f" and "up"."at" = "edge"."fa" where "up"."t" is null`
	return r.among(n, a, ` left join "stay" on "stay"."t" = "up"."t" and "stay"."at" = "up"."at" where "stay"."t" is null and`, r.climb("up", next(a), r.asked), r.climb("stay", next(a), kept, strange))
}
