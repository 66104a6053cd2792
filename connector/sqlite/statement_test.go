package sqlite

import (
	"testing"

	"github.com/tenurehq/tenure/connector"
)

// TestProbeRunsOneReadOnlyStatement: a blueprint's query is no way to change a file,
// whatever stands in it.
func TestProbeRunsOneReadOnlyStatement(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	exec(t, w.shared, "create table c (id integer primary key, tenant text)")
	for _, query := range []string{
		"select 1; insert into c values (1, 'x')",
		"pragma query_only = off; insert into c values (1, 'x')",
		"pragma query_only = off",
		"pragma user_version = 5",
		"pragma writable_schema = on",
		"select 1; pragma query_only = off; insert into c values (1, 'x')",
		"commit", "begin", "end; insert into c values (1, 'x')",
		"attach 'other.db' as other", "attach ':memory:' as m; create table m.x (a)", "vacuum into 'copy.db'", "detach main",
		"select load_extension('evil')",
		"insert into c values (1, 'x')",
		"with x as (select 1) insert into c select 1, 'x' from x",
		"create table made (a)", "create temp table made (a)",
		"", ";",
	} {
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": query, "expect": "rows"}})
		if o.Passed {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
	if number(t, w.shared, "select count(*) from c") != 0 || number(t, w.shared, "select count(*) from sqlite_schema where name = 'made'") != 0 || number(t, w.shared, "pragma user_version") != 0 {
		t.Error("a probe changed the file")
	}
	for _, query := range []string{"select 1;", "with x as (select 1) select * from x", "values (1)", "select ';' -- ;", "select 'attach'"} {
		o, err := d.Probe(t.Context(), connector.Check{Kind: "sql", Params: map[string]string{"query": query, "expect": "rows"}})
		if err != nil || !o.Passed {
			t.Errorf("%s: %+v, %v", query, o, err)
		}
	}
}
