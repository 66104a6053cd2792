package sqlite

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// opened is a driver on the world, planted.
func (w *world) opened(t testing.TB, timeout string) *Driver {
	t.Helper()
	c := connector.Config{
		System: "app-db", Options: map[string]string{"dir": w.dir, "shared": w.shared, "timeout": timeout}, Now: func() time.Time { return epoch },
		Marker: connector.Marker{Installation: "ins_01890a5d-ac96-774b-bcce-b302099a8057", System: "app-db", Key: []byte("a key of this test's own")},
	}
	d, err := open(t.Context(), c)
	must(t, err)
	_, err = d.Plant(t.Context())
	must(t, err)
	return d.(*Driver)
}

func ref(name, ddl string, tables map[string]any) connector.Ref {
	return connector.Ref{Type: "database", Name: name, Resource: tenure.DeriveID[tenure.ResourceID](epoch, name), Tenant: tenure.DeriveID[tenure.TenantID](epoch, name),
		Attributes: map[string]any{"ddl": ddl, "tables": tables}}
}

func (d *Driver) made(t testing.TB, r connector.Ref) connector.Ref {
	t.Helper()
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
	must(t, err)
	return r
}

func (d *Driver) one(t testing.TB, r connector.Ref) (out connector.Observed) {
	t.Helper()
	_, err := d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error { out = o; return nil })
	must(t, err)
	return out
}

func (d *Driver) all(t testing.TB) (out []connector.Observed) {
	t.Helper()
	_, err := d.Discover(t.Context(), connector.Scope{Types: []string{"database"}}, func(o connector.Observed) error { out = append(out, o); return nil })
	must(t, err)
	return out
}

func wants(t testing.TB, call string, err error, code tenure.Code, retry bool) {
	t.Helper()
	if tenure.CodeOf(err) != code || tenure.CanRetry(err) != retry {
		t.Errorf("%s: error %v (%s, retry %t), want %s, retry %t", call, err, tenure.CodeOf(err), tenure.CanRetry(err), code, retry)
	}
}

// every changing call on a database.
func (d *Driver) calls(ctx context.Context, r connector.Ref) map[string]error {
	out := map[string]error{}
	_, _, out["ensure"] = d.Ensure(ctx, connector.Desired{Ref: r})
	_, out["erase"] = d.Erase(ctx, r, connector.Batch{Limit: 10})
	_, out["quarantine"] = d.Quarantine(ctx, r)
	_, out["delete"] = d.Delete(ctx, r)
	return out
}

// Whoever can write into the folder mustn't be able to point Tenure at another
// file, under the database's name or under a journal's.
func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	victim := filepath.Join(filepath.Dir(w.dir), "victim.db")
	exec(t, victim, twoTables+"; insert into notes values ('theirs')")
	r := ref("acme", twoTables, nil)
	must(t, os.Symlink(victim, w.at(r)))
	behind := d.made(t, ref("behind", twoTables, nil))
	must(t, os.Symlink(victim, w.at(behind)+"-wal"))
	seen := func() string {
		body, err := os.ReadFile(w.at(behind))
		must(t, err)
		return dump(t, victim) + string(body)
	}
	before := seen()
	for _, r := range []connector.Ref{r, behind} {
		for call, err := range d.calls(t.Context(), r) {
			wants(t, call+" of "+r.Name, err, tenure.Conflict, false)
		}
		if o := d.one(t, r); !o.Found || o.Owner != connector.Unmarked || o.Detail == "" {
			t.Errorf("%s is observed as %+v", r.Name, o)
		}
	}
	if diff := cmp.Diff(before, seen()); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
	must(t, os.Remove(w.at(r)))
	must(t, os.Symlink(filepath.Join(w.dir, "nowhere"), w.at(r)))
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
	wants(t, "ensure where a link dangles", err, tenure.Conflict, false)
}

