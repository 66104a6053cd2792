package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// AddAgreement writes down a data sharing agreement or an export grant of a
// tenant's. It stands in the inventory and in reviews until it ends.
func (s *Service) AddAgreement(ctx context.Context, tenant string, a tenure.Agreement, by string) (tenure.Agreement, error) {
	if err := person(by); err != nil {
		return a, err
	}
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return a, err
	}
	c, err := s.compiled(ctx, t.Blueprint.Digest, false)
	if err != nil {
		return a, err
	}
	var classes []string
	for _, d := range c.Blueprint.DataClasses {
		classes = append(classes, d.Name)
	}
	now := s.Now()
	if a.StartsAt.IsZero() {
		a.StartsAt = now
	}
	a.ID, a.Tenant, a.CreatedBy, a.CreatedAt, a.Version = tenure.NewID[tenure.AgreementID](now), t.ID, by, now, 1
	a.StartsAt, a.ExpiresAt, a.EndedAt, a.EndedBy, a.EndedWhy = a.StartsAt.UTC().Truncate(time.Microsecond), a.ExpiresAt.UTC().Truncate(time.Microsecond), time.Time{}, "", ""
	if err := a.Check(classes, now); err != nil {
		return a, err
	}
	e, err := s.entry(ctx, "agreement.add", by, t.ID, "", string(a.ID), map[string]string{"kind": string(a.Kind), "classes": strings.Join(a.Classes, ","), "until": a.ExpiresAt.Format(time.RFC3339)})
	if err != nil {
		return a, err
	}
	return a, s.o.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Tenant(string(t.ID))
		if err != nil {
			return err
		}
		if leaving(row.State) {
			return tenure.Errorf(tenure.Conflict, "%s is %s: nothing of its data is shared any more", row.Name, row.State)
		}
		if err := tx.SaveAgreement(a); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// EndAgreement ends one before its date. One that has ended stays as it is; a
// version of 0 isn't compared.
func (s *Service) EndAgreement(ctx context.Context, id tenure.AgreementID, reason string, version int64, by string) (tenure.Agreement, error) {
	if err := person(by); err != nil {
		return tenure.Agreement{}, err
	}
	reason, err := tenure.NeedLine("the reason for the end of an agreement", reason, tenure.MaxReason)
	if err != nil {
		return tenure.Agreement{}, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		a, err := tx.Agreement(id)
		if err != nil || !a.EndedAt.IsZero() {
			return err
		}
		if version != 0 && version != a.Version {
			return tenure.Errorf(tenure.Conflict, "agreement %s has changed since it was read", id).WithHint("read it again")
		}
		return s.endAgreement(ctx, tx, a, "", by, "by hand: "+reason)
	})
	if err != nil {
		return tenure.Agreement{}, err
	}
	return s.o.DB.Agreement(ctx, id)
}

// endAgreement ends an agreement in a transaction, with its entry and a notice.
func (s *Service) endAgreement(ctx context.Context, tx *store.Tx, a tenure.Agreement, op tenure.OperationID, by, why string) error {
	now := s.Now()
	stood, err := tx.EndAgreement(a.ID, by, why, 0, now)
	if err != nil || !stood {
		return err
	}
	cause, _, _ := strings.Cut(why, ":") // what a person wrote stays out of the log, which never forgets
	e, err := s.entry(ctx, "agreement.end", by, a.Tenant, op, string(a.ID), map[string]string{"kind": string(a.Kind), "why": cause})
	if err != nil {
		return err
	}
	if err := tx.Log(e); err != nil {
		return err
	}
	return tx.AddNotice(store.Notice{
		ID: "agreement/" + string(a.ID) + "/end", Kind: tenure.NoticeAgreementEnds, Tenant: a.Tenant, Operation: op, Recipient: "platform", CreatedAt: now,
		Body: fmt.Sprintf("%s with %s has ended: %s", agreementWord(a.Kind), strings.Join(a.Parties, ", "), why),
	})
}

func agreementWord(k tenure.AgreementKind) string {
	if k == tenure.ExportGrant {
		return "the export grant"
	}
	return "the data sharing agreement"
}

// cutAgreements ends what of a tenant's is open, in the transaction that cuts its
// access.
func (s *Service) cutAgreements(ctx context.Context, tx *store.Tx, tenant tenure.TenantID, op tenure.OperationID) error {
	open, err := tx.OpenAgreements(tenant)
	if err != nil {
		return err
	}
	for _, a := range open {
		if err := s.endAgreement(ctx, tx, a, op, "", "the tenant's access is cut"); err != nil {
			return err
		}
	}
	return nil
}

// TickAgreements ends what has reached its date, and gives notice of what will
// within a fortnight.
func (s *Service) TickAgreements(ctx context.Context, now time.Time) error {
	ended, soon, err := s.o.DB.DueAgreements(ctx, now, now.Add(tenure.AgreementNotice))
	if err != nil || len(ended) == 0 && len(soon) == 0 {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, a := range ended {
			if err := s.endAgreement(ctx, tx, a, "", "", "it reached its date"); err != nil {
				return err
			}
		}
		for _, a := range soon {
			first, err := tx.NoticeAgreement(a.ID, now)
			if err != nil {
				return err
			}
			if !first {
				continue
			}
			err = tx.AddNotice(store.Notice{
				ID: "agreement/" + string(a.ID) + "/soon/" + a.ExpiresAt.Format(time.DateOnly), Kind: tenure.NoticeAgreementEnds, Tenant: a.Tenant, Recipient: "platform", CreatedAt: now,
				Body: fmt.Sprintf("%s with %s ends on %s", agreementWord(a.Kind), strings.Join(a.Parties, ", "), a.ExpiresAt.Format(time.DateOnly)),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Agreements lists agreements.
func (s *Service) Agreements(ctx context.Context, f store.AgreementFilter) ([]tenure.Agreement, error) {
	return s.o.DB.Agreements(ctx, f)
}

// Agreement returns one agreement.
func (s *Service) Agreement(ctx context.Context, id tenure.AgreementID) (tenure.Agreement, error) {
	return s.o.DB.Agreement(ctx, id)
}

// agreementReasons say why agreements still stand, beside a tenant's resources.
func agreementReasons(open []tenure.Agreement) []Reason {
	var out []Reason
	for _, a := range open {
		out = append(out, Reason{
			Resource: string(a.ID), System: string(a.Kind), State: tenure.ResourcePresent, GoneAt: a.ExpiresAt,
			Reason: fmt.Sprintf("%s with %s for %q stands; it ends at its date, or when the tenant's access is cut", agreementWord(a.Kind), strings.Join(a.Parties, ", "), a.Purpose),
		})
	}
	return out
}
