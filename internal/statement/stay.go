package statement

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// stayed says whether data of a class stays, or stayed, until the class's end somewhere:
// that end, not the retention before it, is until when it is kept.
func stayed(p *tenure.Plan, class string) bool {
	return slices.ContainsFunc(p.Resources, func(r tenure.PlannedResource) bool {
		return slices.Contains(r.Classes, class) && p.Stays(&r, class)
	})
}

// countKept counts what is kept of a class in a resource, where no point of no return
// has counted it yet. A store that doesn't say leaves it uncounted.
func (s Source) countKept(ctx context.Context, t *engine.Task, r store.ResourceRow, class string, p *evidence.Portion) {
	pr := t.Planned(r.ID)
	sys, err := s.System(ctx, r.System)
	if err != nil || pr == nil || !sys.Can("map") {
		return
	}
	var beside []connector.Ref
	for i := range t.Plan.Resources {
		if o := &t.Plan.Resources[i]; o.System == r.System && o.ID != r.ID {
			beside = append(beside, engine.Ref(t.Plan.Tenant, o))
		}
	}
	m, _, err := sys.DataMap(ctx, connector.Survey{Ref: engine.Ref(t.Plan.Tenant, pr), Beside: beside})
	if err != nil {
		return
	}
	p.Before, p.Counted = held(receipt{Places: m.Places}, class), t.Now
}
