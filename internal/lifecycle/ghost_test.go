package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// ghosts are the open findings of accounts of a tenant that left, by name.
func (s *site) ghosts(tenant tenure.TenantID) map[string]tenure.Finding {
	s.t.Helper()
	all, err := s.db.Findings(context.Background(), tenant)
	s.must(err)
	out := make(map[string]tenure.Finding)
	for _, f := range all {
		if f.Kind == tenure.FindingGhost {
			out[f.Name] = f
		}
	}
	return out
}

// An account that somebody made beside Tenure, and that is the tenant's by an external id,
// keeps its case open until it is gone, or another person than who asked for the departure
// lets it be. What only bears its name asks security and stops nothing.
func TestGhostKeepsTheCaseOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.onboard("acme-2")
	known := tenure.KnownBy{Domains: []string{"Acme.Example"}, ExternalIDs: []string{"crm-0001"}}
	if _, err := s.SetKnownBy(ctx, "acme", known, 0, "operator"); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]memory.Thing{
		"by-hand":      {Externals: []string{"crm-0001"}},
		"let-be":       {Externals: []string{"crm-0001"}},
		"svc-acme-old": {}, "svc-acme-2-old": {},
	} {
		x.Type, x.Name, x.CreatedAt = "account", name, s.Now()
		s.world.Put(x)
	}
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	id := s.view(op).Tenant
	found := s.ghosts(id) // by the first reconciliation
	if len(found) != 3 || found["by-hand"].Severity != tenure.Critical || found["svc-acme-old"].Confidence != tenure.Possible {
		t.Fatalf("the first reconciliation found %+v", found)
	}
	if all := strings.Join(s.notices(id), "\n"); !strings.Contains(all, "security") {
		t.Errorf("nobody was asked about what may be the tenant's: %s", all)
	}
	r, err := s.Remedy(ctx, found["by-hand"])
	if err != nil || r.Plan != "" || len(r.Steps) < 3 {
		t.Errorf("what bears no mark of ours isn't a person's: %+v %v", r, err)
	}
	again := s.ghosts(id)
	s.passTimes(5, 200*day, op)
	if s.view(op).State == tenure.OperationSucceeded {
		t.Fatal("it closed while an account of the tenant's was alive")
	}
	if got := s.ghosts(id)["by-hand"].ID; got != again["by-hand"].ID {
		t.Error("the same finding was opened twice")
	}
	var texts []string
	for _, st := range s.view(op).Steps {
		texts = append(texts, st.Error)
	}
	if all := strings.Join(texts, "\n"); !strings.Contains(all, "by-hand") || strings.Contains(all, "svc-acme") {
		t.Errorf("what it says stands in the way: %s", all)
	}

	s.world.Remove("account", "by-hand")
	for _, by := range []string{"operator", "lena"} {
		s.must(s.Waive(ctx, found["let-be"].ID, s.Now().AddDate(0, 6, 0), "the platform's own", by))
		if _, err := s.Retry(ctx, op, "", "operator"); err != nil {
			t.Fatal(err)
		}
		s.finish(op)
		if closes := s.ghosts(id)["by-hand"].ID == ""; !closes {
			t.Error("what is gone is still a finding")
		}
		if got := s.view(op).State == tenure.OperationSucceeded; got && by == "operator" {
			t.Fatal("who asked for the departure let it be, alone")
		}
	}
	s.passTimes(4, 10*day, op)
	s.wantState(op, tenure.OperationSucceeded)
	for _, name := range []string{"let-be", "svc-acme-old", "svc-acme-2-old"} {
		if _, there := s.world.Get("account", name); !there {
			t.Errorf("Tenure deleted %s, which isn't its own", name)
		}
	}
	s.audited()
}

// What a closed tenant was known by is forgotten, and what of its comes alive is found all
// the same, for as long as its places are looked at.
func TestGhostAfterClosing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	if _, err := s.SetKnownBy(ctx, "acme", tenure.KnownBy{Domains: []string{"acme.example"}, ExternalIDs: []string{"crm-0001"}}, 0, "operator"); err != nil {
		t.Fatal(err)
	}
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	s.through(op)
	id := s.view(op).Tenant
	for file, raw := range s.files() {
		for _, word := range []string{"acme.example", "crm-0001"} {
			if strings.Contains(string(raw), word) {
				t.Errorf("%s still holds %s", file, word)
			}
		}
	}
	for name, x := range map[string]memory.Thing{
		"a": {Externals: []string{"crm-0001"}}, "b@acme.example": {}, "svc-acme": {}, "svc-acmes": {}, "n": {Externals: []string{"crm-0002"}},
	} {
		x.Type, x.Name, x.CreatedAt = "account", name, s.Now()
		s.world.Put(x)
	}
	if _, err := s.Sweep(ctx, ""); err != nil {
		t.Fatal(err)
	}
	found := s.ghosts(id)
	if len(found) != 3 || found["a"].Confidence != tenure.Strong || found["b@acme.example"].Confidence != tenure.Likely || found["svc-acme"].Confidence != tenure.Possible {
		t.Errorf("after the closing: %+v", found)
	}
	if _, err := s.SetKnownBy(ctx, string(id), tenure.KnownBy{}, 0, "operator"); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a closed tenant is known by something again: %v", err)
	}
	s.pass(3 * 365 * day)
	s.must(s.TickSought(ctx, s.Now()))
	if _, err := s.Sweep(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if found := s.ghosts(id); len(found) > 0 {
		t.Errorf("after the end of what is kept: %+v", found)
	}
	s.audited()
}
