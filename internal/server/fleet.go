package server

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func fleetRoutes(s *Server) {
	route(s, client.ShowFleet, Access{tenure.TenantRead, List}, func(ctx context.Context, c *Call, _ *client.None) (client.Fleet, error) {
		f, err := c.Service.Fleet(ctx, c.Visible)
		if err != nil {
			return client.Fleet{}, err
		}
		out := fleetOf(f)
		return out, c.tag(timeless(out))
	})
}

// timeless is a fleet without the moments that move on by themselves: counted again and
// found the same, it is the same.
func timeless(f client.Fleet) client.Fleet {
	f.CountedAt, f.Onboarding.StartsAt = time.Time{}, time.Time{}
	f.Onboarding.Weeks = slices.Clone(f.Onboarding.Weeks)
	for i := range f.Onboarding.Weeks {
		f.Onboarding.Weeks[i].StartsAt = time.Time{}
	}
	return f
}

func fleetOf(f *lifecycle.Fleet) client.Fleet {
	out := client.Fleet{
		Held: f.Held, ByState: map[tenure.TenantState]int64{}, Stuck: each(f.Stuck, fleetOperationOf), StuckAll: f.StuckAll, Waiting: f.Waiting,
		Leaving: each(f.Leaving, fleetOperationOf), LeavingAll: f.LeavingAll, Findings: f.Findings, Onboarding: onboardingOf(f.Onboarding), CountedAt: f.CountedAt,
	}
	revisions, tiers := map[string]int64{}, map[string]int64{}
	for _, c := range f.Counts {
		out.ByState[c.State] += c.N
		if c.State != tenure.TenantClosed {
			out.Tenants += c.N
			revisions[strings.TrimSpace(c.Blueprint.Name+" "+c.Blueprint.Version)] += c.N
		}
	}
	for _, c := range f.ByTier {
		if c.State != tenure.TenantClosed && c.Tier != "" {
			tiers[c.Tier] += c.N
		}
	}
	out.ByTier, out.ByRevision = countsOf(tiers), countsOf(revisions)
	if f.Cost != nil {
		out.Cost = &client.FleetCost{At: f.Cost.At, Running: f.Cost.Running, Stopped: f.Cost.Stopped, Orphaned: f.Cost.Orphaned, Unused: f.Cost.Unused, UnusedTenants: f.Cost.UnusedTenants}
	}
	return out
}

