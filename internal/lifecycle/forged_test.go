package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// behind changes something of the store past the program, or fails: args stand in the place of question marks.
func (s *site) behind(q string, args ...string) {
	s.t.Helper()
	for _, a := range args {
		q = strings.ReplaceAll(q, "?", "'"+a+"'")
	}
	before := s.dump()
	s.tamper(q)
	if s.dump() == before {
		s.t.Fatalf("%s changed nothing", q)
	}
}

// Whoever changes what an erasure goes by, past the program, finds it stopped before anything is destroyed.
func TestForgedRowsDestroyNothing(t *testing.T) {
	t.Parallel()
	const approval = `insert into approval (operation, step, digest, approver, at, note, on_behalf, roles) select operation.id, step.key, operation.plan, 'mallory-' || ?, step.started_at + 1, '', '', '' from step join operation on operation.id = step.operation where step.key in (select w.step from approval_wait w where w.operation = operation.id)`
	for name, c := range map[string]struct {
		hold  bool
		after time.Duration // from the request
		forge func(s *site, op tenure.OperationID)
		says  string
	}{
		"hold deleted": {true, 50 * day, func(s *site, _ tenure.OperationID) { s.behind(`delete from hold`) }, "hold hld_"},
		"hold released": {true, 50 * day, func(s *site, _ tenure.OperationID) {
			s.behind(`update hold set released_at = placed_at + 1, release_by = 'counsel' || char(10) || 'director'`)
		}, "hold hld_"},
		"hold narrowed":  {true, 50 * day, func(s *site, _ tenure.OperationID) { s.behind(`update hold set class = 'invoices'`) }, "hold hld_"},
		"hold elsewhere": {true, 50 * day, func(s *site, _ tenure.OperationID) { s.behind(`update hold set tenant = 'ten_other'`) }, "hold hld_"},
		"anchors moved": {false, 20 * day, func(s *site, _ tenure.OperationID) {
			s.behind(`update tenant set anchors = replace(anchors, '"2026', '"2016') where name = 'acme'`)
		}, "tenant ten_"},
		"approvals forged": {false, 50 * day, func(s *site, _ tenure.OperationID) {
			s.behind(approval, "one")
			s.behind(approval, "two")
		}, "approval op_"},
		"steps done": {false, 50 * day, func(s *site, op tenure.OperationID) {
			s.behind(`update step set state = 'done', verdict = 'verified', ended_at = 1 where operation = ? and key in (select w.step from approval_wait w where w.operation = step.operation)`, string(op))
		}, "step op_"},
		"waits shortened": {false, 20 * day, func(s *site, op tenure.OperationID) {
			s.behind(`update step set ended_at = 1 where operation = ? and state = 'done'`, string(op))
		}, "step op_"},
		"steps skipped": {false, 50 * day, func(s *site, op tenure.OperationID) {
			s.behind(`update step set state = 'skipped' where operation = ? and key in (select w.step from approval_wait w where w.operation = step.operation)`, string(op))
		}, "step op_"},
		"exception forged": {false, 50 * day, func(s *site, op tenure.OperationID) {
			s.behind(`insert into exception (operation, step, reason, asked_by, asked_at, attested_by, attested_at) select operation, key, 'x', 'a', 1, 'b', 2 from step where operation = ? and state = 'pending' limit 1`, string(op))
		}, "exception op_"},
		"the wish to cancel": {false, 50 * day, func(s *site, op tenure.OperationID) {
			s.behind(`update operation set wanted = 'cancel', wanted_why = 'no' where id = ?`, string(op))
		}, "operation op_"},
		"a step more": {false, 50 * day, func(s *site, op tenure.OperationID) {
			s.behind(`insert into step select operation, seq + 1000, 'undo/' || key, state, verdict, attempt, 1, owner, token, lease_until, due_at, started_at, ended_at, error_code, error, receipt, progress, failing_since from step where operation = ? and state = 'pending'`, string(op))
		}, "takes back no step"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.onboard("acme")
			s.fill("acme-prod", 100, 5)
			op := s.leave("acme")
			if c.hold {
				_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
				s.must(err)
			}
			for passed := time.Duration(0); passed < c.after; passed += 5 * day {
				s.pass(5 * day)
			}
			before := s.rows("acme-prod", "orders")
			c.forge(s, op)
			s.behind(`update operation set due_at = 1 where id = ?`, string(op))
			s.settle()
			for range 20 {
				s.pass(5 * day)
			}
			if got := s.rows("acme-prod", "orders"); got != before || before == 0 {
				t.Fatalf("%d of %d orders are left\n%s", got, before, s.show(op))
			}
			v := s.view(op)
			if v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, c.says) {
				t.Errorf("the operation is %s: %q", v.State, v.Reason)
			}
			if all := s.problems(); !strings.Contains(all, strings.Replace(c.says, "takes back no step", "step op_", 1)) {
				t.Errorf("the audit doesn't name it:\n%s", all)
			}
		})
	}
}

