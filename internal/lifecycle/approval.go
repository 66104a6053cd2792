package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// Approve is ApproveAs for a caller of the installation's own folder, whose name is
// asserted and who has every role.
func (s *Service) Approve(ctx context.Context, id tenure.OperationID, gate, digest, by, note string) (gateKey string, err error) {
	return s.ApproveAs(ctx, tenure.Caller{Kind: tenure.CallerLocal, Name: by}, id, gate, digest, note)
}

// ApproveAs signs an operation's plan at a gate; a blank gate is the one that waits.
// The caller must be a person who may approve over the tenant, in their own right or
// by a delegation, and whom the gate still needs (tenure.Signing). At a point of no
// return whose counts are too old it takes fresh ones instead, and says so.
func (s *Service) ApproveAs(ctx context.Context, c tenure.Caller, id tenure.OperationID, gate, digest, note string) (gateKey string, err error) {
	if err := signer(c); err != nil {
		return "", err
	}
	if note, err = tenure.Line("the note", note, tenure.MaxReason); err != nil {
		return "", err
	}
	now := s.Now()
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		ways, err := s.ways(ctx, tx, c, op.Operation)
		if err != nil {
			return err
		}
		if digest == "" {
			return tenure.Errorf(tenure.Invalid, "an approval signs a plan's digest, and none was given").WithHint("read it and sign it: tenure operation show %s", id)
		}
		if !strings.HasPrefix(op.Plan, orPrefix(digest)) || len(strings.TrimPrefix(digest, "sha256:")) < 8 {
			return tenure.Errorf(tenure.Conflict, "the approval is for plan %s, the operation runs %s", digest, op.Plan).WithHint("read the plan again: tenure operation show %s", op.ID)
		}
		actions := []tenure.Action{tenure.ActApproval, tenure.ActNoReturn}
		if gate != "" { // a conflict between retention rules is decided by name alone
			actions = append(actions, tenure.ActRetention)
		}
		step, i, err := waitingGate(p, rows, gate, actions...)
		if err != nil {
			return err
		}
		gateKey = step.Key
		if op.Wanted == "cancel" {
			return tenure.Errorf(tenure.Conflict, "operation %s is being cancelled", id)
		}
		if err := s.conflicting(tx, op, p, step, now); err != nil {
			return err
		}
		earlier, err := tx.Approvals(id)
		if err != nil {
			return err
		}
		if step.Action == tenure.ActNoReturn {
			stale, err := s.recount(p, rows, step, now)
			if err != nil || stale {
				if err == nil {
					return errRecount
				}
				return err
			}
			since := goodSince(p, rows, step, earlier, now)
			earlier = slices.DeleteFunc(earlier, func(e tenure.Approval) bool { return e.At.Before(since) })
			if err := tx.DropApprovals(id, step.Key, since); err != nil {
				return err
			}
		}
		sign := tenure.Signing{
			Approval: tenure.Approval{Operation: id, Step: step.Key, Digest: op.Plan, By: c.Name, At: now, Note: note},
			Gate:     step.Gate, Earlier: earlier, Since: waitingSince(op.Operation, p, rows, step),
		}
		couples, err := links(tx, op.Operation, c.Name, now)
		if err != nil {
			return err
		}
		if sign, err = counts(op.Operation, sign, ways, couples); err != nil {
			return err
		}
		if err := tx.Approve(sign.Approval); err != nil {
			return err
		}
		if err := tx.NoteAccess(store.AccessEvent{At: now, Kind: tenure.EventApproval, Principal: c.Name, Tenant: string(op.Tenant), Detail: tenure.ApprovalDetail(step.Action, now.Sub(sign.Since))}); err != nil {
			return err
		}
		e, err := s.entry(ctx, "approval", c.Name, op.Tenant, id, string(id), map[string]string{"gate": step.Key, "plan": op.Plan, "seq": fmt.Sprint(i)})
		if err == nil && sign.For != "" {
			err = s.seal(ctx, &e, "for", sign.For)
		}
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(id, now)
	})
	if err == errRecount {
		err = s.countAgain(ctx, id, gateKey, c.Name, now)
	}
	return gateKey, err
}

