package governance

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// MaxReviewItems bounds what one campaign asks about.
const MaxReviewItems = 5000

// StartCampaign gathers what a campaign covers, gives every item to a reviewer
// whom it doesn't concern, and opens it. A reviewer is a person who may decide
// reviews; an item that none of them may see, or that concerns them all, refuses
// the campaign.
func (g *Governor) StartCampaign(ctx context.Context, c tenure.Caller, cp tenure.Campaign) (tenure.Campaign, error) {
	now := g.Now()
	cp.ID, cp.State, cp.CreatedBy, cp.CreatedAt, cp.Version = tenure.NewID[tenure.CampaignID](now), tenure.CampaignOpen, c.Name, now, 1
	cp.DueAt, cp.ClosedAt, cp.ClosedBy, cp.Evidence = cp.DueAt.UTC().Truncate(time.Microsecond), time.Time{}, "", ""
	if err := cp.Check(now); err != nil {
		return cp, err
	}
	if err := g.mayOver(c, tenure.ReviewManage, cp.Scope); err != nil {
		return cp, err
	}
	reviewers, err := g.reviewers(ctx, cp.Reviewers)
	if err != nil {
		return cp, err
	}
	return g.open(ctx, cp, reviewers, c.Name)
}

// open gathers and assigns a checked campaign's items, and stores it. One that its
// schedule opened already, in another process maybe, is Conflict.
func (g *Governor) open(ctx context.Context, cp tenure.Campaign, reviewers map[string]tenure.Caller, by string) (tenure.Campaign, error) {
	items, err := g.gather(ctx, cp)
	if err != nil {
		return cp, err
	}
	if cp.Reviewers, err = g.assign(ctx, items, cp, reviewers); err != nil {
		return cp, err
	}
	facts := map[string]string{"items": strconv.Itoa(len(items)), "scope": cp.Scope.String(), "silence": string(cp.Silence), "due": cp.DueAt.Format(time.RFC3339)}
	if cp.Schedule != "" {
		facts["schedule"], facts["occasion"] = cp.Schedule, cp.Occasion.Format(time.DateOnly)
	}
	e, err := g.o.Entry(ctx, "campaign.start", by, "", "", string(cp.ID), facts)
	if err != nil {
		return cp, err
	}
	return cp, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if cp.Schedule != "" {
			done, err := tx.Opened(cp.Schedule, cp.Occasion)
			if err != nil {
				return err
			}
			if done {
				return errOpened
			}
		}
		if err := tx.SaveCampaign(cp, items); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// within says whether a scope lies within the caller's reach, and their token's.
func within(c tenure.Caller, p tenure.Permission, s tenure.Scope) bool {
	reach, limit := c.Reach(p)
	return s.Within(reach) && s.Within(limit)
}

// mayOver refuses a permission over a whole scope: unless grants, and a token's
// limit, surely cover it, the sign-in is as strong as it takes, and no policy of
// the installation denies it.
func (g *Governor) mayOver(c tenure.Caller, p tenure.Permission, s tenure.Scope) error {
	if !within(c, p, s) {
		reach, _ := c.Reach(p)
		// The scope itself isn't named: it may be of tenants that they may not see.
		return tenure.Errorf(tenure.Forbidden, "%s has %s over %s, and not over all that this concerns", c.Name, p, reach)
	}
	if p.NeedsStrong() && c.Kind == tenure.CallerPerson && !c.Strong {
		return tenure.Errorf(tenure.Forbidden, "%s takes a stronger sign-in than this one", p)
	}
	if c.Kind == tenure.CallerLocal || g.o.Policies == nil {
		return nil
	}
	if denied := g.o.Policies.Denies(c, p, tenure.Target{}, g.Now()); len(denied) > 0 {
		return tenure.Errorf(tenure.Forbidden, "%s may not %s: denied by %s", c.Name, p, joinWords(denied))
	}
	return nil
}

// reviewers are the persons named, as callers with what they may do now.
func (g *Governor) reviewers(ctx context.Context, names []string) (map[string]tenure.Caller, error) {
	out := make(map[string]tenure.Caller, len(names))
	for _, name := range names {
		r, err := g.reviewer(ctx, name)
		if err != nil {
			return nil, err
		}
		out[name] = r
	}
	return out, nil
}

// reviewer is a person as a caller; Invalid if they may not decide reviews.
func (g *Governor) reviewer(ctx context.Context, name string) (r tenure.Caller, err error) {
	now := g.Now()
	p, err := g.o.DB.Principal(ctx, name)
	if err != nil {
		return r, err
	}
	if !tenure.SamePerson(p.Name, name) || p.Kind != tenure.CallerPerson || p.Disabled {
		return r, tenure.Errorf(tenure.Invalid, "a reviewer is a person who can sign in, by name: %s isn't", name)
	}
	grants, err := g.o.DB.Grants(ctx, p.ID, false)
	if err != nil {
		return r, err
	}
	r = tenure.Caller{Principal: p.ID, Name: p.Name, Kind: p.Kind, Grants: slices.DeleteFunc(grants, func(gr tenure.Grant) bool { return !gr.Active(now) })}
	if !r.May(tenure.ReviewDecide) {
		return r, tenure.Errorf(tenure.Invalid, "%s may not decide reviews", name).WithHint("give them a role over what the campaign covers")
	}
	return r, nil
}

// assign gives each item its reviewer, and says who the reviewers are, owners too.
func (g *Governor) assign(ctx context.Context, items []store.ReviewItem, cp tenure.Campaign, reviewers map[string]tenure.Caller) ([]string, error) {
	order := cp.Reviewers
	owners, err := g.owners(ctx, items, cp, reviewers)
	if err != nil {
		return nil, err
	}
	plain := make([]tenure.ReviewItem, len(items))
	for i := range items {
		plain[i] = items[i].ReviewItem
	}
	targets := make(map[tenure.TenantID]tenure.Target)
	var failed error
	err = tenure.AssignReviewers(plain, order, func(i int) string { return owners[i] }, func(it tenure.ReviewItem, name string) bool {
		r := reviewers[name]
		if reach, _ := r.Reach(tenure.ReviewDecide); reach.All {
			return true
		}
		if it.Tenant == "" {
			return false // a grant may name tenants that they don't see
		}
		t, ok := targets[it.Tenant]
		if !ok {
			var err error
			if t, err = g.Target(ctx, string(it.Tenant)); err != nil {
				failed = err
				return false
			}
			targets[it.Tenant] = t
		}
		return r.Decide(tenure.ReviewDecide, t).Allowed
	})
	if failed != nil {
		return nil, failed
	}
	for i := range plain {
		items[i].ReviewItem = plain[i]
		if !tenure.NamesPerson(order, plain[i].Reviewer) {
			order = append(slices.Clone(order), plain[i].Reviewer)
		}
	}
	return order, err
}

// gather lists what a campaign covers.
func (g *Governor) gather(ctx context.Context, cp tenure.Campaign) ([]store.ReviewItem, error) {
	var out []store.ReviewItem
	add := func(it tenure.ReviewItem, giver string) {
		it.Campaign, it.Seq = cp.ID, len(out)+1
		out = append(out, store.ReviewItem{ReviewItem: it, Salt: rand.Text(), Giver: giver})
	}
	v := store.Visible{Reach: cp.Scope, Limit: tenure.Scope{All: true}}
	for _, kind := range tenure.ReviewKinds {
		if !slices.Contains(cp.Covers, kind) {
			continue
		}
		var err error
		switch kind {
		case tenure.ReviewGrant:
			err = g.gatherGrants(ctx, cp.Scope, add)
		case tenure.ReviewAccount:
			err = g.gatherAccounts(ctx, v, add)
		case tenure.ReviewToken:
			err = g.gatherTokens(ctx, cp.Scope, add)
		case tenure.ReviewDelegation:
			err = g.gatherDelegations(ctx, cp.Scope, add)
		case tenure.ReviewStanding:
			err = g.gatherStandings(ctx, cp.Scope, add)
		case tenure.ReviewBreakGlass:
			err = g.gatherBreakGlass(ctx, cp.Scope, add)
		case tenure.ReviewCredential:
			err = g.gatherCredentials(ctx, cp.Scope, add)
		default:
			err = g.gatherAgreements(ctx, v, kind, add)
		}
		if err != nil {
			return nil, err
		}
		if len(out) > MaxReviewItems {
			return nil, tenure.Errorf(tenure.Invalid, "the campaign would ask about more than %d things", MaxReviewItems).WithHint("narrow its scope, or cover fewer kinds")
		}
	}
	if len(out) == 0 {
		return nil, tenure.Errorf(tenure.Conflict, "there is nothing to review: the campaign covers nothing that stands")
	}
	return out, nil
}

// gatherGrants adds the grants that lie within the scope. Those of elevations end
// by themselves.
func (g *Governor) gatherGrants(ctx context.Context, scope tenure.Scope, add adder) error {
	grants, err := g.o.DB.Grants(ctx, "", false)
	if err != nil {
		return err
	}
	now := g.Now()
	holders := make(map[tenure.PrincipalID]store.Principal)
	for _, gr := range grants {
		if !gr.Active(now) || gr.Elevation != "" || !gr.Scope.Within(scope) {
			continue
		}
		p, ok := holders[gr.Principal]
		if !ok {
			if p, err = g.o.DB.Principal(ctx, string(gr.Principal)); err != nil {
				return err
			}
			holders[gr.Principal] = p
		}
		detail := fmt.Sprintf("%s is %s over %s, given by %s on %s", p.Name, gr.Role, gr.Scope, gr.By, gr.At.Format(time.DateOnly))
		if !gr.ExpiresAt.IsZero() {
			detail += ", until " + gr.ExpiresAt.Format(time.DateOnly)
		}
		add(tenure.ReviewItem{Kind: tenure.ReviewGrant, Subject: string(gr.ID), Holder: p.Name, Owner: p.Owner, Detail: detail, LastUsed: p.SeenAt}, gr.By)
	}
	return nil
}

func (g *Governor) gatherAccounts(ctx context.Context, v store.Visible, add adder) error {
	rows, err := g.o.DB.AccessResources(ctx, v, MaxReviewItems+1)
	for _, r := range rows {
		add(tenure.ReviewItem{
			Kind: tenure.ReviewAccount, Subject: string(r.ID), Tenant: r.Tenant,
			Detail: fmt.Sprintf("%s: %s %s in %s, %s since %s", r.Path(), r.Type, r.Name, r.System, r.State, r.UpdatedAt.Format(time.DateOnly)),
		}, "")
	}
	return err
}

func (g *Governor) gatherAgreements(ctx context.Context, v store.Visible, kind tenure.ReviewKind, add adder) error {
	rows, err := g.o.DB.Agreements(ctx, store.AgreementFilter{Limit: MaxReviewItems + 1, Visible: v})
	for _, a := range rows {
		if (a.Kind == tenure.ExportGrant) != (kind == tenure.ReviewExport) || !a.Open(g.Now()) {
			continue
		}
		add(tenure.ReviewItem{
			Kind: kind, Subject: string(a.ID), Tenant: a.Tenant, Holder: a.CreatedBy,
			Detail: fmt.Sprintf("%s with %s for %q: %s, until %s", a.Kind, strings.Join(a.Parties, ", "), a.Purpose, strings.Join(a.Classes, ", "), a.ExpiresAt.Format(time.DateOnly)),
		}, "")
	}
	return err
}

// Campaigns lists the campaigns that the caller may see, the newest first, before
// one: those whose scope lies within what they read reviews of, and those in which
// they are a reviewer.
func (g *Governor) Campaigns(ctx context.Context, c tenure.Caller, before tenure.CampaignID, limit int) ([]tenure.Campaign, error) {
	var out []tenure.Campaign
	for len(out) < limit {
		page, err := g.o.DB.Campaigns(ctx, before, 200)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, cp := range page {
			if whole, own := seesCampaign(c, cp); (whole || own) && len(out) < limit {
				out = append(out, cp)
			}
		}
		before = page[len(page)-1].ID
	}
	return out, nil
}

// seesCampaign says whether the caller may see a campaign whole, and whether they
// review items of it.
func seesCampaign(c tenure.Caller, cp tenure.Campaign) (whole, own bool) {
	return within(c, tenure.ReviewRead, cp.Scope), tenure.NamesPerson(cp.Reviewers, c.Name) && c.May(tenure.ReviewDecide)
}

// Campaign returns a campaign that the caller may see, with the filter of those
// of its items that they may.
func (g *Governor) Campaign(ctx context.Context, c tenure.Caller, id tenure.CampaignID) (tenure.Campaign, store.ItemFilter, error) {
	cp, err := g.o.DB.Campaign(ctx, id)
	if tenure.CodeOf(err) == tenure.NotFound {
		return cp, store.ItemFilter{}, Hidden()
	}
	if err != nil {
		return cp, store.ItemFilter{}, err
	}
	whole, own := seesCampaign(c, cp)
	f := store.ItemFilter{Campaign: id, Grants: whole}
	if whole {
		f.Visible = g.Visible(c, tenure.ReviewRead)
	}
	if own {
		f.Own = c.Name
		if v := g.Visible(c, tenure.ReviewDecide); !v.Reach.All || !v.Limit.All { // since it was given to them, they may have lost it
			f.OwnIn = &v
		}
	}
	if !whole && !own {
		return tenure.Campaign{}, f, Hidden()
	}
	return cp, f, nil
}

// ShownCampaign is a campaign as its caller may see it: who reviews a part of it
// hears of no tenant in its scope that they may not know of.
func (g *Governor) ShownCampaign(ctx context.Context, c tenure.Caller, cp tenure.Campaign) tenure.Campaign {
	if whole, _ := seesCampaign(c, cp); whole {
		return cp
	}
	cp.Scope.Tenants = slices.DeleteFunc(slices.Clone(cp.Scope.Tenants), func(id tenure.TenantID) bool {
		t, err := g.Target(ctx, string(id))
		return err != nil || !c.Sees(t)
	})
	return cp
}

// ReviewItems lists items of a campaign, after one, as a filter of Campaign's
// narrows them.
func (g *Governor) ReviewItems(ctx context.Context, f store.ItemFilter) ([]tenure.ReviewItem, error) {
	rows, err := g.o.DB.ReviewItems(ctx, f)
	out := make([]tenure.ReviewItem, len(rows))
	for i := range rows {
		out[i] = rows[i].ReviewItem
	}
	return out, err
}

// ReviewCounts is how many of a campaign's items have each answer.
func (g *Governor) ReviewCounts(ctx context.Context, f store.ItemFilter) (map[tenure.ReviewDecision]int, error) {
	return g.o.DB.ReviewCounts(ctx, f)
}
