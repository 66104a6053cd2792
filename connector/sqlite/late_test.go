package sqlite

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestLateRowsOfAnother erases late rows of a resource that was deleted. Rows that
// another resource's mark names, or another installation's, aren't taken: they are
// a tenant's who is at home.
func TestLateRowsOfAnother(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	exec(t, w.shared, "create table c (id integer primary key, tenant text)")
	old := d.made(t, pool("tenant", "acme", map[string]any{"c": "data"}))
	if _, err := d.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	late := connector.Batch{Run: "late", Class: "data", Limit: 10, Gone: true}
	heir := pool("tenant", "acme", map[string]any{"c": "data"})
	heir.Name, heir.Resource = "heir", tenure.DeriveID[tenure.ResourceID](epoch, "heir")
	d.made(t, heir)
	exec(t, w.shared, "insert into c values (1, 'acme'), (2, 'acme'), (3, 'acme')")
	kept := func(when string) {
		t.Helper()
		e, err := d.Erase(t.Context(), old, late)
		if n := number(t, w.shared, "select count(*) from c"); tenure.CodeOf(err) != tenure.Conflict || n != 3 {
			t.Errorf("%s: took %v, error %v, and %d of 3 rows are left", when, e.Counts, err, n)
		}
	}
	kept("another resource's mark")
	exec(t, w.shared, "update tenure_mark set note = replace(note, 'tenure:1:', 'tenure:1:x') where type = 'rows'")
	kept("another installation's mark")
	exec(t, w.shared, "update tenure_mark set name = '"+old.Name+"' where type = 'rows'")
	kept("another installation's mark under its name")
	exec(t, w.shared, "delete from tenure_mark where type = 'rows'")
	unasked := late
	unasked.Gone = false
	if _, err := d.Erase(t.Context(), old, unasked); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("rows without a mark went though nobody said that theirs is gone: %v", err)
	}
	e, err := d.Erase(t.Context(), old, late)
	if n := number(t, w.shared, "select count(*) from c"); err != nil || n != 0 || e.Counts["c"] != 3 {
		t.Errorf("without a mark: took %v, error %v, and %d rows are left", e.Counts, err, n)
	}
	if got, err := d.Tally(t.Context(), old, "late"); err != nil || got.Total["c"] != 3 {
		t.Errorf("the tally of late rows is %v, error %v", got.Total, err)
	}
	if _, err := d.Delete(t.Context(), old); err != nil {
		t.Error(err)
	}
	if n := number(t, w.shared, "select count(*) from tenure_tally"); n != 0 {
		t.Errorf("%d tallies are left after the second deletion", n)
	}
}
