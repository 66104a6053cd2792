package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// Request makes a plan and starts it: what most commands do. A trigger that was
// seen before gives the operation that it started.
func (s *Service) Request(ctx context.Context, in Intent, by string) (*Planned, store.OperationRow, error) {
	if in.Trigger != "" {
		if op, ok, err := s.triggered(ctx, in.Trigger); err != nil || ok {
			return nil, op, err
		}
	}
	p, err := s.Plan(ctx, in, by)
	if err != nil {
		return nil, store.OperationRow{}, err
	}
	op, err := s.Start(ctx, p.Digest, in, by)
	return p, op, err
}

func (s *Service) triggered(ctx context.Context, key string) (op store.OperationRow, ok bool, err error) {
	ops, err := s.o.DB.OperationByTrigger(ctx, key)
	if err != nil || len(ops) == 0 {
		return op, false, err
	}
	return ops[0], true, nil
}

// Start runs a stored plan, exactly as it is. A plan whose ground has moved (the
// tenant's state, revision or inventory) is Conflict: plan again. A plan that
// was started before gives the operation that it started.
func (s *Service) Start(ctx context.Context, digest string, in Intent, by string) (op store.OperationRow, err error) {
	if err := person(by); err != nil {
		return op, err
	}
	p, err := s.o.DB.Plan(ctx, digest)
	if err != nil {
		return op, err
	}
	if _, digest, err = p.Encode(); err != nil {
		return op, err
	}
	trigger := in.Trigger
	if trigger == "" {
		trigger = "plan:" + digest
	}
	now := s.Now()
	id := tenure.NewID[tenure.OperationID](now)
	e, err := s.entry(ctx, "operation.start", by, p.Tenant, id, string(id), map[string]string{"kind": string(p.Kind), "plan": digest, "to": string(tenure.OperationRunning)})
	if err != nil {
		return op, err
	}
	requested, err := s.requested(ctx, p, id)
	if err != nil {
		return op, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if have, err := tx.TriggeredOperation(trigger); err != nil || have != "" {
			id = have
			return err
		}
		if err := s.admit(tx, p, by, now); err != nil {
			return err
		}
		for _, r := range requested {
			if err := tx.Log(r); err != nil {
				return err
			}
		}
		n := store.NewOperation{
			Operation: tenure.Operation{ID: id, Kind: p.Kind, Tenant: p.Tenant, Plan: digest, State: tenure.OperationRunning, RequestedBy: by, Trigger: trigger, CreatedAt: now},
			Blueprint: p.Blueprint.Name, Destructive: p.Destructive > 0,
			IsDestroyer: func(seq int) bool { return seq < len(p.Steps) && p.Steps[seq].Destructive },
		}
		for i, st := range p.Steps {
			n.Steps = append(n.Steps, tenure.StepStatus{Operation: id, Seq: i, Key: st.Key})
		}
		for i := range p.Resources {
			n.Touches = append(n.Touches, p.Resources[i].ID)
		}
		made, created, err := tx.CreateOperation(n)
		if err != nil {
			return err
		}
		if id = made; !created {
			return nil
		}
		if err := s.inventory(tx, p, id, now); err != nil {
			return err
		}
		return tx.Log(e)
	})
	if err != nil {
		return op, err
	}
	return s.o.DB.Operation(ctx, id)
}

