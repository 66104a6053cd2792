package lifecycle_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// The same trigger, however often and however concurrently, is one operation.
func TestSameTriggerIsOneOperation(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	ids := make(chan tenure.OperationID, 16)
	var wg sync.WaitGroup
	for range cap(ids) {
		wg.Go(func() {
			_, op, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r", Trigger: "crm/event/17"}, "operator")
			if err != nil {
				t.Error(err)
			}
			ids <- op.ID
		})
	}
	wg.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("one trigger gave %s and %s", first, id)
		}
	}
	ops, err := s.Operations(ctx, "acme", true, 0)
	s.must(err)
	if len(ops) != 1 {
		t.Errorf("%d operations are open, want 1", len(ops))
	}
	s.settle()
	s.audited()
}

// A paused operation does nothing until it may go on; a cancelled onboarding
// takes back what it made.
func TestPauseContinueAndCancel(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	wantCode(t, s.Steer(ctx, op, "stop", "operator"), tenure.Invalid, "stop")
	s.must(s.Steer(ctx, op, "pause", "operator"))
	s.approve(op, "reviewer")
	s.pass(day)
	s.wantState(op, tenure.OperationPaused)
	if made := things(s.world, "acme-"); len(made) > 0 {
		t.Fatalf("a paused operation made %q", made)
	}
	// It stops again in the middle, and goes on from there.
	var once sync.Once
	hook := func(r connector.Ref) {
		if r.Type == "store" {
			once.Do(func() {
				if err := s.Steer(ctx, op, "pause", "operator"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	s.onCall.Store(&hook)
	s.must(s.Steer(ctx, op, "continue", "operator"))
	s.settle()
	s.wantState(op, tenure.OperationPaused)
	some := len(things(s.world, "acme-"))
	if some == 0 || some == 8 {
		t.Fatalf("paused in the middle, %d things are made", some)
	}
	s.must(s.Steer(ctx, op, "cancel", "operator"))
	s.settle()
	s.wantState(op, tenure.OperationCancelled)
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("cancelled, it left %q", left)
	}
	if got := lastState(s, op); got != tenure.TenantClosed {
		t.Errorf("the tenant is %s", got)
	}
	wantCode(t, s.Steer(ctx, op, "continue", "operator"), tenure.Conflict, "ended")
	s.audited()
}

// Two operations that touch the same resources don't work at once, and one that
// waits for months keeps nobody out.
func TestExclusionAndTheOneThatWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	s.publishText(strings.NewReplacer(`"%s"`, `"1.1"`).Replace(blueprintText))
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-prod-seats"}) // the change stays at work, in backoff
	_, change, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 7}}, "operator")
	s.must(err)
	s.settle()
	s.wantState(change.ID, tenure.OperationRunning)
	_, _, err = s.Request(ctx, lifecycle.Intent{Kind: tenure.Suspend, Tenant: "acme"}, "operator")
	wantCode(t, err, tenure.Conflict, string(change.ID))
	s.world.Heal()
	s.pass(time.Hour)
	s.wantState(change.ID, tenure.OperationSucceeded)

	// The offboarding waits in its grace; drift is repaired meanwhile.
	leaving := s.leave("acme")
	s.wantState(leaving, tenure.OperationWaiting)
	s.world.Remove("setting", "acme-prod-seats")
	repair := s.run(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"})
	s.wantState(repair, tenure.OperationSucceeded)
	// A second offboarding of the same tenant is refused by name.
	_, _, err = s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "again"}, "operator")
	wantCode(t, err, tenure.Conflict)
	s.audited()
}

// An operation that comes due while another is at work on the same resources
// waits for it by name, and goes on when it has ended.
func TestDueWhileAnotherIsAtWorkWaitsByName(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	leaving := s.leave("acme")
	s.pass(14*day - time.Minute)
	s.world.Remove("setting", "acme-prod-seats")
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-prod-seats", Times: 9})
	_, repair, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
	s.must(err)
	s.pass(2 * time.Minute)
	if v := s.view(leaving); v.State != tenure.OperationWaiting || !strings.Contains(v.Reason, string(repair.ID)) {
		t.Fatalf("the offboarding is %s: %q, and should wait for %s", v.State, v.Reason, repair.ID)
	}
	s.pass(time.Hour)
	s.wantState(repair.ID, tenure.OperationSucceeded)
	if got := s.state("acme"); got != tenure.TenantRetained {
		t.Errorf("acme is %s\n%s", got, s.show(leaving))
	}
	s.audited()
}

