package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func span(s string) tenure.Period {
	p, err := tenure.ParsePeriod(s)
	if err != nil {
		panic(err)
	}
	return p
}

// everywhere is a person who has roles over all tenants.
func everywhere(name string, roles ...tenure.Role) tenure.Caller {
	return over(tenure.Scope{All: true}, name, roles...)
}

func over(scope tenure.Scope, name string, roles ...tenure.Role) tenure.Caller {
	c := tenure.Caller{Name: name, Kind: tenure.CallerPerson, Strong: true, Grants: []tenure.Grant{}}
	for i, r := range roles {
		c.Grants = append(c.Grants, tenure.Grant{ID: tenure.GrantID(fmt.Sprint("grt_", i)), Role: r, Scope: scope})
	}
	return c
}

// strict is a site whose onboardings need two persons, one of them legal, and
// expire after four days.
func strict(t *testing.T) *site {
	return newSite(t, func(o *lifecycle.Options) {
		o.Approvals = []tenure.ApprovalRule{
			{Name: "two", When: tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Onboard}}, Count: 2, Expires: span("P9D"), Remind: span("P1D")},
			{Name: "team", When: tenure.ApprovalMatch{Tiers: []string{"team"}, Kinds: []tenure.OperationKind{tenure.Onboard}}, From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}, Expires: span("P4D"), Escalate: &tenure.Escalation{After: span("P2D"), Role: tenure.SecurityOfficer}},
			{Name: "elsewhere", When: tenure.ApprovalMatch{Blueprints: []string{"another"}}, Count: 9},
		}
	})
}

// ask requests an onboarding that waits at its gate.
func (s *site) ask(name, by string) (tenure.OperationID, string) {
	s.t.Helper()
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Tier: "team", Labels: map[string]string{"region": "eu"}, Parameters: map[string]any{"login": "a"}}, by)
	return op, s.view(op).Plan
}

func TestRulesStandInThePlanAndBindTheGateToRoles(t *testing.T) {
	t.Parallel()
	s := strict(t)
	ctx := context.Background()
	op, plan := s.ask("acme", "operator")
	v := s.view(op)
	i := slices.IndexFunc(v.Body.Steps, func(st tenure.Step) bool { return st.Action == tenure.ActApproval })
	want := &tenure.Gate{
		Approvals: 2, From: []tenure.Quorum{{Role: tenure.Legal, Count: 1}}, Expires: span("P4D"), Remind: span("P1D"),
		Escalate: &tenure.Escalation{After: span("P2D"), Role: tenure.SecurityOfficer}, Rules: []string{"two", "team"},
	}
	if diff := cmp.Diff(want, v.Body.Steps[i].Gate, cmp.Comparer(func(a, b tenure.Period) bool { return a == b })); diff != "" {
		t.Fatalf("the gate (-want +got):\n%s", diff)
	}
	sign := func(c tenure.Caller) error {
		_, err := s.ApproveAs(ctx, c, op, "", plan, "")
		s.settle()
		return err
	}
	eu := tenure.Scope{Labels: []string{"region=eu"}}
	wantCode(t, sign(everywhere("operator", tenure.Operator, tenure.Approver)), tenure.Forbidden, "requested this operation")
	wantCode(t, sign(everywhere("viewer", tenure.Viewer)), tenure.Forbidden, "no role of theirs")
	wantCode(t, sign(over(tenure.Scope{Labels: []string{"region=us"}}, "stranger", tenure.Legal)), tenure.NotFound, "not for you")
	weak := over(eu, "weak", tenure.Legal)
	weak.Strong = false
	wantCode(t, sign(weak), tenure.Forbidden, "stronger sign-in")
	machine := everywhere("robot", tenure.Approver)
	machine.Kind = tenure.CallerMachine
	wantCode(t, sign(machine), tenure.Forbidden, "only persons")
	s.must(sign(over(eu, "approver", tenure.Approver)))
	wantCode(t, sign(over(eu, "approver", tenure.Approver)), tenure.Conflict, "used")
	wantCode(t, sign(everywhere("second", tenure.Approver, tenure.SecurityOfficer)), tenure.Forbidden, "1 of legal")
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Fatalf("made without legal's word: %q", left)
	}
	s.must(sign(over(eu, "counsel", tenure.Legal)))
	s.wantState(op, tenure.OperationSucceeded)
	if left, err := s.db.ApprovalWaits(ctx, op); err != nil || len(left) > 0 {
		t.Errorf("gates that still wait: %v, %v", left, err)
	}
	s.audited()
}

