package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// gone starts an offboarding at once and brings it to its last deletions: two
// persons have confirmed every point of no return.
func (s *site) toDeletion(name string) tenure.OperationID {
	s.t.Helper()
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: name, AtOnce: true, Reason: "fraud"}, "operator")
	s.approve(op, "reviewer")
	s.pass(40 * day)
	s.confirm(op)
	s.pass(400 * day)
	s.confirm(op)
	return op
}

// A step that can't be proven may be let be by two persons with a reason, and
// the certificate says so: it never reads as if all had been seen.
func TestExceptionByTwoPersonsStandsInTheCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.world.Inject(memory.Fault{Call: "delete", Name: "acme-prod-seats", Err: tenure.Errorf(tenure.Forbidden, "the setting is locked")})
	op := s.toDeletion("acme")
	s.wantState(op, tenure.OperationBlocked)
	const step = "prod/seats/delete"

	_, err := s.Skip(ctx, op, step, " ", "operator")
	wantCode(t, err, tenure.Invalid, "reason")
	_, err = s.Skip(ctx, op, "prod/api/delete", "x", "operator")
	wantCode(t, err, tenure.Conflict, "only a failed step")
	_, err = s.Skip(ctx, op, "no/such", "x", "operator")
	wantCode(t, err, tenure.NotFound)
	attested, err := s.Skip(ctx, op, step, "the vendor removes it by hand, ticket 4711", "operator")
	s.must(err)
	if attested {
		t.Fatal("one person's word was enough")
	}
	s.settle()
	s.wantState(op, tenure.OperationBlocked)
	_, err = s.Skip(ctx, op, step, "again", "operator")
	wantCode(t, err, tenure.Forbidden, "a second person")
	attested, err = s.Skip(ctx, op, step, "", "counsel")
	s.must(err)
	if !attested {
		t.Fatal("the second person's word didn't attest")
	}
	// The vendor did remove it, so that no residue is left.
	s.world.Remove("setting", "acme-prod-seats")
	s.pass(day)
	s.wantState(op, tenure.OperationSucceeded)
	v := s.view(op)
	file, err := s.Certificate(ctx, string(v.Tenant), "closing")
	s.must(err)
	key, err := s.VerifierKey()
	s.must(err)
	rep, err := evidence.Verify(file, key)
	s.must(err)
	d := rep.Departure
	found, left := false, false
	for _, e := range d.Exceptions {
		left = left || e.What == "step:"+step
		if strings.HasPrefix(e.What, "resource:") && strings.Contains(e.Reason, "ticket 4711") && e.By != e.Attested && e.By != "" && e.Attested != "" {
			found = true
		}
		if strings.Contains(e.By+e.Attested, "operator") || strings.Contains(e.By+e.Attested, "counsel") {
			t.Errorf("the certificate names persons in clear: %+v", e)
		}
	}
	if !found || !left {
		t.Errorf("the certificate doesn't list the exception, for the resource and for the step: %+v", d.Exceptions)
	}
	for _, r := range d.Resources {
		if r.Type == "setting" && r.Environment == "prod" && r.Verdict == tenure.Verified {
			t.Errorf("the certificate says that what was skipped is verified: %+v", r)
		}
	}
	s.audited()
}

func TestGateCantBeSkipped(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	_, err := s.Skip(context.Background(), op, "approve", "in a hurry", "reviewer")
	if code := tenure.CodeOf(err); code != tenure.Forbidden && code != tenure.Conflict {
		t.Fatalf("skipping an approval: %v", err)
	}
	s.settle()
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("made without an approval: %q", left)
	}
}

