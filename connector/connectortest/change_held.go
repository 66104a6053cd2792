package connectortest

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// held: what a legal hold keeps, and what that refers to, isn't changed either; all the
// rest is, and so is that once the hold is released.
func (c Changed) held(t *testing.T) {
	c.make(t)
	r := c.ensured(t, changedAttributes())
	const visit, person = "select * from visits where id = 3", "select * from people where id = 3"
	before := slices.Concat(c.Rows(t, visit), c.Rows(t, person))
	keep := []connector.Kept{{Hold: "hld_0", Table: "visits", Rows: []tenure.RowCondition{{Column: "place", Operator: tenure.RowEqual, Value: []byte(`"Place-acme-3"`)}}}}
	var e connector.Erased
	for n := 0; !e.Done; n++ {
		var err error
		b := connector.Batch{Run: "run-held", Class: "contacts", Limit: 3, Cursor: e.Cursor, Disposition: tenure.Anonymise, Name: named, Keep: keep}
		if e, err = c.Open(t).(connector.Eraser).Erase(t.Context(), r, b); err != nil || n > 200 {
			t.Fatalf("under a hold: %v after %d batches", err, n)
		}
	}
	if n := connector.Total(e.Held); n != 2 {
		t.Errorf("%d rows are said to be held, want 2: %s", n, connector.HeldSays(e.Held))
	}
	if now := slices.Concat(c.Rows(t, visit), c.Rows(t, person)); !slices.Equal(now, before) {
		t.Errorf("what is held changed: %q, was %q", now, before)
	}
	if n := len(c.Rows(t, "select 1 from people where tenant_key = 'acme'")); n != 1 {
		t.Errorf("%d persons are still the tenant's, want the one whose visit is held", n)
	}
	if n := len(c.Rows(t, "select 1 from visits where id < 100 and place <> 'somewhere'")); n != 1 {
		t.Errorf("%d visits are as they were, want the one that is held", n)
	}
	// Purchases go; the group of the last person is too small to be anonymised, so it is deleted.
	c.leave(t, r)
	if n := len(c.Rows(t, "select 1 from people where id = 3")); n != 0 {
		t.Errorf("the person is left after the release")
	}
}
