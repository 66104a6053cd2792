package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	seekOverdue  = time.Hour   // between two looks at the age of every credential
	closeOverdue = time.Minute // between two looks at those that were overdue
)

// ageField is the field of findings at credentials that are too old.
const ageField = "age"

// overdues is when the credentials' age was looked at.
type overdues struct {
	sought time.Time
	closed time.Time
}

// TickSecrets has overdue credentials be findings, closes those that were rotated since, and
// settles what ended operations have replaced.
func (s *Service) TickSecrets(ctx context.Context, now time.Time) error {
	switch {
	case now.Sub(s.overdue.sought) >= seekOverdue:
		s.overdue = overdues{now, now}
		if err := s.seekOverdue(ctx, ""); err != nil {
			return err
		}
	case now.Sub(s.overdue.closed) >= closeOverdue:
		s.overdue.closed = now
		if err := s.closeOverdue(ctx); err != nil {
			return err
		}
	default:
		return nil
	}
	return s.settleReplaced(ctx)
}

// overdueFinding is the finding at a credential that should have been rotated by now.
func overdueFinding(k KeptSecret, now time.Time) tenure.Finding {
	f := tenure.Finding{
		ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingCredential, Severity: tenure.Medium, Tenant: k.Tenant, Resource: k.Resource, System: k.System, Type: k.Type, Name: k.Name, Field: ageField,
		Want: "rotated every " + k.Rotate.String(), Got: "made " + k.since().UTC().Format(time.DateOnly), SeenAt: now,
	}
	what := "the credential of " + tenure.ResourcePath(k.Environment, k.Key) + " of " + k.TenantName
	if k.Resource == "" {
		what, f.Name = "the credential that Tenure works with in "+k.System, k.System
	}
	f.Detail = fmt.Sprintf("%s was due for rotation on %s", what, k.DueAt.UTC().Format(time.DateOnly))
	return f
}

// seekOverdue looks at the age of every credential, or of one tenant's, and brings the
// findings up to date.
func (s *Service) seekOverdue(ctx context.Context, tenant tenure.TenantID) error {
	if tenant == "" {
		if err := s.seekOverdueSystems(ctx); err != nil {
			return err
		}
	}
	return s.settleOverdue(ctx, store.FindingFilter{Tenant: tenant}, func(f tenure.Finding) bool { return f.Tenant != "" },
		func(take func(KeptSecret) error) error { return s.eachSecret(ctx, tenant, take) })
}

// seekOverdueSystems is seekOverdue for the credentials that Tenure works with.
func (s *Service) seekOverdueSystems(ctx context.Context) error {
	return s.settleOverdue(ctx, store.FindingFilter{}, func(f tenure.Finding) bool { return f.Tenant == "" }, func(take func(KeptSecret) error) error {
		systems, err := s.SystemSecrets(ctx)
		for _, k := range systems {
			if err == nil {
				err = take(k)
			}
		}
		return err
	})
}

// settleOverdue stores a finding for each credential of all that is overdue, and closes those
// of the open ones, as far as they are of the same kind, that aren't any more. Of those that
// showed somewhere the findings are closed that are older than the credential now is.
func (s *Service) settleOverdue(ctx context.Context, filter store.FindingFilter, of func(tenure.Finding) bool, all func(take func(KeptSecret) error) error) error {
	now := s.Now()
	var found []tenure.Finding
	over := make(map[[2]string]bool)
	since := make(map[[2]string]time.Time)
	if err := all(func(k KeptSecret) error {
		since[[2]string{string(k.Resource), k.System}] = k.since()
		if !k.Overdue(now) {
			return nil
		}
		over[[2]string{string(k.Resource), k.System}] = true
		if len(found) < maxFindings {
			found = append(found, overdueFinding(k, now))
		}
		return nil
	}); err != nil {
		return err
	}
	open, err := s.openOverdue(ctx, filter)
	if err != nil || len(open)+len(found) == 0 {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, f := range open {
			at := [2]string{string(f.Resource), f.System}
			made, kept := since[at]
			if !of(f) || f.Field == ageField && over[at] || f.Field == hygiene.Shown && kept && !made.After(f.SeenAt) {
				continue
			}
			if err := tx.ResolveFinding(f, now); err != nil {
				return err
			}
		}
		return saveFindings(tx, found)
	})
}

// openOverdue lists the findings at credentials that are too old, or showed somewhere.
func (s *Service) openOverdue(ctx context.Context, filter store.FindingFilter) ([]tenure.Finding, error) {
	filter.Kind, filter.Limit = tenure.FindingCredential, maxFindings
	open, err := s.o.DB.FindingsPage(ctx, filter)
	return slices.DeleteFunc(open, func(f tenure.Finding) bool { return f.Field != ageField && f.Field != hygiene.Shown }), err
}

// closeOverdue closes the findings at credentials that were rotated, or are gone.
func (s *Service) closeOverdue(ctx context.Context) error {
	open, err := s.openOverdue(ctx, store.FindingFilter{})
	if err != nil {
		return err
	}
	tenants, systems := make(map[tenure.TenantID]bool), false
	for _, f := range open {
		if f.Tenant == "" {
			systems = true
		} else {
			tenants[f.Tenant] = true
		}
	}
	if systems {
		if err := s.seekOverdueSystems(ctx); err != nil {
			return err
		}
	}
	for id := range tenants {
		if err := s.seekOverdue(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
