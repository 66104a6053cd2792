package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func delegationRoutes(s *Server) {
	// Whose approvals, and over what, is the governor's to refuse: one gives one's own.
	route(s, client.ListDelegations, Access{Reach: Signed}, listDelegations)
	created(s, client.Delegate, Access{tenure.OperationApprove, OfBody}, delegate)
	route(s, client.RevokeDelegation, Access{Reach: Signed}, revokeDelegation)
}

func listDelegations(ctx context.Context, c *Call, p *client.DelegationFilter) (client.Page[tenure.Delegation], error) {
	list, err := c.Governor.Delegations(ctx, c.Caller, p.All, p.Ended)
	if err != nil {
		return client.Page[tenure.Delegation]{}, err
	}
	return pageInOrder(c, list, p.Paging, func(d tenure.Delegation) string { return string(d.ID) })
}

func delegate(ctx context.Context, c *Call, p *client.NewDelegation) (tenure.Delegation, error) {
	in := p.Body
	d, err := c.Governor.Delegate(ctx, c.Caller, tenure.Delegation{To: in.To, Scope: in.Scope, Reason: in.Reason, StartsAt: in.StartsAt, EndsAt: in.ExpiresAt})
	if err == nil {
		c.Location("/v1/delegations/" + string(d.ID))
	}
	return d, err
}

func revokeDelegation(ctx context.Context, c *Call, p *client.DelegationParams) (tenure.Delegation, error) {
	id, err := tenure.ParseID[tenure.DelegationID](p.Delegation)
	if err != nil {
		return tenure.Delegation{}, err
	}
	return c.Governor.RevokeDelegation(ctx, c.Caller, id)
}
