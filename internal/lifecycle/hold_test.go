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
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
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

// A hold on one class that comes before the hand-over ends keeps that class, and not
// the others.
func TestEarlyHoldOnAClassKeepsThatClassAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.fill("acme-prod", 20, 5)
	op := s.leave("acme")
	_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 9", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant, Class: "invoices"}}, "counsel")
	s.must(err)
	s.pass(60 * day)
	s.finish(op)
	if got := s.rows("acme-prod", "orders"); got != 0 {
		t.Errorf("%d orders are left, which no hold covers\n%s", got, s.show(op))
	}
	if got := s.rows("acme-prod", "invoices"); got != 5 {
		t.Errorf("%d invoices are left under their hold, want 5\n%s", got, s.show(op))
	}
}

// A hold that names what the tenant doesn't have would keep nothing, and look as if it did.
func TestHoldOnNothingIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("store", 2)
	id := s.view(op).Tenant
	for _, scope := range []tenure.HoldScope{{Tenant: id, Class: "clas-a"}, {Tenant: id, System: "cor"}, {Tenant: id, Environment: "nowhere"}} {
		_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 1", Scope: scope}, "counsel")
		wantCode(t, err, tenure.Invalid, "the tenant has nothing")
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

// A process is killed in a batch, and a hold comes: nothing more goes, and the hold
// becomes effective with what the dead process had taken, to the row.
func TestHoldAfterAKillCountsToTheRow(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.classes("rows", 100)
	s.pass(15 * day)
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.LockedBy = "somebody" })
	s.confirmAt(op, "noreturn/aa") // the first attempt finds the rows locked
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.LockedBy = "" })
	const key = "prod/data/erase/aa"
	row, o := s.row(op, key), s.view(op)
	s.must(s.db.CommitSteps(ctx, &store.StepCommit{ // another process claims it, takes 37 rows and dies
		Operation: op, Version: o.Version, State: tenure.OperationRunning, Now: s.Now(), By: "dead",
		Claims: []store.StepClaim{{Seq: row.Seq, Token: row.Token, From: row.State, Owner: "dead", Lease: -time.Second}},
	}))
	rows, err := s.db.Resources(ctx, o.Tenant, false)
	s.must(err)
	sys, err := s.Engine.System("main")
	s.must(err)
	ref := connector.Ref{Resource: rows[0].ID, Tenant: o.Tenant, Type: "rows", Name: "acme-data", Classes: []string{"aa", "bb", "cc"}}
	_, err = sys.Erase(ctx, ref, connector.Batch{Run: string(op) + "/" + key, Class: "aa", Limit: 37})
	s.must(err)
	h, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: o.Tenant, Class: "aa"}}, "counsel")
	s.must(err)
	if !h.EffectiveAt.IsZero() {
		t.Error("the hold said that it was effective, and nobody knew what the dead process had taken")
	}
	s.pass(day)
	if got := s.held("rows", "aa"); got != 63 {
		t.Fatalf("%d rows of aa are left under the hold, want 63\n%s", got, s.show(op))
	}
	held, err := s.Holds(ctx, "acme", false)
	s.must(err)
	if held[0].EffectiveAt.IsZero() || !strings.Contains(held[0].AlreadyGone, "aa 37") || strings.Contains(held[0].AlreadyGone, "at least") {
		t.Errorf("the hold doesn't know what was gone: %+v\n%s", held[0], s.show(op))
	}
	s.audited()
}

// A hold over every tenant becomes effective too, and says what was gone.
func TestHoldOverAllTenantsBecomesEffective(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.Engine.BatchRows = 10
	op := s.classes("rows", 100)
	s.pass(15 * day)
	var once sync.Once
	batches := 0
	hook := func(connector.Ref) {
		if batches++; batches < 3 {
			return
		}
		once.Do(func() {
			_, err := s.service(s.options).PlaceHold(ctx, tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "aa"}}, "counsel")
			if err != nil {
				t.Error(err)
			}
		})
	}
	s.onErase.Store(&hook)
	s.confirmAt(op, "noreturn/aa")
	if got := s.held("rows", "aa"); got != 70 {
		t.Fatalf("%d rows of aa are left after the hold came in the third batch of 10, want 70\n%s", got, s.show(op))
	}
	held, err := s.Holds(ctx, "", false)
	s.must(err)
	if len(held) != 1 || held[0].EffectiveAt.IsZero() || !strings.Contains(held[0].AlreadyGone, "aa 30") {
		t.Errorf("the hold isn't effective with what was gone: %+v", held)
	}
}

