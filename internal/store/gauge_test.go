package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// TestGauges: who measures sees what stands open, and nothing that has ended.
func TestGauges(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ten := f.tenant("acme")
		for kind, states := range map[tenure.OperationKind][]tenure.OperationState{
			tenure.Onboard:  {tenure.OperationRunning, tenure.OperationSucceeded},
			tenure.Offboard: {tenure.OperationWaiting, tenure.OperationWaiting, tenure.OperationBlocked, tenure.OperationCancelled},
		} {
			for _, state := range states {
				op := request(ten.ID, kind, 1)
				op.State, op.Trace = state, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
				op = f.operation(op)
				if got, err := f.Operation(ctx, op.ID); err != nil || got.Trace != op.Trace {
					t.Errorf("the trace %q is read back as %q (%v)", op.Trace, got.Trace, err)
				}
			}
		}
		f.write(func(tx *store.Tx) error {
			for i, id := range []string{"old", "sent", "unsent"} {
				if err := tx.AddNotice(store.Notice{ID: id, CreatedAt: start.AddDate(0, 0, 4*i-8)}); err != nil {
					return err
				}
			}
			if _, err := tx.RouteNotice(store.Notice{ID: "sent", CreatedAt: start.AddDate(0, 0, -4)}, []store.Delivery{{ID: "d", Target: "hooks"}}, start); err != nil {
				return err
			}
			if err := tx.EndDelivery("d", store.DeliverySent, "", "", start); err != nil {
				return err
			}
			return tx.SaveFinding(tenure.Finding{ID: newID[tenure.FindingID](), Kind: tenure.FindingDrift, Severity: tenure.High, SeenAt: start})
		})
		f.must(f.SaveCheckpoint(ctx, 0, []byte("note"), start.Add(-time.Hour)))
		got, err := f.Gauges(ctx, start)
		f.must(err)
		size, err := f.LogSize(ctx)
		f.must(err)
		want := store.Gauges{
			LogSize:    size,
			Operations: []store.OpenOperations{{tenure.Offboard, tenure.OperationBlocked, 1}, {tenure.Offboard, tenure.OperationWaiting, 2}, {tenure.Onboard, tenure.OperationRunning, 1}},
			Findings:   map[tenure.Severity]int{tenure.High: 1}, Unsent: 1, CheckpointAt: start.Add(-time.Hour),
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("gauges (-want +got):\n%s", d)
		}
	})
}

// TestObserveCommits: who measures is told of each transaction, and of its end.
func TestObserveCommits(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		seen := make(chan store.Commit, 10)
		f.ObserveCommits(func(c store.Commit) { seen <- c })
		f.tenant("acme")
		refusal := errors.New("no")
		if err := f.Write(t.Context(), func(*store.Tx) error { return refusal }); !errors.Is(err, refusal) {
			t.Fatal(err)
		}
		if c := <-seen; c.Err != nil || c.Size != 1 || c.Took <= 0 {
			t.Errorf("told: %+v", c)
		}
		if c := <-seen; !errors.Is(c.Err, refusal) {
			t.Errorf("told: %+v", c)
		}
		f.ObserveCommits(nil)
		f.tenant("other")
		if len(seen) > 0 {
			t.Error("told after the end")
		}
	})
}
