package lifecycle

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/hygiene"
)

// remains counts what is at the places of stores that are gone, in the same pass as
// their systems' fingerprints and sentinels. Rows that came after the deletion are
// late: they are erased again under their class's own gate. Rows that no class covers
// are Blocked, and a place that can't be seen is Unavailable.
func (s *Service) remains(ctx context.Context, t *engine.Task) (late []engine.Late, places map[string]int, err error) {
	rows, err := s.o.DB.Resources(ctx, t.Plan.Tenant, true)
	if err != nil {
		return nil, nil, err
	}
	var gone []tenure.Resource
	for _, r := range rows {
		pr := t.Planned(r.ID)
		if r.State != tenure.ResourceGone || pr == nil {
			continue
		}
		if r.Desired, err = tenure.Canonical(pr.Desired); err != nil {
			return nil, nil, err
		}
		r.Name = pr.Name // a closed tenant's row has forgotten it
		gone = append(gone, r.Resource)
	}
	places = make(map[string]int)
	var strange, unsure []string
	err = s.look.Maps(ctx, gone, gone, connector.Survey{Gone: true, Order: classOrder(t.Plan)}, func(v hygiene.Map) error {
		places[v.Path()] = len(v.Places)
		if v.Absent != tenure.Verified {
			unsure = append(unsure, strings.TrimSpace(v.Path()+" "+v.Partial))
		}
		for _, class := range v.Classes() {
			says := v.Counted(class)
			if class == "" || !slices.Contains(v.Resource.Classes, class) {
				strange = append(strange, says)
				continue
			}
			late = append(late, engine.Late{Resource: v.Resource.ID, Class: class, Says: says})
		}
		return nil
	})
	switch {
	case err != nil:
	case len(strange) > 0:
		err = tenure.Errorf(tenure.Blocked, "rows are left that no data class covers: %s", strings.Join(strange, "; ")).
			WithHint("cover it for this tenant: tenure tenant cover %s --resource ENVIRONMENT/KEY --table NAME=CLASS, then retry", t.Tenant.Name)
	case len(late) == 0 && len(unsure) > 0:
		err = tenure.Errorf(tenure.Unavailable, "whether anything is left can't be told of %s", strings.Join(unsure, ", ")).Retryable()
	}
	return late, places, err
}
