package statement

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
)

// annex writes down for auditors which holds covered the tenant, and what the
// certificate says of it: the annex's digest, and that there was a legal reason where
// the customer may know.
func (s Source) annex(ctx context.Context, t *engine.Task, d *evidence.Departure) ([]byte, error) {
	holds, err := s.DB.Holds(ctx, t.Plan.Tenant, true)
	if err != nil {
		return nil, err
	}
	var salt [32]byte
	_, _ = rand.Read(salt[:])
	a := evidence.Annex{Type: evidence.AnnexType, Kind: d.Kind, Tenant: d.Tenant.ID, Operation: d.Operation, Issued: d.Issued, Salt: hex.EncodeToString(salt[:]), Holds: []evidence.AnnexHold{}}
	for _, h := range holds {
		if h.Active() && d.Kind != evidence.Interim {
			return nil, tenure.Errorf(tenure.Blocked, "no %s certificate: hold %s stands", d.Kind, h.ID)
		}
		if !covered(h, t.Plan) {
			continue
		}
		row := evidence.AnnexHold{
			ID: h.ID, Matter: h.Matter, Reason: h.Reason, Tenant: h.Scope.Tenant, Class: h.Scope.Class, System: h.Scope.System, Resource: h.Scope.Resource, Untold: h.Untold,
			PlacedBy: s.Pseudonym(h.PlacedBy), Placed: h.PlacedAt, Effective: h.EffectiveAt, AlreadyGone: h.AlreadyGone, Released: h.ReleasedAt,
		}
		row.Environment, row.Table, row.Rows, row.Prefix = h.Scope.Environment, h.Scope.Table, h.Scope.Rows, h.Scope.Prefix
		for _, c := range h.Custodians {
			row.Custodians = append(row.Custodians, evidence.AnnexCustodian{Name: s.Pseudonym(c.Name), Acknowledged: c.AcknowledgedAt})
		}
		for _, by := range h.ReleaseBy {
			row.ReleaseBy = append(row.ReleaseBy, s.Pseudonym(by))
		}
		a.Holds = append(a.Holds, row)
		d.LegalReason = d.LegalReason || !h.Untold
	}
	file, err := a.Encode()
	if err == nil {
		d.Annex = tenure.Digest(file)
	}
	return file, err
}

// covered says whether a hold, of now or released, covered anything of a plan's tenant.
func covered(h tenure.Hold, p *tenure.Plan) bool {
	h.ReleasedAt = time.Time{}
	if h.Scope.Tenant == p.Tenant && h.Scope.Resource == "" {
		return true
	}
	return slices.ContainsFunc(p.Resources, func(r tenure.PlannedResource) bool {
		return h.Covers(tenure.HoldSubject{Tenant: p.Tenant, Environment: r.Environment, Classes: r.Classes, System: r.System, Resource: r.ID})
	})
}
