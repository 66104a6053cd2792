package postgres

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// gain is a function that a tenant writes: where it runs with more rights than its own,
// or can take on more, it fails with the word that the tests look for.
const gain = `create function gain(n int) returns int immutable language plpgsql as $$
declare how text;
begin
 foreach how in array array['select 1', 'reset role', 'set session authorization default', 'set role victim'] loop
  begin
   execute how;
   perform 1 from victim.secret;
   raise exception 'GAINED: % as %, session of %', how, current_user, session_user using errcode = 'GA001';
  exception when sqlstate 'GA001' then raise; when others then null;
  end;
 end loop;
 return n;
end $$;
create function gain_trigger() returns trigger language plpgsql as $$ begin perform SCHEMA.gain(1); return coalesce(new, old); end $$;
create function gain_json(m anyenum) returns json language plpgsql as $$ begin perform SCHEMA.gain(1); return '{}'; end $$;
`

// traps are what a tenant leaves in its own schema for whoever comes with more rights.
var traps = map[string]string{
	"an index on an expression":  "create index on t ((n + gain(1)))",
	"an index with a condition":  "create index on t (n) where gain(2) = 2",
	"a check":                    "alter table t add check (gain(1) = 1 or n > 0)",
	"statistics":                 "create statistics st on (n + gain(1)), n from t",
	"a generated column":         "alter table t add g int generated always as (gain(n)) stored",
	"a default":                  "alter table t alter v set default gain(1)::text",
	"a domain":                   "create domain d as int check (gain(1) = 1); alter table t add o d",
	"a trigger before":           "create trigger g before insert or update or delete on t for each row execute function gain_trigger()",
	"a trigger after":            "create trigger g after insert or update or delete on t for each row execute function gain_trigger()",
	"a trigger of the statement": "create trigger g before delete on t for each statement execute function gain_trigger()",
	"a trigger at the end":       "create constraint trigger g after insert or delete on t deferrable initially deferred for each row execute function gain_trigger()",
	"a trigger of truncate":      "create trigger g before truncate on t for each statement execute function gain_trigger()",
	"a cast to json":             "create type mood as enum ('fine'); create function m(mood) returns json language sql as 'select SCHEMA.gain_json($1)'; create cast (mood as json) with function m(mood); alter table t add m mood default 'fine'",
	"a cast to text":             "create type mood as enum ('fine'); create function m(mood) returns text language sql as 'select SCHEMA.gain_json($1)::text'; create cast (mood as text) with function m(mood) as implicit; alter table t add m mood default 'fine'",
	"a composite type":           "create type mood as enum ('fine'); create function m(mood) returns json language sql as 'select SCHEMA.gain_json($1)'; create cast (mood as json) with function m(mood); create type pair as (a int, m mood); alter table t add p pair default row(1, 'fine')",
	"a policy":                   "alter table t enable row level security; create policy p on t using (gain(1) = 1)",
	"a forced policy":            "alter table t enable row level security; alter table t force row level security; create policy p on t using (gain(n) = n)",
	"a rule":                     "create rule r as on delete to t do also select gain(1)",
	"a view":                     "create view w as select gain(n) from t",
	"a materialized view":        "create function calm(int) returns int immutable language sql as 'select $1'; create materialized view w as select calm(n) from t; create or replace function calm(int) returns int immutable language sql as 'select SCHEMA.gain($1)'",
	"a partition":                "create function part(int) returns int immutable language sql as 'select SCHEMA.gain($1)'; create table p (n int) partition by list ((part(n))); create table p1 partition of p for values in (1); insert into p values (1)",
	"an operator":                "create function same(text, text) returns boolean immutable language sql as 'select SCHEMA.gain(1) = 1'; create operator = (leftarg = text, rightarg = text, function = same)",
	"a name of the server's":     "create function count(anyelement) returns bigint language sql as 'select SCHEMA.gain(1)::bigint'; create function format(text, variadic text[]) returns text language sql as 'select SCHEMA.gain(1)::text'",
	"a reference of its own":     "create table k (n int references t on delete cascade, check (gain(3) = 3 or n = 0)); create trigger g after delete on k for each row execute function gain_trigger()",
	"a check that is null":       "create table k (n int references t on delete set null, check (n is null or query_to_xml('select SCHEMA.gain(1)', true, true, '') is not null))",
}

