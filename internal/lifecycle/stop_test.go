package lifecycle_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// A server that is told to stop ends, though its clock goes on and operations have
// steps left: who stops hands them back, due at once, and commits nothing more.
func TestStopsUnderARunningClock(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	op := l.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}, "operator")
	if _, err := l.Approve(context.Background(), op, "", mustPlan(l, op), "reviewer", ""); err != nil {
		t.Fatal(err)
	}
	l.Engine.Now = func() time.Time { return time.UnixMicro(l.clock.Add(1)).UTC() }
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	type ended struct {
		answer engine.Answer
		err    error
	}
	done := make(chan ended, 1)
	go func() {
		a, err := l.Engine.Advance(ctx, op)
		done <- ended{a, err}
	}()
	select {
	case got := <-done:
		if got.err != nil || got.answer.Kind != engine.Again {
			t.Errorf("told to stop, it answers %+v, %v", got.answer, got.err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on committing for ever")
	}
	if row, err := l.db.Operation(context.Background(), op); err != nil || row.DueAt.IsZero() {
		t.Errorf("nobody is called again: %+v, %v", row.DueAt, err)
	}
}

func mustPlan(l *life, op tenure.OperationID) string {
	l.t.Helper()
	l.settle()
	row, err := l.db.Operation(context.Background(), op)
	l.must(err)
	return row.Plan
}
