package lifecycle_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// An erasure whose confirmation is too old isn't taken for one that had begun because somebody
// wrote that into the store.
func TestForgedProgressBeginsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.pausedPast("rows")
	before := s.held("rows", "aa")
	s.pass(5 * day)
	s.behind(`update step set progress = '{"parts":{"aa":{"counts":{"aa":1}}}}' where operation = ? and key = 'prod/data/erase/aa'`, string(op))
	s.must(s.Steer(t.Context(), op, "continue", "operator"))
	s.settle()
	s.pass(time.Hour)
	if got := s.held("rows", "aa"); got != before || before == 0 {
		t.Errorf("%d of %d rows of aa are left\n%s", got, before, s.show(op))
	}
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "step op_") {
		t.Errorf("the operation is %s: %q", v.State, v.Reason)
	}
	if all := s.problems(); !strings.Contains(all, "step op_") {
		t.Errorf("the audit doesn't name it:\n%s", all)
	}
}

// What is decided by is what was compared with the log: a forged word that is taken away again before the
// rows are compared opens nothing.
func TestForgedWordsBetweenTwoLooksOpenNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 10)
	s.pass(11 * day)
	s.Engine.Extra = func(context.Context, tenure.Operation) (int, string, time.Time, error) {
		s.tamper(`delete from approval where approver like 'mallory%'`)
		return 0, "", time.Time{}, nil
	}
	for _, n := range []string{"1", "2"} {
		s.tamper(`insert into approval (operation, step, digest, approver, at, note, on_behalf, roles) select id, 'noreturn/aa', plan, 'mallory-` + n + `', ` + strconv.FormatInt(s.clock.Load(), 10) + `, '', '', '' from operation where kind = 'offboard'`)
	}
	s.tamper(`update operation set due_at = 1 where kind = 'offboard'`)
	s.settle()
	s.pass(time.Hour)
	if got := s.held("rows", "aa"); got != 10 {
		t.Errorf("%d of 10 rows of aa are left\n%s", got, s.show(op))
	}
}

// A hold that is taken away for the moment in which it is looked for, and is back when holds are compared with the
// log, stops the next batch all the same.
func TestHoldThatHidesBetweenTwoLooksIsSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.Engine.BatchRows = 10
	op := s.classes("rows", 100)
	batches := 0
	hook := func(connector.Ref) {
		if batches++; batches != 1 {
			return
		}
		_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Tenant: s.view(op).Tenant, Class: "aa"}}, "counsel")
		if err != nil {
			t.Error(err)
		}
		s.tamper(`create table hold_kept as select * from hold`, `delete from hold`)
		s.db.ObserveCommits(func(store.Commit) {
			s.tamper(`insert into hold select * from hold_kept where id not in (select id from hold)`)
		})
	}
	s.onErase.Store(&hook)
	s.pass(15 * day)
	s.confirmAt(op, "noreturn/aa")
	if got := s.held("rows", "aa"); got != 90 {
		t.Errorf("%d rows of aa are left after the first batch, want 90\n%s", got, s.show(op))
	}
}
