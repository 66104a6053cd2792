package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// A move is shown to who reads access and to who approves it, over all that it
// changes: the handlers ask, for no one permission says so.
func moveRoutes(s *Server) {
	created(s, client.PlanMove, Access{tenure.AccessManage, OfBody}, planMove)
	route(s, client.ListMoves, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.MoveFilter) (client.Page[client.Move], error) {
		list, err := c.Governor.Moves(ctx, c.Caller, p.Waiting)
		if err != nil {
			return client.Page[client.Move]{}, err
		}
		return pageInOrder(c, each(list, moveOf), p.Paging, func(m client.Move) string { return m.Digest })
	})
	route(s, client.ShowMove, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.MoveID) (client.Move, error) {
		v, err := c.Governor.Move(ctx, c.Caller, wholeDigest(p.Move))
		return moveViewOf(v), err
	})
	route(s, client.ApproveMove, Access{tenure.ElevationApprove, Anywhere}, func(ctx context.Context, c *Call, p *client.DecideMoveParams) (client.Move, error) {
		if err := isRead(p.Body.Digest, wholeDigest(p.Move)); err != nil {
			return client.Move{}, err
		}
		m, err := c.Governor.ApproveMove(ctx, c.Caller, wholeDigest(p.Move), p.Body.Note)
		return moveOf(m), err
	})
	route(s, client.RejectMove, Access{"", Signed}, func(ctx context.Context, c *Call, p *client.DecideMoveParams) (client.Move, error) {
		if err := isRead(p.Body.Digest, wholeDigest(p.Move)); err != nil {
			return client.Move{}, err
		}
		m, err := c.Governor.RejectMove(ctx, c.Caller, wholeDigest(p.Move), p.Body.Note)
		return moveOf(m), err
	})
}

func moveOf(m store.Move) client.Move {
	return client.Move{Move: m.Move, Digest: m.Digest, State: m.State, DecidedBy: m.DecidedBy, DecidedAt: m.DecidedAt, Note: m.Note}
}

func moveViewOf(v governance.MoveView) client.Move {
	out := moveOf(v.Move)
	out.More = v.More
	out.Tenants = each(v.Tenants, func(t store.TenantRow) client.TouchedTenant {
		return client.TouchedTenant{ID: t.ID, Name: t.Name}
	})
	return out
}

func planMove(ctx context.Context, c *Call, p *client.NewMoveParams) (client.Move, error) {
	b := p.Body
	for _, r := range b.To { // a tenant that the caller may not see is none
		for _, t := range r.Scope.Tenants {
			if err := c.RequireTenant(ctx, tenure.AccessManage, string(t)); err != nil {
				return client.Move{}, err
			}
		}
	}
	v, err := c.Governor.PlanMove(ctx, c.Caller, b.Principal, b.To, b.Reason, b.DryRun)
	if err == nil && !b.DryRun {
		c.Location("/v1/moves/" + v.Digest)
	}
	return moveViewOf(v), err
}
