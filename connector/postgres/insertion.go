package postgres

import (
	"slices"

	"github.com/tenurehq/tenure/connector/relational"
)

// insertion is what an insert puts into its table.
type insertion struct {
	columns []string    // as it names them; none if it names none
	rows    [][][]token // the expressions of each row; none if they can't be read
	from    []token     // of a select: what it reads
	upserts bool        // it changes rows that are there
}

// inserted reads an insert from what follows the table's name (PostgreSQL, INSERT).
func inserted(t []token) (out insertion) {
	t = t[:until(t, ";")]
	out.upserts = slices.ContainsFunc(pairs(t), func(p [2]token) bool { return p[0].is("do") && p[1].is("update") })
	if len(t) > 1 && t[0].is("as") {
		t = t[2:]
	}
	if len(t) > 1 && t[0].text == "(" && !t[1].is("select", "values", "with") && t[1].text != "(" {
		end := closing(t)
		for _, c := range split(t[1:end]) {
			if len(c) != 1 { // a part of a column
				return insertion{upserts: out.upserts}
			}
			out.columns = append(out.columns, c[0].text)
		}
		t = t[min(end+1, len(t)):]
	}
	switch {
	case len(t) == 0:
	case t[0].is("values"):
		for t = t[1:]; len(t) > 0 && t[0].text == "("; {
			end := closing(t)
			out.rows = append(out.rows, split(t[1:end]))
			if t = t[min(end+1, len(t)):]; len(t) == 0 || t[0].text != "," {
				break
			}
			t = t[1:]
		}
	case t[0].is("select"):
		if until(t, "union", "intersect", "except") < len(t) {
			break
		}
		from := until(t, "from", "where", "on", "returning")
		out.rows = [][][]token{split(t[1:from])}
		if from < len(t) && t[from].is("from") {
			out.from = t[from+1:]
			out.from = out.from[:until(out.from, "where", "group", "order", "limit", "on", "returning", "having", "window", "for")]
		}
	}
	return out
}

// until is where, outside of brackets, one of the words or signs stands first or
// the statement ends.
func until(t []token, any ...string) int {
	depth := 0
	for i, x := range t {
		switch {
		case depth == 0 && (slices.Contains(any, x.text) && !x.quoted || x.text == ";" || x.text == ")"):
			return i
		case x.text == "(" || x.text == "[":
			depth++
		case x.text == ")" || x.text == "]":
			depth--
		}
	}
	return len(t)
}

// closing is where the bracket closes that t begins with.
func closing(t []token) int { return 1 + until(t[1:]) }

// split cuts a list at its commas.
func split(t []token) (out [][]token) {
	for len(t) > 0 {
		end := until(t, ",")
		out = append(out, t[:end])
		if end == len(t) {
			break
		}
		t = t[end+1:]
	}
	return out
}

func pairs(t []token) (out [][2]token) {
	for i := 1; i < len(t); i++ {
		out = append(out, [2]token{t[i-1], t[i]})
	}
	return out
}

// origin is where an insert of a trigger takes the tenant's key from: the names
// under which its text has the row that changed, and that row's table.
type origin struct {
	rows   []string // old, new, or what stands for a transition table
	table  relational.Table
	column string // the table's tenant column
}

// bears says that each inserted row has the key of the row that changed, in the
// tenant column of the target, or in the path of one.
func (o origin) bears(in insertion, target relational.Table, column string) bool {
	base, path, isPath := relational.CutPath(column)
	names := in.columns
	if len(names) == 0 {
		names = target.Names()
	}
	at := slices.Index(names, base)
	if at < 0 || o.column == "" || in.upserts {
		return false
	}
	for _, row := range in.rows {
		row = o.spread(row)
		if at >= len(row) || isPath && !o.document(row[at], path) || !isPath && !o.key(row[at]) {
			return false
		}
	}
	return len(in.rows) > 0
}

// spread writes old.* out.
func (o origin) spread(row [][]token) (out [][]token) {
	for _, e := range row {
		if n := len(e); n == 3 && e[1].text == "." && e[2].text == "*" && slices.Contains(o.rows, e[0].text) || n == 1 && e[0].text == "*" && slices.Contains(o.rows, "") {
			for _, c := range o.table.Names() {
				out = append(out, []token{{text: o.rows[0], word: true}, {text: "."}, {text: c, word: true}})
			}
			continue
		}
		out = append(out, e)
	}
	return out
}

// key says that the expression is the tenant column of the row that changed.
func (o origin) key(e []token) bool {
	e = plain(e)
	switch {
	case len(e) == 3 && e[1].text == ".":
		return slices.Contains(o.rows, e[0].text) && e[2].text == o.column
	case len(e) == 1:
		return e[0].word && slices.Contains(o.rows, "") && e[0].text == o.column
	case len(e) > 3 && e[0].is("coalesce") && e[1].text == "(" && closing(e[1:]) == len(e)-2:
		return !slices.ContainsFunc(split(e[2:len(e)-1]), func(e []token) bool { return !o.key(e) })
	}
	return false
}

// document says that the expression is a JSON document which has the key there.
func (o origin) document(e []token, path []string) bool {
	if len(path) == 0 {
		return o.key(e)
	}
	if e = plain(e); len(e) < 4 || e[1].text != "(" || closing(e[1:]) != len(e)-2 {
		return false
	}
	args := split(e[2 : len(e)-1])
	switch {
	case e[0].is("to_jsonb", "to_json", "row_to_json"):
		return len(args) == 1 && len(args[0]) == 1 && slices.Contains(o.rows, args[0][0].text) && len(path) == 1 && path[0] == o.column
	case e[0].is("jsonb_build_object", "json_build_object"):
		for i := 0; i+1 < len(args); i += 2 {
			if k := plain(args[i]); len(k) == 1 && k[0].text == "'" && k[0].value == path[0] {
				return o.document(args[i+1], path[1:])
			}
		}
	}
	return false
}

// plain is an expression without brackets around it and without a cast.
func plain(e []token) []token {
	if i := until(e, ":"); i > 0 && i+1 < len(e) && e[i+1].text == ":" {
		e = e[:i]
	}
	if len(e) > 2 && e[0].text == "(" && closing(e) == len(e)-1 {
		return plain(e[1 : len(e)-1])
	}
	return e
}