// A gate that has opened waits no more, though the operation goes on for years.
func TestOpenGateLeavesTheInbox(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"}, "operator")
	waiting := func() (out []string) {
		list, err := s.db.ApprovalWaits(ctx, op)
		s.must(err)
		for _, w := range list {
			out = append(out, w.Step)
		}
		return out
	}
	if got := waiting(); !slices.Equal(got, []string{"approve"}) {
		t.Fatalf("waiting: %q", got)
	}
	s.approve(op, "reviewer")
	if got := waiting(); len(got) > 0 {
		t.Fatalf("after its approval there wait %q", got)
	}
	s.pass(14*day + 30*day + time.Hour)
	if got := waiting(); len(got) != 1 || !strings.HasPrefix(got[0], "noreturn/") {
		t.Fatalf("at the point of no return there wait %q", got)
	}
	s.confirm(op)
	if got := waiting(); len(got) > 0 {
		t.Fatalf("past it there wait %q", got)
	}
}

// A person with both roles takes one place: two distinct persons are two.
func TestOnePersonFillsOnePlace(t *testing.T) {
	t.Parallel()
	s := strict(t)
	op, plan := s.ask("acme", "operator")
	_, err := s.ApproveAs(context.Background(), everywhere("both", tenure.Legal, tenure.Approver), op, "", plan, "")
	s.must(err)
	s.settle()
	s.wantState(op, tenure.OperationWaiting)
	if v := s.view(op); !strings.Contains(v.Reason, "1 of 2") {
		t.Errorf("the reason is %q", v.Reason)
	}
	// With legal's place taken by who can fill it, the other may be anybody's.
	_, err = s.ApproveAs(context.Background(), everywhere("plain", tenure.Approver), op, "", plan, "")
	s.must(err)
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
}

// A plan is another plan after the smallest change, and what was signed of the old
// one is worth nothing for it.
func TestChangedPlanVoidsApprovals(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	in := lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}
	first, err := s.Plan(ctx, in, "operator")
	s.must(err)
	op, err := s.Start(ctx, first.Digest, in, "operator")
	s.must(err)
	s.settle()
	s.must(s.Steer(ctx, op.ID, "cancel", "operator"))
	s.settle()
	in.Reason = "contract lapsed, at last"
	_, again, err := s.Request(ctx, in, "operator")
	s.must(err)
	s.settle()
	_, err = s.Approve(ctx, again.ID, "", first.Digest, "reviewer", "")
	wantCode(t, err, tenure.Conflict, "the operation runs")
	// Not even a row in the store that says so opens the gate.
	s.must(s.db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Approve(tenure.Approval{Operation: again.ID, Step: "approve", Digest: first.Digest, By: "reviewer", At: s.Now()}); err != nil {
			return err
		}
		return tx.Poke(again.ID, s.Now())
	}))
	s.settle()
	if got := s.state("acme"); got != tenure.TenantActive {
		t.Fatalf("acme is %s by an approval of another plan\n%s", got, s.show(again.ID))
	}
}

// A later, laxer set of rules changes nothing about what was planned before.
func TestLaxerRulesDoNotWeakenAPlan(t *testing.T) {
	t.Parallel()
	s := strict(t)
	ctx := context.Background()
	op, plan := s.ask("acme", "operator")
	o := s.options
	o.Approvals = nil
	lax := s.service(o)
	_, err := lax.ApproveAs(ctx, everywhere("approver", tenure.Approver), op, "", plan, "")
	s.must(err)
	_, err = lax.Engine.Settle(ctx)
	s.must(err)
	s.wantState(op, tenure.OperationWaiting)
}