// countsOf are counts, the largest first.
func countsOf(m map[string]int64) []client.FleetCount {
	out := []client.FleetCount{}
	for what, n := range m {
		if n > 0 {
			out = append(out, client.FleetCount{Name: what, Count: n})
		}
	}
	slices.SortFunc(out, func(a, b client.FleetCount) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func fleetOperationOf(a store.Attention) client.FleetOperation {
	return client.FleetOperation{
		ID: a.ID, Kind: a.Kind, State: a.State, Reason: a.Reason, UpdatedAt: a.UpdatedAt, DueAt: a.DueAt,
		Tenant: a.Tenant, TenantName: a.TenantName, TenantState: a.TenantState,
	}
}

func onboardingOf(o lifecycle.Onboarding) client.OnboardingFigures {
	out := client.OnboardingFigures{StartsAt: o.Since, Runs: o.Runs, Failed: o.Failed, Expired: o.Expired, Rejected: o.Rejected, Withdrawn: o.Withdrawn, P50: o.P50.Seconds(), P95: o.P95.Seconds(), Settled: o.Settled, Incidents: o.Incidents}
	out.Weeks = each(o.Weeks, func(w lifecycle.OnboardingWeek) client.OnboardingWeek {
		return client.OnboardingWeek{StartsAt: w.Start, Runs: w.Runs, Failed: w.Failed, P50: w.P50.Seconds(), P95: w.P95.Seconds()}
	})
	return out
}

// departureRoutes are what belongs to one tenant beside its operations.
func departureRoutes(s *Server) {
	route(s, client.SetLabels, Access{tenure.TenantChange, OfTenant}, setLabels)
	route(s, client.SetKnownBy, Access{tenure.TenantChange, OfTenant}, setKnownBy)
	created(s, client.ReportIncident, Access{tenure.IncidentReport, OfTenant}, reportIncident)
	route(s, client.ListIncidents, Access{tenure.TenantRead, OfTenant}, func(ctx context.Context, c *Call, _ *client.TenantParams) ([]client.Incident, error) {
		list, err := c.server.db().Incidents(ctx, c.Target.Tenant)
		return each(list, incidentOf), err
	})
	route(s, client.TenantAccess, Access{tenure.TenantRead, OfTenant}, tenantAccess)
	created(s, client.MakeLink, Access{tenure.TenantChange, OfTenant}, makeLink)
	route(s, client.ListLinks, Access{tenure.TenantChange, OfTenant}, func(ctx context.Context, c *Call, _ *client.TenantParams) ([]client.DepartureLink, error) {
		list, err := c.Service.DepartureLinks(ctx, string(c.Target.Tenant))
		return each(list, linkOf), err
	})
	route(s, client.RevokeLink, Access{tenure.TenantChange, OfTenant}, func(ctx context.Context, c *Call, p *client.LinkID) (client.None, error) {
		id, err := tenure.ParseID[tenure.LinkID](p.Link)
		if err == nil {
			err = c.Service.RevokeDepartureLink(ctx, string(c.Target.Tenant), id, c.By())
		}
		return client.None{}, err
	})
}

// setLabels needs the permission over the tenant as it is and as it will be: who
// may not reach a label can't put a tenant behind it.
func setLabels(ctx context.Context, c *Call, p *client.LabelParams) (client.Tenant, error) {
	have, err := c.server.db().Tenant(ctx, string(c.Target.Tenant))
	if err == nil {
		err = c.Match(p.IfMatch, have.Version)
	}
	if err != nil {
		return client.Tenant{}, err
	}
	version := int64(0)
	if p.IfMatch != "" && p.IfMatch != "*" {
		version = have.Version
	}
	row, err := c.Service.SetLabels(ctx, string(have.ID), p.Body.Labels, version, c.By(), func(t tenure.Target) error {
		if d := c.Governor.Decide(ctx, c.Caller, tenure.TenantChange, t); !d.Allowed {
			return tenure.Errorf(tenure.Forbidden, "with these labels the tenant would be out of %s's reach: %s", c.By(), d.Why)
		}
		return nil
	})
	if err != nil {
		return client.Tenant{}, err
	}
	c.Version(row.Version)
	return tenantOf(row), nil
}

func setKnownBy(ctx context.Context, c *Call, p *client.KnownByParams) (client.Tenant, error) {
	have, err := c.server.db().Tenant(ctx, string(c.Target.Tenant))
	if err == nil {
		err = c.Match(p.IfMatch, have.Version)
	}
	if err != nil {
		return client.Tenant{}, err
	}
	version := int64(0)
	if p.IfMatch != "" && p.IfMatch != "*" {
		version = have.Version
	}
	row, err := c.Service.SetKnownBy(ctx, string(have.ID), p.Body, version, c.By())
	if err != nil {
		return client.Tenant{}, err
	}
	c.Version(row.Version)
	return tenantOf(row), nil
}

func incidentOf(i store.Incident) client.Incident {
	return client.Incident{ID: strings.TrimPrefix(i.ID, string(i.Tenant)+"/"), Tenant: i.Tenant, Severity: i.Severity, Source: i.Source, Detail: i.Detail, At: i.At}
}

func reportIncident(ctx context.Context, c *Call, p *client.IncidentParams) (client.Incident, error) {
	b := p.Body
	i, err := c.Service.ReportIncident(ctx, string(c.Target.Tenant), store.Incident{ID: b.ID, Severity: b.Severity, Source: b.Source, Detail: b.Detail, At: b.At.UTC()}, c.By())
	return incidentOf(i), err
}

// tenantAccess lists the grants that cover a tenant and the accounts in its
// inventory. A grant's scope isn't told: it may name other tenants.
func tenantAccess(ctx context.Context, c *Call, _ *client.TenantParams) ([]client.AccountAccess, error) {
	out := []client.AccountAccess{}
	grants, who, err := c.Governor.Covering(ctx, c.Target)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		out = append(out, client.AccountAccess{Kind: "grant", Who: who[g.Principal].Name, What: string(g.Role), Where: "Tenure", State: "active", CreatedAt: g.At, ExpiresAt: g.ExpiresAt, Source: string(g.ID)})
	}
	rows, err := c.server.db().Resources(ctx, c.Target.Tenant, false)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Layer.IsAccess() {
			out = append(out, client.AccountAccess{Kind: "account", Who: r.Name, What: r.Type, Where: strings.Trim(r.System+"/"+r.Environment, "/"), State: string(r.State), CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, Source: string(r.ID)})
		}
	}
	return out, nil
}

// LeaverPath is where a departure link's page is.
const LeaverPath = "/departure/"

func linkOf(l store.DepartureLink) client.DepartureLink {
	return client.DepartureLink{ID: l.ID, Tenant: l.Tenant, Audience: cmp.Or(l.Audience, "customer"), CreatedBy: l.CreatedBy, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, RevokedAt: l.RevokedAt, SeenAt: l.SeenAt}
}

func makeLink(ctx context.Context, c *Call, p *client.LinkParams) (client.DepartureLink, error) {
	l, secret, err := c.Service.NewDepartureLink(ctx, string(c.Target.Tenant), strings.TrimPrefix(p.Body.Audience, "customer"), time.Duration(p.Body.Days)*24*time.Hour, c.By())
	if err != nil {
		return client.DepartureLink{}, err
	}
	out := linkOf(l)
	out.Path = LeaverPath + secret.Reveal()
	return out, nil
}
