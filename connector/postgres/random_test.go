package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/internal/schematest"
)

// TestRandomSchemas erases a tenant from schemas that nobody thought of. Where it
// fails, rows stay behind under a verified certificate, a neighbour loses some, or
// a tenant can't leave though it could.
func TestRandomSchemas(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	conn := connect(t, w.dsn)
	_, err := conn.PgConn().Exec(t.Context(), "drop schema app, pool, granted, shared cascade").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	schematest.Run(t, schematest.Postgres, randomTarget(d, conn))
}

// TestRandomEnds anonymises, pseudonymises and adds up in schemas that nobody thought of.
// Where it fails, an original value is left, a neighbour's row changed, or a sum is wrong.
func TestRandomEnds(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	conn := connect(t, w.dsn)
	_, err := conn.PgConn().Exec(t.Context(), "drop schema app, pool, granted, shared cascade").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	schematest.RunEnds(t, schematest.Postgres, randomTarget(d, conn))
}

func randomTarget(d *Driver, conn *pgx.Conn) func(t *testing.T) schematest.Target {
	return func(t *testing.T) schematest.Target {
		if _, err := conn.PgConn().Exec(t.Context(), "set client_min_messages = error; drop schema if exists m, extra cascade; delete from tenure.mark").ReadAll(); err != nil {
			t.Fatal(err)
		}
		return schematest.Target{
			Driver: d,
			Exec: func(sql string) error {
				_, err := conn.PgConn().Exec(t.Context(), "set session_replication_role = replica;\n"+sql).ReadAll()
				return err
			},
			Dump:    func(names []string) (schematest.Rows, error) { return rowsByID(t.Context(), conn, names) },
			Texts:   func(name string) (schematest.Texts, error) { return textsIn(t.Context(), conn, name) },
			Catalog: func() (string, error) { return catalogOf(t.Context(), conn) },
		}
	}
}

func textsIn(ctx context.Context, conn *pgx.Conn, name string) (out schematest.Texts, err error) {
	all, err := conn.PgConn().Exec(ctx, "set timezone = 'UTC'; select * from "+name).ReadAll()
	if err != nil {
		return out, err
	}
	for _, f := range all[1].FieldDescriptions {
		out.Columns = append(out.Columns, f.Name)
	}
	for _, r := range all[1].Rows {
		row := make([]*string, len(r))
		for i, c := range r {
			if c != nil {
				s := strings.TrimPrefix(string(c), "\\x")
				row[i] = &s
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

func rowsByID(ctx context.Context, conn *pgx.Conn, names []string) (schematest.Rows, error) {
	out := schematest.Rows{}
	for _, name := range names {
		rows, err := conn.Query(ctx, "select id, to_jsonb(t)::text from "+name+" t")
		if err != nil {
			return nil, err
		}
		var id int
		var text string
		_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() error {
			var row map[string]any
			err := json.Unmarshal([]byte(text), &row)
			out[id] = row
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// catalogOf writes down what stands in schemas that aren't Tenure's or the server's.
func catalogOf(ctx context.Context, conn *pgx.Conn) (string, error) {
	const outside = " not in ('tenure', 'information_schema') and n.nspname not like 'pg\\_%'"
	var out []string
	for _, sql := range []string{
		"select concat_ws(' ', 'relation', c.oid, n.nspname, relname, relkind, relowner, relacl, relrowsecurity, relforcerowsecurity, relispartition, relhastriggers, reloptions, relreplident) from pg_class c join pg_namespace n on n.oid = relnamespace where n.nspname" + outside,
		"select concat_ws(' ', 'column', attrelid, attnum, attname, atttypid, attnotnull, attgenerated, attacl, attisdropped, pg_get_expr(adbin, adrelid)) from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace left join pg_attrdef on adrelid = attrelid and adnum = attnum where attnum > 0 and n.nspname" + outside,
		"select concat_ws(' ', 'constraint', k.oid, conname, convalidated, condeferred, pg_get_constraintdef(k.oid)) from pg_constraint k join pg_namespace n on n.oid = connamespace where n.nspname" + outside,
		"select concat_ws(' ', 'index', indexrelid, indisvalid, pg_get_indexdef(indexrelid)) from pg_index join pg_class c on c.oid = indexrelid join pg_namespace n on n.oid = relnamespace where n.nspname" + outside,
		"select concat_ws(' ', 'trigger', t.oid, tgenabled, pg_get_triggerdef(t.oid)) from pg_trigger t join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace where n.nspname" + outside,
		"select concat_ws(' ', 'rule', r.oid, ev_enabled, pg_get_ruledef(r.oid)) from pg_rewrite r join pg_class c on c.oid = ev_class join pg_namespace n on n.oid = relnamespace where n.nspname" + outside,
		"select concat_ws(' ', 'function', p.oid, proname, proowner, proacl, prosrc) from pg_proc p join pg_namespace n on n.oid = pronamespace where n.nspname" + outside,
		"select concat_ws(' ', 'policy', p.oid, polname, polrelid) from pg_policy p",
		"select concat_ws(' ', 'schema', n.oid, nspname, nspowner, nspacl, obj_description(n.oid, 'pg_namespace')) from pg_namespace n where n.nspname" + outside,
		"select concat_ws(' ', 'comment', objoid, objsubid, description) from pg_description join pg_class c on c.oid = objoid join pg_namespace n on n.oid = relnamespace where n.nspname" + outside,
	} {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return "", err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return "", err
		}
		slices.Sort(lines)
		out = append(out, lines...)
	}
	return strings.Join(out, "\n"), nil
}
