package sqlite

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

func TestConformance(t *testing.T) { connectortest.Run(t, newWorld) }

// world is a folder and a shared file, with hands on them that aren't the
// connector's.
type world struct {
	dir, shared string
	dumps       map[[sha256.Size]byte]string // of files that were looked at before
}

const platformSQL = `
create table notes (id integer primary key, tenant text);
create table orders (id integer primary key, tenant text, note integer references notes);
create table lines (id integer primary key, "order" integer references orders (id) on delete restrict);
`

func openWorld(t testing.TB) *world {
	root := t.TempDir()
	w := &world{dumps: map[[sha256.Size]byte]string{}, dir: filepath.Join(root, "tenants"), shared: filepath.Join(root, "platform's #1?.db")}
	ddl := platformSQL
	for _, typ := range []string{"account", "api_key", "integration", "session", "setting"} {
		ddl += fmt.Sprintf("create table %ss (id text primary key, status text not null default 'new', active integer, seats real, until text, extra text, secret text, tenure_mark text);\n", typ)
	}
	exec(t, w.shared, "pragma journal_mode = wal")
	exec(t, w.shared, ddl)
	platform := raw(t, w.shared) // which has its database open all the time
	t.Cleanup(func() { must(t, platform.Close()) })
	column(t, platform, "select name from sqlite_schema")
	return w
}

