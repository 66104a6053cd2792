package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// A trigger that arrives many times at once, at several processes, starts one
// operation: a webhook that is sent again doesn't offboard somebody twice.
func TestTriggerTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		const times = 12
		dbs := []*store.DB{f.DB, f.other()}
		ids := make([]tenure.OperationID, times)
		made := make([]bool, times)
		errs := make([]error, times)
		var all sync.WaitGroup
		for i := range times {
			all.Go(func() {
				op := request(ten.ID, tenure.Offboard, 3)
				op.Trigger = "billing:lapse:42"
				errs[i] = dbs[i%2].Write(context.Background(), func(tx *store.Tx) (err error) {
					ids[i], made[i], err = create(tx, op)
					return err
				})
			})
		}
		all.Wait()
		count := 0
		for i := range times {
			if errs[i] != nil {
				t.Errorf("time %d: %v", i, errs[i])
			}
			if ids[i] != ids[0] {
				t.Errorf("two times gave %s and %s", ids[0], ids[i])
			}
			if made[i] {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%d of them say that they started it", count)
		}
		ops, err := f.Operations(t.Context(), store.OperationFilter{Tenant: ten.ID})
		f.must(err)
		if len(ops) != 1 {
			t.Errorf("%d operations, want 1", len(ops))
		}
	})
}

// A trigger that comes again after its tenant was forgotten is still known.
func TestTriggerAfterForget(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		first := request(ten.ID, tenure.Offboard, 1)
		first.Trigger = "crm:acme-ltd:left"
		f.operation(first)
		f.write(func(tx *store.Tx) error { _, err := tx.Forget(ten.ID, start); return err })
		again := request(ten.ID, tenure.Offboard, 1)
		again.Trigger = first.Trigger
		f.write(func(tx *store.Tx) error {
			id, created, err := create(tx, again)
			if created || id != first.ID {
				t.Errorf("the trigger started %s (new: %v), want the old %s", id, created, first.ID)
			}
			return err
		})
		got, err := f.OperationByTrigger(t.Context(), first.Trigger)
		f.must(err)
		if len(got) != 1 || got[0].Trigger == first.Trigger {
			t.Errorf("found %d; its key still reads %v", len(got), got)
		}
	})
}

// Due reserves what it hands out, to one caller alone, until the reservation
// lapses: a caller that died doesn't keep an operation from going on.
func TestDueReserves(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		const many = 40
		for i := range many {
			op := request(ten.ID, tenure.Repair, 1)
			op.CreatedAt = start.Add(time.Duration(i) * time.Millisecond)
			f.operation(op)
		}
		if early, err := f.Due(ctx, start.Add(-time.Second), many, time.Hour); err != nil || len(early) > 0 {
			t.Fatalf("before its time: %v, %v", early, err)
		}
		dbs := []*store.DB{f.DB, f.other()}
		var mu sync.Mutex
		given := make(map[tenure.OperationID]int)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 30 {
					ids, err := dbs[i%2].Due(ctx, start.Add(time.Hour), 3, time.Hour)
					if err != nil {
						t.Errorf("due: %v", err)
						return
					}
					mu.Lock()
					for _, id := range ids {
						given[id]++
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(given) != many {
			t.Errorf("%d of %d were handed out", len(given), many)
		}
		for id, n := range given {
			if n > 1 {
				t.Errorf("%s was handed to %d callers", id, n)
			}
		}
	})
}

func TestReservationLapses(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Repair, 1))
		for range 2 { // a reservation that is over as soon as it is given
			ids, err := f.Due(ctx, start, 10, -time.Second)
			f.must(err)
			if !slices.Contains(ids, op.ID) {
				t.Fatal("an operation whose reservation has lapsed isn't handed out again")
			}
		}
		ids, err := f.Due(ctx, start, 10, time.Hour)
		f.must(err)
		again, err := f.Due(ctx, start, 10, time.Hour)
		f.must(err)
		if len(ids) != 1 || len(again) != 0 {
			t.Errorf("handed out %v, then %v", ids, again)
		}
	})
}

func TestNextDue(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		if at, err := f.NextDue(ctx); err != nil || !at.IsZero() {
			t.Errorf("an empty store is due at %v, %v", at, err)
		}
		op := f.operation(request(f.tenant("acme").ID, tenure.Offboard, 1))
		when := start.AddDate(7, 0, 0)
		f.must(f.CommitSteps(ctx, &store.StepCommit{Operation: op.ID, Version: 1, State: tenure.OperationWaiting, Reason: "retention", DueAt: when, Now: start}))
		if at, err := f.NextDue(ctx); err != nil || !at.Equal(when) {
			t.Errorf("due at %v, %v, want %v", at, err, when)
		}
		if ids, err := f.Due(ctx, when.Add(-time.Microsecond), 9, time.Minute); err != nil || len(ids) != 0 {
			t.Errorf("a microsecond early: %v, %v", ids, err)
		}
		if ids, err := f.Due(ctx, when, 9, time.Minute); err != nil || len(ids) != 1 {
			t.Errorf("at its time: %v, %v", ids, err)
		}
		// One that awaits an event is never due, until the event makes it so.
		f.must(f.CommitSteps(ctx, &store.StepCommit{Operation: op.ID, Version: 2, State: tenure.OperationWaiting, Reason: "approval", Now: start}))
		if at, err := f.NextDue(ctx); err != nil || !at.IsZero() {
			t.Errorf("while an event is awaited it is due at %v, %v", at, err)
		}
		f.write(func(tx *store.Tx) error { return tx.PokeTenant(op.Tenant, start) })
		if ids, err := f.Due(ctx, start, 9, time.Minute); err != nil || len(ids) != 1 {
			t.Errorf("after the event: %v, %v", ids, err)
		}
	})
}

