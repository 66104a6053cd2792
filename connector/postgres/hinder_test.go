package postgres

import (
	"context"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// den is a tenant's role with a schema of its own, and a neighbour that it may not read.
type den struct {
	*world
	d     *Driver
	owner connector.Desired
	place connector.Desired
	own   string // the URL of the database as the tenant
}

func opensDen(t *testing.T) den {
	t.Helper()
	d, w, _ := opened(t)
	d.config.RuntimeParams["statement_timeout"] = "4000" // what a tenant's code runs in
	n := den{world: w, d: d, owner: desired("role", "acme_"+postgrestest.Token(), map[string]any{"login": true})}
	n.place = n.schema("acme", "create table if not exists t (n int primary key, v text)", "")
	t.Cleanup(func() {
		postgrestest.Exec(t, w.dsn, "drop schema if exists acme cascade; drop schema if exists other cascade; drop owned by "+n.owner.Name+" cascade; drop role "+n.owner.Name)
	})
	postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (v text); insert into victim.secret values ('neighbour'); create sequence victim.bell; grant usage on schema victim to public")
	n.ensure(t, n.owner)
	n.own = postgrestest.As(t, w.dsn, n.owner.Name, n.owner.Credential.Reveal())
	return n
}

func (n den) schema(name, ddl, seed string) connector.Desired {
	r := desired("schema", name, map[string]any{"owner": n.owner.Name, "tables": map[string]any{"*": "aa"}, "ddl": ddl, "seed": seed})
	r.Classes = []string{"aa"}
	return r
}

func (n den) ensure(t *testing.T, all ...connector.Desired) {
	t.Helper()
	for _, r := range all {
		if _, _, err := n.d.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// plant runs SQL as the tenant, after the functions of gain.
func (n den) plant(t *testing.T, sql string) {
	t.Helper()
	postgrestest.Exec(t, n.own, strings.ReplaceAll("set search_path to acme, pg_catalog; "+gain+sql, "SCHEMA", "acme"))
}

// TestDDLNeverRunsBesideTenantsCode: the ddl and the seed of a blueprint set off what a
// tenant has left in its way with the tenant's rights alone.
func TestDDLNeverRunsBesideTenantsCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ddl      string // of the schema that the tenant has
		unowned  bool   // it is Tenure's, and the tenant may create in it
		platform string
		plant    string
		other    string // the seed of a second schema of the same role's
	}{
		"repair where the ddl names the schema": {
			ddl:   "create table if not exists acme.t (n int primary key, v text); insert into acme.t values (1, 'x') on conflict do nothing",
			plant: "create trigger g before insert on acme.t for each row execute function gain_trigger(); create table acme.extra (n int)",
		},
		"a second schema whose seed writes into the first": {
			ddl:   "create table if not exists t (n int primary key, v text)",
			plant: "create trigger g before insert on acme.t for each row execute function gain_trigger()",
			other: "insert into acme.t values (9, 'x')",
		},
		"a function like the ddl's": {
			ddl:     "create table if not exists t (n int primary key, v varchar(10)); create or replace function tidy(x text) returns text language sql as 'select $1'; update t set v = tidy(v)",
			unowned: true, platform: "grant usage, create on schema acme to ACME",
			plant: "create function tidy(x varchar) returns text language plpgsql as $$ begin perform acme.take(1); return x; end $$",
		},
		"a function like the server's": {
			ddl:     "create table if not exists t (n int primary key, v varchar(10)); update t set v = lower(v)",
			unowned: true, platform: "grant usage, create on schema acme to ACME",
			plant: "create function lower(x varchar) returns text language plpgsql as $$ begin perform acme.take(1); return x; end $$",
		},
		"a trigger by right": {
			ddl:     "create table if not exists t (n int primary key, v varchar(10)); insert into t values (1, 'x') on conflict do nothing",
			unowned: true, platform: "grant usage, create on schema acme to ACME; grant all on acme.t to ACME",
			plant: "create trigger g before insert on t for each row execute function gain_trigger()",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := opensDen(t)
			r := n.schema("acme", c.ddl, "")
			if c.unowned {
				delete(r.Attributes, "owner")
			}
			n.ensure(t, r)
			postgrestest.Exec(t, n.dsn, strings.ReplaceAll(c.platform, "ACME", n.owner.Name)+"; insert into acme.t values (7, 'Y')")
			n.plant(t, c.plant)
			next := r
			if c.other != "" {
				next = n.schema("other", "create table if not exists u (n int)", c.other)
			} else {
				postgrestest.Exec(t, n.dsn, "alter table acme.t add more int")
			}
			if _, _, err := n.d.Ensure(t.Context(), next); n.gained(t, err) {
				t.Errorf("the tenant's code ran with Tenure's rights: %v", err)
			}
		})
	}
}

