package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// sideText is a blueprint on the side system alone; it parks.
const sideText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: side
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  side: {connector: memory}
resources:
  - {key: hook, system: side, type: integration, name: "${tenant.name}-hook"}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P30D, quarantine: P7D}
`

// A system that is gone for an hour costs its own operations an hour or so, and
// the others nothing.
func TestSystemDownForAnHour(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(sideText)
	s.side.Down(true)
	down := s.begin("late", "side")
	s.onboard("prompt") // on main alone, while side is down
	s.wantState(down, tenure.OperationRunning)
	s.pass(time.Hour)
	s.wantState(down, tenure.OperationRunning)
	if !strings.Contains(s.show(down), "system side") {
		t.Errorf("no step names the system that doesn't answer\n%s", s.show(down))
	}
	s.onboard("prompt-two")
	s.side.Down(false)
	s.pass(20 * time.Minute)
	s.wantState(down, tenure.OperationSucceeded)
	s.audited()
}

// An outage that outlasts every attempt blocks with the system's name, keeps
// nobody else, and a person's retry finishes it.
func TestSystemDownForADayBlocksWithItsName(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(sideText)
	s.side.Down(true)
	op := s.begin("late", "side")
	s.pass(day)
	v := s.view(op)
	if v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "prod/hook/ensure") {
		t.Fatalf("the operation is %s: %q\n%s", v.State, v.Reason, s.show(op))
	}
	tv, err := s.Tenant(ctx, "late")
	s.must(err)
	if !strings.Contains(tv.Blocked, string(op)) {
		t.Errorf("the tenant doesn't show that it is blocked: %q", tv.Blocked)
	}
	if !strings.Contains(s.show(op), "system side") {
		t.Errorf("the step doesn't name the system\n%s", s.show(op))
	}
	s.onboard("prompt")
	s.side.Down(false)
	n, err := s.Retry(ctx, op, "", "operator")
	s.must(err)
	if n != 1 {
		t.Errorf("%d steps were retried, want 1", n)
	}
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	if tv, err = s.Tenant(ctx, "late"); err != nil || tv.Blocked != "" {
		t.Errorf("the tenant still shows a block: %q (%v)", tv.Blocked, err)
	}
	s.audited()
}

// The system did what it was asked and its answer was lost: nothing is made
// twice, and the same credential holds.
func TestAnswerLostAfterTheCall(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"ensure", "probe", "observe"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.world.Inject(memory.Fault{Call: call, DropAnswer: true, Times: 3})
			op := s.begin("acme", "small")
			s.pass(time.Hour)
			s.wantState(op, tenure.OperationSucceeded)
			if got := len(things(s.world, "acme-")); got != 8 {
				t.Errorf("there are %d things, want 8: %q", got, things(s.world, "acme-"))
			}
			again := 0
			for _, st := range s.view(op).Steps {
				if st.Attempt > 1 {
					again++
				}
			}
			if call != "observe" && again == 0 {
				t.Errorf("no step was tried again\n%s", s.show(op))
			}
			outs, err := s.Outputs(context.Background(), op, true, "operator")
			s.must(err)
			tv, err := s.Tenant(context.Background(), "acme")
			s.must(err)
			for _, o := range outs {
				if o.Name == "password" {
					if err := s.world.Enter(o.Secret, tv.ID, o.Environment); err != nil {
						t.Errorf("the password that was handed over doesn't open %s: %v", o.Environment, err)
					}
				}
			}
			s.audited()
		})
	}
}

// Deletions whose answer is lost are seen to have happened.
func TestAnswerLostInAnOffboarding(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.world.InjectSeed(11, 0.1)
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "fraud"}, "operator")
	s.approve(op, "reviewer")
	s.pass(40 * day)
	s.confirm(op)
	s.pass(400 * day)
	s.confirm(op)
	s.pass(day)
	s.wantState(op, tenure.OperationSucceeded)
	if left := things(s.world, "acme-"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	s.audited()
}

// One call that hangs is cut, tried again, and holds no other step up.
func TestStalledCallIsCutAndTriedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.Engine.StepTimeout = 50 * time.Millisecond
	s.world.Inject(memory.Fault{Call: "ensure", Type: "setting", Stall: true, Times: 1})
	op := s.begin("acme", "small")
	if !strings.Contains(s.show(op), "cut off after 50ms") {
		t.Errorf("no step says that it was cut off\n%s", s.show(op))
	}
	s.pass(time.Minute)
	s.wantState(op, tenure.OperationSucceeded)
	s.audited()
}

// A driver that panics fails its step, not the process.
func TestPanicInADriverIsTheStepsFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(sideText)
	boom := func(r connector.Ref) {
		if r.Type == "integration" {
			panic("driver bug")
		}
	}
	s.onCall.Store(&boom)
	op := s.begin("late", "side")
	v := s.view(op)
	if v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "panic: driver bug") {
		t.Fatalf("after a panic the operation is %s\n%s", v.State, s.show(op))
	}
	s.onboard("prompt")
	s.onCall.Store(nil)
	_, err := s.Retry(context.Background(), op, "prod/hook/ensure", "operator")
	s.must(err)
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	s.audited()
}