// Two operations on one resource exclude each other; the second is told by whom,
// and is woken when the first lets go.
func TestLocks(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		db, key := newID[tenure.ResourceID](), newID[tenure.ResourceID]()
		first := f.operation(request(ten.ID, tenure.Change, 1, db, key))
		second := f.operation(request(ten.ID, tenure.Suspend, 1, key))
		apart := f.operation(request(ten.ID, tenure.Suspend, 1, newID[tenure.ResourceID]()))
		take := func(op store.NewOperation) (by string) {
			t.Helper()
			f.write(func(tx *store.Tx) (err error) { by, err = tx.TakeLock(op.ID, op.Kind); return err })
			return by
		}
		if by := take(first); by != "" {
			t.Errorf("the first is kept out by %s", by)
		}
		if by := take(second); by != string(first.ID) {
			t.Errorf("the second is kept out by %q, want %s", by, first.ID)
		}
		if by := take(apart); by != "" {
			t.Errorf("one on other resources is kept out by %s", by)
		}
		f.write(func(tx *store.Tx) error {
			by, err := tx.ActiveExcluding(tenure.Offboard, []tenure.ResourceID{newID[tenure.ResourceID](), db})
			if by != first.ID {
				t.Errorf("the holder of a resource is named as %q, want %s", by, first.ID)
			}
			return err
		})
		var woken []tenure.OperationID
		var mu sync.Mutex
		defer f.OnWake(func(op tenure.OperationID) { mu.Lock(); woken = append(woken, op); mu.Unlock() })()
		f.write(func(tx *store.Tx) error { return tx.FreeLock(first.ID, start) })
		f.write(func(tx *store.Tx) error { return tx.FreeLock(first.ID, start) }) // twice is once
		mu.Lock()
		if d := cmp.Diff([]tenure.OperationID{second.ID}, woken); d != "" {
			t.Errorf("woken (-want +got):\n%s", d)
		}
		mu.Unlock()
		if by := take(second); by != "" {
			t.Errorf("after the first has let go, the second is kept out by %s", by)
		}
	})
}

// The same repair twice is free by the table of conflicts.
func TestLockOfRepairs(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten, thing := f.tenant("acme"), newID[tenure.ResourceID]()
		for range 2 {
			op := f.operation(request(ten.ID, tenure.Repair, 1, thing))
			f.write(func(tx *store.Tx) error {
				by, err := tx.TakeLock(op.ID, op.Kind)
				if by != "" {
					t.Errorf("a repair is kept out by %s", by)
				}
				return err
			})
		}
	})
}

// Of many that want one resource at once, in several processes, one gets it.
func TestLockRace(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten, thing := f.tenant("acme"), newID[tenure.ResourceID]()
		var ops []store.NewOperation
		for range 8 {
			ops = append(ops, f.operation(request(ten.ID, tenure.Change, 1, thing)))
		}
		dbs := []*store.DB{f.DB, f.other()}
		by := make([]string, len(ops))
		var all sync.WaitGroup
		for i, op := range ops {
			all.Go(func() {
				err := dbs[i%2].Write(context.Background(), func(tx *store.Tx) (err error) { by[i], err = tx.TakeLock(op.ID, op.Kind); return err })
				if err != nil {
					t.Errorf("take: %v", err)
				}
			})
		}
		all.Wait()
		free := 0
		for _, b := range by {
			if b == "" {
				free++
			}
		}
		if free != 1 {
			t.Errorf("%d operations hold the same resource: %v", free, by)
		}
	})
}

// What a person asks of an operation that has ended is refused and says how it ended.
func TestWant(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Change, 1))
		f.write(func(tx *store.Tx) error { return tx.Want(op.ID, "pause", start) })
		got, err := f.Operation(ctx, op.ID)
		f.must(err)
		if got.Wanted != "pause" || got.Version != 2 {
			t.Errorf("wanted %q at version %d", got.Wanted, got.Version)
		}
		f.must(f.CommitSteps(ctx, &store.StepCommit{Operation: op.ID, Version: 2, State: tenure.OperationCancelled, Now: start, Ended: true}))
		want := func(tx *store.Tx) error { return tx.Want(op.ID, "cancel", start) }
		refused(t, f.Write(ctx, want), tenure.Conflict, "cancelled")
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.Want(newID[tenure.OperationID](), "cancel", start) }), tenure.NotFound)
	})
}

