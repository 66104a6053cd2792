package lifecycle_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// passwords claims an operation's passwords, by environment.
func (s *site) passwords(op tenure.OperationID) map[string]string {
	s.t.Helper()
	outs, err := s.Outputs(context.Background(), op, true, "operator")
	s.must(err)
	got := make(map[string]string)
	for _, o := range outs {
		if o.Name == "password" && o.Secret != "" {
			got[o.Environment] = o.Secret
		}
	}
	if len(got) != 2 {
		s.t.Fatalf("%d passwords were handed over, want 2: %+v", len(got), outs)
	}
	return got
}

// opens says whether a credential lets somebody into the tenant's environment.
func (s *site) opens(tenant tenure.TenantID, env, secret string) bool {
	return s.world.Enter(secret, tenant, env) == nil
}

func (s *site) run(in lifecycle.Intent, approvals ...string) tenure.OperationID {
	s.t.Helper()
	op := s.request(in, "operator")
	if len(approvals) > 0 {
		s.approve(op, approvals...)
	}
	s.pass(time.Minute)
	return op
}

// Who comes back gets new credentials: what was revoked stays dead.
func TestReinstatementIssuesNewCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		wait time.Duration
		cut  bool
	}{{"in the grace", day, false}, {"after the cut", 20 * day, true}, {"in quarantine", 360 * day, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			ctx := context.Background()
			old := s.passwords(s.onboard("acme"))
			tv, err := s.Tenant(ctx, "acme")
			s.must(err)
			s.fill("acme-prod", 0, 7) // without orders nothing has a point of no return before a year
			leaving := s.leave("acme")
			s.pass(c.wait)
			if got := s.opens(tv.ID, "prod", old["prod"]); got == c.cut {
				t.Fatalf("before the reinstatement the old password opens: %v, and the cut was made: %v\n%s", got, c.cut, s.show(leaving))
			}
			s.must(s.Steer(ctx, leaving, "cancel", "operator"))
			s.settle()
			s.wantState(leaving, tenure.OperationCancelled)
			back := s.run(lifecycle.Intent{Kind: tenure.Reinstate, Tenant: "acme", Reason: "paid"})
			s.wantState(back, tenure.OperationSucceeded)
			if got := s.state("acme"); got != tenure.TenantActive {
				t.Fatalf("acme is %s\n%s", got, s.show(back))
			}
			if got := s.rows("acme-prod", "invoices"); got != 7 {
				t.Errorf("%d invoices came back, want 7", got)
			}
			if !c.cut {
				if !s.opens(tv.ID, "prod", old["prod"]) {
					t.Error("a password that was never revoked was taken away")
				}
				return
			}
			fresh := s.passwords(back)
			for env := range fresh {
				if s.opens(tv.ID, env, old[env]) {
					t.Errorf("the old password of %s works again", env)
				}
				if !s.opens(tv.ID, env, fresh[env]) {
					t.Errorf("the new password of %s is refused", env)
				}
			}
			s.audited()
		})
	}
}

// Past the point of no return nobody is brought back, and no cancel pretends it.
func TestNoReinstatementPastThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := toErasure(s, func() {})
	if got := s.state("acme"); got != tenure.TenantErasing {
		t.Fatalf("acme is %s", got)
	}
	wantCode(t, s.Steer(ctx, op, "cancel", "operator"), tenure.Blocked, "point of no return")
	_, _, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Reinstate, Tenant: "acme"}, "operator")
	wantCode(t, err, tenure.Conflict, "erasing")
}

func TestSuspendAndResumeKeepEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	words := s.passwords(s.onboard("acme"))
	s.onboard("other")
	tv, err := s.Tenant(context.Background(), "acme")
	s.must(err)
	s.fill("acme-prod", 3, 4)
	s.wantState(s.run(lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme"}), tenure.OperationSucceeded)
	if s.state("acme") != tenure.TenantSuspended || s.opens(tv.ID, "prod", words["prod"]) {
		t.Errorf("suspended, acme is %s and the password opens: %v", s.state("acme"), s.opens(tv.ID, "prod", words["prod"]))
	}
	s.wantState(s.run(lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}), tenure.OperationSucceeded)
	if s.state("acme") != tenure.TenantActive || !s.opens(tv.ID, "prod", words["prod"]) {
		t.Errorf("resumed, acme is %s and the password opens: %v", s.state("acme"), s.opens(tv.ID, "prod", words["prod"]))
	}
	if s.rows("acme-prod", "orders") != 3 || s.rows("acme-prod", "invoices") != 4 {
		t.Error("rows were lost")
	}
	s.audited()
}

