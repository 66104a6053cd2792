package mysql

import (
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/mariadbtest"
)

// TestChanges: rows that don't simply go end as their class's disposition says.
func TestChanges(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	place := w.token + "m"
	w.exec(t, "create database %s", quote(place))
	db := mariadbtest.Open(t, mariadbtest.As(t, w.dsn, w.user, platformPassword, place))
	connectortest.Changes(t, connectortest.Changed{
		Open: func(t *testing.T) connector.Driver { return w.opened(t, nil) },
		Ref: func(name string, a map[string]any) connector.Ref {
			r := w.pool(name, "acme", nil)
			a["schema"] = place
			r.Attributes = a
			return r
		},
		Exec: func(t *testing.T, sql string) { mariadbtest.Exec(t, db, sql) },
		Rows: func(t *testing.T, sql string) (out []string) {
			rows, err := db.QueryContext(t.Context(), sql)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			columns, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			values, into := make([]*string, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			for rows.Next() {
				if err := rows.Scan(into...); err != nil {
					t.Fatal(err)
				}
				line := ""
				for i, v := range values {
					if i > 0 {
						line += "|"
					}
					if v != nil {
						line += *v
					}
				}
				out = append(out, line)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			return out
		},
		Types: map[string]string{"date": "date", "moment": "datetime", "address": "inet4", "json": "json", "text": "text"},
	})
}