// TestSchemaIsMadeWholeOrNotAtAll: what breaks off while a schema is filled leaves no
// schema under the tenant's name that counts as made, and the next call makes it.
func TestSchemaIsMadeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	broken := n.place
	broken.Attributes = map[string]any{"owner": n.owner.Name, "ddl": "create table t (n int)", "seed": "insert into t values (1 / 0)"}
	if _, _, err := n.d.Ensure(t.Context(), broken); err == nil {
		t.Fatal("a seed that fails is taken")
	}
	if n.is(t, "select from pg_namespace where nspname = 'acme'") {
		t.Error("a schema is left that is half made")
	}
	n.proxy.CutAt("drop schema ")
	if _, _, err := n.d.Ensure(t.Context(), broken); err == nil {
		t.Error("a connection that is lost half-way is no error")
	}
	n.proxy.Heal()
	if !n.is(t, "select from pg_namespace where nspname = 'acme'") {
		t.Error("nothing was cut off: the test shows nothing")
	}
	seeded := n.place
	seeded.Attributes = map[string]any{"owner": n.owner.Name, "ddl": "create table if not exists t (n int)", "seed": "insert into t values (1)"}
	n.ensure(t, seeded)
	n.ensure(t, seeded)
	if got := strs(t, connect(t, n.dsn), "select n::text from acme.t"); len(got) != 1 {
		t.Errorf("the seed ran %d times, want once", len(got))
	}
}

// TestRecordsRunNoTenantsTrigger: a neighbour's account or setting isn't written while a
// tenant's trigger stands on the platform's table.
func TestRecordsRunNoTenantsTrigger(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	n.ensure(t, n.place)
	n.plant(t, "")
	postgrestest.Exec(t, n.dsn, strings.ReplaceAll("grant usage on schema app to ACME; grant trigger on app.settings to ACME", "ACME", n.owner.Name))
	postgrestest.Exec(t, n.own, "create trigger g before insert or update or delete on app.settings for each row execute function acme.gain_trigger()")
	for _, one := range n.cases() {
		if one.Type != "setting" {
			continue
		}
		r := one.New(t, 1)
		r.Type, r.Resource = "setting", desired("setting", "x", nil).Resource
		if _, _, err := n.d.Ensure(t.Context(), r); err == nil || n.gained(t, err) || !strings.Contains(err.Error(), "a tenant's role") {
			t.Errorf("ensure: %v, want blocked by the tenant's trigger", err)
		}
	}
}