// The same person counts once at a gate, and again only after the word has lapsed.
func TestApprovals(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Offboard, 1))
		sign := func(step, by string, at time.Time) error {
			return f.Write(ctx, func(tx *store.Tx) error {
				return tx.Approve(tenure.Approval{Operation: op.ID, Step: step, Digest: op.Plan, By: by, At: at})
			})
		}
		f.must(sign("noreturn/all", "ada", start))
		refused(t, sign("noreturn/all", "ada", start.Add(time.Hour)), tenure.Conflict)
		f.must(sign("approve", "ada", start))
		f.must(sign("noreturn/all", "ben", start.Add(100*time.Hour)))
		f.write(func(tx *store.Tx) error { return tx.DropApprovals(op.ID, "noreturn/all", start.Add(50*time.Hour)) })
		f.must(sign("noreturn/all", "ada", start.Add(101*time.Hour)))
		got, err := f.Approvals(ctx, op.ID)
		f.must(err)
		var words []string
		for _, a := range got {
			words = append(words, fmt.Sprint(a.Step, " ", a.By, " ", a.At.Sub(start)))
		}
		if d := cmp.Diff([]string{"approve ada 0s", "noreturn/all ben 100h0m0s", "noreturn/all ada 101h0m0s"}, words); d != "" {
			t.Errorf("approvals:\n%s", d)
		}
	})
}

// Who asks for an exception can't attest it, and one word is enough for one only.
func TestExceptions(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		op := f.operation(request(f.tenant("acme").ID, tenure.Offboard, 1))
		attest := func(by string) error {
			return f.Write(ctx, func(tx *store.Tx) error { return tx.AttestException(op.ID, "prod/db/delete", by, start) })
		}
		refused(t, attest("ben"), tenure.Conflict)
		ask := func(tx *store.Tx) error {
			return tx.AskException(store.Exception{Operation: op.ID, Step: "prod/db/delete", Reason: "the host burnt", RequestedBy: "ada", RequestedAt: start})
		}
		f.write(ask)
		refused(t, f.Write(ctx, ask), tenure.Conflict)
		refused(t, attest("ada"), tenure.Conflict)
		f.must(attest("ben"))
		refused(t, attest("cleo"), tenure.Conflict)
		got, err := f.Exceptions(ctx, op.ID)
		f.must(err)
		want := []store.Exception{{Operation: op.ID, Step: "prod/db/delete", Reason: "the host burnt", RequestedBy: "ada", RequestedAt: start, AttestedBy: "ben", AttestedAt: start}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("exceptions:\n%s", d)
		}
	})
}

// A plan is found by a prefix of its digest, and one that was changed is refused.
func TestPlan(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		plan := &tenure.Plan{Format: tenure.PlanFormat, Kind: tenure.Suspend, Tenant: newID[tenure.TenantID](), At: start}
		body, digest, err := plan.Encode()
		f.must(err)
		for range 2 {
			f.write(func(tx *store.Tx) error { return tx.SavePlan(digest, body, plan, "ada") })
		}
		for _, name := range []string{digest, digest[:15], digest[7:], digest[7:15]} {
			got, err := f.Plan(ctx, name)
			f.must(err)
			if d := cmp.Diff(plan.Tenant, got.Tenant); d != "" {
				t.Errorf("by %q:\n%s", name, d)
			}
		}
		for _, name := range []string{"", "sha256:", digest[:14], "%", "sha256:%%%%%%%%", "sha256:________"} {
			_, err := f.Plan(ctx, name)
			refused(t, err, tenure.Invalid)
		}
		_, err = f.Plan(ctx, tenure.Digest([]byte("another")))
		refused(t, err, tenure.NotFound)
		_, err = f.raw().ExecContext(ctx, `update plan set body = replace(body, 'suspend', 'offboard') where digest = $1`, digest)
		f.must(err)
		_, err = f.Plan(ctx, digest)
		refused(t, err, tenure.Conflict, "changed")
	})
}

// The budget counts what was destructive, of one person or one blueprint.
func TestDestructiveSince(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		for i, by := range []string{"ada", "ada", "ben"} {
			op := request(ten.ID, tenure.Offboard, 1)
			op.RequestedBy, op.Blueprint, op.Destructive, op.CreatedAt = by, "small", i != 1, start.Add(time.Duration(i)*time.Hour)
			f.operation(op)
		}
		f.write(func(tx *store.Tx) error {
			for _, c := range []struct {
				by, blueprint string
				since         time.Time
				want          int
			}{{"", "", start, 2}, {"ada", "", start, 1}, {"ada", "", start.Add(time.Minute), 0}, {"", "small", start, 2}, {"ben", "small", start, 1}, {"", "big", start, 0}} {
				n, err := tx.DestructiveSince(c.by, c.blueprint, c.since)
				if err != nil {
					return err
				}
				if n != c.want {
					t.Errorf("by %q of %q since %v: %d, want %d", c.by, c.blueprint, c.since.Sub(start), n, c.want)
				}
			}
			return nil
		})
	})
}
