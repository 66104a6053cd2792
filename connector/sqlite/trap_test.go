package sqlite

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

// endless is an expression that SQLite works at until somebody stops it.
const endless = "(with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n)"

// What a trap may have refused: all where something else than Tenure's file stands, what
// SQLite must do in a file that it can't read, what reads its tables, or what makes a
// trigger run.
var (
	all     = append([]string{"repair", "quarantine", "unquarantine", "quarantine again", "delete"}, tables...)
	tables  = []string{"map", "export", "export from quarantine", "erase aa", "erase bb"}
	broken  = append([]string{"repair", "unquarantine"}, tables...)
	running = []string{"erase aa"}
	known   = []string{"map", "erase aa"}
)

var traps = []connectortest.Trap{
	{Name: "a view", SQL: "create view w as select * from t"},
	{Name: "a view without end", SQL: "create view w as select " + endless + " as n"},
	{Name: "views that grow without end", SQL: growing(40)},
	{Name: "a view in another's file", Plant: rewrite("create view w as select * from t", "update sqlite_schema set sql = 'CREATE VIEW w as select * from birch.t' where name = 'w'"), Stops: broken},
	{Name: "a trigger without end", SQL: "create trigger g before delete on t begin select " + endless + "; end", Stops: running},
	{Name: "a trigger that fills the file", SQL: "create table x (a); create trigger g before delete on t begin insert into x select i from (with recursive n (i) as (select 1 union all select i + 1 from n) select i from n); end", Stops: running},
	{Name: "a trigger that calls itself", SQL: "create trigger g after delete on t begin insert into t select max(n) + 1, '' from t; delete from t where n = (select max(n) from t); end", Stops: []string{"map"}},
	{Name: "a trigger of long values", SQL: "create trigger g before delete on t begin select instr(zeroblob(900000000), zeroblob(450000000) || x'01'); end", Stops: running},
	{Name: "a trigger in views", SQL: growing(40) + "create trigger g before delete on t begin select count(*) from v40; end", Stops: known},
	{Name: "a trigger that loads code", SQL: "create trigger g before delete on t begin select load_extension('/tmp/evil.so'); end", Stops: known},
	{Name: "a trigger that reads a file", SQL: "create trigger g before delete on t begin select readfile('/etc/passwd'); end", Stops: known},
	{Name: "a trigger into another's file", Plant: rewrite("create trigger g before delete on t begin select 1; end", "update sqlite_schema set sql = 'CREATE TRIGGER g before delete on t begin insert into birch.t values (9); end' where name = 'g'"), Stops: broken},
	{Name: "a generated column", SQL: "alter table t add g as (printf('%.*c', 100000000, 'x'))"},
	{Name: "a generated column that loads code", Plant: rewrite("alter table t add g as (1)", "update sqlite_schema set sql = 'CREATE TABLE t (n integer primary key, v text, g as (load_extension(''/tmp/evil.so'')))' where name = 't'"), Stops: broken},
	{Name: "a check", SQL: "create table k (n integer references t on delete set null, check (n is not null or length(zeroblob(1000000)) = 0))"},
	{Name: "an index on an expression", SQL: "create index x on t (hex(zeroblob(1000000)))"},
	{Name: "an index with a condition", SQL: "create index x on t (n) where length(zeroblob(n)) >= 0"},
	{Name: "an FTS index", SQL: "create virtual table f using fts5 (v); insert into f values ('x'); update f_data set block = x'ffffffffff'", Stops: []string{"map", "export", "export from quarantine", "erase aa"}},
	{Name: "a module that isn't there", Plant: rewrite("create virtual table f using fts5 (v)", "update sqlite_schema set sql = 'CREATE VIRTUAL TABLE f USING csv(filename=''/etc/passwd'')' where name = 'f'"), Stops: []string{"map"}},
	{Name: "a view that passes for a table", Plant: rewrite("create view w as select "+endless+" as n", "update sqlite_schema set type = 'table' where name = 'w'"), Stops: broken},
	{Name: "a view called as SQLite's own", SQL: "create view pragma_table_xinfo as select " + endless + " as name", Stops: tables},
	{Name: "a table called as SQLite's own", SQL: "create table dbstat (pageno, pagetype, payload); insert into dbstat values (1, 'overflow', 0), (2, 'overflow', 0)", Stops: tables},
	{Name: "a trigger on Tenure's own", Plant: rewrite("create table tenure_tally (run, resource, kind, name, n); create trigger g before insert on tenure_tally begin select raise(ignore); end", ""), Stops: tables},
	{Name: "Tenure's own in another shape", SQL: "create table tenure_tally (a); create table tenure_parent (a)", Stops: []string{"erase aa", "erase bb"}},
	{Name: "a mark that is a generated column", Plant: rewrite("alter table tenure_mark rename to m; create table tenure_mark (type text, name text, note text as (hex(zeroblob(100000000))))", "insert into tenure_mark values ('database', 'acme')")},
	{Name: "a schema of a deep expression", Plant: rewrite("create table x (a)", "update sqlite_schema set sql = 'create table x (a check ("+strings.Repeat("(", 5000)+"1"+strings.Repeat(")", 5000)+"))' where name = 'x'"), Stops: broken},
	{Name: "a comment of 8 MB", SQL: "create table x (a /* " + strings.Repeat("x", 8<<20) + " */)", Stops: broken},
	{Name: "names", SQL: `create table "x""; drop table t; --" (a); create table "` + "a\nb\x01é" + `" ("` + "c\n'd" + `"); insert into "x""; drop table t; --" values (1); create table 'it''s' (a)`},
	{Name: "no database", Plant: func(t testing.TB, g *connectortest.Ground) {
		must(t, os.WriteFile(fileOf(g), []byte(strings.Repeat("garbage", 1000)), 0o600))
	}, Stops: broken},
	{Name: "a symbolic link", Plant: func(t testing.TB, g *connectortest.Ground) { replace(t, g, os.Symlink) }, Stops: all},
	{Name: "a hard link", Plant: func(t testing.TB, g *connectortest.Ground) { replace(t, g, os.Link) }, Stops: all},
	{Name: "its own file under another name", Plant: func(t testing.TB, g *connectortest.Ground) {
		must(t, os.Link(fileOf(g), filepath.Join(t.TempDir(), "kept")))
	}, Stops: all},
	{Name: "a pipe", Plant: func(t testing.TB, g *connectortest.Ground) {
		must(t, os.Remove(fileOf(g)))
		must(t, syscall.Mkfifo(fileOf(g), 0o600))
	}, Stops: all},
	{Name: "a folder", Plant: func(t testing.TB, g *connectortest.Ground) {
		must(t, os.Remove(fileOf(g)))
		must(t, os.Mkdir(fileOf(g), 0o700))
	}, Stops: all},
	{Name: "a neighbour's log for its own", Plant: func(t testing.TB, g *connectortest.Ground) {
		_ = os.Remove(fileOf(g) + "-wal")
		must(t, os.Link(beside(g)+"-wal", fileOf(g)+"-wal"))
	}, Stops: all},
	{Name: "a pipe for a log", Plant: func(t testing.TB, g *connectortest.Ground) {
		_ = os.Remove(fileOf(g) + "-wal")
		must(t, syscall.Mkfifo(fileOf(g)+"-wal", 0o600))
	}, Stops: all},
	{Name: "a log of nonsense", Plant: func(t testing.TB, g *connectortest.Ground) {
		must(t, os.WriteFile(fileOf(g)+"-wal", []byte(strings.Repeat("nonsense", 10000)), 0o600))
		must(t, os.WriteFile(fileOf(g)+"-shm", []byte("short"), 0o600))
	}},
	{Name: "a lock held", Held: "begin immediate", Stops: []string{"probe", "quarantine", "quarantine again", "erase aa", "erase bb", "delete"}},
	{Name: "a journal that names another file", Plant: journal},
}

