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
	writes      []write
	raises      string // ignore, abort, fail or rollback: the last that it names; "" for none
}

// write is one table that a trigger writes to.
type write struct {
	table   string
	removes bool // it takes rows out, or tells a full-text index of rows that go
	adds    bool // it puts rows in
	names   []string
}

// triggers reads the triggers of tables; those of views are left out, since no
// row of a view is ever deleted.
func triggers(ctx context.Context, q relational.Querier) ([]trigger, error) {
	var out []trigger
	var name, table, text string
	err := each(ctx, q, `select g.name, g.tbl_name, g.sql from sqlite_schema g join sqlite_schema t on t.type = 'table' and t.name = g.tbl_name collate nocase
 where g.type = 'trigger' order by g.name`, func() error {
		out = append(out, parseTrigger(name, table, text))
		return nil
	}, &name, &table, &text)
	return out, err
}

// parseTrigger reads a statement that SQLite has accepted (sqlite.org/lang_createtrigger).
func parseTrigger(name, table, text string) trigger {
	g := trigger{name: name, table: table}
	all := words(text)
	begin := slices.IndexFunc(all, func(w word) bool { return w.is("on") })
	for _, w := range all[:max(begin, 0)] {
		g.before = g.before || w.is("before")
		if w.is("insert") || w.is("update") || w.is("delete") {
			g.event = strings.ToLower(w.text)
		}
	}
	inside := false
	for i := range all {
		switch w := all[i]; {
		case inside && i > 0 && (all[i-1].is(";") || all[i-1].is("begin")):
			g.statement(all[i:])
		case !inside && w.is("begin") && i+1 < len(all) && all[i+1].is("insert", "replace", "update", "delete", "select"):
			inside = true
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
	at := 1
	if at < len(body) && body[at].is("or") {
		at += 2
	}
	switch {
	case body[0].is("insert", "replace"), body[0].is("delete"):
		at++ // into, from
	case body[0].is("update"):
	default:
		return
	}
	if at >= len(body) {
		return
	}
	w := write{table: body[at].text, removes: body[0].is("delete"), adds: body[0].is("insert", "replace")}
	for _, x := range body {
		w.names = append(w.names, x.text)
	}
	command := at+2 < len(body) && body[at+1].is("(") && strings.EqualFold(body[at+2].text, w.table)
	w.removes = w.removes || command && slices.ContainsFunc(body, func(x word) bool { return x.quoted && x.text == "delete" })
	g.writes = append(g.writes, w)
}

// word is a token of SQL: a name, a keyword, a text or a sign.
type word struct {
	text   string
	quoted bool
}

// is says whether the word is one of the keywords or signs.
func (w word) is(any ...string) bool {
	return !w.quoted && slices.ContainsFunc(any, func(s string) bool { return strings.EqualFold(s, w.text) })
}

// mentions says that the statement names a column, or has a text that is its name.
func (w write) mentions(name string) bool { return foldedIn(w.names, name) }

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
			out = append(out, word{name, true})
		case isWord(c):
			for n < len(rest) && isWord(rest[n]) {
				n++
			}
			out = append(out, word{rest[:n], false})
		case strings.IndexByte(" \t\r\n\f", c) < 0:
			out = append(out, word{rest[:1], false})
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
	for i := 1; i < len(s); i++ {
		if s[i] != end {
			text += s[i : i+1]
			continue
		}
		if end == ']' || i+1 == len(s) || s[i+1] != end {
			return text, i + 1
		}
		text += s[i : i+1]
		i++
	}
	return text, len(s)
}
