package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Tenant is a tenant as it is shown.
type Tenant struct {
	ID           tenure.TenantID             `json:"id"`
	Name         string                      `json:"name"`
	Organization string                      `json:"organization,omitempty"`
	Contact      string                      `json:"contact,omitempty"`
	Tier         string                      `json:"tier,omitempty"`
	State        tenure.TenantState          `json:"state"`
	Held         bool                        `json:"held,omitempty"`
	Blocked      string                      `json:"blocked,omitempty"`
	Blueprint    tenure.BlueprintRef         `json:"blueprint"`
	Parameters   json.RawMessage             `json:"parameters,omitempty"`
	Features     map[string]bool             `json:"features,omitempty"`
	Anchors      map[tenure.Anchor]time.Time `json:"anchors,omitempty"`
	CreatedAt    time.Time                   `json:"createdAt"`
	UpdatedAt    time.Time                   `json:"updatedAt"`
}

// TenantDetail is a tenant with all that stands around it.
type TenantDetail struct {
	Tenant
	Resources  []Resource       `json:"resources"`
	Operations []Operation      `json:"operations"`
	Holds      []Hold           `json:"holds,omitempty"`
	Clocks     []tenure.Clock   `json:"clocks,omitempty"`
	Findings   []tenure.Finding `json:"findings,omitempty"`
}

// Resource is one thing of a tenant's as it is shown. What it should be and what
// was seen may hold what a platform doesn't want on a screen, and stay inside.
type Resource struct {
	ID          tenure.ResourceID    `json:"id"`
	Environment string               `json:"environment,omitempty"`
	Key         string               `json:"key"`
	System      string               `json:"system"`
	Type        string               `json:"type"`
	Name        string               `json:"name"`
	Layer       string               `json:"layer"`
	State       tenure.ResourceState `json:"state"`
	Verdict     tenure.Verdict       `json:"verdict,omitempty"`
	Classes     []string             `json:"classes,omitempty"`
	Operation   tenure.OperationID   `json:"operation,omitempty"`
	CreatedAt   time.Time            `json:"createdAt"`
	UpdatedAt   time.Time            `json:"updatedAt"`
	ExpiresAt   time.Time            `json:"expiresAt,omitzero"`
}

func tenantOf(t store.TenantRow) Tenant {
	return Tenant{
		ID: t.ID, Name: t.Name, Organization: t.Organization, Contact: t.Contact, Tier: t.Tier, State: t.State, Held: t.Held, Blocked: t.Blocked,
		Blueprint: t.Blueprint, Parameters: t.Parameters, Features: t.Features, Anchors: t.Anchors, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
}

func resourceOf(r store.ResourceRow) Resource {
	return Resource{
		ID: r.ID, Environment: r.Environment, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name, Layer: r.Layer.String(), State: r.State,
		Verdict: r.Verdict, Classes: r.Classes, Operation: r.Operation, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, ExpiresAt: r.ExpiresAt,
	}
}

// TenantFilter narrows a listing.
type TenantFilter struct {
	State  tenure.TenantState `json:"state,omitempty"`
	After  tenure.TenantID    `json:"after,omitempty"` // the last one of the page before
	Limit  int                `json:"limit,omitempty"` // 0 is 100
	Closed bool               `json:"closed,omitempty"`
}

// NameParams name a tenant by id or by the name of one that isn't closed; blank
// means all where that makes sense.
type NameParams struct {
	Tenant string `json:"tenant"`
}

// ListTenants lists tenants in the order of their making.
var ListTenants = Method[TenantFilter, []Tenant]{"tenant.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, p TenantFilter) ([]Tenant, error) {
	rows, err := s.Tenants(ctx, store.TenantFilter(p))
	out := make([]Tenant, len(rows))
	for i, t := range rows {
		out[i] = tenantOf(t)
	}
	return out, err
}}

// ShowTenant shows one tenant whole.
var ShowTenant = Method[NameParams, TenantDetail]{"tenant.show", false, func(ctx context.Context, s *lifecycle.Service, _ string, p NameParams) (TenantDetail, error) {
	v, err := s.Tenant(ctx, p.Tenant)
	if err != nil {
		return TenantDetail{}, err
	}
	out := TenantDetail{Tenant: tenantOf(v.TenantRow), Clocks: v.Clocks, Findings: v.Findings}
	for _, r := range v.Resources {
		out.Resources = append(out.Resources, resourceOf(r))
	}
	for _, h := range v.Holds {
		out.Holds = append(out.Holds, holdOf(h))
	}
	out.Operations, err = operationsOf(ctx, s, v.Operations)
	return out, err
}}

// ExplainTenant says of each thing of a tenant why it is still there, and when it
// will be gone.
var ExplainTenant = Method[NameParams, []lifecycle.Reason]{"tenant.explain", false, func(ctx context.Context, s *lifecycle.Service, _ string, p NameParams) ([]lifecycle.Reason, error) {
	return s.Explain(ctx, p.Tenant)
}}
