package planner_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/planner"
)

// Who may lose what it lives by by a repair is told in its plan, and if it is no tenant's,
// another person approves; a neighbour that was let in loses that at once.
func TestRepairThatTakesRights(t *testing.T) {
	t.Parallel()
	plan := func(state tenure.ResourceState, found []tenure.Finding, rights ...tenure.Right) *tenure.Plan {
		t.Helper()
		all := systems(t, "main")
		for i := range all["main"].Info.Types {
			if typ := &all["main"].Info.Types[i]; typ.Name == "setting" {
				typ.Loses = map[string]string{"*": "who"}
			}
		}
		p, err := planner.Make(planner.Input{
			Kind: tenure.Repair, At: start, Systems: all, Tenant: tenure.Tenant{ID: "ten_1", Name: "acme", State: tenure.TenantActive}, Blueprint: &tenure.Blueprint{},
			Inventory: []tenure.Resource{
				{ID: "res_1", Key: "store", System: "main", Type: "store", Name: "acme", State: state},
				{ID: "res_2", Key: "right", System: "main", Type: "setting", Name: "acme-right", State: tenure.ResourcePresent, Desired: []byte(`{"who":"app"}`)},
				{ID: "res_3", Key: "own", System: "main", Type: "setting", Name: "acme-own", State: tenure.ResourcePresent, Desired: []byte(`{"who":"acme"}`)},
			},
			Drifted: map[tenure.ResourceID]bool{"res_1": true, "res_2": true, "res_3": true}, Found: found, Rights: map[tenure.ResourceID][]tenure.Right{"res_1": rights},
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	drift := func(id tenure.ResourceID, field, want, got string) []tenure.Finding {
		return []tenure.Finding{{Kind: tenure.FindingDrift, Resource: id, System: "main", Type: "setting", Field: field, Want: want, Got: got}}
	}
	app := tenure.Right{Field: "rights of app on acme", Got: "select", Holder: "app", Outside: true}
	waived := app
	waived.Waived = true
	neighbour := tenure.Right{Field: "rights of birch on acme", Got: "select", Holder: "birch"}
	for _, c := range []struct {
		name   string
		asks   bool
		state  tenure.ResourceState
		found  []tenure.Finding
		rights []tenure.Right
	}{
		{name: "nobody's"},
		{name: "a neighbour's", rights: []tenure.Right{neighbour}},
		{name: "the application's", rights: []tenure.Right{neighbour, app}, asks: true},
		{name: "the application's, waived", rights: []tenure.Right{waived}},
		{name: "of what is off", rights: []tenure.Right{app}, state: tenure.ResourceRevoked},
		{name: "more than the application's grant", found: drift("res_2", "privileges", `["select"]`, `["insert","select"]`), asks: true},
		{name: "less than the application's grant", found: drift("res_2", "privileges", `["insert","select"]`, `["select"]`)},
		{name: "an application's grant that is gone", found: drift("res_2", "presence", "present", "absent")},
		{name: "more than the tenant's own grant", found: drift("res_3", "privileges", `["select"]`, `["insert","select"]`)},
	} {
		p := plan(c.state, c.found, c.rights...)
		asks := slices.ContainsFunc(p.Steps, func(s tenure.Step) bool { return s.Key == tenure.ApprovalKey && s.Gate.Approvals == 1 })
		if asks != c.asks {
			t.Errorf("%s: a person is asked: %t", c.name, asks)
		}
	}
	p := plan(tenure.ResourcePresent, drift("res_3", "value", "7", `"nine"`), app, neighbour, waived)
	want := []tenure.Difference{
		{Resource: "own", Field: "value", From: "nine", To: "7"},
		{Resource: "store", Field: "rights of app on acme", From: "select", To: "taken away from role app, which is no tenant's"},
		{Resource: "store", Field: "rights of birch on acme", From: "select", To: "taken away from role birch, a tenant's"},
	}
	if d := cmp.Diff(want, p.Diff); d != "" {
		t.Errorf("the plan's differences (-want +got):\n%s", d)
	}
	for _, s := range p.Steps {
		if s.Key == "store/ensure" && len(s.Takes) != 3 {
			t.Errorf("the step takes %+v", s.Takes)
		}
	}
}