func TestChangeRepairAndUpgrade(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	words := s.passwords(s.onboard("acme"))
	tv, err := s.Tenant(ctx, "acme")
	s.must(err)
	value := func(name string) string {
		th, _ := s.world.Get("setting", name)
		return string(th.Attributes)
	}
	s.wantState(s.run(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 9}}), tenure.OperationSucceeded)
	if got := value("acme-prod-seats"); !strings.Contains(got, "9") {
		t.Errorf("after the change the setting is %s", got)
	}
	// Drift, found and repaired; what didn't drift is left alone.
	s.world.Tamper("setting", "acme-prod-seats", func(th *memory.Thing) { th.Attributes = json.RawMessage(`{"value":1000}`) })
	look, err := s.Drift(ctx, "acme")
	s.must(err)
	if len(look.Findings) != 1 || look.Findings[0].Name != "acme-prod-seats" {
		t.Fatalf("the drift check found %+v", look.Findings)
	}
	calls := s.world.Calls("ensure")
	s.wantState(s.run(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}), tenure.OperationSucceeded)
	if got := value("acme-prod-seats"); !strings.Contains(got, "9") {
		t.Errorf("after the repair the setting is %s", got)
	}
	if n := s.world.Calls("ensure") - calls; n != 1 {
		t.Errorf("the repair of one thing made %d calls", n)
	}
	// An upgrade adds a resource and drops another, which leaves with its own
	// approval and point of no return.
	s.publishText(strings.NewReplacer(`"%s"`, `"2.0"`, "- key: seats", "- key: chairs", "-seats\n", "-chairs\n").Replace(blueprintText))
	op := s.run(lifecycle.Intent{Kind: tenure.Upgrade, Tenant: "acme", Blueprint: "small@2.0"}, "reviewer")
	if got := value("acme-prod-chairs"); !strings.Contains(got, "9") {
		t.Errorf("the new revision's setting is %s, and the parameter is 9\n%s", got, s.show(op))
	}
	if value("acme-prod-seats") == "" {
		t.Error("the dropped setting went before its point of no return was confirmed")
	}
	s.approve(op, "reviewer", "counsel")
	s.wantState(op, tenure.OperationSucceeded)
	if value("acme-prod-seats") != "" || value("acme-test-seats") != "" {
		t.Error("the dropped settings are still there")
	}
	if !s.opens(tv.ID, "prod", words["prod"]) {
		t.Error("the upgrade took the tenant's password")
	}
	// New credentials on demand: the old one dies.
	re := s.run(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true})
	s.wantState(re, tenure.OperationSucceeded)
	if s.opens(tv.ID, "prod", words["prod"]) {
		t.Error("after a repair with new credentials the old password opens")
	}
	s.audited()
}

// coveringText is the next revision of small, which covers notes too.
var coveringText = strings.NewReplacer(`"%s"`, `"1.1"`, "data: [orders, invoices]", "data: [orders, invoices, notes]", "  invoices:\n", `  notes:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
  invoices:
`).Replace(blueprintText)

// A table that came later and that no rule covers would be erased under none, or
// left behind: the offboarding waits for a rule.
func TestUncoveredDataBlocksAnOffboardingUntilAnUpgradeCoversIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.world.Fill("store", "acme-prod", "notes", "a note", "another")
	_, _, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"}, "operator")
	wantCode(t, err, tenure.Blocked, "rows of notes", "prod/store")
	if len(tenure.HintsOf(err)) == 0 {
		t.Error("the refusal doesn't say what to do")
	}
	found, err := s.Findings(ctx, "acme", false)
	s.must(err)
	if len(found) != 1 || found[0].Kind != tenure.FindingUncovered {
		t.Fatalf("the findings are %+v", found)
	}
	if got := s.state("acme"); got != tenure.TenantActive {
		t.Errorf("the refused offboarding left acme %s", got)
	}
	s.publishText(coveringText)
	s.wantState(s.run(lifecycle.Intent{Kind: tenure.Upgrade, Tenant: "acme", Blueprint: "small@1.1"}), tenure.OperationSucceeded)
	op := s.leave("acme")
	if found, err = s.Findings(ctx, "acme", false); err != nil || len(found) != 0 {
		t.Errorf("the finding stays open: %+v (%v)", found, err)
	}
	s.pass(50 * day)
	s.finish(op)
	s.pass(400 * day)
	s.finish(op)
	s.wantState(op, tenure.OperationSucceeded)
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	s.audited()
}
