package lifecycle_test

import (
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

// attempts are those at an operation's steps so far.
func (s *site) attempts(op tenure.OperationID) (n int) {
	for _, st := range s.view(op).Steps {
		n = max(n, st.Attempt)
	}
	return n
}

// A system that is away costs one commit an attempt, at most fifteen minutes lie between
// two, and the operation goes on by itself when it is back. A person's word doesn't wait
// for the next attempt.
func TestSystemThatIsAwayCostsOneCommitAnAttempt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *site) {
		s.publishText(sideText)
		s.side.Down(true)
		op := s.begin("late", "side")
		s.pass(10 * time.Minute) // it has said by then since when it tries
		before := s.attempts(op)
		n := s.commits(func() { s.pass(time.Hour) })
		tries := s.attempts(op) - before
		if tries < 4 || tries > 12 {
			t.Errorf("%d attempts in an hour\n%s", tries, s.show(op))
		}
		if n > tries {
			t.Errorf("%d commits for %d attempts", n, tries)
		}
		if row := s.row(op, "prod/hook/ensure"); row.DueAt.Sub(s.options.Now()) > 15*time.Minute {
			t.Errorf("the next attempt is %s away", row.DueAt.Sub(s.options.Now()))
		}
		s.side.Down(false)
		s.pass(15 * time.Minute)
		s.wantState(op, tenure.OperationSucceeded)
		s.side.Down(true)
		leaving := s.begin("later", "side")
		s.pass(30 * time.Minute)
		s.must(s.Steer(t.Context(), leaving, "pause", "operator"))
		s.settle()
		s.wantState(leaving, tenure.OperationPaused)
		s.audited()
	})
}
