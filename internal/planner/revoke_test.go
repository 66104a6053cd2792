package planner_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/planner"
)

// A revocation touches what it names and nothing else, destroys nothing, and does
// nothing before somebody has approved it.
func TestRevokeTouchesWhatItNames(t *testing.T) {
	t.Parallel()
	systems := systems(t, "main", "other")
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, systems)
		in.Kind, in.Tenant.State = tenure.Revoke, tenure.TenantActive
		in.Revoke = make(map[tenure.ResourceID]bool)
		want := 0
		for i := range in.Inventory {
			r := &in.Inventory[i]
			if rapid.IntRange(0, 3).Draw(t, "off already") == 0 {
				r.State = tenure.ResourceRevoked
			}
			if r.Layer.IsAccess() && rapid.Bool().Draw(t, "named") {
				in.Revoke[r.ID] = true
				if r.State != tenure.ResourceRevoked {
					want++
				}
			}
		}
		p, err := planner.Make(in)
		if want == 0 {
			if tenure.CodeOf(err) != tenure.Conflict {
				t.Fatalf("nothing is left to revoke, and the answer is %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		g := make(graph)
		cuts := 0
		for i := range p.Steps {
			g[p.Steps[i].Key] = &p.Steps[i]
		}
		for key, s := range g {
			past := make(map[string]bool)
			g.before(key, past)
			if s.Destructive || s.Action != tenure.ActApproval && !past["approve"] {
				t.Fatalf("step %s destroys, or runs before the approval", key)
			}
			if s.Resource != "" && !in.Revoke[s.Resource] {
				t.Fatalf("step %s touches what wasn't named", key)
			}
			if s.Action == tenure.ActRevoke {
				cuts++
			}
		}
		if cuts != want || len(p.Resources) != want || g["approve"].Gate.Approvals < 1 {
			t.Fatalf("%d things are revoked and %d stand in the plan, want %d", cuts, len(p.Resources), want)
		}
	})
}

// What was taken off stays off: no other operation of a tenant that goes on makes
// it again, and a reinstatement leaves it out.
func TestWhatWasTakenOffStaysOff(t *testing.T) {
	t.Parallel()
	systems := systems(t, "main", "other")
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, systems)
		in.Kind = rapid.SampledFrom([]tenure.OperationKind{tenure.Suspend, tenure.Resume, tenure.Repair, tenure.Reinstate}).Draw(t, "what comes after")
		in.Tenant.State = tenure.OperationKinds[in.Kind][0]
		off := make(map[tenure.ResourceID]bool)
		for i := range in.Inventory {
			if r := &in.Inventory[i]; r.Layer.IsAccess() && rapid.Bool().Draw(t, "taken off") {
				r.State, off[r.ID] = tenure.ResourceRevoked, true
			}
		}
		in.Off = off
		p, err := planner.Make(in)
		if err != nil {
			return
		}
		for _, s := range p.Steps {
			if off[s.Resource] && s.Action != tenure.ActRevoke {
				t.Fatalf("%s takes %s to what was taken off: step %s", in.Kind, s.Action, s.Key)
			}
		}
	})
}

func TestRevokeRefusals(t *testing.T) {
	t.Parallel()
	in := planner.Input{
		Kind: tenure.Revoke, At: start, Systems: systems(t, "main"), Tenant: tenure.Tenant{Name: "acme", State: tenure.TenantActive}, Blueprint: &tenure.Blueprint{},
		Inventory: []tenure.Resource{{ID: "res_1", Key: "db", System: "main", Type: "store", Name: "acme-db", Layer: tenure.LayerTransactional, State: tenure.ResourcePresent}},
		Revoke:    map[tenure.ResourceID]bool{"res_1": true},
	}
	if _, err := planner.Make(in); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "only what gives access") {
		t.Errorf("to revoke a store: %v", err)
	}
}
