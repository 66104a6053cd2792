package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// Next is the next thing to happen to a tenant.
type Next struct {
	What      string
	At        time.Time // when it happens, or by when somebody must act; zero: nobody knows
	Who       string    // who must act; blank: it goes on by itself
	Operation tenure.OperationID
}

// NextOf says what is next for a tenant: what is blocked before what waits for
// persons, and that before what waits for a date, the earliest first. False if nothing
// is open.
func NextOf(a *store.TenantAhead) (best Next, ok bool) {
	rank := 0
	for i := range a.Operations {
		n, r := nextOf(&a.Operations[i], a.Waits[a.Operations[i].ID])
		if !ok || r < rank || r == rank && !n.At.IsZero() && (best.At.IsZero() || n.At.Before(best.At)) {
			best, rank, ok = n, r, true
		}
	}
	return best, ok
}

const steering = "somebody with operation.steer"

func nextOf(op *store.OperationRow, gates []store.ApprovalWait) (n Next, rank int) {
	n.Operation = op.ID
	because := func(what string) string {
		if op.Reason == "" {
			return what
		}
		return what + ": " + op.Reason
	}
	switch op.State {
	case tenure.OperationBlocked:
		n.What, n.Who = because(string(op.Kind)+" is blocked"), steering
		return n, 0
	case tenure.OperationPaused:
		n.What, n.Who = because(string(op.Kind)+" is paused"), steering
		return n, 1
	case tenure.OperationWaiting:
		if len(gates) > 0 {
			g := gates[0]
			n.What, n.At, n.Who = fmt.Sprintf("%s waits for approval at %s", op.Kind, g.Step), g.ExpiresAt, signersOf(g.Gate)
			if g.Action == tenure.ActNoReturn {
				n.What = fmt.Sprintf("%s waits for the confirmation of its point of no return at %s", op.Kind, g.Step)
			}
			return n, 2
		}
		n.What, n.At = because(string(op.Kind)+" waits"), op.DueAt
		if op.DueAt.IsZero() && strings.Contains(op.Reason, engine.TaskReason) {
			n.Who = steering
			return n, 2
		}
		return n, 3
	}
	n.What = string(op.Kind) + " is under way"
	return n, 4
}

// signersOf are those whom a gate asks for, in words.
func signersOf(g tenure.Gate) string {
	need := max(g.Approvals, 1)
	var parts []string
	for _, q := range g.From {
		parts = append(parts, fmt.Sprintf("%d of %s", q.Count, q.Role))
		need -= q.Count
	}
	if need > 0 {
		parts = append(parts, fmt.Sprintf("%d of any role that approves", need))
	}
	return strings.Join(parts, ", ")
}
