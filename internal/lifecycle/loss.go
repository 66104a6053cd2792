package lifecycle

import (
	"bytes"
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/planner"
)

// weighLosses counts what stands in resources that a change takes away, and what those that
// stay wouldn't cover any more. It reads, and changes nothing.
func (s *Service) weighLosses(ctx context.Context, in *planner.Input) error {
	if in.Kind != tenure.Change && in.Kind != tenure.Upgrade {
		return nil
	}
	type want struct {
		desired []byte
		classes []string
	}
	wanted := map[string]want{}
	for _, env := range in.Desired.Environments {
		for _, r := range env.Resources {
			desired, err := tenure.Canonical(r.Attributes)
			if err != nil {
				return err
			}
			wanted[tenure.ResourcePath(env.Name, r.Key)] = want{desired, r.Data}
		}
	}
	in.Held, in.Uncovered = map[tenure.ResourceID][]planner.Held{}, map[tenure.ResourceID][]planner.Held{}
	var after []tenure.Resource // as the inventory would have them
	for _, r := range in.Inventory {
		if w, stays := wanted[r.Path()]; stays {
			r.Desired, r.Classes = w.desired, w.classes
			after = append(after, r)
		}
	}
	for _, r := range in.Inventory {
		sys := in.Systems[r.System]
		if sys == nil || len(r.Classes) == 0 || r.State == tenure.ResourcePlanned {
			continue
		}
		i := slices.IndexFunc(after, func(o tenure.Resource) bool { return o.ID == r.ID })
		if i < 0 {
			if hygiene.Mapped(sys, r.Type) {
				places, err := s.places(ctx, r, in.Inventory)
				if err != nil {
					return err
				}
				in.Held[r.ID] = places
			}
			continue
		}
		if bytes.Equal(after[i].Desired, r.Desired) && slices.Equal(after[i].Classes, r.Classes) || !hygiene.Mapped(sys, r.Type) {
			continue
		}
		had, err := s.places(ctx, r, in.Inventory)
		if err != nil {
			return err
		}
		has, err := s.places(ctx, after[i], after)
		if err != nil {
			return err
		}
		for _, h := range had {
			if h.Class == "" || h.Records == 0 {
				continue
			}
			// What isn't there to be seen any more is covered by nothing, either.
			if !slices.ContainsFunc(has, func(o planner.Held) bool { return o.Place == h.Place && o.Class != "" }) {
				in.Uncovered[r.ID] = append(in.Uncovered[r.ID], h)
			}
		}
	}
	return nil
}

// places are the places of a resource's data, with how much is there.
func (s *Service) places(ctx context.Context, r tenure.Resource, all []tenure.Resource) (out []planner.Held, err error) {
	err = s.look.Maps(ctx, []tenure.Resource{r}, all, connector.Survey{}, func(m hygiene.Map) error {
		for _, p := range m.Places {
			if p.IsData() {
				out = append(out, planner.Held{Place: p.Name, Class: p.Class, Records: p.Rows})
			}
		}
		return nil
	})
	return out, err
}