// countAgain lets the counts under a point of no return be taken anew.
func (s *Service) countAgain(ctx context.Context, id tenure.OperationID, gate, by string, now time.Time) error {
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		var seqs []string
		needs := p.Steps[stepIndex(p, gate)].Needs
		for i := range p.Steps {
			key, was := p.Steps[i].Key, rows[i].State
			if !p.Steps[i].Action.IsCount() || !slices.Contains(needs, key) || was != tenure.StepDone && was != tenure.StepSkipped {
				continue
			}
			if err := tx.SetStep(id, i, was, tenure.StepPending, now); err != nil {
				return err
			}
			if err := tx.DropException(id, key); err != nil {
				return err
			}
			seqs = append(seqs, fmt.Sprint(i))
		}
		e, err := s.entry(ctx, "step.reopened", by, op.Tenant, id, string(id), map[string]string{"seqs": strings.Join(seqs, ","), "why": "the counts at " + gate + " were too old"})
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(op.ID, now)
	})
	if err == nil {
		err = tenure.Errorf(tenure.Conflict, "the counts were older than 72 hours and are being taken again").WithHint("look at them and confirm again: tenure operation show %s", id)
	}
	return err
}

// conflicting refuses to sign a retention gate whose rules don't conflict: there
// is nothing for a person to decide.
func (s *Service) conflicting(tx *store.Tx, op store.OperationRow, p *tenure.Plan, step *tenure.Step, now time.Time) error {
	if step.Action != tenure.ActRetention {
		return nil
	}
	t, err := tx.Tenant(string(op.Tenant))
	if err != nil {
		return err
	}
	for _, class := range p.Classes {
		if class.Name == step.Class {
			if c := tenure.SolveRetention(class, t.Anchors, nil, tenure.HoldSubject{Tenant: t.ID}, now); c.State != tenure.ClockConflict {
				return tenure.Errorf(tenure.Conflict, "the retention of %s holds no conflict to decide: %s", class.Name, c.Because)
			}
		}
	}
	return nil
}

var errRecount = tenure.Errorf(tenure.Conflict, "the counts are too old")

// recount says whether the counts under a point of no return are too old; false if
// nothing is counted under it.
func (s *Service) recount(p *tenure.Plan, rows []store.StepRow, gate *tenure.Step, now time.Time) (bool, error) {
	i := stepIndex(p, gate.Gate.After)
	if i < 0 || rows[i].State != tenure.StepDone && rows[i].State != tenure.StepSkipped {
		return false, tenure.Errorf(tenure.Conflict, "the counts aren't there yet").WithHint("wait until %s has ended", gate.Gate.After)
	}
	first, _ := engine.Counted(p, gate, func(i int) store.StepRow { return rows[i] })
	return !first.IsZero() && now.After(gate.Gate.Period.After(first)), nil
}

// goodSince is the moment from which confirmations of a point of no return count: that
// of the counts or, where nothing is counted, that of the oldest one still good.
func goodSince(p *tenure.Plan, rows []store.StepRow, gate *tenure.Step, earlier []tenure.Approval, now time.Time) time.Time {
	_, counted := engine.Counted(p, gate, func(i int) store.StepRow { return rows[i] })
	if !counted.IsZero() {
		return counted
	}
	since := rows[stepIndex(p, gate.Gate.After)].EndedAt
	for _, e := range earlier {
		if e.Step == gate.Key && !e.At.Before(since) && now.After(gate.Gate.Period.After(e.At)) {
			since = e.At.Add(time.Microsecond)
		}
	}
	return since
}

func orPrefix(digest string) string {
	if strings.HasPrefix(digest, "sha256:") {
		return digest
	}
	return "sha256:" + digest
}

func stepIndex(p *tenure.Plan, key string) int {
	return slices.IndexFunc(p.Steps, func(s tenure.Step) bool { return s.Key == key })
}

// operation loads an operation with its plan and steps.
func (s *Service) operation(tx *store.Tx, id tenure.OperationID) (store.OperationRow, *tenure.Plan, []store.StepRow, error) {
	op, err := tx.Operation(id)
	if err != nil {
		return op, nil, nil, err
	}
	rows, err := tx.Steps(id)
	if err != nil {
		return op, nil, nil, err
	}
	p, err := tx.Plan(op.Plan)
	if err == nil && !op.State.Ended() {
		err = engine.Whole(p, op.Operation, rows)
	}
	if err != nil && !tenure.CanRetry(err) && !op.State.Ended() {
		s.o.DB.Wake(id) // the engine sees it, too, and the operation shows it
		err = tenure.Errorf(tenure.Blocked, "operation %s can't go on: %w", id, err).WithHint("once that is mended: tenure operation retry %s", id)
	}
	return op, p, rows, err
}

