package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func approvalRoutes(s *Server) {
	// Each item is asked about by itself: what may be decided is listed.
	route(s, client.ListApprovals, Access{Reach: Signed}, listApprovals)
	route(s, client.CountApprovals, Access{Reach: Signed}, countApprovals)
	route(s, client.RejectOperation, Access{tenure.OperationApprove, OfOperation}, rejectOperation)
}

func listApprovals(ctx context.Context, c *Call, p *client.InboxParams) (client.Page[client.Waiting], error) {
	who, err := c.Governor.Named(ctx, c.Caller)
	if err != nil {
		return client.Page[client.Waiting]{}, err
	}
	items, next, err := c.Service.Inbox(ctx, who, p.Cursor, limitOf(p.Paging))
	return client.Page[client.Waiting]{Items: each(items, func(i lifecycle.InboxItem) client.Waiting { return client.Waiting(i) }), Next: next}, err
}

func countApprovals(ctx context.Context, c *Call, _ *client.None) (client.InboxCount, error) {
	who, err := c.Governor.Named(ctx, c.Caller)
	if err != nil {
		return client.InboxCount{}, err
	}
	n, more, err := c.Service.InboxCount(ctx, who)
	return client.InboxCount{Count: n, More: more}, err
}

func rejectOperation(ctx context.Context, c *Call, p *client.RejectParams) (client.GateAnswer, error) {
	id, err := c.changing(ctx, p.OperationChange)
	if err != nil {
		return client.GateAnswer{}, err
	}
	gate, err := c.Service.Reject(ctx, c.Caller, id, p.Body.Gate, p.Body.Reason)
	return client.GateAnswer{Gate: gate}, err
}
