package sqlite

import (
	"slices"
	"strings"
)

// conflict is what a table's own statement says is to happen to rows that a
// constraint doesn't let stand (sqlite.org/lang_conflict).
type conflict struct {
	columns []string
	how     string // replace, ignore, fail, abort or rollback
}

// conflictsOf reads them, which no pragma shows.
func conflictsOf(all []word) []conflict {
	if !slices.ContainsFunc(all, func(w word) bool { return w.is("conflict") }) {
		return nil
	}
	open := slices.IndexFunc(all, func(w word) bool { return w.is("(") })
	if open < 0 {
		return nil
	}
	all = all[open+1:]
	var out []conflict
	for _, part := range split(all[:until(all)]) {
		for i := 1; i+1 < len(part); i++ {
			if part[i-1].is("on") && part[i].is("conflict") {
				out = append(out, conflict{constrained(part), strings.ToLower(part[i+1].text)})
			}
		}
	}
	return out
}

// constrained are the columns of a column's definition or a table's constraint.
func constrained(part []word) []string {
	if !part[0].is("constraint", "unique", "primary") {
		return []string{part[0].text}
	}
	open := slices.IndexFunc(part, func(w word) bool { return w.is("(") })
	if open < 0 {
		return nil
	}
	var out []string
	for _, c := range split(part[open+1 : open+1+until(part[open+1:])]) {
		out = append(out, c[0].text)
	}
	return out
}

// replaces says that a row which comes into the table may push out another.
func (c catalog) replaces(table string) bool {
	n, _ := c.graph.Find("", table)
	return slices.ContainsFunc(c.conflicts[n.Name], func(x conflict) bool { return x.how == "replace" })
}

// settles is a conflict clause that decides, without a word, what becomes of rows
// of which columns change; nil if there is none.
func (c catalog) settles(table string, columns []string) *conflict {
	for i, x := range c.conflicts[table] {
		touched := slices.ContainsFunc(x.columns, func(name string) bool { return foldedIn(columns, name) })
		if touched && (x.how == "replace" || x.how == "ignore") {
			return &c.conflicts[table][i]
		}
	}
	return nil
}
