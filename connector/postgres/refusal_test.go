package postgres

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestRefusals erases rows that the database won't let go: the error names what
// stands in the way, quotes no row, and isn't retried for ever.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const p = "create table p (id int primary key, tenant_key text, v text)"
	for name, c := range map[string]struct{ ddl, fill, says string }{
		"a default that isn't there": {
			ddl:  p + "; create table c (tenant_key text, p int default 99 constraint c_p references p on delete set default)",
			fill: "insert into c values ('birch', 1)", says: "constraint c_p of s.c",
		},
		"a check on the reference": {
			ddl:  p + "; create table c (tenant_key text, kind text, p int references p on delete set null, constraint bound check (kind <> 'bound' or p is not null))",
			fill: "insert into c values ('birch', 'bound', 1)", says: "constraint bound of s.c",
		},
		"a unique null": {
			ddl:  p + "; create table c (tenant_key text, p int references p on delete set null, constraint single unique nulls not distinct (p))",
			fill: "insert into c values ('birch', null), ('birch', 1)", says: "constraint single of s.c",
		},
		"no partition for it": {
			ddl:  p + "; create table c (tenant_key text, p int references p on delete set null) partition by list (p); create table c_1 partition of c for values in (1)",
			fill: "insert into c values ('birch', 1)", says: "s.c doesn't take",
		},
		"a publication with a filter": {
			ddl:  "create table p (id int primary key, tenant_key text, v text); create publication pub for table p where (v <> 'x')",
			says: "publication",
		},
		"a trigger that raises": {
			ddl:  p + "; create function s.never() returns trigger language plpgsql as $$ begin raise exception 'no way %', old.v; end $$; create trigger t before delete on p for each row execute function s.never()",
			says: "function s.never",
		},
		"a publication without a replica identity": {
			ddl:  "create table p (id int, tenant_key text, v text); create publication pub for table p",
			says: "replica identity",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tables := map[string]any{"p": "aa"}
			if strings.Contains(c.ddl, "table c") {
				tables["c"] = "bb"
			}
			d, w, r := shared(t, c.ddl, tables)
			postgrestest.Exec(t, w.dsn, "set search_path to s; insert into p values (1, 'acme', 'TOKEN'); "+c.fill)
			_, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3})
			if tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "TOKEN") {
				t.Errorf("erase: %v (%s, retry %t), want blocked by %q without a row's text", err, tenure.CodeOf(err), tenure.CanRetry(err), c.says)
			}
		})
	}
}
