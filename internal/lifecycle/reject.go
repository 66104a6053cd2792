package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Reject says no at a gate that waits; a blank gate is the one that does. Anybody
// may who may approve there, save the requester, who cancels instead. The operation
// is cancelled and what it made is taken back, as a cancellation does; the reason
// stands in it. Past a point of no return it is Blocked.
func (s *Service) Reject(ctx context.Context, c tenure.Caller, id tenure.OperationID, gate, reason string) (gateKey string, err error) {
	if err := signer(c); err != nil {
		return "", err
	}
	if reason, err = tenure.NeedLine("the reason for a rejection", reason, tenure.MaxReason); err != nil {
		return "", err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		if _, err := s.ways(ctx, tx, c, op.Operation); err != nil {
			return err
		}
		couples, err := links(tx, op.Operation, c.Name, s.Now())
		if err != nil {
			return err
		}
		if tenure.SamePerson(c.Name, op.RequestedBy) || tenure.SamePerson(c.Name, couples.answers) {
			return tenure.Errorf(tenure.Forbidden, "%s, and withdraws it rather than rejects it", op.AskedBy(c.Name)).WithHint("tenure operation cancel %s", id)
		}
		if op.State.Ended() {
			return tenure.Errorf(tenure.Conflict, "operation %s has ended as %s", id, op.State)
		}
		step, _, err := waitingGate(p, rows, gate, tenure.ActApproval, tenure.ActNoReturn)
		if err != nil {
			return err
		}
		gateKey = step.Key
		if err := cancellable(id, p, rows); err != nil {
			return err
		}
		return s.refuse(ctx, tx, op, p, step, "approval.reject", c.Name, fmt.Sprintf("rejected at %s: %s", step.Key, reason))
	})
	return gateKey, err
}

// refuse ends a gate's wait for good: the words given there are void, and the
// operation is cancelled with the reason.
func (s *Service) refuse(ctx context.Context, tx *store.Tx, op store.OperationRow, p *tenure.Plan, step *tenure.Step, kind, by, why string) error {
	now := s.Now()
	if err := tx.DropApprovals(op.ID, step.Key, now.Add(time.Microsecond)); err != nil {
		return err
	}
	if err := tx.DropWait(op.ID, ""); err != nil {
		return err
	}
	if err := tx.NoteRefused(op.ID, map[string]string{"approval.reject": "rejected", "approval.expire": "expired"}[kind]); err != nil {
		return err
	}
	if err := tx.WantBecause(op.ID, "cancel", why, now); err != nil {
		return err
	}
	e, err := s.entry(ctx, kind, by, op.Tenant, op.ID, string(op.ID), map[string]string{"gate": step.Key, "plan": op.Plan})
	if err != nil {
		return err
	}
	if err := tx.Log(e); err != nil {
		return err
	}
	return tx.AddNotice(store.Notice{
		ID: string(op.ID) + "/" + step.Key + "/" + kind, Kind: tenure.NoticeRejected, Tenant: op.Tenant, Operation: op.ID, Recipient: op.RequestedBy,
		Body: fmt.Sprintf("The %s of %s was ended: %s.", op.Kind, p.Name, why), CreatedAt: now,
	})
}