// requested makes the entry of a new tenant's request. Who the customer is, and
// who asked, is sealed under the tenant's own key: when that is destroyed the
// entry still verifies and tells nobody.
func (s *Service) requested(ctx context.Context, p *tenure.Plan, op tenure.OperationID) ([]audit.Entry, error) {
	if p.Kind != tenure.Onboard {
		return nil, nil
	}
	e, err := s.entry(ctx, "tenant.request", "", p.Tenant, op, string(p.Tenant), map[string]string{"revision": p.Blueprint.Digest})
	if err != nil {
		return nil, err
	}
	key, err := s.o.Keys.Create(ctx, keySpec(p.Tenant, string(keystore.Personal)))
	if err != nil {
		return nil, err
	}
	aead, err := s.o.Keys.AEAD(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, f := range [][2]string{{"name", p.Name}, {"organization", p.Organization}, {"contact", p.Contact}} {
		if f[1] == "" {
			continue
		}
		if err := e.Seal(aead, string(key), f[0], []byte(f[1])); err != nil {
			return nil, err
		}
	}
	return []audit.Entry{e}, nil
}

// admit is the gate at the door: is the ground as the plan saw it, does nothing
// exclude it, and is there budget left?
func (s *Service) admit(tx *store.Tx, p *tenure.Plan, by string, now time.Time) error {
	if p.Kind == tenure.Onboard {
		return s.admitTenant(tx, p, now)
	}
	t, err := tx.Tenant(string(p.Tenant))
	if err != nil {
		return err
	}
	if !slices.Contains(tenure.OperationKinds[p.Kind], t.State) {
		return tenure.Errorf(tenure.Conflict, "%s is %s now, and the plan was made for another state", t.Name, t.State).WithHint("plan again")
	}
	bound := p.Blueprint
	if p.From != nil {
		bound = *p.From
	}
	if t.Blueprint.Digest != bound.Digest {
		return tenure.Errorf(tenure.Conflict, "%s is bound to another revision than the plan was made for", t.Name).WithHint("plan again")
	}
	ids := make([]tenure.ResourceID, 0, len(p.Resources))
	for i := range p.Resources {
		ids = append(ids, p.Resources[i].ID)
	}
	if p.Kind == tenure.Offboard {
		rows, err := tx.Resources(p.Tenant, false)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if !slices.Contains(ids, r.ID) {
				return tenure.Errorf(tenure.Conflict, "%s/%s came to the inventory after the plan was made", r.Environment, r.Key).WithHint("plan again")
			}
		}
	}
	if by, err := tx.ActiveExcluding(p.Kind, ids); err != nil || by != "" {
		if err == nil {
			err = tenure.Errorf(tenure.Conflict, "operation %s is at work on the same resources", by).WithHint("wait for it, or cancel it: tenure operation show %s", by)
		}
		return err
	}
	if open, err := tx.OpenOperation(p.Tenant, p.Kind); err != nil || open != "" {
		if err == nil && open != "" {
			err = tenure.Errorf(tenure.Conflict, "%s has an open %s already: %s", t.Name, p.Kind, open).WithHint("tenure operation show %s", open)
		}
		return err
	}
	if p.Kind == tenure.Offboard {
		if end, ok := p.Anchors[tenure.FromContractEnd]; ok {
			if err := tx.SetAnchor(p.Tenant, tenure.FromContractEnd, end, true); err != nil {
				return err
			}
		}
	}
	if p.Destructive == 0 {
		return nil
	}
	hour := now.Add(-time.Hour)
	for _, b := range []struct {
		by, blueprint string
		limit         int
		what          string
	}{{by, "", s.o.Budget.Person, by}, {"", p.Blueprint.Name, s.o.Budget.Blueprint, "blueprint " + p.Blueprint.Name}} {
		n, err := tx.DestructiveSince(b.by, b.blueprint, hour)
		if err != nil {
			return err
		}
		if n >= b.limit {
			return tenure.Errorf(tenure.Blocked, "%s has started %d destructive operations within an hour; the budget is %d", b.what, n, b.limit).
				WithHint("a mass change stops here on purpose: wait, or raise the budget in tenure.yaml with a second person's review")
		}
	}
	return nil
}

// admitTenant makes the tenant that an onboarding is for.
func (s *Service) admitTenant(tx *store.Tx, p *tenure.Plan, now time.Time) error {
	if _, err := tx.Tenant(string(p.Tenant)); err == nil {
		return nil // the plan was started before; its trigger finds the operation
	}
	params, err := tenure.Canonical(p.Parameters)
	if err != nil {
		return err
	}
	b, err := tx.Blueprint("", "", p.Blueprint.Digest)
	if err != nil {
		return err
	}
	if !b.Published() {
		return tenure.Errorf(tenure.Blocked, "blueprint %s %s isn't published", b.Name, b.Version)
	}
	return tx.CreateTenant(store.TenantRow{
		Tenant: tenure.Tenant{
			ID: p.Tenant, Name: p.Name, Organization: p.Organization, Contact: p.Contact, Tier: p.Tier,
			Blueprint: p.Blueprint, Parameters: params, CreatedAt: now,
		},
		Features: p.Features,
	})
}

