package postgres

import (
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// gain is a function that a tenant writes: where it runs with more rights than its own,
// or can take on more, it fails with the word that the suite looks for, and rings a
// bell that no rollback takes back. What the planner may evaluate is immutable, and only
// what is volatile may try to take on another role.
const gain = `create function take(n int) returns int volatile language plpgsql as $$
declare how text;
begin
 foreach how in array array['select 1', 'reset role', 'set session authorization default', 'set role victim', 'set role tenure'] loop
  begin
   execute how;
   if exists (select from pg_catalog.pg_roles where rolname = current_user and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication)) then
    raise exception 'GAINED: % as %, session of %', how, current_user, session_user using errcode = 'GA001';
   end if;
   if pg_catalog.to_regclass('victim.secret') is not null then
    perform 1 from victim.secret;
    perform pg_catalog.nextval('victim.bell');
    raise exception 'GAINED: % as %, session of %', how, current_user, session_user using errcode = 'GA001';
   end if;
  exception when sqlstate 'GA001' then raise; when others then null;
  end;
 end loop;
 return n;
end $$;
create function gain(n int) returns int immutable language plpgsql as $$ begin return SCHEMA.take(n); end $$;
create function gain_trigger() returns trigger language plpgsql as $$ begin perform SCHEMA.gain(1); return coalesce(new, old); end $$;
create function gain_json(m anyenum) returns json language plpgsql as $$ begin perform SCHEMA.gain(1); return '{}'; end $$;
`

// traps are what a tenant leaves in its own schema for whoever comes with more rights.
var traps = []connectortest.Trap{
	{Name: "an index on an expression", SQL: "create index on t ((n + gain(1)))"},
	{Name: "an index with a condition", SQL: "create index on t (n) where gain(2) = 2"},
	{Name: "a check", SQL: "alter table t add check (gain(1) = 1 or n > 0)"},
	{Name: "statistics", SQL: "create statistics st on (n + gain(1)), n from t"},
	{Name: "a generated column", SQL: "alter table t add g int generated always as (gain(n)) stored"},
	{Name: "a default", SQL: "alter table t alter v set default gain(1)::text"},
	{Name: "a domain", SQL: "create domain d as int check (gain(1) = 1); alter table t add o d"},
	{Name: "a trigger before", SQL: "create trigger g before insert or update or delete on t for each row execute function gain_trigger()"},
	{Name: "a trigger after", SQL: "create trigger g after insert or update or delete on t for each row execute function gain_trigger()"},
	{Name: "a trigger of the statement", SQL: "create trigger g before delete on t for each statement execute function gain_trigger()"},
	{Name: "a trigger at the end", SQL: "create constraint trigger g after insert or delete on t deferrable initially deferred for each row execute function gain_trigger()"},
	{Name: "a trigger of truncate", SQL: "create trigger g before truncate on t for each statement execute function gain_trigger()"},
	{Name: "a cast to json", SQL: "create type mood as enum ('fine'); create function m(mood) returns json language sql as 'select SCHEMA.gain_json($1)'; create cast (mood as json) with function m(mood); alter table t add m mood default 'fine'"},
	{Name: "a cast to text", SQL: "create type mood as enum ('fine'); create function m(mood) returns text language sql as 'select SCHEMA.gain_json($1)::text'; create cast (mood as text) with function m(mood) as implicit; alter table t add m mood default 'fine'"},
	{Name: "a composite type", SQL: "create type mood as enum ('fine'); create function m(mood) returns json language sql as 'select SCHEMA.gain_json($1)'; create cast (mood as json) with function m(mood); create type pair as (a int, m mood); alter table t add p pair default row(1, 'fine')"},
	{Name: "a policy", SQL: "alter table t enable row level security; create policy p on t using (gain(1) = 1)"},
	{Name: "a forced policy", SQL: "alter table t enable row level security; alter table t force row level security; create policy p on t using (gain(n) = n)"},
	{Name: "a rule", SQL: "create rule r as on delete to t do also select gain(1)"},
	{Name: "a view", SQL: "create view w as select gain(n) from t"},
	{Name: "a materialized view", SQL: "create function calm(int) returns int immutable language sql as 'select $1'; create materialized view w as select calm(n) from t; create or replace function calm(int) returns int immutable language sql as 'select SCHEMA.gain($1)'"},
	{Name: "a partition", SQL: "create function part(int) returns int immutable language sql as 'select SCHEMA.gain($1)'; create table p (n int) partition by list ((part(n))); create table p1 partition of p for values in (1); insert into p values (1)"},
	{Name: "an operator", SQL: "create function same(text, text) returns boolean immutable language sql as 'select SCHEMA.gain(1) = 1'; create operator = (leftarg = text, rightarg = text, function = same)"},
	{Name: "a name of the server's", SQL: "create function count(anyelement) returns bigint language sql as 'select SCHEMA.gain(1)::bigint'; create function format(text, variadic text[]) returns text language sql as 'select SCHEMA.gain(1)::text'"},
	{Name: "a reference of its own", SQL: "create table k (n int references t on delete cascade, check (gain(3) = 3 or n = 0)); create trigger g after delete on k for each row execute function gain_trigger()"},
	{Name: "a check that is null", SQL: "create table k (n int references t on delete set null, check (n is null or query_to_xml('select SCHEMA.gain(1)', true, true, '') is not null))"},
	{Name: "a function of definer's rights", SQL: "create function sd(n int) returns int immutable security definer language sql as 'select SCHEMA.gain(n)'; revoke all on function sd(int) from public; create index on t ((sd(n))); create view w with (security_barrier) as select sd(n) from t"},
	{Name: "a range", SQL: "create function d(int, int) returns float8 immutable language sql as 'select SCHEMA.gain(1)::float8'; create type span as range (subtype = int4, subtype_diff = d); alter table t add r span default '[1,2)'; create index on t using gist (r)"},
	{Name: "an aggregate called as the server's", SQL: "create function sf(text, text) returns text immutable language sql as 'select SCHEMA.gain(1)::text'; create aggregate max(text) (sfunc = sf, stype = text, initcond = ''); create aggregate count(int) (sfunc = int4pl, stype = int, initcond = '0')"},
	{Name: "a collation", SQL: "create collation c from \"C\"; alter table t add x text collate c default 'x'; create index on t (x)"},
	// From version 16 on a server makes no view of a table.
	{Name: "a rule that makes a view of a table", SQL: "do $$ begin create table rv (n int); create rule \"_RETURN\" as on select to rv do instead select gain(1) as n; exception when wrong_object_type then create view rv as select gain(1) as n; end $$"},
	{Name: "settings of the role", SQL: "alter role current_user set search_path to SCHEMA, pg_catalog; alter role current_user set default_transaction_read_only to on; alter role current_user set statement_timeout to '1ms'; alter role current_user set row_security to off; set default_transaction_read_only to off"},
	{Name: "settings of the database", SQL: "do $$ begin execute format('alter database %I set statement_timeout to ''2ms''', current_database()); execute format('alter database %I set default_transaction_read_only to on', current_database()); execute format('alter database %I set search_path to SCHEMA', current_database()); execute format('alter database %I set role to %I', current_database(), current_user); exception when insufficient_privilege then null; end $$"},
	{Name: "a neighbour's large object", SQL: "create table lo (n int, o oid); insert into lo values (1, 424242)"},
	{Name: "code that sleeps in an index", SQL: lag + "create index on t ((lag(n)))"},
	{Name: "code that sleeps in a trigger", SQL: lag + "create trigger g before delete on t for each row execute function lag_trigger()"},
	{Name: "code that sleeps in a policy", SQL: lag + "alter table t enable row level security; alter table t force row level security; create policy p on t using (lag(n) = n)"},
	{Name: "code that fails", SQL: refuse + "create index on t ((refuse(n))); alter table t add check (refuse(n) = n); create statistics st on (n + refuse(n)), n from t; alter table t enable row level security; create policy p on t using (refuse(n) = n)"},
	{Name: "a trigger that fails", SQL: refuse + "create trigger g before delete on t for each row execute function refuse_trigger(); create trigger h before truncate on t for each statement execute function refuse_trigger()"},
	{Name: "sixteen hundred columns", SQL: "do $$ begin execute 'create table x (' || (select string_agg('c' || i || ' int default 1', ', ') from generate_series(1, 1590) i) || ')'; end $$; insert into x (c1) values (1)"},
	{Name: "five hundred partitions", SQL: "create table p (n int) partition by list (n); do $$ begin for i in 1..500 loop execute format('create table p%s partition of p for values in (%s)', i, i); end loop; end $$; insert into p select generate_series(1, 500)"},
	{Name: "names", SQL: "create table \"x\"\"; drop schema victim cascade; --\" (n int); insert into \"x\"\"; drop schema victim cascade; --\" values (1); create table \"a\nb é\" (\"c\n'd\" int); create table \"it's %s %I $1 {{oids}}\" (n int); create function \"f\"\"; reset role; --\"() returns int language sql as 'select 1'; create type \"t\"\";--\" as enum ('x'';--'); alter table t add e \"t\"\";--\" default 'x'';--'"},
	{Name: "a schema called as Tenure's", SQL: "do $$ begin create schema tenure; create table tenure.deputy (login text, word text); create table tenure.mark (type text, name text, note text); create function tenure.tell(a text, b text, c text, d text, e text, f bigint) returns void language sql as 'select SCHEMA.gain(1)'; create function tenure.step() returns void language sql as 'select SCHEMA.gain(1)'; exception when others then null; end $$"},
	{Name: "comments of a megabyte", SQL: "do $$ begin execute 'comment on table SCHEMA.t is ' || quote_literal(repeat('x', 1000000)); execute 'comment on column SCHEMA.t.v is ' || quote_literal(repeat('x', 1000000)); end $$"},
	{Name: "a sequence in a default", SQL: "create sequence q; alter table t alter v set default nextval('q')::text || gain(1)"},
	{Name: "an operator of a type of its own", SQL: "create type mood as enum ('fine'); create function same(mood, mood) returns boolean immutable language sql as 'select SCHEMA.gain(1) = 1'; create operator = (leftarg = mood, rightarg = mood, function = same); alter table t add m mood default 'fine'; create index on t (m)"},
	{Name: "rights given away", SQL: "grant all on schema SCHEMA to public; grant all on t to public; alter default privileges in schema SCHEMA grant all on tables to public"},
	{Name: "Tenure's lock held", Held: "select pg_advisory_lock(8386104310); select pg_advisory_lock(83861043, hashtext('elevation'))"},
	{Name: "a listener", Held: "listen tenure; begin; select 1"},
}

// lag sleeps, and refuse fails, for everybody but the tenant.
const (
	lag = `create function lag(n int) returns int immutable language plpgsql as $$ begin if session_user::text not like 'acme%' then perform pg_catalog.pg_sleep(3600); end if; return n; end $$;
create function lag_trigger() returns trigger language plpgsql as $$ begin perform SCHEMA.lag(1); return old; end $$;
`
	refuse = `create function refuse(n int) returns int immutable language plpgsql as $$ begin if session_user::text not like 'acme%' then raise exception 'not for you'; end if; return n; end $$;
create function refuse_trigger() returns trigger language plpgsql as $$ begin perform SCHEMA.refuse(1); return old; end $$;
`
)

// stops are what traps have refused in a place of one type alone.
var stops = map[string]map[string][]string{
	"database": {"a schema called as Tenure's": {"map", "erase aa", "erase bb"}},
}

// TestTraps takes tenants with a schema, and with a database, of their own through the
// suite: with the least rights that Tenure's role needs, and as a superuser.
func TestTraps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ, home string
		super     bool
	}{{typ: "schema", home: "acme"}, {typ: "database", home: "public"}, {"schema", "acme", true}} {
		typ, home, name := c.typ, c.home, c.typ
		if c.super {
			if os.Getenv("TENURE_EVERY") == "" {
				continue // as the first, with rights that make more possible: make every
			}
			name += ", as a superuser"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := slices.Clone(traps)
			for i := range own {
				own[i].Stops = append(own[i].Stops, stops[typ][own[i].Name]...)
			}
			connectortest.RunTraps(t, func(t *testing.T) *connectortest.Ground { return trapGround(t, typ, home, c.super) }, own)
		})
	}
}

