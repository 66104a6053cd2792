package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// stoppedInTheMiddle brings acme's class aa to a confirmed erasure that has taken one batch of ten
// of its hundred rows when a court stops it.
func (s *site) stoppedInTheMiddle() (tenure.OperationID, tenure.Hold) {
	s.t.Helper()
	s.Engine.BatchRows = 10
	op := s.classes("rows", 100)
	var h tenure.Hold
	hook := func(connector.Ref) {
		if !h.PlacedAt.IsZero() {
			return
		}
		var err error
		if h, err = s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant, Class: "aa"}}, "counsel"); err != nil {
			s.t.Error(err)
		}
	}
	s.onErase.Store(&hook)
	s.pass(15 * day)
	s.confirmAt(op, "noreturn/aa")
	if got := s.held("rows", "aa"); got != 90 {
		s.t.Fatalf("%d rows of aa are left after the first batch, want 90\n%s", got, s.show(op))
	}
	return op, h
}

func (s *site) releaseHold(id tenure.HoldID) {
	s.t.Helper()
	for _, by := range []string{"counsel", "director"} {
		_, err := s.ReleaseHold(context.Background(), id, by)
		s.must(err)
	}
	s.settle()
}

// An erasure that has begun goes on to its end when the hold is gone, however long that
// took: half of a class is no state to ask anybody about.
func TestBegunErasureGoesOnAfterALongHold(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op, h := s.stoppedInTheMiddle()
	s.pass(30 * day)
	if got := s.held("rows", "aa"); got != 90 {
		t.Fatalf("%d rows of aa are left under the hold, want 90\n%s", got, s.show(op))
	}
	s.releaseHold(h.ID)
	if got := s.held("rows", "aa"); got != 0 {
		t.Fatalf("%d rows of aa are left, and the erasure asks again in its middle\n%s", got, s.show(op))
	}
	if rec := s.row(op, "prod/data/erase/aa").Receipt; !strings.Contains(rec, `"aa":100`) {
		t.Errorf("the receipt doesn't count all 100 rows: %s", rec)
	}
}

// An attempt that couldn't even reach the system leaves what the attempts before it
// had taken, and with it the count of earlier rounds.
func TestProgressOutlivesAnUnreachableSystem(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op, h := s.stoppedInTheMiddle()
	before := s.row(op, "prod/data/erase/aa").Progress
	open := s.Engine.System
	s.Engine.System = func(string) (*connector.System, error) {
		return nil, tenure.Errorf(tenure.Unavailable, "nobody answers").Retryable()
	}
	s.releaseHold(h.ID)
	if got := s.row(op, "prod/data/erase/aa"); got.Progress != before || before == "" {
		t.Errorf("the progress %q became %q", before, got.Progress)
	}
	s.Engine.System = open
	s.pass(time.Hour)
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left\n%s", got, s.show(op))
	}
}

// Rows that are written while an erasure tries again belong to that erasure: they came
// before it had taken its class, and nobody is asked twice.
func TestRowsThatComeBetweenTwoAttempts(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		s := newSite(t, nil)
		op := s.classes("rows", 4)
		s.pass(15 * day)
		s.world.Inject(memory.Fault{Call: "erase", Times: 1, DropAnswer: lost})
		s.confirmAt(op, "noreturn/aa")
		s.world.Fill("rows", "acme-data", "aa", "written in between")
		s.pass(time.Hour)
		if got := s.held("rows", "aa"); got != 0 {
			t.Fatalf("lost %t: %d rows of aa are left\n%s", lost, got, s.show(op))
		}
		if rec := s.row(op, "prod/data/erase/aa").Receipt; !strings.Contains(rec, `"aa":5`) || strings.Contains(rec, "rounds") {
			t.Errorf("lost %t: the receipt says %s", lost, rec)
		}
	}
}

// pausedPast brings acme's class aa past its point of no return, and pauses before
// anything of it goes.
func (s *site) pausedPast(typ string) tenure.OperationID {
	s.t.Helper()
	op := s.classes(typ, 10)
	move := s.Engine.Own[tenure.ActMove]
	s.Engine.Own[tenure.ActMove] = func(ctx context.Context, t *engine.Task) engine.Result {
		if t.Step.To == string(tenure.TenantErasing) {
			if err := s.Steer(ctx, op, "pause", "operator"); err != nil {
				s.t.Error(err)
			}
		}
		return move(ctx, t)
	}
	s.pass(15 * day)
	s.confirmAt(op, "noreturn/aa")
	s.wantState(op, tenure.OperationPaused)
	s.Engine.Own[tenure.ActMove] = move
	return op
}

