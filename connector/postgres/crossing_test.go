package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// Ways that no access list shows, or that show in one that a declared right stands in:
// code that runs with somebody else's rights, parts of tables, what groups are, and what
// Tenure's own policies go by. Each is found, with what ends it, and what ends it does.
// Tenure has the least rights that it needs.
func TestWaysThatNoListShows(t *testing.T) {
	t.Parallel()
	group := func(kind, sql string) string {
		return "do $$ begin execute (select format('" + strings.ReplaceAll(sql, "'", "''") + `', rolname) from pg_roles where rolname like 'tenure\_` + kind + `\_%' and pg_has_role('ACME', oid, 'member') limit 1); end $$`
	}
	const code = "create function birch.f() returns bool language sql as 'select true'; alter function birch.f() owner to BIRCH; "
	for _, c := range []struct {
		name, plant, at string
		says, undo      string // undo where a repair can't
		severity        tenure.Severity
	}{
		{name: "a function in its store with the platform's rights", plant: "create function acme.f() returns setof birch.orders security definer language sql as 'select * from birch.orders'", at: "acme schema", says: "runs with the rights of", undo: "drop function acme.f()"},
		{name: "a view in its store with the platform's rights", plant: "create view acme.v as select * from birch.orders; grant select on acme.v to ACME", at: "acme role", says: "it reads birch.orders", undo: "drop view acme.v"},
		{name: "a part of a neighbour's table", plant: "create table birch.whole (like acme.orders); alter table birch.whole owner to BIRCH; alter table acme.orders inherit birch.whole", at: "acme schema", says: "reads the rows of its part acme.orders", undo: "alter table acme.orders no inherit birch.whole; drop table birch.whole"},
		{name: "a part of a table that a neighbour reads", plant: "create table shared.whole (id int, note text) partition by list (id); alter table shared.whole attach partition acme.orders for values in (1); grant select on shared.whole to BIRCH", at: "acme schema", says: "reads the rows of its part acme.orders", undo: "alter table shared.whole detach partition acme.orders; drop table shared.whole"},
		{name: "a neighbour's trigger function", plant: "create function birch.f() returns trigger language plpgsql as 'begin return new; end'; alter function birch.f() owner to BIRCH; create trigger t before insert on acme.orders for each row execute function birch.f()", at: "acme schema", says: "trigger t on table acme.orders runs function birch.f", undo: "drop trigger t on acme.orders; drop function birch.f()"},
		{name: "a tenant's trigger function on a shared table", plant: "create function birch.f() returns trigger language plpgsql as 'begin return new; end'; alter function birch.f() owner to BIRCH; create trigger t before insert on shared.orders for each row execute function birch.f()", says: "trigger t on table shared.orders runs function birch.f", undo: "drop trigger t on shared.orders; drop function birch.f()"},
		{name: "a tenant's function in a check", plant: code + "alter table shared.orders add constraint c check (birch.f()) not valid", says: "runs function birch.f", undo: "alter table shared.orders drop constraint c; drop function birch.f()"},
		{name: "a tenant's function in a policy", plant: code + "create policy p on shared.orders as restrictive using (birch.f())", says: "runs function birch.f", undo: "drop policy p on shared.orders; drop function birch.f()"},
		{name: "a tenant's domain", plant: "create domain birch.d as int; alter domain birch.d owner to BIRCH; create table lookup.t (i birch.d)", says: "type birch.d", undo: "drop table lookup.t; drop domain birch.d"},
		{name: "a neighbour owns a domain", plant: "create domain acme.d as int; alter domain acme.d owner to BIRCH", at: "acme schema", says: "owns type acme.d", undo: "drop domain acme.d"},
		{name: "an operator in a place that is nobody's", plant: "create operator lookup.=== (leftarg = int, rightarg = int, function = int4eq); alter operator lookup.=== (int, int) owner to ACME", at: "acme role", says: "owns operator lookup.===", undo: "drop operator lookup.=== (int, int)"},
		{name: "a group of grants goes past row security", plant: group("g", "alter role %I bypassrls"), says: "has bypassrls", undo: group("g", "alter role %I nobypassrls")},
		{name: "a group of policies makes roles", plant: group("p", "alter role %I createrole"), says: "has createrole", undo: group("p", "alter role %I nocreaterole")},
		{name: "a group of grants may log in", plant: group("g", "alter role %I login"), says: "has login", undo: group("g", "alter role %I nologin")},
		{name: "a group of grants is the tables' owner", plant: group("g", "grant APP to %I"), says: "is itself a member of", undo: group("g", "revoke APP from %I")},
		{name: "a tenant's role is the tables' owner", plant: "grant APP to ACME", says: "row security doesn't bind it", undo: "revoke APP from ACME"},
		{name: "a group of grants passes rights on", plant: group("g", "grant select on shared.orders to %I with grant option"), says: "may be passed on", undo: group("g", "revoke grant option for select on shared.orders from %I")},
		{name: "what the keys are shown by", plant: "create or replace view tenure_shared.own_key with (security_barrier) as select policy, key from tenure.role_key", says: "isn't as Tenure made it", undo: ownKeySQL},
		{name: "makes things beside the shared tables", plant: "grant create on schema shared to ACME", at: "acme role", says: "may create on schema shared"},
		{name: "everybody makes schemas", plant: "grant create on database DB to public", says: "PUBLIC may create on database", undo: "revoke create on database DB from public"},
		{name: "a setting of the server's", plant: "grant set on parameter log_statement to ACME", at: "acme role", says: "parameter log_statement", undo: "revoke set on parameter log_statement from ACME", severity: tenure.High},
		{name: "a procedure", plant: "create procedure acme.p() language sql as 'select 1'; alter procedure acme.p() owner to ACME; grant execute on procedure acme.p() to BIRCH", at: "acme schema", says: "acme.p()", undo: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := neighboursAs(t, true)
			n.exec(t, "alter table shared.orders no force row level security")
			if ways := n.look(); len(ways) > 0 {
				t.Fatalf("two tenants as they were made show %+v", ways)
			}
			if c.severity == "" {
				c.severity = tenure.Critical
			}
			postgrestest.Exec(t, n.dsn, n.fill(c.plant))
			ways := n.look()
			if !slices.ContainsFunc(ways, func(w connector.Way) bool {
				whose := tenure.ResourceID("")
				if w.At != nil {
					whose = w.At.Resource
				}
				return strings.Contains(w.Says, c.says) && w.Severity == c.severity && whose == n.refs[c.at].Resource && w.Fix != ""
			}) {
				t.Errorf("no way of severity %s at %q says %q: %+v", c.severity, c.at, c.says, ways)
			}
			if c.at != "" {
				_, err := n.confine(n.refs[c.at])
				if c.undo != "" && (tenure.CodeOf(err) != tenure.Blocked || len(tenure.HintsOf(err)) == 0) || c.undo == "" && err != nil {
					t.Errorf("a repair says %v", err)
				}
			}
			if c.undo != "" {
				postgrestest.Exec(t, n.dsn, n.fill(c.undo))
			}
			if left := n.look(); len(left) > 0 {
				t.Errorf("afterwards there is %+v", left)
			}
			for _, tenant := range []string{"acme", "birch"} {
				o, err := n.system.Probe(context.Background(), connector.Check{Kind: "isolation", Ref: n.refs[tenant+" role"], Credential: n.credential(tenant)})
				if err != nil || !o.Passed {
					t.Errorf("the probe of %s afterwards: passed %t (%s), %v", tenant, o.Passed, o.Detail, err)
				}
			}
		})
	}
}

