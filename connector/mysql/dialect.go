package mysql

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// dialect is MariaDB's SQL for package relational. A table's Schema is its database.
type dialect struct{ keep string }

var _ relational.Dialect = dialect{}

func (dialect) Name(t relational.TableName) string { return quote(t.Schema, t.Name) }

// Literal compares in the column's own way: with a key, which that way tells apart.
func (dialect) Literal(s string) string { return literal(s) }

func (dialect) ForUpdate() string { return " for update" }

func (dialect) Rest(column string) string {
	return "substr(" + column + ", locate(char(10), " + column + ") + 1) collate " + exact
}

// Keyed is described at relational.Dialect.
func (dialect) Keyed(t relational.Table, alias, column, key string) (ours, theirs, nobodys string) {
	value, _ := expression(alias, column)
	ours = isKey(t, alias, column, key)
	return ours, "(" + value + " is not null and not " + ours + ")", value + " is null"
}

// Address is described at relational.Dialect: the key's values as SQL has them.
func (dialect) Address(t relational.Table, alias string) string {
	parts := make([]string, len(t.Key))
	for i, c := range t.Key {
		parts[i] = written(t, alias, c)
	}
	switch len(parts) {
	case 0:
		return "null"
	case 1:
		return parts[0]
	}
	return "concat('(', " + strings.Join(parts, ", ', ', ") + ", ')')"
}

// At is described at relational.Dialect.
func (dialect) At(t relational.Table, alias string, addresses []string) string {
	if len(t.Key) == 0 || len(addresses) == 0 {
		return "false"
	}
	mine := make([]string, len(t.Key))
	for i, c := range t.Key {
		mine[i] = quote(alias, c)
	}
	left := mine[0]
	if len(mine) > 1 {
		left = "(" + strings.Join(mine, ", ") + ")"
	}
	return left + " in (" + strings.Join(addresses, ", ") + ")"
}

// DeleteFrom is described at relational.Dialect.
func (d dialect) DeleteFrom(t relational.TableName, alias string) string {
	return "delete " + quote(alias) + " from " + d.Name(t) + " as " + quote(alias)
}

// DeleteSome is described at relational.Dialect. Rows of a table without a key can be
// told apart only where all of them go.
func (d dialect) DeleteSome(t relational.Table, alias, where string, limit int) string {
	if len(t.Key) == 0 {
		if strings.Contains(where, quote(alias)+".") {
			where = "false"
		}
		return "delete from " + d.Name(t.TableName) + " where " + where + " limit " + strconv.Itoa(limit)
	}
	mine, same := make([]string, len(t.Key)), make([]string, len(t.Key))
	for i, c := range t.Key {
		mine[i] = quote(alias, c) + ` as "v` + strconv.Itoa(i) + `"`
		same[i] = quote("d", c) + ` = "v"."v` + strconv.Itoa(i) + `"`
	}
	return `delete "d" from ` + d.Name(t.TableName) + ` as "d" join (select ` + strings.Join(mine, ", ") + " from " + d.Name(t.TableName) + " as " + quote(alias) +
		" where " + where + " limit " + strconv.Itoa(limit) + `) as "v" on ` + strings.Join(same, " and ")
}

// Obstacles is described at relational.Dialect.
func (dialect) Obstacles(ctx context.Context, q relational.Querier, t relational.TableName) (string, error) {
	all, err := triggersOf(ctx, q, t)
	var out []string
	for _, g := range all {
		if g.event != "insert" {
			out = append(out, "trigger "+g.name)
		}
	}
	return strings.Join(out, ", "), err
}

// Updaters is described at relational.Dialect. Left out are those that do nothing but
// to look, to refuse, and to set columns of the row itself.
func (dialect) Updaters(ctx context.Context, q relational.Querier, t relational.TableName, _ []string) (out []string, err error) {
	all, err := triggersOf(ctx, q, t)
	for _, g := range all {
		if g.event == "update" && !g.harmless() {
			out = append(out, g.name)
		}
	}
	return out, err
}

func (d dialect) parents() string { return quote(d.keep, "parent") }

// Written is described at relational.Dialect.
func (d dialect) Written(resource string, t relational.Table, columns []string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		at, typ := `json_value("p"."value", '$[`+strconv.Itoa(i)+`]')`, typeOf(t, c)
		switch sortOf(typ) {
		case integral, bits:
			parts[i] = "cast(" + at + " as decimal(38))"
		case decimal:
			parts[i] = "cast(" + at + " as decimal(65, 30))"
		case binary:
			parts[i] = "unhex(" + at + ")"
		case textual:
			set, collation := collationOf(typ)
			parts[i] = "convert(" + at + " using " + set + ") collate " + collation
		default:
			parts[i] = at
		}
	}
	return "select " + strings.Join(parts, ", ") + " from " + d.parents() + ` as "p" where "p"."resource" = ` + literal(resource) + ` and "p"."relation" = ` +
		literal(t.String()) + ` and "p"."columns" = ` + literal(strings.Join(columns, ","))
}

