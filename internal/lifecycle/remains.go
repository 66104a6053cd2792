package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/engine"
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
	err = s.survey(ctx, gone, gone, connector.Survey{Gone: true, Order: classOrder(t.Plan)}, func(v surveyed) error {
		places[v.path()] = len(v.Places)
		if v.absent != tenure.Verified {
			unsure = append(unsure, strings.TrimSpace(v.path()+" "+v.Partial))
		}
		for _, class := range v.classes() {
			says := v.counted(class)
			if class == "" || !slices.Contains(v.resource.Classes, class) {
				strange = append(strange, says)
				continue
			}
			late = append(late, engine.Late{Resource: v.resource.ID, Class: class, Says: says})
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

// classes are the data classes of what is there; "" is rows that none covers.
func (v *surveyed) classes() (out []string) {
	for _, p := range v.Places {
		if p.IsData() && p.Rows > 0 && !slices.Contains(out, p.Class) {
			out = append(out, p.Class)
		}
	}
	return out
}

// counted says how much of a class is where.
func (v *surveyed) counted(class string) string {
	var out []string
	for _, p := range v.Places {
		if p.IsData() && p.Rows > 0 && p.Class == class {
			what := "rows"
			if p.Kind == connector.PlaceObjects {
				what = "large objects"
			}
			out = append(out, fmt.Sprintf("%d %s in %s", p.Rows, what, p.Name))
		}
	}
	return v.path() + ": " + strings.Join(out, ", ")
}
