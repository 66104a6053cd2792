package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// tickBatch bounds how much one Tick takes on; the next goes on.
const tickBatch = 200

// TickApprovals does what is due at gates and standing approvals at now: gates that
// nobody answered expire, reminders and escalations go to the outbox once each,
// standing approvals whose time is over end, and starts that nobody looked at become
// findings. It is idempotent, and cheap when nothing is due.
func (s *Service) TickApprovals(ctx context.Context, now time.Time) error {
	if err := s.recordWaits(ctx, now); err != nil {
		return err
	}
	expired, remind, escalate, err := s.o.DB.DueWaits(ctx, now, tickBatch)
	if err != nil {
		return err
	}
	for _, w := range expired {
		if err := unlessStuck(s.expire(ctx, w, now)); err != nil {
			return err
		}
	}
	for _, w := range remind {
		if err := unlessStuck(s.remind(ctx, w, now, false)); err != nil {
			return err
		}
	}
	for _, w := range escalate {
		if err := unlessStuck(s.remind(ctx, w, now, true)); err != nil {
			return err
		}
	}
	return s.tickStandings(ctx, now)
}

// unlessStuck is err, unless it is about an operation that can't go on, which shows it
// by itself and keeps no other from its turn.
func unlessStuck(err error) error {
	if tenure.CodeOf(err) == tenure.Blocked {
		return nil
	}
	return err
}