// launder appends an entry to the log as somebody would who holds the store and no key: with its hashes, and the head after it.
func (s *site) launder(kind, data string) {
	s.t.Helper()
	size, err := s.db.LogSize(context.Background())
	s.must(err)
	tree, err := audit.NewTree(size, s.db.HashReader(context.Background()))
	s.must(err)
	body, err := (&audit.Entry{Format: audit.Format, At: s.options.Now(), Kind: kind, Data: []byte(data)}).Encode()
	s.must(err)
	b, _ := tree.Prepare([][]byte{body})
	hex := `x'%x'`
	if s.db.Dialect == store.Postgres {
		hex = `'\x%x'`
	}
	s.tamper(fmt.Sprintf(`insert into audit_entry (idx, body) values (%d, `+hex+`)`, size, body),
		fmt.Sprintf(`insert into audit_node (first, data) values (%d, `+hex+`)`, b.First, b.Hashes),
		fmt.Sprintf(`update audit_head set size = %d where id = 1`, b.NewSize))
}

// A log that somebody wrote on behind the program's back vouches for nothing, also once the program has written on.
func TestForgedEntriesVouchForNothing(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"while it runs": false, "while it is stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.onboard("acme")
			s.fill("acme-prod", 100, 5)
			op := s.leave("acme")
			held, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
			s.must(err)
			for range 10 {
				s.pass(5 * day)
			}
			before := s.rows("acme-prod", "orders")
			s.behind(`delete from hold`)
			s.launder(store.RowsEntry, fmt.Sprintf(`{"rows":{"hold.effective/%[1]s":"","hold/%[1]s":""}}`, held.ID))
			if restart {
				s.must(s.db.Close())
				s.db, err = store.Open(context.Background(), store.Options{DSN: s.dsn})
				s.must(err)
				s.options.DB = s.db
				s.Service = s.service(s.options)
			}
			s.behind(`update operation set due_at = 1 where id = ?`, string(op))
			s.settle()
			for range 20 {
				s.pass(5 * day)
			}
			if got := s.rows("acme-prod", "orders"); got != before || before == 0 {
				t.Fatalf("%d of %d orders are left\n%s", got, before, s.show(op))
			}
			if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "past the program") {
				t.Errorf("the operation is %s: %q", v.State, v.Reason)
			}
			if all := s.problems(); !strings.Contains(all, "past the program") {
				t.Errorf("the audit doesn't name it:\n%s", all)
			}
		})
	}
}

