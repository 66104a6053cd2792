package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// leaverDDL makes one object of most kinds in the leaver's schema.
const leaverDDL = `create table orders (id int primary key, note text);
create type mood as enum ('a', 'b'); create domain cents as int check (value >= 0); create type pair as (a int, b int);
create type span as range (subtype = int4); create sequence counter;
create function double(int) returns int language sql immutable as 'select $1 * 2';
create function touch() returns trigger language plpgsql as 'begin return new; end';
create function note_event() returns event_trigger language plpgsql as 'begin end';
create function equal(int, int) returns bool language sql immutable as 'select $1 operator(pg_catalog.=) $2';
create operator === (leftarg = int, rightarg = int, function = equal);
create collation plain from "C"; create text search configuration words (copy = pg_catalog.simple);
create function order_cmp(text, text) returns int language sql immutable as 'select pg_catalog.bttextcmp($1, $2)';
create operator class by_text for type text using btree as operator 1 pg_catalog.<, operator 2 pg_catalog.<=, operator 3 pg_catalog.=, operator 4 pg_catalog.>=, operator 5 pg_catalog.>, function 1 order_cmp(text, text);
create view open_orders as select * from orders; create table events (at int, note text) partition by range (at)`

// outsiders are things outside of the schema leaver that hang on something in it,
// each with a word by which it is named.
var outsiders = map[string][2]string{
	"enum column":           {"create table app.x (id int, m leaver.mood)", "app.x"},
	"enum array column":     {"create table app.x (id int, m leaver.mood[])", "app.x"},
	"domain column":         {"create table app.x (c leaver.cents)", "app.x"},
	"composite column":      {"create table app.x (p leaver.pair)", "app.x"},
	"row type column":       {"create table app.x (p leaver.orders)", "app.x"},
	"range column":          {"create table app.x (p leaver.span)", "app.x"},
	"domain over a domain":  {"create domain app.price as leaver.cents", "app.price"},
	"composite of an enum":  {"create type app.pairs as (m leaver.mood)", "app.pairs"},
	"default by function":   {"create table app.x (c int default leaver.double(1))", "app.x"},
	"default by sequence":   {"create table app.x (c int default nextval('leaver.counter'))", "app.x"},
	"generated column":      {"create table app.x (a int, b int generated always as (leaver.double(a)) stored)", "app.x"},
	"check by function":     {"create table app.x (a int constraint small check (leaver.double(a) < 10))", "small on table app.x"},
	"index by function":     {"create table app.x (a int); create index twice on app.x (leaver.double(a))", "app.twice"},
	"index by class":        {"create table app.x (a text); create index sorted on app.x (a leaver.by_text)", "app.sorted"},
	"index predicate":       {"create table app.x (a int); create index few on app.x (a) where leaver.double(a) > 2", "app.few"},
	"statistics":            {"create table app.x (a int, b int); create statistics app.pairs on (leaver.double(a)), b from app.x", "app.pairs"},
	"statistics in it":      {"create table app.x (a int, b int); create statistics leaver.pairs on a, b from app.x", "app.x"},
	"collation of a column": {"create table app.x (a text collate leaver.plain)", "app.x"},
	"search configuration":  {"create table app.x (a text); create index words on app.x using gin (to_tsvector('leaver.words', a))", "app.words"},
	"policy":                {"create table app.x (a int); create policy seen on app.x as restrictive using (a in (select id from leaver.orders))", "seen on table app.x"},
	"policy by function":    {"create table app.x (a int); create policy seen on app.x using (leaver.double(a) > 0)", "seen on table app.x"},
	"view":                  {"create view app.report as select * from leaver.orders", "app.report"},
	"view of a view":        {"create view app.first as select * from leaver.open_orders; create view app.second as select * from app.first", "app.second"},
	"materialized view":     {"create materialized view app.report as select count(*) from leaver.orders", "app.report"},
	"view by operator":      {"create view app.report as select 1 operator(leaver.===) 2 as same", "app.report"},
	"function's argument":   {"create function app.f(leaver.mood) returns int language sql as 'select 1'", "app.f"},
	"function's body":       {"create function app.f() returns bigint language sql begin atomic select count(*) from leaver.orders; end", "app.f"},
	"aggregate":             {"create function app.plus(int, int) returns int language sql as 'select $1 + $2'; create aggregate app.total(int) (sfunc = app.plus, stype = int, initcond = '0'); create aggregate app.odd(leaver.cents) (sfunc = app.plus, stype = int)", "app.odd"},
	"operator":              {"create operator app.!! (rightarg = int, function = leaver.double)", "app.!!"},
	"operator of a family":  {"create operator family app.f using btree; alter operator family app.f using btree add operator 3 leaver.=== (int, int)", "app.f"},
	"cast":                  {"create type app.t as (a int); create function app.to_int(app.t) returns int language sql as 'select 1'; create type app.u as (b leaver.mood); create cast (app.t as int) with function app.to_int(app.t)", "app.u"},
	"trigger":               {"create table app.x (a int); create trigger touched before insert on app.x for each row execute function leaver.touch()", "touched on table app.x"},
	"event trigger":         {"create event trigger noticed_TOKEN on ddl_command_end execute function leaver.note_event()", "noticed_"},
	"rule":                  {"create table app.x (a int); create rule too as on insert to app.x do also insert into leaver.orders values (new.a)", "too on table app.x"},
	"foreign key":           {"create table app.child (x int references leaver.orders)", "app.child"},
	"heir":                  {"create table app.heir () inherits (leaver.orders)", "app.heir"},
	"typed table":           {"create table app.x of leaver.pair", "app.x"},
	"partition":             {"create table app.part partition of leaver.events for values from (0) to (10)", "app.part"},
	"publication of tables": {"create publication out_TOKEN for table leaver.orders", "out_"},
	"publication of schema": {"create publication out_TOKEN for tables in schema leaver", "out_"},
	"extension":             {"create extension citext with schema leaver; create table app.x (a leaver.citext)", "citext"},
	"transform":             {"create function app.g(leaver.pair) returns leaver.pair language sql as 'select $1'", "app.g"},
	"table by two steps":    {"create function app.f(leaver.mood) returns int language sql immutable as 'select 1'; create table app.x (a int default app.f('a'))", "app.x"},
}