// trapGround has a place of that type, whose tables stand in the schema home.
func trapGround(t *testing.T, typ, home string, super bool) *connectortest.Ground {
	w := openWorld(t)
	if !super {
		w.least(t)
	}
	d := w.driver(t, w.proxy.DSN)
	if _, err := d.Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.config.RuntimeParams["statement_timeout"] = "8000" // what a tenant's code runs in
	owner := desired("role", "acme_"+postgrestest.Token(), map[string]any{"login": true})
	r := desired(typ, "acme", map[string]any{"owner": owner.Name, "tables": map[string]any{"*": "aa", "z": "bb"},
		"ddl": "create table if not exists t (n int primary key, v text); create table if not exists z (n int primary key)"})
	r.Classes = []string{"aa", "bb"}
	where := w.dsn
	if typ == "database" {
		r.Name = "acme_" + postgrestest.Token()
		where = postgrestest.With(t, w.dsn, func(u *url.URL) { u.Path = "/" + r.Name })
	}
	for _, one := range []connector.Desired{owner, r} {
		if _, _, err := d.Ensure(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if typ == "database" {
			postgrestest.Exec(t, w.dsn, "drop database if exists "+r.Name+" with (force)")
		}
		postgrestest.Exec(t, w.dsn, "drop schema if exists acme cascade; drop owned by "+owner.Name+" cascade; drop role "+owner.Name)
	})
	secret := "neighbour" + postgrestest.Token()
	postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (v text); insert into victim.secret values ('"+secret+"'); create sequence victim.bell; grant usage on schema victim to public")
	postgrestest.Exec(t, where, "select lo_from_bytea(424242, '"+secret+"')")
	own := postgrestest.With(t, postgrestest.As(t, where, owner.Name, owner.Credential.Reveal()), func(u *url.URL) {
		q := u.Query()
		q.Set("default_transaction_read_only", "off") // whatever a trap sets
		q.Set("statement_timeout", "0")
		u.RawQuery = q.Encode()
	})
	g := &connectortest.Ground{Driver: d, Place: r, Beside: []connector.Ref{owner.Ref}, Secret: secret,
		Probes: []connector.Check{{Kind: "reachable", Ref: owner.Ref, Credential: owner.Credential}},
		Plant: func(t testing.TB, sql string) {
			postgrestest.Exec(t, own, strings.ReplaceAll("set search_path to "+home+"; "+gain+sql+"; insert into t (n) values (1), (2), (3); insert into z values (1)", "SCHEMA", home))
		},
		Hold: func(t testing.TB, sql string) {
			if _, err := postgrestest.Connect(t, own).Exec(t.Context(), "set search_path to "+home+"; "+sql); err != nil {
				t.Fatal(err)
			}
		},
		Damage: func(t testing.TB) {
			postgrestest.Exec(t, own, "create table "+home+".extra (n int)")
		},
		Neighbours: func(t testing.TB) string {
			return strings.Join(strs(t, connect(t, w.dsn), "select v || ' ' || (select is_called from victim.bell) from victim.secret union all select rolname || ' ' || rolsuper || rolcreaterole || rolbypassrls from pg_roles where rolname in ('"+owner.Name+"', '"+w.platform+"') union all select 'object ' || oid from pg_largeobject_metadata order by 1"), "\n")
		},
		Gained: func(t testing.TB) string {
			conn := connect(t, w.dsn)
			defer func() { _ = conn.Close(t.Context()) }()
			return strings.Join(append(
				strs(t, conn, "select 'the tenant rang a bell that it may not touch' from victim.bell where is_called"),
				strs(t, conn, "select 'a deputy is left: ' || m.member::regrole from pg_auth_members m where m.roleid = '"+owner.Name+"'::regrole and m.member::regrole::text like 't\\_%'")...), ", ")
		},
	}
	if typ == "schema" {
		e := elevation(t, w, tenure.DirectRead, r.Ref)
		g.Elevation = &e
	}
	return g
}

