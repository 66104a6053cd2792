package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func impactRoutes(s *Server) {
	route(s, client.ShowImpact, Access{tenure.TenantRead, List}, showImpact)
	accepted(s, client.StartUpgrades, Access{tenure.OperationRequest, OfBody}, startUpgrades)
}

// maxImpact bounds a page of impacts: each is a plan that is compiled.
const maxImpact = 50

func showImpact(ctx context.Context, c *Call, p *client.ImpactParams) (client.Page[client.Impact], error) {
	out := client.Page[client.Impact]{Items: []client.Impact{}}
	var from tenure.TenantID
	if err := c.after(p.Cursor, &from); err != nil {
		return out, err
	}
	_, list, next, err := c.Service.ImpactOf(ctx, p.Blueprint, c.Visible, from, min(limitOf(p.Paging), maxImpact))
	if err != nil {
		return out, err
	}
	out.Items = each(list, func(i lifecycle.Impact) client.Impact { return client.Impact(i) })
	if next != "" {
		out.Next = c.cursor(next)
	}
	return out, nil
}

func startUpgrades(ctx context.Context, c *Call, p *client.UpgradesParams) (client.Upgrades, error) {
	for _, t := range p.Body.Tenants {
		in := client.Intent{Kind: tenure.Upgrade, Tenant: t, Blueprint: p.Blueprint, Reason: p.Body.Reason}
		err := c.requireIntent(ctx, in)
		if err == nil {
			_, err = c.harmlessIntent(ctx, in)
		}
		if err != nil {
			return client.Upgrades{}, err
		}
	}
	list, stopped, err := c.Service.UpgradeAll(ctx, p.Blueprint, p.Body.Tenants, p.Body.Reason, c.By())
	return client.Upgrades{Items: each(list, func(u lifecycle.Upgraded) client.Upgrade { return client.Upgrade(u) }), Stopped: stopped}, err
}
