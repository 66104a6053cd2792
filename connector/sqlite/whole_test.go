package sqlite

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// What a tenant makes in its own file is covered by "*", or its exit would hang on
// a table that nobody at the platform knows of.
func TestWholeFile(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"orders": "billing", "*": "rest"}))
	exec(t, w.at(r), `create table mine (secret text); insert into mine values ('a secret of mine'), ('another');
create virtual table ft using fts5 (secret, content=''); insert into ft (rowid, secret) values (1, 'narwhal secret');
insert into orders (v) values ('an order'); insert into notes values ('a note')`)
	places := d.mapped(t, connector.Survey{Ref: r, Order: []string{"rest", "billing"}, Prove: true})
	if got := blocking(places); got != nil {
		t.Errorf("blocked by %q: %+v", got, places)
	}
	if !slices.ContainsFunc(places, func(p connector.Place) bool { return p.Name == "mine" && p.Class == "rest" && p.Rows == 2 }) {
		t.Errorf("the tenant's own table isn't mapped: %+v", places)
	}
	d.erased(t, r, "rest")
	if n := number(t, w.at(r), "select (select count(*) from mine) + (select count(*) from notes)"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if n := number(t, w.at(r), "select count(*) from orders"); n != 1 {
		t.Errorf("the other class has %d of 1 rows", n)
	}
	for _, text := range []string{"secret of mine", "narwhal", "a note"} {
		if holds(t, w.at(r), text) {
			t.Errorf("%q can still be read out of the file", text)
		}
	}
	_, err := d.Delete(t.Context(), r)
	must(t, err)
	if got := d.mapped(t, connector.Survey{Ref: r, Gone: true}); len(got) > 0 {
		t.Errorf("once it is deleted: %+v", got)
	}
}

// A class that doesn't cover all must not hide what it leaves.
func TestWholeFileUncovered(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"orders": "billing", "notes": "crm"}))
	exec(t, w.at(r), "create table mine (secret text); create virtual table ft using fts5 (secret, content='')")
	want := []string{"derived ft", "table mine"}
	if got := blocking(d.mapped(t, connector.Survey{Ref: r})); !slices.Equal(got, want) {
		t.Errorf("blocked by %q, want %q", got, want)
	}
}

// A table whose module isn't there can be neither read nor erased: it must not
// keep the tenant from leaving with its file, nor pass for empty.
func TestUnknownModule(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	odd := "pragma writable_schema = on; insert into sqlite_schema (type, name, tbl_name, rootpage, sql) values ('table', 'odd', 'odd', 0, 'create virtual table odd using fts4 (body)'); pragma writable_schema = off"
	one := d.made(t, ref("one", twoTables, map[string]any{"*": "all"}))
	two := d.made(t, ref("two", twoTables, map[string]any{"orders": "billing", "*": "rest"}))
	for _, r := range []connector.Ref{one, two} {
		exec(t, w.at(r), odd)
		if o := d.one(t, r); o.Owner != connector.Ours {
			t.Errorf("%s is observed as %+v", r.Name, o)
		}
	}
	if got := blocking(d.mapped(t, connector.Survey{Ref: one})); got != nil {
		t.Errorf("one class covers all, and it is blocked by %q", got)
	}
	if got := blocking(d.mapped(t, connector.Survey{Ref: two})); !slices.Equal(got, []string{"derived odd"}) {
		t.Errorf("one class of two goes before the file, and it is blocked by %q", got)
	}
	exec(t, w.shared, odd)
	pooled := d.made(t, pool("tenant", "acme", tablesOf("a", "notes", "orders", "lines")))
	if got := blocking(d.mapped(t, connector.Survey{Ref: pooled})); !slices.Equal(got, []string{"derived odd"}) {
		t.Errorf("in a file that tenants share it is blocked by %q", got)
	}
	_, err := d.Delete(t.Context(), one)
	must(t, err)
}

