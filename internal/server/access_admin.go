package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func accessRoutes(s *Server) {
	route(s, client.ListPrincipals, Access{tenure.AccessRead, Installation}, listPrincipals)
	created(s, client.AddPrincipal, Access{tenure.AccessManage, Installation}, addPrincipal)
	route(s, client.ShowPrincipal, Access{tenure.AccessRead, Installation}, func(ctx context.Context, c *Call, p *client.PrincipalID) (client.Principal, error) {
		return showPrincipal(ctx, c, p.Principal)
	})
	route(s, client.ChangePrincipal, Access{tenure.AccessManage, Installation}, changePrincipal)
	route(s, client.ListGrants, Access{tenure.AccessRead, Installation}, func(ctx context.Context, c *Call, p *client.GrantFilter) ([]tenure.Grant, error) {
		list, err := c.Governor.Grants(ctx, p.Principal, p.Ended)
		if tenure.CodeOf(err) == tenure.NotFound {
			err = unknown("principal", p.Principal)
		}
		return each(list, func(g tenure.Grant) tenure.Grant { return g }), err
	})
	created(s, client.GiveGrant, Access{tenure.AccessManage, OfBody}, giveGrant)
	route(s, client.RevokeGrant, Access{tenure.AccessManage, OfBody}, func(ctx context.Context, c *Call, p *client.GrantID) (client.None, error) {
		id, err := tenure.ParseID[tenure.GrantID](p.Grant)
		if err == nil {
			err = c.Governor.RevokeGrant(ctx, c.Caller, id)
		}
		return client.None{}, err
	})
	route(s, client.ListRoles, Access{"", Signed}, func(context.Context, *Call, *client.None) ([]client.RoleInfo, error) { return roles(), nil })
	route(s, client.ExplainDecision, Access{"", Signed}, explainDecision)
	route(s, client.ListAccessEvents, Access{tenure.AccessRead, Installation}, listAccessEvents)
	tokenRoutes(s)
}

func principalOf(p store.Principal) client.Principal {
	return client.Principal{
		ID: p.ID, Name: p.Name, Display: p.Display, Email: p.Email, Kind: p.Kind, Owner: p.Owner, Issuer: p.Issuer, Bound: p.Subject != "",
		Disabled: p.Disabled, Waiting: p.Waiting, CreatedBy: p.CreatedBy, CreatedAt: p.CreatedAt, SeenAt: p.SeenAt, Version: p.Version,
	}
}

func listPrincipals(ctx context.Context, c *Call, p *client.PrincipalFilter) (client.Page[client.Principal], error) {
	var from string
	if err := c.after(p.Cursor, &from); err != nil {
		return client.Page[client.Principal]{}, err
	}
	n := limitOf(p.Paging)
	list, err := c.Governor.Principals(ctx, from, n+1)
	if err != nil {
		return client.Page[client.Principal]{}, err
	}
	out := whole(each(list, principalOf))
	if len(list) > n {
		out.Items, out.Next = out.Items[:n], c.cursor(list[n-1].Name)
	}
	return out, nil
}

func addPrincipal(ctx context.Context, c *Call, p *client.NewPrincipalParams) (client.Principal, error) {
	b := p.Body
	made, err := c.Governor.AddPrincipal(ctx, store.Principal{Name: b.Name, Display: b.Display, Email: b.Email, Kind: b.Kind, Owner: b.Owner}, c.By())
	if err != nil {
		return client.Principal{}, err
	}
	c.Location("/v1/principals/" + string(made.ID))
	c.Version(made.Version)
	return principalOf(made), nil
}

func showPrincipal(ctx context.Context, c *Call, name string) (client.Principal, error) {
	p, grants, err := c.Governor.Principal(ctx, name)
	if err != nil {
		return client.Principal{}, err
	}
	c.Version(p.Version)
	out := principalOf(p)
	out.Grants = grants
	return out, nil
}

func changePrincipal(ctx context.Context, c *Call, p *client.PrincipalChange) (client.Principal, error) {
	have, _, err := c.Governor.Principal(ctx, p.Principal)
	if err == nil {
		err = c.Match(p.IfMatch, have.Version)
	}
	if err != nil {
		return client.Principal{}, err
	}
	version := int64(0)
	if p.IfMatch != "" {
		version = have.Version
	}
	if _, err := c.Governor.DisablePrincipal(ctx, p.Principal, p.Body.Disabled, version, c.By()); err != nil {
		return client.Principal{}, err
	}
	return showPrincipal(ctx, c, p.Principal)
}

func giveGrant(ctx context.Context, c *Call, p *client.NewGrantParams) (tenure.Grant, error) {
	b := p.Body
	return c.Governor.Grant(ctx, c.Caller, tenure.Grant{Principal: tenure.PrincipalID(b.Principal), Role: b.Role, Scope: b.Scope, Reason: b.Reason, ExpiresAt: b.ExpiresAt.UTC()})
}

func roles() []client.RoleInfo {
	return each(tenure.Roles, func(r tenure.Role) client.RoleInfo {
		info := client.RoleInfo{Role: r, Permissions: r.Permissions(), Conflicts: map[tenure.Role]string{}}
		for _, other := range tenure.Roles {
			if why := tenure.RoleConflict(r, other); why != "" {
				info.Conflicts[other] = why
			}
		}
		return info
	})
}

// explainDecision answers about oneself to anybody, about others to who reads
// access. A tenant that the caller may not see is none.
func explainDecision(ctx context.Context, c *Call, p *client.DecisionParams) (tenure.Decision, error) {
	t := tenure.Target{}
	if p.Body.Tenant != "" {
		var err error
		if t, err = c.server.target(ctx, p.Body.Tenant); err != nil || !c.Caller.Sees(t) {
			return tenure.Decision{}, noTenant(p.Body.Tenant)
		}
	}
	who := p.Body.Principal
	if who == "" || who == c.Caller.Name || who == string(c.Caller.Principal) {
		return c.Governor.Decide(ctx, c.Caller, p.Body.Permission, t), nil
	}
	if err := c.Require(ctx, tenure.AccessRead, tenure.Target{}); err != nil {
		return tenure.Decision{}, err
	}
	return c.Governor.Explain(ctx, who, p.Body.Permission, t)
}

func listAccessEvents(ctx context.Context, c *Call, p *client.AccessEventFilter) ([]client.AccessEvent, error) {
	who, err := c.person(ctx, p.Principal)
	if err != nil {
		return nil, err
	}
	list, err := c.Governor.AccessEvents(ctx, p.Kind, who, p.From, p.Limit)
	if err == nil && len(list) == 0 {
		err = c.knownPerson(ctx, p.Principal)
	}
	return each(list, func(e store.AccessEvent) client.AccessEvent {
		out := client.AccessEvent{At: e.At, Kind: e.Kind, Principal: e.Principal, Detail: e.Detail}
		if e.Kind == tenure.EventRefused || e.Kind == tenure.EventDenied {
			r := tenure.ParseRefusalsCounted(e.Detail)
			out.Route, out.Address, out.Count = r.Route, r.Address, r.Count
		}
		return out
	}), err
}
