package sqltext

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// takes is how a value is written at a place.
type takes int

const (
	asNothing takes = iota
	asWord          // letters and digits alone, for what nothing else can be told of
	asRemark        // words and what ends no comment
	asContent       // of '…'
	asEscaped       // of E'…'
	asPlain         // of a literal that is itself a notation: nothing that one could mean something by
	asName          // a whole name
	asPart          // of a name in quotes
	asValue         // a literal or a number
	asNumber        // a number, true or false
	asList          // a value, or several between commas
)

// place is what a hole takes, and why nothing new may stand there.
type place struct {
	takes
	why, hint string
	token     int  // of the name that it is a part of, which is measured as a whole
	quote     byte // of a name
	signs     bool // an operator stands beside: a negative number needs brackets
	dollars   bool // within $…$: a $ would end it
	role      bool // of a role: public and none are none, in quotes too
	number    bool // a number may stand there, whatever else may
	rest      int  // bytes of the name that aren't a value's
}

const inQuotes = `write '${…}' for a value, or "${…}" for a name`

// places judges every hole.
func (s *script) places(kinds []connector.ValueKind) []place {
	out := make([]place, 0, len(kinds))
	statement, depth := 0, 0
	for i, t := range s.tokens {
		switch {
		case t.sort != sign:
		case t.text == "(" || t.text == "[":
			depth++
		case t.text == ")" || t.text == "]":
			depth--
		case t.text == ";" && depth <= 0:
			statement, depth = i+1, 0
		}
		if len(t.holes) > 0 {
			at := spot{script: s, at: i, token: t, first: statement}
			out = append(out, at.places(kinds)...)
		}
	}
	return out
}

// spot is a token that is a hole or has some, among its neighbours.
type spot struct {
	*script
	at    int
	token token
	first int // token that begins the statement
}

func (p spot) places(kinds []connector.ValueKind) []place {
	var out []place
	for _, h := range p.token.holes {
		out = append(out, p.place(h, kinds[h]))
	}
	if p.token.sort == dollar {
		inner := p.cut(p.text[p.token.from:p.token.to], p.token.holes[0]).places(kinds)
		for i, in := range inner {
			out[i].takes, out[i].quote, out[i].signs, out[i].dollars, out[i].number = in.takes, in.quote, in.signs, true, in.number
			out[i].token, out[i].rest = -1-in.token, in.rest
		}
	}
	return out
}

func refused(t takes, hint, why string) place { return place{takes: t, why: why, hint: hint} }

// place judges one hole.
func (p spot) place(h int, kind connector.ValueKind) place {
	t := p.token
	if !t.closed {
		return refused(asNothing, "close it", "an expression stands in quotes that nothing closes")
	}
	switch t.sort {
	case comment:
		return refused(asRemark, "leave it out", "an expression stands in a comment")
	case dollar:
		return refused(asWord, "hand the value over: as a parameter of the function, by set_config, or by a table", "an expression stands in a text in dollar quotes, which is code within the code")
	case coded:
		return refused(asWord, "write a plain literal", "an expression stands in a literal that is written in digits or escapes")
	case literal, escaped:
		return p.content(h)
	case name:
		return p.part(h)
	case open:
		return p.bare(kind)
	}
	return refused(asWord, inQuotes, "an expression stands in the middle of a word")
}

// part judges a hole within a name in quotes.
func (p spot) part(h int) place {
	rest := strings.ReplaceAll(p.text[p.token.from:p.token.to], string(rune(hole)), "")
	return place{takes: asPart, quote: p.token.quote, token: p.at, role: p.isRole(), rest: len(strings.ReplaceAll(rest, `""`, `"`))}
}

// before and after are the neighbouring tokens, comments left out; n is 1 for the
// nearest.
func (p spot) before(n int) token { return p.neighbour(n, -1) }
func (p spot) after(n int) token  { return p.neighbour(n, 1) }

func (p spot) neighbour(n, step int) token {
	for i := p.at + step; i >= p.first && i < len(p.tokens); i += step {
		if p.tokens[i].sort == sign && p.tokens[i].text == ";" {
			break
		}
		if p.tokens[i].sort != comment {
			if n--; n == 0 {
				return p.tokens[i]
			}
		}
	}
	return token{sort: comment}
}

// is says whether the token is one of the keywords or signs.
func (t token) is(any ...string) bool {
	return (t.sort == word || t.sort == sign) && slices.Contains(any, t.text)
}

// starts says whether the statement begins with one of the keywords.
func (p spot) starts(any ...string) bool {
	for _, t := range p.tokens[p.first : p.at+1] {
		if t.sort != comment {
			return t.is(any...)
		}
	}
	return false
}

// says says whether one of the keywords stands in the statement before the hole.
func (p spot) says(any ...string) bool {
	return slices.ContainsFunc(p.tokens[p.first:p.at], func(t token) bool { return t.is(any...) })
}

// opener is the number of the bracket that the hole stands in, -1 if in none.
func (p spot) opener(at int) int {
	depth := 0
	for i := at - 1; i >= p.first; i-- {
		switch {
		case p.tokens[i].is(")", "]"):
			depth++
		case p.tokens[i].is("(", "["):
			if depth--; depth < 0 {
				return i
			}
		}
	}
	return -1
}

// nearest is the number of the token before one, comments left out.
func (p spot) nearest(at int) int {
	for at--; at >= p.first && p.tokens[at].sort == comment; at-- {
	}
	return at
}

func (p spot) tokenAt(i int) token {
	if i < p.first || i >= len(p.tokens) {
		return token{sort: comment}
	}
	return p.tokens[i]
}
