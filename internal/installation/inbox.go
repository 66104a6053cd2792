package installation

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/clock"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/trigger"
)

// inboxed bounds how many elevations a source of the inbox reads.
const inboxed = 500

// inboxes are what waits for somebody's decision beside operations: elevations to
// approve, break-glass to review, moves to sign, lookalikes to let in, events that are held, requests to leave of tenants without a contact, a time or a store to confirm.
func inboxes(gov *governance.Governor, svc *lifecycle.Service, events *trigger.Intake, limits tenure.ElevationLimits) []lifecycle.InboxSource {
	return []lifecycle.InboxSource{
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return inboxElevations(ctx, gov, limits, c)
		},
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return inboxBreakGlass(ctx, gov, c)
		},
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return inboxMoves(ctx, gov, c)
		},
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return inboxPrincipals(ctx, gov, c)
		},
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return inboxEvents(ctx, gov, events, c)
		},
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return inboxLeaves(ctx, gov, svc, c)
		},
		func(ctx context.Context, c tenure.Caller) ([]lifecycle.InboxItem, error) {
			return slices.Concat(inboxClock(ctx, gov, svc.Clock(), c), inboxStore(ctx, gov, svc, c)), nil
		},
	}
}

func inboxElevations(ctx context.Context, gov *governance.Governor, limits tenure.ElevationLimits, c tenure.Caller) (out []lifecycle.InboxItem, err error) {
	if !c.May(tenure.ElevationApprove) {
		return nil, nil
	}
	list, err := gov.Elevations(ctx, c, store.ElevationFilter{State: tenure.ElevationRequested, Limit: inboxed})
	for _, e := range list {
		if _, refused := e.Approve(c, e.Digest, limits, gov.Now()); refused != nil || gov.RequireScope(ctx, c, tenure.ElevationApprove, e.Scope) != nil {
			continue
		}
		out = append(out, lifecycle.InboxItem{
			Kind: "elevation", ID: string(e.ID), Summary: fmt.Sprintf("give %s the role %s over %s for %s: %s", e.Name, e.Role, e.Scope, e.For, e.Reason),
			RequestedBy: e.Name, Digest: e.Digest, Need: 1, OpenedAt: e.RequestedAt, ExpiresAt: e.RequestedAt.Add(limits.Answer),
		})
	}
	return out, err
}

func inboxBreakGlass(ctx context.Context, gov *governance.Governor, c tenure.Caller) (out []lifecycle.InboxItem, err error) {
	if !c.May(tenure.BreakGlassReview) {
		return nil, nil
	}
	list, err := gov.Elevations(ctx, c, store.ElevationFilter{Kind: tenure.BreakGlass, Unreviewed: true, Limit: inboxed})
	for _, e := range list {
		if _, refused := e.Review(c, "seen", gov.Now()); refused != nil || gov.RequireScope(ctx, c, tenure.BreakGlassReview, e.Scope) != nil {
			continue
		}
		out = append(out, lifecycle.InboxItem{
			Kind: "breakglass", ID: string(e.ID), Summary: fmt.Sprintf("review how %s broke the glass: the role %s over %s: %s", e.Name, e.Role, e.Scope, e.Reason),
			RequestedBy: e.Name, Digest: e.Digest, Need: 1, OpenedAt: e.RequestedAt,
		})
	}
	return out, err
}

func inboxMoves(ctx context.Context, gov *governance.Governor, c tenure.Caller) (out []lifecycle.InboxItem, err error) {
	if !c.May(tenure.ElevationApprove) {
		return nil, nil
	}
	list, err := gov.Moves(ctx, c, true)
	for _, m := range list {
		if tenure.SamePerson(m.By, c.Name) || tenure.SamePerson(m.Name, c.Name) || !mayMove(ctx, gov, c, m.Move) {
			continue
		}
		out = append(out, lifecycle.InboxItem{
			Kind: "move", ID: m.Digest, Summary: fmt.Sprintf("move %s: %d roles begin, %d end: %s", m.Name, len(m.Begins), len(m.Ends), m.Reason),
			RequestedBy: m.By, Digest: m.Digest, Need: 1, OpenedAt: m.At,
		})
	}
	return out, err
}