// TestDropNamesWhatDepends: were one of these not named, a neighbour would lose a
// column, a policy or a table with the leaver's schema.
func TestDropNamesWhatDepends(t *testing.T) {
	t.Parallel()
	for what, c := range outsiders {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			own := desired("schema", "leaver", map[string]any{"ddl": leaverDDL})
			if _, _, err := d.Ensure(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, strings.NewReplacer("TOKEN", w.token, "PLATFORM", w.platform).Replace(c[0]))
			before := w.look(t)
			for name, call := range map[string]func() error{
				"delete":     func() error { _, err := d.Delete(t.Context(), own.Ref); return err },
				"quarantine": func() error { _, err := d.Quarantine(t.Context(), own.Ref); return err },
			} {
				if err := call(); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), c[1]) {
					t.Errorf("%s: %v (%s), want blocked for good by %s", name, err, tenure.CodeOf(err), c[1])
				}
			}
			if after := w.look(t); after != before {
				t.Errorf("a call that was blocked changed something:\n%s", after)
			}
			if strings.HasPrefix(what, "event") {
				postgrestest.Exec(t, w.dsn, "drop event trigger noticed_"+w.token)
			}
		})
	}
}

// TestEventTriggersOfADrop: an event trigger that writes down what is dropped keeps
// the names of the leaver's tables, and the map says so unless somebody has read it.
func TestEventTriggersOfADrop(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("schema", "leaver", map[string]any{"ddl": "create table a (n int)", "tables": map[string]any{"*": "aa"}})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	name := "watch_" + w.token
	postgrestest.Exec(t, w.dsn, `create table app.dropped (name text);
create function app.watch() returns event_trigger language plpgsql as 'begin insert into app.dropped select object_identity from pg_event_trigger_dropped_objects(); end';
create function app.quiet() returns event_trigger language plpgsql as 'begin raise notice ''dropped''; end';
create event trigger `+name+` on sql_drop execute function app.watch(); create event trigger `+name+`_q on sql_drop execute function app.quiet();
create event trigger `+name+`_t on ddl_command_end when tag in ('CREATE TABLE') execute function app.watch();
create function leaver.never() returns trigger language plpgsql as 'begin raise exception ''never''; end'; create trigger never before delete on leaver.a for each row execute function leaver.never()`)
	look := func() (blocks []string, says string) {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Places {
			if p.Name == "leaver.a.never" {
				says = p.Says
			}
		}
		return blocking(m), says
	}
	if got, says := look(); !slices.Equal(got, []string{"code " + name}) || !strings.Contains(says, "can raise an error") {
		t.Errorf("what blocks: %q, want the event trigger that writes; of the tenant's own trigger it says %q", got, says)
	}
	own.Attributes["triggers"] = map[string]any{name: "ignore"}
	if got, _ := look(); len(got) > 0 {
		t.Errorf("what blocks: %q, though somebody answers for it", got)
	}
}

