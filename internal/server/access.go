package server

import (
	"cmp"
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Reach says over what a route's permission is asked.
type Reach string

const (
	Public       Reach = "public"       // nobody needs to be known
	Signed       Reach = "signed"       // anybody who is known
	Local        Reach = "local"        // who opened the installation's folder or socket alone
	Anywhere     Reach = "anywhere"     // the permission over anything at all: for what is no tenant's
	Installation Reach = "installation" // the permission over all tenants
	OfTenant     Reach = "tenant"       // over the tenant that the path names
	OfOperation  Reach = "operation"    // over the tenant of the operation that the path names
	OfHold       Reach = "hold"         // over the tenant of the hold; one of all tenants is the installation's
	OfFinding    Reach = "finding"      // over the tenant of the finding; one of no tenant is the installation's
	OfAgreement  Reach = "agreement"    // over the tenant of the agreement
	OfInbound    Reach = "event"        // over the tenant of the event; one of no tenant is the installation's
	OfLeave      Reach = "leave"        // over the tenant of the request to leave
	OfDelivery   Reach = "delivery"     // over the tenant of the notice; one of no tenant is the installation's
	OfPlan       Reach = "digest"       // over the tenant of the plan
	OfBody       Reach = "body"         // the handler asks, over what the body names: Call.Require
	List         Reach = "list"         // the answer is narrowed to what is visible: Call.Visible
)

// Access says who may use a route.
type Access struct {
	Permission tenure.Permission // blank for public, signed and local
	Reach      Reach
}

// check refuses an access that says too little.
func (a Access) check(name string) error {
	bare := a.Reach == Public || a.Reach == Signed || a.Reach == Local
	switch {
	case a.Reach == "":
		return tenure.Errorf(tenure.Internal, "route %s doesn't say who may use it", name)
	case bare != (a.Permission == ""):
		return tenure.Errorf(tenure.Internal, "route %s: reach %s with permission %q", name, a.Reach, a.Permission)
	}
	if _, known := lookups[a.Reach]; !known && !bare && a.Reach != Anywhere && a.Reach != Installation && a.Reach != OfBody && a.Reach != List {
		return tenure.Errorf(tenure.Internal, "route %s: there is no reach %q", name, a.Reach)
	}
	return nil
}

// lookup finds whose an object is by the path parameter that its reach is named
// after: the zero target is the installation's.
type lookup func(ctx context.Context, s *Server, id string) (tenure.Target, error)

// lookups are the reaches whose tenant is the object's.
var lookups = map[Reach]lookup{
	OfTenant: func(ctx context.Context, s *Server, id string) (tenure.Target, error) { return s.target(ctx, id) },
	OfOperation: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		op, err := tenure.ParseID[tenure.OperationID](id)
		if err != nil {
			return tenure.Target{}, err
		}
		row, err := s.db().Operation(ctx, op)
		return s.targetOf(ctx, row.Tenant, err)
	},
	OfHold: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		h, err := s.hold(ctx, id)
		return s.targetOf(ctx, h.Scope.Tenant, err)
	},
	OfFinding: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		f, err := s.finding(ctx, id)
		return s.targetOf(ctx, f.Tenant, err)
	},
	OfAgreement: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		a, err := s.agreement(ctx, id)
		return s.targetOf(ctx, a.Tenant, err)
	},
	OfInbound: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		event, err := tenure.ParseID[tenure.InboundID](id)
		if err != nil {
			return tenure.Target{}, err
		}
		row, err := s.db().Inbound(ctx, event)
		return s.targetOf(ctx, row.Tenant, err)
	},
	OfLeave: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		l, err := s.leave(ctx, id)
		return s.targetOf(ctx, l.Tenant, err)
	},
	OfDelivery: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		d, err := s.db().Delivery(ctx, id)
		return s.targetOf(ctx, cmp.Or(d.Notice.Tenant, d.Notice.About), err)
	},
	OfPlan: func(ctx context.Context, s *Server, id string) (tenure.Target, error) {
		p, err := s.db().Plan(ctx, wholeDigest(id))
		if err != nil {
			return tenure.Target{}, err
		}
		t, err := s.target(ctx, string(p.Tenant))
		if tenure.CodeOf(err) == tenure.NotFound { // it would make the tenant, and wasn't started
			return tenure.Target{Tenant: p.Tenant, Tier: p.Tier, Labels: p.Labels}, nil
		}
		return t, err
	},
}

