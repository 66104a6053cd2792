package lifecycle_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Five hundred onboardings that are asked for, approved and run at once get in each
// other's way in fewer than one commit in twenty.
func TestFiveHundredAtOnceRefuseFewCommits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.publishText(sideText)
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- s.Engine.Run(ctx, 64, slog.New(slog.DiscardHandler)) }()
		var all, refused atomic.Int64
		s.db.ObserveCommits(func(c store.Commit) {
			all.Add(1)
			if c.Err != nil {
				if refused.Add(1) < 6 {
					t.Logf("%d: %v", c.Size, c.Err)
				}
			}
		})
		var each sync.WaitGroup
		began, n := time.Now(), 500
		if raced() {
			n = 50
		}
		for i := range n {
			each.Go(func() {
				_, op, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: fmt.Sprint("t", i), Blueprint: "side", Tier: "team"}, "operator")
				if err != nil {
					t.Error(err)
					return
				}
				reaches := func(state tenure.OperationState) bool {
					for {
						v, err := s.db.Operation(ctx, op.ID)
						if err != nil || time.Since(began) > 4*time.Minute {
							t.Errorf("it is %s (%v)", v.State, err)
							return false
						}
						if v.State == state {
							return true
						}
						time.Sleep(100 * time.Millisecond)
					}
				}
				if !reaches(tenure.OperationWaiting) {
					return
				}
				if _, err = s.Approve(ctx, op.ID, "", op.Plan, "reviewer", ""); err != nil {
					t.Error(err)
					return
				}
				reaches(tenure.OperationSucceeded)
			})
		}
		each.Wait()
		s.db.ObserveCommits(nil)
		stop()
		s.must(<-ended)
		t.Logf("%d commits, %d refused, in %s", all.Load(), refused.Load(), time.Since(began).Round(time.Millisecond))
		if n, r := all.Load(), refused.Load(); n == 0 || r*20 > n {
			t.Errorf("%d of %d commits were refused", r, n)
		}
	})
}
