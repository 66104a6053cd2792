package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

const day = 24 * time.Hour

// toErasure brings acme with 100 orders in production to the confirmed point of
// no return of its orders, and runs nothing beyond it: before is called at the
// last moment.
func toErasure(s *site, before func()) tenure.OperationID {
	s.t.Helper()
	s.Engine.BatchRows = 10
	s.onboard("acme")
	s.fill("acme-prod", 100, 5)
	op := s.leave("acme")
	s.pass(15 * day)
	s.pass(35 * day)
	before()
	s.approve(op, "reviewer", "counsel")
	return op
}

// A court's hold that comes while rows are being erased must save what is left.
func TestHoldStopsARunningErasureBeforeItsNextBatch(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	var batches atomic.Int32
	var placed tenure.Hold
	var once sync.Once
	hook := func(r connector.Ref) {
		if r.Name != "acme-prod" || batches.Add(1) < 3 {
			return
		}
		once.Do(func() {
			v, err := s.Tenant(ctx, "acme")
			if err == nil {
				placed, err = s.PlaceHold(ctx, tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: v.ID}}, "counsel")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	op := toErasure(s, func() { s.onErase.Store(&hook) })
	if got := s.rows("acme-prod", "orders"); got != 70 {
		t.Fatalf("%d orders are left after the hold came in the third batch of 10, want 70\n%s", got, s.show(op))
	}
	if v := s.view(op); v.State != tenure.OperationWaiting || !strings.Contains(v.Reason, string(placed.ID)) {
		t.Fatalf("the operation is %s: %q, and should wait for hold %s", v.State, v.Reason, placed.ID)
	}
	if !placed.EffectiveAt.IsZero() {
		t.Error("the hold said that it was effective while a batch was in flight")
	}
	held, err := s.Holds(ctx, "acme", false)
	s.must(err)
	if len(held) != 1 || held[0].EffectiveAt.IsZero() {
		t.Errorf("the hold isn't effective after the batch has drained: %+v", held)
	}
	s.pass(2 * day)
	if got := s.rows("acme-prod", "orders"); got != 70 {
		t.Fatalf("%d orders are left under the hold, want 70", got)
	}
	// One person's word, and the same person's twice, releases nothing.
	_, err = s.ReleaseHold(ctx, placed.ID, "counsel")
	s.must(err)
	_, err = s.ReleaseHold(ctx, placed.ID, "counsel")
	wantCode(t, err, tenure.Forbidden, "second person")
	s.settle()
	if got := s.rows("acme-prod", "orders"); got != 70 {
		t.Fatalf("%d orders are left after one person's release, want 70", got)
	}
	_, err = s.ReleaseHold(ctx, placed.ID, "director")
	s.must(err)
	s.settle()
	if got := s.rows("acme-prod", "orders"); got > 0 {
		t.Fatalf("%d orders are left after the release by two\n%s", got, s.show(op))
	}
	i := slices.IndexFunc(s.view(op).Steps, func(r store.StepRow) bool { return r.Key == "prod/store/erase/orders" })
	if rec := s.view(op).Steps[i].Receipt; !strings.Contains(rec, `"orders":100`) {
		t.Errorf("the receipt doesn't count all 100 rows over the interruption: %s", rec)
	}
	s.audited()
}

// A hold on another tenant or another class stands in nobody's way.
func TestHoldBindsInItsScopeAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := toErasure(s, func() {
		s.onboard("other")
		o, err := s.Tenant(ctx, "other")
		s.must(err)
		_, err = s.PlaceHold(ctx, tenure.Hold{Matter: "case 8", Scope: tenure.HoldScope{Tenant: o.ID}}, "counsel")
		s.must(err)
		a, err := s.Tenant(ctx, "acme")
		s.must(err)
		_, err = s.PlaceHold(ctx, tenure.Hold{Matter: "case 9", Scope: tenure.HoldScope{Tenant: a.ID, Class: "invoices"}}, "counsel")
		s.must(err)
	})
	if got := s.rows("acme-prod", "orders"); got != 0 {
		t.Errorf("%d orders are left, which no hold covers\n%s", got, s.show(op))
	}
	s.pass(2 * 366 * day)
	if got := s.rows("acme-prod", "invoices"); got != 5 {
		t.Errorf("%d invoices are left under their hold, want 5\n%s", got, s.show(op))
	}
}

func TestHoldWithoutScopeOrMatterIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	_, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 1"}, "counsel")
	wantCode(t, err, tenure.Invalid, "scope")
	_, err = s.PlaceHold(ctx, tenure.Hold{Matter: " ", Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
	wantCode(t, err, tenure.Invalid, "matter")
	_, err = s.PlaceHold(ctx, tenure.Hold{Matter: "case 1", Scope: tenure.HoldScope{Tenant: "nobody"}}, "counsel")
	wantCode(t, err, tenure.NotFound)
	_, err = s.PlaceHold(ctx, tenure.Hold{Matter: "case 1", Scope: tenure.HoldScope{Class: "orders"}}, "")
	wantCode(t, err, tenure.Unauthorized)
	held, err := s.Holds(ctx, "", true)
	s.must(err)
	if len(held) != 0 {
		t.Errorf("refused holds were kept: %+v", held)
	}
}