// admit asks whether the caller may, before the handler runs and before the body
// is read.
func (s *Server) admit(ctx context.Context, c *Call, a Access, id string) error {
	switch a.Reach {
	case Public, Signed:
		return nil
	case Local:
		if c.Caller.Kind != tenure.CallerLocal {
			return tenure.Errorf(tenure.Forbidden, "this is done at the installation's own socket alone")
		}
		return nil
	case Anywhere, OfBody, List:
		if !c.Caller.May(a.Permission) {
			return c.denied(ctx, a.Permission)
		}
		if a.Permission.NeedsStrong() && c.Caller.Kind == tenure.CallerPerson && !c.Caller.Strong {
			return tenure.Errorf(tenure.Forbidden, "%s may not %s: it takes a stronger sign-in than this one", c.Caller.Name, a.Permission)
		}
		c.Visible = s.o.Governor.Visible(c.Caller, a.Permission)
		if a.Reach == Anywhere { // the others' handlers ask about each tenant
			return s.o.Governor.RequireUndenied(c.Caller, a.Permission)
		}
		return nil
	case Installation:
		return c.Require(ctx, a.Permission, tenure.Target{})
	}
	var err error
	if c.Target, err = lookups[a.Reach](ctx, s, id); err == nil {
		err = c.Require(ctx, a.Permission, c.Target)
	}
	if tenure.CodeOf(err) == tenure.NotFound { // what there isn't and what one mayn't know of look the same
		return notThere(a.Reach, id)
	}
	return err
}

// target is what scopes look at of a tenant, by id or name.
func (s *Server) target(ctx context.Context, tenant string) (tenure.Target, error) {
	return s.o.Governor.Target(ctx, tenant)
}

// targetOf is target for an object that was looked up with err.
func (s *Server) targetOf(ctx context.Context, tenant tenure.TenantID, err error) (tenure.Target, error) {
	if err != nil || tenant == "" {
		return tenure.Target{}, err
	}
	return s.target(ctx, string(tenant))
}

// denied is the refusal of a permission that the caller has over nothing.
func (c *Call) denied(ctx context.Context, p tenure.Permission) error {
	if err := c.Require(ctx, p, tenure.Target{}); err != nil {
		return err
	}
	return tenure.Errorf(tenure.Forbidden, "%s may not %s", c.Caller.Name, p)
}

func notThere(r Reach, id string) error {
	switch r {
	case OfTenant:
		return noTenant(id)
	case OfPlan:
		return tenure.Errorf(tenure.NotFound, "there is no plan %s", wholeDigest(id))
	}
	word := string(r)
	if r == OfLeave {
		word = "request" // to leave
	}
	return tenure.Errorf(tenure.NotFound, "there is no %s %s", word, id)
}

func noTenant(name string) error {
	return tenure.Errorf(tenure.NotFound, "there is no tenant %q", name).WithHint("list them: tenure tenant list")
}

// Require refuses what the caller may not do to a target: NotFound where they may
// not know of it, Forbidden with the reason where they may.
func (c *Call) Require(ctx context.Context, p tenure.Permission, t tenure.Target) error {
	return c.Governor.Require(ctx, c.Caller, p, t)
}

// RequireTenant is Require for a tenant by id or name.
func (c *Call) RequireTenant(ctx context.Context, p tenure.Permission, tenant string) error {
	t, err := c.server.target(ctx, tenant)
	if err == nil {
		err = c.Require(ctx, p, t)
	}
	if tenure.CodeOf(err) == tenure.NotFound {
		return noTenant(tenant)
	}
	return err
}

func (s *Server) db() *store.DB { return s.o.Service.Engine.DB }
