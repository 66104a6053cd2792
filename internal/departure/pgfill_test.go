package departure

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// pgSource is a database in PostgreSQL.
type pgSource struct{ conn *pgx.Conn }

func (s pgSource) tables(t *testing.T, schemas []string) (out []*table) {
	t.Helper()
	ctx := context.Background()
	rows, err := s.conn.Query(ctx, `select c.oid::regclass::text, c.relname, coalesce((select array_agg(inhrelid::regclass::text order by 1) from pg_inherits where inhparent = c.oid and c.relkind = 'r'), '{}')
 from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = any($1) and c.relkind in ('r', 'p') and not exists (select from pg_inherits where inhrelid = c.oid) order by c.oid`, schemas)
	must(t, err)
	out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*table, error) {
		var x table
		var heirs []string
		err := r.Scan(&x.name, &x.short, &heirs)
		x.into = append([]string{x.name}, heirs...)
		return &x, err
	})
	must(t, err)
	for _, x := range out {
		rows, err := s.conn.Query(ctx, `select attname, case when y.typtype = 'd' then 'text' when y.typtype = 'e' then 'enum' else y.typname end, attnotnull from pg_attribute a join pg_type y on y.oid = atttypid
 where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = '' order by attnum`, x.name)
		must(t, err)
		x.columns, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (c column, err error) { return c, r.Scan(&c.name, &c.kind, &c.rigid) })
		must(t, err)
		rows, err = s.conn.Query(ctx, `select (select array_agg(attname::text order by o) from unnest(conkey) with ordinality u(n, o) join pg_attribute on attrelid = conrelid and attnum = n),
 (select array_agg(attname::text order by o) from unnest(confkey) with ordinality u(n, o) join pg_attribute on attrelid = confrelid and attnum = n), confrelid::regclass::text
 from pg_constraint where contype = 'f' and conparentid = 0 and conrelid = $1::text::regclass order by conname`, x.name)
		must(t, err)
		x.keys, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (k key, err error) { return k, r.Scan(&k.columns, &k.refs, &k.parent) })
		must(t, err)
	}
	return out
}

func (pgSource) into(table string, names, values []string) string {
	return fmt.Sprintf("insert into %s (%s) values (%s) on conflict do nothing", table, strings.Join(names, ", "), strings.Join(values, ", "))
}

func (s pgSource) write(t *testing.T, inserts []string) {
	t.Helper()
	sql := "set session_replication_role = replica;\n" + strings.Join(inserts, ";\n") + ";\nset session_replication_role = origin;\n"
	_, err := s.conn.PgConn().Exec(context.Background(), sql).ReadAll()
	must(t, err)
}

func (pgSource) value(f *filler, p person, c column, token string) string {
	switch {
	case c.kind == "int4" || c.kind == "int8":
		return fmt.Sprint(f.last)
	case c.kind == "uuid":
		return fmt.Sprintf("md5('%s')::uuid", token)
	case c.kind == "date":
		return []string{"'2024-05-06'", "'2026-02-03'"}[f.IntN(2)]
	case c.kind == "text":
		return "'" + token + " Ω'"
	case c.kind == "_text":
		return "array['" + token + "']"
	case c.kind == "jsonb":
		return fmt.Sprintf(`'{"tenant_key": %q, "practice": %q, "in": ["%s"]}'`, p.name, p.name, token)
	case c.kind == "bytea":
		return "'" + token + "'::bytea"
	case c.kind == "oid":
		return "lo_from_bytea(0, '" + token + "'::bytea)"
	}
	return ""
}