func newWorld(t *testing.T) *connectortest.World {
	w := openWorld(t)
	return &connectortest.World{
		Info:         Info(),
		Options:      map[string]string{"dir": w.dir, "shared": w.shared, "timeout": "2s"},
		Cases:        append([]connectortest.Case{w.databaseCase(), w.rowsCase()}, w.recordCases()...),
		Probes:       w.probes(),
		Untried:      []string{"encryption"}, // no misconfiguration makes a profile ask for more
		Look:         w.look,
		LoseSentinel: func(t testing.TB) { must(t, os.Remove(filepath.Join(w.dir, sentinelFile))) },
		Hide: func(t testing.TB) {
			must(t, os.Rename(filepath.Join(w.dir, quarantineDir), filepath.Join(w.dir, ownDir, "away")))
		},
		Outage: func(t testing.TB) func() {
			must(t, errors.Join(os.Rename(w.shared, w.shared+".away"), os.Rename(w.dir, w.dir+".away")))
			return func() { must(t, errors.Join(os.Rename(w.shared+".away", w.shared), os.Rename(w.dir+".away", w.dir))) }
		},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// raw opens a file as a stranger would.
func raw(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?_pragma=busy_timeout(5000)&_pragma=synchronous(off)")
	must(t, err)
	return db
}

func exec(t testing.TB, file, query string) {
	t.Helper()
	db := raw(t, file)
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func number(t testing.TB, file, query string) (n int) {
	t.Helper()
	db := raw(t, file)
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// dump writes down all that a database file holds.
func dump(t testing.TB, file string) string {
	t.Helper()
	db := raw(t, file)
	defer db.Close()
	var b strings.Builder
	for _, name := range append([]string{"sqlite_schema"}, column(t, db, "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by name")...) {
		rows, err := db.Query("select * from " + quote(name) + " order by 1, 2")
		if err != nil {
			rows, err = db.Query("select * from " + quote(name) + " order by 1")
		}
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			must(t, rows.Scan(into...))
			if name == "sqlite_schema" {
				values[3] = nil // its page is no content
			}
			fmt.Fprintf(&b, "%s %q\n", name, values)
		}
		must(t, rows.Err())
		must(t, rows.Close())
	}
	return b.String()
}

// dump is dump, but for a file whose bytes were seen before.
func (w *world) dump(t testing.TB, file string) string {
	t.Helper()
	body, err := os.ReadFile(file)
	must(t, err)
	wal, err := os.ReadFile(file + "-wal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(body, wal...))
	if w.dumps[sum] == "" {
		w.dumps[sum] = dump(t, file)
	}
	return w.dumps[sum]
}

func column(t testing.TB, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.Query(query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		out = append(out, s)
	}
	must(t, rows.Err())
	return out
}

// look lists every entry with its mode and content. A database's content is its
// rows, not its bytes; its journals come and go with who reads it.
func (w *world) look(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	if _, err := os.Stat(w.shared); err == nil {
		b.WriteString(w.dump(t, w.shared))
	}
	err := filepath.WalkDir(w.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(p, "-wal") || strings.HasSuffix(p, "-shm") {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%q %s\n", strings.TrimPrefix(p, w.dir), info.Mode())
		if !info.Mode().IsRegular() {
			return nil
		}
		body, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(body, []byte("SQLite format 3")) {
			b.WriteString(w.dump(t, p))
		} else {
			fmt.Fprintf(&b, "%x\n", sha256.Sum256(body))
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return b.String()
}

func (w *world) at(r connector.Ref) string { return filepath.Join(w.dir, r.Name+suffix) }

// home is where a database stands, in quarantine or not.
func (w *world) home(r connector.Ref) string {
	if _, err := os.Lstat(w.at(r)); err == nil {
		return w.at(r)
	}
	return filepath.Join(w.dir, quarantineDir, r.Name+suffix)
}

const twoTables = "create table if not exists orders (id integer primary key, v text, b blob); -- of the crm\ncreate table if not exists notes (v text)"

var tableOf = map[string]string{"billing": "orders", "crm": "notes", "": "uncovered"}

func (w *world) databaseCase() connectortest.Case {
	return connectortest.Case{
		Type: "database",
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("acme-%d", n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"ddl": twoTables, "tables": map[string]any{"Orders": "billing", "notes": "crm"}}}}
		},
		Invalid: []map[string]any{nil, {"ddl": " "}, {"ddl": "create tabel x"}, {"ddl": 1}, {"ddl": "create table x (a)", "nonsense": true}, {"ddl": "create table x (a)", "tables": map[string]any{"x": ""}},
			{"ddl": "create table Tenure_x (a)"}, {"ddl": "create table x (a); commit; create table y (b)"}, {"ddl": "attach '/tmp/other.db' as o"}, {"ddl": "create table x (a)\x00"}},
		Tamper: func(t testing.TB, r connector.Ref) {
			exec(t, w.at(r), "drop table notes")
			must(t, os.Chmod(w.at(r), 0o644))
		},
		Foreign: func(t testing.TB, r connector.Ref) { exec(t, w.at(r), "create table theirs (a)") },
		Remark: func(t testing.TB, r connector.Ref, mark string) {
			w.remarkFile(t, w.at(r), func(note string) string { return mark + note[strings.IndexByte(note, '\n'):] })
		},
		Unmark: func(t testing.TB, r connector.Ref) {
			object, err := identity(w.at(r))
			must(t, err)
			must(t, os.Remove(filepath.Join(w.dir, marksDir, object)))
		},
		Exists: func(_ testing.TB, r connector.Ref) bool { _, err := os.Lstat(w.at(r)); return err == nil },
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			table := tableOf[class]
			exec(t, w.home(r), fmt.Sprintf("create table if not exists %s (v text); with recursive n (i) as (select 1 union all select i + 1 from n where i < %d) insert into %s (v) select 'x' || i from n", table, n, table))
		},
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return number(t, w.home(r), "select count(*) from "+tableOf[class])
		},
		Stick: func(t testing.TB, r connector.Ref, class string) (string, func()) { return stick(t, w.home(r), class) },
		Late: func(t testing.TB, r connector.Ref, class string, n int) {
			exec(t, w.at(r), fmt.Sprintf("create table %s (v text); with recursive n (i) as (select 1 union all select i + 1 from n where i < %d) insert into %s select i from n", tableOf[class], n, tableOf[class]))
		},
		Exported: exported,
	}
}

// remarkFile changes the note that is kept of a file.
func (w *world) remarkFile(t testing.TB, file string, change func(string) string) {
	t.Helper()
	object, err := identity(file)
	must(t, err)
	path := filepath.Join(w.dir, marksDir, object)
	note, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(change(string(note))), 0o600))
}

// stick adds a trigger that swallows deletes.
func stick(t testing.TB, file, class string) (name string, undo func()) {
	exec(t, file, "create trigger swallow before delete on "+tableOf[class]+" begin select raise(ignore); end")
	return "swallow", func() { exec(t, file, "drop trigger swallow") }
}

// exported counts the rows in an archive.
func exported(t testing.TB, data []byte) int {
	n := 0
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		must(t, err)
		if body, _ := io.ReadAll(r); strings.HasPrefix(h.Name, "data/") {
			n += bytes.Count(body, []byte("\n"))
		}
	}
}

