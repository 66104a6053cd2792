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
