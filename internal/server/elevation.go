package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// Who may see an elevation, and what its holder, an approver or a reviewer may do
// with it, hangs on the elevation itself: governance answers that.
func elevationRoutes(s *Server) {
	route(s, client.ListElevations, Access{"", Signed}, listElevations)
	route(s, client.ShowElevation, Access{"", Signed}, changing(func(p *client.ElevationID) string { return p.Elevation },
		func(ctx context.Context, c *Call, id tenure.ElevationID, _ *client.ElevationID) (tenure.Elevation, error) {
			return c.Governor.Elevation(ctx, c.Caller, id)
		}))
	route(s, client.ElevationLog, Access{"", Signed}, elevationLog)
	created(s, client.RequestElevation, Access{tenure.ElevationRequest, Anywhere}, requestElevation)
	route(s, client.ApproveElevation, Access{tenure.ElevationApprove, OfBody}, changing(func(p *client.ElevationApproval) string { return p.Elevation },
		func(ctx context.Context, c *Call, id tenure.ElevationID, p *client.ElevationApproval) (tenure.Elevation, error) {
			return c.Governor.ApproveElevation(ctx, c.Caller, id, p.Body.Digest)
		}))
	route(s, client.RejectElevation, Access{tenure.ElevationApprove, OfBody}, changing(func(p *client.ElevationReason) string { return p.Elevation },
		func(ctx context.Context, c *Call, id tenure.ElevationID, p *client.ElevationReason) (tenure.Elevation, error) {
			return c.Governor.RejectElevation(ctx, c.Caller, id, p.Body.Reason)
		}))
	route(s, client.RevokeElevation, Access{"", Signed}, changing(func(p *client.ElevationReason) string { return p.Elevation },
		func(ctx context.Context, c *Call, id tenure.ElevationID, p *client.ElevationReason) (tenure.Elevation, error) {
			return c.Governor.RevokeElevation(ctx, c.Caller, id, p.Body.Reason)
		}))
	route(s, client.ClaimElevation, Access{tenure.ElevationRequest, OfBody}, claimElevation)
	created(s, client.BreakGlass, Access{tenure.BreakGlassUse, OfBody}, breakGlass)
	route(s, client.ReviewBreakGlass, Access{tenure.BreakGlassReview, OfBody}, changing(func(p *client.BreakGlassReview) string { return p.Elevation },
		func(ctx context.Context, c *Call, id tenure.ElevationID, p *client.BreakGlassReview) (tenure.Elevation, error) {
			return c.Governor.ReviewBreakGlass(ctx, c.Caller, id, p.Body.Note)
		}))
}

// changing reads the elevation's id, and shows what became of it.
func changing[P any](id func(*P) string, f func(context.Context, *Call, tenure.ElevationID, *P) (tenure.Elevation, error)) func(context.Context, *Call, *P) (client.Elevation, error) {
	return func(ctx context.Context, c *Call, p *P) (client.Elevation, error) {
		which, err := tenure.ParseID[tenure.ElevationID](id(p))
		if err != nil {
			return client.Elevation{}, err
		}
		e, err := f(ctx, c, which, p)
		if err != nil {
			return client.Elevation{}, err
		}
		c.Version(e.Version)
		return c.elevationOf(e), nil
	}
}

func (c *Call) elevationOf(e tenure.Elevation) client.Elevation {
	out := client.Elevation{
		ID: e.ID, Kind: e.Kind, Principal: e.Name, Owner: e.Owner, Role: e.Role, Scope: e.Scope, Reason: e.Reason, Duration: e.For.String(), System: e.System, Access: e.Access, Digest: e.Digest, State: e.State,
		RequestedAt: e.RequestedAt, DecidedBy: e.DecidedBy, DecidedAt: e.DecidedAt, ClaimExpiresAt: e.ClaimUntil, StartedAt: e.StartedAt, ExpiresAt: e.EndsAt, EndedAt: e.EndedAt, EndedBy: e.EndedBy, EndedReason: e.Why,
		ReviewedBy: e.ReviewedBy, ReviewedAt: e.ReviewedAt, ReviewNote: e.ReviewNote, Login: e.Login, LoginGoneAt: e.LoginGoneAt, Version: e.Version,
	}
	if e.Kind == tenure.BreakGlass {
		out.ReviewDueAt = c.Governor.ReviewDueAt(e)
	}
	return out
}

// elevationLog lists what the holder of an elevation did while it lasted, to who may
// review it or read the log over all that it is over. Of tenants that they may not
// see they hear nothing here either.
func elevationLog(ctx context.Context, c *Call, p *client.ElevationEntries) (client.DoneUnder, error) {
	out := client.DoneUnder{Items: []client.LogEntry{}}
	id, err := tenure.ParseID[tenure.ElevationID](p.Elevation)
	if err != nil {
		return out, err
	}
	e, err := c.Governor.Elevation(ctx, c.Caller, id)
	if err != nil {
		return out, err
	}
	may := tenure.BreakGlassReview
	if err = c.Governor.RequireScope(ctx, c.Caller, may, e.Scope); err != nil {
		may = tenure.AuditRead
		if c.Governor.RequireScope(ctx, c.Caller, may, e.Scope) != nil {
			return out, err
		}
	}
	if e.StartedAt.IsZero() {
		return out, nil
	}
	until := c.Service.Now()
	if !e.EndedAt.IsZero() {
		until = e.EndedAt
	}
	c.Visible = c.Governor.Visible(c.Caller, may)
	seen := c.seer(ctx)
	n := limitOf(client.Paging{Limit: p.Limit})
	list, more, err := c.Service.Did(ctx, e.Name, e.StartedAt, until, n)
	for _, l := range list {
		if seen(l.Tenant) || l.Subject == string(e.ID) {
			out.Items = append(out.Items, client.LogEntry(l))
		}
	}
	out.More = more
	return out, err
}

