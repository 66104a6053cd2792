package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// closed takes a tenant in and out again, to its closing certificate.
func (s *site) closed(name string) (tenure.TenantID, tenure.OperationID) {
	s.t.Helper()
	s.onboard(name)
	s.fill(name+"-prod", 4, 2)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: name, AtOnce: true, Reason: "r"}, "operator")
	s.approve(op, "reviewer")
	s.through(op)
	return s.view(op).Tenant, op
}

// residue are the open findings of what came back.
func (s *site) residue(tenant tenure.TenantID) (out []tenure.Finding) {
	s.t.Helper()
	all, err := s.Findings(context.Background(), string(tenant), false)
	s.must(err)
	for _, f := range all {
		if f.Kind == tenure.FindingResidue && f.Severity == tenure.Critical {
			out = append(out, f)
		}
	}
	return out
}

// A backup of the platform's is read back years later, and with it a tenant that
// had left; without its marks. It is found all the same, and goes again with two
// persons' word and a paper of its own. The tenant stays closed.
func TestWhatComesBackIsFoundAndGoes(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	id, op := s.closed("acme")
	first := s.paper(op, "closing")
	look, err := s.Sweep(ctx, "")
	s.must(err)
	if len(look.Findings) > 0 || len(look.Dead) > 0 {
		t.Fatalf("before anything came back: %+v", look)
	}
	_, err = s.Plan(ctx, lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id)}, "operator")
	wantCode(t, err, tenure.Conflict, "nothing")

	s.world.Put(memory.Thing{Type: "store", Name: "acme-prod", Tenant: id, Rows: map[string][]string{"orders": {"an old order"}}})
	s.pass(2 * day)
	s.must(s.TickSought(ctx, s.Now()))
	found := s.residue(id)
	if len(found) == 0 {
		t.Fatal("what came back isn't found by the clock")
	}
	for _, f := range found {
		if strings.Contains(f.Detail+f.Name+f.Field, "acme") {
			t.Errorf("a finding tells who the closed tenant was: %+v", f)
		}
	}
	look, err = s.Sweep(ctx, string(id))
	s.must(err)
	if len(look.Findings) == 0 {
		t.Error("what came back isn't found by a sweep")
	}
	// Its mark is back with it from here on: what isn't ours Tenure doesn't delete.
	s.world.Remove("store", "acme-prod")
	s.world.Put(memory.Thing{Type: "store", Name: "acme-prod", Tenant: id, Mark: s.mark(first), Rows: map[string][]string{"orders": {"an old order"}}})
	again := s.request(lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id), Reason: "a backup was read back"}, "operator")
	s.approve(again, "reviewer")
	if _, there := s.world.Get("store", "acme-prod"); !there {
		t.Fatal("it went before anybody confirmed it")
	}
	s.finish(again)
	s.wantState(again, tenure.OperationSucceeded)
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if got := s.state(string(id)); got != tenure.TenantClosed {
		t.Errorf("the tenant is %s", got)
	}
	paper := s.paper(again, "supplementary")
	closing := ""
	list, err := s.Certificates(ctx, string(id))
	s.must(err)
	for _, c := range list {
		if c.Kind == string(evidence.Closing) {
			closing = c.Digest
		}
	}
	if paper.Closing != closing || len(paper.Resources) != 1 || paper.Tenant.Name != first.Tenant.Name {
		t.Errorf("the supplementary certificate is %+v", paper)
	}
	s.must(s.TickSought(ctx, s.Now().Add(2*day)))
	look, err = s.Sweep(ctx, "")
	s.must(err)
	if left := s.residue(id); len(left) > 0 || len(look.Findings) > 0 {
		t.Errorf("what went is still a finding: %+v", left)
	}
	s.audited()
}

// A supplementary plan that nobody starts doesn't bring a forgotten name back for good.
func TestUnstartedSupplementIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	id, _ := s.closed("acme")
	s.world.Put(memory.Thing{Type: "store", Name: "acme-prod", Tenant: id})
	p, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id)}, "operator")
	s.must(err)
	s.pass(5 * day)
	s.must(s.TickSought(ctx, s.Now()))
	if again, err := s.db.Plan(ctx, p.Digest); err == nil && again != nil && again.Name != "" {
		t.Errorf("the plan still names %q", again.Name)
	}
}

// mark is the mark of the store that a certificate is about.
func (s *site) mark(d evidence.Departure) string {
	s.t.Helper()
	mac, err := s.keys.MACKey(context.Background())
	s.must(err)
	for _, r := range d.Resources {
		if r.Type == "store" && r.Environment == "prod" {
			return connector.Marker{Installation: s.options.Installation, System: "main", Key: []byte(mac.Reveal())}.Mark("store", r.ID)
		}
	}
	s.t.Fatal("the certificate speaks of no store")
	return ""
}

// Who comes after under the same name isn't what came back.
func TestNewTenantOfTheSameNameIsNoResidue(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	id, _ := s.closed("acme")
	s.onboard("acme")
	s.fill("acme-prod", 3, 0)
	s.pass(2 * day)
	s.must(s.TickSought(ctx, s.Now()))
	look, err := s.Sweep(ctx, "")
	s.must(err)
	if left := s.residue(id); len(left) > 0 || len(look.Findings) > 0 {
		t.Errorf("the new tenant's store is taken for the old one's: %+v %+v", left, look.Findings)
	}
}

// By what a tenant was found isn't kept for ever: when its time is over the key is
// destroyed, and the log says so.
func TestSoughtEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) {
		p, err := tenure.ParsePeriod("P900D")
		if err != nil {
			t.Fatal(err)
		}
		o.SoughtFor = p
	})
	ctx := context.Background()
	id, _ := s.closed("acme")
	s.pass(80 * day)
	s.must(s.TickSought(ctx, s.Now()))
	_, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id)}, "operator")
	wantCode(t, err, tenure.Conflict)
	s.pass(2000 * day)
	s.must(s.TickSought(ctx, s.Now()))
	s.world.Put(memory.Thing{Type: "store", Name: "acme-prod", Tenant: id})
	_, err = s.Plan(ctx, lifecycle.Intent{Kind: tenure.Supplement, Tenant: string(id)}, "operator")
	wantCode(t, err, tenure.Blocked, "retention has ended")
	lines, err := s.Log(ctx, 0, 10_000, string(id))
	s.must(err)
	said := 0
	for _, l := range lines {
		if l.Kind == "sought.end" {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the log says %d times that it ended", said)
	}
	s.must(s.TickSought(ctx, s.Now()))
	s.audited()
}
