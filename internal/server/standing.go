package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func standingRoutes(s *Server) {
	route(s, client.ListStandings, Access{tenure.TenantRead, Anywhere}, listStandings)
	created(s, client.ProposeStanding, Access{tenure.StandingPropose, Anywhere}, proposeStanding)
	route(s, client.ShowStanding, Access{tenure.TenantRead, Anywhere}, showStanding)
	route(s, client.ReviewStanding, Access{tenure.StandingApprove, Anywhere}, reviewStanding)
	route(s, client.EndStanding, Access{tenure.StandingApprove, Anywhere}, endStanding)
	route(s, client.ListStarts, Access{tenure.TenantRead, List}, listStarts)
	route(s, client.SeeStart, Access{tenure.StandingApprove, OfOperation}, seeStart)
}

func listStandings(ctx context.Context, c *Call, p *client.StandingFilter) (client.Page[tenure.Standing], error) {
	list, err := c.Service.Standings(ctx, p.Ended)
	if err != nil {
		return client.Page[tenure.Standing]{}, err
	}
	return pageInOrder(c, list, p.Paging, func(s tenure.Standing) string { return string(s.ID) })
}

func proposeStanding(ctx context.Context, c *Call, p *client.StandingProposal) (tenure.Standing, error) {
	st, err := c.Service.ProposeStanding(ctx, c.Caller, p.Body)
	if err == nil {
		c.Location("/v1/standing-approvals/" + string(st.ID))
	}
	return st, err
}

func showStanding(ctx context.Context, c *Call, p *client.StandingParams) (tenure.Standing, error) {
	id, err := tenure.ParseID[tenure.StandingID](p.Standing)
	if err != nil {
		return tenure.Standing{}, err
	}
	st, err := c.Service.Standing(ctx, id)
	c.Version(st.Version)
	return st, err
}

func reviewStanding(ctx context.Context, c *Call, p *client.StandingReviewParams) (tenure.Standing, error) {
	id, err := tenure.ParseID[tenure.StandingID](p.Standing)
	if err != nil {
		return tenure.Standing{}, err
	}
	return c.Service.ReviewStanding(ctx, c.Caller, id, p.Body.Digest)
}

func endStanding(ctx context.Context, c *Call, p *client.StandingParams) (tenure.Standing, error) {
	id, err := tenure.ParseID[tenure.StandingID](p.Standing)
	if err != nil {
		return tenure.Standing{}, err
	}
	return c.Service.EndStanding(ctx, c.Caller, id)
}

// startAt is where a page of starts ended.
type startAt struct {
	At        int64              `json:"a"`
	Operation tenure.OperationID `json:"o"`
}

func listStarts(ctx context.Context, c *Call, p *client.StartFilter) (client.Page[client.StandingStart], error) {
	out := client.Page[client.StandingStart]{Items: []client.StandingStart{}}
	var from startAt
	if err := c.after(p.Cursor, &from); err != nil {
		return out, err
	}
	n := limitOf(p.Paging)
	f := store.StartFilter{Unseen: p.Unseen, Limit: n + 1, Visible: c.Visible}
	if from.At > 0 {
		f.After = store.StandingStart{At: time.UnixMicro(from.At).UTC(), Operation: from.Operation}
	}
	if p.Standing != "" {
		id, err := tenure.ParseID[tenure.StandingID](p.Standing)
		if err != nil {
			return out, err
		}
		f.Standing = id
	}
	list, err := c.Service.StandingStarts(ctx, f)
	if err == nil && len(list) == 0 && f.Standing != "" {
		_, err = c.Service.Standing(ctx, f.Standing) // not found, if there is none
	}
	if err != nil {
		return out, err
	}
	if len(list) > n {
		list = list[:n]
		out.Next = c.cursor(startAt{list[n-1].At.UnixMicro(), list[n-1].Operation})
	}
	out.Items = each(list, func(s store.StandingStart) client.StandingStart { return client.StandingStart(s) })
	return out, nil
}

func seeStart(ctx context.Context, c *Call, p *client.OperationParams) (client.StandingStart, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.Operation)
	if err != nil {
		return client.StandingStart{}, err
	}
	st, err := c.Service.SeeStandingStart(ctx, c.Caller, id)
	return client.StandingStart(st), err
}
