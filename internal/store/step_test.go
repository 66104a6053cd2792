package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// claim is the commit by which an owner takes a step as it was read.
func claim(op store.NewOperation, version int64, owner string, from tenure.StepState, token int64, lease time.Duration) *store.StepCommit {
	return &store.StepCommit{
		Operation: op.ID, Version: version, State: tenure.OperationRunning, DueAt: start, Now: start,
		Claims: []store.StepClaim{{Seq: 0, Token: token, From: from, Owner: owner, Lease: lease}},
	}
}

// result is the commit of how step 0 ended under a token.
func result(op store.NewOperation, version, token int64, verdict tenure.Verdict) *store.StepCommit {
	return &store.StepCommit{
		Operation: op.ID, Version: version, State: tenure.OperationRunning, DueAt: start, Now: start,
		Results: []store.StepResult{{Seq: 0, Token: token, State: tenure.StepDone, Verdict: verdict, Receipt: "by token " + fmt.Sprint(token)}},
	}
}

func (f *fixture) step(op tenure.OperationID) store.StepRow {
	f.t.Helper()
	steps, err := f.Steps(context.Background(), op)
	f.must(err)
	return steps[0]
}

func (f *fixture) version(op tenure.OperationID) int64 {
	f.t.Helper()
	row, err := f.Operation(context.Background(), op)
	f.must(err)
	return row.Version
}

// A step's way from pending to done, with its inventory change and its entry.
func TestStepCommit(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		r := f.resource(ten.ID, "schema", "acme_prod")
		op := f.operation(request(ten.ID, tenure.Onboard, 2, r.ID))
		f.must(f.CommitSteps(ctx, claim(op, 1, "one", tenure.StepPending, 0, time.Hour)))
		s := f.step(op.ID)
		if s.State != tenure.StepRunning || s.Token != 1 || s.Attempt != 1 || s.Owner != "one" || s.Lapsed {
			t.Fatalf("after the claim: %+v", s)
		}
		leaf := entry("step.result", string(op.ID))
		encoded, err := leaf.Encode()
		f.must(err)
		c := result(op, f.version(op.ID), 1, tenure.Verified)
		c.Leaves = [][]byte{encoded}
		c.Resources = []store.ResourceWrite{{ID: r.ID, State: tenure.ResourcePresent, Verdict: tenure.Verified, Normal: []byte(`{"a":1}`), Observed: []byte(`{"a":1}`)}}
		f.must(f.CommitSteps(ctx, c))
		s = f.step(op.ID)
		if s.State != tenure.StepDone || s.Verdict != tenure.Verified || !s.EndedAt.Equal(start) || !s.LeaseUntil.IsZero() {
			t.Errorf("after the result: %+v", s)
		}
		got, err := f.Resource(ctx, r.ID)
		f.must(err)
		if got.State != tenure.ResourcePresent || string(got.Normal) != `{"a":1}` || got.Operation != op.ID {
			t.Errorf("the inventory says %+v", got)
		}
		if n := verified(t, f.DB); n != 1 {
			t.Errorf("the log has %d entries, want 1", n)
		}
		counts, err := f.StepCounts(ctx, []tenure.OperationID{op.ID})
		f.must(err)
		if d := cmp.Diff(map[tenure.StepState]int{tenure.StepDone: 1, tenure.StepPending: 1}, counts[op.ID]); d != "" {
			t.Errorf("counts:\n%s", d)
		}
	})
}

// The answer of one who lost the lease is refused whole: neither its result, nor
// its inventory, nor its entry is kept. Else a step would end on what a dead
// caller saw.
func TestLateAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		other := f.other()
		ten := f.tenant("acme")
		r := f.resource(ten.ID, "schema", "acme_prod")
		op := f.operation(request(ten.ID, tenure.Onboard, 1, r.ID))
		f.must(f.CommitSteps(ctx, claim(op, 1, "slow", tenure.StepPending, 0, -time.Second)))
		if s := f.step(op.ID); !s.Lapsed {
			t.Fatalf("the lease hasn't lapsed: %+v", s)
		}
		f.must(other.CommitSteps(ctx, claim(op, f.version(op.ID), "fast", tenure.StepRunning, 1, time.Hour)))

		leaf := entry("step.result", string(op.ID))
		encoded, err := leaf.Encode()
		f.must(err)
		late := result(op, f.version(op.ID), 1, tenure.Failed)
		late.Leaves = [][]byte{encoded}
		late.Resources = []store.ResourceWrite{{ID: r.ID, State: tenure.ResourceGone, Verdict: tenure.Verified}}
		err = f.CommitSteps(ctx, late)
		refused(t, err, tenure.Conflict)
		if !tenure.CanRetry(err) {
			t.Error("the late one isn't told to look again")
		}
		refused(t, f.Renew(ctx, op.ID, 0, 1, time.Hour), tenure.Conflict, "lease")
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.Progress(op.ID, 0, 1, "row 7") }), tenure.Conflict, "lease")
		if s := f.step(op.ID); s.State != tenure.StepRunning || s.Token != 2 || s.Owner != "fast" || s.Progress != "" {
			t.Errorf("the late answer has left its mark: %+v", s)
		}
		if got, err := f.Resource(ctx, r.ID); err != nil || got.State != tenure.ResourcePlanned {
			t.Errorf("the late answer has changed the inventory: %v, %v", got.State, err)
		}
		if n := verified(t, f.DB); n != 0 {
			t.Errorf("the late answer has left %d entries", n)
		}
		f.must(other.Renew(ctx, op.ID, 0, 2, time.Hour))
		f.must(other.CommitSteps(ctx, result(op, f.version(op.ID), 2, tenure.Verified)))
		if s := f.step(op.ID); s.State != tenure.StepDone || s.Receipt != "by token 2" {
			t.Errorf("the holder's answer isn't kept: %+v", s)
		}
	})
}

