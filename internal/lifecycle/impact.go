package lifecycle

import (
	"context"
	"fmt"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
)

// Impact is what a revision would change of one tenant that is bound to another
// revision of the same blueprint.
type Impact struct {
	Tenant     tenure.TenantID
	TenantName string
	From       tenure.BlueprintRef
	Makes      int    // resources that come
	Changes    int    // resources that change
	Leaves     int    // resources that leave, with their data
	Fields     int    // lines of the difference
	Destroys   int    // steps that destroy
	Approvals  int    // persons who must sign the upgrade
	Blocked    string // why it can't be upgraded now
}

// ImpactOf lists, of the tenants that v shows and after one, which are bound to
// another revision of a published blueprint, and what an upgrade would change of
// each. It plans and stores nothing. After is the last tenant that was looked at,
// blank at the end.
func (s *Service) ImpactOf(ctx context.Context, ref string, v store.Visible, after tenure.TenantID, limit int) (to tenure.BlueprintRef, out []Impact, next tenure.TenantID, err error) {
	c, err := s.compiled(ctx, ref, true)
	if err != nil {
		return to, nil, "", err
	}
	to = c.Ref()
	f := store.TenantFilter{Blueprint: to.Name, After: after, Limit: limit, Visible: &v}
	for len(out) < limit {
		page, err := s.o.DB.Tenants(ctx, f)
		if err != nil || len(page) == 0 {
			return to, out, "", err
		}
		for _, t := range page {
			f.After = t.ID
			if t.Blueprint.Digest == to.Digest || leaving(t.State) {
				continue
			}
			if out = append(out, s.impact(ctx, t, to)); len(out) == limit {
				return to, out, f.After, nil
			}
		}
	}
	return to, out, f.After, nil
}

// leaving says whether no revision concerns a tenant any more.
func leaving(state tenure.TenantState) bool {
	switch state {
	case tenure.TenantTerminating, tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed:
		return true
	}
	return false
}

// impact compiles the upgrade and counts what it would do.
func (s *Service) impact(ctx context.Context, t store.TenantRow, to tenure.BlueprintRef) Impact {
	out := Impact{Tenant: t.ID, TenantName: t.Name, From: t.Blueprint}
	in, err := s.input(ctx, Intent{Kind: tenure.Upgrade, Tenant: string(t.ID), Blueprint: to.Digest})
	var p *tenure.Plan
	if err == nil {
		p, err = planner.Make(*in)
	}
	if err != nil {
		out.Blocked = err.Error()
		return out
	}
	out.Fields, out.Destroys = len(p.Diff), p.Destructive
	changed := make(map[string]bool)
	for _, d := range p.Diff {
		if d.Field != "" {
			changed[d.Resource] = true
		}
	}
	out.Changes = len(changed)
	for i := range p.Resources {
		switch {
		case p.Resources[i].Retire:
			out.Leaves++
		case p.Resources[i].New:
			out.Makes++
		}
	}
	for _, st := range p.Steps {
		if st.Action == tenure.ActApproval {
			out.Approvals = max(out.Approvals, st.Gate.Approvals)
		}
	}
	return out
}

// Upgraded is one upgrade that was begun, or why it wasn't.
type Upgraded struct {
	Tenant     tenure.TenantID
	TenantName string
	Operation  tenure.OperationID
	Problem    string
}

// UpgradeAll begins the upgrade of each tenant to a revision, as an operation
// with its own plan and its own approval. It stops where the budget of
// destructive operations ends, and says so in stopped: the rest is left as it
// is. One tenant's problem doesn't keep the others from theirs; asked again, it
// finds the upgrades that were begun.
func (s *Service) UpgradeAll(ctx context.Context, ref string, tenants []string, reason, by string) (done []Upgraded, stopped string, err error) {
	if len(tenants) == 0 || len(tenants) > 100 {
		return nil, "", tenure.Errorf(tenure.Invalid, "a call upgrades 1 to 100 tenants, named one by one")
	}
	c, err := s.compiled(ctx, ref, true)
	if err != nil {
		return nil, "", err
	}
	for _, name := range tenants {
		t, err := s.o.DB.Tenant(ctx, name)
		if err != nil {
			return done, "", err
		}
		u := Upgraded{Tenant: t.ID, TenantName: t.Name}
		in := Intent{Kind: tenure.Upgrade, Tenant: string(t.ID), Blueprint: c.Ref().Digest, Reason: reason}
		if in.Trigger, err = s.upgradeTrigger(ctx, t, c.Ref()); err != nil {
			return done, "", err
		}
		p, op, err := s.Request(ctx, in, by)
		switch code := tenure.CodeOf(err); {
		case err == nil:
			u.Operation = op.ID
		case code == tenure.Blocked && p != nil && p.Plan.Destructive > 0:
			return done, err.Error(), nil
		case code == tenure.Internal || code == tenure.Unauthorized:
			return done, "", err
		default:
			u.Problem = err.Error()
		}
		done = append(done, u)
	}
	return done, "", nil
}

// upgradeTrigger names the upgrade of a tenant from its revision to another, so
// that asking twice begins one: the first that is open or went well. One that was
// cancelled or failed is followed by another.
func (s *Service) upgradeTrigger(ctx context.Context, t store.TenantRow, to tenure.BlueprintRef) (string, error) {
	for n := 1; ; n++ {
		key := fmt.Sprintf("upgrade:%s:%s:%s:%d", t.ID, t.Blueprint.Digest, to.Digest, n)
		op, ok, err := s.triggered(ctx, key)
		if err != nil || !ok || !op.State.Ended() || op.State == tenure.OperationSucceeded {
			return key, err
		}
	}
}
