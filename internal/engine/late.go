package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// cameBack names the classes that were erased from a whole store by steps of their own
// and have rows there again. The deletion would take them along, and what was confirmed
// for their class was the rows that went.
func (t *Task) cameBack(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource) ([]Late, error) {
	typ, _ := sys.Info.Type(pr.Type)
	if !typ.Whole || !sys.Can("map") || t.Row.Seq >= len(t.Plan.Steps) {
		return nil, nil
	}
	rows, err := t.engine.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return nil, err
	}
	var erased []string
	for i := range t.Plan.Steps {
		if s := &t.Plan.Steps[i]; s.Action == tenure.ActErase && s.Resource == pr.ID && rows[i].State == tenure.StepDone {
			erased = append(erased, s.Class)
		}
	}
	if len(erased) == 0 {
		return nil, nil
	}
	m, _, err := sys.DataMap(ctx, connector.Survey{Ref: Ref(t.Plan.Tenant, pr), Beside: beside(t.Plan, pr)})
	m.Places = slices.DeleteFunc(m.Places, func(p connector.Place) bool {
		return p.Kind == connector.PlaceDerived || !slices.Contains(erased, p.Class)
	})
	return LateIn(pr.ID, m), err
}

// behind is the result of an erasure that something blocks: rows of classes that were erased
// before it and have come since, to be erased again, or a wait while they are. Otherwise it
// is the result as it is.
func (t *Task) behind(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource, r Result) Result {
	if tenure.CodeOf(r.Err) != tenure.Blocked || !sys.Can("map") || t.Row.Seq >= len(t.Plan.Steps) {
		return r
	}
	rows, err := t.engine.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return r
	}
	m, _, err := sys.DataMap(ctx, connector.Survey{Ref: Ref(t.Plan.Tenant, pr), Beside: beside(t.Plan, pr)})
	if err != nil {
		return r
	}
	var late []Late
	var waits []string
	for _, l := range LateIn(pr.ID, m) {
		for i := range t.Plan.Steps {
			s := &t.Plan.Steps[i]
			if s.Action != tenure.ActErase || s.Resource != pr.ID || s.Class != l.Class || l.Class == t.Step.Class {
				continue
			}
			if rows[i].State == tenure.StepDone {
				late = append(late, l)
			} else if p, err := ErasureOf(rows[i]); err == nil && p.Rounds > 0 {
				waits = append(waits, l.Class)
			}
		}
	}
	switch {
	case len(late) > 0:
		return Result{Reopen: late, Progress: r.Progress}
	case len(waits) > 0:
		return Result{Progress: r.Progress, Again: t.Now.Add(countAgain), Note: t.Step.Class + " goes from " + pr.Name + " after what came late of " + strings.Join(waits, ", ")}
	}
	return r
}

// late names the classes that have rows again in a resource whose deletion was
// refused for them, though each was erased: they came after it.
func (t *Task) late(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource, refused error) []Late {
	typ, _ := sys.Info.Type(pr.Type)
	code := tenure.CodeOf(refused)
	if code != tenure.Conflict && (code != tenure.Blocked || typ.Whole) || typ.Holds != tenure.HoldsData || !sys.Can("map") || t.Row.Seq >= len(t.Plan.Steps) {
		return nil
	}
	row, err := t.engine.DB.Resource(ctx, pr.ID)
	if err != nil {
		return nil
	}
	m, _, err := sys.DataMap(ctx, connector.Survey{Ref: Ref(t.Plan.Tenant, pr), Gone: row.State == tenure.ResourceGone})
	if err != nil {
		return nil
	}
	found := LateIn(pr.ID, m)
	if typ.Whole { // what no step erases goes with it, and isn't late
		unerased := t.unerased(pr)
		found = slices.DeleteFunc(found, func(l Late) bool { return slices.Contains(unerased, l.Class) })
	}
	return found
}

// LateIn names the rows that a data map found in a resource, by class.
func LateIn(id tenure.ResourceID, m connector.Map) []Late {
	var out []Late
	for _, p := range m.Places {
		if !p.IsData() || p.Rows == 0 || p.Class == "" {
			continue
		}
		says := p.Name + " has " + plural(p.Rows, "row", "rows")
		if i := slices.IndexFunc(out, func(l Late) bool { return l.Class == p.Class }); i >= 0 {
			out[i].Says += ", " + says
			continue
		}
		out = append(out, Late{Resource: id, Class: p.Class, Says: says})
	}
	return out
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}
