package sqltext

import (
	"strings"

	"github.com/tenurehq/tenure/connector"
)

var (
	// named are the words that a name follows.
	named = strings.Fields(`table schema into join references role user database index view sequence type domain column constraint trigger policy extension
 publication subscription server function procedure aggregate collation conversion language tablespace only group owner authorization savepoint rename collate`)
	// valued are the words that a value follows.
	valued = strings.Fields(`like ilike limit offset default interval date time timestamp timestamptz between escape password until then else glob`)
)

// bare judges a hole that stands by itself.
func (p spot) bare(kind connector.ValueKind) place {
	if p.glued() {
		if p.bends() {
			return refused(asNothing, inQuotes, "an expression stands at a quotation mark, of which it could make something else")
		}
		return refused(asWord, inQuotes, "an expression stands in the middle of a word")
	}
	if p.isName() {
		if kind == connector.List || kind == connector.Truth {
			return refused(asWord, "", "an expression that is no text stands where a name is wanted")
		}
		return place{takes: asName, token: p.at, role: p.isRole()}
	}
	out := place{signs: p.operatorBeside()}
	switch {
	case p.after(1).sort == literal || p.after(1).sort == escaped || p.after(1).sort == coded || p.after(1).is("("):
		return refused(asWord, inQuotes, "nothing tells what this expression stands for")
	case p.listed():
		out.takes = asList
		return out
	case kind == connector.List:
		return refused(asWord, "write in (${…}) or array[${…}]", "nothing tells what a list stands for here")
	case p.isValue():
		out.takes = asValue
		return out
	case kind == connector.Text || kind == connector.Any:
		out.takes, out.hint, out.why = asWord, inQuotes+", or int(…) for a number", "nothing tells whether this expression is a value or a name"
		out.number = true
		return out
	}
	out.takes = asNumber
	return out
}

// glued says whether the hole touches what it would be one token with.
func (p spot) glued() bool {
	if at := p.token.start - 1; at >= 0 {
		c := p.text[at]
		if isWord(c) || strings.IndexByte("'\"`]\x00\\", c) >= 0 && !(c == ']' && !p.brackets) || strings.IndexByte(p.variable, c) >= 0 {
			return true
		}
		if c == '.' && p.tokens[p.at-1].sort == number {
			return true
		}
	}
	if at := p.token.end; at < len(p.text) {
		c := p.text[at]
		return isWord(c) || strings.IndexByte("'\"`\x00\\", c) >= 0 || c == '[' && p.brackets || p.tokenAt(p.at+1).sort == number && p.tokens[p.at+1].start == at
	}
	return false
}

// bends says whether what the hole touches is read in another way by what is in it.
func (p spot) bends() bool {
	before, after := p.token.start-1, p.token.end
	for after < len(p.text) && (isLetter(p.text[after]) || isDigit(p.text[after]) || p.text[after] == hole) {
		after++
	}
	return after < len(p.text) && strings.IndexByte("'\"`&$", p.text[after]) >= 0 || before >= 0 && p.text[before] == '$'
}

// isName says whether the hole is a name, as far as its neighbours tell.
func (p spot) isName() bool {
	b, bb := p.before(1), p.before(2)
	switch {
	case b.is(".") || p.after(1).is("."):
		return true
	case b.is("from"):
		return !bb.is("distinct") && !p.inCall()
	case b.is("update"):
		return !bb.is("on", "for", "do", "after", "before", "or")
	case b.is("exists"):
		return bb.is("if") || bb.is("not") && p.before(3).is("if")
	case b.is("on"):
		return p.starts("grant", "revoke", "comment", "create")
	case b.is("to"):
		return bb.is("owner") || p.starts("grant") || p.says("rename")
	case b.is("set"):
		return p.starts("update", "set") || p.starts("alter") && p.after(1).is("=", "to")
	case b.is("trigger", "function", "procedure", "type", "language", "user", "group", "role", "domain"):
		return p.starts("create", "alter", "drop", "comment", "grant", "revoke", "set")
	case b.is(named...):
		return true
	case b.is(",") && p.opener(p.at) < 0:
		return p.starts("grant", "revoke", "drop") && p.says("to", "from", "on", "table", "role")
	case b.is("(", ","):
		return p.column()
	}
	return false
}

// isRole says whether the hole names a role, as far as its neighbours tell.
func (p spot) isRole() bool {
	if p.after(1).is(".") || p.longest == 0 {
		return false
	}
	return p.before(1).is("to", "from", "role", "user", "group", "authorization", "by", "for") || p.before(1).is(",") && p.starts("grant", "revoke", "create", "alter", "drop", "reassign")
}

// inCall says whether the bracket around the hole belongs to a function.
func (p spot) inCall() bool {
	at := p.opener(p.at)
	return at >= 0 && p.tokenAt(p.nearest(at)).is("extract", "substring", "trim", "overlay", "position", "normalize")
}

// column says whether the hole is one of the columns that a bracket lists.
func (p spot) column() bool {
	at := p.opener(p.at)
	if at < 0 {
		return false
	}
	i := p.nearest(at)
	if p.tokenAt(i).is("key", "unique") {
		return true
	}
	for ; i >= p.first; i = p.nearest(i) { // back over a name, with its schema
		t := p.tokens[i]
		if t.is("into", "references", "table") || t.is("exists") && p.says("table") {
			return true
		}
		if !(t.sort == word || t.sort == name || t.sort == open || t.is(".")) {
			return false
		}
		if (t.sort == word || t.sort == name || t.sort == open) && p.nearest(i) >= p.first {
			if b := p.tokens[p.nearest(i)]; !b.is(".", "into", "references", "table", "exists") {
				return false
			}
		}
	}
	return false
}

// isValue says whether the hole is a value, as far as its neighbours tell.
func (p spot) isValue() bool {
	b := p.before(1)
	switch {
	case b.is("(", ","):
		return p.rowOfValues(p.opener(p.at))
	case b.is("from"):
		return p.before(2).is("distinct")
	case b.is("to"):
		return p.starts("set") || p.starts("alter") && p.says("set")
	case b.is("is"):
		return p.starts("comment")
	}
	return b.is(valued...) || b.sort == sign && strings.Contains("=<>+-*/%^|&!~#@", b.text) && !p.afterStar()
}

// afterStar says whether the sign before is the * of select *.
func (p spot) afterStar() bool {
	return p.before(1).is("*") && p.before(2).is("select", ".", "(", "returning")
}

// rowOfValues says whether a bracket is one of those that follow values.
func (p spot) rowOfValues(at int) bool {
	for at >= p.first {
		i := p.nearest(at)
		if p.tokenAt(i).is("values") {
			return true
		}
		if !p.tokenAt(i).is(",") || !p.tokenAt(p.nearest(i)).is(")") {
			return false
		}
		at = p.opener(p.nearest(i))
	}
	return false
}

// listed says whether the hole is one of in (…) or array[…].
func (p spot) listed() bool {
	at := p.opener(p.at)
	if at < 0 || !p.before(1).is("(", "[", ",") || !p.after(1).is(")", "]", ",") {
		return false
	}
	b := p.tokenAt(p.nearest(at))
	return p.tokens[at].is("(") && b.is("in") || p.tokens[at].is("[") && b.is("array")
}

// operatorBeside says whether a sign that could take a minus along stands beside.
func (p spot) operatorBeside() bool {
	beside := func(t token) bool { return t.sort == sign && strings.Contains("=<>+-*/%^|&!~#@:[?", t.text) }
	return beside(p.before(1)) || beside(p.after(1))
}