// TestElevationTraps: what comes to belong to the login of an elevation reaches no more
// when the elevation ends than the tenant does.
func TestElevationTraps(t *testing.T) { // logins are the whole server's
	for name, owned := range map[string]bool{"in a schema of the tenant's role": true, "in a schema of Tenure's": false} {
		t.Run(name, func(t *testing.T) {
			d, w, _ := opened(t)
			owner := desired("role", "acme_"+postgrestest.Token(), map[string]any{"login": true})
			r := desired("schema", "acme", map[string]any{})
			if owned {
				r.Attributes["owner"] = owner.Name
			}
			for _, one := range []connector.Desired{owner, r} {
				if _, _, err := d.Ensure(t.Context(), one); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() {
				postgrestest.Exec(t, w.dsn, "drop schema if exists acme cascade; drop owned by "+owner.Name+"; drop role "+owner.Name)
			})
			e := elevation(t, w, tenure.DirectWrite, r.Ref)
			if err := d.Elevate(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (n int); grant usage on schema victim to public; grant usage, create on schema acme to "+e.Login+"; grant usage on schema acme to "+owner.Name)
			postgrestest.Exec(t, w.dsn, "set role "+e.Login+"; create function acme.read() returns bigint language sql security definer as 'select count(*) from victim.secret'; grant execute on function acme.read() to public; create view acme.seen as select 1 as n; create table acme.kept (n int)")
			if err := d.Unelevate(t.Context(), e.Login); err != nil {
				t.Fatal(err)
			}
			own := postgrestest.Connect(t, postgrestest.As(t, w.dsn, owner.Name, owner.Credential.Reveal()))
			var n int64
			if err := own.QueryRow(t.Context(), "select acme.read()").Scan(&n); err == nil {
				t.Errorf("a function of the elevation's reads the neighbour's rows when it has ended")
			}
			if !w.is(t, "select from pg_class where relname = 'kept'") {
				t.Error("what the elevation made was lost")
			}
		})
	}
}

// TestTrapsBesideSharedRows: a tenant's code in the way of another's erasure in shared
// tables never runs with Tenure's rights. It is named, and blocks.
func TestTrapsBesideSharedRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ platform, tenant, blocks string }{
		"a trigger of a tenant's on a shared table": {
			platform: "grant trigger on s.page to BIRCH",
			tenant:   "create trigger g after delete on s.page for each row execute function birch.gain_trigger()",
			blocks:   "a tenant's role",
		},
		"a shared table's trigger that calls a tenant's function": {
			platform: "create function s.hook() returns trigger language plpgsql as $$ begin perform birch.gain(1); return null; end $$; create trigger g after delete on s.page for each row execute function s.hook()",
			blocks:   "a tenant's role",
		},
		"a tenant's table whose rows go along": {
			platform: "grant references on s.page to BIRCH",
			tenant:   "create table birch.note (page int references s.page on delete cascade); create trigger g after delete on birch.note for each statement execute function birch.gain_trigger()",
			blocks:   "a tenant's role",
		},
		"a tenant's table whose references become null": {
			platform: "grant references on s.page to BIRCH",
			tenant:   "create table birch.note (page int references s.page on delete set null); create trigger g after update on birch.note for each statement execute function birch.gain_trigger()",
			blocks:   "a tenant's role",
		},
		"a condition that casts to a tenant's domain": {
			platform: "grant trigger on s.page to BIRCH",
			tenant:   "create domain birch.d as text check (birch.gain(1) = 1); create trigger g after delete on s.page for each row when ((old.tenant_key::birch.d) is null) execute function pg_catalog.suppress_redundant_updates_trigger()",
			blocks:   "a tenant's role",
		},
		"a condition with a composite type of a tenant's domain": {
			platform: "grant trigger on s.page to BIRCH",
			tenant:   "create domain birch.d as text check (birch.gain(1) = 1); create type birch.c as (a birch.d); create trigger g after delete on s.page for each row when (json_populate_record(null::birch.c, json_build_object('a', 'x')) is null) execute function pg_catalog.suppress_redundant_updates_trigger()",
			blocks:   "a tenant's role",
		},
		"a condition with a tenant's operator": {
			platform: "grant trigger on s.page to BIRCH",
			tenant:   "create function birch.eq(text, int) returns boolean language plpgsql as 'begin perform birch.gain(1); return true; end'; create operator birch.=== (leftarg = text, rightarg = int, function = birch.eq); create trigger g after delete on s.page for each row when (old.tenant_key operator(birch.===) 1) execute function pg_catalog.suppress_redundant_updates_trigger()",
			blocks:   "a tenant's role",
		},
		"a condition with SQL in a text": {
			platform: "grant trigger on s.page to BIRCH",
			tenant:   "create trigger g after delete on s.page for each row when (ts_rewrite('a'::tsquery, 'select ''a''::tsquery, (birch.gain(1)::text)::tsquery') is null) execute function pg_catalog.suppress_redundant_updates_trigger()",
			blocks:   "calls ts_rewrite",
		},
		"a condition that reads a tenant's views": {
			platform: "grant trigger on s.page to BIRCH",
			tenant:   "create view birch.v as select birch.gain(1) as n; create trigger g after delete on s.page for each row when (schema_to_xml('birch', true, true, '') is null) execute function pg_catalog.suppress_redundant_updates_trigger()",
			blocks:   "calls schema_to_xml",
		},
		"a tenant's table two references away": {
			platform: "grant references on s.page to BIRCH",
			tenant:   "create table birch.n (id int primary key references s.page on delete cascade); create table birch.m (id int references birch.n on delete cascade); create trigger g after delete on birch.m for each statement execute function birch.gain_trigger()",
			blocks:   "a tenant's role",
		},
		"a partition of a tenant's table": {
			platform: "grant references on s.page to BIRCH",
			tenant:   "create table birch.n (id int references s.page on delete cascade) partition by list (id); create table birch.n1 partition of birch.n for values in (1); create trigger g after delete on birch.n1 for each row execute function birch.gain_trigger()",
			blocks:   "a tenant's role",
		},
		"a tenant's table that refers and lets nothing change": {
			platform: "grant references on s.page to BIRCH",
			tenant:   "create table birch.note (page int references s.page); create index on birch.note ((birch.gain(1) + page)); create trigger g after delete or update on birch.note for each statement execute function birch.gain_trigger()",
		},
		"a tenant's table beside the shared ones": {
			platform: "grant create on schema s to BIRCH; grant usage on schema s to BIRCH",
			tenant:   "create table s.mine (id int, tenant_key text, o oid); create index on s.mine ((birch.gain(1) + id)); insert into s.mine values (1, 'birch', 1), (2, 'acme', 2)",
		},
		"a tenant's table with the tenant column": {
			tenant: "create table birch.mine (id int, tenant_key text, o oid); create index on birch.mine ((birch.gain(1) + id)); insert into birch.mine values (1, 'acme', 1)",
		},
	} {
		for _, late := range []bool{false, true} {
			if late && c.blocks == "" {
				continue
			}
			t.Run(name+map[bool]string{true: ", after somebody looked at the map"}[late], func(t *testing.T) {
				t.Parallel()
				d, w, _ := opened(t)
				role := desired("role", "birch_"+postgrestest.Token(), map[string]any{"login": true})
				birch := desired("schema", "birch", map[string]any{"owner": role.Name})
				role.Tenant, birch.Tenant = "ten_birch", "ten_birch"
				postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (n int); create sequence victim.bell; grant usage on schema victim to public; create schema s; create table s.page (id int primary key, tenant_key text, o oid)")
				acme := desired("rows", "acme", map[string]any{"schema": "s", "column": "tenant_key", "key": "acme", "tables": map[string]any{"page": "data"}})
				acme.Tenant = "ten_acme"
				for _, r := range []connector.Desired{role, birch, acme} {
					if _, _, err := d.Ensure(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
				t.Cleanup(func() {
					postgrestest.Exec(t, w.dsn, "drop schema if exists birch cascade; drop owned by "+role.Name+" cascade; drop role "+role.Name)
				})
				own := postgrestest.As(t, w.dsn, role.Name, role.Credential.Reveal())
				postgrestest.Exec(t, own, strings.ReplaceAll("set search_path to birch; "+gain, "SCHEMA", "birch"))
				postgrestest.Exec(t, w.dsn, strings.ReplaceAll("grant usage on schema s to BIRCH; "+c.platform+"; insert into s.page values (1, 'acme'), (2, 'birch')", "BIRCH", role.Name))
				if !late {
					postgrestest.Exec(t, own, c.tenant)
				}
				m, err := d.DataMap(t.Context(), connector.Survey{Ref: acme.Ref, Search: 5 * time.Second, Prove: true})
				if err != nil {
					t.Fatal(err)
				}
				says := ""
				for _, p := range m.Places {
					if p.Blocks {
						says += p.Says + "; "
					}
				}
				switch {
				case late:
					postgrestest.Exec(t, own, c.tenant)
				case c.blocks == "" && says != "" || !strings.Contains(says, c.blocks):
					t.Errorf("what blocks: %q, want %q", says, c.blocks)
				}
				_, err = eraseAll(t, d, acme.Ref, 100)
				if (err != nil) != (c.blocks != "") || w.gained(t, err) {
					t.Errorf("erase: %v, want blocked: %t", err, c.blocks != "")
				}
				if _, err := d.Export(t.Context(), acme.Ref, io.Discard); err != nil {
					t.Errorf("export: %v", err)
				}
			})
		}
	}
}

// gained says that a tenant's function ran with more rights than the tenant has.
func (w *world) gained(t *testing.T, err error) bool {
	t.Helper()
	return w.is(t, "select from victim.bell where is_called") || err != nil && (strings.Contains(err.Error(), "GAINED") || strings.Contains(err.Error(), "GA001"))
}
