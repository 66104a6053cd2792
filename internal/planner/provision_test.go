package planner_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/planner"
)

// TestSharedChangesAreAsked: what a plan changes for others stands in a gate of its own,
// which holds up the resource that changes it and no other; without such a change there
// is no gate. The gate doesn't count as the approval of the plan.
func TestSharedChangesAreAsked(t *testing.T) {
	t.Parallel()
	in := planner.Input{
		Kind: tenure.Onboard, At: start, Systems: systems(t, "main"), Ref: tenure.BlueprintRef{Name: "small", Version: "1"},
		Tenant:    tenure.Tenant{ID: tenure.DeriveID[tenure.TenantID](start, "acme"), Name: "acme", State: tenure.TenantRequested},
		Blueprint: &tenure.Blueprint{Name: "small", Version: "1"},
	}
	typ := in.Systems["main"].Info.Types[0].Name
	env := blueprint.Environment{Name: "prod"}
	for _, key := range []string{"alone", "binding"} {
		env.Resources = append(env.Resources, blueprint.Resource{ID: tenure.DeriveID[tenure.ResourceID](start, key), Key: key, System: "main", Type: typ, Name: "acme-" + key})
	}
	in.Desired = &blueprint.Desired{Environments: []blueprint.Environment{env}}
	make := func() *tenure.Plan {
		t.Helper()
		p, err := planner.Make(in)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	step := func(p *tenure.Plan, key string) *tenure.Step {
		i := slices.IndexFunc(p.Steps, func(s tenure.Step) bool { return s.Key == key })
		if i < 0 {
			return nil
		}
		return &p.Steps[i]
	}
	if gate := step(make(), "approve/shared"); gate != nil {
		t.Errorf("nothing shared changes, and there is a gate: %+v", gate)
	}
	in.Shared = []connector.SharedChange{{Resource: env.Resources[1].ID, Says: "row security of shared.orders is switched on"}}
	in.Rules = []tenure.ApprovalRule{{Name: "all", Count: 2}}
	p := make()
	gate := step(p, "approve/shared")
	if gate == nil || gate.Action != tenure.ActApproval || gate.Gate.Approvals < 1 || !strings.Contains(gate.Summary, "row security of shared.orders is switched on") {
		t.Fatalf("the gate: %+v", gate)
	}
	if !slices.Contains(step(p, "prod/binding/ensure").Needs, gate.Key) || slices.Contains(step(p, "prod/alone/ensure").Needs, gate.Key) {
		t.Error("the gate holds up what it isn't about, or doesn't hold up what it is about")
	}
	if whole := step(p, tenure.ApprovalKey); whole == nil || whole.Gate.Approvals < 2 {
		t.Errorf("the rule's gate for the whole plan: %+v", whole)
	}
}
