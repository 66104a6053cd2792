package postgres

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// textual are the types whose values are texts.
var textual = []string{"text", "varchar", "bpchar", "name"}

// test is the condition under which the column, of the table under the alias t,
// bears the key in any form that a person takes for it; "" if it isn't one to look
// at. A short number says nothing by itself: it is looked for only where a name
// speaks of a tenant.
func (g *ground) test(c candidate) string {
	at := quote("t", c.column)
	names := g.names()
	if len(names) == 0 {
		names = []string{"tenant"}
	}
	speaks, extension := relational.Speaks(c.column, names), c.typ[strings.LastIndexByte(c.typ, '.')+1:]
	switch {
	case extension == "hstore":
		schema := strings.TrimSuffix(c.typ, ".hstore")
		if relational.Telling(g.key) || speaks {
			return g.among(schema + ".avals(" + at + ")")
		}
		var any []string
		for _, n := range names {
			any = append(any, at+" operator("+schema+".->) "+literal(n)+"::text = "+literal(g.key))
		}
		return strings.Join(any, " or ")
	case c.typ == "jsonb":
		var any []string
		for _, path := range g.jsonPaths(names, speaks) {
			any = append(any, "jsonb_path_exists("+at+", "+literal(path)+", '{}', true)")
		}
		return strings.Join(any, " or ")
	case c.typ == "json":
		return g.jsonText(at, names, speaks)
	case !relational.Telling(g.key) && !speaks:
		if slices.Contains(textual, c.typ) && !(c.indexed && c.pages > wholePages) {
			return g.jsonInText(at, names, speaks)
		}
		return ""
	case slices.Contains(textual, c.typ) && c.indexed && c.pages > wholePages:
		return at + " = " + literal(g.key)
	case slices.Contains(textual, c.typ):
		return g.same(at+"::text") + " or " + g.jsonInText(at, names, speaks)
	case extension == "citext":
		return g.same("format('%s', " + at + ")")
	case c.typ == "enum":
		return g.same("textin(enum_out(" + at + "))")
	case c.typ == "array":
		return g.among("string_to_array(array_to_string(" + at + ", chr(1)), chr(1))")
	case c.typ == "bytea":
		return "octet_length(" + at + ") < 1000 and " + g.same("encode("+at+", 'escape')")
	case c.typ == "uuid" && uuidForm.MatchString(g.key):
		return at + " = " + literal(g.key) + "::uuid"
	case slices.Contains([]string{"int2", "int4", "int8"}, c.typ) && isInteger(g.key):
		return at + " = " + g.key + "::bigint"
	case c.typ == "numeric":
		return "trim_scale(" + at + ")::text = " + literal(g.key)
	}
	return at + "::text = " + literal(strings.ToLower(g.key))
}

var (
	uuidForm = regexp.MustCompile(`^(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`)
	numbers  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
)

func isInteger(key string) bool {
	n, err := strconv.ParseInt(key, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == key
}

// same says that a text is the key, whatever its case and the blanks at its ends
// are; a number with zeros before it, and a UUID without hyphens.
func (g *ground) same(text string) string {
	form := func(x string) string {
		x = "lower(btrim(" + x + ", E' \\t\\r\\n'))"
		switch {
		case uuidForm.MatchString(g.key):
			return "replace(" + x + ", '-', '')"
		case isInteger(g.key) && g.key != "0":
			return "ltrim(" + x + ", '0')"
		}
		return x
	}
	return form(text) + " = " + form(literal(g.key))
}

// among says that one of an array of texts is the key.
func (g *ground) among(array string) string {
	return "exists (select 1 from unnest(" + array + ") x (x) where " + g.same("x.x") + ")"
}

// jsonPaths lead to the key at any depth of a document, as a value or as the name
// of one (PostgreSQL §9.16.2).
func (g *ground) jsonPaths(names []string, speaks bool) []string {
	const members = `$.** ? (@.type() == "object").keyvalue()`
	pattern, _ := json.Marshal(`^\s*` + regexp.QuoteMeta(g.key) + `\s*$`)
	is := fmt.Sprintf(`@.type() == "string" && @ like_regex %s flag "i"`, pattern)
	if numbers.MatchString(g.key) {
		is += " || @ == " + g.key
	}
	if relational.Telling(g.key) || speaks {
		return []string{"$.** ? (" + is + ")", members + ` ? (@.key like_regex ` + string(pattern) + ` flag "i")`}
	}
	var parts []string
	for _, n := range names {
		parts = append(parts, regexp.QuoteMeta(relational.Stem(n)))
	}
	named, _ := json.Marshal("(" + strings.Join(parts, "|") + ")")
	is = strings.ReplaceAll(is, "@", "@.value")
	return []string{fmt.Sprintf(members+` ? (@.key like_regex %s flag "i" && (%s))`, named, is)}
}

// jsonText says that a document, as a text, has the key among its values. It isn't
// parsed: a single one that the server can't read would spoil the look at all.
func (g *ground) jsonText(at string, names []string, speaks bool) string {
	quoted, _ := json.Marshal(g.key)
	inner := regexp.QuoteMeta(string(quoted[1 : len(quoted)-1]))
	value := `"\s*` + inner + `\s*"`
	if numbers.MatchString(g.key) {
		value = "(" + value + `|[:,[]\s*` + inner + `\s*[],}])`
	}
	if !relational.Telling(g.key) && !speaks {
		var parts []string
		for _, n := range names {
			parts = append(parts, regexp.QuoteMeta(relational.Stem(n)))
		}
		value = `"[^"]*(` + strings.Join(parts, "|") + `)[^"]*"\s*:\s*\[?\s*` + value
	}
	return at + "::text ~* " + literal(value)
}

// jsonInText says the same of a document in a column of texts.
func (g *ground) jsonInText(at string, names []string, speaks bool) string {
	return at + "::text ~ '^\\s*[{[]' and " + g.jsonText(at, names, speaks)
}
