package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// Steer asks an operation to pause, to go on, or to be cancelled. A cancelled
// onboarding takes back what it made; a cancelled offboarding leaves things as
// they are, and may be followed by a reinstatement before its point of no return.
func (s *Service) Steer(ctx context.Context, id tenure.OperationID, what, by string) error {
	if err := person(by); err != nil {
		return err
	}
	wanted := map[string]string{"pause": "pause", "continue": "", "cancel": "cancel"}
	w, ok := wanted[what]
	if !ok {
		return tenure.Errorf(tenure.Invalid, "an operation can't be asked to %q", what)
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, err := tx.Operation(id)
		if err != nil {
			return err
		}
		if what == "cancel" {
			_, p, rows, err := s.operation(tx, id)
			if err != nil {
				return err
			}
			if err := cancellable(id, p, rows); err != nil {
				return err
			}
		}
		e, err := s.entry(ctx, "operation."+what, by, op.Tenant, id, string(id), nil)
		if err != nil {
			return err
		}
		if err := tx.Want(id, w, s.Now()); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// cancellable refuses to cancel an offboarding that is past a point of no return, as a
// tenant that is erasing has no way back, and an onboarding that has begun to adopt.
func cancellable(id tenure.OperationID, p *tenure.Plan, rows []store.StepRow) error {
	if engine.Adopted(p, rows) {
		return tenure.Errorf(tenure.Blocked, "operation %s has begun to adopt what stood there, and isn't taken back: nothing of it is deleted", id).
			WithHint("mend what it names, then: tenure operation retry %s; or let a step be left out by two persons: tenure operation skip %s", id, id)
	}
	if p.Kind != tenure.Offboard {
		return nil
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		past := s.Destructive && s.Action != tenure.ActDropExport || s.Action == tenure.ActMove && s.To == string(tenure.TenantErasing)
		if past && rows[i].Attempt > 0 {
			return tenure.Errorf(tenure.Blocked, "operation %s is past its point of no return (%s)", id, s.Key).WithHint("pause it, or place a hold on what is left: tenure hold place")
		}
	}
	return nil
}

// Retry lets a failed step have its attempts again. Of an operation that is taken back
// these are the steps that take it back: what made it fail isn't tried, and stays its reason.
// One that can't go on, and in which no step has failed, is looked at again.
func (s *Service) Retry(ctx context.Context, id tenure.OperationID, step, by string) (int, error) {
	if err := person(by); err != nil {
		return 0, err
	}
	n := 0
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		n = 0
		var seqs []string
		stuck, err := tx.Operation(id)
		if err != nil {
			return err
		}
		if step == "" && stuck.State == tenure.OperationBlocked && strings.HasPrefix(stuck.Reason, engine.Stuck) {
			e, err := s.entry(ctx, "operation.retry", by, stuck.Tenant, id, string(id), nil)
			if err != nil {
				return err
			}
			if err := tx.Log(e); err != nil {
				return err
			}
			return tx.Poke(id, s.Now())
		}
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		if len(rows) > len(p.Steps) {
			rows = rows[len(p.Steps):]
		}
		for _, r := range rows {
			if r.State == tenure.StepFailed && (step == "" || r.Key == step) {
				if err := tx.SetStep(id, r.Seq, tenure.StepFailed, tenure.StepPending, s.Now()); err != nil {
					return err
				}
				n++
				seqs = append(seqs, fmt.Sprint(r.Seq))
			}
		}
		if n == 0 {
			return tenure.Errorf(tenure.Conflict, "operation %s has no failed step %s", id, step)
		}
		e, err := s.entry(ctx, "step.retry", by, op.Tenant, id, string(id), map[string]string{"step": orElse(step, "all failed"), "seqs": strings.Join(seqs, ",")})
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(id, s.Now())
	})
	return n, err
}

// Skip is SkipAs for a caller of the installation's own folder, whose name is
// asserted and who has every role.
func (s *Service) Skip(ctx context.Context, id tenure.OperationID, step, reason, by string) (attested bool, err error) {
	return s.SkipAs(ctx, tenure.Caller{Kind: tenure.CallerLocal, Name: by}, id, step, reason)
}