// A tenant that shuts its own database keeps nobody else's rights from being looked at.
func TestShutDatabaseHidesNobodyElse(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	postgrestest.Exec(t, n.dsn, n.fill(`alter database "ACME_db" connection limit 0; grant select on birch.orders to ACME`))
	ways := n.look()
	n.wants(ways, "birch schema", "acme database", tenure.Critical, "may select on table birch.orders")
	n.wants(ways, "acme database", "birch schema", tenure.High, "isn't let in")
}

// What a database is set to print, and what keeps a role from its own rights, is neither
// taken for a change of a policy nor passed over.
func TestRolesThatLackTheirRights(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	postgrestest.Exec(t, n.dsn, n.fill("alter database DB set quote_all_identifiers = on; alter role ACME noinherit valid until '2020-01-01'"))
	n.reopen()
	shown := func(typ string) string {
		t.Helper()
		seen, _, err := n.system.Observe(t.Context(), []connector.Ref{n.refs["acme "+typ]})
		if err != nil {
			t.Fatal(err)
		}
		return string(seen[0].Attributes)
	}
	if got := shown("policy"); strings.Contains(got, "problems") {
		t.Errorf("a policy as it was made shows %s", got)
	}
	if got := shown("role"); !strings.Contains(got, "noinherit") || !strings.Contains(got, "validUntil") {
		t.Errorf("a role that has none of its rights, and can't log in, shows %s", got)
	}
	want := connector.Desired{Ref: n.refs["acme role"], Credential: n.credential("acme")}
	if _, _, verdict, err := n.system.Ensure(t.Context(), want); err != nil || verdict != tenure.Verified {
		t.Fatalf("the repair: %s, %v", verdict, err)
	}
	c := connect(t, postgrestest.As(t, n.dsn, n.token+"acme", n.credential("acme").Reveal()))
	if got := strs(t, c, "select tenant from shared.orders"); !slices.Equal(got, []string{"acme"}) {
		t.Errorf("after the repair the role sees %v", got)
	}
}
