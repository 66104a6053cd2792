package governance

import (
	"context"
	"strconv"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// over is the outcome of a decision about what wasn't there any more.
const over = "it had ended already"

// reviewedToken revokes a token that a campaign decided about.
func (g *Governor) reviewedToken(ctx context.Context, tx *store.Tx, d tenure.ReviewItem, by string) (string, error) {
	id := tenure.TokenID(d.Subject)
	t, err := tx.Token(id)
	if err != nil {
		return "", err
	}
	if now := g.Now(); !t.RevokedAt.IsZero() || !now.Before(t.ExpiresAt) {
		return over, nil
	}
	if err := tx.RevokeToken(id, g.Now()); err != nil {
		return "", err
	}
	return "revoked", g.reviewed(ctx, tx, "token.revoke", by, d)
}

// reviewedDelegation ends a delegation that a campaign decided about.
func (g *Governor) reviewedDelegation(ctx context.Context, tx *store.Tx, d tenure.ReviewItem, by string) (string, error) {
	id, now := tenure.DelegationID(d.Subject), g.Now()
	del, err := tx.Delegation(id)
	if err != nil {
		return "", err
	}
	if !del.RevokedAt.IsZero() || !now.Before(del.EndsAt) {
		return over, nil
	}
	if err := tx.RevokeDelegation(id, by, now); err != nil {
		return "", err
	}
	return "ended", g.reviewed(ctx, tx, "delegation.revoke", by, d)
}

// reviewedBreakGlass ends a break-glass that goes on. Of one that is over the
// decision is what is kept: that it wasn't right.
func (g *Governor) reviewedBreakGlass(ctx context.Context, tx *store.Tx, d tenure.ReviewItem, by string) (string, error) {
	row, err := tx.Elevation(tenure.ElevationID(d.Subject))
	if err != nil {
		return "", err
	}
	now := g.Now()
	if row.OverAt(now) {
		return "found not to have been right; " + over, nil
	}
	e, err := row.Revoke(by, "decided in review "+string(d.Campaign), now)
	if err != nil {
		return "", err
	}
	if err := tx.RevokeElevationGrants(e, by, now); err != nil {
		return "", err
	}
	if err := tx.MoveElevation(e); err != nil {
		return "", err
	}
	return "ended", g.record(ctx, tx, "elevation.revoke", by, e)
}

// reviewed logs what a campaign's decision did.
func (g *Governor) reviewed(ctx context.Context, tx *store.Tx, kind, by string, d tenure.ReviewItem) error {
	e, err := g.o.Entry(ctx, kind, by, "", "", d.Subject, map[string]string{"why": string(d.Campaign)})
	if err != nil {
		return err
	}
	return tx.Log(e)
}

// ReassignItems gives items that wait for an answer to another reviewer, all of them
// or none: whose reviewer the caller is, or any for who manages reviews over all that
// the campaign is over. It is for a reason, and never to whom an item concerns.
func (g *Governor) ReassignItems(ctx context.Context, c tenure.Caller, id tenure.CampaignID, items []int, to, why string) ([]tenure.ReviewItem, error) {
	if len(items) == 0 || len(items) > 500 {
		return nil, tenure.Errorf(tenure.Invalid, "a call gives 1 to 500 items to another reviewer")
	}
	cp, _, err := g.Campaign(ctx, c, id)
	if err != nil {
		return nil, err
	}
	managed := g.mayOver(c, tenure.ReviewManage, cp.Scope)
	r, err := g.reviewer(ctx, to)
	if tenure.CodeOf(err) == tenure.NotFound {
		err = tenure.Errorf(tenure.Invalid, "a reviewer is a person who can sign in, by name: %s isn't", to)
	}
	if err != nil {
		return nil, err
	}
	now := g.Now()
	var done []tenure.ReviewItem
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		done = nil
		cp, err := tx.Campaign(id)
		if err != nil {
			return err
		}
		rows, err := tx.ReviewItems(id)
		if err != nil {
			return err
		}
		for _, n := range items {
			if n < 1 || n > len(rows) || managed != nil && !tenure.SamePerson(rows[n-1].Reviewer, c.Name) {
				if managed != nil {
					return managed
				}
				return tenure.Errorf(tenure.NotFound, "the campaign has no item %d", n)
			}
			it, err := rows[n-1].Reassign(cp, r.Name, c.Name, why, now)
			if err != nil {
				return err
			}
			if err := g.canReview(tx, r, it); err != nil {
				return err
			}
			if err := tx.AssignItem(it); err != nil {
				return err
			}
			if err := g.loggedAssignment(ctx, tx, c.Name, it, r); err != nil {
				return err
			}
			rows[n-1].ReviewItem = it
			done = append(done, it)
		}
		if tenure.NamesPerson(cp.Reviewers, r.Name) {
			return nil
		}
		return tx.SetReviewers(id, append(cp.Reviewers, r.Name))
	})
	return done, err
}

// canReview refuses a reviewer who may not see an item: what is a tenant's takes a
// role over it, and the rest one over all tenants.
func (g *Governor) canReview(tx *store.Tx, r tenure.Caller, it tenure.ReviewItem) error {
	var t tenure.Target
	if it.Tenant != "" {
		row, err := tx.Tenant(string(it.Tenant))
		if err != nil {
			return err
		}
		t = TargetOf(row)
	}
	if !r.Decide(tenure.ReviewDecide, t).Allowed {
		return tenure.Errorf(tenure.Invalid, "%s may not review item %d", r.Name, it.Seq).WithHint("name somebody who decides reviews over what it is over")
	}
	return nil
}

func (g *Governor) loggedAssignment(ctx context.Context, tx *store.Tx, by string, it tenure.ReviewItem, to tenure.Caller) error {
	e, err := g.o.Entry(ctx, "review.reassign", by, it.Tenant, "", it.Subject, map[string]string{
		"campaign": string(it.Campaign), "item": strconv.Itoa(it.Seq), "to": string(to.Principal),
	})
	if err != nil {
		return err
	}
	return tx.Log(e)
}
