package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestTablesOfTheTenantsOwn: what a tenant makes beside the tables of its schema's ddl
// isn't drift; what it does to those is, and a repair mends what ddl can. In a schema
// that belongs to no tenant's role every table counts.
func TestTablesOfTheTenantsOwn(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	role := desired("role", w.token+"acme", map[string]any{"login": false})
	const ddl = "create table if not exists orders (id int primary key, note text); alter table orders add column if not exists note text; create or replace view seen as select id from orders"
	acme := desired("schema", w.token+"acme_data", map[string]any{"owner": role.Name, "ddl": ddl})
	ours := desired("schema", w.token+"ours", map[string]any{"ddl": ddl})
	for _, r := range []connector.Desired{role, acme, ours} {
		ensured(t, system, r)
	}
	drifted := func(r connector.Desired) bool {
		t.Helper()
		seen, _, err := system.Observe(t.Context(), []connector.Ref{r.Ref})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(seen[0].Attributes), `"altered"`)
	}
	as := func(sql string) {
		t.Helper()
		postgrestest.Exec(t, w.dsn, "set role "+role.Name+"; set search_path = "+acme.Name+"; "+sql)
	}
	as("create table extra (i int); create view shown as select 1 as n; create table parts (i int) partition by list (i); create table part partition of parts default; create materialized view kept as select 1 as n")
	if drifted(acme) {
		t.Error("tables of the tenant's own are drift")
	}
	if _, rec, _, err := system.Ensure(t.Context(), acme); err != nil || rec.Changed {
		t.Errorf("nothing is to be done: changed %v, %v", rec.Changed, err)
	}
	for deed, mendable := range map[string]bool{"alter table orders drop column note": true, "drop table orders cascade": true, "drop view seen": true,
		"alter table orders enable row level security": false, "alter table orders add column more int": false} {
		as(deed)
		if !drifted(acme) {
			t.Errorf("%s isn't drift", deed)
		}
		if _, _, err := d.Ensure(t.Context(), acme); mendable && (err != nil || drifted(acme)) {
			t.Errorf("%s isn't mended: %v", deed, err)
		}
		as("alter table orders drop column if exists more; alter table orders disable row level security")
		if drifted(acme) {
			t.Errorf("after %s all is as it was, and still drift", deed)
		}
	}
	// Until its first repair a store that an earlier build made counts every table.
	note := relational.ParseNote(postgrestest.Value[string](t, w.dsn, "select note from tenure.mark where type = 'schema' and name = "+literal(acme.Name)))
	postgrestest.Exec(t, w.dsn, d.putNote(note.With(namesKey, "").With("shape", "before")))
	if !drifted(acme) {
		t.Fatal("the note wasn't made an older one")
	}
	if ensured(t, system, acme); drifted(acme) {
		t.Error("an older store isn't mended by a repair")
	}
	postgrestest.Exec(t, w.dsn, "create table "+quote(ours.Name)+".extra (i int)")
	if !drifted(ours) {
		t.Error("a table that nobody declared in the platform's own schema isn't drift")
	}
}