// inventory puts what the plan may create into the inventory before the first
// call goes out.
func (s *Service) inventory(tx *store.Tx, p *tenure.Plan, op tenure.OperationID, now time.Time) error {
	switch p.Kind {
	case tenure.Onboard, tenure.Change, tenure.Upgrade:
	default:
		return nil
	}
	for i := range p.Resources {
		r := &p.Resources[i]
		if r.Retire {
			continue
		}
		desired, err := tenure.Canonical(r.Desired)
		if err != nil {
			return err
		}
		if string(desired) == "null" {
			desired = []byte("{}")
		}
		err = tx.SaveResource(tenure.Resource{
			ID: r.ID, Tenant: p.Tenant, Environment: r.Environment, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name,
			Layer: r.Layer, Desired: desired, Classes: r.Classes, Needs: r.Needs, Operation: op, UpdatedAt: now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Approve signs an operation's plan at a gate; a blank gate is the one that waits.
// At a point of no return whose counts are too old it takes fresh ones instead,
// and says so.
func (s *Service) Approve(ctx context.Context, id tenure.OperationID, gate, digest, by, note string) (gateKey string, err error) {
	if err := person(by); err != nil {
		return "", err
	}
	now := s.Now()
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		if digest == "" {
			return tenure.Errorf(tenure.Invalid, "an approval signs a plan's digest, and none was given").WithHint("read it and sign it: tenure operation show %s", id)
		}
		if !strings.HasPrefix(op.Plan, orPrefix(digest)) || len(digest) < 8 {
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
		if err := s.conflicting(tx, op, p, step, now); err != nil {
			return err
		}
		earlier, err := tx.Approvals(id)
		if err != nil {
			return err
		}
		a := tenure.Approval{Operation: id, Step: step.Key, Digest: op.Plan, By: by, At: now, Note: note}
		if step.Action == tenure.ActNoReturn {
			stale, err := s.recount(tx, op, p, rows, step, now)
			if err != nil || stale {
				if err == nil {
					return errRecount
				}
				return err
			}
			since := rows[stepIndex(p, step.Gate.After)].EndedAt
			earlier = slices.DeleteFunc(earlier, func(e tenure.Approval) bool { return e.At.Before(since) })
			if err := tx.DropApprovals(id, step.Key, since); err != nil {
				return err
			}
		}
		if err := tenure.CheckApproval(op.Operation, earlier, a); err != nil {
			return err
		}
		if err := tx.Approve(a); err != nil {
			return err
		}
		e, err := s.entry(ctx, "approval", by, op.Tenant, id, string(id), map[string]string{"gate": step.Key, "plan": op.Plan, "seq": fmt.Sprint(i)})
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(id, now)
	})
	if err == errRecount {
		err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
			op, p, rows, err := s.operation(tx, id)
			if err != nil {
				return err
			}
			for i := range p.Steps {
				if p.Steps[i].Key == gateKey {
					for _, need := range p.Steps[i].Needs {
						if j := stepIndex(p, need); p.Steps[j].Action == tenure.ActObserve && rows[j].State == tenure.StepDone {
							if err := tx.SetStep(id, j, tenure.StepDone, tenure.StepPending, now); err != nil {
								return err
							}
						}
					}
				}
			}
			return tx.Poke(op.ID, now)
		})
		if err == nil {
			err = tenure.Errorf(tenure.Conflict, "the counts were older than 72 hours and are being taken again").WithHint("look at them and confirm again: tenure operation show %s", id)
		}
	}
	return gateKey, err
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

// recount says whether the counts under a point of no return are too old.
func (s *Service) recount(_ *store.Tx, _ store.OperationRow, p *tenure.Plan, rows []store.StepRow, gate *tenure.Step, now time.Time) (bool, error) {
	i := stepIndex(p, gate.Gate.After)
	if i < 0 || rows[i].State != tenure.StepDone && rows[i].State != tenure.StepSkipped {
		return false, tenure.Errorf(tenure.Conflict, "the counts aren't there yet").WithHint("wait until %s has ended", gate.Gate.After)
	}
	return now.After(gate.Gate.Period.After(rows[i].EndedAt)), nil
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
	p, err := tx.Plan(op.Plan)
	if err != nil {
		return op, nil, nil, err
	}
	rows, err := tx.Steps(id)
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

// FinishTask says that a person has done a task that an operation waits for.
func (s *Service) FinishTask(ctx context.Context, id tenure.OperationID, gate, by, note string) (string, error) {
	if err := person(by); err != nil {
		return "", err
	}
	key := ""
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
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
		if err := tx.Approve(tenure.Approval{Operation: id, Step: key, Digest: op.Plan, By: by, At: now, Note: note}); err != nil {
			return err
		}
		e, err := s.entry(ctx, "task.done", by, op.Tenant, id, string(id), map[string]string{"gate": key})
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return tx.Poke(id, now)
	})
	return key, err
}

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
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		if what == "cancel" && p.Kind == tenure.Offboard {
			for i := range p.Steps {
				if p.Steps[i].Destructive && p.Steps[i].Action != tenure.ActDropExport && rows[i].Attempt > 0 {
					return tenure.Errorf(tenure.Blocked, "operation %s is past its point of no return (%s)", id, p.Steps[i].Key).WithHint("pause it, or place a hold on what is left: tenure hold place")
				}
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

// Retry lets a failed step have its attempts again.
func (s *Service) Retry(ctx context.Context, id tenure.OperationID, step, by string) (int, error) {
	if err := person(by); err != nil {
		return 0, err
	}
	n := 0
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		n = 0
		op, err := tx.Operation(id)
		if err != nil {
			return err
		}
		rows, err := tx.Steps(id)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.State == tenure.StepFailed && (step == "" || r.Key == step) {
				if err := tx.SetStep(id, r.Seq, tenure.StepFailed, tenure.StepPending, s.Now()); err != nil {
					return err
				}
				n++
			}
		}
		if n == 0 {
			return tenure.Errorf(tenure.Conflict, "operation %s has no failed step %s", id, step)
		}
		e, err := s.entry(ctx, "step.retry", by, op.Tenant, id, string(id), map[string]string{"step": orElse(step, "all failed")})
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

// Skip leaves a failed step out, or accepts that it can't be verified. It takes a
// reason and two persons: the first call asks, the second, by another person,
// attests. The certificate lists it.
func (s *Service) Skip(ctx context.Context, id tenure.OperationID, step, reason, by string) (attested bool, err error) {
	if err := person(by); err != nil {
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
		if rows[i].State != tenure.StepFailed {
			return tenure.Errorf(tenure.Conflict, "step %q is %s; only a failed step can be skipped", step, rows[i].State)
		}
		if i < len(p.Steps) && p.Steps[i].Action.IsGate() {
			return tenure.Errorf(tenure.Forbidden, "a gate can't be skipped")
		}
		have, err := tx.Exceptions(id)
		if err != nil {
			return err
		}
		now := s.Now()
		j := slices.IndexFunc(have, func(e store.Exception) bool { return e.Step == step })
		kind := "exception.attest"
		switch {
		case j < 0:
			if strings.TrimSpace(reason) == "" {
				return tenure.Errorf(tenure.Invalid, "skipping a step needs a reason")
			}
			kind = "exception.ask"
			err = tx.AskException(store.Exception{Operation: id, Step: step, Reason: reason, AskedBy: by, AskedAt: now})
		case have[j].AskedBy == by:
			return tenure.Errorf(tenure.Forbidden, "%s asked for this exception; a second person must attest it", by)
		default:
			attested = true
			if err = tx.AttestException(id, step, by, now); err == nil {
				err = tx.SetStep(id, rows[i].Seq, tenure.StepFailed, tenure.StepSkipped, now)
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
