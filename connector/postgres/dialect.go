package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// dialect is PostgreSQL's SQL for package relational.
type dialect struct{}

var _ relational.Dialect = dialect{}

func (dialect) Name(t relational.TableName) string { return quote(t.Schema, t.Name) }
func (dialect) Literal(s string) string            { return literal(s) }
func (dialect) ForUpdate() string                  { return " for update" }

func (dialect) Rest(column string) string {
	return "substr(" + column + ", strpos(" + column + `, E'\n') + 1) collate "C"`
}

// address is how a row is named within one statement. The rows of partitions
// and heirs share addresses, so there the table belongs to it.
func address(t relational.Table) string {
	if t.Parts {
		return "tableoid, ctid"
	}
	return "ctid"
}

func some(t relational.Table, alias, where string, limit int) string {
	from := quote(t.Schema, t.Name)
	if alias != "" {
		from += " " + quote(alias)
	}
	inner := "select " + address(t) + " from " + from + " where " + where + " limit " + strconv.Itoa(limit)
	if t.Parts {
		return "(tableoid, ctid) in (" + inner + ")"
	}
	return "ctid = any (array(" + inner + "))"
}

func (dialect) DeleteSome(t relational.Table, alias, where string, limit int) string {
	return "delete from " + quote(t.Schema, t.Name) + " where " + some(t, alias, where, limit)
}

func (dialect) NullSome(t relational.Table, columns []string, where string, limit int) string {
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = quote(c) + " = null"
	}
	return "update " + quote(t.Schema, t.Name) + " set " + strings.Join(sets, ", ") + " where " + some(t, "", where, limit)
}

func (dialect) Defer(ctx context.Context, q relational.Querier) error {
	_, err := q.Exec(ctx, "set constraints all deferred")
	return err
}

// Argument gives everything as text, which the server reads as the type of the
// column that it goes to.
func (dialect) Argument(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return v
	case json.Number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

func (dialect) Stored(v any) any { return v }

const viewSQL = `select a.attname, (has_table_privilege(c.oid, 'select') and not row_security_active(c.oid))::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
 where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped`

func (dialect) View(ctx context.Context, q relational.Querier, t relational.TableName, alias string) (relational.View, error) {
	v := relational.View{JSON: "to_jsonb(" + quote(alias) + ".*)::text"}
	rows, err := q.Query(ctx, viewSQL, t.Schema, t.Name)
	if err != nil {
		return v, err
	}
	defer rows.Close()
	for rows.Next() {
		var column, whole string
		if err := rows.Scan(&column, &whole); err != nil {
			return v, err
		}
		v.Exists, v.Whole = true, whole == "true"
		v.Columns = append(v.Columns, column)
	}
	return v, rows.Err()
}

// Partitions and heirs stand under their parent, which shows their rows.
const tablesSQL = `select n.nspname, c.relname, (c.relkind = 'p' or c.relhassubclass)::text,
 (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)::text,
 (select coalesce(json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum)), '[]') from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
  where i.indrelid = c.oid and i.indisprimary)::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and not exists (select 1 from pg_inherits h where h.inhrelid = c.oid)
 and n.nspname not in ('pg_catalog', 'information_schema', 'tenure', 'tenure_sentinel') and n.nspname not like 'pg\_toast%' and n.nspname not like 'pg\_temp%'`

const keysSQL = `select k.conname, n.nspname, c.relname, pn.nspname, pc.relname, k.confdeltype::text, k.condeferrable::text,
 (select json_agg(a.attname order by u.i) from unnest(k.conkey) with ordinality u(n, i) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n)::text,
 (select json_agg(a.attname order by u.i) from unnest(k.confkey) with ordinality u(n, i) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n)::text,
 (select bool_or(not a.attnotnull) from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey))::text
 from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
 join pg_class pc on pc.oid = k.confrelid join pg_namespace pn on pn.oid = pc.relnamespace
 where k.contype = 'f' and k.conparentid = 0`

// Graph reads every table of the database, save the catalog's and Tenure's own.
func (dialect) Graph(ctx context.Context, q relational.Querier) (*relational.Graph, error) {
	return graph(ctx, q, tablesSQL, keysSQL)
}

// ownSQL is the tables of a schema and those that refer to them, however far. It
// goes by pg_depend, whose index leads from a thing to what depends on it: what
// one tenant costs mustn't grow with the number of its neighbours.
const ownSQL = `with recursive own (oid) as (
 select c.oid from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'p')
  where p.classid = 'pg_class'::regclass and p.refclassid = 'pg_namespace'::regclass and p.refobjid = (select oid from pg_namespace where nspname = %s)
 union
 select k.conrelid from own o join pg_depend p on p.refclassid = 'pg_class'::regclass and p.refobjid = o.oid and p.classid = 'pg_constraint'::regclass
  join pg_constraint k on k.oid = p.objid and k.contype = 'f' and k.confrelid = o.oid)
`

// graphOf reads the tables of a schema, those that refer to them, and the
// foreign keys between all of these.
func graphOf(ctx context.Context, q relational.Querier, schema string) (*relational.Graph, error) {
	own := fmt.Sprintf(ownSQL, literal(schema))
	const among = " = any (array(select oid from own))"
	return graph(ctx, q, own+tablesSQL+" and c.oid"+among, own+keysSQL+" and k.conrelid"+among+" and k.confrelid"+among)
}

func graph(ctx context.Context, q relational.Querier, tablesSQL, keysSQL string) (*relational.Graph, error) {
	var tables []relational.Table
	err := each(ctx, q, tablesSQL, 5, func(v []string) {
		t := relational.Table{TableName: relational.TableName{Schema: v[0], Name: v[1]}, Parts: v[2] == "true"}
		_ = json.Unmarshal([]byte(v[3]), &t.Columns)
		_ = json.Unmarshal([]byte(v[4]), &t.Key)
		tables = append(tables, t)
	})
	if err != nil {
		return nil, err
	}
	var keys []relational.ForeignKey
	err = each(ctx, q, keysSQL, 10, func(v []string) {
		k := relational.ForeignKey{Name: v[0], Child: relational.TableName{Schema: v[1], Name: v[2]}, Parent: relational.TableName{Schema: v[3], Name: v[4]},
			Deferrable: v[6] == "true", Nullable: v[9] == "true"}
		switch v[5] {
		case "c":
			k.OnDelete = relational.Cascade
		case "n", "d":
			k.OnDelete = relational.SetNull
		}
		_ = json.Unmarshal([]byte(v[7]), &k.Columns)
		_ = json.Unmarshal([]byte(v[8]), &k.Parents)
		keys = append(keys, k)
	})
	if err != nil {
		return nil, err
	}
	return relational.NewGraph(tables, keys), nil
}

// each reads a result of n text columns.
func each(ctx context.Context, q relational.Querier, sql string, n int, row func(v []string)) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	v, dest := make([]string, n), make([]any, n)
	for i := range v {
		dest[i] = &v[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row(v)
	}
	return rows.Err()
}
