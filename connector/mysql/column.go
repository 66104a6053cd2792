package mysql

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// sort is how values of a column are written and compared.
type sort int

const (
	textual  sort = iota // char, varchar, text, enum, set
	integral             // integers and year
	decimal
	floating // float and double
	binary   // binary, varbinary and blob
	bits
	typed  // uuid, inet4, inet6, dates and times: one form for each value
	shaped // geometry
)

// A column's type, as the catalog reads it, is "TYPE", or "TYPE charset collation".

func sortOf(typ string) sort {
	word := typ
	if i := strings.IndexAny(typ, "( "); i >= 0 {
		word = typ[:i]
	}
	switch word {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		return integral
	case "decimal":
		return decimal
	case "float", "double":
		return floating
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return binary
	case "bit":
		return bits
	case "uuid", "inet4", "inet6", "date", "datetime", "timestamp", "time":
		return typed
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection":
		return shaped
	}
	return textual
}

// collationOf is a text column's character set and collation.
func collationOf(typ string) (set, collation string) {
	i := strings.LastIndexByte(typ, ' ')
	if i < 0 {
		return "", ""
	}
	j := strings.LastIndexByte(typ[:i], ' ')
	if j < 0 {
		return "", ""
	}
	return typ[j+1 : i], typ[i+1:]
}

func typeOf(t relational.Table, column string) string {
	c, _ := t.Column(column)
	return c.Type
}

// expression is a tenant column, or a path of keys in one. What isn't JSON has no path,
// and a list or an object is no key.
func expression(alias, column string) (value string, isPath bool) {
	name, path, is := relational.CutPath(column)
	out := quote(name)
	if alias != "" {
		out = quote(alias, name)
	}
	if !is {
		return out, false
	}
	at := "$"
	for _, part := range path {
		at += `."` + strings.ReplaceAll(part, `"`, `\"`) + `"`
	}
	return "(case when json_valid(" + out + ") then json_value(" + out + ", " + literal(at) + ") end)", true
}

// isInteger says whether a key is an integer in the one form in which the server shows it.
func isInteger(key string) bool {
	n := strings.TrimPrefix(key, "-")
	if n == "" || strings.Trim(n, "0123456789") != "" || len(n) > 20 {
		return false
	}
	return n == "0" && key == n || n[0] != '0'
}

// isKey is the condition that a column, or a path in one, is the key, byte for byte as
// the server shows it. A column of a type that can't hold the key has no such row: the
// server would read '7abc' as 7, another tenant's key. The first half lets an index be
// used, the second isn't fooled by a collation in which other texts are equal.
func isKey(t relational.Table, alias, column, key string) string {
	value, isPath := expression(alias, column)
	if isPath {
		return "coalesce(" + exactly(value) + " = " + literal(key) + ", false)"
	}
	typ := typeOf(t, column)
	switch sortOf(typ) {
	case integral:
		if !isInteger(key) {
			return "false"
		}
		return "(" + value + " is not null and " + value + " = " + key + ")"
	case decimal, floating, bits:
		if _, err := strconv.ParseFloat(key, 64); err != nil || strings.Trim(key, "-.0123456789") != "" {
			return "false"
		}
		return "(" + value + " is not null and " + exactly("cast("+value+"+0 as char)") + " = " + literal(key) + ")"
	case binary:
		text := hex.EncodeToString([]byte(key))
		if n := fixed(typ); n > len(key) {
			text += strings.Repeat("00", n-len(key)) // as the server fills it up
		}
		return "(" + value + " is not null and " + value + " = x'" + text + "')"
	case shaped:
		return "false"
	case typed:
		return "(" + value + " is not null and " + exactly("cast("+value+" as char)") + " = " + literal(key) + ")"
	}
	return "(" + value + " is not null and " + value + " = " + literalIn(key, typ) + " and " + exactly(value) + " = " + literal(key) + ")"
}

// literalIn is a text as it is compared with a column of a type: in the column's own
// collation, so that its index is used. One that the column's character set can't hold
// is compared as it is.
func literalIn(text, typ string) string {
	set, collation := collationOf(typ)
	if set == "utf8mb4" || (set == "utf8mb3" || set == "utf8") && !hasAstral(text) {
		return "convert(" + literal(text) + " using " + set + ") collate " + collation
	}
	if isASCII(text) && set != "" && set != "ucs2" && set != "utf16" && set != "utf16le" && set != "utf32" {
		return "convert(" + literal(text) + " using " + set + ") collate " + collation
	}
	return literal(text)
}

func hasAstral(s string) bool {
	for _, r := range s {
		if r > 0xFFFF {
			return true
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// fixed is the length of binary(n), 0 of any other type.
func fixed(typ string) int {
	rest, ok := strings.CutPrefix(typ, "binary(")
	if !ok {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSuffix(rest, ")"))
	return n
}

// written is an expression that gives a column's value as the text of an SQL literal,
// which compares as the value does.
func written(t relational.Table, alias, column string) string {
	value, typ := quote(alias, column), typeOf(t, column)
	var text string
	switch sortOf(typ) {
	case integral, decimal:
		text = "cast(" + value + " as char)"
	case bits:
		text = "cast(" + value + "+0 as char)"
	case binary:
		text = "concat('x''', hex(" + value + "), '''')"
	case typed, shaped:
		text = "concat('''', cast(" + value + " as char), '''')"
	default:
		set, collation := collationOf(typ)
		text = "concat('convert(_utf8mb4 x''', hex(convert(" + value + " using utf8mb4)), ''' using " + set + ") collate " + collation + "')"
	}
	return "coalesce(" + "convert(" + text + " using utf8mb4)" + ", 'null')"
}

// addressable says that a column's values can be written and found again.
func addressable(typ string) bool {
	s := sortOf(typ)
	return s != floating && s != shaped
}
