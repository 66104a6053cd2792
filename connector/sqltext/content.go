package sqltext

import "strings"

// texts are the types for which a literal's content is the value itself, or one that
// has no parts which a value could add to.
var texts = strings.Fields(`text varchar char character bpchar name citext uuid date time timetz timestamp timestamptz interval
 int int2 int4 int8 integer smallint bigint numeric decimal real float float4 float8 double bool boolean inet cidr macaddr bytea`)

// notations are the types whose literals have a grammar of their own.
var notations = strings.Fields(`json jsonb jsonpath xml hstore tsquery tsvector ltree lquery regclass regproc regprocedure regtype regrole regnamespace regoper regoperator regconfig regdictionary
 point line lseg box path polygon circle int4range int8range numrange tsrange tstzrange daterange`)

// runners are functions that run a text as SQL.
var runners = strings.Fields(`query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml dblink dblink_exec dblink_open dblink_send_query dblink_connect dblink_connect_u
 schedule schedule_in_database crosstab crosstabn connectby ts_stat xpath_table lo_import lo_export pg_read_file pg_read_binary_file pg_ls_dir load_extension readfile writefile edit load_file`)

// content judges a hole within '…' or E'…'.
func (p spot) content(h int) place {
	out := place{takes: asContent}
	if p.token.sort == escaped {
		out.takes = asEscaped
	}
	if p.token.half[h] {
		return refused(asWord, "end the escape before it", "an expression stands in the middle of an escape")
	}
	if b := p.before(1); b.sort == literal || b.sort == escaped || b.sort == coded {
		return refused(asWord, "write one literal", "an expression stands in a literal that goes on with the one before it")
	}
	if why := p.runs(); why != "" {
		return refused(asWord, "hand the value over as a value: by a parameter, or by a row of a table", why)
	}
	if p.notation() {
		out = refused(asPlain, "put it together from whole values: jsonb_build_object('title', '${…}'), array['${…}'], format('%I.%I', '${…}', 'orders')::regclass, 'a ' || '${…}'",
			"an expression is a part of a literal that has a grammar of its own")
	}
	return out
}

// runs says why the literal is code, or leads outside; "" if it doesn't.
func (p spot) runs() string {
	b := p.before(1)
	switch {
	case p.starts("do"), b.is("execute", "program"), p.hash && (b.is("immediate") || p.starts("prepare")):
		return "an expression stands in a literal that is run as code"
	case p.starts("create") && p.says("function", "procedure") && (b.is("as") || b.is(",") && p.before(2).sort != word && p.before(3).is("as")):
		return "an expression stands in a literal that is run as code"
	case p.starts("create") && p.says("virtual"):
		return "an expression stands in what a virtual table's module reads in its own way"
	case p.starts("copy", "load", "attach", "detach", "vacuum", "pragma"), b.is("connection"), p.hash && b.is("infile", "outfile", "dumpfile"):
		return "an expression stands in a literal that names a file, a library or a server"
	}
	for at := p.opener(p.at); at >= 0; at = p.opener(at) {
		if p.tokenAt(p.nearest(at)).is(runners...) {
			return "an expression stands in a literal that is run as code, or names a file"
		}
	}
	return ""
}

// notation says whether the literal is a notation that the value would be a part of:
// JSON, an array, a path. One that is all the literal is what the type makes of it.
func (p spot) notation() bool {
	inner := p.text[p.token.from:p.token.to]
	if inner == string(rune(hole)) {
		return false
	}
	lead := strings.TrimSpace(inner)
	if strings.IndexByte("{[<$", lead[0]) >= 0 || strings.HasPrefix(lead, "strict ") || strings.HasPrefix(lead, "lax ") {
		return true
	}
	if p.before(1).is(notations...) {
		return true
	}
	if a := p.after(1); a.is(":") && p.after(2).is(":") {
		return !p.after(3).is(texts...) || p.after(4).is("[", "array")
	}
	return p.after(1).is("as") && p.before(1).is("(") && p.before(2).is("cast") && (!p.after(2).is(texts...) || p.after(3).is("[", "array"))
}