// Who takes out of the log what it says of the rows, and the mark that it says it, gets no new beginning.
func TestStrippedLogIsNoBeginning(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	op := s.leave("acme")
	ctx := context.Background()
	var bodies [][]byte
	for r, err := range s.db.Entries(ctx, 0) {
		s.must(err)
		body := r.Entry
		if e, err := audit.Decode(body); err == nil && e.Kind == store.RowsEntry {
			body, err = (&audit.Entry{Format: audit.Format, At: e.At, Kind: "drift.checked"}).Encode()
			s.must(err)
		}
		bodies = append(bodies, body)
	}
	s.must(s.db.Close())
	tree, err := audit.NewTree(0, nil)
	s.must(err)
	b, _ := tree.Prepare(bodies)
	forge := []string{`delete from audit_entry`, `delete from audit_node`, `delete from checkpoint`, `delete from meta where key = 'rows_from'`, `update audit_head set seal = ''`,
		fmt.Sprintf(`insert into audit_node (first, data) values (0, x'%x')`, b.Hashes)}
	for i, body := range bodies {
		forge = append(forge, fmt.Sprintf(`insert into audit_entry (idx, body) values (%d, x'%x')`, i, body))
	}
	s.tamper(append(forge, `update tenant set anchors = replace(anchors, '"2026', '"2016')`, `update operation set due_at = 1`)...)
	s.db, err = store.Open(ctx, store.Options{DSN: s.dsn})
	s.must(err)
	s.options.DB = s.db
	s.Service = s.service(s.options)
	s.settle()
	s.pass(60 * day)
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "past the program") {
		t.Errorf("the operation is %s: %q", v.State, v.Reason)
	}
	rep, err := s.VerifyAudit(ctx)
	s.must(err)
	if all := strings.Join(rep.Problems, "\n"); !strings.Contains(all, "past the program") {
		t.Errorf("the audit doesn't name it:\n%s", all)
	}
}

// What somebody planted in the store to change what the program writes is named, and stops what would go by it.
func TestPlantedRulesAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ plant, says string }{
		"a hold that isn't kept":  {`create trigger quiet before insert on hold begin select raise(ignore); end`, "trigger quiet"},
		"a hold that is narrowed": {`create trigger narrow after insert on hold begin update hold set class = 'other' where id = new.id; end`, "trigger narrow"},
		"a view of some holds":    {`alter table hold rename to hold_all; create view hold as select * from hold_all where (select query_only from pragma_query_only) = 1`, "view hold"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.onboard("acme")
			op := s.leave("acme")
			for range 4 {
				s.pass(5 * day)
			}
			s.tamper(c.plant)
			_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
			if holds, _ := s.db.Holds(context.Background(), "", false); err == nil && len(holds) == 0 {
				t.Error("a hold counts as placed, and isn't there")
			}
			if all := s.problems(); !strings.Contains(all, c.says) {
				t.Errorf("the audit doesn't name it:\n%s", all)
			}
			s.behind(`update operation set due_at = 1 where id = ?`, string(op))
			s.settle()
			s.pass(40 * day)
			if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, c.says) {
				t.Errorf("the operation is %s: %q", v.State, v.Reason)
			}
		})
	}
}

// A gate that somebody made expire takes nothing back.
func TestForgedExpiryTakesNothingBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	op := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}, "operator")
	s.settle()
	w, err := s.db.ApprovalWaits(context.Background(), op)
	s.must(err)
	if len(w) == 0 {
		t.Fatalf("no gate waits\n%s", s.show(op))
	}
	s.behind(`update approval_wait set expires_at = since`)
	s.tick()
	s.settle()
	if v := s.view(op); v.State == tenure.OperationCancelled || v.Wanted != "" {
		t.Errorf("the operation is %s, wanted %q: %q", v.State, v.Wanted, v.Reason)
	}
	if all := s.problems(); !strings.Contains(all, "approval_wait ") {
		t.Errorf("the audit doesn't name it:\n%s", all)
	}
}

// Entries beyond the log's head stop what is written, and the error says so.
func TestEntriesBeyondTheHead(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.behind(`insert into audit_entry (idx, body) select size, x'7b7d' from audit_head`)
	_, err := s.PlaceHold(context.Background(), tenure.Hold{Matter: "case 7", Scope: tenure.HoldScope{Class: "orders"}}, "counsel")
	wantCode(t, err, tenure.Blocked, "beyond the log's head")
}