func (w *world) rowsCase() connectortest.Case {
	text := func(r connector.Ref, k string) string { return r.Attributes[k].(string) }
	return connectortest.Case{
		Type: "rows",
		New: func(t testing.TB, n int) connector.Desired {
			exec(t, w.shared, "drop table if exists uncovered") // another check's
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("rows-%d", n), Classes: []string{"billing", "crm"},
				Attributes: map[string]any{"column": "tenant", "key": fmt.Sprintf("t'%d", n), "tables": map[string]any{"orders": "billing", "lines": "billing", "notes": "crm"}}}}
		},
		Invalid: []map[string]any{{"column": "c", "key": " ", "tables": map[string]any{}}, {"column": "", "key": "k", "tables": map[string]any{}}, {"column": "c", "key": "k", "tables": map[string]any{"t": ""}}},
		Foreign: func(t testing.TB, r connector.Ref) {
			exec(t, w.shared, "insert into notes (tenant) values ("+literal(text(r, "key"))+")")
		}, Unlisted: true,
		Remark: w.remark("tenure_mark", "note", "type = 'rows' and name = "),
		Unmark: func(t testing.TB, r connector.Ref) {
			exec(t, w.shared, "delete from tenure_mark where type = 'rows' and name = "+literal(r.Name))
		}, Hollow: true,
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			table := tableOf[class]
			exec(t, w.shared, fmt.Sprintf("create table if not exists %s (tenant text); with recursive n (i) as (select 1 union all select i + 1 from n where i < %d) insert into %s (tenant) select %s from n", table, n, table, literal(text(r, "key"))))
		},
		Count: func(t testing.TB, r connector.Ref, class string) int {
			return number(t, w.shared, "select count(*) from "+tableOf[class]+" where tenant = "+literal(text(r, "key")))
		},
		Stick: func(t testing.TB, _ connector.Ref, class string) (string, func()) { return stick(t, w.shared, class) },
		Late: func(t testing.TB, r connector.Ref, class string, n int) {
			exec(t, w.shared, fmt.Sprintf("with recursive n (i) as (select 1 union all select i + 1 from n where i < %d) insert into %s (tenant) select %s from n", n, tableOf[class], literal(text(r, "key"))))
		},
		Exported: exported,
	}
}

func (w *world) remark(table, column, where string) func(testing.TB, connector.Ref, string) {
	return func(t testing.TB, r connector.Ref, mark string) {
		exec(t, w.shared, fmt.Sprintf("update %s set %s = %s || substr(%s, instr(%s, char(10))) where %s%s", table, column, literal(mark), column, column, where, literal(key(r))))
	}
}

func key(r connector.Ref) string {
	if k, ok := r.Attributes["key"].(map[string]any); ok {
		return k["id"].(string)
	}
	return r.Name
}

func with(d connector.Desired, k string, v any) connector.Desired {
	d.Attributes = maps.Clone(d.Attributes)
	d.Attributes[k] = v
	return d
}

func (w *world) recordCases() []connectortest.Case {
	var out []connectortest.Case
	for _, typ := range []string{"account", "api_key", "integration", "session", "setting"} {
		table := typ + "s"
		credential := typ == "account" || typ == "api_key"
		c := connectortest.Case{
			Type: typ,
			New: func(_ testing.TB, n int) connector.Desired {
				d := connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("%s-%d", typ, n), Attributes: map[string]any{
					"table": table, "key": map[string]any{"id": fmt.Sprintf("k'%d", n)},
					"values": map[string]any{"status": "active", "active": true, "seats": 5.5, "until": "2027-01-01T01:00:00+01:00", "extra": map[string]any{"b": 1, "a": []any{true, nil}}}}}}
				if typ != "setting" {
					d.Attributes["disable"] = map[string]any{"status": "off", "active": false}
				}
				if credential {
					d.Attributes["secretColumn"] = "secret"
				}
				return d
			},
			Changed: func(d connector.Desired) connector.Desired {
				values := maps.Clone(d.Attributes["values"].(map[string]any))
				values["seats"] = 6
				return with(d, "values", values)
			},
			Invalid: []map[string]any{
				{"table": "x"}, {"table": "x", "key": map[string]any{"id": nil}}, {"table": "x", "key": map[string]any{"id": 1}, "values": map[string]any{"id": 2}},
				{"table": "x", "key": map[string]any{"id": 1}, "disable": map[string]any{"status": "off"}},
			},
			Tamper: func(t testing.TB, r connector.Ref) {
				exec(t, w.shared, "update "+table+" set extra = '{}' where id = "+literal(key(r)))
			},
			Foreign: func(t testing.TB, r connector.Ref) {
				exec(t, w.shared, "insert into "+table+" (id) values ("+literal(key(r))+")")
			}, Unlisted: true,
			Remark: w.remark(table, "tenure_mark", "id = "),
			Unmark: func(t testing.TB, r connector.Ref) {
				exec(t, w.shared, "update "+table+" set tenure_mark = null where id = "+literal(key(r)))
			},
			Exists: func(t testing.TB, r connector.Ref) bool {
				return number(t, w.shared, "select count(*) from "+table+" where id = "+literal(key(r))) > 0
			},
			Rename: func(d connector.Desired, name string) connector.Desired {
				d.Name = name
				return with(d, "key", map[string]any{"id": "k:" + strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "")})
			},
		}
		// The five types are one piece of code; their names are tried with one.
		c.FixedNames = typ != "account"
		if typ != "setting" {
			c.Works = func(t testing.TB, d connector.Desired) bool {
				query := "select count(*) from " + table + " where status = 'active' and active = 1 and id = " + literal(key(d.Ref))
				if credential {
					sum := sha256.Sum256([]byte(d.Credential.Reveal()))
					query += " and secret = " + literal(hex.EncodeToString(sum[:]))
				}
				return number(t, w.shared, query) == 1
			}
		}
		out = append(out, c)
	}
	return out
}