// A copy of a tenant's file that somebody made is data of that tenant: it must
// not be taken for another's database, nor be overlooked when the tenant leaves.
func TestCopies(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	acme := d.made(t, ref("acme", twoTables, nil))
	for _, name := range []string{"evil.db", "acme.db.bak", "acme copy.sqlite", ".tenure/new/begun.db"} {
		body, err := os.ReadFile(w.at(acme))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(w.dir, name), body, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(w.dir, "README"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(w.dir, "lone.db-wal"), []byte("rows"), 0o600))
	got := map[string]string{}
	for _, o := range d.all(t) {
		got[o.Name] = string(o.Owner) + " " + strings.TrimPrefix(string(o.Resource), string(acme.Resource))
		if strings.Contains(o.Name, "evil") && o.Resource != acme.Resource {
			t.Errorf("the copy isn't told whose it is: %+v", o)
		}
	}
	want := map[string]string{"acme": "ours ", "evil": "ours ", "./acme.db.bak": "ours ", "./acme copy.sqlite": "ours ", "./.tenure/new/begun.db": "ours ", "./README": "unmarked ", "lone": "unmarked "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("discovered (-want +got):\n%s", diff)
	}
	evil := ref("evil", twoTables, nil)
	for call, err := range d.calls(t.Context(), evil) {
		wants(t, call+" of another tenant's copy", err, tenure.Conflict, false)
	}
	evil.Resource = acme.Resource
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: evil})
	wants(t, "ensure of the copy as what it was copied from", err, tenure.Conflict, false)
	_, err = d.Delete(t.Context(), acme)
	must(t, err)
	if o := d.one(t, acme); o.Found {
		t.Error("the database is still there")
	}
	if _, err := os.Stat(w.at(evil)); err != nil {
		t.Error("a delete took a file of another name along")
	}
}

// What another process holds isn't half done, and is tried again.
func TestLocked(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "50ms")
	r := d.made(t, ref("acme", twoTables, map[string]any{"orders": "billing", "notes": "crm"}))
	exec(t, w.at(r), "drop table notes; insert into orders (v) values ('x')")
	setting := connector.Ref{Type: "setting", Name: "s", Resource: tenure.NewID[tenure.ResourceID](epoch), Attributes: map[string]any{"table": "settings", "key": map[string]any{"id": "s"}}}
	hold := func(file, query string) (release func()) {
		db := raw(t, file)
		conn, err := db.Conn(t.Context())
		must(t, err)
		_, err = conn.ExecContext(t.Context(), query)
		must(t, err)
		return func() { _ = conn.Close(); _ = db.Close() }
	}
	release := hold(w.at(r), "begin immediate; insert into orders (v) values ('y')")
	before := w.look(t)
	for call, err := range d.calls(t.Context(), r) {
		wants(t, call+" while it is locked", err, tenure.Unavailable, true)
	}
	free := hold(w.shared, "begin immediate")
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: setting})
	wants(t, "ensure of a row while the platform's database is locked", err, tenure.Unavailable, true)
	free()
	if diff := cmp.Diff(before, w.look(t)); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
	release()
	release = hold(w.at(r), "begin; select * from orders")
	for _, call := range []func(context.Context, connector.Ref) (connector.Receipt, error){d.Quarantine, d.Delete} {
		_, err := call(t.Context(), r)
		wants(t, "setting aside what somebody reads", err, tenure.Unavailable, true)
	}
	if o := d.one(t, r); o.State != tenure.ResourcePresent || !o.Found {
		t.Errorf("it was set aside under its reader: %+v", o)
	}
	release()
	_, err = d.Quarantine(t.Context(), r)
	must(t, err)
	if _, err := os.Lstat(d.aside("acme") + "-wal"); err == nil {
		t.Error("a write-ahead log was left in quarantine")
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := ref("acme", twoTables, nil)
	r.Attributes["seed"] = "pragma max_page_count = 9; insert into orders (b) values (zeroblob(100000))"
	before := w.look(t)
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
	wants(t, "ensure on a full disk", err, tenure.Unavailable, true)
	if diff := cmp.Diff(before, w.look(t)); diff != "" {
		t.Errorf("something was left (-before +after):\n%s", diff)
	}
	wants(t, "a full disk", coded(&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), tenure.Unavailable, true)
	wants(t, "a right that is missing", coded(&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}), tenure.Forbidden, false)
	wants(t, "a read-only disk", coded(&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}), tenure.Forbidden, false)
}

