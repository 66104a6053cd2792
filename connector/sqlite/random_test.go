package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/schematest"
)

// TestRandomSchemas erases a tenant from schemas that nobody thought of. Where it
// fails, rows stay behind under a verified certificate, a neighbour loses some, or
// a tenant can't leave though it could.
func TestRandomSchemas(t *testing.T) {
	t.Parallel()
	schematest.Run(t, schematest.SQLite, randomTarget)
}

// TestRandomEnds anonymises, pseudonymises and adds up in schemas that nobody thought of.
// Where it fails, an original value is left, a neighbour's row changed, or a sum is wrong.
func TestRandomEnds(t *testing.T) {
	t.Parallel()
	schematest.RunEnds(t, schematest.SQLite, randomTarget)
}

// randomTarget is a new file.
func randomTarget(t *testing.T) schematest.Target {
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
		Texts: func(name string) (schematest.Texts, error) { return textsIn(t, db, name), nil },
	}
}

func textsIn(t *testing.T, db *sql.DB, name string) (out schematest.Texts) {
	bare := strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	out.Columns = column(t, db, "select name from pragma_table_xinfo("+literal(bare)+") order by cid")
	parts := make([]string, len(out.Columns))
	for i, c := range out.Columns {
		parts[i] = "case typeof(" + quote(c) + ") when 'blob' then lower(hex(" + quote(c) + ")) else cast(" + quote(c) + " as text) end"
	}
	rows, err := db.Query("select " + strings.Join(parts, ", ") + " from " + name)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		row, into := make([]*string, len(parts)), make([]any, len(parts))
		for i := range row {
			into[i] = &row[i]
		}
		must(t, rows.Scan(into...))
		out.Rows = append(out.Rows, row)
	}
	must(t, rows.Err())
	return out
}

// TestRestrictInItself was found by TestRandomSchemas: SQLite looks at a restrict
// reference row by row, so a tree goes from its leaves, or by nulls. Where triggers
// run, SQLite itself looks.
func TestRestrictInItself(t *testing.T) {
	t.Parallel()
	const schema = "create table tree (id int primary key, tenant text, up integer references tree (id) on delete restrict); create table past (tenant text, id integer)"
	const rows = "insert into tree values (1, 'acme', null), (2, 'acme', 1), (3, 'acme', 2), (4, 'acme', 1), (5, 'acme', 5)"
	for name, c := range map[string]struct{ schema, rows string }{
		"a ring":                 {schema, rows + ", (6, 'acme', 8), (7, 'acme', 6), (8, 'acme', 7)"},
		"a ring under a trigger": {schema + "; create trigger seen after delete on tree begin insert into past values (old.tenant, old.id); end", rows + ", (6, 'acme', 8), (7, 'acme', 6), (8, 'acme', 7)"},
		"under a trigger":        {schema + "; create trigger seen after delete on tree begin insert into past values (old.tenant, old.id); end", rows},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			d := w.opened(t, "2s")
			exec(t, w.shared, c.schema)
			r := d.made(t, pool("tenant", "acme", tablesOf("data", "tree", "past", "notes", "orders", "lines")))
			exec(t, w.shared, c.rows)
			for cursor := ""; ; {
				e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Limit: 2, Cursor: cursor})
				must(t, err)
				if cursor = e.Cursor; e.Done {
					break
				}
			}
			if n := number(t, w.shared, "select count(*) from tree"); n != 0 {
				t.Errorf("%d rows of the tree are left", n)
			}
		})
	}
}

// TestRingThatCascades was found by TestRandomSchemas: of rows that refer to one another
// one takes the other along, and a trigger copies both. They go whole.
func TestRingThatCascades(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "2s")
	exec(t, w.shared, "create table tree (id int primary key, tenant text, up integer not null references tree (id) on delete cascade); create table past (tenant text, id integer); "+
		"create trigger seen after delete on tree begin insert into past values (old.tenant, old.id); end")
	r := d.made(t, pool("tenant", "acme", tablesOf("data", "tree", "past", "notes", "orders", "lines")))
	exec(t, w.shared, "pragma foreign_keys = off; insert into tree values (1, 'acme', 2), (2, 'acme', 1), (3, 'birch', 3)")
	if got := blocking(d.mapped(t, connector.Survey{Ref: r, Prove: true})); len(got) > 0 {
		t.Fatalf("blocked by %q", got)
	}
	for cursor := ""; ; {
		e, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Limit: 5, Cursor: cursor})
		must(t, err)
		if cursor = e.Cursor; e.Done {
			break
		}
	}
	if n := number(t, w.shared, "select count(*) from tree where tenant = 'acme'") + number(t, w.shared, "select count(*) from past"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestRingThatNothingOpens was found by TestRandomSchemas: rows that refer to one
// another by what can't be null can't go where SQLite itself looks. That is known
// before anything goes.
func TestRingThatNothingOpens(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"set null", "restrict"} {
		w := openWorld(t)
		d := w.opened(t, "2s")
		exec(t, w.shared, "create table tree (id int primary key, tenant text, up integer not null references tree (id) on delete "+action+
			"); create table past (tenant text, id integer); create trigger seen after delete on tree begin insert into past values (old.tenant, old.id); end")
		r := d.made(t, pool("tenant", "acme", tablesOf("data", "tree", "past", "notes", "orders", "lines")))
		exec(t, w.shared, "pragma foreign_keys = off; insert into tree values (1, 'acme', 1), (2, 'acme', 3), (3, 'acme', 2)")
		if got := blocking(d.mapped(t, connector.Survey{Ref: r, Prove: true})); !slices.Equal(got, []string{"order tree.up"}) {
			t.Errorf("on delete %s: blocked by %q", action, got)
		}
	}
}