// Of many who claim one step at once, in two processes, one gets it.
func TestClaimRace(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		dbs := []*store.DB{f.DB, f.other()}
		op := f.operation(request(f.tenant("acme").ID, tenure.Onboard, 1))
		errs := make([]error, 10)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				errs[i] = dbs[i%2].CommitSteps(ctx, claim(op, 1, fmt.Sprint("owner ", i), tenure.StepPending, 0, time.Hour))
			})
		}
		all.Wait()
		winner := ""
		for i, err := range errs {
			if err != nil {
				refused(t, err, tenure.Conflict)
				continue
			}
			if winner != "" {
				t.Errorf("%s and owner %d both have the step", winner, i)
			}
			winner = fmt.Sprint("owner ", i)
		}
		if s := f.step(op.ID); s.Owner != winner || s.Token != 1 || s.Attempt != 1 {
			t.Errorf("%q won, the row says %+v", winner, s)
		}
	})
}

// Commits of many operations share a transaction, and one that has moved on is
// refused by itself.
func TestStepCommitsInGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		ops := make([]store.NewOperation, 20)
		for i := range ops {
			ops[i] = f.operation(request(ten.ID, tenure.Repair, 1))
		}
		errs := make([]error, len(ops))
		var ready, all sync.WaitGroup
		ready.Add(len(ops))
		blocker := make(chan error, 1)
		go func() { blocker <- f.Write(ctx, func(*store.Tx) error { ready.Wait(); return nil }) }()
		for i, op := range ops {
			all.Go(func() {
				c := claim(op, 1, "owner", tenure.StepPending, 0, time.Hour)
				if i%5 == 2 {
					c.Version = 99
				}
				leaf := entry("step.claim", fmt.Sprint(i))
				encoded, err := leaf.Encode()
				if err != nil {
					t.Error(err)
				}
				c.Leaves = [][]byte{encoded}
				ready.Done()
				errs[i] = f.CommitSteps(ctx, c)
			})
		}
		all.Wait()
		f.must(<-blocker)
		for i, err := range errs {
			want := tenure.StepRunning
			if i%5 == 2 {
				want = tenure.StepPending
				refused(t, err, tenure.Conflict, string(ops[i].ID))
			} else if err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
			if s := f.step(ops[i].ID); s.State != want {
				t.Errorf("step of operation %d is %s, want %s", i, s.State, want)
			}
		}
		if n := verified(t, f.DB); n != 16 {
			t.Errorf("the log has %d entries, want 16", n)
		}
	})
}

// A commit that holds one resource twice, or one that the inventory doesn't have,
// is not half written.
func TestStepCommitResources(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		op := f.operation(request(ten.ID, tenure.Onboard, 1))
		c := claim(op, 1, "owner", tenure.StepPending, 0, time.Hour)
		c.Resources = []store.ResourceWrite{{ID: newID[tenure.ResourceID](), State: tenure.ResourcePresent}}
		if err := f.CommitSteps(ctx, c); err == nil {
			t.Error("a resource that isn't in the inventory was written")
		}
		if s := f.step(op.ID); s.State != tenure.StepPending {
			t.Errorf("the claim of a refused commit is kept: %s", s.State)
		}
	})
}

// A crash leaves a step running under a lease that lapses: somebody else is
// handed the operation, though nobody made it due.
func TestLapsedLeaseIsDue(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Onboard, 1))
		alive := f.operation(request(op.Tenant, tenure.Onboard, 1))
		for o, lease := range map[*store.NewOperation]time.Duration{&op: -time.Second, &alive: time.Hour} {
			c := claim(*o, 1, "owner", tenure.StepPending, 0, lease)
			c.DueAt = time.Time{}
			f.must(f.CommitSteps(ctx, c))
		}
		ids, err := f.Due(ctx, start, 10, time.Hour)
		f.must(err)
		if d := cmp.Diff([]tenure.OperationID{op.ID}, ids); d != "" {
			t.Errorf("handed out (-want +got):\n%s", d)
		}
		f.must(f.CommitSteps(ctx, claim(op, f.version(op.ID), "next", tenure.StepRunning, 1, time.Hour)))
		if s := f.step(op.ID); s.Attempt != 2 || s.Lapsed {
			t.Errorf("after it was taken over: %+v", s)
		}
	})
}

