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

// next is what is next for a tenant.
func (s *site) next(name string) (lifecycle.Next, bool) {
	s.t.Helper()
	row, err := s.db.Tenant(context.Background(), name)
	s.must(err)
	ahead, err := s.db.Ahead(context.Background(), []store.TenantRow{row}, s.Now())
	s.must(err)
	return lifecycle.NextOf(ahead[row.ID])
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
