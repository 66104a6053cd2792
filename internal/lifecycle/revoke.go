package lifecycle

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// named finds what a revocation names in the inventory, by id or environment/key.
func named(inventory []tenure.Resource, names []string) (map[tenure.ResourceID]bool, error) {
	if len(names) == 0 {
		return nil, tenure.Errorf(tenure.Invalid, "a revocation names what it takes off").WithHint("name each with environment/key")
	}
	out := make(map[tenure.ResourceID]bool, len(names))
	for _, name := range names {
		found := false
		for _, r := range inventory {
			if string(r.ID) == name || path(r.Environment, r.Key) == name {
				out[r.ID], found = true, true
			}
		}
		if !found {
			return nil, tenure.Errorf(tenure.NotFound, "the tenant has nothing named %q", name).WithHint("list what it has: tenure tenant show")
		}
	}
	return out, nil
}

// takenOff are the things that revocations took off while the tenant went on:
// what a reinstatement must not bring back.
func (s *Service) takenOff(ctx context.Context, tenant tenure.TenantID) (map[tenure.ResourceID]bool, error) {
	ops, err := s.o.DB.Operations(ctx, store.OperationFilter{Tenant: tenant, Kind: tenure.Revoke, Limit: 10_000})
	if err != nil {
		return nil, err
	}
	out := make(map[tenure.ResourceID]bool)
	for _, op := range ops {
		p, err := s.o.DB.Plan(ctx, op.Plan)
		if err != nil {
			return nil, err
		}
		rows, err := s.o.DB.Steps(ctx, op.ID)
		if err != nil {
			return nil, err
		}
		for i := range p.Steps {
			if p.Steps[i].Action == tenure.ActRevoke && rows[i].State == tenure.StepDone {
				out[p.Steps[i].Resource] = true
			}
		}
	}
	return out, nil
}
