package sqlite

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// dialect is SQLite's SQL for package relational.
type dialect struct{}

var _ relational.Dialect = dialect{}

func quote(name string) string { return relational.Quote(name) }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// own says whether a table is Tenure's or SQLite's own.
const ownSQL = `(t.name like 'sqlite\_%' escape '\' or t.name in ('tenure_mark', 'tenure_sentinel', 'tenure_tally', 'tenure_parent'))`

func (dialect) Name(t relational.TableName) string { return quote(t.Name) }

// Literal compares byte by byte, also with a column that folds case: two
// tenants' keys may differ in case alone.
func (dialect) Literal(s string) string { return literal(s) + " collate binary" }

func (dialect) ForUpdate() string { return "" }

func (dialect) Rest(column string) string {
	return "substr(" + column + ", instr(" + column + ", char(10)) + 1) collate binary"
}

// addressed are the columns that name a row within one transaction: the rowid
// under a name that no column takes, or the primary key. Blank: there is none.
func addressed(t relational.Table) []string {
	if !t.RowID {
		return t.Key
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		taken := false
		for _, c := range t.Columns {
			taken = taken || strings.EqualFold(c.Name, name)
		}
		if !taken {
			return []string{name}
		}
	}
	return t.Key
}

// names are the address's columns under an alias. A quoted rowid would be a column.
func names(t relational.Table, alias string) []string {
	var out []string
	for _, c := range addressed(t) {
		if t.RowID && !t.Has(c) {
			out = append(out, quote(alias)+"."+c)
		} else {
			out = append(out, relational.Quote(alias, c))
		}
	}
	return out
}

// Address is described at relational.Dialect: literals, with commas between them.
func (dialect) Address(t relational.Table, alias string) string {
	parts := names(t, alias)
	for i, p := range parts {
		parts[i] = "quote(" + p + ")"
	}
	return strings.Join(parts, " || ', ' || ")
}

// At is described at relational.Dialect.
func (dialect) At(t relational.Table, alias string, addresses []string) string {
	columns := names(t, alias)
	if len(columns) == 1 {
		return columns[0] + " in (" + strings.Join(addresses, ", ") + ")"
	}
	if len(addresses) == 0 {
		return "false"
	}
	return "(" + strings.Join(columns, ", ") + ") in (values (" + strings.Join(addresses, "), (") + "))"
}

// Keyed is described at relational.Dialect.
func (dialect) Keyed(_ relational.Table, alias, column, key string) (ours, theirs, nobodys string) {
	at := relational.Quote(alias, column) + " collate binary"
	return at + " = " + literal(key), at + " <> " + literal(key), relational.Quote(alias, column) + " is null"
}

// Obstacles is described at relational.Dialect.
func (dialect) Obstacles(ctx context.Context, q relational.Querier, t relational.TableName) (string, error) {
	rows, err := q.Query(ctx, "select coalesce(group_concat('trigger ' || name, ', '), '') from sqlite_schema where type = 'trigger' and lower(tbl_name) = lower($1)", t.Name)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	out := ""
	if rows.Next() {
		err = rows.Scan(&out)
	}
	if err != nil {
		return "", err
	}
	return out, rows.Err()
}

// Written is described at relational.Dialect.
func (dialect) Written(resource string, t relational.Table, columns []string) string {
	parts := make([]string, len(columns))
	for i := range columns {
		parts[i] = "json_extract(p.key, '$[" + strconv.Itoa(i) + "]')"
	}
	return "select " + strings.Join(parts, ", ") + " from " + kept.Parents + " p where p.resource = " + literal(resource) + " and p.relation = " + literal(t.String()) +
		" and p.columns = " + literal(strings.Join(columns, ","))
}

