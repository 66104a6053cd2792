package postgres

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure/connector"
)

// TestMapCrossesSchemas: a table that refers to the tenant's by way of another
// schema holds the tenant's data. Were it left out, an erasure would miss it.
func TestMapCrossesSchemas(t *testing.T) {
	t.Parallel()
	d, w, _ := opened(t)
	want := desired("schema", "leaver", map[string]any{"ddl": "create table if not exists orders (id int primary key)", "tables": map[string]any{"orders": "trade"},
		"links": map[string]any{"near.lines.order_id": "follow", "far.notes.line_id": "follow"}})
	if _, _, err := d.Ensure(context.Background(), want); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "create schema near")
	w.exec(t, "create schema far")
	w.exec(t, "create table near.lines (id int primary key, order_id int references leaver.orders (id))")
	w.exec(t, "create table far.notes (line_id int references near.lines (id)) partition by list (line_id)")
	w.exec(t, "create table far.notes_1 partition of far.notes for values in (1)")
	w.exec(t, "create table far.alone (id int primary key)")
	w.exec(t, "insert into leaver.orders values (1), (2)")
	w.exec(t, "insert into near.lines values (1, 1), (2, null)")
	w.exec(t, "insert into far.notes values (1), (1), (1)")
	got, err := d.DataMap(context.Background(), connector.Survey{Ref: want.Ref})
	if err != nil {
		t.Fatal(err)
	}
	places := []connector.Place{{Name: "far.notes", Rows: 3}, {Name: "leaver.orders", Class: "trade", Rows: 2}, {Name: "near.lines", Rows: 1}, {Name: "lines_order_id_fkey on near.lines", Rows: 1}}
	if diff := cmp.Diff(places, got.Places, cmpopts.IgnoreFields(connector.Place{}, "Kind", "Via", "Says", "Blocks", "Fix")); diff != "" {
		t.Error(diff)
	}
}

// TestKeyOfAPartition: a partition counts its columns in its own order, and has a
// foreign key that its root hasn't. Read by the root's order, the key would name
// another column, and the tenant's rows in the partition would stay behind.
func TestKeyOfAPartition(t *testing.T) {
	t.Parallel()
	d, w, r := shared(t, `create table p (id int primary key, tenant_key text not null);
create table c (kind int not null, p int not null, q int not null) partition by list (kind);
create table c1 (old text, q int not null, kind int not null, p int not null); alter table c1 drop old;
alter table c attach partition c1 for values in (1); create table c2 partition of c for values in (2);
alter table c1 add foreign key (p) references p on delete cascade`, map[string]any{"p": "aa", "c": "aa"})
	w.exec(t, "insert into s.p select i, 'acme' from generate_series(1, 3) i union all select i, 'birch' from generate_series(4, 6) i")
	w.exec(t, "insert into s.c select 1, i, 7 - i from generate_series(1, 6) i")
	var e connector.Erased
	for range 10 {
		var err error
		if e, err = d.Erase(t.Context(), r, connector.Batch{Run: "r", Class: "aa", Limit: 3, Cursor: e.Cursor}); err != nil {
			t.Fatal(err)
		} else if e.Done {
			break
		}
	}
	left := w.rowsOf(t)
	want := []string{"c: (1,4,3)", "c: (1,5,2)", "c: (1,6,1)", "p: (4,birch)", "p: (5,birch)", "p: (6,birch)"}
	if diff := cmp.Diff(want, left); diff != "" || e.Total["s.c"] != 3 {
		t.Errorf("the tally is %v; rows (-want +got):\n%s", e.Total, diff)
	}
}
