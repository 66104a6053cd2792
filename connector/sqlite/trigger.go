package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// trigger is a trigger as its statement in the schema has it.
type trigger struct {
	name, table string
	event       string // insert, update or delete
	before      bool
	always      bool     // it runs for every row: it has no condition
	columns     []string // of an update: those at whose change it runs; none if at any
	writes      []write
	asks        bool   // it has a query of its own, which may have no end
	raises      string // ignore, abort, fail or rollback: the last that it names; "" for none
}

// write is one statement of a trigger that writes to a table.
type write struct {
	table   string
	verb    string // insert, update or delete
	removes bool   // it takes rows out, or tells a full-text index of rows that go
	all     bool   // it does so for each row, by its bare id or by the index's command
	upserts bool   // it changes rows that are there
	columns []string
	rows    [][][]word // of an insert: the expressions of each row; none if they can't be read
	found   [2][]word  // of a bare id: the column, and the expression that it equals
	sets    []string   // of an update
	veiled  bool       // old and new may stand for something else than the row that changed
}

// triggers reads the triggers of tables; those of views are left out, since no
// row of a view is ever deleted.
func triggers(ctx context.Context, q relational.Querier) ([]trigger, error) {
	var out []trigger
	var name, table, text string
	var views []string
	if err := each(ctx, q, "select name from sqlite_schema where type = 'view'", func() error { views = append(views, name); return nil }, &name); err != nil {
		return nil, err
	}
	err := each(ctx, q, `select g.name, g.tbl_name, g.sql from sqlite_schema g join sqlite_schema t on t.type = 'table' and t.name = g.tbl_name collate nocase
 where g.type = 'trigger' order by g.name`, func() error {
		out = append(out, parseTrigger(name, table, text, views))
		return nil
	}, &name, &table, &text)
	return out, err
}

// parseTrigger reads, in a file with these views, a statement that SQLite has accepted (sqlite.org/lang_createtrigger).
func parseTrigger(name, table, text string, views []string) trigger {
	g := trigger{name: name, table: table, always: true}
	all := words(text)
	begin := slices.IndexFunc(all, func(w word) bool { return w.is("on") })
	for _, w := range all[:max(begin, 0)] {
		g.before = g.before || w.is("before")
		if w.is("insert") || w.is("update") || w.is("delete") {
			g.event = strings.ToLower(w.text)
		}
	}
	if of := slices.IndexFunc(all[:max(begin, 0)], func(w word) bool { return w.is("of") }); of >= 0 {
		for _, c := range all[of+1 : begin] {
			if c.quoted || !c.is(",") {
				g.columns = append(g.columns, c.text)
			}
		}
	}
	inside := false
	for i := range all {
		switch w := all[i]; {
		case inside && i > 0 && (all[i-1].is(";") || all[i-1].is("begin")):
			g.statement(all[i:])
		case !inside && w.is("begin") && i+1 < len(all) && all[i+1].is("insert", "replace", "update", "delete", "select"):
			inside = true
		case !inside && w.is("when"):
			g.always = false
		case inside && w.is("with", "from"):
			g.asks = g.asks || w.is("with") || i+1 < len(all) && foldedIn(views, all[i+1].text)
		case inside && w.is("raise") && i+2 < len(all) && all[i+1].is("("):
			g.raises = strings.ToLower(all[i+2].text)
		}
	}
	return g
}

// statement takes in one statement of the trigger's body.
func (g *trigger) statement(body []word) {
	end := slices.IndexFunc(body, func(w word) bool { return w.is(";") })
	if end < 0 {
		end = len(body)
	}
	body = body[:end]
	w := write{verb: strings.ToLower(body[0].text), upserts: body[0].is("replace")}
	at := 1
	if at+1 < len(body) && body[at].is("or") {
		w.upserts = body[at+1].is("replace")
		at += 2
	}
	switch {
	case body[0].is("insert", "replace"):
		w.verb = "insert"
		at++ // into
	case body[0].is("delete"):
		at++ // from
	case body[0].is("update"):
	default:
		return
	}
	if at+2 < len(body) && body[at+1].is(".") {
		at += 2
	}
	if at >= len(body) {
		return
	}
	w.table = body[at].text
	rest := body[at+1:]
	bare := slices.IndexFunc(rest, func(w word) bool { return w.is("where") })
	switch w.verb {
	case "delete", "update":
		w.removes = w.verb == "delete"
		if w.veiled = veils(rest); bare >= 0 && !w.filtered(rest[:bare]) {
			w.assigned(rest[:bare])
			w.identified(rest[bare+1:])
		}
		w.all = isRow(w.found[1], "old")
	case "insert":
		w.inserted(rest)
		w.removes = len(w.columns) > 0 && strings.EqualFold(w.columns[0], w.table) && len(w.rows) == 1 && len(w.rows[0]) > 0 &&
			len(w.rows[0][0]) == 1 && w.rows[0][0][0].quoted && w.rows[0][0][0].text == "delete"
		w.all = w.removes && !w.filtered(rest)
	}
	g.writes = append(g.writes, w)
}

