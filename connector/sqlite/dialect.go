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
const ownSQL = `(t.name like 'sqlite\_%' escape '\' or t.name in ('tenure_mark', 'tenure_sentinel'))`

func (dialect) Name(t relational.TableName) string { return quote(t.Name) }

// Literal compares byte by byte, also with a column that folds case: two
// tenants' keys may differ in case alone.
func (dialect) Literal(s string) string { return literal(s) + " collate binary" }

func (dialect) ForUpdate() string { return "" }

func (dialect) Rest(column string) string {
	return "substr(" + column + ", instr(" + column + ", char(10)) + 1) collate binary"
}

// address are the columns that name a row within one statement: the rowid under
// a name that no column takes, or the primary key. Blank: there is none.
func address(t relational.Table) []string {
	if !t.RowID {
		return t.Key
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		taken := false
		for _, c := range t.Columns {
			taken = taken || strings.EqualFold(c, name)
		}
		if !taken {
			return []string{name}
		}
	}
	return t.Key
}

func some(t relational.Table, alias, where string, limit int) string {
	list := address(t)
	if len(list) == 0 {
		return where // rows that can't be told apart go at once
	}
	from, prefix := quote(t.Name), ""
	if alias != "" {
		from += " " + quote(alias)
		prefix = quote(alias) + "."
	}
	outer, inner := make([]string, len(list)), make([]string, len(list))
	for i, c := range list {
		if t.RowID && !t.Has(c) {
			outer[i], inner[i] = c, prefix+c // a quoted rowid would be a column
		} else {
			outer[i], inner[i] = quote(c), prefix+quote(c)
		}
	}
	left := strings.Join(outer, ", ")
	if len(list) > 1 {
		left = "(" + left + ")"
	}
	return left + " in (select " + strings.Join(inner, ", ") + " from " + from + " where " + where + " limit " + strconv.Itoa(limit) + ")"
}

func (dialect) DeleteSome(t relational.Table, alias, where string, limit int) string {
	return "delete from " + quote(t.Name) + " where " + some(t, alias, where, limit)
}

func (dialect) NullSome(t relational.Table, columns []string, where string, limit int) string {
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = quote(c) + " = null"
	}
	return "update " + quote(t.Name) + " set " + strings.Join(sets, ", ") + " where " + some(t, "", where, limit)
}

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

// Graph reads every table, save SQLite's and Tenure's own, those behind virtual
// tables, and virtual tables that keep no rows of their own or can't be read.
func (dialect) Graph(ctx context.Context, q relational.Querier) (*relational.Graph, error) {
	c, err := readCatalog(ctx, q)
	if err != nil {
		return nil, err
	}
	return c.graph, nil
}
