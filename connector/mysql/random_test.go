package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/mariadbtest"
	"github.com/tenurehq/tenure/internal/schematest"
)

// opened is a driver on a world, planted.
func (w *world) opened(t testing.TB, options map[string]string) *Driver {
	t.Helper()
	all := w.options()
	for k, v := range options {
		all[k] = v
	}
	opened, err := Info().Open(t.Context(), connector.Config{System: "under-test", Options: all, Secrets: secretsOf(w.proxy.DSN), Marker: testMarker})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*Driver)
	t.Cleanup(func() { _ = d.Close() })
	if _, err := d.Plant(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRandomSchemas erases a tenant from schemas that nobody thought of. Where it fails,
// rows stay behind under a verified certificate, a neighbour loses some, or a tenant
// can't leave though it could.
func TestRandomSchemas(t *testing.T) {
	schematest.Run(t, schematest.MariaDB, randomTarget(t))
}

// TestRandomEnds anonymises, pseudonymises and adds up in schemas that nobody thought of.
// Where it fails, an original value is left, a neighbour's row changed, or a sum is wrong.
func TestRandomEnds(t *testing.T) {
	schematest.RunEnds(t, schematest.MariaDB, randomTarget(t))
}

// randomTarget makes the databases m and extra anew each time.
func randomTarget(t *testing.T) func(t *testing.T) schematest.Target {
	w := openWorld(t)
	d := w.opened(t, map[string]string{"databases": "m, extra"})
	w.exec(t, "drop database %s", quote(w.app))
	t.Cleanup(func() {
		w.exec(t, "set foreign_key_checks = 0; drop database if exists m; drop database if exists extra")
	})
	conn, err := w.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return func(t *testing.T) schematest.Target {
		w.exec(t, "set foreign_key_checks = 0; drop database if exists m; drop database if exists extra; set foreign_key_checks = 1; delete from %s", quote(w.keep, "mark"))
		return schematest.Target{
			Driver: d,
			Exec: func(sql string) error {
				checks := 0 // rows come in any order
				if strings.HasPrefix(sql, "create") {
					checks = 1
				}
				_, err := conn.ExecContext(t.Context(), fmt.Sprintf("set foreign_key_checks = %d;\n", checks)+sql)
				return err
			},
			Dump: func(names []string) (schematest.Rows, error) {
				out := schematest.Rows{}
				for _, name := range names {
					if err := dumped(t.Context(), w.db, name, out); err != nil {
						return nil, err
					}
				}
				return out, nil
			},
			Catalog: func() (string, error) {
				var out []string
				for _, q := range []string{
					"select concat_ws(' ', table_schema, table_name, column_name, column_type, is_nullable, column_default, extra) from information_schema.columns where table_schema in ('m', 'extra')",
					"select concat_ws(' ', trigger_schema, trigger_name, event_object_table, action_statement) from information_schema.triggers where trigger_schema in ('m', 'extra')",
					"select concat_ws(' ', constraint_schema, table_name, constraint_name, delete_rule) from information_schema.referential_constraints where constraint_schema in ('m', 'extra')",
				} {
					out = append(out, mariadbtest.Strings(t, w.db, q)...)
				}
				slices.Sort(out)
				return strings.Join(out, "\n"), nil
			},
			Texts: func(name string) (schematest.Texts, error) { return textsIn(t.Context(), conn, name) },
		}
	}
}

func textsIn(ctx context.Context, conn *sql.Conn, name string) (out schematest.Texts, err error) {
	rows, err := conn.QueryContext(ctx, "select * from "+name)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return out, err
	}
	for _, c := range types {
		out.Columns = append(out.Columns, c.Name())
	}
	for rows.Next() {
		values, at := make([]sql.RawBytes, len(types)), make([]any, len(types))
		for i := range values {
			at[i] = &values[i]
		}
		if err := rows.Scan(at...); err != nil {
			return out, err
		}
		row := make([]*string, len(types))
		for i, v := range values {
			if v == nil {
				continue
			}
			s := string(v)
			switch types[i].DatabaseTypeName() {
			case "BLOB", "VARBINARY", "BINARY", "BIT":
				s = fmt.Sprintf("%x", []byte(v))
			}
			row[i] = &s
		}
		out.Rows = append(out.Rows, row)
	}
	return out, rows.Err()
}

// dumped reads all rows of a table, by id.
func dumped(ctx context.Context, db *sql.DB, name string, into schematest.Rows) error {
	rows, err := db.QueryContext(ctx, "select * from "+name)
	if err != nil {
		return err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, at := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			at[i] = &values[i]
		}
		if err := rows.Scan(at...); err != nil {
			return err
		}
		row := map[string]any{}
		for i, c := range types {
			switch v := values[i].(type) {
			case int64:
				row[c.Name()] = float64(v)
			case []byte:
				row[c.Name()] = string(v)
				if c.DatabaseTypeName() == "BLOB" {
					row[c.Name()] = fmt.Sprintf("%x", v)
				}
			default:
				row[c.Name()] = v
			}
		}
		into[int(row["id"].(float64))] = row
	}
	return rows.Err()
}
