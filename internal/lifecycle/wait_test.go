package lifecycle_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// waitCase brings an operation to one kind of wait.
type waitCase struct {
	name  string
	why   string // words of the reason that it shows
	state tenure.OperationState
	begin func(*site) tenure.OperationID
}

var waitCases = []waitCase{
	{"approval", "0 of 1 approvals", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		return s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	}},
	{"one more", "a finding stands", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		ends := s.options.Now().Add(7 * day)
		s.Engine.Extra = func(context.Context, tenure.Operation) (int, string, time.Time, error) {
			return 1, "a finding stands", ends, nil
		}
		return s.begin("acme", "small")
	}},
	{"task", "a person's task", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		s.publishText(strings.Replace(classesText("rows"), "quarantine: P7D", "quarantine: P7D, tasks: [hand over the forms]", 1))
		s.wantState(s.begin("acme", "classes-rows"), tenure.OperationSucceeded)
		op := s.leave("acme")
		s.pass(2 * day)
		return op
	}},
	{"date", "until", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		s.onboard("acme")
		return s.leave("acme")
	}},
	{"retention", "retention of aa", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		op := s.classes("rows", 10)
		s.pass(5 * day)
		return op
	}},
	{"conflict of retention rules", "for two persons to decide", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		s.publishText(strings.Replace(classesText("rows"), "period: P10D, from: termination}]", "period: P10D, from: notice}, {name: z, kind: gone_by, period: P5D, from: termination}]", 1))
		s.wantState(s.begin("acme", "classes-rows"), tenure.OperationSucceeded)
		op := s.leave("acme")
		s.pass(2 * day)
		return op
	}},
	{"point of no return", "0 of 2 confirmations", tenure.OperationWaiting, pastRetention},
	{"half confirmed", "1 of 2 confirmations", tenure.OperationWaiting, halfConfirmed},
	{"lapsed counts", "0 of 2 confirmations", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		op := halfConfirmed(s)
		s.pass(4 * day)
		return op
	}},
	{"hold", "stands against", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		op := pastRetention(s)
		s.holdAcme(op)
		s.settle()
		return op
	}},
	{"paused", "paused by a person", tenure.OperationPaused, func(s *site) tenure.OperationID {
		op := pastRetention(s)
		s.must(s.Steer(context.Background(), op, "pause", "operator"))
		s.settle()
		return op
	}},
	{"blocked", "keep_all", tenure.OperationBlocked, func(s *site) tenure.OperationID {
		op := pastRetention(s)
		s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.Swallows = map[string]string{"aa": "keep_all"} })
		s.confirmAt(op, "noreturn/aa")
		return op
	}},
	{"another operation", "is at work on the same resources", tenure.OperationWaiting, func(s *site) tenure.OperationID {
		s.onboard("acme")
		op := s.leave("acme")
		s.pass(14*day - 2*time.Second)
		s.world.Remove("setting", "acme-prod-seats")
		entered := make(chan struct{})
		let := make(chan struct{})
		var once atomic.Bool
		hook := func(r connector.Ref) {
			if once.CompareAndSwap(false, true) {
				close(entered)
				<-let
			}
		}
		s.onCall.Store(&hook)
		_, repair, err := s.Request(context.Background(), lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
		s.must(err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = s.Engine.Advance(context.Background(), repair.ID)
		}()
		s.t.Cleanup(func() { close(let); <-ended })
		<-entered
		s.clock.Add((2 * time.Second).Microseconds())
		_, err = s.Engine.Advance(context.Background(), op)
		s.must(err)
		return op
	}},
}

func pastRetention(s *site) tenure.OperationID {
	op := s.classes("rows", 10)
	s.pass(15 * day)
	return op
}

func halfConfirmed(s *site) tenure.OperationID {
	op := s.classes("rows", 10)
	s.pass(10*day + time.Hour)
	_, err := s.Approve(context.Background(), op, "noreturn/aa", s.view(op).Plan, "reviewer", "")
	s.must(err)
	s.settle()
	return op
}

func (s *site) holdAcme(op tenure.OperationID) tenure.HoldID {
	s.t.Helper()
	h, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant}}, "counsel")
	s.must(err)
	return h.ID
}

// commits counts the store's transactions, refused ones too, while f runs.
func (s *site) commits(f func()) int {
	var n atomic.Int64
	s.db.ObserveCommits(func(store.Commit) { n.Add(1) })
	defer s.db.ObserveCommits(nil)
	f()
	return int(n.Load())
}