// A file that may not be read is no proof that it isn't there.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("the superuser may read every file")
	}
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, nil))
	must(t, os.Chmod(w.at(r), 0))
	g, err := d.Observe(t.Context(), []connector.Ref{r}, func(connector.Observed) error { return nil })
	if err != nil || g.Complete {
		t.Errorf("observe is complete=%t, error %v", g.Complete, err)
	}
	for call, err := range d.calls(t.Context(), r) {
		wants(t, call, err, tenure.Forbidden, false)
	}
}

// A crash between two steps leaves nothing that the next call can't take up.
func TestCrashes(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := ref("acme", twoTables, nil)
	begun := filepath.Join(w.dir, newDir, string(r.Resource)+".X"+suffix)
	must(t, os.WriteFile(begun, []byte("half"), 0o600))
	d.made(t, r)
	if _, err := os.Lstat(begun); err == nil {
		t.Error("what was begun before the crash is left")
	}
	// Quarantine crashed when both names stood.
	must(t, os.Link(w.at(r), d.aside("acme")))
	_, err := d.Quarantine(t.Context(), r)
	must(t, err)
	if o := d.one(t, r); o.State != tenure.ResourceQuarantined {
		t.Errorf("after the second try it is %+v", o)
	}
	// It crashed before the permissions were off.
	must(t, os.Chmod(d.aside("acme"), 0o600))
	rec, err := d.Quarantine(t.Context(), r)
	if info, _ := os.Lstat(d.aside("acme")); err != nil || !rec.Changed || info.Mode().Perm() != 0o400 {
		t.Errorf("quarantine leaves mode %v, error %v", info.Mode(), err)
	}
	must(t, os.Link(d.aside("acme"), w.at(r)))
	_, err = d.Unquarantine(t.Context(), r)
	must(t, err)
	if o := d.one(t, r); o.State != tenure.ResourcePresent || o.Owner != connector.Ours {
		t.Errorf("after the second try it is %+v", o)
	}
	// Somebody else took the name meanwhile.
	_, err = d.Quarantine(t.Context(), r)
	must(t, err)
	exec(t, w.at(r), "create table theirs (a)")
	_, err = d.Unquarantine(t.Context(), r)
	wants(t, "unquarantine to a name that is taken", err, tenure.Conflict, false)
	if number(t, w.at(r), "select count(*) from theirs") != 0 || d.one(t, r).State != tenure.ResourceQuarantined {
		t.Error("the quarantined database or the other one was lost")
	}
	must(t, os.WriteFile(begun, []byte("half"), 0o600))
	_, err = d.Delete(t.Context(), r)
	must(t, err)
	for _, gone := range []string{d.aside("acme"), begun} {
		if _, err := os.Lstat(gone); err == nil {
			t.Errorf("%s is left", gone)
		}
	}
}

// What changes in the schema from outside is seen, and what changes in its
// writing alone is not.
func TestSchema(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, nil))
	exec(t, w.at(r), "insert into notes values ('kept')")
	same := func(r connector.Ref) bool {
		want, err := d.Normalise(connector.Desired{Ref: r})
		must(t, err)
		return string(want) == string(d.one(t, r).Attributes)
	}
	r.Attributes["ddl"] = "/* the same */ create table if not exists orders(id integer primary key,\n\tv text , b blob);create table if not exists notes (\nv text -- note\n)"
	if !same(r) {
		t.Error("another way to write the same is taken for drift")
	}
	for _, change := range []string{"alter table notes add column c text", "create index i on orders (v)", "create trigger tr after delete on orders begin insert into notes values ('saved'); end", "create view vw as select * from orders"} {
		d.made(t, ref("victim", twoTables, nil))
		exec(t, w.at(ref("victim", "", nil)), change)
		if same(ref("victim", twoTables, nil)) {
			t.Errorf("%s isn't seen", change)
		}
		_, err := d.Delete(t.Context(), ref("victim", twoTables, nil))
		must(t, err)
	}
	r.Attributes["ddl"] = twoTables + "; create table if not exists added (a)"
	d.made(t, r)
	if !same(r) || number(t, w.at(r), "select count(*) from notes") != 1 {
		t.Error("an added table isn't made, or rows were lost")
	}
	r.Attributes["ddl"] = twoTables + "; create table if not exists added (a, b)"
	o, rec, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
	if want, _ := d.Normalise(connector.Desired{Ref: r}); err != nil || rec.Changed || string(o.Attributes) == string(want) {
		t.Errorf("a ddl that doesn't bring its schema about passes: %+v, %v", rec, err)
	}
}