// large are files whose owner makes honest use of them: no bound ends work on them.
var large = []connectortest.Trap{
	{Name: "two thousand columns", SQL: "create table x (" + many(2000, "c%d text default 'x'") + "); insert into x (c1) values (1)"},
	{Name: "a thousand tables", SQL: manyTables(1000)},
}

// bombs are small files at which some calls work without end, and the others for long.
var bombs = []connectortest.Trap{
	{Name: "pages that lead back to themselves", Plant: func(t testing.TB, g *connectortest.Ground) { bomb(t, g) }, Stops: running},
}

// growing are views of which each has the one before twice.
func growing(n int) string {
	sql := "create view v0 as select n from t;"
	for i := range n {
		sql += fmt.Sprintf("create view v%d as select a.n from v%d a, v%d b;", i+1, i, i)
	}
	return sql
}

func many(n int, format string) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(out, ", ")
}

func manyTables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "create table x%d (a integer primary key, b references x%d);", i, max(0, i-1))
	}
	return b.String()
}

// fileOf is the tenant's own file, beside a neighbour's.
func fileOf(g *connectortest.Ground) string { return g.Driver.(*Driver).at(g.Place.Name + suffix) }
func beside(g *connectortest.Ground) string { return g.Driver.(*Driver).at("birch" + suffix) }

