package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// Drift compares live with desired and stores what differs.
var Drift = Method[NameParams, *lifecycle.Look]{"finding.drift", true, func(ctx context.Context, s *lifecycle.Service, _ string, p NameParams) (*lifecycle.Look, error) {
	return s.Drift(ctx, p.Tenant)
}}

// Sweep looks for what bears an owner mark and isn't in the inventory.
var Sweep = Method[NameParams, *lifecycle.Look]{"finding.sweep", true, func(ctx context.Context, s *lifecycle.Service, _ string, p NameParams) (*lifecycle.Look, error) {
	return s.Sweep(ctx, p.Tenant)
}}

// FindingFilter narrows a listing.
type FindingFilter struct {
	Tenant string `json:"tenant,omitempty"`
	Waived bool   `json:"waived,omitempty"` // those too
}

// ListFindings lists what is open, the worst first.
var ListFindings = Method[FindingFilter, []tenure.Finding]{"finding.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, p FindingFilter) ([]tenure.Finding, error) {
	return s.Findings(ctx, p.Tenant, p.Waived)
}}

// WaiveParams let a finding be until a moment, for a reason.
type WaiveParams struct {
	ID     string    `json:"id"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// WaiveFinding lets a finding be until a moment, at most a year away.
var WaiveFinding = Method[WaiveParams, None]{"finding.waive", true, func(ctx context.Context, s *lifecycle.Service, by string, p WaiveParams) (None, error) {
	id, err := tenure.ParseID[tenure.FindingID](p.ID)
	if err != nil {
		return None{}, err
	}
	return None{}, s.Waive(ctx, id, p.Until, p.Reason, by)
}}