const tangled = `
create table a (id integer primary key, b integer references B (id), v text);
create table b (id integer primary key, a integer references a);
create table tree (id integer primary key, up integer references tree (id), v text);
create table ring (rowid text, _rowid_ text, oid text, v text, primary key (rowid, oid)) without rowid;
create table child (r text, o text, v text, foreign key (r, o) references ring (rowid, oid) on delete restrict);
create table twins (rowid text, _rowid_ text, oid text);
create virtual table search using fts5 (body);
`

// Everything goes, whatever the references between the tables are, in batches
// that keep to their limit where rows can be told apart.
func TestEraseTangled(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	tables := map[string]any{}
	for _, name := range []string{"a", "b", "tree", "ring", "child", "twins", "search"} {
		tables[name] = "all"
	}
	r := d.made(t, ref("acme", tangled, tables))
	exec(t, w.at(r), `insert into a (id) values (1), (2); insert into b values (1, 1), (2, 2); update a set b = 3 - id;
insert into tree values (1, null, ''), (2, 1, ''), (3, 2, ''), (4, 5, ''), (5, 4, '');
insert into ring values ('x', 'y', 'z', 'v'), ('x', 'y', 'w', 'v'); insert into child values ('x', 'z', ''), ('x', 'w', ''); insert into twins values ('same', 'same', 'same');
insert into search values ('a secret text'); analyze`)
	sum, cursor := int64(0), ""
	for i := 0; ; i++ {
		e, err := d.Erase(t.Context(), r, connector.Batch{Class: "all", Limit: 2, Cursor: cursor})
		must(t, err)
		for _, n := range e.Counts {
			sum += n
		}
		if cursor = e.Cursor; e.Done {
			break
		}
		if i > 50 {
			t.Fatal("it doesn't end")
		}
	}
	if sum != 4+5+2+2+1+1 {
		t.Errorf("%d rows are counted", sum)
	}
	seen, err := d.DataMap(t.Context(), connector.Survey{Ref: r})
	places := seen.Places
	must(t, err)
	if len(places) != 7 || slices.ContainsFunc(places, func(p connector.Place) bool { return p.Rows > 0 || p.Class == "" }) {
		t.Errorf("after the erasure: %+v", places)
	}
	if n := number(t, w.at(r), "select count(*) from sqlite_stat4"); n != 0 {
		t.Errorf("the statistics keep %d samples of rows", n)
	}
}

// What is erased can't be read out of the file's free space.
func TestEraseLeavesNoBytes(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"orders": "billing", "notes": "crm"}))
	const text = "a text that nobody may read any more"
	exec(t, w.at(r), "with recursive n (i) as (select 1 union all select i + 1 from n where i < 500) insert into notes select '"+text+"' || i from n; insert into orders (v) values ('kept')")
	if !holds(t, w.at(r), text) {
		t.Fatal("the text isn't in the file at first")
	}
	for e := (connector.Erased{}); !e.Done; {
		var err error
		e, err = d.Erase(t.Context(), r, connector.Batch{Class: "crm", Limit: 100, Cursor: e.Cursor})
		must(t, err)
	}
	if holds(t, w.at(r), text) {
		t.Error("the erased text can still be read out of the file")
	}
	if !holds(t, w.at(r), "kept") {
		t.Error("another class's text is gone")
	}
}

