package sqlite

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// commands are those of a full-text index's that say nothing of single rows and
// lose nothing (sqlite.org/fts5 §6).
var commands = []string{"optimize", "merge", "rebuild", "integrity-check", "automerge", "crisismerge", "usermerge", "pgsz", "rank", "flush"}

// command is what the statement tells a full-text index; "" if it is no command.
func (w write) command() string {
	if w.verb != "insert" || len(w.columns) == 0 || !strings.EqualFold(w.columns[0], w.table) {
		return ""
	}
	if len(w.rows) != 1 || len(w.rows[0]) == 0 || len(w.rows[0][0]) != 1 || !w.rows[0][0][0].quoted {
		return "?"
	}
	return w.rows[0][0][0].text
}

// names are those of the number that a virtual table gives each of its rows.
func (v virtual) names() []string {
	if strings.HasPrefix(v.module, "fts") {
		return []string{"rowid", "oid", "_rowid_", "docid"}
	}
	if len(v.args) == 0 {
		return []string{"rowid"}
	}
	return []string{"rowid", words(v.args[0])[0].text}
}

// finding is the column of an index by whose value alone triggers find its rows:
// "rowid", or one whose texts the index keeps. "" if they find them in several ways.
func (c catalog) finding(v virtual) string {
	keeps := slices.ContainsFunc(c.fulltexts, func(f fulltext) bool { return f.name == v.name && f.keeps() })
	var found []string
	for _, g := range c.triggers {
		for _, w := range g.writes {
			if !strings.EqualFold(w.table, v.name) || w.verb == "insert" && !w.removes {
				continue
			}
			name := "rowid"
			if w.verb != "insert" {
				if len(w.found[0]) != 1 {
					return ""
				}
				name = w.found[0][0].text
			}
			if foldedIn(v.names(), name) {
				name = "rowid"
			} else if !keeps {
				return ""
			}
			if !foldedIn(found, name) {
				found = append(found, name)
			}
		}
	}
	switch len(found) {
	case 0:
		return "rowid"
	case 1:
		return found[0]
	}
	return ""
}

// addresses is the column of the row that changed (which: old or new) whose value
// stands in the column of the index's row that the statement writes to; "" if
// something else does.
func (w write) addresses(v virtual, columns []string, at, which string) string {
	names := []string{at}
	if at == "rowid" {
		names = v.names()
	}
	expression := w.found[1]
	switch {
	case w.veiled, at == "", slices.ContainsFunc(w.sets, func(c string) bool { return foldedIn(names, c) }):
		return ""
	case w.verb == "insert":
		list := w.columns
		if len(list) == 0 {
			list = columns
		}
		i := slices.IndexFunc(list, func(c string) bool { return foldedIn(names, c) })
		if i < 0 || len(w.rows) != 1 || i >= len(w.rows[0]) {
			return ""
		}
		expression = w.rows[0][i]
	}
	if !isRow(expression, which) {
		return ""
	}
	return expression[2].text
}

// columnsOf are those of a virtual table.
func (c catalog) columnsOf(v virtual) []string {
	for _, f := range c.fulltexts {
		if f.name == v.name {
			return f.columns
		}
	}
	return v.names()[1:]
}

// naming is a column that tells the rows of a table apart: "rowid", or one that is
// unique. "" if the column doesn't.
func (c catalog) naming(table, column string) string {
	n, _ := c.graph.Find("", table)
	t, ok := c.graph.Table(n)
	i := slices.IndexFunc(t.Columns, func(c relational.Column) bool { return strings.EqualFold(c.Name, column) })
	switch {
	case !ok:
		return ""
	case i < 0:
		if t.RowID && foldedIn([]string{"rowid", "oid", "_rowid_"}, column) {
			return "rowid"
		}
	case t.RowID && len(t.Key) == 1 && t.Key[0] == t.Columns[i].Name && strings.EqualFold(t.Columns[i].Type, "integer"):
		return "rowid"
	case slices.ContainsFunc(c.indexes[n.Name], func(x index) bool { return x.unique && len(x.columns) == 1 && strings.EqualFold(x.columns[0], column) }):
		return t.Columns[i].Name
	}
	return ""
}

