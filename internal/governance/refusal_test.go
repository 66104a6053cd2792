package governance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// TestRefusalsAreCounted: one event for each caller or address, route and minute, so
// that refusals are seen and a flood of them fills no disk.
func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	refuse := func(n int, r governance.Refusal) {
		for range n {
			d.Refuse(r)
		}
	}
	all := func() (out []store.AccessEvent) {
		list, err := d.AccessEvents(ctx, "", "", time.Time{}, 2000)
		d.must(err)
		for _, e := range list {
			if e.Kind == tenure.EventRefused || e.Kind == tenure.EventDenied {
				out = append(out, e)
			}
		}
		return out
	}
	refuse(3, governance.Refusal{Address: "192.0.2.1", Route: "GET /v1/me", Status: 401})
	if got := all(); len(got) != 0 {
		t.Errorf("three slips are told: %+v", got)
	}
	refuse(37, governance.Refusal{Address: "192.0.2.1", Route: "GET /v1/me", Status: 401})
	refuse(2, governance.Refusal{Address: "192.0.2.1", Route: "GET /v1/me", Status: 429})
	refuse(1, governance.Refusal{Principal: "Ada", Address: "192.0.2.1", Route: "POST /v1/holds", Status: 403})
	refuse(1, governance.Refusal{Principal: "ada", Address: "192.0.2.9", Route: "POST /v1/holds", Status: 403})
	got := all()
	if len(got) != 2 {
		t.Fatalf("%d events: %+v", len(got), got)
	}
	for _, e := range got {
		r := tenure.ParseRefusalsCounted(e.Detail)
		switch {
		case e.Kind == tenure.EventRefused && e.Principal == "" && r.Address == "192.0.2.1" && r.Count == 42 && r.Statuses["401"] == 40 && r.Statuses["429"] == 2:
		case e.Kind == tenure.EventDenied && e.Principal == "ada" && r.Address == "" && r.Count == 2 && r.Route == "POST /v1/holds":
		default:
			t.Errorf("event %+v", e)
		}
	}
	refuse(1, governance.Refusal{Principal: "ada", Route: "POST /v1/holds", Status: 403})
	if got := all(); len(got) != 2 {
		t.Errorf("a third within the minute makes %d events", len(got))
	}
	d.pass(time.Minute)
	refuse(1, governance.Refusal{Principal: "ada", Route: "POST /v1/holds", Status: 403})
	if got := all(); len(got) != 3 {
		t.Errorf("the next minute's makes %d events", len(got))
	}
	d.pass(time.Minute)
	for i := range 3000 {
		refuse(5, governance.Refusal{Address: fmt.Sprint("2001:db8::", i), Route: "GET /v1/me", Status: 401})
	}
	if got := all(); len(got) > 3+501 {
		t.Errorf("a flood from 3,000 addresses makes %d events", len(got))
	}
}
