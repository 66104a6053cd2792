package postgres

import (
	"regexp"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// grantable are the privileges of each kind of object (PostgreSQL §5.7).
var grantable = map[string][]string{
	"table":    {"delete", "insert", "references", "select", "trigger", "truncate", "update"},
	"sequence": {"select", "update", "usage"},
	"function": {"execute"},
	"schema":   {"create", "usage"},
	"database": {"connect", "create", "temporary"},
}

// on is the kind of object that the grant is on.
func (g grantSpec) on() string {
	switch {
	case g.Database != "":
		return "database"
	case len(g.Tables) > 0:
		return "table"
	case len(g.Sequences) > 0:
		return "sequence"
	case len(g.Functions) > 0:
		return "function"
	}
	return "schema"
}

// names are the objects of the schema that the grant names; none if it is on the schema
// or database itself.
func (g grantSpec) names() []string {
	return append(append(append([]string{}, g.Tables...), g.Sequences...), g.Functions...)
}

// named is an object of the schema as a statement names it.
func (g grantSpec) named(object string) string {
	if g.on() == "function" {
		name, types, _ := strings.Cut(object, "(")
		return quote(g.Schema, name) + "(" + types
	}
	return quote(g.Schema, object)
}

// calls are its functions as statements name them.
func (g grantSpec) calls() []string {
	out := make([]string, len(g.Functions))
	for i, f := range g.Functions {
		out[i] = g.named(f)
	}
	return out
}

// call is a function with the types of its arguments. They are put into statements as
// they are, so they may hold nothing that ends a list of types.
var call = regexp.MustCompile(`^([^()]+)\(((?:[a-zA-Z0-9_ .,\[\]]|"[^"\x00]+")*)\)$`)

// typeNames are other names of types than the one that the server writes.
var typeNames = map[string]string{"int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "bool": "boolean", "varchar": "character varying", "char": "character", "float8": "double precision",
	"float4": "real", "decimal": "numeric", "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone", "timetz": "time with time zone", "time": "time without time zone", "varbit": "bit varying"}

// signature reads a function's name with the types of its arguments, as the server
// writes them.
func signature(r connector.Ref, text string) (string, error) {
	m := call.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", tenure.Errorf(tenure.Invalid, "grant %q: %q isn't a function with the types of its arguments", r.Name, text).WithHint("write it like refresh(integer,text)")
	}
	var types []string
	if strings.TrimSpace(m[2]) != "" {
		for t := range strings.SplitSeq(m[2], ",") {
			t = strings.Join(strings.Fields(t), " ")
			element, list := strings.CutSuffix(t, "[]")
			if other, ok := typeNames[strings.ToLower(element)]; ok {
				element = other
			}
			if list {
				element += "[]"
			}
			types = append(types, element)
		}
	}
	name := strings.TrimSpace(m[1])
	return name + "(" + strings.Join(types, ",") + ")", checkNames("what a grant names", name)
}
