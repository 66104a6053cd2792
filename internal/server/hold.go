package server

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func holdRoutes(s *Server) {
	route(s, client.ListHolds, Access{tenure.HoldRead, List}, listHolds)
	created(s, client.PlaceHold, Access{tenure.HoldPlace, OfBody}, placeHold)
	route(s, client.ShowHold, Access{tenure.HoldRead, OfHold}, showHold)
	route(s, client.AcknowledgeHold, Access{tenure.HoldRead, OfHold}, acknowledgeHold)
	route(s, client.ReleaseHold, Access{tenure.HoldRelease, OfHold}, releaseHold)
}

func holdOf(h tenure.Hold) client.Hold {
	return client.Hold{
		ID: h.ID, Matter: h.Matter, Reason: h.Reason,
		Scope: client.HoldScope{
			Tenant: string(h.Scope.Tenant), Environment: h.Scope.Environment, Class: h.Scope.Class, System: h.Scope.System, Resource: string(h.Scope.Resource),
			Table: h.Scope.Table, Rows: h.Scope.Rows, Prefix: h.Scope.Prefix,
		},
		Custodians: h.Custodians, RemindDays: h.RemindDays, RemindedAt: h.RemindedAt,
		PlacedBy: h.PlacedBy, PlacedAt: h.PlacedAt, EffectiveAt: h.EffectiveAt, AlreadyGone: h.AlreadyGone, ReleaseBy: h.ReleaseBy, ReleasedAt: h.ReleasedAt, Untold: h.Untold, Named: h.Named,
	}
}

func (s *Server) hold(ctx context.Context, text string) (tenure.Hold, error) {
	id, err := tenure.ParseID[tenure.HoldID](text)
	if err != nil {
		return tenure.Hold{}, err
	}
	return s.db().Hold(ctx, id)
}

// ownHolds leaves out the holds over several tenants where the caller doesn't see
// the whole installation: their matter may name another's case.
func (c *Call) ownHolds(list []tenure.Hold) []tenure.Hold {
	v := c.Governor.Visible(c.Caller, tenure.HoldRead)
	if v.Reach.All && v.Limit.All {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(h tenure.Hold) bool { return h.Scope.Tenant == "" })
}

func listHolds(ctx context.Context, c *Call, p *client.HoldFilter) (client.Page[client.Hold], error) {
	var list []tenure.Hold
	var err error
	if p.Tenant == "" {
		list, err = c.Service.Engine.DB.HoldsVisible(ctx, c.Visible, p.Released)
	} else if err = c.RequireTenant(ctx, tenure.HoldRead, p.Tenant); err == nil {
		list, err = c.Service.Holds(ctx, p.Tenant, p.Released)
		list = c.ownHolds(list)
	}
	if err != nil {
		return client.Page[client.Hold]{}, err
	}
	return pageInOrder(c, each(list, holdOf), p.Paging, func(h client.Hold) string { return string(h.ID) })
}

func placeHold(ctx context.Context, c *Call, p *client.HoldParams) (client.Hold, error) {
	in := p.Body
	h := tenure.Hold{Matter: in.Matter, Reason: in.Reason, Untold: in.Untold, RemindDays: in.RemindDays, Scope: tenure.HoldScope{
		Environment: in.Scope.Environment, Class: in.Scope.Class, System: in.Scope.System, Table: in.Scope.Table, Rows: in.Scope.Rows, Prefix: in.Scope.Prefix,
	}}
	for _, name := range in.Custodians {
		h.Custodians = append(h.Custodians, tenure.Custodian{Name: name})
	}
	switch {
	case in.AllTenants && in.Scope.Tenant != "":
		return client.Hold{}, tenure.Errorf(tenure.Invalid, "a hold is of one tenant or of all, not both")
	case !in.AllTenants && in.Scope.Tenant == "" && in.Scope.Resource == "" && (in.Scope.Class != "" || in.Scope.System != "" || in.Scope.Environment != ""):
		return client.Hold{}, tenure.Errorf(tenure.Invalid, "a hold of a class, system or environment for every tenant must say so").WithHint("name one: --tenant, or say --all-tenants")
	}
	tenant := in.Scope.Tenant
	if in.Scope.Resource != "" {
		id, err := tenure.ParseID[tenure.ResourceID](in.Scope.Resource)
		if err != nil {
			return client.Hold{}, err
		}
		h.Scope.Resource = id
		if tenant == "" {
			tenant = c.tenantOf(ctx, id)
			in.Scope.Tenant = tenant
		}
	}
	if tenant == "" {
		if err := c.Require(ctx, tenure.HoldPlace, tenure.Target{}); err != nil {
			return client.Hold{}, err
		}
	} else if err := c.RequireTenant(ctx, tenure.HoldPlace, tenant); err != nil {
		return client.Hold{}, err
	}
	h.Scope.Tenant = tenure.TenantID(in.Scope.Tenant)
	placed, err := c.Service.PlaceHold(ctx, h, c.By())
	if err == nil {
		c.Location("/v1/holds/" + string(placed.ID))
	}
	return holdOf(placed), err
}

// tenantOf is whose a resource is, blank where there is none or the caller may not
// know of its tenant.
func (c *Call) tenantOf(ctx context.Context, id tenure.ResourceID) string {
	r, err := c.Service.Engine.DB.Resource(ctx, id)
	if err != nil {
		return ""
	}
	t, err := c.server.target(ctx, string(r.Tenant))
	if err != nil || !c.Caller.Sees(t) {
		return ""
	}
	return string(t.Tenant)
}

func showHold(ctx context.Context, c *Call, p *client.HoldID) (client.Hold, error) {
	h, err := c.server.hold(ctx, p.Hold)
	return holdOf(h), err
}

func acknowledgeHold(ctx context.Context, c *Call, p *client.HoldID) (client.Hold, error) {
	id, err := tenure.ParseID[tenure.HoldID](p.Hold)
	if err != nil {
		return client.Hold{}, err
	}
	h, err := c.Service.AcknowledgeHold(ctx, id, c.By())
	return holdOf(h), err
}

func releaseHold(ctx context.Context, c *Call, p *client.HoldID) (client.Hold, error) {
	id, err := tenure.ParseID[tenure.HoldID](p.Hold)
	if err != nil {
		return client.Hold{}, err
	}
	h, err := c.Service.ReleaseHold(ctx, id, c.By())
	return holdOf(h), err
}
