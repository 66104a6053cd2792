package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// Request makes a plan and starts it: what most commands do. A trigger that was
// seen before, or is seen by another at the same time, gives the operation that it
// started, and no plan.
func (s *Service) Request(ctx context.Context, in Intent, by string) (*Planned, store.OperationRow, error) {
	if in.Trigger != "" {
		if op, ok, err := s.triggered(ctx, in.Trigger); err != nil || ok {
			return nil, op, err
		}
	}
	p, err := s.Plan(ctx, in, by)
	var op store.OperationRow
	if err == nil {
		op, err = s.Start(ctx, p.Digest, in, by)
	}
	switch {
	case in.Trigger == "" || tenure.CanRetry(err):
	case err != nil: // the same trigger may have been ahead, and have taken the ground from under this plan
		if op, ok, terr := s.triggered(ctx, in.Trigger); terr == nil && ok {
			return nil, op, nil
		}
	case op.Plan != p.Digest:
		p = nil
	}
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
	if p.Kind == tenure.Offboard {
		if err := tenure.ProveTeardown(p.Completed()); err != nil {
			return op, err
		}
	}
	trigger := in.Trigger
	if trigger == "" {
		trigger = "plan:" + digest
	}
	if _, started, err := s.triggered(ctx, trigger); err != nil {
		return op, err
	} else if p.Kind == tenure.Onboard && !started {
		if err := s.stillBound(ctx, p); err != nil {
			return op, err
		}
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
	standing, err := s.standings(ctx, p)
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
			Blueprint: p.Blueprint.Name, Destructive: p.Destructive > 0, Trace: engine.TraceOf(ctx),
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
		if p.Destructive > 0 {
			if err := tx.NoteAccess(store.AccessEvent{At: now, Kind: tenure.EventDestructive, Principal: by, Tenant: string(p.Tenant), Detail: string(p.Kind)}); err != nil {
				return err
			}
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		return s.startStanding(ctx, tx, p, n.Operation, standing, in.Trigger, now)
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
	key, err := s.o.Keys.Create(ctx, keystore.PlannedKey(p.Tenant, string(keystore.Personal)))
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
			err = tenure.Errorf(tenure.Conflict, "operation %s is at work on the same resources", by).WithHint("wait for it, pause it, or cancel it: tenure operation show %s", by)
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
			ID: p.Tenant, Name: p.Name, Organization: p.Organization, Contact: p.Contact, Tier: p.Tier, Labels: p.Labels,
			Blueprint: p.Blueprint, Parameters: params, CreatedAt: now,
		},
		Features: p.Features,
	})
}

// inventory puts what the plan may create into the inventory before the first
// call goes out.
func (s *Service) inventory(tx *store.Tx, p *tenure.Plan, op tenure.OperationID, now time.Time) error {
	switch p.Kind {
	case tenure.Onboard, tenure.Change, tenure.Upgrade, tenure.Repair:
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
