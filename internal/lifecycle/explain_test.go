package lifecycle_test

import (
	"context"
	"testing"

	"github.com/tenurehq/tenure"
)

// A clock is shown as held where the engine keeps its gate shut, and not where a
// hold keeps but a part of what the class has.
func TestClockIsHeldAsItsGateIs(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	held := func(want tenure.ClockState, when string) {
		t.Helper()
		v, err := s.Tenant(ctx, "acme")
		s.must(err)
		for _, c := range v.Clocks {
			if c.Class == "orders" && c.State != want {
				t.Errorf("%s the clock of orders is %s (%s), want %s", when, c.State, c.Because, want)
			}
		}
		if len(v.Clocks) == 0 {
			t.Errorf("%s no clock is shown", when)
		}
	}
	op := s.leave("acme")
	s.pass(20 * day)
	held(tenure.ClockKeep, "without a hold")
	v, err := s.Tenant(ctx, "acme")
	s.must(err)
	scope := tenure.HoldScope{Tenant: v.ID}
	for _, r := range v.Resources {
		if r.Environment == "prod" && r.Key == "store" {
			scope.Resource = r.ID
		}
	}
	place := func(scope tenure.HoldScope) tenure.HoldID {
		h, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 1", Scope: scope}, "counsel")
		s.must(err)
		s.settle()
		return h.ID
	}
	place(scope)
	held(tenure.ClockKeep, "under a hold on one of two stores")
	s.pass(40 * day)
	if s.row(op, "clock/orders").State != tenure.StepDone {
		t.Fatalf("a hold on one store keeps the gate of both shut\n%s", s.show(op))
	}
	place(tenure.HoldScope{Tenant: v.ID, System: "main"})
	held(tenure.ClockHeld, "under a hold on the system of both stores")
}