// identified reads a condition that finds a row by its bare id.
func (w *write) identified(condition []word) {
	equal := slices.IndexFunc(condition, func(w word) bool { return w.is("=") })
	if equal < 0 {
		return
	}
	a, b := condition[:equal], condition[equal+1:]
	if len(a) > 0 && len(b) > 0 && b[0].is("=") {
		b = b[1:]
	}
	if len(a) > 0 && a[0].is("old", "new") {
		a, b = b, a
	}
	if len(a) == 3 && a[1].is(".") && strings.EqualFold(a[0].text, w.table) {
		a = a[2:]
	}
	if len(a) == 1 && len(b) == 3 {
		w.found = [2][]word{a, b}
	}
}

// assigned reads which columns an update sets.
func (w *write) assigned(t []word) {
	for i := 1; i < len(t); i++ {
		if t[i].is("=") {
			w.sets = append(w.sets, t[i-1].text)
		}
	}
}

// isRow says that the expression is a column of the row that changed, as it was
// (old) or as it is (new).
func isRow(e []word, which string) bool { return len(e) == 3 && e[0].is(which) && e[1].is(".") }

// veils says that a statement has a name old or new of its own.
func veils(t []word) bool {
	for i, w := range t {
		if !strings.EqualFold(w.text, "old") && !strings.EqualFold(w.text, "new") || i+1 < len(t) && t[i+1].is(".") && (i == 0 || !t[i-1].is(".")) {
			continue
		}
		if w.quote != '\'' || i > 0 && (t[i-1].is("as", ")") || t[i-1].quoted || t[i-1].named()) {
			return true
		}
	}
	return false
}

// named says that the word may be a name, after which a text is another name for it.
func (w word) named() bool {
	return isWord(w.text[0]) && !w.is("select", "distinct", "all", "case", "when", "then", "else", "and", "or", "not", "in", "is", "like", "glob", "between", "values", "where", "having", "by", "on")
}

// filtered says that an insert reads its row from a select that may give none.
func (write) filtered(rest []word) bool {
	return slices.ContainsFunc(rest, func(w word) bool { return w.is("where", "from", "limit") })
}

// inserted reads an insert from what follows the table's name (sqlite.org/lang_insert).
func (w *write) inserted(t []word) {
	for i := 1; i < len(t); i++ {
		w.upserts = w.upserts || t[i-1].is("do") && t[i].is("update")
	}
	if len(t) > 1 && t[0].is("as") {
		t = t[2:]
	}
	if len(t) > 0 && t[0].is("(") {
		end := until(t[1:]) + 1
		for _, c := range split(t[1:end]) {
			w.columns = append(w.columns, c[0].text)
		}
		t = t[min(end+1, len(t)):]
	}
	w.veiled = veils(t)
	switch {
	case len(t) == 0:
	case t[0].is("values"):
		for t = t[1:]; len(t) > 0 && t[0].is("("); {
			end := until(t[1:]) + 1
			w.rows = append(w.rows, split(t[1:end]))
			if t = t[min(end+1, len(t)):]; len(t) == 0 || !t[0].is(",") {
				break
			}
			t = t[1:]
		}
	case t[0].is("select") && until(t, "union", "intersect", "except") == len(t):
		w.rows = [][][]word{split(t[1:until(t, "from", "where", "on", "returning", "limit")])}
	}
}

// until is where, outside of brackets, one of the words or signs stands first or
// the bracket closes that was open before.
func until(t []word, any ...string) int {
	depth := 0
	for i, x := range t {
		switch {
		case depth == 0 && (x.is(any...) || x.is(")")):
			return i
		case x.is("("):
			depth++
		case x.is(")"):
			depth--
		}
	}
	return len(t)
}

// split cuts a list at its commas.
func split(t []word) (out [][]word) {
	for len(t) > 0 {
		end := until(t, ",")
		if end == 0 {
			return nil
		}
		out = append(out, t[:end])
		if end == len(t) {
			break
		}
		t = t[end+1:]
	}
	return out
}

// word is a token of SQL: a name, a keyword, a text or a sign.
type word struct {
	text   string
	quoted bool
	quote  byte // the sign that it is quoted by
}

// is says whether the word is one of the keywords or signs.
func (w word) is(any ...string) bool {
	return !w.quoted && slices.ContainsFunc(any, func(s string) bool { return strings.EqualFold(s, w.text) })
}

// words splits SQL into tokens, without space and comments.
func words(text string) []word {
	var out []word
	for i := 0; i < len(text); {
		rest := text[i:]
		n := 1
		switch c := text[i]; {
		case strings.HasPrefix(rest, "--"):
			if n = strings.IndexByte(rest, '\n'); n < 0 {
				n = len(rest)
			}
		case strings.HasPrefix(rest, "/*"):
			if n = strings.Index(rest[2:], "*/") + 4; n < 4 {
				n = len(rest)
			}
		case strings.IndexByte("'\"`[", c) >= 0:
			var name string
			name, n = unquote(rest)
			out = append(out, word{name, true, c})
		case isWord(c):
			for n < len(rest) && isWord(rest[n]) {
				n++
			}
			out = append(out, word{text: rest[:n]})
		case strings.IndexByte(" \t\r\n\f", c) < 0:
			out = append(out, word{text: rest[:1]})
		}
		i += n
	}
	return out
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// unquote reads the quoted text that s begins with, and how long it is there.
func unquote(s string) (text string, length int) {
	end := s[0]
	if end == '[' {
		end = ']'
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != end {
			b.WriteByte(s[i])
			continue
		}
		if end == ']' || i+1 == len(s) || s[i+1] != end {
			return b.String(), i + 1
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String(), len(s)
}