func holds(t testing.TB, file, text string) bool {
	t.Helper()
	found := false
	for _, s := range append([]string{""}, sidecars[:]...) {
		if body, err := os.ReadFile(file + s); err == nil {
			found = found || strings.Contains(string(body), text)
		}
	}
	return found
}

// Two tenants' keys may differ in case alone, in a column that folds it.
func TestNeighboursInOneTable(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table events (Owner text collate nocase, n integer); create index e on events (owner)")
	pool := func(key string) connector.Ref {
		return connector.Ref{Type: "rows", Name: "rows of " + key, Resource: tenure.DeriveID[tenure.ResourceID](epoch, key), Attributes: map[string]any{"column": "owner", "key": key, "tables": map[string]any{"EVENTS": "usage"}}}
	}
	for _, key := range []string{"acme", "ACME"} {
		d.made(t, pool(key))
		exec(t, w.shared, "insert into events values ('"+key+"', 1), ('"+key+"', 2)")
	}
	if n := d.one(t, pool("acme")).Metrics["rows"]; n != 2 {
		t.Errorf("%d rows are counted as acme's", n)
	}
	_, err := d.Delete(t.Context(), pool("acme"))
	wants(t, "delete while rows are left", err, tenure.Conflict, true)
	d.erased(t, pool("acme"), "usage")
	_, err = d.Delete(t.Context(), pool("acme"))
	must(t, err)
	if n := number(t, w.shared, "select count(*) from events where owner = 'ACME' collate binary"); n != 2 {
		t.Errorf("the neighbour has %d of 2 rows left", n)
	}
	_, _, err = d.Ensure(t.Context(), connector.Desired{Ref: connector.Ref{Type: "rows", Name: "again", Resource: tenure.NewID[tenure.ResourceID](epoch), Attributes: pool("ACME").Attributes}})
	wants(t, "a second resource for the same rows", err, tenure.Conflict, false)
}

// Another file in the platform's place, and a copy of the folder, aren't the
// system: nothing that they don't show counts as gone.
func TestIdentity(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, nil))
	first, err := d.Plant(t.Context())
	must(t, err)
	sighted := func(d *Driver) connector.Sighting {
		g, err := kinds{Of: d.kind, Types: d.types, Look: d.look, Coded: coded}.Observe(t.Context(), []connector.Ref{r}, func(connector.Observed) error { return nil })
		must(t, err)
		return g
	}
	if g := sighted(d); g.Fingerprint != first || !g.Sentinel || !g.Complete {
		t.Errorf("the system itself is seen as %+v", g)
	}
	empty := openWorld(t)
	other := &Driver{dir: w.dir, shared: empty.shared, marker: d.marker, timeout: time.Second, records: d.records}
	if g := sighted(other); g.Sentinel {
		t.Errorf("with another platform's database: %+v", g)
	}
	twin := filepath.Join(t.TempDir(), "twin")
	must(t, os.CopyFS(twin, os.DirFS(w.dir)))
	other = &Driver{dir: twin, shared: w.shared, marker: d.marker, timeout: time.Second, records: d.records}
	if g := sighted(other); g.Fingerprint == first {
		t.Error("a copy of the folder passes for the system")
	}
}

// A platform that goes on writing while a class is erased loses nothing else.
func TestEraseUnderALivePlatform(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"orders": "billing", "notes": "crm"}))
	exec(t, w.at(r), "with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) insert into notes select i from n")
	written, done := make(chan int), make(chan struct{})
	go func() {
		db := raw(t, w.at(r))
		defer db.Close()
		n := 0
		for {
			select {
			case <-done:
				written <- n
				return
			default:
			}
			if _, err := db.Exec("insert into orders (v) values ('new')"); err == nil {
				n++
			}
		}
	}()
	for e := (connector.Erased{}); !e.Done; {
		var err error
		if e, err = d.Erase(t.Context(), r, connector.Batch{Class: "crm", Limit: 100, Cursor: e.Cursor}); err != nil && !tenure.CanRetry(err) {
			t.Fatal(err)
		}
	}
	close(done)
	if n := <-written; number(t, w.at(r), "select count(*) from orders") != n || number(t, w.at(r), "select count(*) from notes") != 0 {
		t.Error("rows that were written meanwhile are lost, or erased ones are there")
	}
}

