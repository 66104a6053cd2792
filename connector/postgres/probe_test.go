package postgres

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

const tenantSecret = "tenant-secret-text"

// onboarded is a tenant's role, schema, grant, policy and rows, with a
// neighbour's beside them.
func (w *world) onboarded(t testing.TB, d connector.Driver) (role, other connector.Ref) {
	t.Helper()
	ensure := func(tenant, typ, name string, attributes map[string]any) connector.Ref {
		t.Helper()
		want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Tenant: tenure.NewID[tenure.TenantID](time.Now()), Type: typ, Name: name, Attributes: attributes}}
		if typ == "role" {
			want.Credential = tenure.NewSecret(tenant + tenantSecret)
		}
		if _, _, err := d.Ensure(context.Background(), want); err != nil {
			t.Fatalf("ensure %s %s: %v", typ, name, err)
		}
		return want.Ref
	}
	for _, tenant := range []string{"own", "other"} {
		name := w.token + tenant
		r := ensure(tenant, "role", name, map[string]any{"login": true})
		ensure(tenant, "schema", tenant, map[string]any{"ddl": "create table if not exists orders (v text)"})
		ensure(tenant, "grant", tenant, map[string]any{"role": name, "schema": tenant, "tables": []any{"orders"}, "privileges": []any{"select"}})
		ensure(tenant, "grant", tenant+" shared", map[string]any{"role": name, "schema": "shared", "tables": []any{"orders"}, "privileges": []any{"select", "insert"}})
		ensure(tenant, "policy", tenant, map[string]any{"role": name, "schema": "shared", "tables": []any{"orders"}, "column": "tenant", "key": tenant})
		ensure(tenant, "rows", tenant, map[string]any{"schema": "shared", "tables": map[string]any{"orders": "billing"}, "column": "tenant", "key": tenant,
			"seed": "insert into orders (tenant, n) values ('" + tenant + "', 1)"})
		if tenant == "own" {
			role = r
		} else {
			other = r
		}
	}
	return role, other
}

