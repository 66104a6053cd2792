package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/planner"
)

// Faulty is a revision that no tenant may be given any more, and why.
type Faulty struct {
	tenure.BlueprintRef
	Unbound []blueprint.Unbound
	Err     error // it can't be read at all: a connector no longer has what it uses
}

// FaultyBlueprints finds the published revisions that wouldn't be published today.
func (s *Service) FaultyBlueprints(ctx context.Context) ([]Faulty, error) {
	all, err := s.o.DB.Blueprints(ctx)
	if err != nil {
		return nil, err
	}
	var out []Faulty
	for _, b := range all {
		if !b.Published() {
			continue
		}
		c, err := s.compiled(ctx, b.Digest, true)
		switch tenure.CodeOf(err) {
		case "":
			if len(c.Unbound) > 0 {
				out = append(out, Faulty{BlueprintRef: b.BlueprintRef, Unbound: c.Unbound})
			}
		case tenure.Invalid:
			out = append(out, Faulty{BlueprintRef: b.BlueprintRef, Err: err})
		default:
			return nil, err
		}
	}
	return out, nil
}

// bound is Blocked for a revision that writes values into SQL texts where they can't
// be bound. Tenants that have it keep it.
func bound(c *blueprint.Compiled) error {
	if len(c.Unbound) == 0 {
		return nil
	}
	var why []string
	for _, u := range c.Unbound {
		why = append(why, fmt.Sprintf("%s, line %d, ${%s}: %s", u.Path, u.Line, u.Expression, u.Message))
	}
	return tenure.Errorf(tenure.Blocked, "%s %s can't be used for more tenants, since it writes values into SQL where they can't be bound: %s",
		c.Blueprint.Name, c.Blueprint.Version, strings.Join(why, "; ")).WithHint("publish a revision that is mended: tenure blueprint check FILE says how").
		WithHint("list all such revisions: tenure blueprint check --published")
}

// rebind gives the inventory's resources the SQL texts that the revision has for them
// today, so that what is run again has its values quoted.
func rebind(c *blueprint.Compiled, in *planner.Input) error {
	for i := range in.Inventory {
		r := &in.Inventory[i]
		for _, env := range in.Desired.Environments {
			for _, want := range env.Resources {
				var kept map[string]any
				if want.ID != r.ID || json.Unmarshal(r.Desired, &kept) != nil {
					continue
				}
				c.Rebind(want, kept)
				desired, err := tenure.Canonical(kept)
				if err != nil {
					return err
				}
				r.Desired = desired
			}
		}
	}
	return nil
}