// TestTraps plants what a tenant may write into its own schema and makes every call
// there: no code of the tenant's runs with rights that the tenant hasn't.
func TestTraps(t *testing.T) {
	t.Parallel()
	for name, sql := range traps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			owner := desired("role", "acme_"+postgrestest.Token(), map[string]any{"login": true})
			r := desired("schema", "acme", map[string]any{"owner": owner.Name, "tables": map[string]any{"*": "data"}, "ddl": "create table if not exists t (n int primary key, v text)"})
			for _, one := range []connector.Desired{owner, r} {
				if _, _, err := d.Ensure(t.Context(), one); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() {
				postgrestest.Exec(t, w.dsn, "drop schema if exists acme cascade; drop owned by "+owner.Name+"; drop role "+owner.Name)
			})
			postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (n int); grant usage on schema victim to public")
			own := postgrestest.As(t, w.dsn, owner.Name, owner.Credential.Reveal())
			postgrestest.Exec(t, own, strings.ReplaceAll("set search_path to acme; "+gain+sql+"; insert into t (n) values (1), (2), (3)", "SCHEMA", "acme"))
			for _, c := range []struct {
				name string
				call func() error
			}{
				{"observe", func() error {
					_, err := d.Observe(t.Context(), []connector.Ref{r.Ref, owner.Ref}, func(connector.Observed) error { return nil })
					return err
				}},
				{"discover", func() error {
					_, err := d.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil })
					return err
				}},
				{"map", func() error {
					m, err := d.DataMap(t.Context(), connector.Survey{Ref: r.Ref, Prove: true, Search: 5 * time.Second})
					for _, p := range m.Places {
						if p.Blocks {
							t.Errorf("map: %s %s", p.Name, p.Says)
						}
					}
					return err
				}},
				{"repair", func() error {
					postgrestest.Exec(t, own, "create table acme.extra (n int)")
					_, _, err := d.Ensure(t.Context(), r)
					return err
				}},
				{"export", func() error { _, err := d.Export(t.Context(), r.Ref, io.Discard); return err }},
				{"quarantine", func() error { _, err := d.Quarantine(t.Context(), r.Ref); return err }},
				{"export from quarantine", func() error { _, err := d.Export(t.Context(), r.Ref, io.Discard); return err }},
				{"erase", func() error { _, err := eraseAll(t, d, r.Ref, 100); return err }},
				{"delete", func() error { _, err := d.Delete(t.Context(), r.Ref); return err }},
			} {
				if err := c.call(); err != nil {
					t.Errorf("%s: %v", c.name, err)
					if strings.Contains(err.Error(), "GAINED") {
						return
					}
				}
			}
			left := strs(t, connect(t, w.dsn), "select m.member::regrole::text from pg_auth_members m where m.roleid = '"+owner.Name+"'::regrole")
			if len(left) > 0 {
				t.Errorf("deputies are left: %q", left)
			}
		})
	}
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, w, _ := opened(t)
			role := desired("role", "birch_"+postgrestest.Token(), map[string]any{"login": true})
			birch := desired("schema", "birch", map[string]any{"owner": role.Name})
			role.Tenant, birch.Tenant = "ten_birch", "ten_birch"
			postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (n int); grant usage on schema victim to public; create schema s; create table s.page (id int primary key, tenant_key text, o oid)")
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
			postgrestest.Exec(t, w.dsn, strings.ReplaceAll("grant usage on schema s to BIRCH; "+c.platform, "BIRCH", role.Name))
			postgrestest.Exec(t, own, c.tenant)
			postgrestest.Exec(t, w.dsn, "insert into s.page values (1, 'acme'), (2, 'birch')")
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
			if c.blocks == "" && says != "" || !strings.Contains(says, c.blocks) {
				t.Errorf("what blocks: %q, want %q", says, c.blocks)
			}
			_, err = eraseAll(t, d, acme.Ref, 100)
			if err != nil && (c.blocks == "" || strings.Contains(err.Error(), "GAINED")) || err == nil && c.blocks != "" {
				t.Errorf("erase: %v, want blocked: %t", err, c.blocks != "")
			}
			if _, err := d.Export(t.Context(), acme.Ref, io.Discard); err != nil {
				t.Errorf("export: %v", err)
			}
		})
	}
}