func listElevations(ctx context.Context, c *Call, p *client.ElevationFilter) (client.Page[client.Elevation], error) {
	who, err := c.person(ctx, p.Principal)
	if err != nil {
		return client.Page[client.Elevation]{}, err
	}
	f := store.ElevationFilter{Principal: who, State: p.State, Kind: p.Kind, Unreviewed: p.Unreviewed, Limit: limitOf(p.Paging) + 1}
	if err := c.after(p.Cursor, &f.Before); err != nil {
		return client.Page[client.Elevation]{}, err
	}
	list, err := c.Governor.Elevations(ctx, c.Caller, f)
	if err == nil && len(list) == 0 {
		err = c.knownPerson(ctx, p.Principal)
	}
	out := whole(each(list, c.elevationOf))
	if n := f.Limit - 1; len(list) > n {
		out.Items, out.Next = out.Items[:n], c.cursor(list[n-1].ID)
	}
	return out, err
}

func requestElevation(ctx context.Context, c *Call, p *client.ElevationParams) (client.Elevation, error) {
	b := p.Body
	length, err := tenure.ParsePeriod(b.Duration)
	if err != nil {
		return client.Elevation{}, err
	}
	e, err := c.Governor.RequestElevation(ctx, c.Caller, governance.ElevationAsk{Role: b.Role, Scope: b.Scope, Reason: b.Reason, For: length, System: b.System, Access: b.Access})
	if err != nil {
		return client.Elevation{}, err
	}
	c.Location("/v1/elevations/" + string(e.ID))
	c.Version(e.Version)
	return c.elevationOf(e), nil
}

func claimElevation(ctx context.Context, c *Call, p *client.ElevationID) (client.ClaimedElevation, error) {
	id, err := tenure.ParseID[tenure.ElevationID](p.Elevation)
	if err != nil {
		return client.ClaimedElevation{}, err
	}
	e, login, err := c.Governor.ClaimElevation(ctx, c.Caller, id)
	return c.claimedOf(e, login), err
}

func (c *Call) claimedOf(e tenure.Elevation, login *governance.Login) client.ClaimedElevation {
	out := client.ClaimedElevation{Elevation: c.elevationOf(e)}
	if login != nil {
		out.Secret = login.Secret.Reveal()
	}
	return out
}

func breakGlass(ctx context.Context, c *Call, p *client.BreakGlassParams) (client.ClaimedElevation, error) {
	b := p.Body
	ask := governance.ElevationAsk{Role: b.Role, Scope: b.Scope, Reason: b.Reason, System: b.System}
	if b.System != "" {
		ask.Access = tenure.DirectRead
	}
	if b.Duration != "" {
		length, err := tenure.ParsePeriod(b.Duration)
		if err != nil {
			return client.ClaimedElevation{}, err
		}
		ask.For = length
	}
	e, login, err := c.Governor.BreakGlass(ctx, c.Caller, ask)
	if err != nil {
		return client.ClaimedElevation{}, err
	}
	c.Location("/v1/elevations/" + string(e.ID))
	c.Version(e.Version)
	return c.claimedOf(e, login), nil
}

// planTarget is what scopes look at of a plan's tenant, or of the one that it makes.
func (c *Call) planTarget(ctx context.Context, p *tenure.Plan) (tenure.Target, error) {
	if p.Kind == tenure.Onboard {
		return tenure.Target{Tenant: p.Tenant, Tier: p.Tier, Labels: p.Labels}, nil
	}
	return c.server.target(ctx, string(p.Tenant))
}

// harmless refuses a plan that destroys to who comes through break-glass alone.
func (c *Call) harmless(ctx context.Context, needs tenure.Permission, p *tenure.Plan) error {
	t, err := c.planTarget(ctx, p)
	if err != nil || !c.Caller.OnlyBreakGlass(needs, t) {
		return err
	}
	return c.Caller.CheckDestructive(needs, p, t)
}

// harmlessIntent plans what somebody asks for through break-glass alone, and gives
// the digest of the plan if it destroys nothing; it is started by that. For others
// the digest is blank.
func (c *Call) harmlessIntent(ctx context.Context, in client.Intent) (digest string, err error) {
	t := tenure.Target{Tenant: unborn, Tier: in.Tier, Labels: in.Labels}
	if in.Kind != tenure.Onboard {
		if t, err = c.server.target(ctx, in.Tenant); err != nil {
			return "", err
		}
	}
	if !c.Caller.OnlyBreakGlass(tenure.OperationRequest, t) {
		return "", nil
	}
	plan, err := c.Service.Plan(ctx, intentOf(in), c.By())
	if err != nil {
		return "", err
	}
	return plan.Digest, c.Caller.CheckDestructive(tenure.OperationRequest, plan.Plan, t)
}

// harmlessSteer refuses to carry a destroying operation on for who comes through
// break-glass alone. Pausing and cancelling are always theirs.
func (c *Call) harmlessSteer(ctx context.Context, id tenure.OperationID) error {
	if !c.Caller.OnlyBreakGlass(tenure.OperationSteer, c.Target) {
		return nil
	}
	row, err := c.Service.Engine.DB.Operation(ctx, id)
	if err != nil {
		return err
	}
	plan, err := c.Service.Engine.DB.Plan(ctx, row.Plan)
	if err != nil {
		return err
	}
	return c.Caller.CheckDestructive(tenure.OperationSteer, plan, c.Target)
}
