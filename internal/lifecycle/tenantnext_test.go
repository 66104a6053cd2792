package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// next is what is next for a tenant.
func (s *site) next(name string) (lifecycle.Next, bool) {
	s.t.Helper()
	row, err := s.db.Tenant(context.Background(), name)
	s.must(err)
	ahead, err := s.db.Ahead(context.Background(), []store.TenantRow{row}, s.Now())
	s.must(err)
	all, err := s.Next(context.Background(), ahead)
	s.must(err)
	n, ok := all[row.ID]
	return n, ok
}

// TestNext: what is next for a tenant, when, and who must act.
func TestNext(t *testing.T) {
	t.Parallel()
	s := strict(t)
	op, plan := s.ask("acme", "operator")
	n, ok := s.next("acme")
	if !ok || n.Operation != op || !strings.Contains(n.What, "waits for approval at") || !strings.Contains(n.Who, "1 of legal") || n.At.IsZero() {
		t.Errorf("at its gate: %+v", n)
	}
	for _, c := range []tenure.Caller{everywhere("approver", tenure.Approver), everywhere("counsel", tenure.Legal)} {
		_, err := s.ApproveAs(context.Background(), c, op, "", plan, "")
		s.must(err)
		if n, _ := s.next("acme"); c.Name == "approver" && n.Who != "1 of legal" {
			t.Errorf("when one of two has signed it waits for %q", n.Who)
		}
	}
	s.settle()
	if n, ok := s.next("acme"); ok {
		t.Errorf("of an active tenant that nothing is asked of: %+v", n)
	}
	leaving := s.leave("acme")
	s.settle()
	n, ok = s.next("acme")
	if v := s.view(leaving); !ok || n.Operation != leaving || n.Who != "" || !n.At.Equal(v.DueAt) || n.At.IsZero() {
		t.Errorf("of a tenant that leaves: %+v, due at %s", n, v.DueAt)
	}
}

// TestNextAtAGate: what a gate still needs is told as it stands: less with each
// signature, and more while something makes it ask for more than its plan says.
func TestNextAtAGate(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	extra := 1
	s.Engine.Extra = func(context.Context, tenure.Operation) (int, string, time.Time, error) {
		return extra, "finding fnd_1 stands", time.Time{}, nil
	}
	s.begin("acme", "small")
	s.settle()
	if n, _ := s.next("acme"); n.Who != "1 of any role that approves; 1 more than the plan says, because finding fnd_1 stands" {
		t.Errorf("with one of two signatures it waits for %q", n.Who)
	}
	extra = 0
	s.pass(time.Hour)
	if n, ok := s.next("acme"); ok && n.Who != "" {
		t.Errorf("with all its signatures it waits for %q", n.Who)
	}
}

// TestNextAtATask: a task is somebody's to do whatever else its words say, and an
// operation that isn't at one waits for nobody, though its words may read as if it did.
func TestNextAtATask(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(strings.Replace(fmt.Sprintf(blueprintText, "1.2"), "\noffboarding:", "\nonboarding:\n  tasks:\n    - {task: Check the contract, confirmedBy: another}\noffboarding:", 1))
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small@1.2", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}, "operator")
	s.approve(op, "reviewer")
	if n, _ := s.next("acme"); n.Who != "somebody with operation.steer other than operator" || !strings.Contains(n.What, "Check the contract") {
		t.Errorf("at its task: %+v", n)
	}
	row, err := s.db.Tenant(ctx, "acme")
	s.must(err)
	ahead, err := s.db.Ahead(ctx, []store.TenantRow{row}, s.Now())
	s.must(err)
	a := ahead[row.ID]
	a.Waits = nil
	all, err := s.Next(ctx, ahead)
	s.must(err)
	if n := all[row.ID]; n.Who != "" {
		t.Errorf("by its words alone it waits for %q", n.Who)
	}
}

// TestOnboardingFigures: a technical failure, an expiry, a rejection and a withdrawal
// are told apart, and the times are over all that ended.
func TestOnboardingFigures(t *testing.T) {
	t.Parallel()
	s := strict(t)
	ctx := context.Background()
	sign := func(op tenure.OperationID, plan string) {
		for _, c := range []tenure.Caller{everywhere("approver", tenure.Approver), everywhere("counsel", tenure.Legal)} {
			_, err := s.ApproveAs(ctx, c, op, "", plan, "")
			s.must(err)
		}
		s.settle()
	}
	sign(s.ask("good", "operator"))
	rejected, _ := s.ask("rejected", "operator")
	_, err := s.Reject(ctx, everywhere("counsel", tenure.Legal), rejected, "", "no contract")
	s.must(err)
	s.settle()
	withdrawn, _ := s.ask("withdrawn", "operator")
	s.must(s.Steer(ctx, withdrawn, "cancel", "operator"))
	s.settle()
	s.ask("expired", "operator")
	s.ask("open", "operator")
	s.pass(time.Hour)
	f, err := s.Fleet(ctx, store.All)
	s.must(err)
	if o := f.Onboarding; o.Runs != 3 || o.Settled != 1 || o.Rejected != 1 || o.Withdrawn != 1 || o.Failed+o.Expired != 0 {
		t.Errorf("the figures are %+v", o)
	}
	s.pass(5 * day)
	s.tick()
	f, err = s.Fleet(ctx, store.All)
	s.must(err)
	if o := f.Onboarding; o.Runs != 5 || o.Expired != 2 || o.Failed != 0 || o.P95 < 4*day {
		t.Errorf("after two expired the figures are %+v", o)
	}
	if !f.CountedAt.Equal(s.Now()) {
		t.Errorf("they are as of %s", f.CountedAt)
	}
}
