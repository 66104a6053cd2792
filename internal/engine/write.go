package engine

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/store"
)

// write has a record say what it says at the tenant's stage. A tenant that is elsewhere by
// now has another step, or none, that says so: this one leaves the record alone.
func write(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	if why, err := e.outdated(ctx, t, pr.ID); err != nil || why != "" {
		return Result{Verdict: tenure.Verified, Receipt: map[string]string{"left out": why}, Err: err}
	}
	set, err := e.dated(ctx, t)
	if err != nil {
		return Result{Err: err}
	}
	ref := Ref(t.Plan.Tenant, pr)
	ref.Attributes = set
	seen, rec, v, err := sys.Ensure(ctx, connector.Desired{Ref: ref, Encryption: t.Plan.Encryption, Take: pr.Keep})
	if err == nil && v != tenure.Verified {
		err = tenure.Errorf(tenure.Blocked, "%s %s was written to, and reads back otherwise: %s", pr.Type, pr.Name, strings.TrimSpace(seen.Detail+" "+clip(string(seen.Attributes))))
	}
	if err != nil {
		return Result{Verdict: v, Receipt: rec, Err: err}
	}
	desired, err := tenure.Canonical(set)
	if err != nil {
		return Result{Err: err}
	}
	w := store.ResourceWrite{ID: pr.ID, State: tenure.ResourcePresent, Verdict: v, Normal: seen.Attributes, Observed: seen.Attributes}
	return Result{Verdict: v, Receipt: rec, Resources: []store.ResourceWrite{w}, Extra: func(tx *store.Tx) error { return tx.SetDesired(pr.ID, desired, t.Now) }}
}

// outdated says why a stage isn't written any more; "" if it is.
func (e *Engine) outdated(ctx context.Context, t *Task, id tenure.ResourceID) (string, error) {
	now, err := e.DB.Tenant(ctx, string(t.Plan.Tenant))
	if err != nil {
		return "", err
	}
	if string(now.State) != t.Step.To {
		return "the tenant is " + string(now.State) + " by now", nil
	}
	r, err := e.DB.Resource(ctx, id)
	if err == nil && r.State == tenure.ResourceGone {
		return "the record was let go", nil
	}
	return "", err
}

// dated are the attributes of a step that writes, with the days that they speak of.
func (e *Engine) dated(ctx context.Context, t *Task) (map[string]any, error) {
	if t.Step.Set == nil {
		return map[string]any{}, nil
	}
	rows, err := e.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return nil, err
	}
	live, err := e.DB.WentLive(ctx, t.Plan.Tenant)
	if err != nil {
		return nil, err
	}
	out, _ := blueprint.Dated(t.Step.Set, days(t.Plan, rows, live, t.Now)).(map[string]any)
	return out, nil
}

// days are those that a record may speak of, as RFC 3339 has dates, in UTC: what is still to
// come by the plan's projection, moved by as much as the departure began later than planned.
func days(p *tenure.Plan, rows []store.StepRow, live, now time.Time) map[string]string {
	at := map[string]time.Time{"live": live, "suspended": now, "closed": now}
	moved := func(to tenure.TenantState) time.Time {
		for i := range p.Steps {
			if s := &p.Steps[i]; s.Action == tenure.ActMove && s.To == string(to) && rows[i].State == tenure.StepDone {
				return rows[i].EndedAt
			}
		}
		return time.Time{}
	}
	for name, to := range map[string]tenure.TenantState{"live": tenure.TenantActive, "suspended": tenure.TenantSuspended, "accessEnds": tenure.TenantTerminating, "erased": tenure.TenantAwaitingExpiry} {
		if when := moved(to); !when.IsZero() && (name != "live" || live.IsZero()) {
			at[name] = when
		}
	}
	var planned time.Time // the cut
	for _, d := range p.Dates {
		if d.Step == "terminating" {
			planned = d.At
		}
	}
	if begun := moved(tenure.TenantTransition); at["accessEnds"].IsZero() && !begun.IsZero() {
		for _, s := range p.Steps {
			if s.Key == "grace" && s.Gate != nil {
				at["accessEnds"] = s.Gate.Period.After(begun)
			}
		}
	}
	if at["erased"].IsZero() && !planned.IsZero() && !at["accessEnds"].IsZero() {
		var last time.Time
		for _, d := range p.Dates {
			if strings.HasPrefix(d.What, "point of no return") && d.At.After(last) {
				last = d.At
			}
		}
		at["erased"] = last.Add(at["accessEnds"].Sub(planned))
	}
	out := map[string]string{}
	for name, when := range at {
		if !when.IsZero() {
			out[name] = when.UTC().Format(time.DateOnly)
		}
	}
	return out
}

// unwritten puts into the inventory what a record should say, where writing it has failed
// for good: a look at drift shows it then, and a repair writes it.
func (a *advance) unwritten(c *composed, n *node) {
	pr := n.on
	if pr == nil {
		return
	}
	t := &Task{Operation: a.s.op.Operation, Plan: a.s.plan, Step: n.step, Now: c.Now}
	if why, err := a.e.outdated(a.ctx, t, pr.ID); err != nil || why != "" {
		return
	}
	set, err := a.e.dated(a.ctx, t)
	if err != nil {
		return
	}
	desired, err := tenure.Canonical(set)
	if err != nil {
		return
	}
	w := store.ResourceWrite{ID: pr.ID, State: tenure.ResourceUnknown, Verdict: tenure.Unknown}
	if sys, err := a.e.System(n.step.System); err == nil {
		ref := Ref(a.s.plan.Tenant, pr)
		ref.Attributes = set
		w.Normal, _ = sys.Normalise(connector.Desired{Ref: ref, Encryption: a.s.plan.Encryption})
	}
	c.Resources = append(c.Resources, w)
	c.extras = append(c.extras, func(tx *store.Tx) error { return tx.SetDesired(pr.ID, desired, c.Now) })
}
