package postgres

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word, a constant or a sign of SQL or PL/pgSQL. Comments aren't kept.
type token struct {
	text   string
	value  string // of a constant, whose text is a quotation mark
	word   bool   // a name or a keyword
	quoted bool   // so it is no keyword
}

func (t token) is(keywords ...string) bool {
	return t.word && !t.quoted && slices.Contains(keywords, t.text)
}

// tokens cuts a text as the server's scanner does (PostgreSQL §4.1).
func tokens(text string) (out []token) {
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case strings.HasPrefix(text, "--"):
			size = upTo(text, 0, "\n")
		case strings.HasPrefix(text, "/*"):
			size = comment(text)
		case r == '\'':
			size = constant(text, len(out) > 0 && out[len(out)-1].is("e"))
			if len(out) > 0 && out[len(out)-1].is("e", "b", "x", "n") {
				out = out[:len(out)-1]
			}
			out = append(out, token{text: "'", value: strings.ReplaceAll(strings.Trim(text[:size], "'"), "''", "'")})
		case r == '$' && dollar(text) != "":
			tag := dollar(text)
			size = upTo(text, len(tag), tag)
			out = append(out, token{text: "'"})
		case r == '"':
			var name string
			name, size = quotedName(text)
			out = append(out, token{text: name, word: true, quoted: true})
		case r == '_' || unicode.IsLetter(r) || r >= utf8.RuneSelf:
			for size < len(text) {
				next, n := utf8.DecodeRuneInString(text[size:])
				if next != '_' && next != '$' && !unicode.IsLetter(next) && !unicode.IsDigit(next) && next < utf8.RuneSelf {
					break
				}
				size += n
			}
			out = append(out, token{text: strings.ToLower(text[:size]), word: true})
		case unicode.IsSpace(r):
		default:
			out = append(out, token{text: text[:size]})
		}
		text = text[size:]
	}
	return out
}

// upTo is the length of text up to the end of the next mark after from.
func upTo(text string, from int, mark string) int {
	if i := strings.Index(text[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(text)
}

// comment is the length of a comment, which may hold others.
func comment(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// constant is the length of a text in quotes.
func constant(text string, escapes bool) int {
	for i := 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == '\'':
			return i + 1
		}
	}
	return len(text)
}

// dollar is the tag that begins a text in dollar quotes, "" if none does.
func dollar(text string) string {
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '$':
			return text[:i+1]
		case c == '_' || c >= utf8.RuneSelf || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 1 && c >= '0' && c <= '9':
		default:
			return ""
		}
	}
	return ""
}

func quotedName(text string) (name string, size int) {
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			i++
			continue
		}
		return strings.ReplaceAll(text[1:i], `""`, `"`), i + 1
	}
	return text[1:], len(text)
}

// name is a name as a text writes it, with its schema if it gives one.
type name struct{ schema, name string }

func (n name) String() string {
	if n.schema == "" {
		return n.name
	}
	return n.schema + "." + n.name
}

// doing is what a text of SQL or PL/pgSQL does, as far as it can be read.
type doing struct {
	writes []writing
	calls  []name   // what may be functions
	keeps  []string // what of old and new it returns, or null
	sets   []string // the columns of new that it sets
	raises bool     // it may end in an error of its own
	hidden string   // what it does that can't be read from it, in words; "" if all can
}

// writing is one statement that writes to a table.
type writing struct {
	name
	verb string // insert, update, delete, merge, truncate or copy
	on   events // at which events a trigger gets there
	insertion
}

// unreadable are the words that begin what the text itself doesn't tell.
var unreadable = map[string]string{
	"execute": "runs SQL that it puts together", "create": "makes objects", "alter": "alters objects", "drop": "drops objects", "call": "calls a procedure",
}

// outward are the server's own functions by which a text can write elsewhere.
var outward = []string{"lo_from_bytea", "lo_put", "lowrite", "lo_import", "lo_export", "query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "cursor_to_xml", "table_to_xml", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xml_and_xmlschema", "ts_rewrite", "ts_stat", "pg_logical_emit_message"}

// read says what a function's body or a rule does. It errs on the side of
// writing: a name that may be a target is one.
func read(text string) (d doing) {
	t := tokens(text)
	at := func(i int) token {
		if i < 0 || i >= len(t) {
			return token{}
		}
		return t[i]
	}
	reached := branches(t)
	target := func(verb string, i int) {
		on := reached[i-1]
		for at(i).is("only", "table", "into", "from") {
			i++
		}
		for at(i).word {
			n, end := nameAt(t, i)
			w := writing{name: n, verb: verb, on: on}
			if verb == "insert" {
				w.insertion = inserted(t[end:])
			}
			d.writes = append(d.writes, w)
			if i = end + 1; verb != "truncate" || at(end).text != "," {
				return
			}
		}
	}
	d.assigned(t)
	for i := range t {
		switch {
		case at(i).is("insert", "merge") && at(i+1).is("into"), at(i).is("delete") && at(i+1).is("from"):
			target(at(i).text, i+1)
		case at(i).is("update") && !at(i+1).is("set", "of", "nowait", "skip") && !at(i-1).is("for", "key", "on", "do", "or"):
			target("update", i+1)
		case at(i).is("truncate", "copy") && !at(i-1).is("on", "or"):
			target(at(i).text, i+1)
		case at(i).word && !at(i).quoted && unreadable[at(i).text] != "" && begins(at(i-1)):
			d.hidden = unreadable[at(i).text]
		case at(i).is("raise") && !at(i+1).is("notice", "info", "log", "debug", "warning"):
			d.raises = true
		case at(i).is("do") && (at(i+1).text == "'" || at(i+1).is("language")):
			d.hidden = "runs a block of code"
		case at(i).is("return") && at(i+1).is("null", "old", "new"):
			d.keeps = append(d.keeps, at(i+1).text)
			if at(i+1).text != "null" && at(i+2).text != ";" && !at(i+2).is("end") { // something made of it
				d.sets = append(d.sets, "*")
			}
		case at(i).is("return") && at(i+1).text != ";" && !at(i+1).is("query", "next"):
			d.sets = append(d.sets, "*")
		case at(i).word && at(i-1).text != ".":
			n, end := nameAt(t, i)
			switch {
			case at(end).text == "(":
				d.calls = append(d.calls, n)
				if slices.Contains(outward, n.name) {
					d.hidden = "calls " + n.name
				}
			case n.schema != "": // a function may be written like a column of its argument
				d.calls = append(d.calls, name{name: n.name})
			}
		case at(i).word && at(i-2).text == ")":
			d.calls = append(d.calls, name{name: at(i).text})
		}
	}
	return d
}

// begins says whether a statement can begin after the token.
func begins(before token) bool {
	return !before.word && (before.text == "" || before.text == ";" || before.text == "(" || before.text == ">") ||
		before.is("begin", "then", "else", "loop", "do", "also", "instead", "as", "query", "atomic", "in", "for", "exception")
}

// nameAt reads a name with its schema, and where it ends.
func nameAt(t []token, i int) (name, int) {
	n := name{name: t[i].text}
	for i+2 < len(t) && t[i+1].text == "." && t[i+2].word {
		n.schema, n.name = n.name, t[i+2].text
		i += 2
	}
	return n, i + 1
}