// Fraud is cut at once: within the same moment no credential opens anything.
func TestFraudIsCutAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	made := s.onboard("acme")
	outs, err := s.Outputs(ctx, made, true, "operator")
	s.must(err)
	tv, err := s.Tenant(ctx, "acme")
	s.must(err)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "fraud"}, "operator")
	before := s.Now()
	s.approve(op, "reviewer")
	for _, o := range outs {
		if o.Name == "password" {
			if o.Secret == "" {
				t.Fatal("the onboarding handed no password over")
			}
			if err := s.world.Enter(o.Secret, tv.ID, o.Environment); err == nil {
				t.Errorf("the password still opens %s", o.Environment)
			}
		}
	}
	if got := s.state("acme"); got != tenure.TenantRetained || !s.Now().Equal(before) {
		t.Errorf("acme is %s", got)
	}
}

// The sentinel is gone, or rights hide things: nothing counts as seen to be
// gone, and the tenant doesn't close until the system can be trusted again.
func TestAbsenceThatCantBeTrustedDoesntClose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ill  func(*site)
		well func(*site)
	}{
		{"hidden rights", func(s *site) { s.world.Hide(true) }, func(s *site) { s.world.Hide(false) }},
		{"lost sentinel", func(s *site) { s.world.LoseSentinel() }, func(s *site) {
			_, err := s.AddSystem(context.Background(), "main", false, "operator")
			s.must(err)
		}},
		{"another sick system", func(s *site) { s.side.Hide(true) }, func(s *site) { s.side.Hide(false) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.onboard("acme")
			op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
			s.approve(op, "reviewer")
			s.pass(40 * day)
			s.confirm(op)
			s.pass(400 * day)
			c.ill(s)
			s.confirmIll(op)
			s.pass(2 * day)
			if got := s.state(string(s.view(op).Tenant)); got == tenure.TenantClosed || got == tenure.TenantAwaitingExpiry {
				t.Fatalf("the tenant is %s while absence can't be trusted\n%s", got, s.show(op))
			}
			for _, r := range mustTenant(s, op).Resources {
				if r.State == tenure.ResourceGone && r.Verdict != tenure.Verified {
					t.Errorf("%s is gone and %s", r.Name, r.Verdict)
				}
			}
			if v := s.view(op); v.State != tenure.OperationBlocked {
				t.Errorf("the operation is %s: %q", v.State, v.Reason)
			}
			c.well(s)
			if _, err := s.Retry(context.Background(), op, "", "operator"); err != nil {
				t.Fatalf("%v\n%s", err, s.show(op))
			}
			s.pass(time.Hour)
			s.finish(op)
			if got := s.state(string(s.view(op).Tenant)); got != tenure.TenantClosed {
				t.Errorf("with the system well again the tenant is %s\n%s", got, s.show(op))
			}
			s.audited()
		})
	}
}

func mustTenant(s *site, op tenure.OperationID) *lifecycle.TenantView {
	s.t.Helper()
	v, err := s.Tenant(context.Background(), string(s.view(op).Tenant))
	s.must(err)
	return v
}

// confirmIll tries to confirm what waits; with a sick system the counts may not
// come, which is as good.
func (s *site) confirmIll(op tenure.OperationID) {
	s.t.Helper()
	for range 2 {
		v := s.view(op)
		if v.Body == nil {
			return // forgotten: it has ended
		}
		for _, st := range v.Body.Steps {
			if st.Action != tenure.ActNoReturn {
				continue
			}
			for _, by := range []string{"reviewer", "counsel"} {
				_, _ = s.Approve(context.Background(), op, st.Key, v.Plan, by, "")
			}
		}
		s.settle()
	}
}

// passTimes lets so many spans pass, and confirms after each what waits.
func (s *site) passTimes(n int, span time.Duration, op tenure.OperationID) {
	s.t.Helper()
	for range n {
		s.pass(span)
		s.finish(op)
	}
}

// finish confirms what still waits until the operation has ended.
func (s *site) finish(op tenure.OperationID) {
	s.t.Helper()
	for range 5 {
		if s.view(op).State.Ended() {
			return
		}
		s.confirmIll(op)
		s.pass(4 * day)
	}
}