// recordWaits makes the operations of a store from before gates were recorded be
// looked at again, once a process.
func (s *Service) recordWaits(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	done := s.recorded
	s.recorded = true
	s.mu.Unlock()
	if done {
		return nil
	}
	ids, err := s.o.DB.UnrecordedWaits(ctx)
	if err != nil || len(ids) == 0 {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.Poke(id, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// expire cancels an operation that nobody approved in time. One that has its
// signatures by now, or doesn't wait any more, goes on; one past its point of no return
// goes on waiting, and so does one that isn't as the log says.
func (s *Service) expire(ctx context.Context, w store.ApprovalWait, now time.Time) error {
	of, err := s.o.DB.Operation(ctx, w.Operation)
	if err != nil {
		return notThere(err)
	}
	if err := s.o.DB.Vouched(ctx, w.Operation, of.Tenant, nil); err != nil && !of.State.Ended() {
		return err
	}
	more, err := s.extraOf(ctx, w.Operation)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.ApprovalWait(w.Operation, w.Step); err != nil {
			return notThere(err)
		}
		op, p, rows, err := s.operation(tx, w.Operation)
		if err != nil {
			return err
		}
		i := stepIndex(p, w.Step)
		signed, err := tx.Approvals(op.ID)
		switch {
		case err != nil:
			return err
		case op.State.Ended() || i < 0 || rows[i].State != tenure.StepPending:
			return tx.DropWait(op.ID, w.Step)
		case p.Steps[i].Gate.CountMore(more, op.Operation, w.Step, w.Words(signed, now), time.Time{}).Open():
			if err := tx.DropWait(op.ID, w.Step); err != nil {
				return err
			}
			return tx.Poke(op.ID, now)
		case cancellable(op.ID, p, rows) != nil:
			return nil
		}
		return s.refuse(ctx, tx, op, p, &p.Steps[i], "approval.expire", "", fmt.Sprintf("nobody approved it within %s (%s)", w.Gate.Expires, w.Step))
	})
}

// remind puts the notice of a gate that still waits into the outbox: to those who
// can sign, or to those above them that it escalates to.
func (s *Service) remind(ctx context.Context, w store.ApprovalWait, now time.Time, escalate bool) error {
	more, err := s.extraOf(ctx, w.Operation)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		w, err := tx.ApprovalWait(w.Operation, w.Step)
		if err != nil || escalate && !w.EscalatedAt.IsZero() || !escalate && !w.RemindedAt.IsZero() {
			return notThere(err)
		}
		op, p, _, err := s.operation(tx, w.Operation)
		if err != nil {
			return err
		}
		signed, err := tx.Approvals(op.ID)
		if err != nil {
			return err
		}
		c := w.Gate.CountMore(more, op.Operation, w.Step, w.Words(signed, now), time.Time{})
		if c.Open() {
			return nil
		}
		facts := map[string]string{"gate": w.Step, "have": fmt.Sprint(c.Have), "need": fmt.Sprint(c.Need)}
		word, to := "reminder", recipients(w, c)
		if escalate {
			above, err := s.escalate(tx, op, w, now)
			if err != nil {
				return err
			}
			word, to = "escalation", above.to
			facts["to"], facts["why"] = cmp.Or(strings.Join(to, ", "), "nobody"), above.why
			if len(to) == 0 {
				to = []string{"platform"} // who runs Tenure hears that nobody else does
			}
			err = tx.NoteEscalated(w.Operation, w.Step, strings.Join(above.to, ", "), above.why, now)
			if err != nil {
				return err
			}
		} else if err := tx.NoteReminded(w.Operation, w.Step, now); err != nil {
			return err
		}
		body := fmt.Sprintf("The %s of %s waits at %s since %s: %d of %d signed, still needed: %s.", op.Kind, p.Name, w.Step, w.Since.Format("2006-01-02 15:04 MST"), c.Have, c.Need, c.Missing())
		if !w.ExpiresAt.IsZero() {
			body += " It expires at " + w.ExpiresAt.Format("2006-01-02 15:04 MST") + "."
		}
		if escalate {
			body += " This is an escalation to " + facts["to"] + ": " + facts["why"] + "."
		}
		kind := tenure.NoticeApprovalReminder
		if escalate {
			kind = tenure.NoticeApprovalEscalation
		}
		for _, r := range to {
			n := store.Notice{ID: waitNotice(w, word, r), Kind: kind, Tenant: op.Tenant, Operation: op.ID, Recipient: r, Body: body, CreatedAt: now}
			if err := tx.AddNotice(n); err != nil {
				return err
			}
		}
		e, err := s.entry(ctx, "approval."+word, "", op.Tenant, op.ID, string(op.ID), facts)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// extraOf is extra for an operation by its id. It may write, so it is asked outside
// of transactions.
func (s *Service) extraOf(ctx context.Context, id tenure.OperationID) (int, error) {
	if s.Engine.Extra == nil {
		return 0, nil
	}
	op, err := s.o.DB.Operation(ctx, id)
	if err != nil {
		return 0, err
	}
	n, _, err := s.extra(ctx, op.Operation)
	return n, err
}

// recipients are the roles that a reminder goes to: those that are still needed, or
// where anybody who approves can fill a place, all of these but the one that the gate
// escalates to, which is to hear of it later.
func recipients(w store.ApprovalWait, c tenure.GateCount) (out []string) {
	sum := 0
	for _, q := range c.Roles {
		out = append(out, "role:"+string(q.Role))
		sum += q.Count
	}
	if c.Need-c.Have <= sum {
		return out
	}
	for _, r := range tenure.ApprovingRoles() {
		to := "role:" + string(r)
		if later := w.Gate.Escalate != nil && w.Gate.Escalate.Recipient() == to; !later && !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	return out
}

// notThere takes it for done that something isn't there any more.
func notThere(err error) error {
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil
	}
	return err
}

// tickStandings ends standing approvals whose time is over, and reports starts that
// nobody has looked at.
func (s *Service) tickStandings(ctx context.Context, now time.Time) error {
	over, err := s.o.DB.DueStandings(ctx, now)
	if err != nil {
		return err
	}
	for _, st := range over {
		err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
			st, err := tx.Standing(st.ID)
			if err != nil {
				return err
			}
			return s.endStanding(ctx, tx, &st, "")
		})
		if err != nil {
			return err
		}
	}
	late, err := s.o.DB.StandingStarts(ctx, store.StartFilter{Unseen: true, Before: now.Add(-tenure.StandingLookWithin), Limit: tickBatch, Visible: store.All, After: s.reported()})
	if err != nil || len(late) == 0 {
		return err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, l := range late {
			of, err := tx.Tenant(string(l.Tenant))
			if err != nil {
				return err
			}
			if of.State == tenure.TenantClosed {
				continue
			}
			f := tenure.Finding{
				ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingUnseenStart, Severity: tenure.Medium, Tenant: l.Tenant, Type: "operation", Name: string(l.Operation), SeenAt: now,
				Detail: fmt.Sprintf("standing approval %s started operation %s at %s, and nobody has looked at it", l.Standing, l.Operation, l.At.Format("2006-01-02 15:04 MST")),
			}
			if err := tx.SaveFinding(f); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.report(late[len(late)-1])
	}
	return err
}

// reported is the last start of which this process has made a finding; those before
// it aren't reported again.
func (s *Service) reported() store.StandingStart {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unseen
}

func (s *Service) report(last store.StandingStart) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unseen = last
}
