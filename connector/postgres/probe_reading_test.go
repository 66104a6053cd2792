package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestProbesAsPlatformRunNoTenantsCode: a blueprint's query that reads what a tenant owns
// runs with the tenant's rights, also where the tenant made it a view or an expression that
// does something else; one that reads a tenant's things beside the platform's doesn't run.
func TestProbesAsPlatformRunNoTenantsCode(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	w.least(t)
	role := desired("role", w.token+"birch", map[string]any{"login": true})
	birch := desired("schema", "birch", map[string]any{"owner": role.Name, "ddl": "create table orders (n int)"})
	role.Tenant, birch.Tenant = "ten_birch", "ten_birch"
	for _, r := range []connector.Desired{role, birch} {
		if _, _, err := d.Ensure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	postgrestest.Exec(t, w.dsn, "create schema victim; create table victim.secret (n int); create sequence victim.bell; grant usage on schema victim to public; create schema lookup; create table lookup.colours (c text); insert into lookup.colours values ('red'); grant usage, create on schema lookup to "+quote(w.platform)+"; grant select on lookup.colours to "+quote(w.platform))
	own := postgrestest.As(t, w.dsn, role.Name, role.Credential.Reveal())
	postgrestest.Exec(t, own, "set search_path to birch; "+strings.ReplaceAll(gain, "SCHEMA", "birch")+`; insert into orders values (1);
create view v as select gain(n) as n from orders; create function one() returns int immutable language sql as 'select birch.gain(1)'; create table late (n int); create index on late ((gain(n))); insert into late values (1);
create view outer_v as select n from v`)
	for query, want := range map[string]string{
		"select n from birch.orders":                         "passed",
		"select n, n from birch.orders;":                     "passed",
		"select c from lookup.colours -- all":                "passed",
		"values (1)":                                         "passed",
		"with x as (select 1 as n) select n from x":          "passed",
		"select n from birch.v":                              "ran",
		"select n from birch.outer_v":                        "ran",
		"select 1 from birch.late where birch.gain(n) = 1":   "ran",
		"select birch.one()":                                 "blocked",
		"select n from birch.v, lookup.colours":              "blocked",
		"select 1 from lookup.colours where birch.one() = 1": "blocked",
		"explain select birch.one()":                         "invalid",
		"with x as (insert into lookup.colours values ('x') returning 1) select 1 from x": "invalid",
	} {
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Ref: role.Ref, Credential: role.Credential, Params: map[string]string{"query": query, "as": "platform", "expect": "rows"}})
		switch want {
		case "passed":
			if err != nil || !o.Passed {
				t.Errorf("%s: %+v, %v", query, o, err)
			}
		case "blocked":
			if tenure.CodeOf(err) != tenure.Blocked {
				t.Errorf("%s: %+v, %v", query, o, err)
			}
		case "invalid":
			if tenure.CodeOf(err) != tenure.Invalid {
				t.Errorf("%s: %+v, %v", query, o, err)
			}
		}
		if w.gained(t, err) {
			t.Errorf("%s: the tenant's code ran with Tenure's rights", query)
		}
	}
	if w.is(t, "select from pg_class where relname like 'probe\\_%%'") {
		t.Error("a view is left")
	}
}
