package sqlite

import (
	"fmt"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

// TestChanges: rows that don't simply go end as their class's disposition says.
func TestChanges(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	connectortest.Changes(t, connectortest.Changed{
		Open: func(t *testing.T) connector.Driver {
			d := w.opened(t, "2s")
			t.Cleanup(func() { must(t, d.Close()) })
			return d
		},
		Ref: func(_ string, a map[string]any) connector.Ref {
			r := pool("", "acme", nil)
			r.Attributes = a
			return r
		},
		Exec: func(t *testing.T, sql string) { exec(t, w.shared, sql) },
		Rows: func(t *testing.T, sql string) (out []string) {
			db := raw(t, w.shared)
			defer func() { must(t, db.Close()) }()
			rows, err := db.Query(sql)
			must(t, err)
			defer rows.Close()
			columns, err := rows.Columns()
			must(t, err)
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			for rows.Next() {
				must(t, rows.Scan(into...))
				line := ""
				for i, v := range values {
					if i > 0 {
						line += "|"
					}
					if v != nil {
						line += fmt.Sprint(v)
					}
				}
				out = append(out, line)
			}
			must(t, rows.Err())
			return out
		},
		Floating: true,
		Types:    map[string]string{"date": "text", "moment": "text", "address": "text", "json": "json", "text": "text"},
	})
}
