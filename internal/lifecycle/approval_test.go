package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func TestApprovalIsAnothersForThisPlanOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	_, row, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	s.must(err)
	s.settle()
	op, plan := row.ID, row.Plan
	other := s.begin("other", "small")

	for _, c := range []struct {
		name, gate, digest, by string
		code                   tenure.Code
		says                   string
	}{
		{"nobody", "", plan, "", tenure.Unauthorized, "nobody is named"},
		{"the requester", "", plan, "operator", tenure.Forbidden, "requested this operation"},
		{"no digest", "", "", "reviewer", tenure.Invalid, "none was given"},
		{"a few letters", "", plan[:9], "reviewer", tenure.Conflict, ""},
		{"another plan's digest", "", s.view(other).Plan, "reviewer", tenure.Conflict, "the operation runs " + plan},
		{"a changed digest", "", plan[:len(plan)-1] + flip(plan[len(plan)-1]), "reviewer", tenure.Conflict, "the operation runs"},
		{"a gate that isn't there", "noreturn/orders", plan, "reviewer", tenure.NotFound, "no such gate"},
		{"a step that is no gate", "prod/store/ensure", plan, "reviewer", tenure.NotFound, "no such gate"},
		{"a name without end", "", plan, strings.Repeat("x", 201), tenure.Invalid, "at most 200"},
	} {
		_, err := s.Approve(ctx, op, c.gate, c.digest, c.by, "")
		if tenure.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%s), want %s saying %q", c.name, err, tenure.CodeOf(err), c.code, c.says)
		}
	}
	s.settle()
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Fatalf("made without an approval: %q", left)
	}
	if v := s.view(op); len(v.Approvals) != 0 || v.State != tenure.OperationWaiting {
		t.Fatalf("refused approvals count: %+v, %s", v.Approvals, v.State)
	}
	_, err = s.Approve(ctx, op, "", plan, "reviewer", "")
	s.must(err)
	_, err = s.Approve(ctx, op, "", plan, "reviewer", "")
	wantCode(t, err, tenure.Conflict, "the approval is used")
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	_, err = s.Approve(ctx, op, "approve", plan, "third", "")
	wantCode(t, err, tenure.Conflict, "its approvals are used")
	_, err = s.Approve(ctx, op, "", plan, "third", "")
	wantCode(t, err, tenure.Conflict)
	s.audited()
}

func flip(b byte) string {
	if b == '0' {
		return "1"
	}
	return "0"
}

// Two persons confirm a point of no return; one person's word twice is one.
func TestPointOfNoReturnTakesTwoPersonsAndFreshCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.fill("acme-prod", 30, 5)
	op := s.leave("acme")
	s.pass(14*day + 30*day + time.Hour) // the counts were just taken
	plan := s.view(op).Plan
	_, err := s.Approve(ctx, op, "", plan, "operator", "")
	wantCode(t, err, tenure.Forbidden)
	_, err = s.Approve(ctx, op, "", plan, "reviewer", "")
	s.must(err)
	_, err = s.Approve(ctx, op, "", plan, "reviewer", "")
	wantCode(t, err, tenure.Conflict, "used")
	s.settle()
	if got := s.rows("acme-prod", "orders"); got != 30 {
		t.Fatalf("%d orders are left after one person's confirmation, want 30", got)
	}
	// The first word grows old: 73 hours later both must look again.
	s.pass(73 * time.Hour)
	_, err = s.Approve(ctx, op, "", plan, "counsel", "")
	wantCode(t, err, tenure.Conflict, "taken again")
	s.settle()
	_, err = s.Approve(ctx, op, "", plan, "counsel", "")
	s.must(err)
	s.settle()
	if got := s.rows("acme-prod", "orders"); got != 30 {
		t.Fatalf("a stale confirmation counted: %d orders are left, want 30\n%s", got, s.show(op))
	}
	_, err = s.Approve(ctx, op, "", plan, "reviewer", "")
	s.must(err)
	s.settle()
	if got := s.rows("acme-prod", "orders"); got != 0 {
		t.Fatalf("%d orders are left after both confirmed\n%s", got, s.show(op))
	}
	s.audited()
}

func TestAuthorPublishesNothingAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	b, err := s.SubmitBlueprint(ctx, []byte(sideText), "side.yaml", "author")
	s.must(err)
	_, err = s.PublishBlueprint(ctx, b.Digest, "author")
	wantCode(t, err, tenure.Forbidden, "can't publish it alone")
	_, err = s.PublishBlueprint(ctx, "side", "reviewer")
	wantCode(t, err, tenure.Invalid, "names no revision")
	_, err = s.Plan(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: b.Digest}, "operator")
	wantCode(t, err, tenure.Blocked, "draft")
	_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
	s.must(err)
	// A published number never means another content.
	_, err = s.SubmitBlueprint(ctx, []byte(strings.Replace(sideText, "P7D", "P8D", 1)), "side.yaml", "author")
	wantCode(t, err, tenure.Conflict)
}

// What can't be right is refused with the reason, and nothing is kept of it.
func TestBadIntentsAreRefusedAndNothingIsDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	before, err := s.Operations(ctx, "", false, 0)
	s.must(err)
	ok := map[string]any{"login": "a"}
	someTenant, err := s.Tenant(ctx, "acme")
	s.must(err)
	for _, c := range []struct {
		name string
		in   lifecycle.Intent
		by   string
		code tenure.Code
		says string
	}{
		{"nobody asks", lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme"}, "", tenure.Unauthorized, "nobody"},
		{"no kind", lifecycle.Intent{Tenant: "acme"}, "operator", tenure.Invalid, ""},
		{"an unknown kind", lifecycle.Intent{Kind: "destroy", Tenant: "acme"}, "operator", tenure.Invalid, "destroy"},
		{"no tenant", lifecycle.Intent{Kind: tenure.Offboard}, "operator", tenure.NotFound, ""},
		{"an unknown tenant", lifecycle.Intent{Kind: tenure.Offboard, Tenant: "nobody"}, "operator", tenure.NotFound, "nobody"},
		{"an operation's id", lifecycle.Intent{Kind: tenure.Offboard, Tenant: string(before[0].ID)}, "operator", tenure.Invalid, ""},
		{"a resource's id", lifecycle.Intent{Kind: tenure.Offboard, Tenant: string(someTenant.Resources[0].ID)}, "operator", tenure.Invalid, ""},
		{"a missing parameter", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Blueprint: "small", Tier: "team"}, "operator", tenure.Invalid, "login"},
		{"a blank parameter", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Blueprint: "small", Parameters: map[string]any{"login": ""}}, "operator", tenure.Invalid, "login"},
		{"a wrong parameter", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Blueprint: "small", Parameters: map[string]any{"login": "a", "seats": 0}}, "operator", tenure.Invalid, "seats"},
		{"an unknown parameter", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Blueprint: "small", Parameters: map[string]any{"login": "a", "seets": 3}}, "operator", tenure.Invalid, "seets"},
		{"a parameter that is a secret", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Blueprint: "small", Parameters: map[string]any{"login": "postgres://app:" + "hunter2@db.example/app"}}, "operator", tenure.Invalid, "login looks like an address with a password"},
		{"a bad name", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "Two; drop", Blueprint: "small", Parameters: ok}, "operator", tenure.Invalid, "not allowed"},
		{"a blank name", lifecycle.Intent{Kind: tenure.Onboard, Tenant: " ", Blueprint: "small", Parameters: ok}, "operator", tenure.Invalid, "needs a name"},
		{"a name in use", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Parameters: ok}, "operator", tenure.Conflict, "already"},
		{"no blueprint", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Parameters: ok}, "operator", tenure.Invalid, "blueprint"},
		{"an unknown blueprint", lifecycle.Intent{Kind: tenure.Onboard, Tenant: "two", Blueprint: "large", Parameters: ok}, "operator", tenure.NotFound, "large"},
		{"resume what is active", lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator", tenure.Conflict, "active"},
		{"reinstate what is active", lifecycle.Intent{Kind: tenure.Reinstate, Tenant: "acme"}, "operator", tenure.Conflict, "active"},
		{"repair what is well", lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator", tenure.Conflict, "nothing to repair"},
		{"change nothing", lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: ok}, "operator", tenure.Conflict, ""},
	} {
		_, _, err := s.Request(ctx, c.in, c.by)
		switch {
		case c.name == "change nothing" && err == nil: // another login is a change
		case tenure.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: %v (%s), want %s saying %q", c.name, err, tenure.CodeOf(err), c.code, c.says)
		}
	}
	after, err := s.Operations(ctx, "", false, 0)
	s.must(err)
	if len(after) > len(before)+1 {
		t.Errorf("refused intents started %d operations", len(after)-len(before))
	}
	all, err := s.Tenants(ctx, store.TenantFilter{})
	s.must(err)
	if len(all) != 1 {
		t.Errorf("there are %d tenants, want 1", len(all))
	}
}

