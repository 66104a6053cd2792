package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// stricter is a revision that drops the API keys and asks a second person for an
// upgrade.
func stricter(version string) string {
	text := fmt.Sprintf(blueprintText, version)
	i := strings.Index(text, "  - key: api\n")
	j := strings.Index(text, "  - key: seats\n")
	return strings.Replace(text[:i]+text[j:], "approvals: {onboard: 1, offboard: 1}", "approvals: {onboard: 1, offboard: 1, upgrade: 1}", 1)
}

// Who publishes a stricter revision sees whom it touches and what it would take
// away, tenant by tenant, and nothing of tenants that aren't theirs.
func TestImpactOfAStricterRevision(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	for _, name := range []string{"acme", "birch", "cedar"} {
		s.onboard(name)
	}
	b := s.publishText(stricter("2.0"))
	s.wantState(s.run(lifecycle.Intent{Kind: tenure.Upgrade, Tenant: "cedar", Blueprint: b.Digest}), tenure.OperationWaiting)
	before, err := s.Operations(ctx, "", false, 100)
	s.must(err)

	to, list, next, err := s.ImpactOf(ctx, b.Digest, store.All, "", 2)
	s.must(err)
	seen := make(map[string]bool)
	if to.Version != "2.0" || len(list) != 2 || next == "" || list[0].Leaves != 2 || list[0].Makes != 0 || list[0].Approvals != 1 || list[0].Destroys == 0 || list[0].Blocked != "" {
		t.Errorf("to %s, the impact is %+v, next %q", to.Version, list, next)
	}
	_, rest, next, err := s.ImpactOf(ctx, b.Digest, store.All, next, 2)
	s.must(err)
	for _, i := range append(list, rest...) {
		seen[i.TenantName] = true
	}
	if len(rest) != 1 || next != "" || len(seen) != 3 {
		t.Errorf("the pages show %v, the second %+v, next %q", seen, rest, next)
	}
	acme, err := s.Tenant(ctx, "acme")
	s.must(err)
	only := store.Visible{Reach: tenure.Scope{Tenants: []tenure.TenantID{acme.ID}}, Limit: tenure.Scope{All: true}}
	if _, list, _, err = s.ImpactOf(ctx, b.Digest, only, "", 10); err != nil || len(list) != 1 || list[0].Tenant != acme.ID {
		t.Errorf("who sees acme alone sees %+v, %v", list, err)
	}
	after, err := s.Operations(ctx, "", false, 100)
	s.must(err)
	if len(after) != len(before) {
		t.Errorf("to look began %d operations", len(after)-len(before))
	}
}

// Each upgrade is an operation that somebody approves; the budget stops a mass
// change and says so; asked again, it goes on without beginning anything twice.
func TestUpgradeAllStopsAtTheBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) { o.Budget = lifecycle.Budget{Person: 2, Blueprint: 50} })
	ctx := context.Background()
	names := []string{"acme", "birch", "cedar"}
	for _, name := range names {
		s.onboard(name)
	}
	b := s.publishText(stricter("2.0"))
	done, stopped, err := s.UpgradeAll(ctx, b.Digest, names, "stricter", "operator")
	s.must(err)
	if len(done) != 2 || !strings.Contains(stopped, "budget is 2") {
		t.Fatalf("with a budget of 2, %+v were begun, and it stopped for %q", done, stopped)
	}
	again, _, err := s.UpgradeAll(ctx, b.Digest, names, "stricter", "operator")
	s.must(err)
	if len(again) != 2 || again[0] != done[0] || again[1] != done[1] {
		t.Errorf("asked again, it began %+v instead of finding %+v", again, done)
	}
	s.settle()
	for _, u := range done {
		s.wantState(u.Operation, tenure.OperationWaiting)
		if got, err := s.Tenant(ctx, u.TenantName); err != nil || got.Blueprint.Version != "1.0" {
			t.Errorf("unapproved, %s runs %s (%v)", u.TenantName, got.Blueprint.Version, err)
		}
	}
	if got, err := s.Tenant(ctx, "cedar"); err != nil || len(got.Operations) != 1 {
		t.Errorf("past the budget cedar has %d operations (%v)", len(got.Operations), err)
	}
	// One that was cancelled can be begun anew.
	s.must(s.Steer(ctx, done[0].Operation, "cancel", "operator"))
	s.settle()
	s.pass(2 * day / 24)
	fresh, _, err := s.UpgradeAll(ctx, b.Digest, names[:1], "stricter", "operator")
	s.must(err)
	if len(fresh) != 1 || fresh[0].Operation == "" || fresh[0].Operation == done[0].Operation {
		t.Errorf("after a cancel it began %+v", fresh)
	}
}
