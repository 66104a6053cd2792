package postgres

import "slices"

// assigned finds what the text of a trigger's function does to its old and new: the
// columns of new that it sets, "*" for all of them. One that sets old, or gives
// either name to something else, can't be read: what it calls so isn't the row.
func (d *doing) assigned(t []token) {
	at := func(i int) token {
		if i < 0 || i >= len(t) {
			return token{}
		}
		return t[i]
	}
	set := func(i int) {
		switch {
		case row(at(i), "old"):
			d.hidden = "changes what it calls old"
		case !row(at(i), "new"):
		case at(i+1).text == "." && at(i+2).word:
			d.sets = append(d.sets, at(i+2).text)
		default:
			d.sets = append(d.sets, "*")
		}
	}
	list := func(i int) { // of targets, with commas between them
		for ; at(i).word; i++ {
			set(i)
			if i = whole(t, i); at(i).text != "," {
				return
			}
		}
	}
	for i := range t {
		switch {
		case at(i).is("into") && !at(i-1).is("insert", "merge"):
			if at(i + 1).is("strict") {
				list(i + 2)
			} else {
				list(i + 1)
			}
		case at(i).is("foreach"), at(i).is("for") && starts(at(i-1)):
			list(i + 1)
		case row(at(i), "old", "new") && at(i-1).text != ".":
			end := whole(t, i)
			assigns := at(end).text == ":" && at(end+1).text == "=" || at(end).text == "=" && (starts(at(i-1)) || at(i-1).is("diagnostics") || at(i-1).text == "," && diagnoses(t[:i]))
			switch {
			case assigns:
				set(i)
			case at(i-1).is("for") && at(i-2).is("alias"):
				d.hidden = "gives " + at(i).text + " another name"
			case renames(at(i-1), at(i+1), at(i+2)):
				d.hidden = "gives the name " + at(i).text + " to something else"
			}
		}
	}
}

// whole is where a name with all its parts and subscripts ends.
func whole(t []token, i int) int {
	for i++; i+1 < len(t); i++ {
		switch t[i].text {
		case ".":
			i++
		case "[":
			i += 1 + until(t[i+1:], "]")
		default:
			return i
		}
	}
	return i
}

// diagnoses says that the statement under way is get diagnostics.
func diagnoses(t []token) bool {
	for i := len(t) - 1; i >= 0 && t[i].text != ";"; i-- {
		if t[i].is("diagnostics") {
			return true
		}
	}
	return false
}

// row says that the token is one of the names of the row that changes.
func row(t token, names ...string) bool { return t.word && slices.Contains(names, t.text) }

// starts says whether a statement of PL/pgSQL starts after the token.
func starts(before token) bool {
	return !before.word && (before.text == "" || before.text == ";" || before.text == ">") || before.is("begin", "then", "else", "loop")
}

// valuesFollow are the keywords that a value may follow.
var valuesFollow = []string{"return", "select", "is", "from", "into", "and", "or", "not", "when", "then", "else", "on", "where", "values", "in", "distinct", "using", "perform",
	"case", "if", "elsif", "elseif", "while", "like", "ilike", "between", "all", "any", "row", "by", "returning", "next", "having", "only", "join", "update", "table", "to", "foreach", "for", "call", "assert"}

// renames says that a bare name which stands between the tokens is one that the text
// gives: in a declaration, to a common table expression, or after what it stands for.
func renames(before, after, then token) bool {
	switch {
	case after.text == ".":
		return false
	case before.is("declare") || before.text == ";":
		return after.word
	case after.is("as") && (then.text == "(" || then.is("materialized", "not")), before.text == ")":
		return true
	}
	return before.word && (before.quoted || !slices.Contains(valuesFollow, before.text))
}