func TestRuleAddsAGateWhereTheBlueprintHasNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) {
		o.Approvals = []tenure.ApprovalRule{
			{Name: "suspensions", When: tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Suspend}, Environments: []string{"production"}}, Count: 1},
			{Name: "only dates", When: tenure.ApprovalMatch{Kinds: []tenure.OperationKind{tenure.Resume}}, Expires: span("P1D")},
		}
	})
	s.onboard("acme")
	op := s.request(lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme"}, "operator")
	s.wantState(op, tenure.OperationWaiting)
	if got := s.state("acme"); got != tenure.TenantActive {
		t.Fatalf("suspended with nobody's word: %s", got)
	}
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	resume := s.request(lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator")
	s.wantState(resume, tenure.OperationSucceeded)
}

// notices lists whom a tenant's notices go to.
func (s *site) notices(tenant tenure.TenantID) []string {
	s.t.Helper()
	list, err := s.db.Notices(context.Background(), tenant)
	s.must(err)
	var out []string
	for _, n := range list {
		if n.Recipient != tenure.Timeline {
			out = append(out, n.Recipient)
		}
	}
	slices.Sort(out)
	return out
}

func (s *site) tick() {
	s.t.Helper()
	s.must(s.TickApprovals(context.Background(), s.Now()))
	s.settle()
}

func TestGateRemindsOnceEscalatesOnceAndExpires(t *testing.T) {
	t.Parallel()
	s := strict(t)
	s.employ(map[string][]tenure.Role{"sam": {tenure.SecurityOfficer}})
	ctx := context.Background()
	op, plan := s.ask("acme", "operator")
	tenant := s.view(op).Tenant
	_, err := s.ApproveAs(ctx, everywhere("approver", tenure.Approver), op, "", plan, "")
	s.must(err)
	s.settle()
	s.tick()
	if got := s.notices(tenant); len(got) > 0 {
		t.Fatalf("reminded at once: %q", got)
	}
	s.pass(day + time.Minute)
	for range 3 {
		s.tick()
	}
	if got, want := s.notices(tenant), []string{"role:legal"}; !slices.Equal(got, want) {
		t.Fatalf("after a day notices went to %q, want %q: only legal's place is free", got, want)
	}
	s.pass(day)
	for range 3 {
		s.tick()
	}
	if got, want := s.notices(tenant), []string{"role:legal", "role:security-officer"}; !slices.Equal(got, want) {
		t.Fatalf("after two days notices went to %q, want %q", got, want)
	}
	s.pass(2 * day) // expired, and no Tick has come by
	_, err = s.ApproveAs(ctx, everywhere("counsel", tenure.Legal), op, "", plan, "")
	wantCode(t, err, tenure.Conflict, "within P4D")
	s.wantState(op, tenure.OperationWaiting)
	s.tick()
	v := s.view(op)
	if v.State != tenure.OperationCancelled || !strings.Contains(v.Reason, "nobody approved it within P4D") || len(v.Approvals) > 0 {
		t.Fatalf("the operation is %s: %q, with %d approvals", v.State, v.Reason, len(v.Approvals))
	}
	if got := s.state(string(tenant)); got != tenure.TenantClosed {
		t.Errorf("the tenant that was never made is %s", got)
	}
	s.tick()
	if got := s.notices(tenant); len(got) != 3 {
		t.Errorf("notices %q, want one more, to the requester", got)
	}
	s.audited()
}

// Tenure was down from before the last signature's commit was acted upon until
// after the expiry: what was signed in time stands.
func TestExpiryLeavesWhatWasSignedInTime(t *testing.T) {
	t.Parallel()
	s := strict(t)
	ctx := context.Background()
	op, plan := s.ask("acme", "operator")
	for _, c := range []tenure.Caller{everywhere("approver", tenure.Approver), everywhere("counsel", tenure.Legal)} {
		_, err := s.ApproveAs(ctx, c, op, "", plan, "")
		s.must(err)
	}
	s.clock.Add((5 * day).Microseconds())
	s.tick()
	s.wantState(op, tenure.OperationSucceeded)
}

func TestRejectionCancelsWithItsReason(t *testing.T) {
	t.Parallel()
	s := strict(t)
	ctx := context.Background()
	op, plan := s.ask("acme", "operator")
	_, err := s.ApproveAs(ctx, everywhere("approver", tenure.Approver), op, "", plan, "")
	s.must(err)
	for _, c := range []struct {
		who    tenure.Caller
		reason string
		code   tenure.Code
	}{
		{everywhere("counsel", tenure.Legal), " ", tenure.Invalid},
		{everywhere("operator", tenure.Operator, tenure.Approver), "no", tenure.Forbidden},
		{everywhere("viewer", tenure.Viewer), "no", tenure.Forbidden},
		{over(tenure.Scope{Tiers: []string{"gold"}}, "stranger", tenure.Legal), "no", tenure.NotFound},
		{everywhere("counsel", tenure.Legal), strings.Repeat("x", 1001), tenure.Invalid},
	} {
		_, err := s.Reject(ctx, c.who, op, "", c.reason)
		wantCode(t, err, c.code)
	}
	_, err = s.Reject(ctx, everywhere("counsel", tenure.Legal), op, "", "the contract isn't signed")
	s.must(err)
	_, err = s.ApproveAs(ctx, everywhere("other", tenure.Legal), op, "", plan, "")
	wantCode(t, err, tenure.Conflict, "being cancelled")
	s.settle()
	v := s.view(op)
	if v.State != tenure.OperationCancelled || v.Reason != "rejected at approve: the contract isn't signed" || len(v.Approvals) > 0 {
		t.Errorf("the operation is %s: %q, with %d approvals", v.State, v.Reason, len(v.Approvals))
	}
	_, err = s.Reject(ctx, everywhere("counsel", tenure.Legal), op, "", "again")
	wantCode(t, err, tenure.Conflict)
	log, err := s.Log(ctx, 0, 10_000, string(v.Tenant))
	s.must(err)
	if !slices.ContainsFunc(log, func(l lifecycle.LogEntry) bool { return l.Kind == "approval.reject" && l.By == "counsel" }) {
		t.Error("the log doesn't say who rejected it")
	}
	s.audited()
}

// Past the first point of no return a rejection can't bring anything back.
func TestRejectionPastThePointOfNoReturnIsBlocked(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.fill("acme-prod", 3, 3)
	op := s.leave("acme")
	s.pass(50 * day)
	s.confirm(op)
	s.pass(400 * day)
	_, err := s.Reject(context.Background(), everywhere("counsel", tenure.Legal), op, "", "wait")
	wantCode(t, err, tenure.Blocked, "past its point of no return")
}