// unsure says why it can't be told which of an index's rows stand for a row that
// goes. Where it can, by has the column of each table that tells them, by the
// table's name in lower case.
func (c catalog) unsure(v virtual) (by map[string]string, wrong string) {
	content, id := "", ""
	i := slices.IndexFunc(c.fulltexts, func(f fulltext) bool { return f.name == v.name })
	if i >= 0 {
		content, id = c.fulltexts[i].content, c.fulltexts[i].rowid
	}
	by, wrong = c.misaddressed(v, content, id)
	if wrong == "" && c.fragile(v.name) {
		wrong = c.misspoken(c.fulltexts[i])
	}
	return by, wrong
}

// misaddressed says why the triggers that keep an index may take out of it what
// they didn't put there for the same row, or leave that there; "" if they can't.
func (c catalog) misaddressed(v virtual, content, contentID string) (by map[string]string, wrong string) {
	by = map[string]string{}
	at, fed := c.finding(v), []string{}
	if content != "" {
		id := c.naming(content, contentID)
		if c.has(content) && id == "" {
			return nil, "its rows are numbered by " + contentID + " of " + content + ", which isn't unique"
		}
		by[strings.ToLower(content)], fed = id, []string{content}
	}
	var told []string // the tables that take rows out
	for _, g := range c.triggers {
		for _, w := range g.writes {
			if !strings.EqualFold(w.table, v.name) || foldedIn(commands, w.command()) {
				continue
			}
			puts, which := w.verb == "insert" && !w.removes, "old"
			if puts || g.event == "insert" {
				which = "new"
			}
			id := c.naming(g.table, w.addresses(v, c.columnsOf(v), at, which))
			known, is := by[strings.ToLower(g.table)]
			switch {
			case w.command() != "" && !w.removes:
				return nil, "trigger " + g.name + " of " + g.table + " gives it the command " + w.command()
			case puts && g.event == "delete":
				return nil, "trigger " + g.name + " of " + g.table + " writes into it of rows that go"
			case id == "":
				return nil, "trigger " + g.name + " of " + g.table + " doesn't name its row by a unique column of " + g.table
			case is && known != id:
				return nil, "trigger " + g.name + " of " + g.table + " names its row by " + id + ", and another trigger by " + known
			}
			by[strings.ToLower(g.table)] = id
			if puts && !foldedIn(fed, g.table) {
				fed = append(fed, g.table)
			}
			if !puts && !foldedIn(told, g.table) {
				told = append(told, g.table)
			}
		}
	}
	for _, t := range told {
		if !foldedIn(fed, t) {
			return nil, "rows of " + t + " take its rows out, and no trigger puts them there, so nothing says which are whose"
		}
	}
	if len(told) > 0 && len(fed) > 1 {
		return nil, "rows of " + strings.Join(fed, " and of ") + " stand in it under numbers that may be the same"
	}
	return by, ""
}

// misspoken says that a contentless index isn't told of each row with the words
// that it was given; it forgets just what it is told.
func (c catalog) misspoken(f fulltext) string {
	given := map[string][]string{}
	for _, puts := range []bool{true, false} {
		for _, g := range c.triggers {
			for _, w := range g.writes {
				if !strings.EqualFold(w.table, f.name) || w.verb != "insert" || puts == w.removes || foldedIn(commands, w.command()) {
					continue
				}
				which := map[bool]string{true: "new", false: "old"}[puts]
				said := w.spoken(f.columns, which)
				if last, is := given[strings.ToLower(g.table)]; is && !slices.Equal(last, said) {
					return "trigger " + g.name + " of " + g.table + " tells it of other words than those that it was given"
				}
				given[strings.ToLower(g.table)] = said
			}
		}
	}
	return ""
}

// spoken are the expressions that an insert gives for columns, with the row that
// changed (which: old or new) under one name.
func (w write) spoken(columns []string, which string) []string {
	out := make([]string, len(columns))
	for i, name := range columns {
		at := slices.IndexFunc(w.columns, func(s string) bool { return strings.EqualFold(s, name) })
		if len(w.columns) == 0 {
			at = i
		}
		if at < 0 || len(w.rows) != 1 || at >= len(w.rows[0]) {
			continue
		}
		for _, x := range w.rows[0][at] {
			if x.is(which) {
				x.text = "row"
			}
			out[i] += " " + string(x.quote) + strings.ToLower(x.text)
			if x.quoted {
				out[i] += x.text
			}
		}
	}
	return out
}
