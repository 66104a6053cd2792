package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func leaveRoutes(s *Server) {
	route(s, client.ListLeave, Access{tenure.TenantRead, List}, listLeave)
	route(s, client.ShowLeave, Access{tenure.TenantRead, OfLeave}, showLeave)
	route(s, client.ConfirmLeave, Access{tenure.OperationRequest, OfLeave}, func(ctx context.Context, c *Call, p *client.LeaveParams) (client.LeaveRequest, error) {
		l, err := c.server.leave(ctx, p.Leave)
		if err == nil { // rules request a departure from it
			err = c.Caller.CheckDestructive(tenure.OperationRequest, &tenure.Plan{Kind: tenure.Offboard}, c.Target)
		}
		if err == nil {
			err = c.Service.ConfirmLeave(ctx, l.ID, c.By())
		}
		if err != nil {
			return client.LeaveRequest{}, err
		}
		return showLeave(ctx, c, p)
	})
	route(s, client.RefuseLeave, Access{tenure.OperationSteer, OfLeave}, func(ctx context.Context, c *Call, p *client.RefuseLeaveParams) (client.LeaveRequest, error) {
		l, err := c.server.leave(ctx, p.Leave)
		if err == nil {
			err = c.Service.RefuseLeave(ctx, l.ID, p.Body.Reason, c.By())
		}
		if err != nil {
			return client.LeaveRequest{}, err
		}
		return showLeave(ctx, c, &p.LeaveParams)
	})
}

// leave reads the request that a path names.
func (s *Server) leave(ctx context.Context, text string) (tenure.LeaveRequest, error) {
	id, err := tenure.ParseID[tenure.LeaveID](text)
	if err != nil {
		return tenure.LeaveRequest{}, err
	}
	return s.db().LeaveRequest(ctx, id)
}

func showLeave(ctx context.Context, c *Call, p *client.LeaveParams) (client.LeaveRequest, error) {
	l, err := c.server.leave(ctx, p.Leave)
	if err != nil {
		return client.LeaveRequest{}, err
	}
	return c.leaveOf(ctx, l)
}

func listLeave(ctx context.Context, c *Call, p *client.LeaveFilter) (client.Page[client.LeaveRequest], error) {
	out := client.Page[client.LeaveRequest]{Items: []client.LeaveRequest{}}
	f := store.LeaveFilter{State: p.State, Sight: &c.Visible, Limit: limitOf(p.Paging) + 1}
	if err := c.after(p.Cursor, &f.Before); err != nil {
		return out, err
	}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.TenantRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.server.db().Tenant(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.ID
	}
	rows, err := c.Service.LeaveRequests(ctx, f)
	if err != nil {
		return out, err
	}
	if n := f.Limit - 1; len(rows) > n {
		rows = rows[:n]
		out.Next = c.cursor(rows[n-1].ID)
	}
	for _, l := range rows {
		one, err := c.leaveOf(ctx, l)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, one)
	}
	return out, nil
}

// leaveOf is a request with what became of its event.
func (c *Call) leaveOf(ctx context.Context, l tenure.LeaveRequest) (client.LeaveRequest, error) {
	out := client.LeaveRequest{
		ID: l.ID, Tenant: l.Tenant, State: l.State, Requester: l.Requester, Reason: l.Reason, AskedAt: l.AskedAt, VerifiedAt: l.VerifiedAt, Contact: l.Contact,
		DecidedAt: l.DecidedAt, DecidedAs: l.DecidedAs, DecidedBy: l.DecidedBy, Outcome: l.Why, Event: l.Event,
	}
	if l.State.Open() {
		out.ExpiresAt = l.ExpiresAt
	}
	t, err := c.server.db().Tenant(ctx, string(l.Tenant))
	if err != nil {
		return out, err
	}
	out.TenantName = t.Name
	if l.Event == "" {
		return out, nil
	}
	e, err := c.server.db().Inbound(ctx, l.Event)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound: // it was kept for a while
		return out, nil
	case err == nil:
		out.EventState, out.EventWhy, out.Operation = string(e.State), e.Why, e.Operation
	}
	return out, err
}
