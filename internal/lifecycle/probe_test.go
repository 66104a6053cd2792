package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// probedText has a probe of the blueprint's own for entitlements.
var probedText = strings.NewReplacer("name: small", "name: probed", `version: "%s"`, `version: "1.0"`).Replace(blueprintText) + `
probes:
  - {name: no reports unpaid, system: main, kind: entitlement, resource: api, params: {feature: reports}}
`

// For each misconfiguration that would let somebody in where he must not be, or
// keep the tenant out, some probe must fail; the tenant never becomes active,
// and what was made is taken back.
func TestPlantedMisconfigurationFailsItsProbe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flaw  memory.Flaw
		probe string // part of the failing step's key
	}{
		{memory.CrossTenant, "/isolation"},
		{memory.CrossEnvironment, "verify/test/api/environment/"},
		{memory.FreeFeatures, "blueprint/no reports unpaid"},
		{memory.OpenToAll, "verify/prod/store/exposure"},
		{memory.OutOfService, "/reachable"},
	} {
		t.Run(string(c.flaw), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.publishText(probedText)
			intent := lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "probed", Tier: "basic", Parameters: map[string]any{"login": "a@b.example"}}

			good := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "good", Blueprint: "probed", Tier: "basic", Parameters: intent.Parameters}, "operator")
			s.approve(good, "reviewer")
			s.wantState(good, tenure.OperationSucceeded) // or the test below proves nothing

			s.world.Misconfigure(c.flaw, true)
			op := s.request(intent, "operator")
			s.approve(op, "reviewer")
			s.pass(time.Hour)
			s.wantState(op, tenure.OperationFailed)
			found := false
			for _, st := range s.view(op).Steps {
				found = found || strings.Contains(st.Key, c.probe) && st.State == tenure.StepFailed && st.Verdict == tenure.Failed
			}
			if !found {
				t.Errorf("no probe %q failed\n%s", c.probe, s.show(op))
			}
			for _, m := range moves(s, "acme") {
				if m == "active" {
					t.Error("the tenant was active on a failed probe")
				}
			}
			if got := lastState(s, op); got != tenure.TenantClosed {
				t.Errorf("the tenant is %s, want closed", got)
			}
			if left := things(s.world, "acme-"); len(left) > 0 {
				t.Errorf("compensation left %q", left)
			}
			if got := len(things(s.world, "good-")); got != 8 {
				t.Errorf("the neighbour has %d things, want 8", got)
			}
			s.audited()
		})
	}
}

// moves are the states that the log says a tenant went to.
func moves(s *site, name string) (out []string) {
	s.t.Helper()
	lines, err := s.Log(context.Background(), 0, 1_000_000, "")
	s.must(err)
	v, err := s.Tenants(context.Background(), store.TenantFilter{})
	s.must(err)
	for _, row := range v {
		if row.Name != name {
			continue
		}
		for _, l := range lines {
			if l.Kind == "tenant.move" && l.Tenant == string(row.ID) {
				_, to, _ := strings.Cut(string(l.Data), `"to":"`)
				to, _, _ = strings.Cut(to, `"`)
				out = append(out, to)
			}
		}
	}
	return out
}

func lastState(s *site, op tenure.OperationID) tenure.TenantState {
	s.t.Helper()
	return s.state(string(s.view(op).Tenant))
}

// Compensation takes back in reverse order: nothing is deleted while something
// that stands on it is there.
func TestCompensationGoesInReverseOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-test-key", Err: tenure.Errorf(tenure.Invalid, "quota of keys is used up")})
	op := s.begin("acme", "small")
	s.wantState(op, tenure.OperationFailed)
	v := s.view(op)
	ended := make(map[string]int)
	for i, st := range v.Steps {
		if rest, ok := strings.CutPrefix(st.Key, "undo/"); ok {
			ended[rest] = i
			if st.State != tenure.StepDone {
				t.Errorf("%s is %s", st.Key, st.State)
			}
		}
	}
	for _, pair := range [][2]string{{"prod/admin/ensure", "prod/store/ensure"}, {"prod/api/ensure", "prod/store/ensure"}, {"prod/store/ensure", "key/credential"}} {
		first, second := ended[pair[0]], ended[pair[1]]
		if first == 0 || second == 0 || first > second {
			t.Errorf("%s is taken back at %d, %s at %d", pair[0], first, pair[1], second)
		}
	}
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("compensation left %q", left)
	}
	if !strings.Contains(s.show(op), "quota of keys is used up") {
		t.Errorf("the reason is lost\n%s", s.show(op))
	}
	// The name is free again, and the next attempt is another tenant.
	s.world.Heal()
	again := s.begin("acme", "small")
	s.wantState(again, tenure.OperationSucceeded)
	if s.view(again).Tenant == v.Tenant {
		t.Error("a tenant made again under an old name has the old one's id")
	}
	s.audited()
}

