package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// shared makes tables in a schema s and acme's rows in them a resource.
func shared(t *testing.T, ddl string, tables map[string]any, more ...any) (*Driver, *world, connector.Ref) {
	t.Helper()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema s; set search_path to s; "+ddl)
	attributes := map[string]any{"schema": "s", "column": "tenant_key", "key": "acme", "tables": tables}
	for i := 0; i+1 < len(more); i += 2 {
		attributes[more[i].(string)] = more[i+1]
	}
	own := desired("rows", "acme", attributes)
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	return d, w, own.Ref
}

// TestChains erases rows that refer to one another in long chains and rings. Were
// each row looked for anew, 50,000 of them would take hours.
func TestChains(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ column, index, fill string }{
		"chain, can't be null": {"up int not null references c", "create index on c (up)", "insert into c select i, 'acme', greatest(i - 1, 1) from generate_series(1, 50000) i"},
		"chain, may be null":   {"up int references c", "create index on c (up)", "insert into c select i, 'acme', nullif(i - 1, 0) from generate_series(1, 50000) i"},
		"chain, backwards":     {"up int references c deferrable", "create index on c (up)", "begin; set constraints all deferred; insert into c select i, 'acme', nullif(i + 1, 50001) from generate_series(1, 50000) i; commit"},
		"chain, cascade":       {"up int references c on delete cascade", "create index on c (up)", "insert into c select i, 'acme', nullif(i - 1, 0) from generate_series(1, 50000) i"},
		"chain, no index":      {"up int references c", "", "insert into c select i, 'acme', nullif(i - 1, 0) from generate_series(1, 3000) i"},
		"rings with tails":     {"up int not null references c on delete restrict deferrable", "create index on c (up)", "begin; set constraints all deferred; insert into c select i, 'acme', case when i % 10 = 1 then i + 2 else i - 1 end from generate_series(1, 10000) i; commit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			column := strings.ReplaceAll(c.column, "restrict deferrable", "no action deferrable")
			d, w, r := shared(t, "create table c (id int primary key, tenant_key text not null, "+column+"); "+c.index, map[string]any{"c": "data"})
			postgrestest.Exec(t, w.dsn, "set search_path to s; "+c.fill+"; insert into c values (100001, 'birch', 100001); analyze c")
			n := postgrestest.Value[int64](t, w.dsn, "select count(*) from s.c where tenant_key = 'acme'")
			b := connector.Batch{Run: "r", Class: "data", Limit: 5000}
			var total int64
			for batches := 0; ; batches++ {
				e, err := d.Erase(t.Context(), r, b)
				if err != nil || batches > 100 {
					t.Fatalf("batch %d: %v", batches, err)
				}
				if e.Counts["s.c"] > 5000 {
					t.Errorf("a batch took %d rows", e.Counts["s.c"])
				}
				total = e.Total["s.c"]
				if b.Cursor = e.Cursor; e.Done {
					break
				}
			}
			if left := postgrestest.Value[string](t, w.dsn, "select string_agg(tenant_key, ' ') from s.c"); total != n || left != "birch" {
				t.Errorf("%d of %d rows are counted; left are those of %s", total, n, left)
			}
		})
	}
}

// TestCopiesThatNameNobody: a trigger that somebody vouched for copies rows without
// the key. Were they not seen when they are made, they would stay for good.
func TestCopiesThatNameNobody(t *testing.T) {
	t.Parallel()
	const once = "create trigger noted after delete"
	for what, when := range map[string]string{"at once": once, "at the end": "create constraint trigger noted after delete", "in a block": once, "in a block of a block": once} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			late := ""
			if strings.Contains(when, "constraint") {
				late = "deferrable initially deferred"
			}
			body := "insert into s.hist values (to_jsonb(old));"
			for range strings.Count(what, "block") {
				body = "begin " + body + " exception when division_by_zero then null; end;"
			}
			d, w, r := shared(t, `create table a (id int primary key, tenant_key text); create table note (a int not null references a); create table hist (doc jsonb);
create function s.copy() returns trigger language plpgsql as 'begin `+body+` return null; end';
`+when+" on note "+late+" for each row execute function s.copy()", map[string]any{"a": "data", "note": "data", "hist": "data"},
				"columns", map[string]any{"hist": "doc->>tenant_key"}, "triggers", map[string]any{"note.noted": "ignore"})
			postgrestest.Exec(t, w.dsn, "insert into s.a values (1, 'acme'); insert into s.hist values ('{}')")
			if _, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "none", Limit: 10}); err != nil {
				t.Fatal(err) // what was there before isn't the erasure's
			}
			postgrestest.Exec(t, w.dsn, "insert into s.note values (1)")
			_, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 10})
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "s.hist") {
				t.Errorf("erase: %v (%s), want it blocked by s.hist", err, tenure.CodeOf(err))
			}
			if n := postgrestest.Value[int](t, w.dsn, "select count(*) from s.hist"); n != 1 {
				t.Errorf("the history has %d rows, want the one from before", n)
			}
		})
	}
}

