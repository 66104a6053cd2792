package postgres

import (
	"maps"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestRowsThatAreThere: whatever a blueprint covers, rows with the key that were there
// before the tenant are somebody's; a taken-back onboarding would erase them.
func TestRowsThatAreThere(t *testing.T) {
	t.Parallel()
	const notes = "create table extra.notes (id int primary key, tenant_key text); insert into extra.notes values (1, 'acme'), (2, 'birch');"
	const list = "create table extra.tenants (id text primary key); insert into extra.tenants values ('acme'), ('birch'); create table m.orders (tenant_key text references extra.tenants);"
	covered := map[string]any{"tables": map[string]any{"extra.notes": "trade"}}
	also := func(key string, v any) map[string]any {
		out := maps.Clone(covered)
		out[key] = v
		return out
	}
	for what, c := range map[string]struct {
		sql  string
		more map[string]any
		free bool
	}{
		"another schema":      {sql: notes, more: covered},
		"another name":        {sql: notes + "alter table extra.notes rename tenant_key to org", more: also("columns", map[string]any{"extra.notes": "org"})},
		"an alias":            {sql: notes + "alter table extra.notes rename tenant_key to org", more: also("aliases", []any{"org"})},
		"an alias at home":    {sql: "create table m.notes (org text); insert into m.notes values ('acme')", more: map[string]any{"tables": map[string]any{"m.notes": "trade"}, "aliases": []any{"org"}}},
		"a document":          {sql: `create table extra.notes (body jsonb); insert into extra.notes values ('{"org": "acme"}')`, more: also("columns", map[string]any{"extra.notes": "body->>org"})},
		"a link to the list":  {sql: list + "create table extra.notes (who text references extra.tenants); insert into extra.notes values ('acme')", more: also("links", map[string]any{"extra.notes.who": "follow"})},
		"a child of the list": {sql: list + "create table extra.notes (who text not null references extra.tenants); insert into extra.notes values ('acme')", more: covered},
		"a neighbour's":       {sql: notes + "delete from extra.notes where tenant_key = 'acme'", more: covered, free: true},
		"uncovered":           {sql: notes, more: map[string]any{"tables": map[string]any{}}, free: true},
		"the list alone":      {sql: list + "create table extra.notes (who text not null references extra.tenants); insert into extra.notes values ('birch')", more: covered, free: true},
	} {
		for _, typ := range []string{"rows", "schema"} {
			t.Run(what+", "+typ, func(t *testing.T) {
				t.Parallel()
				d, w, _ := opened(t)
				postgrestest.Exec(t, w.dsn, "create schema m; create schema extra;"+c.sql)
				own := rowsOf(c.more)
				if typ == "schema" {
					more := maps.Clone(c.more)
					more["tables"] = maps.Clone(c.more["tables"].(map[string]any))
					if _, led := more["links"]; led || what == "a child of the list" {
						more["tables"].(map[string]any)["m.orders"] = "trade"
					}
					own = siloOf(more)
				}
				_, _, err := d.Ensure(t.Context(), own)
				if c.free && err != nil || !c.free && tenure.CodeOf(err) != tenure.Conflict {
					t.Errorf("made over rows that are there: %v", err)
				}
				if there := postgrestest.Value[int64](t, w.dsn, "select count(*) from tenure.mark where type in ('rows', 'schema')"); there > 0 != c.free {
					t.Errorf("%d owner marks", there)
				}
				if c.free { // what is written later is the tenant's, and no obstacle to a repair
					postgrestest.Exec(t, w.dsn, "do $$ begin insert into extra.notes select 9, 'acme'; exception when others then insert into extra.notes select 'acme'; end $$")
					if _, _, err := d.Ensure(t.Context(), own); err != nil {
						t.Errorf("a repair: %v", err)
					}
				}
			})
		}
	}
}

// TestRowsOfAnotherResourceOfTheTenant: rows that another of the tenant's resources has
// brought along are the tenant's own.
func TestRowsOfAnotherResourceOfTheTenant(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	postgrestest.Exec(t, w.dsn, "create schema m; create schema extra; create table extra.notes (tenant_key text)")
	first := rowsOf(map[string]any{"schema": "extra", "tables": map[string]any{"notes": "trade"}, "seed": "insert into notes values ('acme')"})
	second := siloOf(map[string]any{"tables": map[string]any{"*": "trade", "extra.notes": "trade"}})
	if _, _, err := d.Ensure(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Ensure(t.Context(), second); err != nil {
		t.Errorf("the schema beside: %v", err)
	}
}
