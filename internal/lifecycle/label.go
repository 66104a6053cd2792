package lifecycle

import (
	"context"
	"fmt"
	"strings"

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

// ReportIncident notes trouble of a tenant's that another system saw. The same id
// again changes nothing.
func (s *Service) ReportIncident(ctx context.Context, tenantName string, i store.Incident, by string) (store.Incident, error) {
	if err := person(by); err != nil {
		return i, err
	}
	switch {
	case strings.TrimSpace(i.ID) == "" || len(i.ID) > 200:
		return i, tenure.Errorf(tenure.Invalid, "an incident needs the reporting system's id of it, of up to 200 bytes")
	case i.Severity != tenure.Critical && i.Severity != tenure.High && i.Severity != tenure.Medium && i.Severity != tenure.Low:
		return i, tenure.Errorf(tenure.Invalid, "there is no severity %q", i.Severity).WithHint("critical, high, medium or low")
	case len(i.Source) > 100 || len(i.Detail) > 2000:
		return i, tenure.Errorf(tenure.Invalid, "an incident's source has at most 100 bytes and its detail 2,000")
	}
	now := s.Now()
	if i.At.IsZero() || i.At.After(now) {
		i.At = now
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		t, err := tx.Tenant(tenantName)
		if err != nil {
			return err
		}
		i.Tenant = t.ID
		i.ID = string(t.ID) + "/" + strings.TrimPrefix(i.ID, string(t.ID)+"/")
		added, err := tx.AddIncident(i)
		if err != nil || !added {
			return err
		}
		e, err := s.entry(ctx, "incident.report", by, t.ID, "", i.ID, map[string]string{"severity": string(i.Severity)})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return i, err
}