// TestTenantCantKeepItself: code that fails in whatever way, ends its own session, or
// sleeps where the server's limit doesn't reach keeps no row of the tenant's.
func TestTenantCantKeepItself(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"it ends its session": "perform pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())",
		"a shutdown":          "raise exception 'x' using errcode = '57P01'",
		"a conflict":          "raise exception 'x' using errcode = '40001'",
		"a full disk":         "raise exception 'x' using errcode = '53100'",
		"a lock":              "raise exception 'x' using errcode = '55P03'",
		"a lost connection":   "raise exception 'x' using errcode = '08006'",
		"a reference":         "raise exception 'x' using errcode = '23503'",
		"a missing table":     "raise exception 'x' using errcode = '42P01'",
	} {
		for where, sql := range map[string]string{
			"a trigger": "create trigger g before delete on t for each row execute function e_trigger()",
			"a policy":  "alter table t enable row level security; alter table t force row level security; create policy p on t using (e(n) = n)",
		} {
			t.Run(name+" in "+where, func(t *testing.T) {
				t.Parallel()
				n := opensDen(t)
				n.ensure(t, n.place)
				n.plant(t, `create function e(n int) returns int language plpgsql as $$ begin if session_user::text like 't\_deputy%' then `+code+`; end if; return n; end $$;
create function e_trigger() returns trigger language plpgsql as $$ begin perform acme.e(1); return old; end $$; insert into t select generate_series(1, 5); `+sql)
				n.leaves(t)
			})
		}
	}
	for name, policy := range map[string]string{
		"without a policy":            "",
		"by a policy that is false":   "create policy p on t using (false)",
		"by one for some of the rows": "create policy p on t using (n < 3)",
	} {
		t.Run("row security is forced on it "+name, func(t *testing.T) {
			t.Parallel()
			n := opensDen(t)
			n.ensure(t, n.place)
			n.plant(t, "insert into t select generate_series(1, 5); alter table t enable row level security; alter table t force row level security; "+policy)
			m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: n.place.Ref, Order: []string{"aa"}, Prove: true})
			rows := int64(0)
			for _, p := range m.Places {
				if p.Name == "acme.t" {
					rows += p.Rows
				}
			}
			if err != nil || rows != 5 {
				t.Errorf("%d rows are counted, want 5; error %v", rows, err)
			}
			n.leaves(t)
		})
	}
	t.Run("it sleeps at the end", func(t *testing.T) {
		t.Parallel()
		n := opensDen(t)
		n.ensure(t, n.place)
		n.plant(t, `create function a() returns trigger language plpgsql as $$ begin if session_user::text like 't\_deputy%' then perform pg_catalog.set_config('statement_timeout', '0', false); end if; return old; end $$;
create function b() returns trigger language plpgsql as $$ begin if session_user::text like 't\_deputy%' then perform pg_catalog.pg_sleep(3600); end if; return old; end $$;
create trigger g before delete on t for each row execute function a(); create constraint trigger h after delete on t deferrable initially deferred for each row execute function b();
insert into t select generate_series(1, 5)`)
		n.leaves(t)
	})
}

