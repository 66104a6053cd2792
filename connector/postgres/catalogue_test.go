package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// What a tenant wrote isn't run, and what rights hide is said: a scan reads with Tenure's
// rights, and a draft that passes over a table leaves its rows behind.
func TestCatalogueAndSample(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	role := w.token + "acme"
	if _, _, _, err := system.Ensure(t.Context(), desired("role", role, map[string]any{"login": false})); err != nil {
		t.Fatal(err)
	}
	store := w.token + "acme_data"
	if _, _, _, err := system.Ensure(t.Context(), desired("schema", store, map[string]any{"owner": role, "tables": map[string]any{"*": "a"}, "ddl": "create table inside (id int)"})); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `create table app.trap (n int); create function app.spring() returns text language plpgsql security definer as $$ begin insert into app.trap values (1); return 'x'; end $$;
create function app.spring(t int) returns boolean language plpgsql as $$ begin insert into app.trap values (2); return true; end $$;
create type app.pair as (a text); create function app.text(app.pair) returns text language sql as 'select app.spring()'; create cast (app.pair as text) with function app.text(app.pair);
create domain app.mail as text; create type app.mood as enum ('sad', 'glad');
create table app.people (id int primary key, tenant text, email app.mail, tags text[], p app.pair, mood app.mood, data jsonb, raw bytea, rare text, "odd ""name" text);
insert into app.people select n, case when n < 400 then 'acme' else 'birch' end, 'quux' || n || '@b.example', '{anna,bob}', null, 'glad', '{"a": 1}', 'x', null, 'odd' from generate_series(1, 500) n;
insert into app.people (id, rare, p) values (250000, 'here', '(x)');
create table app.visits (id int primary key, person int not null references app.people on delete cascade);
create table app.theirs (id int, tenant text); insert into app.theirs values (1, 'quux'); alter table app.theirs owner to %[1]s;
create table app.walled (id int, tenant text); alter table app.walled enable row level security; create policy p on app.walled using (app.spring(id)); insert into app.walled values (1, 'quux');
create materialized view app.made as select 1 as n`, quote(role))
	c, err := system.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closed := map[string]string{}
	for _, i := range c.Tables {
		closed[i.String()] = i.Closed
		if i.Schema == store || i.Schema == "tenure" {
			t.Errorf("%s is listed", i)
		}
	}
	for _, name := range []string{"app.people", "app.visits", "app.walled"} {
		if says, there := closed[name]; !there || says != "" {
			t.Errorf("%s isn't listed as one that can be read: %q", name, says)
		}
	}
	if !strings.Contains(closed["app.theirs"], "tenant's role") {
		t.Errorf("a tenant's table would be read: %q", closed["app.theirs"])
	}
	if !slices.ContainsFunc(c.Links, func(l connector.LinkInfo) bool {
		return l.Child == "app.visits" && l.Parent == "app.people" && l.OnDelete == "cascade"
	}) {
		t.Errorf("the reference isn't there: %+v", c.Links)
	}
	if says := strings.Join(c.Says, "; "); !strings.Contains(says, "1 materialized view") || !strings.Contains(says, "1 schema of tenants' own") {
		t.Errorf("what isn't listed isn't said: %s", says)
	}

	got := map[string]connector.ColumnSample{}
	take := func(s connector.ColumnSample) error { got[s.Table+"."+s.Column.Name] = s; return nil }
	if partial, err := system.Sample(t.Context(), connector.Sampling{Rows: 100, For: time.Minute}, take); err != nil || partial != "" {
		t.Fatal(err, partial)
	}
	for name, want := range map[string]string{"app.people.email": "quux", "app.people.tags": "{anna,bob}", "app.people.data": `{"a": 1}`, "app.people.rare": "here", `app.people.odd "name`: "odd", "app.walled.tenant": "quux"} {
		if s := got[name]; !s.Read || !strings.Contains(strings.Join(s.Values, " "), want) {
			t.Errorf("%s wasn't read: %+v", name, s)
		}
	}
	for _, name := range []string{"app.people.p", "app.people.mood", "app.people.raw", "app.theirs.tenant"} {
		if s := got[name]; s.Read || s.Says == "" || len(s.Values) > 0 {
			t.Errorf("%s was read: %+v", name, s)
		}
	}
	if v := got["app.people.tenant"].Values; !slices.Contains(v, "acme") || !slices.Contains(v, "birch") || len(v) > 100 {
		t.Errorf("the first and the last rows are to be looked at: %v", v)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from app.trap"); n != 0 {
		t.Errorf("code of the tables ran %d times", n)
	}

	// A table that somebody keeps locked is said not to be read, and the others are.
	w.hand(t, func(c *pgx.Conn) error {
		if _, err := c.PgConn().Exec(t.Context(), "begin; lock table app.visits in access exclusive mode").ReadAll(); err != nil {
			return err
		}
		clear(got)
		partial, err := system.Sample(t.Context(), connector.Sampling{Tables: []string{"app.people", "app.visits"}, Rows: 10, For: 20 * time.Second}, take)
		if err != nil || !strings.Contains(partial, "app.visits") || strings.Contains(partial, "app.people") || !got["app.people.email"].Read || got["app.visits.person"].Read {
			t.Errorf("%v %q", err, partial)
		}
		_, err = c.PgConn().Exec(t.Context(), "rollback").ReadAll()
		return err
	})

	// A role that row security hides rows from is told, and reads none.
	w.exec(t, "alter role %s nosuperuser nobypassrls; grant usage on schema app to %[1]s; grant select on app.walled, app.people to %[1]s; grant usage on schema tenure to %[1]s; grant select on all tables in schema tenure to %[1]s; grant pg_monitor to %[1]s; grant execute on function pg_control_system() to %[1]s", quote(w.platform))
	clear(got)
	if _, err := d.Sample(t.Context(), connector.Sampling{Tables: []string{"app.walled", "app.visits"}, Rows: 10, For: time.Minute}, take); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app.walled.tenant", "app.visits.person"} {
		if s := got[name]; s.Read || !strings.Contains(s.Says, "hide") {
			t.Errorf("%s was read past what hides it: %+v", name, s)
		}
	}
}
