package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// changesOf says what becomes of a resource's data classes when its tenant leaves, other
// than that their rows go. What is to be pseudonymised once and is by now still counts.
func (s *Service) changesOf(ctx context.Context, r tenure.Resource) (map[string]tenure.Disposition, error) {
	if len(r.Classes) == 0 {
		return nil, nil
	}
	t, err := s.o.DB.Tenant(ctx, string(r.Tenant))
	if err != nil {
		return nil, err
	}
	c, err := s.compiled(ctx, t.Blueprint.Digest, false)
	if err != nil {
		return nil, err
	}
	in := blueprint.Input{Tenant: t.ID, Name: t.Name, Tier: t.Tier, Organization: t.Organization, Installation: s.o.Installation, Features: t.Features}
	dec := json.NewDecoder(bytes.NewReader(t.Parameters))
	dec.UseNumber()
	if err := dec.Decode(&in.Params); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "parameters of %s: %w", t.Name, err)
	}
	return changesIn(c, in, r.Environment)
}

// changesIn is changesOf in an environment, by what a tenant's blueprint goes by.
func changesIn(c *blueprint.Compiled, in blueprint.Input, environment string) (map[string]tenure.Disposition, error) {
	if all := c.Changes(tenure.Environment{Name: environment}); len(all) == 1 && all[0] == nil {
		return nil, nil
	}
	jurisdiction, contract, err := c.Told(in)
	if err != nil {
		return nil, err
	}
	out := map[string]tenure.Disposition{}
	for _, class := range c.Blueprint.DataClasses {
		d, err := tenure.SolveDisposition(class, tenure.DispositionSubject{Environment: environment, Jurisdiction: jurisdiction, Contract: contract})
		if err != nil {
			return nil, err
		}
		if d.Disposition.Changes() {
			out[class.Name] = d.Disposition
		}
	}
	return out, nil
}
