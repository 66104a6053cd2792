package sqlite

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// What the platform's own deletes left in the shared file's unused pages is written over
// where that is asked for, and a log that isn't empty is told of, and emptied.
func TestRemnants(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, "1s")
	const text = "a text that nobody may read any more"
	exec(t, w.shared, "pragma secure_delete = 0; create table words (tenant text, v text)")
	exec(t, w.shared, "pragma secure_delete = 0; with recursive n (i) as (select 1 union all select i + 1 from n where i < 500) insert into words select 'acme', '"+text+"' || i from n; insert into words values ('birch', 'kept'); delete from words where tenant = 'acme'")
	refs := []connector.Ref{{Type: "rows", Name: "acme"}}
	if !holds(t, w.shared, text) {
		t.Fatal("nothing was left to clean")
	}
	if _, err := d.Clean(t.Context(), []connector.Ref{{Type: "database", Name: "acme"}}, tenure.RemnantSpace); err != nil || !holds(t, w.shared, text) {
		t.Fatalf("of a file of the tenant's own nothing in the shared one is touched: %v", err)
	}
	for _, kind := range []tenure.RemnantKind{tenure.RemnantLog, tenure.RemnantSpace} {
		_, err := d.Clean(t.Context(), refs, kind)
		must(t, err)
	}
	if holds(t, w.shared, text) || !holds(t, w.shared, "kept") {
		t.Errorf("the file has the deleted text %v, the neighbour's %v", holds(t, w.shared, text), holds(t, w.shared, "kept"))
	}
	writer := raw(t, w.shared)
	if _, err := writer.Exec("insert into words values ('birch', 'more')"); err != nil {
		t.Fatal(err)
	}
	hasLog := func() bool {
		seen, err := d.Remnants(t.Context(), refs)
		must(t, err)
		return slices.ContainsFunc(seen, func(r connector.Remnant) bool { return r.Kind == tenure.RemnantLog && r.Bytes > 0 })
	}
	if !hasLog() {
		t.Error("the write-ahead log isn't empty, and nothing is said of it")
	}
	_, err := d.Clean(t.Context(), refs, tenure.RemnantLog)
	must(t, err)
	if hasLog() {
		t.Error("the write-ahead log is said to hold something, and is empty")
	}
	_, err = d.Clean(t.Context(), refs, tenure.RemnantSnapshots)
	wants(t, "a kind that nothing can be done about", err, tenure.Invalid, false)
}