// SkipAs leaves a failed step out, or accepts that it can't be verified. It takes a
// reason and two persons: the first call asks, which takes operation.steer over the
// tenant; the second, by another person, attests, which takes operation.approve. A
// machine and who answers for it, and who delegates and their delegate, are one
// person. The certificate lists it.
func (s *Service) SkipAs(ctx context.Context, c tenure.Caller, id tenure.OperationID, step, reason string) (attested bool, err error) {
	by := c.Name
	if err := person(by); err != nil {
		return false, err
	}
	if reason, err = tenure.Line("the reason", reason, tenure.MaxReason); err != nil {
		return false, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r store.StepRow) bool { return r.Key == step })
		if i < 0 {
			return tenure.Errorf(tenure.NotFound, "operation %s has no step %q", id, step)
		}
		task := i < len(p.Steps) && leavable(op.Operation, &p.Steps[i]) && rows[i].State == tenure.StepPending
		if task {
			_, _, err = waitingGate(p, rows, step, tenure.ActTask)
		} else if rows[i].State != tenure.StepFailed {
			err = tenure.Errorf(tenure.Conflict, "step %q is %s; only a failed step can be skipped", step, rows[i].State)
		}
		if err != nil {
			return err
		}
		if i < len(p.Steps) && !task {
			if err := skippable(p, &p.Steps[i], rows[i]); err != nil {
				return err
			}
		}
		have, err := tx.Exceptions(id)
		if err != nil {
			return err
		}
		now := s.Now()
		j := slices.IndexFunc(have, func(e store.Exception) bool { return e.Step == step })
		kind := "exception.attest"
		if err := s.maySkip(ctx, tx, c, op, have, j); err != nil {
			return err
		}
		switch {
		case j < 0:
			if reason == "" {
				return tenure.Errorf(tenure.Invalid, "skipping a step needs a reason")
			}
			kind = "exception.ask"
			err = tx.AskException(store.Exception{Operation: id, Step: step, Reason: reason, RequestedBy: by, RequestedAt: now})
		case tenure.SamePerson(have[j].RequestedBy, by):
			return tenure.Errorf(tenure.Forbidden, "%s asked for this exception; a second person must attest it", by)
		default:
			attested = true
			if err = tx.AttestException(id, step, by, now); err == nil {
				err = tx.SetStep(id, rows[i].Seq, rows[i].State, tenure.StepSkipped, now)
			}
			if err == nil && task {
				err = cmp.Or(tx.DropWait(id, step), unlistTask(tx, op.Operation, &p.Steps[i], tenure.TaskDropped, tenure.Handed{}, by, now))
			}
		}
		if err != nil {
			return err
		}
		e, err := s.entry(ctx, kind, by, op.Tenant, id, string(id), map[string]string{"step": step, "seq": fmt.Sprint(rows[i].Seq), "state": string(tenure.StepSkipped)})
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(id, now)
	})
	return attested, err
}

// leavable says whether two persons may leave a step out while it waits: a task of a departure, such as one about
// something that this tenant never had. What a certificate needs a person's word for isn't.
func leavable(op tenure.Operation, st *tenure.Step) bool {
	return op.Kind == tenure.Offboard && st.Action == tenure.ActTask && st.System == ""
}

// skippable refuses what no two persons may leave out: a gate, a certificate and the
// tenant's own moves, and a count that found what stands in the way of the erasure.
func skippable(p *tenure.Plan, s *tenure.Step, row store.StepRow) error {
	switch {
	case s.Action.IsGate():
		return tenure.Errorf(tenure.Forbidden, "a gate can't be skipped")
	case s.Action == tenure.ActCertify:
		return tenure.Errorf(tenure.Forbidden, "a certificate can't be skipped: without it the tenant stays open").WithHint("settle what it names, then: tenure operation retry %s --step %s", row.Operation, s.Key)
	case s.Action == tenure.ActMove:
		return tenure.Errorf(tenure.Forbidden, "a tenant's move can't be skipped").WithHint("tenure operation retry %s --step %s", row.Operation, s.Key)
	case s.Action.IsCount() && engine.Stands(row, p.ClassOf(s)):
		return tenure.Errorf(tenure.Forbidden, "what %s found can't be skipped: data would be left behind, or others' data would go along", s.Key).WithHint("settle what it names, then: tenure operation retry %s --step %s", row.Operation, s.Key)
	}
	return nil
}

// maySkip refuses who may not ask for an exception, or not attest the one that was
// asked for (the i-th; none yet if i < 0). It is asked in the transaction that does
// it, so that two who ask at once don't attest each other's.
func (s *Service) maySkip(ctx context.Context, tx *store.Tx, c tenure.Caller, op store.OperationRow, have []store.Exception, i int) error {
	t, err := tx.Tenant(string(op.Tenant))
	if err != nil {
		return err
	}
	if i < 0 {
		return s.require(ctx, c, tenure.OperationSteer, targetOf(t))
	}
	if asked := have[i].RequestedBy; !tenure.SamePerson(asked, c.Name) {
		one, err := s.oneEyed(tx, asked, c.Name, targetOf(t))
		if err != nil {
			return err
		}
		if one {
			return tenure.Errorf(tenure.Forbidden, "%s asked for this exception, and with %s they are one person; another must attest it", asked, c.Name)
		}
		if err := signer(c); err != nil {
			return err
		}
	}
	return s.require(ctx, c, tenure.OperationApprove, targetOf(t))
}

// oneEyed says whether two names are one pair of eyes over a tenant: one person, or
// coupled by a delegation that stands.
func (s *Service) oneEyed(tx *store.Tx, a, b string, t tenure.Target) (bool, error) {
	one, err := onePerson(tx, a, b)
	if one || err != nil {
		return one, err
	}
	person, err := countsAs(tx, a)
	if err != nil {
		return false, err
	}
	all, err := tx.DelegationsOf(b, s.Now())
	return slices.ContainsFunc(covering(all, t), func(d tenure.Delegation) bool {
		return tenure.SamePerson(d.From, person) || tenure.SamePerson(d.To, person)
	}), err
}
