package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
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

// stillBound is an error for an onboarding's plan that an older release made with other
// SQL than this one writes for the same values.
func (s *Service) stillBound(ctx context.Context, p *tenure.Plan) error {
	c, err := s.compiled(ctx, p.Blueprint.Digest, true)
	if err != nil {
		return err
	}
	if err := bound(c); err != nil {
		return err
	}
	have := make(map[string]*tenure.PlannedResource, len(p.Resources))
	for i := range p.Resources {
		have[p.Resources[i].Environment+"\x00"+p.Resources[i].Key] = &p.Resources[i]
	}
	t := tenure.Tenant{ID: p.Tenant, Name: p.Name, Tier: p.Tier, Organization: p.Organization}
	d, err := s.evaluate(c, t, p.Kind, p.Parameters, p.Features, nil, func(env, key string) tenure.ResourceID {
		if r := have[env+"\x00"+key]; r != nil {
			return r.ID
		}
		return tenure.DeriveID[tenure.ResourceID](s.Now(), string(p.Tenant), env, key)
	})
	if err != nil {
		return err
	}
	for _, env := range d.Environments {
		for _, want := range env.Resources {
			r := have[env.Name+"\x00"+want.Key]
			if r == nil {
				continue
			}
			now := maps.Clone(r.Desired)
			c.Rebind(want, now)
			if !reflect.DeepEqual(now, r.Desired) {
				return tenure.Errorf(tenure.Conflict, "%s/%s: the plan was made by an older release, which wrote values into its SQL in another way", env.Name, want.Key).WithHint("plan again")
			}
		}
	}
	return nil
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