// A word that lapsed before the first batch is asked for again, with fresh counts.
func TestLapsedWordIsAskedForWithFreshCounts(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"rows", "store"} {
		s := newSite(t, nil)
		op := s.pausedPast(typ)
		counted := s.row(op, "prod/data/count/aa").EndedAt
		s.pass(3*day + time.Second)
		s.world.Fill(typ, "acme-data", "aa", "one more")
		s.must(s.Steer(context.Background(), op, "continue", "operator"))
		s.settle()
		if got := s.held(typ, "aa"); got != 11 {
			t.Fatalf("%s: %d rows of aa are left, want 11: the confirmation had lapsed\n%s", typ, got, s.show(op))
		}
		s.confirmAt(op, "noreturn/aa")
		if got := s.row(op, "prod/data/count/aa"); !got.EndedAt.After(counted) || !strings.Contains(got.Receipt, `"rows":11`) {
			t.Errorf("%s: the counts weren't taken again: %s", typ, got.Receipt)
		}
		if got := s.held(typ, "aa"); got != 0 {
			t.Errorf("%s: %d rows of aa are left after two fresh words\n%s", typ, got, s.show(op))
		}
		s.audited()
	}
}

// A word that was said of counts which have been taken again since counts for nothing.
func TestWordOfOldCountsCountsForNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.classes("rows", 10)
	sign := func(by string) error {
		_, err := s.Approve(ctx, op, "noreturn/aa", s.view(op).Plan, by, "")
		s.settle()
		return err
	}
	s.pass(11 * day)
	s.must(sign("reviewer"))
	s.pass(4 * day)
	wantCode(t, sign("counsel"), tenure.Conflict, "taken again")
	s.must(sign("counsel"))
	if got := s.held("rows", "aa"); got != 10 {
		t.Fatalf("%d rows of aa are left, want 10: one person has seen the fresh counts\n%s", got, s.show(op))
	}
	s.must(sign("reviewer"))
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left after two fresh words\n%s", got, s.show(op))
	}
	s.audited()
}

// A word that is just as old as it may be still counts.
func TestWordAtItsLastMomentCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.pausedPast("rows")
	s.clock.Add((3 * day).Microseconds())
	s.must(s.Steer(context.Background(), op, "continue", "operator"))
	s.settle()
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left after 72 hours\n%s", got, s.show(op))
	}
}

// Rows of a class that had gone from a whole store don't go along with it on words that
// were about the first ones.
func TestLateRowsOfAWholeStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("store", 10)
	s.pass(15 * day)
	s.confirmAt(op, "noreturn/aa")
	s.world.Fill("store", "acme-data", "aa", "late 1", "late 2")
	s.pass(30 * day)
	s.confirmAt(op, "noreturn/bb")
	s.confirmAt(op, "noreturn/cc")
	if got := s.held("store", "aa"); got != 2 {
		t.Fatalf("%d late rows of aa are there, want 2, which nobody confirmed\n%s", got, s.show(op))
	}
	if v := s.view(op); !strings.Contains(v.Reason, "noreturn/aa") {
		t.Errorf("the next step isn't named: %s %q", v.State, v.Reason)
	}
	s.confirmAt(op, "noreturn/aa")
	s.pass(day)
	s.certified(op)
}

// A class whose erasure two persons left out goes with its store, on words about it
// that are still good.
func TestSkippedErasureGoesOnFreshWords(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.classes("store", 10)
	s.world.Tamper("store", "acme-data", func(th *memory.Thing) { th.Swallows = map[string]string{"aa": "keep_all"} })
	s.pass(15 * day)
	s.confirmAt(op, "noreturn/aa")
	for _, by := range []string{"operator", "counsel"} {
		_, err := s.Skip(ctx, op, "prod/data/erase/aa", "the trigger isn't ours", by)
		s.must(err)
	}
	s.pass(30 * day)
	s.confirmAt(op, "noreturn/bb")
	s.confirmAt(op, "noreturn/cc")
	if got := s.held("store", "aa"); got != 10 {
		t.Fatalf("%d rows of aa are there, want 10: the words about them are a month old\n%s", got, s.show(op))
	}
	s.confirmAt(op, "noreturn/aa")
	s.pass(time.Hour)
	if got := s.held("store", "aa"); got != -1 {
		t.Errorf("the store is there after fresh words about all it holds\n%s", s.show(op))
	}
}

