package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func tenantRoutes(s *Server) {
	route(s, client.ListTenants, Access{tenure.TenantRead, List}, listTenants)
	route(s, client.ShowTenant, Access{tenure.TenantRead, OfTenant}, showTenant)
	route(s, client.ListResources, Access{tenure.TenantRead, OfTenant}, listResources)
	route(s, client.ExplainTenant, Access{tenure.TenantRead, OfTenant}, explainTenant)
}

func listTenants(ctx context.Context, c *Call, p *client.TenantFilter) (client.Page[client.Tenant], error) {
	from := p.After
	if _, err := tenure.ParseID[tenure.TenantID](string(from)); from != "" && err != nil {
		return client.Page[client.Tenant]{}, err
	}
	if err := c.after(p.Cursor, &from); err != nil {
		return client.Page[client.Tenant]{}, err
	}
	n := limitOf(p.Paging)
	var unused, looked time.Time
	if p.Unused > 0 {
		now := c.Service.Now()
		unused, looked = now.AddDate(0, 0, -p.Unused), now.Add(-store.UseFor)
	}
	rows, err := c.Service.Engine.DB.Tenants(ctx, store.TenantFilter{
		Unused: unused, Looked: looked,
		State: p.State, Blueprint: p.Blueprint, Tier: p.Tier, Label: p.Label, Finding: p.Finding, From: p.From, Before: p.To,
		After: from, Limit: n + 1, Closed: p.Closed || p.State == tenure.TenantClosed, Visible: &c.Visible,
	})
	out := client.Page[client.Tenant]{}
	if len(rows) > n {
		rows = rows[:n]
		out.Next = c.cursor(rows[n-1].ID)
	}
	if err == nil && len(rows) == 0 {
		err = c.knownBlueprint(ctx, p.Blueprint)
	}
	if err != nil {
		return out, err
	}
	held, err := c.server.db().Held(ctx, rows)
	for i := range rows {
		rows[i].Held = held[rows[i].ID]
	}
	if err != nil {
		return out, err
	}
	ahead, err := c.server.db().Ahead(ctx, rows, c.Service.Now())
	if err != nil {
		return out, err
	}
	next, err := c.Service.Next(ctx, ahead)
	if err != nil {
		return out, err
	}
	uses, costs, err := c.used(ctx, p.Unused > 0, rows)
	out.Items = each(rows, func(t store.TenantRow) client.Tenant {
		shown := tenantOf(t)
		shown.LastUsedAt, shown.Monthly = uses[t.ID].UsedAt, costs[t.ID]
		if a := ahead[t.ID]; a != nil {
			shown.OpenFindings = a.Findings
			if n, ok := next[t.ID]; ok {
				shown.Next = &client.TenantNext{What: n.What, At: n.At, Who: n.Who, Operation: n.Operation}
			}
		}
		return shown
	})
	return out, err
}

// used is when tenants were last used and what they cost, where that is asked for.
func (c *Call) used(ctx context.Context, asked bool, rows []store.TenantRow) (map[tenure.TenantID]store.Use, map[tenure.TenantID]map[string]int64, error) {
	if !asked {
		return nil, nil, nil
	}
	ids := each(rows, func(t store.TenantRow) tenure.TenantID { return t.ID })
	uses, err := c.server.db().Uses(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	costs, err := c.Service.TenantCosts(ctx, ids)
	return uses, costs, err
}

func showTenant(ctx context.Context, c *Call, p *client.TenantParams) (client.TenantDetail, error) {
	v, err := c.Service.Tenant(ctx, p.Tenant)
	if err != nil {
		return client.TenantDetail{}, err
	}
	c.Version(v.Version)
	out := client.TenantDetail{Tenant: tenantOf(v.TenantRow), Clocks: v.Clocks, Resources: each(v.Resources, resourceOf)}
	if c.allowed(ctx, tenure.HoldRead) {
		out.Holds = each(c.ownHolds(v.Holds), holdOf)
	}
	if c.allowed(ctx, tenure.AgreementRead) {
		out.Agreements = v.Agreements
	}
	out.Findings = v.Findings
	lease, err := c.Service.Lease(ctx, v.ID)
	if err != nil {
		return out, err
	}
	if lease != nil {
		shown := leaseOf(*lease)
		out.Lease = &shown
	}
	out.Operations, err = operationsOf(ctx, c.Service, v.Operations)
	return out, err
}

// allowed says whether the caller has one more permission over the path's tenant.
func (c *Call) allowed(ctx context.Context, p tenure.Permission) bool {
	return c.Governor.Decide(ctx, c.Caller, p, c.Target).Allowed
}

func listResources(ctx context.Context, c *Call, p *client.TenantPart) (client.Page[client.Resource], error) {
	row, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
	if err != nil {
		return client.Page[client.Resource]{}, err
	}
	list, err := c.Service.Engine.DB.Resources(ctx, row.ID, true)
	if err != nil {
		return client.Page[client.Resource]{}, err
	}
	return pageInOrder(c, each(list, resourceOf), p.Paging, func(r client.Resource) string { return string(r.ID) })
}

func explainTenant(ctx context.Context, c *Call, p *client.TenantParams) (client.Page[client.Reason], error) {
	list, err := c.Service.Explain(ctx, p.Tenant)
	return whole(each(list, func(r lifecycle.Reason) client.Reason { return client.Reason(r) })), err
}

func tenantOf(t store.TenantRow) client.Tenant {
	return client.Tenant{
		ID: t.ID, Name: t.Name, Organization: t.Organization, Contact: t.Contact, Tier: t.Tier, Labels: t.Labels, KnownBy: t.KnownBy, State: t.State, Held: t.Held, Blocked: t.Blocked,
		Blueprint: t.Blueprint, Parameters: t.Parameters, Features: t.Features, Anchors: t.Anchors, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, Version: t.Version,
	}
}

func resourceOf(r store.ResourceRow) client.Resource {
	return client.Resource{
		ID: r.ID, Environment: r.Environment, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name, Layer: r.Layer.String(), State: r.State,
		Verdict: r.Verdict, Classes: r.Classes, Operation: r.Operation, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, ExpiresAt: r.ExpiresAt,
	}
}
