package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// What somebody wrote into the progress of an erasure stops it, and no certificate says that it has gone.
func TestForgedProgressIsInNoCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.onboard("acme")
	s.fill("acme-prod", 100, 5)
	op := s.leave("acme")
	for range 4 {
		s.pass(5 * day)
	}
	s.audited()
	before := s.rows("acme-prod", "orders")
	s.behind(`update step set progress = '{"counts":{"orders":4242}}' where operation = ? and state = 'pending' and key like '%erase/%'`, string(op))
	s.behind(`update operation set due_at = 1 where id = ?`, string(op))
	s.settle()
	for range 5 {
		s.pass(30 * day)
	}
	if got := s.rows("acme-prod", "orders"); got != before || before == 0 {
		t.Errorf("%d of %d orders are left\n%s", got, before, s.show(op))
	}
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "step op_") {
		t.Errorf("the operation is %s: %q", v.State, v.Reason)
	}
	if all := s.problems(); !strings.Contains(all, "(progress)") {
		t.Errorf("the audit doesn't name it:\n%s", all)
	}
}
