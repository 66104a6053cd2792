package lifecycle_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/clock"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// set are the hands of a site whose machine's clock somebody sets.
type set struct {
	*site
	off atomic.Int64 // what it was set by, in microseconds
}

// machineSite is a site on a machine's clock. What passes on the site's clock passes on
// the machine's monotonic one.
func machineSite(t *testing.T) *set {
	t.Helper()
	m := &set{}
	var s *site
	start := int64(0)
	s = newSite(t, func(o *lifecycle.Options) {
		now := o.Now
		start = now().UnixMicro()
		at := clock.Open(clock.Options{File: filepath.Join(t.TempDir(), "heartbeat.json"), New: true, Read: func() clock.Reading {
			us := now().UnixMicro()
			return clock.Reading{Wall: time.UnixMicro(us + m.off.Load()).UTC(), Running: time.Duration(us-start) * time.Microsecond}
		}})
		o.Now, o.Clock = at.Now, at
	})
	m.site = s
	return m
}

// jump sets the machine's clock and lets the engine see it.
func (m *set) jump(d time.Duration) {
	m.off.Add(d.Microseconds())
	m.settle()
}

// pass is the site's pass by the machine's clock.
func (m *set) pass(d time.Duration) {
	m.t.Helper()
	for end := m.clock.Load() + d.Microseconds(); ; {
		next := m.settle()
		at := next.UnixMicro() - m.off.Load()
		if next.IsZero() || at > end {
			m.clock.Store(end)
			m.settle()
			return
		}
		m.clock.Store(max(at, m.clock.Load()+1))
	}
}

func (m *set) confirmTime() {
	m.t.Helper()
	_, err := m.ConfirmTime(context.Background(), m.options.Now(), "officer")
	m.must(err)
	m.settle()
}

const tenYears = 10 * 365 * day

// A machine's clock that jumps cuts no tenant's access and destroys nothing before
// somebody says that the time is right; meanwhile waiting costs nothing.
func TestClockJump(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		begin  func(*set) tenure.OperationID
		by     time.Duration
		before tenure.TenantState
		after  string // what the operation waits for then
	}{
		{"a cut", func(m *set) tenure.OperationID { m.onboard("acme"); return m.leave("acme") }, tenYears, tenure.TenantTransition, "the export stays"},
		{"a cut, two hours before its date", func(m *set) tenure.OperationID {
			m.onboard("acme")
			op := m.leave("acme")
			m.pass(14*day - 2*time.Hour)
			return op
		}, 3 * time.Hour, tenure.TenantTransition, "the export stays"},
		{"an erasure", func(m *set) tenure.OperationID {
			m.onboard("acme")
			op := m.leave("acme")
			m.pass(15 * day)
			return op
		}, tenYears, tenure.TenantRetained, "confirmations of the point of no return"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := machineSite(t)
			op := c.begin(m)
			if got := m.state("acme"); got != c.before {
				t.Fatalf("it begins %s, want %s", got, c.before)
			}
			things := len(m.world.Things())
			m.jump(c.by)
			if got := m.state("acme"); got != c.before || len(m.world.Things()) != things {
				t.Fatalf("the jump made it %s\n%s", got, m.show(op))
			}
			v := m.view(op)
			if v.State != tenure.OperationWaiting {
				t.Errorf("it is %s: %s", v.State, v.Reason)
			}
			contains(t, v.Reason, "the machine's clock jumped from", "until somebody confirms the time")
			if n := m.commits(func() { m.minute(m.Service, op) }); n > 0 {
				t.Errorf("waiting for the time's confirmation costs %d commits a minute", n)
			}
			m.onboard("birch") // what destroys nothing goes on
			_, err := m.ConfirmTime(context.Background(), m.options.Now().Add(-c.by), "officer")
			wantCode(t, err, tenure.Invalid, "the machine's clock says")
			_, err = m.ConfirmTime(context.Background(), m.options.Now(), "")
			wantCode(t, err, tenure.Unauthorized)
			m.confirmTime()
			if got := m.state("acme"); got != tenure.TenantRetained {
				t.Errorf("after the confirmation it is %s\n%s", got, m.show(op))
			}
			contains(t, m.view(op).Reason, c.after)
			_, err = m.ConfirmTime(context.Background(), m.options.Now(), "officer")
			wantCode(t, err, tenure.Conflict)
			list, err := m.Log(context.Background(), 0, 10_000, "")
			m.must(err)
			last := ""
			for _, e := range list {
				if e.Kind == "clock.confirm" {
					last = e.By + " " + string(e.Data)
				}
			}
			contains(t, last, "officer ", `"from":"2026-`, `"to":"20`, `"doubt":"jump"`)
			m.audited()
		})
	}
}

// Whatever a clock does, no destructive step starts and no access is cut between an
// unexplained jump and its confirmation.
func TestClockNeverDestroysInDoubt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 9))
			m := machineSite(t)
			var doubted atomic.Bool
			m.Engine.Observe = func(ctx context.Context, task *engine.Task) (context.Context, func(engine.Result)) {
				if doubted.Load() && (task.Step.Destructive || task.Step.Action == tenure.ActRevoke || task.Step.Action == tenure.ActSuspend) {
					t.Errorf("step %s started while the time was in doubt", task.Step.Key)
				}
				return ctx, func(engine.Result) {}
			}
			m.onboard("acme")
			op := m.leave("acme")
			for range 12 {
				switch r.IntN(6) {
				case 0, 1:
					m.pass(time.Duration(1+r.IntN(40)) * day)
				case 2:
					doubted.Store(true)
					m.jump([]time.Duration{-400, -20, -2, 2, 20, 400, 4000}[r.IntN(7)] * day)
				case 3: // steps that are each too small to be noticed, and together aren't
					for range 3 {
						m.off.Add((25 * time.Minute).Microseconds())
						_ = m.options.Now()
					}
					doubted.Store(true)
					m.settle()
				case 4:
					if doubted.CompareAndSwap(true, false) {
						m.confirmTime()
					}
				case 5:
					for _, by := range []string{"reviewer", "counsel"} {
						_, _ = m.Approve(context.Background(), op, "", m.view(op).Plan, by, "")
					}
					m.settle()
				}
			}
		})
	}
}

// contains fails unless a text has each of the words.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("it doesn't say %q: %s", w, text)
		}
	}
}