// TestDropOfItsOwn: what hangs together within the schema, or hangs on things
// outside, stands in nobody's way.
func TestDropOfItsOwn(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create table app.lookup (id int primary key); create type app.kind as enum ('x'); create function app.f() returns int language sql as 'select 1'`)
	own := desired("schema", "leaver", map[string]any{"ddl": leaverDDL + `; create table lines (id int generated always as identity, o int references orders, k app.kind, l int references app.lookup default app.f(), m mood default 'a', c int default double(2));
create materialized view sums as select count(*) from lines; create policy own on lines using (id in (select id from orders));
create trigger touched before insert on lines for each row execute function touch(); create rule too as on insert to lines do also insert into orders values (new.id);
create cast (mood as int) with inout as assignment; create table events_1 partition of events for values from (0) to (10); create statistics pairs on o, l from lines;
alter default privileges in schema leaver grant select on tables to public`})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Quarantine(t.Context(), own.Ref); err != nil {
		t.Fatal(err)
	}
	if rec, err := d.Delete(t.Context(), own.Ref); err != nil || !rec.Changed {
		t.Fatalf("delete: changed %t, error %v", rec.Changed, err)
	}
	if w.is(t, "select from pg_namespace where nspname = 'leaver' or nspname like 'tenure_quarantine%%'") {
		t.Error("the schema is still there")
	}
	if !w.is(t, "select from pg_class where oid = 'app.lookup'::regclass") {
		t.Error("a table outside went along")
	}
}

// TestPartitionLeavesItsParent: a tenant's partition of a shared table isn't read
// through it while set aside, comes back with its rows, and doesn't take the
// table's other rows along.
func TestPartitionLeavesItsParent(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create table app.usage (tenant text, n int, primary key (tenant, n)) partition by list (tenant);
create index on app.usage (n); create table app.usage_b partition of app.usage for values in ('birch'); insert into app.usage values ('birch', 1); create table app.log (n int)`)
	own := desired("schema", "leaver", map[string]any{})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, `create table leaver.usage partition of app.usage for values in ('le''aver', 'it'); create table leaver.log () inherits (app.log);
insert into app.usage values ('it', 7), ('le''aver', 8); insert into leaver.log values (7)`)
	sees := func(want int) {
		t.Helper()
		if n := postgrestest.Value[int](t, w.dsn, "select (select count(*) from app.usage) + (select count(*) from app.log)"); n != want {
			t.Errorf("%d rows are seen through the shared tables, want %d", n, want)
		}
	}
	const shape = "select string_agg(concat(c.relname, ' ', pg_get_expr(relpartbound, c.oid), ' ', (select string_agg(inhparent::regclass::text, ',') from pg_inherits where inhrelid = c.oid)), E'\n' order by c.relname) from pg_class c where relnamespace = 'leaver'::regnamespace"
	before := postgrestest.Value[string](t, w.dsn, shape)
	for range 2 {
		if _, err := d.Quarantine(t.Context(), own.Ref); err != nil {
			t.Fatal(err)
		}
		sees(1)
		if _, err := d.Unquarantine(t.Context(), own.Ref); err != nil {
			t.Fatal(err)
		}
		sees(4)
	}
	if after := postgrestest.Value[string](t, w.dsn, shape); after != before {
		t.Errorf("brought back it is\n%s\nwant\n%s", after, before)
	}
	if _, err := d.Delete(t.Context(), own.Ref); err != nil {
		t.Fatal(err)
	}
	sees(1)
}

