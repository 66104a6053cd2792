package server

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

func campaignRoutes(s *Server) {
	route(s, client.ListCampaigns, Access{tenure.ReviewDecide, List}, listCampaigns)
	created(s, client.StartCampaign, Access{tenure.ReviewManage, OfBody}, startCampaign)
	route(s, client.ShowCampaign, Access{tenure.ReviewDecide, Anywhere}, func(ctx context.Context, c *Call, p *client.CampaignID) (client.Campaign, error) {
		return c.campaign(ctx, p.Campaign)
	})
	route(s, client.ListReviewItems, Access{tenure.ReviewDecide, List}, listReviewItems)
	route(s, client.DecideReview, Access{tenure.ReviewDecide, OfBody}, decideReview)
	route(s, client.ReassignReview, Access{tenure.ReviewDecide, OfBody}, reassignReview)
	route(s, client.CloseCampaign, Access{tenure.ReviewManage, Anywhere}, closeCampaign)
	route(s, client.ShowEvidence, Access{tenure.ReviewRead, Anywhere}, showEvidence)
}

// campaign is a campaign that the caller may see, with its counts.
func (c *Call) campaign(ctx context.Context, text string) (client.Campaign, error) {
	id, err := tenure.ParseID[tenure.CampaignID](text)
	if err != nil {
		return client.Campaign{}, err
	}
	cp, f, err := c.Governor.Campaign(ctx, c.Caller, id)
	if err != nil {
		return client.Campaign{}, err
	}
	c.Version(cp.Version)
	return c.counted(ctx, cp, f)
}

func (c *Call) counted(ctx context.Context, cp tenure.Campaign, f store.ItemFilter) (client.Campaign, error) {
	n, err := c.Governor.ReviewCounts(ctx, f)
	out := client.Campaign{Campaign: c.Governor.ShownCampaign(ctx, c.Caller, cp), Open: n[""], Kept: n[tenure.ReviewKeep], Revoked: n[tenure.ReviewRevoke], Narrowed: n[tenure.ReviewChange]}
	out.Items = out.Open + out.Kept + out.Revoked + out.Narrowed
	return out, err
}

func listCampaigns(ctx context.Context, c *Call, p *client.CampaignFilter) (client.Page[client.Campaign], error) {
	out := client.Page[client.Campaign]{Items: []client.Campaign{}}
	var before tenure.CampaignID
	if err := c.after(p.Cursor, &before); err != nil {
		return out, err
	}
	n := limitOf(p.Paging)
	list, err := c.Governor.Campaigns(ctx, c.Caller, before, n+1)
	if err != nil {
		return out, err
	}
	if len(list) > n {
		list = list[:n]
		out.Next = c.cursor(list[n-1].ID)
	}
	for _, cp := range list {
		_, f, err := c.Governor.Campaign(ctx, c.Caller, cp.ID)
		if err != nil {
			return out, err
		}
		item, err := c.counted(ctx, cp, f)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func startCampaign(ctx context.Context, c *Call, p *client.NewCampaignParams) (client.Campaign, error) {
	b := p.Body
	cp, err := c.Governor.StartCampaign(ctx, c.Caller, tenure.Campaign{
		Name: b.Name, Covers: b.Covers, Scope: b.Scope, Reviewers: b.Reviewers, ByOwner: b.ByOwner, Silence: b.Silence, DueAt: b.DueAt.UTC(),
	})
	if err != nil {
		return client.Campaign{}, err
	}
	c.Location("/v1/reviews/" + string(cp.ID))
	return c.counted(ctx, cp, store.ItemFilter{Campaign: cp.ID, Grants: true, Visible: c.Visible})
}

func listReviewItems(ctx context.Context, c *Call, p *client.ReviewItemFilter) (client.Page[tenure.ReviewItem], error) {
	out := client.Page[tenure.ReviewItem]{Items: []tenure.ReviewItem{}}
	id, err := tenure.ParseID[tenure.CampaignID](p.Campaign)
	if err != nil {
		return out, err
	}
	_, f, err := c.Governor.Campaign(ctx, c.Caller, id)
	if err == nil {
		err = c.after(p.Cursor, &f.After)
	}
	if err != nil {
		return out, err
	}
	n := limitOf(p.Paging)
	if f.Reviewer, err = c.person(ctx, p.Reviewer); err != nil {
		return out, err
	}
	f.Open, f.Limit = p.Open, n+1
	list, err := c.Governor.ReviewItems(ctx, f)
	if err == nil && len(list) == 0 {
		err = c.knownPerson(ctx, p.Reviewer)
	}
	if err != nil {
		return out, err
	}
	if len(list) > n {
		list = list[:n]
		out.Next = c.cursor(list[n-1].Seq)
	}
	out.Items = append(out.Items, list...)
	return out, nil
}

// decideReview writes answers and begins what follows from them. What can't be
// begun now is begun later: the answers stand.
func decideReview(ctx context.Context, c *Call, p *client.DecideParams) (client.Page[tenure.ReviewItem], error) {
	id, err := tenure.ParseID[tenure.CampaignID](p.Campaign)
	if err != nil {
		return client.Page[tenure.ReviewItem]{}, err
	}
	done, err := c.Governor.DecideItems(ctx, c.Caller, id, each(p.Body.Answers, func(a client.ReviewAnswer) governance.Answer {
		return governance.Answer{Item: a.Item, Decision: a.Decision, ChangeTo: a.ChangeTo, Reason: a.Reason}
	}))
	if err != nil {
		return client.Page[tenure.ReviewItem]{}, err
	}
	_ = c.Service.CarryReviews(ctx)
	for i, it := range done {
		if now, err := c.Governor.ReviewItems(ctx, store.ItemFilter{Campaign: id, Own: c.By(), After: it.Seq - 1, Limit: 1}); err == nil && len(now) == 1 && now[0].Seq == it.Seq {
			done[i] = now[0]
		}
	}
	return whole(done), nil
}

func reassignReview(ctx context.Context, c *Call, p *client.ReassignParams) (client.Page[tenure.ReviewItem], error) {
	id, err := tenure.ParseID[tenure.CampaignID](p.Campaign)
	if err != nil {
		return client.Page[tenure.ReviewItem]{}, err
	}
	done, err := c.Governor.ReassignItems(ctx, c.Caller, id, p.Body.Items, p.Body.To, p.Body.Reason)
	return whole(done), err
}

func closeCampaign(ctx context.Context, c *Call, p *client.CampaignID) (client.Campaign, error) {
	id, err := tenure.ParseID[tenure.CampaignID](p.Campaign)
	if err != nil {
		return client.Campaign{}, err
	}
	_ = c.Service.CarryReviews(ctx) // so that what has ended meanwhile is known
	if _, err := c.Governor.CloseCampaign(ctx, c.Caller, id); err != nil {
		return client.Campaign{}, err
	}
	return c.campaign(ctx, p.Campaign)
}

func showEvidence(ctx context.Context, c *Call, p *client.CampaignID) (client.ReviewEvidence, error) {
	id, err := tenure.ParseID[tenure.CampaignID](p.Campaign)
	if err != nil {
		return client.ReviewEvidence{}, err
	}
	ev, err := c.Governor.Evidence(ctx, c.Caller, id)
	if err != nil {
		return client.ReviewEvidence{}, err
	}
	out := client.ReviewEvidence{Document: ev.Document, Digest: ev.Digest, Texts: make(map[string]json.RawMessage, len(ev.Texts))}
	for n, words := range ev.Texts {
		if out.Texts[n], err = tenure.Canonical(words); err != nil {
			return client.ReviewEvidence{}, err
		}
	}
	return out, nil
}
