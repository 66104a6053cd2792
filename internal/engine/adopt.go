package engine

import (
	"bytes"
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// adopt marks anew what has lost its mark, in the state that the inventory knows; in an
// onboarding that adopts, what has never borne one.
func adopt(ctx context.Context, _ *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	if t.Plan.Adopt {
		return takeOver(ctx, t, sys, pr)
	}
	rec, v, err := sys.Adopt(ctx, Ref(t.Plan.Tenant, pr), tenure.ResourceState(t.Step.To))
	if err != nil {
		return Result{Err: err}
	}
	if v != tenure.Verified {
		return Result{Verdict: v, Receipt: rec, Err: tenure.Errorf(tenure.Blocked, "%s %s was marked, and reads back otherwise", pr.Type, pr.Name)}
	}
	return Result{Verdict: v, Receipt: rec}
}

// takeOver marks what stands there as the tenant's if it is still as the plan says, and
// reads it back. It may be repeated.
func takeOver(ctx context.Context, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	ref := Ref(t.Plan.Tenant, pr)
	ctx = adopting(ctx, t, sys)
	want, err := sys.Normalise(connector.Desired{Ref: ref, Encryption: t.Plan.Encryption})
	if err != nil {
		return Result{Err: err}
	}
	seen, err := one(ctx, sys, ref)
	if err != nil {
		return Result{Err: err}
	}
	marked := seen.Owner == connector.Ours && seen.Resource == pr.ID
	why := ""
	switch {
	case !seen.Found:
		why = "isn't there any more"
	case !marked && seen.Owner != connector.Unmarked:
		why = "bears another mark (" + string(seen.Owner) + ")"
	case seen.State != "" && seen.State != tenure.ResourcePresent:
		why = "is " + string(seen.State)
	case !bytes.Equal(seen.Attributes, want):
		why = "isn't as the plan saw it: " + clip(string(seen.Attributes)) + ", and the plan has " + clip(string(want))
	}
	if why != "" {
		return Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Blocked, "%s %s %s; nothing was changed", pr.Type, pr.Name, why).
			WithHint("put it back as it was; then: tenure operation retry %s", t.Operation.ID)}
	}
	rec, v, err := sys.Adopt(ctx, ref, tenure.ResourcePresent)
	if err != nil {
		return Result{Err: err}
	}
	if seen, err = one(ctx, sys, ref); err != nil {
		return Result{Err: err}
	}
	if v == tenure.Verified && !bytes.Equal(seen.Attributes, want) {
		v = tenure.Failed
	}
	w := store.ResourceWrite{ID: pr.ID, State: tenure.ResourcePresent, Verdict: v, Observed: seen.Attributes}
	if v != tenure.Verified {
		w.State = tenure.ResourceUnknown
		return Result{Verdict: v, Receipt: rec, Resources: []store.ResourceWrite{w}, Err: tenure.Errorf(tenure.Blocked, "%s %s was marked, and reads back otherwise: %s", pr.Type, pr.Name, clip(string(seen.Attributes)))}
	}
	w.Normal = seen.Attributes
	return Result{Verdict: v, Receipt: rec, Resources: []store.ResourceWrite{w}}
}

// adopting is a context that says what of the plan is adopted in a system.
func adopting(ctx context.Context, t *Task, sys *connector.System) context.Context {
	var all []connector.Ref
	for i := range t.Plan.Resources {
		if r := &t.Plan.Resources[i]; r.System == sys.Name {
			all = append(all, Ref(t.Plan.Tenant, r))
		}
	}
	return connector.Adopting(ctx, all)
}

func one(ctx context.Context, sys *connector.System, ref connector.Ref) (connector.Observed, error) {
	seen, _, err := sys.Observe(ctx, []connector.Ref{ref})
	if err != nil {
		return connector.Observed{}, err
	}
	return seen[0], nil
}

// Adopted says whether an operation has begun to mark what stood there before it. From then
// on it isn't taken back: nothing that it didn't make is deleted, and what bears the
// tenant's mark stays in the inventory.
func Adopted(p *tenure.Plan, rows []store.StepRow) bool {
	for i := range p.Steps {
		if p.Adopt && p.Steps[i].Action == tenure.ActAdopt && i < len(rows) && rows[i].Attempt > 0 {
			return true
		}
	}
	return false
}
