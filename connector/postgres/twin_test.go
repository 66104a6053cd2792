package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestTwoResourcesOverOneKey: each of a tenant's resources covers tables of its own
// under one key. Neither misses what the other covers, and each leaves by itself.
func TestTwoResourcesOverOneKey(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema s; create table s.p (id int primary key, tenant_key text); create table s.c (p int not null references s.p); create table s.d (tenant_key text)")
	rows := func(name, tenant string, tables map[string]any) connector.Desired {
		r := desired("rows", name, map[string]any{"schema": "s", "column": "tenant_key", "key": "acme", "tables": tables})
		r.Tenant = tenure.TenantID(tenant)
		return r
	}
	one, two := rows("one", "ten_acme", map[string]any{"p": "first"}), rows("two", "ten_acme", map[string]any{"c": "second", "d": "second"})
	for _, r := range []connector.Desired{one, two} {
		if _, _, err := d.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		postgrestest.Exec(t, w.dsn, "insert into s.d values ('acme')")
	}
	if _, _, err := d.Ensure(t.Context(), rows("three", "ten_birch", map[string]any{"d": "second"})); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("another tenant's resource over the same key: %v, want a conflict", err)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.p values (1, 'acme'), (2, 'birch'); insert into s.c values (1), (2); insert into s.d values ('birch')")
	for _, c := range []struct {
		r, beside connector.Desired
		order     []string
		want      []string
	}{
		{one, two, []string{"second", "first"}, nil},
		{two, one, []string{"second", "first"}, nil},
		{one, two, []string{"first", "second"}, []string{"order s.c.p"}},
		{one, rows("two", "ten_acme", map[string]any{"d": "second", "p": "second"}), []string{"second", "first"}, []string{"table s.c", "table s.p"}},
	} {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: c.r.Ref, Beside: []connector.Ref{c.beside.Ref}, Order: c.order, Prove: true})
		if got := blocking(m); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s beside %v, %v: what blocks is %q, want %q; error %v", c.r.Name, c.beside.Attributes["tables"], c.order, got, c.want, err)
		}
	}
	copies := func(table, into string) string {
		return "; create function s." + table + "_copy() returns trigger language plpgsql as $$ begin insert into s." + into + " values (old.tenant_key); return old; end $$; create trigger copy after delete on s." + table + " for each row execute function s." + table + "_copy()"
	}
	postgrestest.Exec(t, w.dsn, "create table s.log (tenant_key text); create table s.e (tenant_key text)"+copies("d", "log")+copies("e", "log"))
	logged := rows("two", "ten_acme", map[string]any{"c": "second", "d": "second", "e": "second", "log": "second"})
	alone := rows("two", "ten_acme", map[string]any{"c": "second", "d": "second", "log": "second"})
	both := one
	both.Attributes = map[string]any{"schema": "s", "column": "tenant_key", "key": "acme", "tables": map[string]any{"p": "first", "e": "first"}}
	for _, c := range []struct {
		r, beside connector.Desired
		want      []string
	}{
		{one, logged, nil},
		{both, alone, []string{"code s.e.copy"}},
	} {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: c.r.Ref, Beside: []connector.Ref{c.beside.Ref}, Order: []string{"second", "first"}})
		if got := blocking(m); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v beside a trigger that copies: what blocks is %q, want %q; error %v", c.r.Attributes["tables"], got, c.want, err)
		}
	}
	postgrestest.Exec(t, w.dsn, "drop table s.e, s.log; drop trigger copy on s.d")
	for _, step := range []struct {
		r     connector.Desired
		class string
		left  []string
	}{
		{two, "second", []string{"c: (2)", "d: (birch)", "p: (1,acme)", "p: (2,birch)"}},
		{one, "first", []string{"c: (2)", "d: (birch)", "p: (2,birch)"}},
	} {
		if e, err := d.Erase(t.Context(), step.r.Ref, connector.Batch{Run: "run", Class: step.class}); err != nil || !e.Done {
			t.Fatalf("erase %s: %+v, %v", step.r.Name, e, err)
		}
		for range 2 {
			if _, err := d.Delete(t.Context(), step.r.Ref); err != nil {
				t.Fatalf("delete %s: %v", step.r.Name, err)
			}
		}
		if got := w.rowsOf(t); !slices.Equal(got, step.left) {
			t.Errorf("once %s has left there are %q, want %q", step.r.Name, got, step.left)
		}
		_, err := d.Observe(t.Context(), []connector.Ref{step.r.Ref}, func(o connector.Observed) error {
			if o.Found {
				t.Errorf("%s is seen after its deletion: %+v", step.r.Name, o)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestAccountsAmongCoveredRows: a table that holds accounts which Tenure makes, and rows
// of the application's, is covered by the tenant's rows there. Its schema's map has
// nothing to say of it, and without them it names the rows.
func TestAccountsAmongCoveredRows(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema m; create table m.users (login text primary key, org text not null, tenure_mark text)")
	made := func(typ, name string, attributes map[string]any) connector.Ref {
		r := desired(typ, name, attributes)
		r.Tenant = "ten_acme"
		if _, _, err := d.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return r.Ref
	}
	rows := made("rows", "acme's rows", map[string]any{"schema": "m", "column": "org", "key": "acme", "tables": map[string]any{"users": "people"}})
	account := made("account", "ann", map[string]any{"schema": "m", "table": "users", "key": map[string]any{"login": "ann"}, "values": map[string]any{"org": "acme"}})
	own := made("schema", "acme", map[string]any{"key": "acme", "column": "org", "tables": map[string]any{"*": "people"}})
	postgrestest.Exec(t, w.dsn, "insert into m.users values ('zed', 'acme')")
	for what, c := range map[string]struct {
		r      connector.Ref
		beside []connector.Ref
		want   []string
	}{
		"the schema, beside the rows": {own, []connector.Ref{rows, account}, nil},
		"the schema alone":            {own, []connector.Ref{account}, []string{"table m.users"}},
		"the rows":                    {rows, []connector.Ref{own, account}, nil},
	} {
		m, err := d.DataMap(t.Context(), connector.Survey{Ref: c.r, Beside: c.beside, Order: []string{"people"}, Prove: true, Search: time.Second})
		if got := blocking(m); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: what blocks is %q, want %q; error %v", what, got, c.want, err)
		}
	}
}