// minute lets a minute of the clock pass, as a server does: it carries on what is due
// and does the clock's work each second, and calls Advance beside that.
func (s *site) minute(svc *lifecycle.Service, op tenure.OperationID) {
	s.t.Helper()
	ctx := context.Background()
	for range 60 {
		s.clock.Add(time.Second.Microseconds())
		_, err := svc.Engine.Settle(ctx)
		s.must(err)
		_, err = svc.Engine.Advance(ctx, op)
		s.must(err)
		s.must(svc.TickApprovals(ctx, s.options.Now()))
	}
}

// running makes the engine's clock go on with every look at it, as a real one does,
// and bounds how often it is looked at.
func (s *site) running(svc *lifecycle.Service) {
	var looks atomic.Int64
	svc.Engine.Now = func() time.Time {
		if looks.Add(1) > 100_000 {
			panic("an operation that waits spins")
		}
		return time.UnixMicro(s.clock.Add(1)).UTC()
	}
}

// An operation that waits, for whatever it is, commits nothing until something
// changed; what changed something costs a few commits, and then it is quiet again.
func TestWaitingCostsNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	few := 4 // a reservation, what changes, and what follows
	events := []struct {
		name string
		most int
		do   func(s *site, op tenure.OperationID) *lifecycle.Service
	}{
		{"nothing", 0, nil},
		{"unrelated commits", 5, func(s *site, op tenure.OperationID) *lifecycle.Service {
			for i := range 5 {
				s.must(s.db.Write(ctx, func(tx *store.Tx) error {
					return tx.NoteAccess(store.AccessEvent{At: s.options.Now(), Kind: tenure.EventSignIn, Principal: fmt.Sprint("somebody", i)})
				}))
				_, err := s.Engine.Advance(ctx, op)
				s.must(err)
			}
			return nil
		}},
		{"a look for nothing", few, func(s *site, op tenure.OperationID) *lifecycle.Service {
			s.must(s.db.Write(ctx, func(tx *store.Tx) error { return tx.Poke(op, s.options.Now()) }))
			s.settle()
			return nil
		}},
		{"hold placed and released", 3 + 2*few, func(s *site, op tenure.OperationID) *lifecycle.Service {
			id := s.holdAcme(op)
			s.settle()
			s.releaseHold(id)
			return nil
		}},
		{"restart", 0, func(s *site, op tenure.OperationID) *lifecycle.Service {
			o := s.options
			o.Owner = "after the restart"
			svc := s.service(o)
			svc.Engine.Extra = s.Engine.Extra
			return svc
		}},
		{"told to stop", 0, func(s *site, op tenure.OperationID) *lifecycle.Service {
			stopped, stop := context.WithCancel(ctx)
			stop()
			_, err := s.Engine.Advance(stopped, op)
			s.must(err)
			return nil
		}},
		{"cancel", 40, func(s *site, op tenure.OperationID) *lifecycle.Service {
			_ = s.Steer(ctx, op, "cancel", "operator") // refused past a point of no return
			s.settle()
			return nil
		}},
	}
	for _, c := range waitCases {
		for _, e := range events {
			t.Run(c.name+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, nil)
				svc := s.Service
				s.running(svc)
				op := c.begin(s)
				v := s.view(op)
				if text := s.show(op); v.State != c.state || !strings.Contains(text, c.why) {
					t.Fatalf("it doesn't wait as it should: %s %q\n%s", v.State, v.Reason, text)
				}
				s.must(svc.TickApprovals(ctx, s.options.Now())) // what is due once a process
				if e.do != nil {
					if n := s.commits(func() {
						if other := e.do(s, op); other != nil {
							svc = other
							s.running(svc)
						}
					}); n > e.most {
						t.Errorf("%d commits for one event, want at most %d", n, e.most)
					}
				}
				before := s.view(op)
				if n := s.commits(func() { s.minute(svc, op) }); n != 0 {
					t.Errorf("%d commits in a minute in which nothing changed\n%s", n, s.show(op))
				}
				if after := s.view(op); after.Version != before.Version || after.State != before.State {
					t.Errorf("its row changed from version %d to %d, from %s to %s", before.Version, after.Version, before.State, after.State)
				}
			})
		}
	}
}