// TestPartitionReferred: rows outside that refer to a tenant's partition keep it
// from being set aside.
func TestPartitionReferred(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, `create table app.usage (tenant text primary key) partition by list (tenant); create table app.bill (tenant text references app.usage)`)
	own := desired("schema", "leaver", map[string]any{})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, `create table leaver.usage partition of app.usage for values in ('x'); insert into app.usage values ('x'); insert into app.bill values ('x')`)
	if _, err := d.Delete(t.Context(), own.Ref); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) {
		t.Errorf("delete: %v (%s), want blocked", err, tenure.CodeOf(err))
	}
	postgrestest.Exec(t, w.dsn, "delete from app.bill")
	if _, err := d.Delete(t.Context(), own.Ref); err != nil {
		t.Error(err)
	}
}

// TestDatabaseInUse: a replication slot or a subscription in the database goes
// with it in silence, or stops its drop for ever; either is named instead.
func TestDatabaseInUse(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("database", w.token+"leaver", map[string]any{})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	in := dsnOf(t, w, own.Name)
	blocked := func(by string) {
		t.Helper()
		for name, call := range map[string]func() error{
			"delete":     func() error { _, err := d.Delete(t.Context(), own.Ref); return err },
			"quarantine": func() error { _, err := d.Quarantine(t.Context(), own.Ref); return err },
		} {
			if err := call(); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), by) {
				t.Errorf("%s: %v (%s), want blocked for good by %s", name, err, tenure.CodeOf(err), by)
			}
		}
	}
	postgrestest.Exec(t, in, "create subscription sub_"+w.token+" connection 'dbname=nowhere host=127.0.0.1' publication p with (connect = false)")
	blocked("sub_" + w.token)
	postgrestest.Exec(t, in, "alter subscription sub_"+w.token+" set (slot_name = none)")
	postgrestest.Exec(t, in, "drop subscription sub_"+w.token+"; alter database "+quote(own.Name)+" is_template true")
	postgrestest.Exec(t, in, "create table public.x (id int)")
	postgrestest.Exec(t, in, "begin; insert into public.x values (1); prepare transaction 'late_"+w.token+"'")
	blocked("prepared transaction late_" + w.token)
	postgrestest.Exec(t, in, "rollback prepared 'late_"+w.token+"'")
	postgrestest.Exec(t, in, "select pg_create_logical_replication_slot('reader_"+w.token+"', 'pgoutput')")
	blocked("replication slot reader_" + w.token)
	m, err := d.DataMap(t.Context(), connector.Survey{Ref: own.Ref})
	if err != nil || !slices.ContainsFunc(m.Places, func(p connector.Place) bool {
		return p.Kind == connector.PlaceDependent && p.Blocks && p.Name == "reader_"+w.token
	}) {
		t.Errorf("the data map doesn't name the slot: %+v, error %v", m.Places, err)
	}
	postgrestest.Exec(t, in, "select pg_drop_replication_slot('reader_"+w.token+"')")
	if _, err := d.Delete(t.Context(), own.Ref); err != nil {
		t.Error(err)
	}
	if w.is(t, "select from pg_database where datname = %s", literal(own.Name)) {
		t.Error("the database is still there")
	}
}

// TestPreparedTransaction: a transaction that was prepared and left holds its locks
// until somebody ends it. Whoever waits for it waits for ever; it is named instead.
func TestPreparedTransaction(t *testing.T) {
	t.Parallel()
	t.Run("schema", func(t *testing.T) {
		t.Parallel()
		d, w, _ := opened(t)
		own := desired("schema", "leaver", map[string]any{"ddl": "create table if not exists orders (id int primary key)"})
		if _, _, err := d.Ensure(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		postgrestest.Exec(t, w.dsn, "begin; insert into leaver.orders values (1); prepare transaction 'left_"+w.token+"'")
		for name, call := range map[string]func() error{
			"delete":     func() error { _, err := d.Delete(t.Context(), own.Ref); return err },
			"quarantine": func() error { _, err := d.Quarantine(t.Context(), own.Ref); return err },
		} {
			if err := call(); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), "left_"+w.token) {
				t.Errorf("%s: %v (%s), want blocked for good by the prepared transaction", name, err, tenure.CodeOf(err))
			}
		}
		postgrestest.Exec(t, w.dsn, "rollback prepared 'left_"+w.token+"'")
		if _, err := d.Delete(t.Context(), own.Ref); err != nil {
			t.Error(err)
		}
	})
	t.Run("rows", func(t *testing.T) {
		t.Parallel()
		d, w, r := shared(t, "create table c (id int primary key, tenant_key text, note text)", map[string]any{"c": "data"})
		postgrestest.Exec(t, w.dsn, "insert into s.c select i, 'acme' from generate_series(1, 9) i; insert into s.c values (10, 'birch')")
		postgrestest.Exec(t, w.dsn, "begin; update s.c set note = 'x' where id = 5; prepare transaction 'left_"+w.token+"'")
		if _, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 100}); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), "left_"+w.token) {
			t.Errorf("erase: %v (%s), want blocked for good by the prepared transaction", err, tenure.CodeOf(err))
		}
		postgrestest.Exec(t, w.dsn, "commit prepared 'left_"+w.token+"'")
		if e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 100}); err != nil || e.Counts["s.c"] != 9 {
			t.Errorf("once it is ended the erasure takes %v, error %v", e.Counts, err)
		}
	})
}

