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

// A plan that adopts has two persons approve, makes and deletes nothing, isn't taken back,
// expects no credential, and is covered by no standing approval.
func TestAdoptingPlan(t *testing.T) {
	t.Parallel()
	in := planner.Input{
		Kind: tenure.Onboard, At: start, Systems: systems(t, "main"), Ref: tenure.BlueprintRef{Name: "small", Version: "1"}, Adopt: true,
		Tenant:    tenure.Tenant{ID: tenure.DeriveID[tenure.TenantID](start, "acme"), Name: "acme", State: tenure.TenantRequested},
		Blueprint: &tenure.Blueprint{Name: "small", Version: "1", Failure: tenure.Compensate},
		Standing:  map[tenure.ResourceID]planner.Sight{},
	}
	env := blueprint.Environment{Name: "prod", Outputs: map[string]any{"password": map[string]any{"$credential": "admin"}, "user": "acme-admin"}}
	for _, typ := range []string{"store", "account"} {
		r := blueprint.Resource{ID: tenure.DeriveID[tenure.ResourceID](start, typ), Key: typ, System: "main", Type: typ, Name: "acme-" + typ}
		if typ == "account" {
			r.Key, r.Needs = "admin", []string{"store"}
		}
		env.Resources = append(env.Resources, r)
		in.Standing[r.ID] = planner.Sight{Observed: connector.Observed{Found: true, Owner: connector.Unmarked, State: tenure.ResourcePresent, Attributes: []byte(`{"a":1}`)}, Normal: []byte(`{"a":1}`)}
	}
	in.Desired = &blueprint.Desired{Environments: []blueprint.Environment{env}}
	p, err := planner.Make(in)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, len(p.Steps))
	for i, s := range p.Steps {
		keys[i] = s.Key
		if s.Action == tenure.ActEnsure || s.Action == tenure.ActDelete || s.Destructive {
			t.Errorf("step %s (%s) makes or destroys", s.Key, s.Action)
		}
		if s.Key == tenure.ApprovalKey && s.Gate.Approvals != 2 {
			t.Errorf("%d persons approve, want 2", s.Gate.Approvals)
		}
		if s.Key == "prod/admin/adopt" && !slices.Contains(s.Needs, "prod/store/adopt") {
			t.Errorf("the account is adopted before what it stands in: %v", s.Needs)
		}
	}
	for _, want := range []string{tenure.ApprovalKey, "prod/store/adopt", "prod/store/observe", "prod/admin/adopt", "verify/prod/store/reachable"} {
		if !slices.Contains(keys, want) {
			t.Errorf("there is no step %s: %v", want, keys)
		}
	}
	if slices.Contains(keys, "verify/prod/admin/reachable") {
		t.Error("a probe shows a credential that nobody issued")
	}
	if p.OnFailure != tenure.Park {
		t.Errorf("on failure it is to %s", p.OnFailure)
	}
	if tenure.OnlyCreates(p) == "" {
		t.Error("a standing approval could cover it")
	}
	if out := p.Outputs["prod"]; len(out) != 1 || out["user"] == nil {
		t.Errorf("it hands over %v", out)
	}
	body, _, err := p.Encode()
	if err != nil || !strings.Contains(string(body), `"adopt":true`) {
		t.Errorf("the plan's bytes don't say that it adopts: %v", err)
	}

	seen := connector.Observed{Found: true, Owner: connector.Unmarked, State: tenure.ResourcePresent, Attributes: []byte(`{"a":1}`), Untold: []string{"ddl", "keep"}}
	for _, c := range []struct {
		normal, detail, attributes, says string
	}{
		{normal: `{"a":1,"ddl":"x"}`, attributes: `{"a":1}`, says: `would have ddl "x", which can't be told without the mark of Tenure's`},
		{normal: `{"a":1,"b":2}`, attributes: `{"a":1}`, says: "has b nothing, and would have 2"},
		{normal: `{}`, attributes: `{}`, detail: "what is there is no bucket", says: "isn't as it would be: what is there is no bucket"},
	} {
		seen.Attributes, seen.Detail = []byte(c.attributes), c.detail
		in.Standing[env.Resources[0].ID] = planner.Sight{Observed: seen, Normal: []byte(c.normal)}
		if _, err := planner.Make(in); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.normal, err)
		}
	}

	in.Standing[env.Resources[0].ID] = planner.Sight{Blurred: true}
	if _, err := planner.Make(in); err == nil || !strings.Contains(err.Error(), "wasn't seen whole") {
		t.Errorf("what may be hidden: %v", err)
	}

	in.Blueprint.DataClasses = []tenure.DataClass{{Name: "billing", Disposition: tenure.CryptoErase}}
	if _, err := planner.Make(in); err == nil || !strings.Contains(err.Error(), "data class billing ends by cryptographic erasure") {
		t.Errorf("what no key of Tenure's seals: %v", err)
	}
}