// An export holds every kind of value, and tells blobs from texts.
func TestExportValues(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", `create table "odd ""t'" ("a ""b" , c)`, map[string]any{`odd "t'`: "x"}))
	exec(t, w.at(r), `insert into "odd ""t'" values (x'00ff', 9007199254740993), ('é"'||char(0)||'z', 1.5), (null, '')`)
	var out strings.Builder
	_, err := d.Export(t.Context(), r, &out)
	must(t, err)
	for _, line := range []string{`{"a \"b":{"hex":"00FF"},"c":9007199254740993}`, `{"a \"b":"é\"\u0000z","c":1.5}`, `{"a \"b":null,"c":""}`} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("the export lacks %s", line)
		}
	}
	_, err = d.Export(t.Context(), ref("absent", twoTables, nil), io.Discard)
	wants(t, "export of what is absent", err, tenure.NotFound, false)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, o := range []map[string]string{{}, {"dir": dir, "timeout": "soon"}, {"dir": dir, "timeout": "-1s"}, {"dir": dir, "shared": filepath.Join(dir, "platform.db")}, {"dir": "a\x00b"}} {
		_, err := open(t.Context(), connector.Config{Options: o})
		wants(t, fmt.Sprint(o), err, tenure.Invalid, false)
	}
	d, err := open(t.Context(), connector.Config{Options: map[string]string{"dir": dir}})
	must(t, err)
	_, err = d.Normalise(connector.Desired{Ref: connector.Ref{Type: "rows", Name: "r"}})
	wants(t, "rows without the option shared", err, tenure.Invalid, false)
	for typ, a := range map[string]map[string]any{"database": {"ddl": "ATTACH 'x' as y"}, "rows": {"key": "*"}} {
		if len(review(typ, a)) == 0 {
			t.Errorf("%s %v passes the review", typ, a)
		}
	}
	if r := review("database", map[string]any{"ddl": twoTables}); len(r) > 0 {
		t.Errorf("a plain ddl is refused: %v", r)
	}
}

// No statement of a blueprint's reaches another file.
func TestStatementsStayInside(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	out := filepath.Join(t.TempDir(), "out.db")
	for _, text := range []string{"attach '" + out + "' as o; create table o.x (a)", "vacuum into '" + out + "'", "pragma writable_schema = on; update sqlite_schema set sql = 'x'"} {
		r := ref("acme", twoTables, nil)
		r.Attributes["seed"] = text
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
		wants(t, text, err, tenure.Invalid, false)
		if _, err := os.Lstat(out); err == nil {
			t.Errorf("%s wrote a file", text)
		}
	}
	o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": "delete from notes", "expect": "refused"}})
	if err != nil || !o.Passed {
		t.Errorf("a probe that writes isn't refused: %+v, %v", o, err)
	}
	if o, _ := d.Probe(t.Context(), connector.Check{Kind: "encryption", Encryption: tenure.Encryption{AtRest: "required"}}); o.Passed {
		t.Error("encryption at rest passes where it can't be seen")
	}
}

// FuzzFlatten: what SQLite reads as the same statement flattens to the same.
func FuzzFlatten(f *testing.F) {
	for _, s := range []string{"", "create table x (a text default '--x  /*')", "a -- b\nc", "/* */", "'it''s'", "[a  b]", "\"", "a/**/b", "( a , b )"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := flatten(s)
		if twice := flatten(once); twice != once && !strings.ContainsAny(s, "-/*") {
			t.Errorf("%q flattens to %q, and that to %q", s, once, twice)
		}
		if got := flatten(" \n" + s + "\n-- end"); !strings.ContainsAny(s, "'\"`[/") && got != once {
			t.Errorf("space and a comment around %q make %q of %q", s, got, once)
		}
	})
}
