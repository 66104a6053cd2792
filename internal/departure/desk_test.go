package departure

import (
	"bytes"
	"database/sql"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

//go:embed testdata/desk.sql
var deskSQL string

// desk is the platform's support desk: one SQLite file for all tenants, or one for
// each.
type desk struct {
	dir    string
	column string
	first  string // the class of what isn't people's
	pooled bool
}

var deskIndexes = []string{"watched", "own", "bare", "light"}

func (d desk) sql() string { return strings.ReplaceAll(deskSQL, "KEY", d.column) }

func (d desk) shared() string { return filepath.Join(d.dir, "desk.db") }

func (d desk) folder() string { return filepath.Join(d.dir, "desks") }

func (d desk) systems() map[string]any {
	return map[string]any{"desk": map[string]any{"connector": "sqlite", "options": map[string]any{"dir": d.folder(), "shared": d.shared()}}}
}

func (d desk) resources(*testing.T) []any {
	r := map[string]any{"key": "desk", "system": "desk", "type": "database", "name": "${tenant.name}", "data": []any{d.first, "people"}}
	tables := map[string]string{"tickets": d.first, "answers": d.first, "own": d.first, "past": "people"}
	r["attributes"] = map[string]any{"tables": tables, "ddl": d.sql()}
	if d.pooled {
		r["type"] = "rows"
		r["attributes"] = map[string]any{"tables": tables, "column": d.column, "key": "${tenant.name}"}
	}
	return []any{r}
}

func (d desk) shape(*testing.T) string { return "" }

func (d desk) announced(line string, _ []string) string { return line }

func (d desk) open(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(file, "#", "%23")+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)")
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// newDesk makes the file that tenants share, as an application would, in WAL mode.
func newDesk(t *testing.T, p platform, pooled bool) desk {
	t.Helper()
	d := desk{dir: t.TempDir(), column: p.column, first: p.first, pooled: pooled}
	must(t, os.MkdirAll(d.folder(), 0o700))
	db := d.open(t, d.shared())
	defer db.Close()
	_, err := db.Exec("pragma journal_mode = wal")
	must(t, err)
	if pooled {
		_, err = db.Exec(d.sql())
		must(t, err)
	}
	return d
}

// files are the desk's databases, wherever Tenure has put them, by the name under
// which lines show them.
func (d desk) files(t *testing.T) map[string]string {
	t.Helper()
	if d.pooled {
		return map[string]string{"desk": d.shared()}
	}
	out := map[string]string{}
	must(t, filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".db"); ok && name != "desk" {
			out[name+".desk"] = path
		}
		return err
	}))
	return out
}

func (d desk) fill(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	f := &filler{Rand: rnd, last: 500000}
	for name, file := range d.files(t) {
		db := d.open(t, file)
		for _, who := range tenants {
			if !d.pooled && name != who.name+".desk" {
				continue
			}
			text := func() string {
				f.last++
				return fmt.Sprintf("%s%06d", who.token, f.last)
			}
			earlier := any(nil)
			for range 12 + f.IntN(20) {
				r, err := db.Exec("insert into tickets ("+d.column+", title, body, scan, earlier) values (?, ?, ?, ?, ?)", who.name, text(), text()+" asks "+text(), []byte(text()), earlier)
				must(t, err)
				earlier, err = r.LastInsertId()
				must(t, err)
				_, err = db.Exec("insert into answers (ticket_id, body) values (?, ?)", earlier, text())
				must(t, err)
			}
			for range 4 {
				_, err := db.Exec("insert into past ("+d.column+", was) values (?, ?)", who.name, text())
				must(t, err)
			}
		}
		must(t, db.Close())
	}
}

// rows are the desk's rows and the words of its indexes, as lines.
func (d desk) rows(t *testing.T) (out []string) {
	t.Helper()
	for name, file := range d.files(t) {
		db := d.open(t, file)
		line := func(table, sql string) {
			rows, err := db.Query(sql)
			must(t, err)
			defer rows.Close()
			for rows.Next() {
				var text string
				must(t, rows.Scan(&text))
				out = append(out, name+"."+table+" "+text)
			}
			must(t, rows.Err())
		}
		key := "'\"" + d.column + `": "' || ` + d.column + ` || '"'`
		line("tickets", "select json_object('id', id, 'title', title, 'body', body, 'scan', hex(scan), 'earlier', earlier) || "+key+" from tickets")
		line("answers", "select json_object('id', id, 'ticket', ticket_id, 'body', body) from answers")
		line("past", "select json_object('id', id, 'was', was) || "+key+" from past")
		line("own", "select json_object('id', rowid, 'body', body) || "+key+" from own")
		for _, index := range deskIndexes {
			_, err := db.Exec("create virtual table temp." + index + "_words using fts5vocab (main, " + index + ", instance)")
			must(t, err)
			line("word", "select '"+index+"' || ' ' || term || ' ' || doc || ' ' || col || ' ' || offset from temp."+index+"_words where term not in ('asks')")
			_, err = db.Exec("insert into " + index + " (" + index + ") values ('integrity-check')")
			must(t, err)
		}
		must(t, db.Close())
	}
	return out
}

// class is the data class of a line's table, "" if it isn't the desk's or is an index's.
func (d desk) class(_ *testing.T, table string) string {
	short, ok := strings.CutPrefix(table, "desk.")
	if !ok {
		_, short, ok = strings.Cut(table, ".desk.")
	}
	switch {
	case !ok || short == "word":
		return ""
	case short == "past":
		return "people"
	}
	return d.first
}

// raw is every byte that the desk's folder holds.
func (d desk) raw(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out.Write(b)
		return err
	}))
	return out.Bytes()
}
