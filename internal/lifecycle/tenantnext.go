package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Next is the next thing to happen to a tenant.
type Next struct {
	What      string
	At        time.Time // when it happens, or by when somebody must act; zero: nobody knows
	Who       string    // who must act; blank: it goes on by itself
	Operation tenure.OperationID
}

// Next says what is next for each of some tenants: what is blocked before what waits
// for persons, and that before what waits for a date, the earliest first. A tenant of
// which nothing is open isn't in the answer.
func (s *Service) Next(ctx context.Context, ahead map[tenure.TenantID]*store.TenantAhead) (map[tenure.TenantID]Next, error) {
	out := make(map[tenure.TenantID]Next)
	asked := make(map[string]more)
	for id, a := range ahead {
		best := 0
		for i := range a.Operations {
			op := &a.Operations[i]
			n, rank, err := s.nextOf(ctx, op, a.Waits[op.ID], a.Signed[op.ID], asked)
			if err != nil {
				return nil, err
			}
			if b, ok := out[id]; !ok || rank < best || rank == best && !n.At.IsZero() && (b.At.IsZero() || n.At.Before(b.At)) {
				out[id], best = n, rank
			}
		}
	}
	return out, nil
}

const steering = "somebody with operation.steer"

func (s *Service) nextOf(ctx context.Context, op *store.OperationRow, gates []store.ApprovalWait, signed []tenure.Approval, asked map[string]more) (n Next, rank int, err error) {
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
		return n, 0, nil
	case tenure.OperationPaused:
		n.What, n.Who = because(string(op.Kind)+" is paused"), steering
		return n, 1, nil
	case tenure.OperationWaiting:
		n.What, n.At = because(string(op.Kind)+" waits"), op.DueAt
		for _, g := range gates {
			who, err := s.awaited(ctx, op.Operation, g, signed, asked)
			if err != nil {
				return n, 0, err
			}
			if who == "" { // it opens at any moment
				continue
			}
			n.At, n.Who = g.ExpiresAt, who
			switch g.Action {
			case tenure.ActNoReturn:
				n.What = fmt.Sprintf("%s waits for the confirmation of its point of no return at %s", op.Kind, g.Step)
			case tenure.ActApproval:
				n.What = fmt.Sprintf("%s waits for approval at %s", op.Kind, g.Step)
			}
			return n, 2, nil
		}
		return n, 3, nil
	}
	n.What = string(op.Kind) + " is under way"
	return n, 4, nil
}

// awaited are those whom a gate still asks for, in words; "" if nobody.
func (s *Service) awaited(ctx context.Context, op tenure.Operation, g store.ApprovalWait, signed []tenure.Approval, asked map[string]more) (string, error) {
	if g.Action == tenure.ActTask {
		if g.Gate.Another {
			p, err := s.o.DB.Principal(ctx, op.RequestedBy)
			who := op.RequestedBy
			if p.Owner != "" {
				who += " (for " + p.Owner + ")"
			}
			return steering + " other than " + who, notThere(err)
		}
		return steering, nil
	}
	m, err := s.more(ctx, op, signed, asked)
	if err != nil {
		return "", err
	}
	count, m := standsAt(g, op, g.Words(signed, s.Now()), m)
	if count.Open() {
		return "", nil
	}
	return m.says(count.Missing()), nil
}

// standsAt is how far a gate is that waits for signatures, and how many more persons
// than its plan says it asks for. What decides a conflict between retention rules are
// two persons, whatever stands against them.
func standsAt(g store.ApprovalWait, op tenure.Operation, words []tenure.Approval, m more) (tenure.GateCount, more) {
	gate := g.Gate
	if g.Action == tenure.ActRetention {
		gate.Approvals, m = retentionDeciders, more{}
	}
	return gate.CountMore(m.n, op, g.Step, words, time.Time{}), m
}

// retentionDeciders is how many persons decide a conflict between retention rules.
const retentionDeciders = 2
