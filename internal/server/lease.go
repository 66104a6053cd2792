package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func leaseRoutes(s *Server) {
	route(s, client.ShowLease, Access{tenure.TenantRead, OfTenant}, func(ctx context.Context, c *Call, _ *client.TenantParams) (client.Lease, error) {
		l, err := c.Service.Lease(ctx, c.Target.Tenant)
		if err == nil && l == nil {
			err = tenure.Errorf(tenure.NotFound, "the tenant has no lease: it stays until somebody ends it")
		}
		if err != nil {
			return client.Lease{}, err
		}
		c.Version(l.Version)
		return leaseOf(*l), nil
	})
	route(s, client.SetLease, Access{tenure.TenantChange, OfTenant}, func(ctx context.Context, c *Call, p *client.LeaseParams) (client.Lease, error) {
		if p.Body.Lift == !p.Body.EndsAt.IsZero() {
			return client.Lease{}, tenure.Errorf(tenure.Invalid, "give the lease's end, or lift it: one of both")
		}
		have, err := c.Service.Lease(ctx, c.Target.Tenant)
		version := int64(0)
		if err == nil && have != nil {
			if err = c.Match(p.IfMatch, have.Version); p.IfMatch != "" && p.IfMatch != "*" {
				version = have.Version
			}
		}
		if err != nil {
			return client.Lease{}, err
		}
		l, err := c.Service.SetLease(ctx, string(c.Target.Tenant), p.Body.EndsAt, version, c.By())
		if err != nil {
			return client.Lease{}, err
		}
		c.Version(l.Version)
		return leaseOf(l), nil
	})
}

func leaseOf(l tenure.Lease) client.Lease {
	out := client.Lease{
		Tenant: l.Tenant, State: l.State, Why: l.Why, StartedAt: l.StartedAt, EndsAt: l.EndsAt, Answer: l.Answer, AnsweredAt: l.AnsweredAt, Extended: l.Extended, Extensions: l.Rule.Extensions,
		SetBy: l.SetBy, SetAt: l.SetAt, Suspension: l.Suspension, Departure: l.Departure, Version: l.Version,
	}
	switch {
	case l.Asked():
		out.AskedAt = l.AskedAt
	case l.State == tenure.LeaseRunning:
		out.AskAt = l.AskAt()
	}
	return out
}