// An onboarding that never came to be takes no name with it: neither of what was never
// begun, since something before it failed, nor of anything if it was called off.
func TestNamesOfWhatWasNeverMadeAreFree(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-prod", Err: tenure.Errorf(tenure.Invalid, "no such zone")})
	failed := s.begin("acme", "small")
	s.wantState(failed, tenure.OperationFailed)
	if st := s.row(failed, "prod/admin/ensure").State; st != tenure.StepPending {
		t.Fatalf("what stands on the thing that failed is %s, so it isn't what this is about", st)
	}
	s.world.Heal()
	off := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}, "operator")
	s.must(s.Steer(context.Background(), off, "cancel", "operator"))
	s.pass(time.Minute)
	s.wantState(off, tenure.OperationCancelled)
	s.wantState(s.begin("acme", "small"), tenure.OperationSucceeded)
	s.audited()
}

// A compensation that can't finish is blocked, says where, and goes on after a
// person's retry; it never reports that it took back what is still there.
func TestCompensationThatFailsIsBlocked(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-test-key", Err: tenure.Errorf(tenure.Invalid, "no")})
	s.world.Inject(memory.Fault{Call: "delete", Name: "acme-prod", Err: tenure.Errorf(tenure.Forbidden, "deletion is locked")})
	op := s.begin("acme", "small")
	v := s.view(op)
	if v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "undo/prod/store/ensure") {
		t.Fatalf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if got := lastState(s, op); got != tenure.TenantProvisioning {
		t.Errorf("the tenant is %s while a store of it is left", got)
	}
	s.world.Heal()
	_, err := s.Retry(context.Background(), op, "undo/prod/store/ensure", "operator")
	s.must(err)
	s.settle()
	s.pass(time.Hour)
	if v := s.view(op); !v.State.Ended() {
		t.Fatalf("after the retry the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	s.audited()
}

// What an onboarding failed for stays its reason, with what to do about it, when all that
// failed is tried again while it is taken back, and once it has been.
func TestReasonOfWhatWasTakenBackOutlivesARetry(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-test-key", Err: tenure.Errorf(tenure.Invalid, "no such room").WithHint("take another one")})
	s.world.Inject(memory.Fault{Call: "delete", Name: "acme-prod", Err: tenure.Errorf(tenure.Forbidden, "deletion is locked")})
	op := s.begin("acme", "small")
	if v := s.view(op); v.State != tenure.OperationBlocked {
		t.Fatalf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	if says := s.show(op); !strings.Contains(says, "no such room (take another one)") {
		t.Errorf("the failed step doesn't say what to do\n%s", says)
	}
	s.world.Heal()
	_, err := s.Retry(context.Background(), op, "", "operator")
	s.must(err)
	s.settle()
	s.pass(time.Hour)
	if v := s.view(op); v.State != tenure.OperationFailed || !strings.Contains(v.Reason, "no such room (take another one)") {
		t.Errorf("taken back, the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	_, err = s.Retry(context.Background(), op, "", "operator")
	wantCode(t, err, tenure.Conflict, "no failed step")
	s.audited()
}

// A policy of parking keeps what was made for a person to look at.
func TestParkingKeepsWhatWasMade(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(strings.NewReplacer("name: small", "name: parked", `"%s"`, `"1.0"`, "failure: compensate", "failure: park").Replace(blueprintText))
	s.world.Misconfigure(memory.OutOfService, true)
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "parked", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationBlocked)
	if got := len(things(s.world, "acme-")); got != 8 {
		t.Errorf("%d things are kept, want 8", got)
	}
	s.world.Misconfigure(memory.OutOfService, false)
	_, err := s.Retry(context.Background(), op, "", "operator")
	s.must(err)
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	s.audited()
}

// What is to be made stands in the inventory before the first call goes out.
func TestInventoryStandsBeforeTheCall(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	hook := func(r connector.Ref) {
		row, err := s.db.Resource(context.Background(), r.Resource)
		if err != nil || row.Name != r.Name {
			t.Errorf("%s %s is being made and isn't in the inventory (%v)", r.Type, r.Name, err)
		}
	}
	s.onCall.Store(&hook)
	s.onboard("acme")
}
