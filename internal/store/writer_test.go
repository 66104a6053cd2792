package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// blankTenant is a tenant that a concurrent writer stores.
func blankTenant(name string) store.TenantRow {
	return store.TenantRow{Tenant: tenure.Tenant{ID: newID[tenure.TenantID](), Name: name, CreatedAt: start}}
}

// Writes share a commit, and yet one's failure undoes nothing of another's: a
// customer's onboarding doesn't fail since somebody else's name was taken.
func TestGroupCommit(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		const rounds, writers = 12, 16
		ctx := context.Background()
		f.tenant("taken")
		own := errors.New("my own error")
		shared, logged := false, 0
		for round := range rounds {
			var mu sync.Mutex
			joined := make(map[*store.Tx]int)
			errs := make([]error, writers)
			var ready, done sync.WaitGroup
			ready.Add(writers)
			blocker := make(chan error, 1)
			go func() {
				blocker <- f.Write(ctx, func(*store.Tx) error { ready.Wait(); return nil })
			}()
			for i := range writers {
				done.Go(func() {
					row := blankTenant(fmt.Sprintf("t-%d-%d", round, i))
					if i == 5 {
						row.Name = "taken"
					}
					ready.Done()
					errs[i] = f.Write(ctx, func(tx *store.Tx) error {
						mu.Lock()
						joined[tx]++
						mu.Unlock()
						if err := tx.CreateTenant(row); err != nil {
							return err
						}
						if err := tx.Log(entry("test.create", string(row.ID))); err != nil {
							return err
						}
						if i == 11 {
							return own
						}
						return nil
					})
				})
			}
			done.Wait()
			f.must(<-blocker)
			for i, err := range errs {
				switch {
				case i == 5:
					refused(t, err, tenure.Conflict, "taken")
				case i == 11:
					if !errors.Is(err, own) {
						t.Fatalf("the failing write got %v instead of its own error", err)
					}
				case err != nil:
					t.Fatalf("writer %d of round %d fails with another's error: %v", i, round, err)
				default:
					logged++
				}
				_, err := f.Tenant(ctx, fmt.Sprintf("t-%d-%d", round, i))
				if found := err == nil; found != (i != 5 && i != 11) {
					t.Fatalf("writer %d of round %d: found %v (%v)", i, round, found, err)
				}
			}
			for _, n := range joined {
				shared = shared || n > 1
			}
		}
		if !shared {
			t.Error("no two writes ever shared a transaction: there is no group commit")
		}
		if n := verified(t, f.DB); n != int64(logged) {
			t.Errorf("the log has %d entries, %d writes succeeded", n, logged)
		}
	})
}

// A batch of one, as the benchmark's baseline sets it, is as right as a big one.
func TestBatchOfOne(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.must(f.Close())
		db, err := store.Open(t.Context(), store.Options{DSN: f.dsn, MaxBatch: 1})
		f.must(err)
		t.Cleanup(func() { _ = db.Close() })
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				err := db.Write(context.Background(), func(tx *store.Tx) error {
					if err := tx.CreateTenant(blankTenant(fmt.Sprint("t", i))); err != nil {
						return err
					}
					return tx.Log(entry("test.create", fmt.Sprint(i)))
				})
				if err != nil {
					t.Errorf("write %d: %v", i, err)
				}
			})
		}
		all.Wait()
		if n := verified(t, db); n != 20 {
			t.Errorf("the log has %d entries, want 20", n)
		}
	})
}

// A write whose caller has gone before it began isn't carried out.
func TestWriteAfterCancel(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := f.Write(ctx, func(tx *store.Tx) error { return tx.CreateTenant(blankTenant("acme")) })
		refused(t, err, tenure.Unavailable)
		if !tenure.CanRetry(err) {
			t.Error("the caller isn't told that a retry helps")
		}
		_, err = f.Tenant(t.Context(), "acme")
		refused(t, err, tenure.NotFound)
	})
}

// State, entry and wake-up are one: a write that fails leaves no entry behind and
// wakes nobody.
func TestOneTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		ten := f.tenant("acme")
		var mu sync.Mutex
		var woken []tenure.OperationID
		stop := f.OnWake(func(op tenure.OperationID) {
			mu.Lock()
			defer mu.Unlock()
			woken = append(woken, op)
		})
		lost := request(ten.ID, tenure.Suspend, 2)
		err := f.Write(ctx, func(tx *store.Tx) error {
			if _, _, err := create(tx, lost); err != nil {
				return err
			}
			if err := tx.Log(entry("operation.requested", string(lost.ID))); err != nil {
				return err
			}
			return tx.MoveTenant(ten.ID, tenure.TenantActive, tenure.TenantSuspended, start)
		})
		refused(t, err, tenure.Conflict)
		_, err = f.Operation(ctx, lost.ID)
		refused(t, err, tenure.NotFound)
		if n := verified(t, f.DB); n != 0 {
			t.Errorf("a write that failed left %d entries", n)
		}
		kept := f.operation(request(ten.ID, tenure.Suspend, 2))
		stop()
		f.operation(request(ten.ID, tenure.Resume, 2))
		mu.Lock()
		defer mu.Unlock()
		if len(woken) != 1 || woken[0] != kept.ID {
			t.Errorf("woken are %v, want %s alone", woken, kept.ID)
		}
	})
}
