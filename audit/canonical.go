package audit

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

const maxDepth = 16

// appendString writes s as a JSON string with the escapes of RFC 8785
// §3.2.2.2 and no others. Text that isn't UTF-8 is written as it is.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		if short := shortEscape(c); short != 0 {
			b = append(b, '\\', short)
		} else {
			b = append(b, '\\', 'u', '0', '0', '0'+c>>4, "0123456789abcdef"[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}

// shortEscape is the letter that follows the backslash, or 0 if c has none.
func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\b':
		return 'b'
	case '\t':
		return 't'
	case '\n':
		return 'n'
	case '\f':
		return 'f'
	case '\r':
		return 'r'
	}
	return 0
}

// plainKey says whether s may name a field: not empty and nothing to escape,
// so that the order of the names is the order of their bytes.
func plainKey(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// canonicalObject says whether b is a JSON object with at least one field in
// the one form that this package writes: plain keys in strictly ascending byte
// order, no white space, canonical strings, integers within ±(2⁵³−1).
func canonicalObject(b []byte) bool {
	if len(b) < 3 || b[0] != '{' {
		return false
	}
	s := scanner{b: b}
	return s.value(0) && s.i == len(b) && utf8.Valid(b)
}

type scanner struct {
	b []byte
	i int
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) value(depth int) bool {
	if s.i >= len(s.b) || depth > maxDepth {
		return false
	}
	switch s.b[s.i] {
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case '"':
		_, ok := s.text()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.integer()
}

func (s *scanner) object(depth int) bool {
	s.i++
	if s.take('}') {
		return true
	}
	var last []byte
	for {
		key, ok := s.text()
		if !ok || !plainKey(string(key)) || bytes.Compare(key, last) <= 0 || !s.take(':') || !s.value(depth+1) {
			return false
		}
		if s.take('}') {
			return true
		}
		if last = key; !s.take(',') {
			return false
		}
	}
}

func (s *scanner) array(depth int) bool {
	s.i++
	if s.take(']') {
		return true
	}
	for s.value(depth + 1) {
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// text reads a string and returns what stands between its quotes, escaped.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	start := s.i
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch {
		case c == '"':
			return s.b[start : s.i-1], true
		case c < ' ', c == '\\' && !s.escape():
			return nil, false
		}
	}
	return nil, false
}

// escape reads what follows a backslash and accepts only what appendString writes.
func (s *scanner) escape() bool {
	if s.i >= len(s.b) {
		return false
	}
	c := s.b[s.i]
	s.i++
	switch c {
	case '"', '\\', 'b', 't', 'n', 'f', 'r':
		return true
	case 'u':
	default:
		return false
	}
	if len(s.b)-s.i < 4 {
		return false
	}
	digits := string(s.b[s.i : s.i+4])
	s.i += 4
	n, err := strconv.ParseUint(digits, 16, 16)
	return err == nil && n < ' ' &&
		string(appendString(nil, string(rune(n)))) == `"\u`+digits+`"`
}

func (s *scanner) integer() bool {
	start := s.i
	for s.i < len(s.b) && (s.b[s.i] == '-' || s.b[s.i] >= '0' && s.b[s.i] <= '9') {
		s.i++
	}
	text := string(s.b[start:s.i])
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n <= maxInt && n >= -maxInt && strconv.FormatInt(n, 10) == text
}
