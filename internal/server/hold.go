package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// Hold is a legal hold as it is shown.
type Hold struct {
	ID          tenure.HoldID `json:"id"`
	Matter      string        `json:"matter"`
	Scope       HoldScope     `json:"scope"`
	Reason      string        `json:"reason,omitempty"`
	PlacedBy    string        `json:"placedBy"`
	PlacedAt    time.Time     `json:"placedAt"`
	EffectiveAt time.Time     `json:"effectiveAt,omitzero"` // batches in flight have drained
	AlreadyGone string        `json:"alreadyGone,omitempty"`
	ReleaseBy   []string      `json:"releaseBy,omitempty"`
	ReleasedAt  time.Time     `json:"releasedAt,omitzero"`
}

// HoldScope is what a hold covers; a blank field covers everything.
type HoldScope struct {
	Tenant   string `json:"tenant,omitempty"`
	Class    string `json:"class,omitempty"`
	System   string `json:"system,omitempty"`
	Resource string `json:"resource,omitempty"`
}

func holdOf(h tenure.Hold) Hold {
	return Hold{
		ID: h.ID, Matter: h.Matter, Scope: HoldScope{string(h.Scope.Tenant), h.Scope.Class, h.Scope.System, string(h.Scope.Resource)}, Reason: h.Reason,
		PlacedBy: h.PlacedBy, PlacedAt: h.PlacedAt, EffectiveAt: h.EffectiveAt, AlreadyGone: h.AlreadyGone, ReleaseBy: h.ReleaseBy, ReleasedAt: h.ReleasedAt,
	}
}

// HoldParams are a hold to place. A scope without a tenant needs AllTenants, so
// that a forgotten tenant isn't taken for everyone.
type HoldParams struct {
	Matter     string    `json:"matter"`
	Reason     string    `json:"reason"`
	Scope      HoldScope `json:"scope"`
	AllTenants bool      `json:"allTenants,omitempty"`
}

// PlaceHold places a legal hold; it binds at once.
var PlaceHold = Method[HoldParams, Hold]{"hold.place", true, func(ctx context.Context, s *lifecycle.Service, by string, p HoldParams) (Hold, error) {
	h := tenure.Hold{Matter: p.Matter, Reason: p.Reason, Scope: tenure.HoldScope{Tenant: tenure.TenantID(p.Scope.Tenant), Class: p.Scope.Class, System: p.Scope.System}}
	if p.Scope.Resource != "" {
		id, err := tenure.ParseID[tenure.ResourceID](p.Scope.Resource)
		if err != nil {
			return Hold{}, err
		}
		h.Scope.Resource = id
	}
	switch {
	case p.AllTenants && p.Scope.Tenant != "":
		return Hold{}, tenure.Errorf(tenure.Invalid, "a hold is of one tenant or of all, not both")
	case !p.AllTenants && p.Scope.Tenant == "" && p.Scope.Resource == "" && h.Scope != (tenure.HoldScope{}):
		return Hold{}, tenure.Errorf(tenure.Invalid, "a hold of a class or system for every tenant must say so").WithHint("name one: --tenant, or say --all-tenants")
	}
	placed, err := s.PlaceHold(ctx, h, by)
	return holdOf(placed), err
}}

// ReleaseHold records one person's word for a release; the second releases it.
var ReleaseHold = Method[IDParams, Hold]{"hold.release", true, func(ctx context.Context, s *lifecycle.Service, by string, p IDParams) (Hold, error) {
	id, err := tenure.ParseID[tenure.HoldID](p.ID)
	if err != nil {
		return Hold{}, err
	}
	h, err := s.ReleaseHold(ctx, id, by)
	return holdOf(h), err
}}

// HoldFilter narrows a listing.
type HoldFilter struct {
	Tenant   string `json:"tenant,omitempty"`
	Released bool   `json:"released,omitempty"` // those too
}

// ListHolds lists the holds that can cover a tenant, or all.
var ListHolds = Method[HoldFilter, []Hold]{"hold.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, p HoldFilter) ([]Hold, error) {
	list, err := s.Holds(ctx, p.Tenant, p.Released)
	out := make([]Hold, len(list))
	for i, h := range list {
		out[i] = holdOf(h)
	}
	return out, err
}}
