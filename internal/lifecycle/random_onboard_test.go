package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// beginning is an onboarding to which things happen.
type beginning struct {
	*rapid.T
	s    *site
	name string
	op   tenure.OperationID
}

// Whatever fails, is repaired, retried, skipped, paused, rejected and cancelled in an
// onboarding, in whatever order: after each event the log's own check agrees with the
// store, it ends once what failed is mended, and one that was taken back gives its names
// back to the next of the same name.
func TestRandomOnboardings(t *testing.T) {
	t.Parallel()
	each := 12 // onboardings in one installation
	if raced() {
		each = 2
	}
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.publishText(strings.Replace(fmt.Sprintf(blueprintText, "parks"), "failure: compensate", "failure: park", 1))
			tries := 0
			rapid.Check(t, func(rt *rapid.T) {
				if tries++; tries > each && !t.Failed() {
					return
				}
				m := &beginning{T: rt, s: s, name: fmt.Sprint("t", tries)}
				s.world.Heal()
				m.op = m.request()
				for range rapid.IntRange(3, 25).Draw(rt, "events") {
					m.event()
					m.audited()
				}
				m.end()
				m.audited()
			})
		})
	}
}

func (m *beginning) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *beginning) request() tenure.OperationID {
	m.Helper()
	revision := rapid.SampledFrom([]string{"small@1.0", "small@parks"}).Draw(m.T, "revision")
	_, op, err := m.s.Request(context.Background(), lifecycle.Intent{Kind: tenure.Onboard, Tenant: m.name, Blueprint: revision, Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	m.must(err)
	m.settle()
	return op.ID
}

func (m *beginning) settle() {
	m.Helper()
	_, err := m.s.Engine.Settle(context.Background())
	m.must(err)
}

func (m *beginning) audited() {
	m.Helper()
	rep, err := m.s.VerifyAudit(context.Background())
	m.must(err)
	if !rep.OK() {
		m.Fatalf("the log and the store disagree: %q\n%s", rep.Problems, m.s.show(m.op))
	}
}

// event is one thing that happens. What is refused in a state is no fault.
func (m *beginning) event() {
	ctx := context.Background()
	switch rapid.SampledFrom([]string{"fault", "fault", "heal", "wait", "approve", "approve", "retry", "retry", "skip", "skip", "cancel", "pause", "continue", "reject", "again"}).Draw(m.T, "event") {
	case "fault":
		f := memory.Fault{
			Call: rapid.SampledFrom([]string{"ensure", "delete", "probe", "observe", "ensure", "delete"}).Draw(m.T, "call"),
			Type: rapid.SampledFrom([]string{"", "store", "account", "api_key", "setting"}).Draw(m.T, "type"), Times: rapid.IntRange(0, 3).Draw(m.T, "times"),
			DropAnswer: rapid.Bool().Draw(m.T, "drop"),
		}
		if rapid.Bool().Draw(m.T, "for good") {
			f.Err = tenure.Errorf(tenure.Blocked, "it doesn't like that")
		}
		m.s.world.Inject(f)
	case "heal":
		m.s.world.Heal()
	case "wait":
		m.pass(time.Duration(rapid.IntRange(1, 600).Draw(m.T, "minutes")) * time.Minute)
	case "approve":
		_, _ = m.s.Approve(ctx, m.op, "", m.s.view(m.op).Plan, rapid.SampledFrom([]string{"reviewer", "counsel"}).Draw(m.T, "who"), "")
	case "retry":
		step := ""
		if failed := m.failed(); len(failed) > 0 && rapid.Bool().Draw(m.T, "one") {
			step = rapid.SampledFrom(failed).Draw(m.T, "step")
		}
		_, _ = m.s.Retry(ctx, m.op, step, "operator")
	case "skip":
		if failed := m.failed(); len(failed) > 0 {
			step := rapid.SampledFrom(failed).Draw(m.T, "step")
			for _, by := range []string{"operator", "reviewer"}[:rapid.IntRange(1, 2).Draw(m.T, "persons")] {
				_, _ = m.s.Skip(ctx, m.op, step, "it can't be done", by)
			}
		}
	case "cancel":
		_ = m.s.Steer(ctx, m.op, "cancel", "operator")
	case "pause":
		_ = m.s.Steer(ctx, m.op, "pause", "operator")
	case "continue":
		_ = m.s.Steer(ctx, m.op, "continue", "operator")
	case "reject":
		_, _ = m.s.Reject(ctx, everywhere("reviewer", tenure.Approver), m.op, "", "not now")
	case "again": // one that ended gives way to the next
		if m.s.view(m.op).State.Ended() && m.s.view(m.op).State != tenure.OperationSucceeded && !m.leftBehind() {
			m.op = m.request()
		}
	}
	m.settle()
}

func (m *beginning) pass(d time.Duration) {
	for end := m.s.options.Now().Add(d); ; {
		next, err := m.s.Engine.Settle(context.Background())
		m.must(err)
		if next.IsZero() || next.After(end) {
			m.s.clock.Store(end.UnixMicro())
			m.settle()
			return
		}
		if next.After(m.s.options.Now()) {
			m.s.clock.Store(next.UnixMicro())
		}
	}
}

func (m *beginning) failed() (keys []string) {
	for _, r := range m.s.view(m.op).Steps {
		if r.State == tenure.StepFailed {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// leftBehind says whether two persons had something not taken back, whose name stays taken.
func (m *beginning) leftBehind() bool {
	ops, err := m.s.Operations(context.Background(), string(m.s.view(m.op).Tenant), false, 100)
	m.must(err)
	for _, op := range ops {
		for _, r := range m.s.view(op.ID).Steps {
			if strings.HasPrefix(r.Key, "undo/") && r.State == tenure.StepSkipped {
				return true
			}
		}
	}
	return false
}

// end mends everything, has what failed tried again, and brings it to its end.
func (m *beginning) end() {
	ctx := context.Background()
	m.s.world.Heal()
	for i := range 20 {
		if m.s.view(m.op).State.Ended() {
			break
		}
		what := "continue"
		if i > 10 { // what was skipped keeps what needs it from passing
			what = "cancel"
		}
		_ = m.s.Steer(ctx, m.op, what, "operator")
		m.settle()
		_, _ = m.s.Approve(ctx, m.op, "", m.s.view(m.op).Plan, "reviewer", "")
		m.pass(time.Hour)
		_, _ = m.s.Retry(ctx, m.op, "", "operator")
		m.pass(time.Hour)
	}
	v := m.s.view(m.op)
	if !v.State.Ended() {
		m.Fatalf("it doesn't end, though all is mended\n%s", m.s.show(m.op))
	}
	if v.State == tenure.OperationSucceeded || m.leftBehind() {
		return
	}
	m.op = m.request()
	_, err := m.s.Approve(ctx, m.op, "", m.s.view(m.op).Plan, "reviewer", "")
	m.must(err)
	m.pass(time.Hour)
	if v := m.s.view(m.op); v.State != tenure.OperationSucceeded {
		m.Fatalf("the next of the same name is %s: %s\n%s", v.State, v.Reason, m.s.show(m.op))
	}
}