// Before anything is made a blueprint can be held against the system.
func TestMapOfWhatIsToBe(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "insert into notes (tenant) values ('birch')")
	before := w.look(t)
	r := pool("tenant", "acme", tablesOf("a", "notes", "lines"))
	r.Resource = ""
	places := d.mapped(t, connector.Survey{Ref: r, Search: time.Second})
	if got := blocking(places); !slices.Equal(got, []string{"table orders"}) || slices.ContainsFunc(places, func(p connector.Place) bool { return p.Rows > 0 }) {
		t.Errorf("a share: blocked by %q: %+v", got, places)
	}
	own := ref("acme", twoTables, map[string]any{"orders": "billing"})
	own.Resource = ""
	if got := blocking(d.mapped(t, connector.Survey{Ref: own})); !slices.Equal(got, []string{"table notes"}) {
		t.Errorf("a file: blocked by %q", got)
	}
	if w.look(t) != before {
		t.Error("a look changed the system")
	}
}

// A neighbour whose key is known to be another's doesn't stop a tenant whose key
// looks alike.
func TestNeighbourThatLooksAlike(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table events (tenant text collate nocase)")
	tables := tablesOf("a", "notes", "orders", "lines", "events")
	r, other := d.made(t, pool("tenant", "acme", tables)), d.made(t, pool("tenant", "Acme", tables))
	exec(t, w.shared, "insert into events values ('acme'), ('Acme'), ('ACME')")
	places := d.mapped(t, connector.Survey{Ref: r})
	if got := blocking(places); !slices.Equal(got, []string{"key events.tenant"}) || slices.ContainsFunc(places, func(p connector.Place) bool { return p.Kind == connector.PlaceKey && p.Rows != 1 }) {
		t.Errorf("blocked by %q: %+v", got, places)
	}
	exec(t, w.shared, "delete from events where tenant = 'ACME' collate binary")
	if got := blocking(d.mapped(t, connector.Survey{Ref: r})); got != nil {
		t.Errorf("blocked by %q", got)
	}
	d.erased(t, r, "a")
	if n := number(t, w.shared, "select count(*) from events"); n != 1 || d.one(t, other).Metrics["rows"] != 1 {
		t.Errorf("%d rows are left of the neighbour's 1", n)
	}
}

// A row that comes back, and one that stands where the mark is lost, must be seen.
func TestRowsWithoutTheirMark(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, pool("tenant", "acme", tablesOf("a", "notes", "orders", "lines")))
	exec(t, w.shared, "insert into notes (tenant) values ('acme'), ('birch'); delete from tenure_mark where type = 'rows'")
	places := d.mapped(t, connector.Survey{Ref: r, Gone: true})
	if i := slices.IndexFunc(places, func(p connector.Place) bool { return p.Name == "notes" }); i < 0 || places[i].Rows != 1 {
		t.Errorf("a row without its mark isn't counted: %+v", places)
	}
	_, err := d.DataMap(t.Context(), connector.Survey{Ref: r})
	wants(t, "a map of what isn't known to be ours", err, tenure.Conflict, false)
}

// A chain of rows that refer to one another is taken from its end, in time that
// grows with its length and not with its square.
func TestLongChains(t *testing.T) {
	t.Parallel()
	for name, up := range map[string]string{"nullable": "integer references tree", "not null": "integer not null references tree"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took := map[int]time.Duration{}
			for _, n := range []int{5000, 20000} {
				w := openWorld(t)
				d := w.opened(t, "5s")
				exec(t, w.shared, "create table tree (id integer primary key, tenant text, up "+up+")")
				r := d.made(t, pool("tenant", "acme", tablesOf("a", "tree", "notes", "orders", "lines")))
				exec(t, w.shared, fmt.Sprintf("with recursive n (i) as (select 1 union all select i + 1 from n where i < %d) insert into tree select i, 'acme', max(i - 1, 1) from n", n))
				began := time.Now()
				for e := (connector.Erased{}); !e.Done; {
					var err error
					e, err = d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "a", Limit: 5000, Cursor: e.Cursor})
					must(t, err)
				}
				took[n] = time.Since(began)
				if left := number(t, w.shared, "select count(*) from tree"); left != 0 {
					t.Errorf("%d rows are left", left)
				}
			}
			if took[20000] > 12*took[5000]+10*time.Second { // a minute, where each row looked through the table
				t.Errorf("5000 rows take %s, 20000 take %s", took[5000], took[20000])
			}
			t.Log(took)
		})
	}
}