func (w *world) probes() []connectortest.ProbeCase {
	own := func(edit func(c *connector.Check)) func(t testing.TB, d connector.Driver) connector.Check {
		return func(t testing.TB, d connector.Driver) connector.Check {
			role, _ := w.onboarded(t, d)
			c := connector.Check{Ref: role, Credential: tenure.NewSecret("own" + tenantSecret)}
			if edit != nil {
				edit(&c)
			}
			return c
		}
	}
	other := func(typ, name string, attributes map[string]any) func(*connector.Check) {
		return func(c *connector.Check) {
			c.Other = &connector.Ref{Type: typ, Name: name, Attributes: attributes}
		}
	}
	sql := func(params ...string) func(*connector.Check) {
		return func(c *connector.Check) {
			c.Params = map[string]string{"query": params[0], "as": params[1], "expect": params[2]}
			if len(params) > 3 {
				c.Params["value"] = params[3]
			}
		}
	}
	do := func(sql string) func(testing.TB) {
		return func(t testing.TB) { postgrestest.Exec(t, w.dsn, strings.ReplaceAll(sql, "ROLE", quote(w.token+"own"))) }
	}
	shared := map[string]any{"schema": "shared", "column": "tenant", "key": "other"}
	database := func(t testing.TB, d connector.Driver) connector.Ref {
		r := connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "database", Name: w.token + "db"}
		if _, _, err := d.Ensure(context.Background(), connector.Desired{Ref: r}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	public := func(t testing.TB) { w.exec(t, "grant connect on database %s to public", quote(w.token+"db")) }
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "login off", Check: own(nil), Misconfigure: do("alter role ROLE nologin")},
		{Kind: "reachable", Name: "other password", Check: own(nil), Misconfigure: do("alter role ROLE password 'another'")},
		{Kind: "isolation", Name: "sentinel open", Check: own(nil), Misconfigure: do("grant usage on schema tenure_sentinel to public; grant select on tenure_sentinel.canary to public")},
		{Kind: "isolation", Name: "schema open to all", Check: own(nil), Misconfigure: do("grant usage on schema other to public")},
		{Kind: "isolation", Name: "member of the neighbour", Check: own(nil), Misconfigure: func(t testing.TB) {
			w.exec(t, "grant %s to %s; grant usage on schema other to %[1]s", quote(w.token+"other"), quote(w.token+"own"))
		}},
		{Kind: "isolation", Name: "row security off", Check: own(nil), Misconfigure: do("alter table shared.orders disable row level security")},
		{Kind: "isolation", Name: "bypassrls", Check: own(nil), Misconfigure: do("alter role ROLE bypassrls")},
		{Kind: "isolation", Name: "superuser", Check: own(nil), Misconfigure: do("alter role ROLE superuser")},
		{Kind: "isolation", Name: "policy for all", Check: own(nil), Misconfigure: do("create policy leak on shared.orders using (tenant <> '')")},
		{Kind: "isolation", Name: "policy for all, no rows yet", Check: own(nil), Misconfigure: do("delete from shared.orders; create policy leak on shared.orders using (tenant <> '')")},
		{Kind: "isolation", Name: "shared table that no policy covers", Check: own(nil), Misconfigure: do("create table shared.more (tenant text); insert into shared.more values ('other'); grant select on shared.more to ROLE")},
		{Kind: "isolation", Name: "view past row security", Check: own(nil), Misconfigure: do("create view shared.v as select * from shared.orders; grant select on shared.v to ROLE")},
		{Kind: "isolation", Name: "view past row security, no rows yet", Check: own(nil), Misconfigure: do("delete from shared.orders; create view shared.v as select * from shared.orders; grant select on shared.v to public")},
		{Kind: "isolation", Name: "copy past row security", Check: own(nil), Misconfigure: do("create materialized view shared.v as select n from shared.orders; grant select on shared.v to public")},
		{Kind: "isolation", Name: "function past row security", Check: own(nil), Misconfigure: do("create function shared.f() returns setof shared.orders security definer language sql as 'select * from shared.orders'")},
		{Kind: "isolation", Name: "may act as one who reads all", Check: own(nil), Misconfigure: do("grant pg_read_all_data to ROLE")},
		{Kind: "environment", Name: "schema", Check: own(other("schema", "other", nil)), Misconfigure: do("grant usage on schema other to ROLE")},
		{Kind: "environment", Name: "rows", Check: own(other("rows", "other", shared)), Misconfigure: do("do $$ begin execute format('alter policy %I on shared.orders using (true)', (select polname from pg_policy where polrelid = 'shared.orders'::regclass)); end $$")},
		{Kind: "environment", Name: "role by password", Check: own(other("role", w.token+"other", nil)), Misconfigure: func(t testing.TB) {
			w.exec(t, "alter role %s password %s", quote(w.token+"other"), literal("own"+tenantSecret))
		}},
		{Kind: "environment", Name: "role by membership", Check: own(other("role", w.token+"other", nil)), Misconfigure: func(t testing.TB) {
			w.exec(t, "grant %s to %s", quote(w.token+"other"), quote(w.token+"own"))
		}},
		{Kind: "environment", Name: "database", Misconfigure: public, Check: func(t testing.TB, d connector.Driver) connector.Check {
			c := own(nil)(t, d)
			db := database(t, d)
			c.Other = &db
			return c
		}},
		{Kind: "exposure", Name: "schema", Misconfigure: do("grant usage on schema own to public"), Check: own(func(c *connector.Check) { c.Ref = connector.Ref{Type: "schema", Name: "own"} })},
		{Kind: "exposure", Name: "table", Misconfigure: do("grant select on own.orders to public"), Check: own(func(c *connector.Check) { c.Ref = connector.Ref{Type: "schema", Name: "own"} })},
		{Kind: "exposure", Name: "database", Misconfigure: public, Check: func(t testing.TB, d connector.Driver) connector.Check {
			return connector.Check{Ref: database(t, d)}
		}},
		{Kind: "sql", Name: "rows", Check: own(sql("select 1 from shared.orders", "platform", "rows")), Misconfigure: do("delete from shared.orders")},
		{Kind: "sql", Name: "value", Check: own(sql("select count(*) from shared.orders", "tenant", "value", "1")), Misconfigure: do("alter table shared.orders disable row level security")},
		{Kind: "sql", Name: "no rows", Check: own(sql("select 1 from shared.orders where tenant = 'other'", "tenant", "no-rows")), Misconfigure: do("alter table shared.orders disable row level security")},
		{Kind: "sql", Name: "refused", Check: own(sql("select 1 from other.orders", "tenant", "refused")), Misconfigure: do("grant usage on schema other to ROLE; grant select on other.orders to ROLE")},
		{
			Kind: "encryption", Name: "plain connections taken",
			Check: func(t testing.TB, d connector.Driver) connector.Check {
				w.hostSSL(t, true)
				return connector.Check{Ref: connector.Ref{Type: "schema", Name: "own"}, Encryption: tenure.Encryption{InTransit: "required"}}
			},
			Misconfigure: func(t testing.TB) { w.hostSSL(t, false) },
		},
	}
}