// A plan whose ground has moved isn't run: the person who read it read of
// another world.
func TestPlanWhoseGroundMovedIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	p, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"}, "operator")
	s.must(err)
	q, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme"}, "operator")
	s.must(err)
	_, err = s.Start(ctx, q.Digest, lifecycle.Intent{}, "operator")
	s.must(err)
	s.settle()
	if got := s.state("acme"); got != tenure.TenantSuspended {
		t.Fatalf("acme is %s", got)
	}
	// The same plan again is the same operation, not a second suspension.
	ops, err := s.Operations(ctx, "acme", false, 0)
	s.must(err)
	_, err = s.Start(ctx, q.Digest, lifecycle.Intent{}, "operator")
	s.must(err)
	again, err := s.Operations(ctx, "acme", false, 0)
	s.must(err)
	if len(again) != len(ops) {
		t.Errorf("starting one plan twice made %d operations", len(again)-len(ops)+1)
	}
	r, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator")
	s.must(err)
	_, err = s.Start(ctx, r.Digest, lifecycle.Intent{}, "operator")
	s.must(err)
	s.settle()
	// p was made for an active tenant, and it is active again: it may run. A plan
	// made before another revision was bound may not.
	s.publishText(strings.Replace(strings.Replace(blueprintText, `"%s"`, `"1.1"`, 1), "default: 5", "default: 6", 1))
	up, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Upgrade, Tenant: "acme", Blueprint: "small@1.1"}, "operator")
	s.must(err)
	_, err = s.Start(ctx, up.Digest, lifecycle.Intent{}, "operator")
	s.must(err)
	s.settle()
	_, err = s.Start(ctx, p.Digest, lifecycle.Intent{}, "operator")
	wantCode(t, err, tenure.Conflict, "another revision")
	_, err = s.Start(ctx, "sha256:"+strings.Repeat("0", 64), lifecycle.Intent{}, "operator")
	wantCode(t, err, tenure.NotFound)
}

// Somebody who mistook a list for another stops after ten.
func TestBudgetOfDestructiveOperations(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) { o.Budget = lifecycle.Budget{Person: 2, Blueprint: 3} })
	ctx := context.Background()
	names := []string{"a", "b", "c", "d"}
	for _, n := range names {
		s.begin(n, "small")
	}
	ask := func(name, by string) error {
		_, _, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: name, Reason: "r"}, by)
		return err
	}
	s.must(ask("a", "operator"))
	s.must(ask("b", "operator"))
	wantCode(t, ask("c", "operator"), tenure.Blocked, "operator", "the budget is 2")
	s.must(ask("c", "second"))
	wantCode(t, ask("d", "second"), tenure.Blocked, "blueprint small", "the budget is 3")
	if got := s.state("d"); got != tenure.TenantActive {
		t.Errorf("d is %s", got)
	}
	s.pass(61 * time.Minute)
	s.must(ask("d", "operator"))
}
