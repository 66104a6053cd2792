package lifecycle

import (
	"context"
	"fmt"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

func checkLabels(labels map[string]string) error {
	if len(labels) > tenure.MaxLabels {
		return tenure.Errorf(tenure.Invalid, "a tenant has at most %d labels", tenure.MaxLabels)
	}
	for k, v := range labels {
		if err := tenure.CheckLabel(k, v); err != nil {
			return err
		}
	}
	return nil
}

// SetLabels replaces a tenant's labels. Labels decide who may see a tenant, so
// the change is logged; may, if given, judges the tenant as it will be.
func (s *Service) SetLabels(ctx context.Context, tenantName string, labels map[string]string, version int64, by string, may func(tenure.Target) error) (store.TenantRow, error) {
	if err := person(by); err != nil {
		return store.TenantRow{}, err
	}
	if err := checkLabels(labels); err != nil {
		return store.TenantRow{}, err
	}
	var out store.TenantRow
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		t, err := tx.Tenant(tenantName)
		if err != nil {
			return err
		}
		if may != nil {
			if err := may(tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: labels}); err != nil {
				return err
			}
		}
		if err := tx.SetLabels(t.ID, labels, version, s.Now()); err != nil {
			return err
		}
		e, err := s.entry(ctx, "tenant.labels", by, t.ID, "", string(t.ID), map[string]string{"labels": fmt.Sprint(len(labels))})
		if err != nil {
			return err
		}
		if out, err = tx.Tenant(string(t.ID)); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return out, err
}