// Two processes over one store: an answer that comes after its lease was lost
// is refused, and what the other one did stands.
func TestLateAnswerOfALostLeaseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	_, err := s.Approve(ctx, op, "", s.view(op).Plan, "reviewer", "")
	s.must(err)
	entered, let := make(chan struct{}), make(chan struct{})
	var taken atomic.Bool
	hook := func(r connector.Ref) {
		if r.Type == "store" && r.Name == "acme-prod" && taken.CompareAndSwap(false, true) {
			close(entered)
			<-let
		}
	}
	s.onCall.Store(&hook)
	o := s.options
	o.Owner = "second"
	second := s.service(o)
	done := make(chan error, 1)
	go func() { _, err := s.Engine.Advance(ctx, op); done <- err }()
	<-entered
	// On SQLite one engine decides at a time: the first has nothing but the hung
	// step left before the second takes over.
	for alone := false; !alone; time.Sleep(time.Millisecond) {
		alone = true
		for _, st := range s.view(op).Steps {
			hung := st.Key == "prod/store/ensure"
			below := hung || strings.HasPrefix(st.Key, "prod/admin") || strings.HasPrefix(st.Key, "prod/api")
			ensures := strings.HasSuffix(st.Key, "/ensure")
			alone = alone && (hung || st.State != tenure.StepRunning) && (below || !ensures || st.State == tenure.StepDone)
		}
	}
	// The first one's machine stands still for as long as a lease lasts.
	lapse := func() {
		s.must(s.db.Write(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`update step set lease_until = 1 where operation = $1 and state = 'running'`, string(op))
			return err
		}))
	}
	lapse()
	for range 50 {
		if _, err := second.Engine.Settle(ctx); err != nil {
			t.Fatal(err)
		}
		if s.view(op).State == tenure.OperationSucceeded {
			break
		}
		lapse()
	}
	s.wantState(op, tenure.OperationSucceeded)
	before := s.view(op)
	size, err := s.db.LogSize(ctx)
	s.must(err)
	close(let)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	after := s.view(op)
	for i, st := range after.Steps {
		if st.Key == "prod/store/ensure" && (st.Owner != "second" || st.Token != before.Steps[i].Token || st.EndedAt != before.Steps[i].EndedAt) {
			t.Errorf("the late answer was taken: %+v", st)
		}
	}
	if now, err := s.db.LogSize(ctx); err != nil || now != size {
		t.Errorf("the late answer wrote %d entries (%v)", now-size, err)
	}
	if got := len(things(s.world, "acme-")); got != 8 {
		t.Errorf("there are %d things, want 8", got)
	}
	s.audited()
}

// An answer that comes after its lease was lost is refused also when the rows were read
// again in between, and with them the token of who holds the step now.
func TestLateAnswerAfterTheRowsWereReadAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	text := strings.Replace(classesText("rows"), "failure: park", "  - {key: more, system: main, type: rows, name: \"${tenant.name}-more\", data: [aa]}\nfailure: park", 1)
	s.publishText(text)
	s.wantState(s.begin("acme", "classes-rows"), tenure.OperationSucceeded)
	op := s.leave("acme")
	s.pass(15 * day)
	calls := map[string]int{}
	var mu sync.Mutex
	both, again := make(chan struct{}), make(chan struct{})
	var f watcher = func(call string, r connector.Ref, _ string, do func() error) error {
		mu.Lock()
		calls[r.Name]++
		n := calls[r.Name]
		mu.Unlock()
		switch {
		case call != "erase" || n > 2:
		case r.Name == "acme-more" && n == 1: // answers when the other one's step is under way again
			close(both)
			<-again
			return tenure.Errorf(tenure.Internal, "too late")
		case r.Name == "acme-data" && n == 1:
			<-both
			err := s.db.Write(context.Background(), func(tx *store.Tx) error {
				_, err := tx.Exec(`update step set lease_until = 1, token = token + 1 where operation = $1 and state = 'running'`, string(op))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		case r.Name == "acme-data" && n == 2:
			close(again)
		}
		return do()
	}
	s.watch.Store(&f)
	s.confirmAt(op, "noreturn/aa")
	s.pass(time.Hour)
	if r := s.row(op, "prod/more/erase/aa"); r.State != tenure.StepDone {
		t.Errorf("the step is %s: %s", r.State, r.Error)
	}
}