// waitingGate finds the gate that is meant: by its key, or the one that waits.
func waitingGate(p *tenure.Plan, rows []store.StepRow, key string, actions ...tenure.Action) (*tenure.Step, int, error) {
	done := make(map[string]bool)
	for i := range p.Steps {
		done[p.Steps[i].Key] = rows[i].State == tenure.StepDone || rows[i].State == tenure.StepSkipped || rows[i].State == tenure.StepFailed && p.Steps[i].Optional
	}
	var found []int
	for i := range p.Steps {
		st := &p.Steps[i]
		if !slices.Contains(actions, st.Action) || key != "" && st.Key != key {
			continue
		}
		if key != "" && done[st.Key] {
			return nil, 0, tenure.Errorf(tenure.Conflict, "gate %q is open already; its approvals are used", key)
		}
		ready := rows[i].State == tenure.StepPending && !slices.ContainsFunc(st.Needs, func(n string) bool { return !done[n] })
		if ready {
			found = append(found, i)
		} else if key != "" {
			return nil, 0, tenure.Errorf(tenure.Conflict, "gate %q isn't reached yet", key)
		}
	}
	switch {
	case len(found) == 1:
		return &p.Steps[found[0]], found[0], nil
	case len(found) == 0 && key != "":
		return nil, 0, tenure.Errorf(tenure.NotFound, "the plan has no such gate %q", key)
	case len(found) == 0:
		return nil, 0, tenure.Errorf(tenure.Conflict, "nothing waits for that now")
	}
	keys := make([]string, len(found))
	for i, n := range found {
		keys[i] = p.Steps[n].Key
	}
	return nil, 0, tenure.Errorf(tenure.Invalid, "more than one gate waits").WithHint("name one with --gate: %s", strings.Join(keys, ", "))
}

// confirms refuses a word that a task is done where the blueprint has another person
// than the requester say it.
func confirms(tx *store.Tx, op tenure.Operation, g *tenure.Gate, by string, now time.Time) error {
	if g == nil || !g.Another {
		return nil
	}
	l, err := links(tx, op, by, now)
	if err != nil {
		return err
	}
	owner, err := answersFor(tx, by)
	if err != nil {
		return err
	}
	return tenure.TaskWord{By: by, Owner: owner, Answers: l.answers, Delegations: l.delegations}.Check(op, g)
}

// FinishTask says that a person has done a task that an operation waits for, or one that was added to its checklist,
// and gives what names it. An artifact is Invalid: it needs an outcome.
func (s *Service) FinishTask(ctx context.Context, id tenure.OperationID, gate, by, note string) (string, error) {
	return s.HandOver(ctx, id, gate, tenure.Handed{}, by, note)
}

// HandOver is FinishTask for an artifact, of which it says what became. A task takes no outcome: Invalid.
func (s *Service) HandOver(ctx context.Context, id tenure.OperationID, gate string, handed tenure.Handed, by, note string) (string, error) {
	if err := person(by); err != nil {
		return "", err
	}
	note, err := tenure.Line("the note", note, tenure.MaxReason)
	if err != nil {
		return "", err
	}
	key := ""
	have, err := s.o.DB.Tasks(ctx, id)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(have, func(t tenure.Task) bool { return string(t.ID) == gate }); i >= 0 {
		if have[i].Step == "" {
			_, err := s.endTask(ctx, id, gate, handed, note, by, false)
			return gate, err
		}
		gate = have[i].Step
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		step, _, err := waitingGate(p, rows, gate, tenure.ActTask)
		if err != nil {
			return err
		}
		key = step.Key
		now := s.Now()
		artifact := step.Gate != nil && step.Gate.Artifact != nil
		handed, err := handedOver(handed, artifact)
		if err := cmp.Or(err, confirms(tx, op.Operation, step.Gate, by, now)); err != nil {
			return err
		}
		if err := tx.Approve(tenure.Approval{Operation: id, Step: key, Digest: op.Plan, By: by, At: now, Note: note}); err != nil {
			return err
		}
		facts := map[string]string{"gate": key}
		if artifact {
			facts["artifact"] = string(handed.Outcome)
		}
		e, err := s.entry(ctx, "task.done", by, op.Tenant, id, string(id), facts)
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		if err := unlistTask(tx, op.Operation, step, tenure.TaskDone, handed, by, now); err != nil {
			return err
		}
		return tx.Poke(id, now)
	})
	return key, err
}