func inboxPrincipals(ctx context.Context, gov *governance.Governor, c tenure.Caller) (out []lifecycle.InboxItem, err error) {
	list, err := gov.WaitingPrincipals(ctx, c)
	for _, p := range list {
		out = append(out, lifecycle.InboxItem{
			Kind: "principal", ID: string(p.ID), Summary: fmt.Sprintf("let in %s, whose name or address looks like another's", p.Name),
			RequestedBy: p.CreatedBy, Need: 1, OpenedAt: p.CreatedAt,
		})
	}
	return out, err
}

// mayMove says whether a caller approves access over all that a move changes.
func mayMove(ctx context.Context, gov *governance.Governor, c tenure.Caller, m tenure.Move) bool {
	for _, g := range m.Ends {
		if gov.RequireScope(ctx, c, tenure.ElevationApprove, g.Scope) != nil {
			return false
		}
	}
	for _, g := range m.Begins {
		if gov.RequireScope(ctx, c, tenure.ElevationApprove, g.Scope) != nil {
			return false
		}
	}
	return true
}

func inboxClock(ctx context.Context, gov *governance.Governor, at clock.Clock, c tenure.Caller) []lifecycle.InboxItem {
	d := at.Doubt()
	if d == nil || gov.Require(ctx, c, tenure.ClockConfirm, tenure.Target{}) != nil {
		return nil
	}
	return []lifecycle.InboxItem{{Kind: "clock", ID: string(d.Kind), Summary: "confirm the time: " + d.String(), RequestedBy: "tenure", Need: 1, OpenedAt: d.Is}}
}

func inboxStore(ctx context.Context, gov *governance.Governor, svc *lifecycle.Service, c tenure.Caller) (out []lifecycle.InboxItem) {
	for _, d := range svc.StoreDoubts() {
		if slices.ContainsFunc(d.ConfirmedBy, func(n string) bool { return tenure.SamePerson(n, c.Name) }) || gov.Require(ctx, c, tenure.StoreConfirm, tenure.Target{}) != nil {
			continue
		}
		out = append(out, lifecycle.InboxItem{Kind: "store", ID: d.About, Summary: "confirm the store: " + d.Reason, RequestedBy: "tenure", Need: lifecycle.StoreConfirmers, Have: len(d.ConfirmedBy), OpenedAt: svc.Now()})
	}
	return out
}

// inboxEvents are the events that are held or couldn't be done, for who may decide them.
func inboxEvents(ctx context.Context, gov *governance.Governor, events *trigger.Intake, c tenure.Caller) (out []lifecycle.InboxItem, err error) {
	switch err := gov.Require(ctx, c, tenure.EventDecide, tenure.Target{}); tenure.CodeOf(err) {
	case "":
	case tenure.Forbidden, tenure.NotFound, tenure.Blocked:
		return nil, nil
	default:
		return nil, err
	}
	for _, state := range []store.InboundState{store.InboundHeld, store.InboundFailed} {
		list, err := events.List(ctx, store.InboundFilter{State: state, Limit: inboxed})
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			out = append(out, lifecycle.InboxItem{
				Kind: "event", ID: string(e.ID), Tenant: e.Tenant, Summary: fmt.Sprintf("%s %s: %s: %s", e.Source, e.Type, e.State, e.Why),
				RequestedBy: e.Source, Need: 1, OpenedAt: e.DecidedAt,
			})
		}
	}
	return out, nil
}

// inboxLeaves are the requests to leave of tenants that have no contact to ask, for who may request a departure.
func inboxLeaves(ctx context.Context, gov *governance.Governor, svc *lifecycle.Service, c tenure.Caller) (out []lifecycle.InboxItem, err error) {
	if !c.May(tenure.OperationRequest) {
		return nil, nil
	}
	sight := gov.Visible(c, tenure.OperationRequest)
	list, err := svc.LeaveRequests(ctx, store.LeaveFilter{State: tenure.LeaveWaiting, Sight: &sight, Limit: inboxed})
	for _, l := range list {
		if l.Contact == "" {
			out = append(out, lifecycle.InboxItem{
				Kind: "leave", ID: string(l.ID), Tenant: l.Tenant, Summary: l.Requester + " asks that the tenant leave, which has no contact to ask",
				RequestedBy: l.Requester, Need: 1, OpenedAt: l.VerifiedAt, ExpiresAt: l.ExpiresAt,
			})
		}
	}
	return out, err
}
