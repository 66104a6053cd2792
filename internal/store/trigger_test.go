package store_test

import (
	"context"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// waiting returns when somebody in the database waits for a lock.
func (f *fixture) waiting() {
	f.t.Helper()
	raw := f.raw()
	for n := 0; n == 0; {
		err := raw.QueryRowContext(f.t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&n)
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// Two processes get the same trigger at the same moment: the one whose insert
// waits for the other's commit gives back the other's operation, not an error.
func TestTriggerWhileAnotherCommits(t *testing.T) {
	t.Parallel()
	f := openStore(t, postgrestest.Database(t))
	other, ten := f.other(), f.tenant("acme")
	mine, theirs := request(ten.ID, tenure.Offboard, 2), request(ten.ID, tenure.Offboard, 2)
	mine.Trigger, theirs.Trigger = "billing:lapse", "billing:lapse"
	var id tenure.OperationID
	var created bool
	done := make(chan error, 1)
	f.write(func(tx *store.Tx) error {
		if _, _, err := create(tx, mine); err != nil {
			return err
		}
		go func() {
			done <- other.Write(context.Background(), func(tx *store.Tx) (err error) {
				id, created, err = create(tx, theirs)
				return err
			})
		}()
		f.waiting()
		return nil
	})
	f.must(<-done)
	if id != mine.ID || created {
		t.Errorf("the second got %s (new: %v), want %s", id, created, mine.ID)
	}
	steps, err := f.Steps(t.Context(), theirs.ID)
	f.must(err)
	if len(steps) > 0 {
		t.Errorf("the operation that wasn't stored has %d steps", len(steps))
	}
}

// A hold that another process is placing is seen by whoever starts to destroy
// after it: they can't pass each other.
func TestHoldAgainstDestruction(t *testing.T) {
	t.Parallel()
	f := openStore(t, postgrestest.Database(t))
	other, ten := f.other(), f.tenant("acme")
	seen := -1
	done := make(chan error, 1)
	f.write(func(tx *store.Tx) error {
		if err := tx.SaveHold(tenure.Hold{ID: newID[tenure.HoldID](), Matter: "m", Scope: tenure.HoldScope{Tenant: ten.ID}, PlacedBy: "officer", PlacedAt: start}); err != nil {
			return err
		}
		go func() {
			done <- other.Write(context.Background(), func(tx *store.Tx) error {
				holds, err := tx.ActiveHolds(ten.ID)
				seen = len(holds)
				return err
			})
		}()
		f.waiting()
		return nil
	})
	f.must(<-done)
	if seen != 1 {
		t.Errorf("the destroyer saw %d holds, want the one that was placed before", seen)
	}
}