// A lapsed lease is handed to one caller at a time too.
func TestLapsedLeaseIsReserved(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Onboard, 1))
		c := claim(op, 1, "owner", tenure.StepPending, 0, -time.Second)
		c.DueAt = time.Time{}
		f.must(f.CommitSteps(ctx, c))
		first, err := f.Due(ctx, start, 10, time.Hour)
		f.must(err)
		second, err := f.Due(ctx, start, 10, time.Hour)
		f.must(err)
		if len(first) != 1 || len(second) != 0 {
			t.Errorf("handed out %v, then %v", first, second)
		}
	})
}

// What a person does to a step that isn't running any more as they saw it is refused.
func TestSetStep(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Onboard, 1))
		set := func(from, to tenure.StepState) error {
			return f.Write(ctx, func(tx *store.Tx) error { return tx.SetStep(op.ID, 0, from, to, start) })
		}
		refused(t, set(tenure.StepFailed, tenure.StepPending), tenure.Conflict, "failed")
		f.must(f.CommitSteps(ctx, claim(op, 1, "owner", tenure.StepPending, 0, time.Hour)))
		failed := result(op, f.version(op.ID), 1, tenure.Failed)
		failed.Results[0].State, failed.Results[0].Error = tenure.StepFailed, "system main: no"
		f.must(f.CommitSteps(ctx, failed))
		f.must(set(tenure.StepFailed, tenure.StepPending))
		if s := f.step(op.ID); s.State != tenure.StepPending || s.Attempt != 0 || !s.EndedAt.IsZero() || s.Token != 2 {
			t.Errorf("after a retry was asked for: %+v", s)
		}
		refused(t, f.CommitSteps(ctx, result(op, f.version(op.ID), 1, tenure.Verified)), tenure.Conflict)
		f.must(set(tenure.StepPending, tenure.StepSkipped))
		if s := f.step(op.ID); s.State != tenure.StepSkipped || !s.EndedAt.Equal(start) {
			t.Errorf("after it was skipped: %+v", s)
		}
	})
}

// A batch's progress is there for whoever takes the step over.
func TestProgress(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := request(f.tenant("acme").ID, tenure.Offboard, 1)
		op.IsDestroyer = func(int) bool { return true }
		f.operation(op)
		f.must(f.CommitSteps(ctx, claim(op, 1, "owner", tenure.StepPending, 0, -time.Second)))
		f.write(func(tx *store.Tx) error { return tx.Progress(op.ID, 0, 1, "row 7") })
		f.write(func(tx *store.Tx) error {
			flying, err := tx.InFlight(op.Tenant)
			if len(flying) != 1 || flying[0].Operation != op.ID {
				t.Errorf("%+v run, want the one destructive step", flying)
			}
			return err
		})
		f.must(f.CommitSteps(ctx, claim(op, f.version(op.ID), "next", tenure.StepRunning, 1, time.Hour)))
		if s := f.step(op.ID); s.Progress != "row 7" || s.Token != 2 {
			t.Errorf("after it was taken over: %+v", s)
		}
	})
}

// An operation that ends wakes those that it kept out.
func TestEndedWakes(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten, thing := f.tenant("acme"), newID[tenure.ResourceID]()
		first := f.operation(request(ten.ID, tenure.Change, 1, thing))
		second := f.operation(request(ten.ID, tenure.Suspend, 1, thing))
		f.write(func(tx *store.Tx) error { _, err := tx.TakeLock(first.ID, first.Kind); return err })
		f.must(f.CommitSteps(ctx, &store.StepCommit{Operation: second.ID, Version: 1, State: tenure.OperationWaiting, Reason: "excluded", Now: start}))
		var mu sync.Mutex
		woken := make(map[tenure.OperationID]bool)
		defer f.OnWake(func(op tenure.OperationID) { mu.Lock(); woken[op] = true; mu.Unlock() })()
		f.must(f.CommitSteps(ctx, &store.StepCommit{Operation: first.ID, Version: f.version(first.ID), State: tenure.OperationSucceeded, Now: start, Ended: true}))
		mu.Lock()
		defer mu.Unlock()
		if !woken[second.ID] {
			t.Error("the one that was kept out isn't woken")
		}
		row, err := f.Operation(ctx, second.ID)
		f.must(err)
		if !row.DueAt.Equal(start) {
			t.Errorf("the one that was kept out is due at %v", row.DueAt)
		}
	})
}
