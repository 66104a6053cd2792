package postgres

import (
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestCatalogBetweenBatches changes the tables after the first batch, as a
// migration does: the next one takes nothing of a neighbour's and nothing of
// another class along, and leaves no copies.
func TestCatalogBetweenBatches(t *testing.T) {
	t.Parallel()
	const c = "create table c (tenant_key text not null, p int, v text); "
	const fill = "; insert into c select x, i, x from generate_series(1, 12) i, unnest(array['acme', 'birch']) x"
	for name, migration := range map[string]string{
		"a cascade from a table of another class": "delete from c where p not in (select id from p); alter table c add foreign key (p) references p on delete cascade",
		"a cascade from a new table":              "create schema extra; create table extra.n (p int references p on delete cascade, v text); insert into extra.n select id, 'whose' from p",
		"a cascade from a new table of others":    "create table n (tenant_key text not null, p int references p on delete cascade); insert into n select 'birch', id from p",
		"a trigger that copies":                   "create table log (v text); create function copy() returns trigger language plpgsql as 'begin insert into s.log values (old.v); return old; end'; create trigger t after delete on p for each row execute function copy()",
		"a rule that copies":                      "create table log (v text); create rule r as on delete to p do also insert into log values (old.v)",
		"a materialized view":                     "create materialized view report as select * from p",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, w, r := shared(t, "create table p (id int primary key, tenant_key text not null, v text); "+c, map[string]any{"p": "aa", "c": "bb"})
			postgrestest.Exec(t, w.dsn, "set search_path to s; insert into p select i, 'acme', 'v' from generate_series(1, 12) i"+fill)
			e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3})
			if err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, "set search_path to s; "+migration)
			rows := w.rowsOf(t)
			for range 10 {
				if e, err = d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3, Cursor: e.Cursor}); err != nil || e.Done {
					break
				}
			}
			if tenure.CodeOf(err) != tenure.Blocked {
				t.Errorf("after the migration: %v, done %t; want blocked", err, e.Done)
			}
			if after := w.rowsOf(t); len(after) != len(rows) {
				t.Errorf("%d rows were there, %d are left", len(rows), len(after))
			}
		})
	}
}

// TestAlteredBetweenBatches alters a table in a way that changes nothing for the erasure: it goes on.
func TestAlteredBetweenBatches(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table p (id int primary key, tenant_key text not null)", map[string]any{"p": "aa"})
	postgrestest.Exec(t, w.dsn, "insert into s.p select i, 'acme' from generate_series(1, 9) i")
	e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "alter table s.p add column more text; alter table s.p drop constraint p_pkey")
	for range 10 {
		if e, err = d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3, Cursor: e.Cursor}); err != nil || e.Done {
			break
		}
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from s.p"); err != nil || n != 0 || e.Total["s.p"] != 9 {
		t.Errorf("%d rows are left, the total is %v, error %v", n, e.Total, err)
	}
}

// TestUndecidedRows erases while a prepared transaction holds a row of the tenant
// that nobody sees: it isn't done before somebody decides.
func TestUndecidedRows(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table p (id int primary key, tenant_key text not null)", map[string]any{"p": "aa"})
	w.prepares(t)
	gid := "undecided_" + string(r.Resource)
	postgrestest.Exec(t, w.dsn, "insert into s.p values (1, 'acme')")
	postgrestest.Exec(t, w.dsn, "begin; insert into s.p values (2, 'acme'); prepare transaction '"+gid+"'")
	e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3})
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), gid) {
		t.Errorf("erase: %v, done %t, want blocked by %s", err, e.Done, gid)
	}
	postgrestest.Exec(t, w.dsn, "commit prepared '"+gid+"'")
	if e, err = d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3}); err != nil || !e.Done || e.Total["s.p"] != 2 {
		t.Errorf("after the commit: %+v, error %v", e, err)
	}
}

// TestLockOfAPreparedTransaction names the prepared transaction that keeps a row
// locked, so that somebody can end it.
func TestLockOfAPreparedTransaction(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, "create table p (id int primary key, tenant_key text not null, v text)", map[string]any{"p": "aa"})
	w.prepares(t)
	gid := "holder_" + string(r.Resource)
	postgrestest.Exec(t, w.dsn, "insert into s.p values (1, 'acme')")
	postgrestest.Exec(t, w.dsn, "begin; update s.p set v = 'x'; prepare transaction '"+gid+"'")
	_, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3})
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), gid) {
		t.Errorf("erase: %v, want blocked by %s", err, gid)
	}
	postgrestest.Exec(t, w.dsn, "rollback prepared '"+gid+"'")
}

// prepares skips the test, or fails it in CI, where the server takes no prepared
// transactions: scripts/with-postgres starts one that does.
func (w *world) prepares(t *testing.T) {
	t.Helper()
	if w.is(t, "select from pg_settings where name = 'max_prepared_transactions' and setting::int > 0") {
		return
	}
	const why = "the server takes no prepared transactions"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
