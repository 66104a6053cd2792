package sqltext

import (
	"strings"
)

// sort is what a token is.
type sort int

const (
	sign    sort = iota // one character of an operator, a bracket, a comma …
	word                // a keyword or a name without quotes
	number              // a number, as far as its characters go
	literal             // '…'
	escaped             // E'…', which knows backslashes
	coded               // B'…', X'…', U&'…', U&"…": the content is a notation
	dollar              // $tag$…$tag$
	name                // "…", and `…` or […]
	comment
	open // a hole by itself
)

// token is a piece of a text. Of what is in quotes, inner is what stands within.
type token struct {
	sort
	text       string // a word in lower case; a sign
	start, end int
	from, to   int // of inner
	quote      byte
	holes      []int // within
	closed     bool
	half       map[int]bool // holes that stand in the middle of an escape
}

// script is a text with its holes as one string, cut into tokens.
type script struct {
	Dialect
	text   string
	first  int // number of the first hole
	tokens []token
	hole   int
}

func (d Dialect) scan(around []string) *script {
	return d.cut(strings.Join(around, string(rune(hole))), 0)
}

func (d Dialect) cut(text string, first int) *script {
	s := &script{Dialect: d, text: text, first: first, hole: first}
	for i := 0; i < len(text); {
		t := s.next(i)
		for at := t.start; at < t.end; at++ {
			if text[at] == hole {
				t.holes = append(t.holes, s.hole)
				s.hole++
			}
		}
		if i = t.end; t.sort != sign || !isSpace(text[t.start]) {
			s.tokens = append(s.tokens, t)
		}
	}
	return s
}

func isSpace(c byte) bool { return strings.IndexByte(" \t\r\n\f\v", c) >= 0 }

// isWord says whether a byte may stand within a name; what isn't ASCII may.
func isWord(c byte) bool { return isLetter(c) || isDigit(c) || c == '$' }

func isLetter(c byte) bool {
	return c == '_' || c >= 0x80 || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// next is the token that begins at i.
func (s *script) next(i int) token {
	rest := s.text[i:]
	c := rest[0]
	t := token{start: i, end: i + 1, text: rest[:1], closed: true}
	switch {
	case c == hole:
		t.sort = open
	case c == '#' && s.hash, strings.HasPrefix(rest, "--") && !(s.hash && len(rest) > 2 && (rest[2] > ' ' || rest[2] == hole)):
		t.sort, t.end = comment, i+lineLength(rest, s.nested)
	case strings.HasPrefix(rest, "/*") && !(s.hash && (strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!"))):
		t.sort, t.end = comment, i+s.comment(rest)
	case c == '\'':
		s.quoted(&t, literal, 1)
	case c == '"', c == '`' && s.ticks, c == '[' && s.brackets:
		s.quoted(&t, name, 1)
	case s.prefix(rest) > 0:
		n := s.prefix(rest)
		kind := map[byte]sort{'e': escaped, 'n': literal}[rest[0]|0x20]
		if kind == sign {
			kind = coded
		}
		s.quoted(&t, kind, n+1)
	case c == '$' && s.dollars && tag(rest) != "":
		s.dollar(&t, tag(rest))
	case isLetter(c):
		t.sort, t.end = word, i+length(rest, isWord)
		t.text = strings.ToLower(s.text[i:t.end])
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		t.sort, t.end = number, i+length(rest, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '.' })
	}
	return t
}

// length is how far a text goes on with such bytes.
func length(text string, is func(byte) bool) int {
	n := 1
	for n < len(text) && is(text[n]) {
		n++
	}
	return n
}

// lineLength is the length of a comment to the end of the line. A carriage return
// ends it in PostgreSQL.
func lineLength(text string, returns bool) int {
	ends := "\n"
	if returns {
		ends = "\r\n"
	}
	if n := strings.IndexAny(text, ends); n >= 0 {
		return n
	}
	return len(text)
}

func (s *script) comment(text string) int {
	depth := 1
	for i := 2; i < len(text); i++ {
		switch {
		case s.nested && strings.HasPrefix(text[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(text[i:], "*/"):
			i++
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// prefix is the length of what makes a literal of another kind, 0 if nothing does.
func (s *script) prefix(text string) int {
	c := text[0] | 0x20
	if c < 'a' || strings.IndexByte(s.prefixes, c) < 0 {
		return 0
	}
	switch rest := text[1:]; {
	case c == 'u' && (strings.HasPrefix(rest, "&'") || strings.HasPrefix(rest, `&"`)):
		return 2
	case c != 'u' && strings.HasPrefix(rest, "'"):
		return 1
	}
	return 0
}

// quoted reads what is in quotes; skip is the length of how it begins.
func (s *script) quoted(t *token, kind sort, skip int) {
	t.sort, t.from = kind, t.start+skip
	t.quote = s.text[t.from-1]
	ends := t.quote
	if ends == '[' {
		ends = ']'
	}
	t.closed = false
	seen := s.hole
	for i := t.from; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == hole:
			seen++
		case c == '\\' && kind == escaped:
			n := escapeLength(s.text[i:])
			if i+n < len(s.text) && s.text[i+n] == hole && opened(s.text[i:i+n]) {
				t.setHalf(seen)
			}
			i += n - 1
		case c != ends:
		case ends != ']' && i+1 < len(s.text) && s.text[i+1] == ends:
			i++
		default:
			t.to, t.end, t.closed = i, i+1, true
			return
		}
	}
	t.to, t.end = len(s.text), len(s.text)
}

func (t *token) setHalf(n int) {
	if t.half == nil {
		t.half = map[int]bool{}
	}
	t.half[n] = true
}

// escapeLength is how long the escape is that a text begins with (PostgreSQL
// §4.1.2.2). One that a hole cuts off ends before the hole.
func escapeLength(text string) int {
	if len(text) == 1 || text[1] == hole {
		return 1
	}
	if longest := digits(text[1]); longest > 0 {
		n, end := 2, 2+longest
		if text[1] >= '0' && text[1] <= '7' {
			end = 1 + longest
		}
		for n < len(text) && n < end && isHex(text[n]) {
			n++
		}
		return n
	}
	return 2
}

// digits is how many digits an escape may have.
func digits(c byte) int {
	return map[byte]int{'x': 2, 'u': 4, 'U': 8, '0': 3, '1': 3, '2': 3, '3': 3, '4': 3, '5': 3, '6': 3, '7': 3}[c]
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// opened says whether an escape would go on with a digit after it.
func opened(escape string) bool {
	if len(escape) == 1 {
		return true
	}
	longest := digits(escape[1])
	if escape[1] >= '0' && escape[1] <= '7' {
		return len(escape) < 1+longest
	}
	return longest > 0 && len(escape) < 2+longest
}

// tag is the sign that begins a text in dollar quotes, "" if none does.
func tag(text string) string {
	n := 1
	for n < len(text) && (isLetter(text[n]) || n > 1 && isDigit(text[n])) {
		n++
	}
	if n < len(text) && text[n] == '$' {
		return text[:n+1]
	}
	return ""
}

func (s *script) dollar(t *token, tag string) {
	t.sort, t.text, t.from = dollar, tag, t.start+len(tag)
	t.to, t.end, t.closed = len(s.text), len(s.text), false
	if n := strings.Index(s.text[t.from:], tag); n >= 0 {
		t.to, t.end, t.closed = t.from+n, t.from+n+len(tag), true
	}
}
