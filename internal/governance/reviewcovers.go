package governance

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// adder takes an item of a campaign, and who gave what it is about.
type adder func(it tenure.ReviewItem, giver string)

// OwnerLabel is the label by which a tenant says who answers for it here: the name of
// a person.
const OwnerLabel = "owner"

// reviewedUses is how far back uses of break-glass are asked about.
const reviewedUses = 365 * aDay

// gatherTokens adds the tokens that live and reach no further than the scope.
func (g *Governor) gatherTokens(ctx context.Context, scope tenure.Scope, add adder) error {
	list, err := g.o.DB.Tokens(ctx, "")
	if err != nil {
		return err
	}
	now := g.Now()
	for _, t := range list {
		if !t.RevokedAt.IsZero() || !now.Before(t.ExpiresAt) {
			continue
		}
		p, err := g.o.DB.Principal(ctx, string(t.Principal))
		if err != nil {
			return err
		}
		reach := t.Limit
		if reach.IsZero() {
			if reach, err = g.reachOf(ctx, p.ID, now); err != nil {
				return err
			}
		}
		if !reach.Within(scope) {
			continue
		}
		add(tenure.ReviewItem{
			Kind: tenure.ReviewToken, Subject: string(t.ID), Holder: p.Name, Owner: p.Owner, LastUsed: t.UsedAt,
			Detail: fmt.Sprintf("token %q of %s over %s, made by %s on %s, until %s", t.Name, p.Name, reach, t.CreatedBy, t.CreatedAt.Format(time.DateOnly), t.ExpiresAt.Format(time.DateOnly)),
		}, t.CreatedBy)
	}
	return nil
}

// reachOf is the scope of all that a principal has.
func (g *Governor) reachOf(ctx context.Context, id tenure.PrincipalID, now time.Time) (out tenure.Scope, err error) {
	grants, err := g.o.DB.Grants(ctx, id, false)
	for _, gr := range grants {
		if gr.Active(now) {
			out = out.Union(gr.Scope)
		}
	}
	return out, err
}

func (g *Governor) gatherDelegations(ctx context.Context, scope tenure.Scope, add adder) error {
	list, err := g.o.DB.Delegations(ctx, "", false, g.Now())
	for _, d := range list {
		if err != nil {
			return err
		}
		if !d.RevokedAt.IsZero() || !g.Now().Before(d.EndsAt) || !d.Scope.Within(scope) {
			continue
		}
		used, err := g.o.DB.LastDelegated(ctx, d)
		if err != nil {
			return err
		}
		add(tenure.ReviewItem{
			Kind: tenure.ReviewDelegation, Subject: string(d.ID), Holder: d.To, Owner: d.From, LastUsed: used,
			Detail: fmt.Sprintf("%s approves in the place of %s over %s until %s: %s", d.To, d.From, d.Scope, d.EndsAt.Format(time.DateOnly), d.Reason),
		}, "")
	}
	return err
}

func (g *Governor) gatherStandings(ctx context.Context, scope tenure.Scope, add adder) error {
	list, err := g.o.DB.Standings(ctx, false)
	if err != nil {
		return err
	}
	for _, st := range list {
		over := tenure.Scope{Tiers: st.Rule.Tiers, Labels: st.Rule.Labels}
		if over.IsZero() {
			over.All = true
		}
		if st.State == tenure.StandingEnded || !over.Within(scope) {
			continue
		}
		used, err := g.o.DB.LastStanding(ctx, st.ID)
		if err != nil {
			return err
		}
		add(tenure.ReviewItem{
			Kind: tenure.ReviewStanding, Subject: string(st.ID), Holder: st.ProposedBy, LastUsed: used,
			Detail: fmt.Sprintf("standing approval %s starts up to %d onboardings a day from %s over %s without a person, until %s", st.Rule.Name, st.Rule.PerDay, st.Rule.Blueprint, over, st.Rule.EndsAt.Format(time.DateOnly)),
		}, "")
	}
	return nil
}

// gatherBreakGlass adds the uses of break-glass of the last year.
func (g *Governor) gatherBreakGlass(ctx context.Context, scope tenure.Scope, add adder) error {
	since := g.Now().Add(-reviewedUses)
	f := store.ElevationFilter{Kind: tenure.BreakGlass, Visible: store.All, Limit: 500}
	for {
		rows, err := g.o.DB.Elevations(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range rows {
			if e.RequestedAt.Before(since) {
				return nil
			}
			f.Before = e.ID
			if !e.Scope.Within(scope) {
				continue
			}
			add(tenure.ReviewItem{
				Kind: tenure.ReviewBreakGlass, Subject: string(e.ID), Holder: e.Name, LastUsed: e.StartedAt,
				Detail: fmt.Sprintf("%s took the role %s over %s by break-glass on %s: %s", e.Name, e.Role, e.Scope, e.StartedAt.Format(time.DateOnly), e.Reason),
			}, e.ReviewedBy)
		}
		if len(rows) < f.Limit {
			return nil
		}
	}
}

// gatherCredentials adds what Tenure comes into its systems with: they are all
// tenants', so that a review of a part of them leaves these out.
func (g *Governor) gatherCredentials(ctx context.Context, scope tenure.Scope, add adder) error {
	if !scope.All {
		return nil
	}
	list, err := g.o.DB.Systems(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		used, err := g.o.DB.LastUsedSystem(ctx, s.Name)
		if err != nil {
			return err
		}
		add(tenure.ReviewItem{
			Kind: tenure.ReviewCredential, Subject: s.Name, LastUsed: used,
			Detail: fmt.Sprintf("Tenure's own credential for the system %s (%s), added by %s on %s", s.Name, s.Connector, s.AddedBy, s.AddedAt.Format(time.DateOnly)),
		}, s.AddedBy)
	}
	return nil
}

// owners says of each item who owns it, where a campaign's items go to their owners
// first: whom its tenant's label names, else who gave it. Who may not decide reviews
// owns nothing here.
func (g *Governor) owners(ctx context.Context, items []store.ReviewItem, cp tenure.Campaign, reviewers map[string]tenure.Caller) (map[int]string, error) {
	out := make(map[int]string)
	if !cp.ByOwner {
		return out, nil
	}
	labels := make(map[tenure.TenantID]string)
	unfit := make(map[string]bool)
	for i, it := range items {
		name := it.Giver
		if it.Tenant != "" {
			label, ok := labels[it.Tenant]
			if !ok {
				t, err := g.Target(ctx, string(it.Tenant))
				if err != nil {
					return nil, err
				}
				label = t.Labels[OwnerLabel]
				labels[it.Tenant] = label
			}
			name = label
		}
		if name == "" || unfit[name] {
			continue
		}
		if _, known := reviewers[name]; !known {
			r, err := g.reviewer(ctx, name)
			switch tenure.CodeOf(err) {
			case "":
				name = r.Name
				reviewers[name] = r
			case tenure.NotFound, tenure.Invalid:
				unfit[name] = true
				continue
			default:
				return nil, err
			}
		}
		out[i] = name
	}
	return out, nil
}