// TestDropNamesWhoHoldsALock: a session that was left open with a lock in a schema
// keeps its drop waiting. It is named in seconds, and the drop is tried again.
func TestDropNamesWhoHoldsALock(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own := desired("schema", "leaver", map[string]any{"ddl": "create table if not exists orders (id int primary key)"})
	if _, _, err := d.Ensure(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	c := connect(t, w.dsn)
	if _, err := c.Exec(t.Context(), "set application_name = 'a report'; begin; select * from leaver.orders"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := d.Delete(t.Context(), own.Ref); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || !strings.Contains(err.Error(), "a report") {
		t.Errorf("delete: %v (%s), want one to try again that names the session", err, tenure.CodeOf(err))
	}
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %s to say so", d)
	}
	if _, err := c.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if rec, err := d.Delete(t.Context(), own.Ref); err != nil || !rec.Changed {
		t.Errorf("once the session lets go: changed %t, error %v", rec.Changed, err)
	}
}

// TestRoleElsewhere: what a role owns or may do in another database, and who is
// a member of it, is named.
func TestRoleElsewhere(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ sql, by string }{
		"owned":              {"create table public.hers (a int); alter table public.hers owner to ROLE", "public.hers"},
		"granted":            {"create table public.seen (a int); grant select on public.seen to ROLE", "public.seen"},
		"default privileges": {"alter default privileges for role ROLE grant select on tables to public", "default privileges"},
		"large object":       {"select lo_create(4711); alter large object 4711 owner to ROLE", "large object 4711"},
		"policy":             {"create table public.safe (a int); create policy hers on public.safe to ROLE using (true)", "policy hers"},
		"member":             {"create role TOKENbirch role ROLE; grant ROLE to TOKENowner", "TOKENowner"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			other := desired("database", w.token+"other", map[string]any{})
			own := desired("role", w.token+"leaver", map[string]any{"login": true})
			for _, want := range []connector.Desired{other, own} {
				if _, _, err := d.Ensure(t.Context(), want); err != nil {
					t.Fatal(err)
				}
			}
			named := strings.NewReplacer("ROLE", own.Name, "TOKEN", w.token)
			postgrestest.Exec(t, dsnOf(t, w, other.Name), named.Replace(c.sql))
			if _, err := d.Delete(t.Context(), own.Ref); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), named.Replace(c.by)) {
				t.Errorf("delete: %v (%s), want blocked for good by %s", err, tenure.CodeOf(err), named.Replace(c.by))
			}
			if !w.is(t, "select from pg_roles where rolname = %s", literal(own.Name)) {
				t.Error("the role went although something hangs on it")
			}
		})
	}
}

// TestDefaultPrivilegesGoWithTheirRole: rights on what a tenant's role is yet to make
// are nothing that it could leave by making.
func TestDefaultPrivilegesGoWithTheirRole(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	n.ensure(t, n.place)
	postgrestest.Exec(t, n.own, "alter default privileges in schema acme grant select on tables to public; alter default privileges revoke execute on functions from public; alter default privileges grant usage on types to "+n.owner.Name)
	m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: n.owner.Ref, Beside: []connector.Ref{n.place.Ref}})
	if got := blocking(m); err != nil || got != nil {
		t.Errorf("what blocks is %q, error %v", got, err)
	}
	for _, r := range []connector.Ref{n.place.Ref, n.owner.Ref} {
		if rec, err := n.d.Delete(t.Context(), r); err != nil || !rec.Changed {
			t.Errorf("delete %s: changed %t, error %v", r.Name, rec.Changed, err)
		}
	}
	n.ensure(t, n.owner) // the den takes it down
}