// An erasure that a crash cut off between two batches goes on, and its tally knows
// of every row that went.
func TestTallySurvives(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, pool("tenant", "acme", tablesOf("a", "notes", "orders", "lines")))
	exec(t, w.shared, "with recursive n (i) as (select 1 union all select i + 1 from n where i < 100) insert into notes (tenant) select 'acme' from n")
	for range 3 {
		_, err := d.Erase(t.Context(), r, connector.Batch{Run: "one", Class: "a", Limit: 7}) // whose answer is lost
		must(t, err)
	}
	e, err := d.Tally(t.Context(), r, "one")
	must(t, err)
	if n := number(t, w.shared, "select count(*) from notes"); int64(100-n) != e.Total["notes"] {
		t.Errorf("%d rows went and the tally says %v", 100-n, e.Total)
	}
	if other, err := d.Tally(t.Context(), r, "two"); err != nil || len(other.Total) > 0 {
		t.Errorf("another run's tally is %v, %v", other.Total, err)
	}
}

// A full disk takes nothing half, and is told as what passes.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"*": "all"}))
	exec(t, w.at(r), "insert into notes values ('a note')")
	before := number(t, w.at(r), "pragma page_count")
	err := d.on(t.Context(), w.at(r), writing, func(s *session) error {
		if err := s.run(t.Context(), fmt.Sprintf("pragma max_page_count = %d", before)); err != nil {
			return err
		}
		return s.atomic(t.Context(), func() error {
			return s.run(t.Context(), "insert into notes values ('"+strings.Repeat("x", 100000)+"')")
		})
	})
	wants(t, "a write to a full disk", coded(err), tenure.Unavailable, true)
	if n := number(t, w.at(r), "select count(*) from notes"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	if _, err := os.Stat(w.at(r) + "-journal"); err == nil {
		t.Error("a journal is left")
	}
}

// Rows that bear an owner mark are resources by themselves, and go as such.
func TestRowsThatAreResources(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table org (id integer primary key, tenant text); create table member (login text primary key, tenant text, org integer references org, tenure_mark text)")
	r := d.made(t, pool("tenant", "acme", tablesOf("a", "notes", "orders", "lines", "org")))
	exec(t, w.shared, "insert into org values (1, 'acme')")
	account := connector.Ref{Type: "account", Name: "ann", Resource: tenure.DeriveID[tenure.ResourceID](epoch, "ann"),
		Attributes: map[string]any{"table": "member", "key": map[string]any{"login": "ann"}, "values": map[string]any{"tenant": "acme", "org": 1}}}
	d.made(t, account)
	v := connector.Survey{Ref: r, Order: []string{"a"}, Search: time.Minute}
	if got := blocking(d.mapped(t, v)); got != nil {
		t.Errorf("blocked by %q", got)
	}
	exec(t, w.shared, "insert into member (login, tenant) values ('zed', 'acme')")
	if got := blocking(d.mapped(t, v)); !slices.Equal(got, []string{"table member"}) {
		t.Errorf("with a row that bears no mark it is blocked by %q", got)
	}
	exec(t, w.shared, "delete from member where login = 'zed'")
	_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "a", Limit: 10})
	wants(t, "an erasure while the account stands on it", err, tenure.Blocked, false)
	_, err = d.Delete(t.Context(), account)
	must(t, err)
	d.erased(t, r, "a")
	_, err = d.Delete(t.Context(), r)
	must(t, err)
}

// A tenant's account in a shared table may be made before the resource that covers the
// table's rows; a row that bears no mark of the tenant's still can't be taken over.
func TestRowsBesideARecordThatCameFirst(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	exec(t, w.shared, "create table member (login text primary key, tenant text, tenure_mark text)")
	account := connector.Ref{Type: "account", Name: "ann", Tenant: "ten_acme", Resource: tenure.DeriveID[tenure.ResourceID](epoch, "ann"),
		Attributes: map[string]any{"table": "member", "key": map[string]any{"login": "ann"}, "values": map[string]any{"tenant": "acme"}}}
	d.made(t, account)
	r := pool("tenant", "acme", map[string]any{"member": "a"})
	for _, other := range []string{"insert into member (login, tenant) values ('zed', 'acme')", "insert into member select 'zed', tenant, tenure_mark || 'x' from member"} {
		exec(t, w.shared, other)
		r.Tenant = "ten_acme"
		_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
		wants(t, "rows beside a stranger's", err, tenure.Conflict, false)
		exec(t, w.shared, "delete from member where login = 'zed'")
	}
	r.Tenant = "ten_birch"
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
	wants(t, "rows beside a neighbour's account", err, tenure.Conflict, false)
	r.Tenant = "ten_acme"
	d.made(t, r)
}