// leaves takes the tenant through its exit.
func (n den) leaves(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	if _, err := n.d.Export(ctx, n.place.Ref, io.Discard); err != nil {
		t.Errorf("export: %v", err)
	}
	m, err := n.d.DataMap(ctx, connector.Survey{Ref: n.place.Ref, Prove: true})
	if err != nil || len(blocking(m)) > 0 {
		t.Errorf("map: %v, what blocks: %q", err, blocking(m))
	}
	b := connector.Batch{Run: "run", Limit: 2}
	for range 20 {
		e, err := n.d.Erase(ctx, n.place.Ref, b)
		if err != nil {
			t.Fatalf("erase: %v", err)
		}
		if b.Cursor = e.Cursor; e.Done {
			if e.Total["acme.t"] != 5 {
				t.Errorf("the tally says %v, want five rows of acme.t", e.Total)
			}
			break
		}
	}
	if _, err := n.d.Delete(ctx, n.place.Ref); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// TestTenantCantKeepNeighbours: a session in a template database, and a lock on what a
// deputy left behind, stop nobody else.
func TestTenantCantKeepNeighbours(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	other := desired("schema", "other", map[string]any{"owner": n.owner.Name, "tables": map[string]any{"*": "aa"}})
	n.ensure(t, n.place, other)
	postgrestest.Connect(t, postgrestest.With(t, n.own, func(u *url.URL) { u.Path = "/template1" }))
	db := desired("database", n.token+"birch", map[string]any{})
	n.ensure(t, db)

	left := deputyPrefix + postgrestest.Token()
	postgrestest.Exec(t, n.dsn, "create role "+left+" login valid until '2020-01-01'; grant "+n.owner.Name+" to "+left+"; create view acme.hold as select 1 as n; alter view acme.hold owner to "+left)
	t.Cleanup(func() { postgrestest.Exec(t, n.dsn, "drop owned by "+left+" cascade; drop role if exists "+left) })
	holder := postgrestest.Connect(t, n.dsn)
	if _, err := holder.Exec(t.Context(), "begin; lock table acme.hold in access share mode"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.d.Export(t.Context(), other.Ref, io.Discard); err != nil {
		t.Errorf("a neighbour's export: %v", err)
	}
}

// TestOwnerClosesItsDatabase: whatever the owner sets for its database, Tenure gets in.
func TestOwnerClosesItsDatabase(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"with allow_connections false", "connection limit 0", "set local_preload_libraries to 'nothing'", "set default_transaction_read_only to on", "set search_path to nowhere"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			n := opensDen(t)
			db := desired("database", n.token+"acme", map[string]any{"owner": n.owner.Name, "ddl": "create table t (n int); insert into t values (1)", "tables": map[string]any{"*": "aa"}})
			db.Classes = []string{"aa"}
			n.ensure(t, db)
			postgrestest.Exec(t, n.own, "alter database "+db.Name+" "+how)
			if _, err := n.d.DataMap(t.Context(), connector.Survey{Ref: db.Ref, Prove: true}); err != nil {
				t.Errorf("map: %v", err)
			}
			if _, err := n.d.Export(t.Context(), db.Ref, io.Discard); err != nil {
				t.Errorf("export: %v", err)
			}
			if _, err := eraseAll(t, n.d, db.Ref, 10); err != nil {
				t.Errorf("erase: %v", err)
			}
			if _, err := n.d.Delete(t.Context(), db.Ref); err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

// TestTallyIsTenures: a schema of Tenure's name that a tenant makes in its own database
// takes no count in Tenure's place.
func TestTallyIsTenures(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	db := desired("database", n.token+"acme", map[string]any{"owner": n.owner.Name, "ddl": "create table t (n int); insert into t values (1), (2)", "tables": map[string]any{"*": "aa"}})
	db.Classes = []string{"aa"}
	n.ensure(t, db)
	t.Cleanup(func() { postgrestest.Exec(t, n.dsn, "drop database if exists "+db.Name+" with (force)") })
	own := postgrestest.With(t, n.own, func(u *url.URL) { u.Path = "/" + db.Name })
	postgrestest.Exec(t, own, `create schema tenure; create function tenure.tell(a text, b text, c text, d text, e text, f int) returns void language sql as 'select';
create function tenure.tell(a varchar, b varchar, c varchar, d varchar, e varchar, f bigint) returns void language sql as 'select'`)
	m, err := n.d.DataMap(t.Context(), connector.Survey{Ref: db.Ref, Prove: true})
	if err != nil || len(blocking(m)) == 0 {
		t.Errorf("map: %v, what blocks: %q, want the schema", err, blocking(m))
	}
	e, err := n.d.Erase(t.Context(), db.Ref, connector.Batch{Run: "run", Limit: 10})
	if err == nil && e.Total["public.t"] != 2 {
		t.Errorf("the tally says %v, want two rows or an error", e.Total)
	}
}

// TestNoTenantStandsInANeighboursWay: what a tenant makes in its own schema, over tables
// that it shares or called as what the platform's triggers call, is nothing that keeps
// another tenant from coming or going, and isn't run by who looks.
func TestNoTenantStandsInANeighboursWay(t *testing.T) {
	t.Parallel()
	const mood = "create type mood as enum ('fine'); create function told(mood) returns text language plpgsql as $$ begin perform acme.take(1); insert into acme.t values (1); return 'x'; end $$; create cast (mood as text) with function told(mood) as assignment; "
	for what, plant := range map[string]string{
		"a materialized view":                      "create materialized view w as select * from pl.orders",
		"one with a tenant column of its own type": mood + "create materialized view w as select 'fine'::acme.mood as org, o.id from pl.orders o",
		"a view with a rule":                       "create view w as select * from pl.orders; create rule r as on delete to w do instead insert into acme.t values (1)",
		"a cast":                                   mood,
		"an operator":                              "create function glue(text, text) returns text language plpgsql as $$ begin insert into acme.t values (1); return 'x'; end $$; create operator || (leftarg = text, rightarg = text, function = glue)",
		"an operator over the platform's function": "create operator || (leftarg = text, rightarg = text, function = pl.forget)",
		"functions called as the server's":         "create function to_jsonb(anyelement) returns jsonb language plpgsql as $$ begin insert into acme.t values (1); return '{}'; end $$; create function upper(text) returns text language plpgsql as $$ begin insert into acme.t values (1); return 'x'; end $$",
		"a table with the tenant column":           mood + "create table history (org mood); insert into history values ('fine')",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := opensDen(t)
			n.ensure(t, n.place)
			postgrestest.Exec(t, n.dsn, `create schema pl; create table pl.orders (id int primary key, org text not null); create table pl.history (org text, body jsonb, says text);
create function pl.forget(text, text) returns text language plpgsql as $$ begin delete from pl.orders; return $1; end $$;
create function pl.tell() returns trigger language plpgsql as $$ begin insert into pl.history (org, body, says) values (old.org, to_jsonb(old), upper('gone ') || old.id::text); return old; end $$;
create trigger tells after delete on pl.orders for each row execute function pl.tell();
create materialized view pl.load as select org, count(*) as n from pl.orders group by 1;
insert into pl.orders values (3, 'acme'); grant usage on schema pl to public; grant select on pl.orders to public`)
			n.plant(t, plant)
			postgrestest.Exec(t, n.own, "grant all on schema acme to public; grant all on all tables in schema acme to public; grant execute on all functions in schema acme to public")
			birch := desired("rows", "birch", map[string]any{"schema": "pl", "column": "org", "key": "birch", "tables": map[string]any{"orders": "aa", "history": "bb"}, "derived": map[string]any{"pl.load": "refresh"}})
			birch.Tenant, birch.Classes = "ten_birch", []string{"aa", "bb"}
			n.ensure(t, birch)
			postgrestest.Exec(t, n.dsn, "insert into pl.orders values (1, 'birch'), (2, 'birch'); refresh materialized view pl.load")
			for _, v := range []connector.Survey{{Ref: birch.Ref, Order: []string{"aa", "bb"}}, {Ref: birch.Ref, Order: []string{"aa", "bb"}, Prove: true, Search: 5 * time.Second}} {
				m, err := n.d.DataMap(t.Context(), v)
				if got := blocking(m); err != nil || got != nil {
					t.Errorf("the neighbour's map: what blocks is %q, error %v", got, err)
				}
			}
			for _, class := range []string{"aa", "bb"} {
				for done := false; !done; {
					e, err := n.d.Erase(t.Context(), birch.Ref, connector.Batch{Run: "run", Class: class})
					if err != nil {
						t.Fatalf("the neighbour's class %s: %v", class, err)
					}
					done = e.Done
				}
			}
			if got := postgrestest.Value[string](t, n.dsn, "select string_agg(x, ', ' order by x) from (select 'orders ' || org from pl.orders union all select 'history ' || org from pl.history union all select 'load ' || org from pl.load) y (x)"); got != "load acme, orders acme" {
				t.Errorf("left: %s", got)
			}
			if n.is(t, "select from victim.bell where is_called") || n.is(t, "select from acme.t") {
				t.Error("the tenant's code ran")
			}
		})
	}
}
