package postgres

import (
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestChanges: rows that don't simply go end as their class's disposition says.
func TestChanges(t *testing.T) {
	t.Parallel()
	_, w, _ := opened(t)
	w.exec(t, "drop schema pool, granted, shared cascade; create schema m")
	connectortest.Changes(t, connectortest.Changed{
		Open: func(t *testing.T) connector.Driver { return w.driver(t, w.proxy.DSN) },
		Ref: func(name string, a map[string]any) connector.Ref {
			a["schema"] = "m"
			return desired("rows", name, a).Ref
		},
		Exec: func(t *testing.T, sql string) { postgrestest.Exec(t, w.dsn, "set search_path = m; "+sql) },
		Rows: func(t *testing.T, sql string) []string {
			c := postgrestest.Connect(t, w.dsn)
			if _, err := c.Exec(t.Context(), "set search_path = m, public"); err != nil {
				t.Fatal(err)
			}
			rows, err := c.Query(t.Context(), "select (select string_agg(coalesce(v, ''), '|' order by n) from json_each_text(row_to_json(x)) with ordinality e (k, v, n)) from ("+sql+") x")
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for rows.Next() {
				var s string
				if err := rows.Scan(&s); err != nil {
					t.Fatal(err)
				}
				out = append(out, s)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			return out
		},
		Types: map[string]string{"date": "date", "moment": "timestamptz", "address": "inet", "json": "jsonb", "text": "text"},
	})
}
