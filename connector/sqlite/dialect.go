package sqlite

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// dialect is SQLite's SQL for package relational.
type dialect struct{}

var _ relational.Dialect = dialect{}

var quote = relational.Quote

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (dialect) Name(t relational.TableName) string { return quote(t.Name) }
func (dialect) Literal(s string) string            { return literal(s) }
func (dialect) ForUpdate() string                  { return "" }
func (dialect) Rest(column string) string {
	return "substr(" + column + ", instr(" + column + ", char(10)) + 1) collate binary"
}

// address is how a row is named: by its rowid, under a name that no column has
// taken, or by the primary key where there is none.
func address(t relational.Table) string {
	if t.RowID {
		for _, name := range []string{"rowid", "oid", "_rowid_"} {
			if !slices.ContainsFunc(t.Columns, func(c string) bool { return strings.EqualFold(c, name) }) {
				return name
			}
		}
	}
	return relational.QuoteList(t.Key)
}

func some(t relational.Table, alias, where string, limit int) string {
	from := quote(t.Name)
	if alias != "" {
		from += " as " + quote(alias)
	}
	a := address(t)
	return "(" + a + ") in (select " + a + " from " + from + " where " + where + " limit " + strconv.Itoa(limit) + ")"
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
	_, err := q.Exec(ctx, "pragma defer_foreign_keys = on")
	return err
}

// Argument gives a value as SQLite stores it.
func (dialect) Argument(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case nil, string:
		return v
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

// Stored knows no truth values and no documents: they are numbers and texts.
func (d dialect) Stored(v any) any {
	switch v := v.(type) {
	case bool:
		return json.Number(map[bool]string{true: "1", false: "0"}[v])
	case []any, map[string]any:
		return d.Argument(v)
	}
	return v
}

// View is described at relational.Dialect; every row of a file can be seen.
func (dialect) View(ctx context.Context, q relational.Querier, t relational.TableName, alias string) (relational.View, error) {
	v := relational.View{Whole: true}
	r, err := q.Query(ctx, "select name from pragma_table_info($1)", t.Name)
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
		c := quote(alias, column)
		name, _ := tenure.Canonical(column)
		parts = append(parts, literal(string(name)+":")+" || json_quote(case typeof("+c+") when 'blob' then hex("+c+") else "+c+" end)")
	}
	v.JSON = "'{' || " + strings.Join(parts, " || ',' || ") + " || '}'"
	return v, r.Err()
}

// Graph reads every table, save SQLite's and Tenure's own.
func (dialect) Graph(ctx context.Context, q relational.Querier) (*relational.Graph, error) {
	tables := map[string]relational.Table{}
	notNull := map[[2]string]bool{}
	err := each(ctx, q, `select l.name, l.wr, c.name, c.pk, c."notnull" from pragma_table_list l join pragma_table_xinfo(l.name) c
 where l.schema = 'main' and l.type = 'table' and l.name not like 'sqlite\_%' escape '\' and l.name not like 'tenure\_%' escape '\' order by l.name, c.pk, c.cid`, 5, func(v []string) {
		t := tables[v[0]]
		t.TableName, t.RowID = relational.TableName{Name: v[0]}, v[1] == "0"
		t.Columns = append(t.Columns, v[2])
		if v[3] != "0" {
			t.Key = append(t.Key, v[2])
		}
		notNull[[2]string{v[0], v[2]}] = v[4] == "1"
		tables[v[0]] = t
	})
	if err != nil {
		return nil, err
	}
	keys := map[string]*relational.ForeignKey{}
	err = each(ctx, q, `select l.name, f.id, f."table", f."from", coalesce(f."to", ''), f.on_delete from pragma_table_list l join pragma_foreign_key_list(l.name) f
 where l.schema = 'main' and l.type = 'table' order by l.name, f.id, f.seq`, 6, func(v []string) {
		id := v[0] + "\x00" + v[1]
		k := keys[id]
		if k == nil {
			// Every constraint can be deferred: pragma defer_foreign_keys.
			k = &relational.ForeignKey{Name: v[1], Child: relational.TableName{Name: v[0]}, Parent: relational.TableName{Name: named(tables, v[2])}, Deferrable: true}
			keys[id] = k
		}
		switch v[5] {
		case "CASCADE":
			k.OnDelete = relational.Cascade
		case "SET NULL", "SET DEFAULT":
			k.OnDelete = relational.SetNull
		}
		k.Columns = append(k.Columns, v[3])
		k.Nullable = k.Nullable || !notNull[[2]string{v[0], v[3]}]
		if v[4] != "" {
			k.Parents = append(k.Parents, v[4])
		}
	})
	if err != nil {
		return nil, err
	}
	return graph(tables, keys), nil
}

// named finds a table by the name that a reference gives, whose case may differ.
func named(tables map[string]relational.Table, name string) string {
	for t := range tables {
		if strings.EqualFold(t, name) {
			return t
		}
	}
	return name
}

func graph(tables map[string]relational.Table, keys map[string]*relational.ForeignKey) *relational.Graph {
	var ts []relational.Table
	for _, t := range tables {
		ts = append(ts, t)
	}
	var ks []relational.ForeignKey
	for _, k := range keys {
		if len(k.Parents) == 0 { // the parent's primary key
			k.Parents = tables[k.Parent.Name].Key
		}
		if _, ok := tables[k.Parent.Name]; ok && len(k.Parents) == len(k.Columns) {
			ks = append(ks, *k)
		}
	}
	return relational.NewGraph(ts, ks)
}

// each reads a result of n columns as texts.
func each(ctx context.Context, q relational.Querier, text string, n int, row func(v []string)) error {
	r, err := q.Query(ctx, text)
	if err != nil {
		return err
	}
	defer r.Close()
	v, dest := make([]string, n), make([]any, n)
	for i := range v {
		dest[i] = &v[i]
	}
	for r.Next() {
		if err := r.Scan(dest...); err != nil {
			return err
		}
		row(v)
	}
	return r.Err()
}