// TestTallySurvives opens the system anew after each batch, as after a kill: what
// went before is in the tally all the same.
func TestTallySurvives(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table a (id int primary key, tenant_key text not null); create table b (id int, tenant_key text not null, a int references a on delete set null)", map[string]any{"a": "data", "b": "data"})
	postgrestest.Exec(t, w.dsn, "insert into s.a select i, 'acme' from generate_series(1, 7) i; insert into s.b select i, 'birch', i from generate_series(1, 5) i; insert into s.b values (9, 'acme', 1)")
	b := connector.Batch{Run: "one", Class: "data", Limit: 3}
	for range 10 {
		e, err := d.Erase(t.Context(), r, b)
		if err != nil {
			t.Fatal(err)
		}
		d.forget(planKey{r.Resource, "data", false, keepKey(nil)})
		if b.Cursor = e.Cursor; e.Done {
			break
		}
	}
	want := connector.Erased{Total: map[string]int64{"s.a": 7, "s.b": 1}, Detached: map[string]int64{"s.b.a": 5}}
	got, err := d.Tally(t.Context(), r, "one")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("the tally of the run (error %v, -want +got):\n%s", err, diff)
	}
	if none, err := d.Tally(t.Context(), r, "another"); err != nil || len(none.Total) > 0 {
		t.Errorf("another run's tally is %v, error %v", none.Total, err)
	}
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from tenure.tally"); n != 0 {
		t.Errorf("%d rows of the tally stay after the resource went", n)
	}
}

// TestBatchIsShort takes slow rows for about as long as it may, and no longer: a
// hold that is placed meanwhile waits for the batch.
func TestBatchIsShort(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, `create table a (tenant_key text); create function s.slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.004); return old; end';
create trigger slow before delete on a for each row execute function s.slow()`, map[string]any{"a": "data"})
	postgrestest.Exec(t, w.dsn, "insert into s.a select 'acme' from generate_series(1, 3000)")
	e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 5000, For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if n := e.Counts["s.a"]; n == 0 || n > 1000 || e.Done {
		t.Errorf("a batch of a second took %d rows of 4 ms each", n)
	}
}

// TestLockIsNamed waits for a row that somebody else has locked, and says who.
func TestLockIsNamed(t *testing.T) {
	t.Parallel()
	for what, hold := range map[string]func(t *testing.T, w *world) string{
		"a session": func(t *testing.T, w *world) string {
			conf, err := pgx.ParseConfig(w.dsn)
			if err != nil {
				t.Fatal(err)
			}
			conf.RuntimeParams["application_name"] = "nightly report"
			conn, err := pgx.ConnectConfig(t.Context(), conf)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			if _, err := conn.Exec(t.Context(), "begin; select * from s.a for update"); err != nil {
				t.Fatal(err)
			}
			return "nightly report"
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, r := shared(t, "create table a (tenant_key text)", map[string]any{"a": "data"})
			postgrestest.Exec(t, w.dsn, "insert into s.a values ('acme')")
			who := hold(t, w)
			_, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 5})
			if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || !strings.Contains(err.Error(), who) {
				t.Errorf("erase: %v (%s), want a lock of %q named", err, tenure.CodeOf(err), who)
			}
		})
	}
}

