package sqlite

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestSchemaBetweenBatches makes a trigger after the first batch that copies what
// goes: the next batch is Blocked and leaves no copy.
func TestSchemaBetweenBatches(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	exec(t, w.shared, "create table doc (id integer primary key, org text, v text)")
	r := d.made(t, pool("org", "acme", map[string]any{"doc": "data"}))
	exec(t, w.shared, "insert into doc (org, v) values ('acme', 'a'), ('acme', 'b'), ('acme', 'c'), ('acme', 'd'), ('birch', 'e')")
	b := connector.Batch{Run: "r", Class: "data", Limit: 2}
	e, err := d.Erase(t.Context(), r, b)
	must(t, err)
	exec(t, w.shared, "create table hist (v text); create trigger tt after delete on doc begin insert into hist values (old.v); end")
	b.Cursor = e.Cursor
	if _, err = d.Erase(t.Context(), r, b); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("erase: %v, want blocked by the trigger", err)
	}
	if n := number(t, w.shared, "select count(*) from hist"); n != 0 {
		t.Errorf("%d copies were left", n)
	}
	exec(t, w.shared, "drop trigger tt; create table other (n integer)")
	for range 5 {
		if e, err = d.Erase(t.Context(), r, b); err != nil || e.Done {
			break
		}
		b.Cursor = e.Cursor
	}
	if n := number(t, w.shared, "select count(*) from doc"); err != nil || n != 1 || e.Total["doc"] != 4 {
		t.Errorf("%d rows are left, the total is %v, error %v", n, e.Total, err)
	}
}

// TestSoftDelete has a trigger that gives a row another key and lets it be.
func TestSoftDelete(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "5s")
	exec(t, w.shared, "create table doc (id integer primary key, org text, v text); create trigger soft before delete on doc begin update doc set org = 'gone' where id = old.id; select raise(ignore); end")
	r := d.made(t, pool("org", "acme", map[string]any{"doc": "data"}))
	exec(t, w.shared, "insert into doc (org, v) values ('acme', 'a'), ('birch', 'e')")
	if e, err := d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "data", Limit: 2}); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("erase: %v, done %t, want blocked by the trigger", err, e.Done)
	}
	if n := number(t, w.shared, "select count(*) from doc where org = 'acme'"); n != 1 {
		t.Error("the row has another tenant's key now")
	}
}