// probes plants, for each probe, what it has to find.
func (w *world) probes() []connectortest.ProbeCase {
	ref := connector.Ref{Type: "database", Name: "probed", Resource: tenure.NewID[tenure.ResourceID](time.Now()), Attributes: map[string]any{"ddl": twoTables}}
	check := func(params map[string]string) func(testing.TB, connector.Driver) connector.Check {
		return func(t testing.TB, d connector.Driver) connector.Check {
			_, _, err := d.Ensure(context.Background(), connector.Desired{Ref: ref})
			must(t, err)
			return connector.Check{Ref: ref, Params: params}
		}
	}
	do := func(f func() error) func(testing.TB) { return func(t testing.TB) { must(t, f()) } }
	file := w.at(ref)
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "gone", Check: check(nil), Misconfigure: do(func() error { return os.Remove(file) })},
		{Kind: "reachable", Name: "garbage", Check: check(nil), Misconfigure: do(func() error { return os.WriteFile(file, []byte(strings.Repeat("garbage", 1000)), 0o600) })},
		{Kind: "reachable", Name: "torn", Check: check(nil), Misconfigure: do(func() error { return os.Truncate(file, 4096*2) })},
		{Kind: "isolation", Name: "hard link", Check: check(nil), Misconfigure: do(func() error { return os.Link(file, filepath.Join(w.dir, "other.db")) })},
		{Kind: "isolation", Name: "symbolic link to it", Check: check(nil), Misconfigure: do(func() error { return os.Symlink(file, filepath.Join(w.dir, "other.db")) })},
		{Kind: "isolation", Name: "symbolic link in its place", Check: check(nil), Misconfigure: do(func() error {
			return errors.Join(os.Rename(file, file+"x"), os.Symlink(file+"x", file))
		})},
		{Kind: "isolation", Name: "another's file", Check: check(nil), Misconfigure: func(t testing.TB) {
			w.remarkFile(t, file, func(note string) string {
				return strings.Replace(note, "database probed", "database other", 1)
			})
		}},
		{Kind: "exposure", Name: "file", Check: check(nil), Misconfigure: do(func() error { return os.Chmod(file, 0o640) })},
		{Kind: "exposure", Name: "folder", Check: check(nil), Misconfigure: do(func() error { return os.Chmod(w.dir, 0o755) })},
		{Kind: "sql", Name: "tenant", Check: check(map[string]string{"query": "select count(*) from orders", "as": "tenant", "expect": "value", "value": "0"}), Misconfigure: func(t testing.TB) { exec(t, file, "insert into orders default values") }},
		{Kind: "sql", Name: "platform", Check: check(map[string]string{"query": "select 1 from notes", "expect": "no-rows"}), Misconfigure: func(t testing.TB) { exec(t, w.shared, "insert into notes default values") }},
		{Kind: "sql", Name: "refused", Check: check(map[string]string{"query": "select 1 from notes_of_all", "as": "tenant", "expect": "refused"}), Misconfigure: func(t testing.TB) { exec(t, file, "create table notes_of_all (a)") }},
	}
}
