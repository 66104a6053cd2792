package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/schematest"
)

// TestRandomSchemas erases a tenant from schemas that nobody thought of. Where it
// fails, rows stay behind under a verified certificate, a neighbour loses some, or
// a tenant can't leave though it could.
func TestRandomSchemas(t *testing.T) {
	t.Parallel()
	schematest.Run(t, schematest.SQLite, func(t *testing.T) schematest.Target {
		root := t.TempDir()
		w := &world{dir: filepath.Join(root, "tenants"), shared: filepath.Join(root, "platform.db")}
		exec(t, w.shared, "pragma journal_mode = wal")
		db := raw(t, w.shared)
		t.Cleanup(func() { must(t, db.Close()) })
		d := w.opened(t, "2s")
		t.Cleanup(func() { must(t, d.Close()) })
		return schematest.Target{
			Driver: d,
			Exec: func(sql string) error {
				_, err := db.Exec("begin;\n" + sql + "\ncommit;")
				return err
			},
			Dump: func(names []string) (schematest.Rows, error) {
				out := schematest.Rows{}
				for _, name := range names {
					rows, err := db.Query("select * from " + name)
					if err != nil {
						return nil, err
					}
					columns, err := rows.Columns()
					must(t, err)
					for rows.Next() {
						values, into := make([]any, len(columns)), make([]any, len(columns))
						for i := range values {
							into[i] = &values[i]
						}
						must(t, rows.Scan(into...))
						row := map[string]any{}
						for i, c := range columns {
							switch v := values[i].(type) {
							case int64:
								row[c] = float64(v)
							case []byte:
								row[c] = fmt.Sprintf("%x", v)
							default:
								row[c] = v
							}
						}
						out[int(row["id"].(float64))] = row
					}
					must(t, rows.Err())
				}
				return out, nil
			},
			Catalog: func() (string, error) {
				return strings.Join(column(t, db, "select type || ' ' || name || ' ' || coalesce(sql, '') from sqlite_schema where tbl_name not like 'tenure%' and tbl_name not like 'sqlite%' order by 1"), "\n"), nil
			},
		}
	})
}