// Write is described at relational.Dialect.
func (dialect) Write(ctx context.Context, q relational.Querier, resource string, k relational.ForeignKey, where string) error {
	columns, has := make([]string, len(k.Columns)), ""
	for i, c := range k.Columns {
		columns[i] = relational.Quote("t", c)
		has += " and " + columns[i] + " is not null"
	}
	_, err := q.Exec(ctx, "insert into "+kept.Parents+" (resource, relation, columns, key) select distinct "+literal(resource)+", "+literal(k.Parent.String())+", "+
		literal(strings.Join(k.Parents, ","))+", json_array("+strings.Join(columns, ", ")+") from "+quote(k.Child.Name)+` "t" where `+where+has+" on conflict do nothing")
	return err
}

// kept are the tables of what an erasure keeps in the file.
var kept = relational.Kept{Tally: "tenure_tally", Parents: "tenure_parent"}

func (dialect) Defer(ctx context.Context, q relational.Querier) error {
	_, err := q.Exec(ctx, "pragma defer_foreign_keys = 1")
	return err
}

// Argument gives a number as a number, true and false as 1 and 0, and lists and
// objects as JSON text.
func (dialect) Argument(v any) any {
	switch v := v.(type) {
	case nil, string:
		return v
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return string(v)
	case int, int64, float64:
		return v
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

func (d dialect) Stored(v any) any {
	switch v := v.(type) {
	case bool:
		return d.Argument(v)
	case []any, map[string]any:
		return d.Argument(v)
	}
	return v
}

// View is described at relational.Dialect. A row's JSON gives a blob as an
// object with its hexadecimal digits under "hex".
func (dialect) View(ctx context.Context, q relational.Querier, t relational.TableName, alias string) (relational.View, error) {
	v := relational.View{Whole: true}
	r, err := q.Query(ctx, `select x.name from pragma_table_list t, pragma_table_xinfo(t.name) x
 where t.schema = 'main' and t.type in ('table', 'virtual') and t.name = $1 and x.hidden <> 1 and not `+ownSQL+` order by x.cid`, t.Name)
	if err != nil {
		return v, err
	}
	defer r.Close()
	var parts []string
	for r.Next() {
		var column string
		if err := r.Scan(&column); err != nil {
			return v, err
		}
		v.Exists = true
		v.Columns = append(v.Columns, column)
		name, _ := tenure.Canonical(column)
		c := quote(alias) + "." + quote(column)
		parts = append(parts, literal(string(name)+":")+" || case typeof("+c+") when 'blob' then json_object('hex', hex("+c+")) else json_quote("+c+") end")
	}
	v.JSON = "'{' || " + strings.Join(parts, " || ',' || ") + " || '}'"
	return v, r.Err()
}

// Graph reads every table, save SQLite's and Tenure's own and those behind
// virtual tables.
func (dialect) Graph(ctx context.Context, q relational.Querier) (*relational.Graph, error) {
	tables, err := readTables(ctx, q)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(ctx, q, tables)
	if err != nil {
		return nil, err
	}
	return relational.NewGraph(tables, keys).Fold(), nil
}

func readTables(ctx context.Context, q relational.Querier) ([]relational.Table, error) {
	r, err := q.Query(ctx, `select t.name, t.wr, x.name, x.pk, x."notnull", x.type, x.hidden in (2, 3) from pragma_table_list t, pragma_table_xinfo(t.name) x
 where t.schema = 'main' and t.type in ('table', 'virtual') and x.hidden <> 1 and not `+ownSQL+` order by t.name, x.cid`)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []relational.Table
	keys := map[string]map[int]string{}
	for r.Next() {
		var name, column, typ string
		var without, notNull, generated bool
		var pk int
		if err := r.Scan(&name, &without, &column, &pk, &notNull, &typ, &generated); err != nil {
			return nil, err
		}
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, relational.Table{TableName: tableName(name), RowID: !without})
			keys[name] = map[int]string{}
		}
		t := &out[len(out)-1]
		t.Columns = append(t.Columns, relational.Column{Name: column, Type: typ, Required: notNull || pk > 0 && without, Generated: generated})
		if pk > 0 {
			keys[name][pk] = column
		}
	}
	for i := range out {
		for n := 1; n <= len(keys[out[i].Name]); n++ {
			out[i].Key = append(out[i].Key, keys[out[i].Name][n])
		}
	}
	return out, r.Err()
}
