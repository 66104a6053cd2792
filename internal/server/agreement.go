package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func agreementRoutes(s *Server) {
	route(s, client.ListAgreements, Access{tenure.AgreementRead, List}, listAgreements)
	created(s, client.AddAgreement, Access{tenure.AgreementManage, OfBody}, addAgreement)
	route(s, client.ShowAgreement, Access{tenure.AgreementRead, OfAgreement}, func(ctx context.Context, c *Call, p *client.AgreementID) (tenure.Agreement, error) {
		a, err := c.server.agreement(ctx, p.Agreement)
		c.Version(a.Version)
		return a, err
	})
	route(s, client.EndAgreement, Access{tenure.AgreementManage, OfAgreement}, endAgreement)
}

func (s *Server) agreement(ctx context.Context, text string) (tenure.Agreement, error) {
	id, err := tenure.ParseID[tenure.AgreementID](text)
	if err != nil {
		return tenure.Agreement{}, err
	}
	return s.db().Agreement(ctx, id)
}

func listAgreements(ctx context.Context, c *Call, p *client.AgreementFilter) (client.Page[tenure.Agreement], error) {
	out := client.Page[tenure.Agreement]{Items: []tenure.Agreement{}}
	f := store.AgreementFilter{Ended: p.Ended, Visible: c.Visible}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.AgreementRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.server.target(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.Tenant
	}
	if err := c.after(p.Cursor, &f.After); err != nil {
		return out, err
	}
	n := limitOf(p.Paging)
	f.Limit = n + 1
	list, err := c.Service.Agreements(ctx, f)
	if err != nil {
		return out, err
	}
	if len(list) > n {
		list = list[:n]
		out.Next = c.cursor(list[n-1].ID)
	}
	out.Items = append(out.Items, list...)
	return out, nil
}

func addAgreement(ctx context.Context, c *Call, p *client.NewAgreementParams) (tenure.Agreement, error) {
	b := p.Body
	if err := c.RequireTenant(ctx, tenure.AgreementManage, b.Tenant); err != nil {
		return tenure.Agreement{}, err
	}
	a, err := c.Service.AddAgreement(ctx, b.Tenant, tenure.Agreement{
		Kind: b.Kind, Parties: b.Parties, Classes: b.Classes, Purpose: b.Purpose, StartsAt: b.StartsAt, ExpiresAt: b.ExpiresAt,
	}, c.By())
	if err == nil {
		c.Location("/v1/agreements/" + string(a.ID))
		c.Version(a.Version)
	}
	return a, err
}

func endAgreement(ctx context.Context, c *Call, p *client.EndAgreementParams) (tenure.Agreement, error) {
	have, err := c.server.agreement(ctx, p.Agreement)
	if err == nil {
		err = c.Match(p.IfMatch, have.Version)
	}
	if err != nil {
		return tenure.Agreement{}, err
	}
	version := int64(0)
	if p.IfMatch != "" {
		version = have.Version
	}
	a, err := c.Service.EndAgreement(ctx, have.ID, p.Body.Reason, version, c.By())
	c.Version(a.Version)
	return a, err
}