// An exception excuses what was found then. When the step runs again and fails again,
// it takes two persons again.
func TestExceptionEndsWhenItsStepRunsAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.classes("rows", 10)
	refused := tenure.Errorf(tenure.Blocked, "no rights")
	s.world.Inject(memory.Fault{Call: "map", Err: refused, Times: 2})
	s.pass(15 * day)
	skip := func(by string) bool {
		t.Helper()
		done, err := s.Skip(ctx, op, "prod/data/count/aa", "it can't be counted", by)
		s.must(err)
		s.settle()
		return done
	}
	if skip("operator") || !skip("counsel") {
		t.Fatalf("it doesn't take two\n%s", s.show(op))
	}
	s.pass(4 * day)
	_, err := s.Approve(ctx, op, "noreturn/aa", s.view(op).Plan, "reviewer", "")
	wantCode(t, err, tenure.Conflict, "taken again")
	s.settle()
	if got := s.row(op, "prod/data/count/aa"); got.State != tenure.StepFailed {
		t.Fatalf("the count that was left out is %s: it isn't taken again\n%s", got.State, s.show(op))
	}
	if skip("director") {
		t.Fatal("one person's word was enough the second time")
	}
	s.audited()
	s.world.Heal()
	_, err = s.Retry(ctx, op, "", "operator")
	s.must(err)
	s.settle()
	s.confirmAt(op, "noreturn/aa")
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left\n%s", got, s.show(op))
	}
	s.audited()
}

// Two stores' counts stand under one point of no return: what was counted in the first
// a week before the second is no fresh count.
func TestCountsUnderOneGateAgeByTheOldest(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	text := strings.Replace(classesText("rows"), "failure: park", "  - {key: more, system: main, type: rows, name: \"${tenant.name}-more\", data: [aa]}\nfailure: park", 1)
	s.publishText(text)
	s.wantState(s.begin("acme", "classes-rows"), tenure.OperationSucceeded)
	s.world.Fill("rows", "acme-data", "aa", "one")
	op := s.leave("acme")
	s.world.Inject(memory.Fault{Call: "map", Name: "acme-more", Err: tenure.Errorf(tenure.Blocked, "no rights")})
	s.pass(15 * day)
	first := s.row(op, "prod/data/count/aa").EndedAt
	s.world.Heal()
	_, err := s.Retry(ctx, op, "", "operator")
	s.must(err)
	s.settle()
	s.world.Fill("rows", "acme-data", "aa", "two", "three")
	_, err = s.Approve(ctx, op, "noreturn/aa", s.view(op).Plan, "reviewer", "")
	wantCode(t, err, tenure.Conflict, "taken again")
	s.settle()
	s.confirmAt(op, "noreturn/aa")
	if got := s.row(op, "prod/data/count/aa"); !got.EndedAt.After(first) || !strings.Contains(got.Receipt, `"rows":3`) {
		t.Errorf("persons confirmed a count of %s: %s", got.EndedAt, got.Receipt)
	}
}

// A retention that became longer after two persons confirmed keeps what it covers.
func TestClockThatMovedKeepsItsClass(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"rows", "store"} {
		s := newSite(t, nil)
		op := s.pausedPast(typ)
		s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
			return tx.SetAnchor(s.view(op).Tenant, tenure.FromTermination, s.Now().Add(20*day), true)
		}))
		s.must(s.Steer(context.Background(), op, "continue", "operator"))
		s.pass(29 * day)
		if got := s.held(typ, "aa"); got != 10 {
			t.Errorf("%s: %d rows of aa are left before the new date, want 10\n%s", typ, got, s.show(op))
		}
		if v := s.view(op); !strings.Contains(v.Reason, "retention of aa") {
			t.Errorf("%s: the operation doesn't say what it waits for: %q", typ, v.Reason)
		}
		s.pass(2 * day)
		s.confirmAt(op, "noreturn/aa") // the words have lapsed meanwhile
		if got := s.held(typ, "aa"); got != 0 {
			t.Errorf("%s: %d rows of aa are left after the new date\n%s", typ, got, s.show(op))
		}
	}
}

// Once a point of no return is passed the offboarding can't be cancelled, though nothing
// has gone yet: a tenant that is erasing has no way back.
func TestNoCancelPastThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.pausedPast("rows")
	wantCode(t, s.Steer(context.Background(), op, "cancel", "operator"), tenure.Blocked, "past its point of no return")
}

// A quarantine whose answer was lost is taken back with the rest when the tenant stays.
func TestReinstateAfterALostQuarantine(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.classes("store", 10)
	s.world.Inject(memory.Fault{Call: "quarantine", DropAnswer: true, Err: tenure.Errorf(tenure.Blocked, "no answer")})
	s.pass(35 * day)
	s.must(s.Steer(ctx, op, "cancel", "operator"))
	s.settle()
	s.world.Heal()
	back := s.request(lifecycle.Intent{Kind: tenure.Reinstate, Tenant: "acme", Reason: "they stay"}, "operator")
	if s.view(back).State == tenure.OperationWaiting {
		s.approve(back, "reviewer")
	}
	s.wantState(back, tenure.OperationSucceeded)
	if th, _ := s.world.Get("store", "acme-data"); th.State != tenure.ResourcePresent {
		t.Errorf("the store is %s after the tenant was reinstated", th.State)
	}
}
