package postgres

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestLateRowsOfAnother erases late rows of a resource that was deleted. Rows that
// another resource's mark names, or another installation's, aren't taken: they are
// a tenant's who is at home.
func TestLateRowsOfAnother(t *testing.T) {
	t.Parallel()
	d, w, old := shared(t, "create table c (id int primary key, tenant_key text)", map[string]any{"c": "data"})
	if _, err := d.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	late := connector.Batch{Run: "late", Class: "data", Limit: 10, Gone: true}
	heir := desired("rows", "heir", old.Attributes)
	if _, _, err := d.Ensure(t.Context(), heir); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, w.dsn, "insert into s.c select i, 'acme' from generate_series(1, 3) i")
	kept := func(when string) {
		t.Helper()
		e, err := d.Erase(t.Context(), old, late)
		if n := postgrestest.Value[int](t, w.dsn, "select count(*) from s.c"); tenure.CodeOf(err) != tenure.Conflict || n != 3 {
			t.Errorf("%s: took %v, error %v, and %d of 3 rows are left", when, e.Counts, err, n)
		}
	}
	kept("another resource's mark")
	postgrestest.Exec(t, w.dsn, "update tenure.mark set note = replace(note, 'tenure:1:', 'tenure:1:x') where type = 'rows'")
	kept("another installation's mark")
	postgrestest.Exec(t, w.dsn, "update tenure.mark set name = 'acme' where type = 'rows'")
	kept("another installation's mark under its name")
	postgrestest.Exec(t, w.dsn, "delete from tenure.mark where type = 'rows'")
	unasked := late
	unasked.Gone = false
	if _, err := d.Erase(t.Context(), old, unasked); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("rows without a mark went though nobody said that theirs is gone: %v", err)
	}
	e, err := d.Erase(t.Context(), old, late)
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from s.c"); err != nil || n != 0 || e.Counts["s.c"] != 3 {
		t.Errorf("without a mark: took %v, error %v, and %d rows are left", e.Counts, err, n)
	}
	if got, err := d.Tally(t.Context(), old, "late"); err != nil || got.Total["s.c"] != 3 {
		t.Errorf("the tally of late rows is %v, error %v", got.Total, err)
	}
	if _, err := d.Delete(t.Context(), old); err != nil {
		t.Error(err)
	}
	if n := postgrestest.Value[int](t, w.dsn, "select count(*) from tenure.tally"); n != 0 {
		t.Errorf("%d tallies are left after the second deletion", n)
	}
}
