package lifecycle

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// ReportIncident notes trouble of a tenant's that another system saw. The same id
// again changes nothing.
func (s *Service) ReportIncident(ctx context.Context, tenantName string, i store.Incident, by string) (store.Incident, error) {
	if err := person(by); err != nil {
		return i, err
	}
	switch {
	case strings.TrimSpace(i.ID) == "" || len(i.ID) > 200:
		return i, tenure.Errorf(tenure.Invalid, "an incident needs the reporting system's own id for it, of up to 200 bytes")
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
		e, err := s.entry(ctx, "incident.report", by, t.ID, "", string(t.ID)+"/"+s.pseudonym(i.ID), map[string]string{"severity": string(i.Severity)})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return i, err
}

// TickBlocks keeps what is blocked as incidents, so that the fleet's figures know
// of it when it has long been mended. An idle installation writes nothing.
func (s *Service) TickBlocks(ctx context.Context, _ time.Time) error {
	some, err := s.o.DB.Unnoted(ctx)
	if err != nil || !some {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.NoteBlocks()
		return err
	})
}