// A hold stops every way of destroying, also those that name no class or no system:
// keys, hand-overs, backups that Tenure rotates, the end of a quarantine.
func TestHoldStopsEveryWayOfDestroying(t *testing.T) {
	t.Parallel()
	crypto := strings.NewReplacer("name: kept", "name: sealed", "orders:\n    disposition: purge", "orders:\n    disposition: crypto-erase").Replace(keptText)
	for name, scope := range map[string]func(o tenure.TenantID, store tenure.ResourceID) tenure.HoldScope{
		"tenant": func(o tenure.TenantID, _ tenure.ResourceID) tenure.HoldScope { return tenure.HoldScope{Tenant: o} },
		"class": func(o tenure.TenantID, _ tenure.ResourceID) tenure.HoldScope {
			return tenure.HoldScope{Tenant: o, Class: "orders"}
		},
		"system": func(o tenure.TenantID, _ tenure.ResourceID) tenure.HoldScope {
			return tenure.HoldScope{Tenant: o, System: "main"}
		},
		"resource": func(o tenure.TenantID, r tenure.ResourceID) tenure.HoldScope {
			return tenure.HoldScope{Tenant: o, Resource: r}
		},
		"all": func(tenure.TenantID, tenure.ResourceID) tenure.HoldScope {
			return tenure.HoldScope{System: "main", Class: "orders"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			ctx := context.Background()
			s.publishText(crypto)
			op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "sealed", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
			s.approve(op, "reviewer")
			s.fill("acme-prod", 20, 5)
			s.fill("acme-test", 20, 5)
			s.world.AddCopy("backup", "acme-prod-backup", connector.Copy{Where: "vault/1", Expires: s.Now().Add(100 * day)})
			leaving := s.leave("acme")
			s.pass(20 * day)
			var held tenure.ResourceID
			rows, err := s.db.Resources(ctx, s.view(leaving).Tenant, false)
			s.must(err)
			for _, r := range rows {
				if r.Environment == "prod" && r.Key == "store" {
					held = r.ID
				}
			}
			hold, err := s.PlaceHold(ctx, tenure.Hold{Matter: "case 7", Scope: scope(s.view(leaving).Tenant, held)}, "counsel")
			s.must(err)
			for range 6 { // long past everything; whoever confirms what may be confirmed
				s.pass(200 * day)
				s.finish(leaving)
			}
			if got := s.rows("acme-prod", "orders"); got != 20 {
				t.Errorf("%d orders are left under the hold\n%s", got, s.show(leaving))
			}
			th, _ := s.world.Get("backup", "acme-prod-backup")
			if name != "resource" && len(th.Copies) != 1 {
				t.Error("the backup's copy went under the hold")
			}
			keys, err := s.Keys(ctx, "acme")
			s.must(err)
			for _, k := range keys {
				if k.State != keystore.Active {
					t.Errorf("key %s was destroyed under the hold", k.Key)
				}
			}
			for _, r := range s.view(leaving).Steps {
				if r.Key == "handover/drop" && r.State != tenure.StepPending {
					t.Errorf("the hand-over's files went under the hold: %s", r.State)
				}
			}
			for _, by := range []string{"counsel", "director"} {
				_, err := s.ReleaseHold(ctx, hold.ID, by)
				s.must(err)
			}
			for range 8 {
				s.pass(200 * day)
				s.finish(leaving)
			}
			s.wantState(leaving, tenure.OperationSucceeded)
			s.audited()
		})
	}
}