// rewrite writes into the schema by hand.
func rewrite(sql, then string) func(testing.TB, *connectortest.Ground) {
	return func(t testing.TB, g *connectortest.Ground) {
		exec(t, fileOf(g), sql+"; pragma writable_schema = 1; "+then+"; pragma writable_schema = 0")
	}
}

// replace puts something that leads to a neighbour's file in place of the tenant's.
func replace(t testing.TB, g *connectortest.Ground, link func(from, to string) error) {
	for _, s := range append([]string{""}, sidecars[:]...) {
		_ = os.Remove(fileOf(g) + s)
	}
	must(t, link(beside(g), fileOf(g)))
}

// bomb makes a table's pages lead to each other, so that few of them have no end.
func bomb(t testing.TB, g *connectortest.Ground) {
	exec(t, fileOf(g), "pragma journal_mode = delete; create table x (a, b); with recursive n (i) as (select 1 union all select i + 1 from n where i < 200000) insert into x select i, 'some text to fill the pages' from n")
	root := number(t, fileOf(g), "select rootpage from sqlite_schema where name = 'x'")
	f, err := os.OpenFile(fileOf(g), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	page := make([]byte, 4096)
	_, err = f.ReadAt(page, int64(root-1)*4096)
	must(t, err)
	cells := int(page[3])<<8 | int(page[4])
	first := int(page[12])<<8 | int(page[13])
	for i := range cells { // each cell leads where the first does
		c := int(page[12+2*i])<<8 | int(page[13+2*i])
		copy(page[c:c+4], page[first:first+4])
	}
	_, err = f.WriteAt(page, int64(root-1)*4096)
	must(t, err)
}

// journal plants a rollback journal whose end names a file that SQLite is to delete.
func journal(t testing.TB, g *connectortest.Ground) {
	exec(t, fileOf(g), "pragma journal_mode = delete")
	victim := filepath.Join(filepath.Dir(fileOf(g)), "birch-mj0123456789")
	must(t, os.WriteFile(victim, []byte("kept"), 0o600))
	head := append([]byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x02\x00\x00\x00\x10\x00"), make([]byte, 512-28)...)
	sum := 0
	for i := range len(victim) {
		sum += int(int8(victim[i]))
	}
	tail := []byte{0, 4, 0, 1}
	tail = append(tail, victim...)
	tail = append(tail, 0, 0, byte(len(victim)>>8), byte(len(victim)), 0, byte(sum>>16), byte(sum>>8), byte(sum))
	tail = append(tail, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"...)
	must(t, os.WriteFile(fileOf(g)+"-journal", append(head, tail...), 0o600))
}

// TestTraps takes tenants with a file of their own through the suite.
func TestTraps(t *testing.T) {
	t.Parallel()
	connectortest.RunTraps(t, trapGround, traps)
	connectortest.RunTraps(t, func(t *testing.T) *connectortest.Ground { return groundOf(t, "10s") }, bombs)
	connectortest.RunTraps(t, func(t *testing.T) *connectortest.Ground { return groundOf(t, "2m") }, large)
}

func trapGround(t *testing.T) *connectortest.Ground { return groundOf(t, "4s") }

// groundOf has a driver whose calls may be at work in a tenant's file for so long.
func groundOf(t *testing.T, limit string) *connectortest.Ground {
	w := openWorld(t)
	d, err := open(t.Context(), connector.Config{System: "files", Options: map[string]string{"dir": w.dir, "shared": w.shared, "timeout": "1s", "limit": limit},
		Marker: connector.Marker{Installation: "ins_test", System: "files", Key: []byte("a key that tests alone use, 32 B")}, Now: time.Now})
	must(t, err)
	_, err = d.Plant(t.Context())
	must(t, err)
	place := func(name string) connector.Desired {
		r := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "database", Name: name, Classes: []string{"aa", "bb"},
			Attributes: map[string]any{"tables": map[string]any{"*": "aa", "z": "bb"}, "ddl": "create table if not exists t (n integer primary key, v text); create table if not exists z (n integer primary key)"}}}
		_, _, err := d.Ensure(t.Context(), r)
		must(t, err)
		return r
	}
	acme, birch := place("acme"), place("birch")
	secret := "neighbour-" + string(birch.Resource)
	neighbour := raw(t, w.at(birch.Ref)) // has its file open, and its log with it
	t.Cleanup(func() { must(t, neighbour.Close()) })
	_, err = neighbour.Exec("insert into t values (1, '" + secret + "')")
	must(t, err)
	exec(t, w.shared, "insert into notes values (1, '"+secret+"')")
	exec(t, w.at(acme.Ref), "insert into t values (1, 'a'), (2, 'b'); insert into z values (1)")
	return &connectortest.Ground{Driver: d, Place: acme, Secret: secret,
		Probes: []connector.Check{{Kind: "reachable", Ref: acme.Ref}, {Kind: "sql", Ref: acme.Ref, Params: map[string]string{"query": "select n from t", "as": "tenant", "expect": "rows"}}},
		Plant:  func(t testing.TB, sql string) { exec(t, w.at(acme.Ref), sql) },
		Hold: func(t testing.TB, sql string) {
			db := raw(t, w.at(acme.Ref))
			db.SetMaxOpenConns(1)
			_, err := db.Exec(sql)
			must(t, err)
			t.Cleanup(func() { must(t, db.Close()) })
		},
		Damage: func(t testing.TB) {
			if info, err := os.Lstat(w.at(acme.Ref)); err == nil && info.Mode().IsRegular() && links(info) == 1 {
				must(t, os.Chmod(w.at(acme.Ref), 0o644))
			}
		},
		Neighbours: w.others,
		Gained:     func(testing.TB) string { return "" },
	}
}

// others writes down each file that isn't acme's, with what it holds.
func (w *world) others(t testing.TB) string {
	var b strings.Builder
	b.WriteString(w.dump(t, w.shared))
	must(t, filepath.WalkDir(filepath.Dir(w.dir), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), "acme") || strings.HasSuffix(p, "-shm") || strings.HasPrefix(p, w.shared) {
			return err
		}
		body, err := os.ReadFile(p)
		if strings.Contains(p, marksDir) && bytes.Contains(body, []byte(" acme\n")) {
			return err
		}
		info, failed := e.Info()
		must(t, failed)
		fmt.Fprintf(&b, "%s %s %x\n", p, info.Mode(), sha256.Sum256(body))
		return err
	}))
	return b.String()
}