// list is how values of a row of t are written down.
func list(t relational.Table, columns []string, alias string) string {
	values := make([]string, len(columns))
	for i, c := range columns {
		v := quote(alias, c)
		switch sortOf(typeOf(t, c)) {
		case binary:
			values[i] = "hex(" + v + ")"
		case bits:
			values[i] = v + "+0"
		case typed:
			values[i] = "cast(" + v + " as char)"
		default:
			values[i] = v
		}
	}
	return "json_array(" + strings.Join(values, ", ") + ")"
}

// IsWritten is described at relational.Dialect. The lists' digests are the table's key.
func (d dialect) IsWritten(resource string, t relational.Table, columns []string, alias string) string {
	return "exists (select 1 from " + d.parents() + ` as "p" where "p"."resource" = ` + literal(resource) + ` and "p"."relation" = ` + literal(t.String()) +
		` and "p"."columns" = ` + literal(strings.Join(columns, ",")) + ` and "p"."digest" = sha2(` + list(t, columns, alias) + ", 256))"
}

// Write is described at relational.Dialect. Both sides of a reference have one type, so
// that the child's columns tell how the parent's are written.
func (d dialect) Write(ctx context.Context, q relational.Querier, resource string, k relational.ForeignKey, where string) error {
	child, err := columnsOf(ctx, q, k.Child)
	if err != nil {
		return err
	}
	has := ""
	for _, c := range k.Columns {
		has += " and " + quote("t", c) + " is not null"
	}
	text := list(child, k.Columns, "t")
	_, err = q.Exec(ctx, "insert into "+d.parents()+" (resource, relation, columns, digest, value) select distinct "+literal(resource)+", "+literal(k.Parent.String())+", "+
		literal(strings.Join(k.Parents, ","))+", sha2("+text+", 256), "+text+" from "+d.Name(k.Child)+` as "t" where (`+where+")"+has+" on duplicate key update digest = values(digest)")
	return err
}

// Defer is described at relational.Dialect: the server defers no check.
func (dialect) Defer(context.Context, relational.Querier) error { return nil }

// Argument gives true and false as 1 and 0, and lists and objects as JSON text.
func (dialect) Argument(v any) any {
	switch v := v.(type) {
	case nil:
		return v
	case string:
		return moment(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return string(v)
	case int, int64, float64:
		return v
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

// Stored is described at relational.Dialect. A moment stands in UTC, as the server
// writes it: 2027-01-01 00:00:00.
func (d dialect) Stored(v any) any {
	switch v := v.(type) {
	case bool:
		return d.Argument(v)
	case string:
		return moment(v)
	}
	return v
}

func moment(s string) string {
	if len(s) < len("2006-01-02T15:04:05Z") || s[10] != 'T' {
		return s
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999")
}

// View is described at relational.Dialect. A row's JSON gives bytes as an object with
// their hexadecimal digits under "hex". What is worked out when it is read isn't in it.
func (d dialect) View(ctx context.Context, q relational.Querier, t relational.TableName, alias string) (relational.View, error) {
	v := relational.View{Whole: true}
	table, err := columnsOf(ctx, q, t)
	if err != nil || len(table.Columns) == 0 {
		return v, err
	}
	v.Exists = true
	var parts []string
	for _, c := range table.Columns {
		v.Columns = append(v.Columns, c.Name)
		if c.Computed {
			continue
		}
		name, err := tenure.Canonical(c.Name)
		if err != nil {
			return v, err
		}
		between := ", "
		if len(parts) == 0 {
			between = ""
		}
		parts = append(parts, exactly(literal(between+string(name)+": ")), "coalesce("+exactly(shown(quote(alias, c.Name), c.Type))+", 'null')")
	}
	v.JSON = "concat('{', " + strings.Join(append(parts, "'}'"), ", ") + ")"
	return v, nil
}

// shown is a column's value as JSON text, null if it is null.
func shown(value, typ string) string {
	switch sortOf(typ) {
	case binary:
		return "concat('{\"hex\": \"', hex(" + value + "), '\"}')"
	case shaped:
		return "concat('{\"hex\": \"', hex(st_aswkb(" + value + ")), '\"}')"
	case bits:
		return "cast(" + value + "+0 as char)"
	case integral, decimal, floating:
		return "cast(" + value + "+0 as char)"
	case typed:
		text := "cast(" + value + " as char)"
		if strings.HasSuffix(typ, ")") && !strings.HasPrefix(typ, "inet") { // a fraction of a second
			text = "trim(trailing '.' from trim(trailing '0' from " + text + "))"
		}
		return "json_quote(" + exactly(text) + ")"
	}
	if strings.HasPrefix(typ, "json ") {
		return "case when json_valid(" + value + ") then " + exactly(value) + " else " + exactly("json_quote("+exactly(value)+")") + " end"
	}
	return "json_quote(" + exactly(value) + ")"
}

// Referring is described at relational.Dialect.
func (dialect) Referring(ctx context.Context, q relational.Querier, t relational.TableName) ([]relational.ForeignKey, error) {
	all, err := keysOf(ctx, q, []string{t.Schema})
	return slices.DeleteFunc(all, func(k relational.ForeignKey) bool { return k.Parent != t }), err
}