// One person approves eight onboardings in a row, so that each asks for one more:
// they wait without a commit, say so in the inbox from the first moment, and the
// server ends when it is told to. What one more person approves goes on.
func TestApprovalsInARowDontSpin(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.Engine.Extra = s.watcher().ExtraApprovals
	s.Engine.Now = func() time.Time { return time.UnixMicro(s.clock.Add(1)).UTC() }
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Engine.Run(ctx, 4, slog.New(slog.DiscardHandler)) }()
	var ops []tenure.OperationID
	for i := range 8 {
		_, op, err := s.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: fmt.Sprint("acme-", i), Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
		s.must(err)
		ops = append(ops, op.ID)
	}
	for _, op := range ops {
		s.until(op, func(v *lifecycle.OperationView) bool { return v.State == tenure.OperationWaiting })
		_, err := s.Approve(ctx, op, "", s.view(op).Plan, "reviewer", "")
		s.must(err)
	}
	last := ops[len(ops)-1]
	s.until(last, func(v *lifecycle.OperationView) bool { return strings.Contains(v.Reason, "1 of 2 approvals") })
	who := everywhere("third", tenure.Approver)
	items, _, err := s.Inbox(ctx, who, "", 0)
	s.must(err)
	found := false
	for _, i := range items {
		if i.ID == string(last) {
			found = i.Have == 1 && i.Need == 2 && strings.Contains(i.Missing, "1 more than the plan says, because finding")
		}
	}
	if !found {
		t.Errorf("the inbox doesn't say that it asks for one more: %+v", items)
	}
	version := s.view(last).Version
	_, err = s.Approve(ctx, last, "", s.view(last).Plan, "third", "")
	s.must(err)
	s.until(last, func(v *lifecycle.OperationView) bool { return v.State == tenure.OperationSucceeded })
	if version > 20 {
		t.Errorf("its row was written %d times before one more approved", version)
	}
	stop()
	select {
	case err := <-ended:
		s.must(err)
	case <-time.After(20 * time.Second):
		t.Fatal("the engine doesn't end when it is told to")
	}
}

// until waits for an operation to stand as it should.
func (s *site) until(op tenure.OperationID, ok func(*lifecycle.OperationView) bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(s.view(op)); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("it doesn't come to that\n%s", s.show(op))
		}
	}
}

// A point of no return whose counts grew old before enough had confirmed asks again:
// everybody finds it in the inbox with none of the old words, also who gave them.
func TestLapsedCountsAskAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	asked := 1
	ends := s.options.Now().Add(300 * day)
	op := halfConfirmed(s)
	s.Engine.Extra = func(context.Context, tenure.Operation) (int, string, time.Time, error) {
		return asked, "a finding stands", ends, nil
	}
	_, err := s.Approve(ctx, op, "noreturn/aa", s.view(op).Plan, "counsel", "")
	s.must(err)
	s.settle()
	inbox := func(who string) *lifecycle.InboxItem {
		items, _, err := s.Inbox(ctx, everywhere(who, tenure.Approver), "", 0)
		s.must(err)
		for i := range items {
			if items[i].ID == string(op) && items[i].Gate == "noreturn/aa" {
				return &items[i]
			}
		}
		return nil
	}
	if i := inbox("third"); i == nil || i.Have != 2 || i.Need != 3 || !strings.Contains(i.Missing, "a finding stands") {
		t.Errorf("two of three confirmed, and the inbox has %+v", i)
	}
	if i := inbox("reviewer"); i != nil {
		t.Errorf("who has confirmed is asked again: %+v", i)
	}
	s.pass(3*day + time.Second)
	for _, who := range []string{"reviewer", "counsel", "third"} {
		if i := inbox(who); i == nil || i.Have != 0 || i.Need != 3 {
			t.Errorf("the counts lapsed, and the inbox of %s has %+v", who, i)
		}
	}
	if v := s.view(op); !strings.Contains(v.Reason, "0 of 3 confirmations") || !strings.Contains(v.Reason, "older than") {
		t.Errorf("the reason doesn't say what it still needs: %q", v.Reason)
	}
	s.confirmAt(op, "noreturn/aa")
	if got := s.held("rows", "aa"); got != 10 {
		t.Fatalf("%d rows of aa are left, and two of three have confirmed", got)
	}
	_, err = s.Approve(ctx, op, "noreturn/aa", s.view(op).Plan, "third", "")
	s.must(err)
	s.settle()
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left, and all three have confirmed\n%s", got, s.show(op))
	}
	s.audited()
}

// A system that is away costs the commits of its attempts alone, ever fewer of them.
func TestSystemThatIsAwayIsTriedSeldom(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-prod"})
	s.approve(op, "reviewer")
	s.pass(time.Hour)
	before := s.row(op, "prod/store/ensure").Attempt
	n := s.commits(func() { s.pass(time.Hour) })
	attempts := s.row(op, "prod/store/ensure").Attempt - before
	if attempts < 4 || attempts > 12 {
		t.Errorf("%d attempts in the second hour\n%s", attempts, s.show(op))
	}
	if n > 2*attempts {
		t.Errorf("%d commits for %d attempts: each is a claim and its result", n, attempts)
	}
}
