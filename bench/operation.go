package main

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// storeOperation stores a tenant, a plan made by hand, its resources and an
// operation that is ready to run it.
func storeOperation(ctx context.Context, db *store.DB, p *tenure.Plan) (tenure.OperationID, error) {
	body, digest, err := p.Encode()
	if err != nil {
		return "", err
	}
	id := tenure.NewID[tenure.OperationID](p.At)
	err = db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.CreateTenant(store.TenantRow{Tenant: tenure.Tenant{ID: p.Tenant, Name: p.Name, CreatedAt: p.At, Parameters: []byte("{}")}}); err != nil {
			return err
		}
		if err := tx.SavePlan(digest, body, p, "bench"); err != nil {
			return err
		}
		o := store.NewOperation{
			Operation:   tenure.Operation{ID: id, Kind: p.Kind, Tenant: p.Tenant, Plan: digest, State: tenure.OperationRunning, RequestedBy: "bench", CreatedAt: p.At},
			Destructive: p.Destructive > 0,
			IsDestroyer: func(seq int) bool { return p.Steps[seq].Destructive },
		}
		for i := range p.Steps {
			o.Steps = append(o.Steps, tenure.StepStatus{Operation: id, Seq: i, Key: p.Steps[i].Key})
		}
		for _, r := range p.Resources {
			o.Touches = append(o.Touches, r.ID)
			if err := tx.SaveResource(tenure.Resource{
				ID: r.ID, Tenant: p.Tenant, Environment: r.Environment, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name, Layer: r.Layer,
				Desired: []byte("{}"), Classes: r.Classes, Operation: id, UpdatedAt: p.At,
			}); err != nil {
				return err
			}
		}
		_, _, err := tx.CreateOperation(o)
		return err
	})
	return id, err
}