// TestKeysThatLookAlike finds keys that a person takes for the tenant's.
func TestKeysThatLookAlike(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table a (tenant_key text)", map[string]any{"a": "data"})
	postgrestest.Exec(t, w.dsn, "insert into s.a values ('acme'), ('Acme'), ('acme '), ('acme corp'), (null)")
	neighbour := desired("rows", "other", map[string]any{"schema": "s", "column": "tenant_key", "key": "ACME", "tables": map[string]any{"a": "data"}})
	if _, _, err := d.Ensure(t.Context(), neighbour); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.a values ('ACME')")
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: r, Search: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	blocking, told := 0, int64(0)
	for _, p := range m.Places {
		if p.Kind == connector.PlaceKey && p.Blocks {
			blocking++
		} else if p.Kind == connector.PlaceKey {
			told += p.Rows
		}
	}
	if blocking != 2 || told != 1 {
		t.Errorf("%d keys look like the tenant's, want 2; %d rows have none, want 1: %+v", blocking, told, m.Places)
	}
}

// TestMapBeforeAndAfter maps a resource that is yet to be and one that is gone.
func TestMapBeforeAndAfter(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table a (id int primary key, tenant_key text); create table b (a int not null references a)", map[string]any{"a": "data"})
	publish := r
	publish.Resource = ""
	publish.Attributes = map[string]any{"schema": "s", "column": "tenant_key", "key": "${tenant.key}", "tables": map[string]any{"a": "data"}}
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: publish, Prove: true, Order: []string{"data"}})
	if err != nil || len(m.Places) != 2 || !m.Places[1].Blocks || m.Places[1].Name != "s.b" {
		t.Errorf("a blueprint that is to be published is told %+v, error %v; want s.b to block", m.Places, err)
	}
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.a values (1, 'acme')")
	m, err = d.DataMap(t.Context(), connector.Survey{Ref: r, Gone: true})
	if err != nil || len(m.Places) == 0 || m.Places[0].Rows != 1 || !m.Sighting.Complete {
		t.Errorf("what came back after the end is shown as %+v, error %v; want 1 row", m, err)
	}
}

// TestWholeStoreSetAside erases a schema in quarantine: its tables go by the names
// that the blueprint gives them, and nothing of its neighbours goes along.
func TestWholeStoreSetAside(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("schema", "acme", map[string]any{
		"ddl":    "create table if not exists orders (id int primary key, country int); create table if not exists later (id int primary key)",
		"tables": map[string]any{"acme.orders": "trade", "*": "rest", "platform.lines": "trade"}, "shared": []any{"platform.country"}, "aliases": []any{"org"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, `create schema platform; create table platform.country (id int primary key); insert into platform.country values (1);
alter table acme.orders add foreign key (country) references platform.country; insert into acme.orders values (1, 1), (2, 1); insert into acme.later values (1);
create table platform.lines (id int, order_id int not null references acme.orders); insert into platform.lines values (1, 1), (2, 2);
create table platform.page (org text, order_id int references acme.orders on delete set null); insert into platform.page values ('birch', 1), ('birch', null)`)
	postgrestest.Exec(t, w.dsn, "alter schema acme rename to "+quote(quarantined(own.Resource)))
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref, Order: []string{"trade", "rest"}, Prove: true})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, p := range m.Places {
		if p.Kind == connector.PlaceTable || p.Kind == connector.PlaceReference {
			rows[p.Name+" "+p.Class] = p.Rows
		}
		if p.Blocks && p.Kind != connector.PlaceDependent {
			t.Errorf("%s blocks: %s", p.Name, p.Says)
		}
	}
	want := map[string]int64{"acme.orders trade": 2, "acme.later rest": 1, "platform.lines trade": 2, "platform.page.order_id trade": 1}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("data map (-want +got):\n%s", diff)
	}
	e, err := d.Erase(t.Context(), own.Ref, connector.Batch{Run: "r", Class: "trade", Limit: 100})
	if err != nil || !e.Done || !cmp.Equal(e.Total, map[string]int64{"acme.orders": 2, "platform.lines": 2}) || !cmp.Equal(e.Detached, map[string]int64{"platform.page.order_id": 1}) {
		t.Errorf("the erasure of trade gives %+v, error %v", e, err)
	}
	if left := postgrestest.Value[string](t, w.dsn, "select string_agg(p::text, ' ') from platform.page p"); left != "(birch,) (birch,)" {
		t.Errorf("the neighbour's rows are %s", left)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from platform.country"); n != 1 {
		t.Error("a shared row went")
	}
}
