package engine

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Erased are the resources of a plan that hold data in a system, as the system's connector
// knows them. Backups aren't among them: their copies have dates of their own.
func Erased(p *tenure.Plan, system string) (out []connector.Ref) {
	for i := range p.Resources {
		if r := &p.Resources[i]; r.System == system && len(r.Classes) > 0 && r.Layer != tenure.LayerBackup {
			out = append(out, Ref(p.Tenant, r))
		}
	}
	return out
}

// Remnants is the receipt of a look at what a system physically keeps.
type Remnants struct {
	Remnants []connector.Remnant `json:"remnants"`
}

// clean does something about one kind of what a system physically keeps.
func clean(ctx context.Context, _ *Engine, t *Task, sys *connector.System, _ *tenure.PlannedResource) Result {
	rec, err := sys.Clean(ctx, Erased(t.Plan, sys.Name), tenure.RemnantKind(t.Step.To))
	if err != nil {
		return Result{Err: err}
	}
	return Result{Verdict: tenure.Verified, Receipt: rec, Facts: map[string]string{"cleaned": t.Step.To}}
}

// remnants sees what a system physically keeps of what was deleted.
func remnants(ctx context.Context, _ *Engine, t *Task, sys *connector.System, _ *tenure.PlannedResource) Result {
	all, err := sys.Remnants(ctx, Erased(t.Plan, sys.Name))
	if err != nil {
		return Result{Err: err}
	}
	return Result{Verdict: tenure.Verified, Receipt: Remnants{Remnants: all}}
}