// hostSSL lets the server refuse connections without TLS to the world's
// database, or take them again, and waits until it does so.
func (w *world) hostSSL(t testing.TB, required bool) {
	t.Helper()
	db := postgrestest.Value[string](t, w.dsn, "select current_database()")
	line := "hostnossl \"" + db + "\" all all reject\n"
	admin := postgrestest.With(t, w.dsn, func(u *url.URL) { u.Path = "/postgres" })
	conf := postgrestest.Value[string](t, admin, "select replace(pg_read_file(current_setting('hba_file')), $1, '')", line)
	if required {
		conf = line + conf
	}
	body := "declare o oid; begin o := lo_from_bytea(0, convert_to(" + literal(conf) + ", 'UTF8')); perform lo_export(o, current_setting('hba_file')); perform lo_unlink(o); end"
	postgrestest.Exec(t, admin, "do "+literal(body))
	postgrestest.Exec(t, admin, "select pg_reload_conf()")
	plain := postgrestest.With(t, w.dsn, func(u *url.URL) { u.RawQuery = "sslmode=disable" })
	wait(t, func() bool {
		c, err := pgx.Connect(context.Background(), plain)
		if err == nil {
			_ = c.Close(context.Background())
		}
		return (err != nil) == required
	})
}

// wait polls a condition that another process brings about.
func wait(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it doesn't come about within 20 seconds")
		}
	}
}

// TestTenantsOwnMembershipStopsNoOther: up to PostgreSQL 15 a role may make others members
// of itself. A tenant that does so to a neighbour is named, and the neighbour's probe passes.
func TestTenantsOwnMembershipStopsNoOther(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	own, other := w.onboarded(t, d)
	check := connector.Check{Kind: "isolation", Ref: own, Credential: tenure.NewSecret("own" + tenantSecret)}
	if o, err := d.Probe(t.Context(), check); err != nil || !o.Passed {
		t.Fatalf("before: %+v, %v", o, err)
	}
	c := connect(t, postgrestest.As(t, w.dsn, other.Name, "other"+tenantSecret))
	if _, err := c.Exec(t.Context(), "grant "+quote(other.Name)+" to "+quote(own.Name)); state(err) == "42501" {
		t.Skip("this version of the server doesn't let a tenant do that")
	} else if err != nil {
		t.Fatal(err)
	}
	o, err := d.Probe(t.Context(), check)
	if err != nil || !o.Passed || !strings.Contains(o.Detail, "role "+other.Name) {
		t.Errorf("a neighbour's misdeed: %+v, %v", o, err)
	}
	w.exec(t, "create policy leak on shared.orders using (tenant <> '')")
	if o, err := d.Probe(t.Context(), check); err != nil || o.Passed {
		t.Errorf("with a misdeed of the platform's beside it: %+v, %v", o, err)
	}
}

// TestExposureOfFunctions: what a tenant's developer writes with its definer's rights is
// exposed once somebody else may look into the schema, and not by being there.
func TestExposureOfFunctions(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	n.ensure(t, n.place)
	check := connector.Check{Kind: "exposure", Ref: n.place.Ref}
	for _, c := range []struct {
		sql  string
		want bool
	}{
		{"create function acme.f() returns int language sql security definer as 'select 1'", true},
		{"grant usage on schema acme to pg_monitor", false},
		{"revoke usage on schema acme from pg_monitor; grant execute on function acme.f() to public", false},
		{"revoke execute on function acme.f() from public", true},
	} {
		postgrestest.Exec(t, n.own, c.sql)
		if o, err := n.d.Probe(t.Context(), check); err != nil || o.Passed != c.want {
			t.Errorf("after %q: passed %t (%s), want %t; error %v", c.sql, o.Passed, o.Detail, c.want, err)
		}
	}
}

// TestExposureWhereNobodyConnects: where PUBLIC may not connect to the database, a schema
// isn't exposed for that; what PUBLIC may do in it still counts.
func TestExposureWhereNobodyConnects(t *testing.T) {
	t.Parallel()
	n := opensDen(t)
	n.ensure(t, n.place)
	for _, c := range []struct {
		sql  string
		want bool
	}{
		{"do $$ begin execute format('revoke connect on database %I from public', current_database()); end $$", true},
		{"grant usage on schema acme to public", false},
		{"revoke usage on schema acme from public", true},
	} {
		postgrestest.Exec(t, n.world.dsn, c.sql)
		if o, err := n.d.Probe(t.Context(), connector.Check{Kind: "exposure", Ref: n.place.Ref}); err != nil || o.Passed != c.want {
			t.Errorf("after %q: passed %t (%s), want %t; error %v", c.sql, o.Passed, o.Detail, c.want, err)
		}
	}
}
