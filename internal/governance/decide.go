package governance

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Answer is a reviewer's decision about one item.
type Answer struct {
	Item     int
	Decision tenure.ReviewDecision
	ChangeTo *tenure.ReviewTo
	Reason   string
}

// silenceReason is what stands beside an item that nobody answered.
const silenceReason = "nobody answered by the due date"

// DecideItems writes a reviewer's answers, all of them or none. A grant is
// revoked or narrowed at once; what concerns a tenant is carried out by
// lifecycle, an account by an operation of its own that somebody else approves.
func (g *Governor) DecideItems(ctx context.Context, c tenure.Caller, id tenure.CampaignID, answers []Answer) ([]tenure.ReviewItem, error) {
	if len(answers) == 0 || len(answers) > 500 {
		return nil, tenure.Errorf(tenure.Invalid, "a call answers 1 to 500 items")
	}
	if _, _, err := g.Campaign(ctx, c, id); err != nil {
		return nil, err
	}
	now := g.Now()
	var done []tenure.ReviewItem
	err := g.o.DB.Write(ctx, func(tx *store.Tx) error {
		done = nil
		cp, err := tx.Campaign(id)
		if err != nil {
			return err
		}
		rows, err := tx.ReviewItems(id)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Item < 1 || a.Item > len(rows) {
				return tenure.Errorf(tenure.NotFound, "the campaign has no item %d", a.Item)
			}
			it := rows[a.Item-1].ReviewItem
			d := it
			d.Decision, d.ChangeTo, d.Reason, d.DecidedBy, d.DecidedAt = a.Decision, a.ChangeTo, a.Reason, c.Name, now
			if err := tenure.CheckDecision(cp, it, d); err != nil {
				return err
			}
			if it.Tenant != "" { // since it was given to them, they may have lost it
				t, err := tx.Tenant(string(it.Tenant))
				if err != nil {
					return err
				}
				if err := g.Require(ctx, c, tenure.ReviewDecide, TargetOf(t)); err != nil {
					return err
				}
			} else if err := g.mayOver(c, tenure.ReviewDecide, tenure.Scope{}); err != nil {
				return err
			}
			if err := g.canChange(ctx, c, tx, d, now); err != nil {
				return err
			}
			if d.Outcome, err = g.answer(ctx, tx, d, c.Name); err != nil {
				return err
			}
			rows[a.Item-1].ReviewItem = d // the same item twice in one call is refused
			done = append(done, d)
		}
		return nil
	})
	return done, err
}

// canChange refuses a change that can't be made, before it is written down.
func (g *Governor) canChange(ctx context.Context, c tenure.Caller, tx *store.Tx, d tenure.ReviewItem, now time.Time) error {
	if d.Decision != tenure.ReviewChange {
		return nil
	}
	switch d.Kind {
	case tenure.ReviewGrant:
		gr, err := tx.Grant(tenure.GrantID(d.Subject))
		if err == nil {
			_, err = gr.Narrowed(*d.ChangeTo, now)
		}
		return err
	case tenure.ReviewAccount:
		if len(d.ChangeTo.Parameters) == 0 {
			return tenure.Errorf(tenure.Invalid, "an account is changed by parameters of its tenant").WithHint("changeTo: {\"parameters\": {…}}, or revoke it")
		}
		t, err := tx.Tenant(string(d.Tenant))
		if err != nil {
			return err
		}
		return g.Require(ctx, c, tenure.OperationRequest, TargetOf(t))
	}
	a, err := tx.Agreement(tenure.AgreementID(d.Subject))
	if err == nil {
		_, err = a.Narrowed(*d.ChangeTo, now)
	}
	return err
}

// answer writes one decision with its entry. Of a grant, a token, a delegation and a
// break-glass it carries the decision out; of what is a tenant's, of a standing
// approval and of a system's credential the outcome stays open: see lifecycle.
func (g *Governor) answer(ctx context.Context, tx *store.Tx, d tenure.ReviewItem, by string) (string, error) {
	var err error
	switch {
	case d.Decision == tenure.ReviewKeep:
		d.Outcome = "kept"
	case d.Kind == tenure.ReviewGrant:
		d.Outcome, err = g.reviewedGrant(ctx, tx, d, by)
	case d.Kind == tenure.ReviewToken:
		d.Outcome, err = g.reviewedToken(ctx, tx, d, by)
	case d.Kind == tenure.ReviewDelegation:
		d.Outcome, err = g.reviewedDelegation(ctx, tx, d, by)
	case d.Kind == tenure.ReviewBreakGlass:
		d.Outcome, err = g.reviewedBreakGlass(ctx, tx, d, by)
	}
	if err != nil {
		return "", err
	}
	if err := tx.AnswerItem(d); err != nil {
		return "", err
	}
	e, err := g.o.Entry(ctx, "review.decide", d.DecidedBy, d.Tenant, "", d.Subject, map[string]string{
		"campaign": string(d.Campaign), "item": strconv.Itoa(d.Seq), "decision": string(d.Decision), "answered": strconv.FormatBool(d.DecidedBy != ""),
	})
	if err != nil {
		return "", err
	}
	return d.Outcome, tx.Log(e)
}

// reviewedGrant revokes or narrows a grant that a campaign decided about.
func (g *Governor) reviewedGrant(ctx context.Context, tx *store.Tx, d tenure.ReviewItem, by string) (string, error) {
	now := g.Now()
	gr, err := tx.Grant(tenure.GrantID(d.Subject))
	if err != nil {
		return "", err
	}
	if !gr.Active(now) {
		return "it had ended already", nil
	}
	if err := g.endGrant(ctx, tx, gr, by, string(d.Campaign)); err != nil || d.Decision == tenure.ReviewRevoke {
		return "revoked", err
	}
	n, err := gr.Narrowed(*d.ChangeTo, now)
	if err != nil {
		return "", err
	}
	p, err := tx.Principal(string(gr.Principal))
	if err != nil {
		return "", err
	}
	have, err := tx.Grants(gr.Principal) // without the one that has just ended
	if err != nil {
		return "", err
	}
	its, err := g.ownerGrants(tx, p)
	if err != nil {
		return "", err
	}
	if err := tenure.CheckGrant(append(have, its...), n, now); err != nil {
		return "", err
	}
	n.ID, n.By, n.At, n.Reason = tenure.NewID[tenure.GrantID](now), by, now, "narrowed by review "+string(d.Campaign)
	if err := g.giveGrant(ctx, tx, n, string(d.Campaign)); err != nil {
		return "", err
	}
	return fmt.Sprintf("narrowed to %s over %s by grant %s", n.Role, n.Scope, n.ID), nil
}

// endGrant revokes a grant with its entry; why names the campaign or move.
func (g *Governor) endGrant(ctx context.Context, tx *store.Tx, gr tenure.Grant, by, why string) error {
	if err := tx.RevokeGrant(gr.ID, by, g.Now()); err != nil {
		return err
	}
	e, err := g.o.Entry(ctx, "grant.revoke", by, "", "", string(gr.ID), map[string]string{"principal": string(gr.Principal), "role": string(gr.Role), "why": why})
	if err != nil {
		return err
	}
	return tx.Log(e)
}

// giveGrant stores a grant with its entry; who calls has checked it.
func (g *Governor) giveGrant(ctx context.Context, tx *store.Tx, gr tenure.Grant, why string) error {
	if err := tx.SaveGrant(gr); err != nil {
		return err
	}
	e, err := g.o.Entry(ctx, "grant.give", gr.By, "", "", string(gr.ID), map[string]string{"principal": string(gr.Principal), "role": string(gr.Role), "scope": gr.Scope.String(), "why": why})
	if err != nil {
		return err
	}
	return tx.Log(e)
}

// CloseCampaign ends a campaign whose items are all answered, before its due
// date. Its evidence comes when the last operation has ended.
func (g *Governor) CloseCampaign(ctx context.Context, c tenure.Caller, id tenure.CampaignID) (tenure.Campaign, error) {
	cp, _, err := g.Campaign(ctx, c, id)
	if err != nil {
		return cp, err
	}
	if err := g.mayOver(c, tenure.ReviewManage, cp.Scope); err != nil {
		return cp, err
	}
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		rows, err := tx.ReviewItems(id)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Decision == "" {
				return tenure.Errorf(tenure.Conflict, "item %d and maybe more aren't answered", r.Seq).
					WithHint("they follow the campaign's rule (%s) at its due date, %s", cp.Silence, cp.DueAt.Format(time.RFC3339))
			}
		}
		return tx.MoveCampaign(id, tenure.CampaignOpen, tenure.CampaignCarrying, c.Name, g.Now())
	})
	if err == nil {
		err = g.seal(ctx, id)
	}
	if err != nil {
		return cp, err
	}
	return g.o.DB.Campaign(ctx, id)
}

// TickReviews opens what schedules make due, applies the campaigns' rules to what nobody answered by the due
// date, and seals the evidence of those in which nothing is left to carry out.
func (g *Governor) TickReviews(ctx context.Context, now time.Time) error {
	if err := g.openScheduled(ctx, now); err != nil {
		return err
	}
	list, err := g.o.DB.UnfinishedCampaigns(ctx, now)
	if err != nil {
		return err
	}
	for _, cp := range list {
		if cp.State == tenure.CampaignOpen {
			if err := g.silent(ctx, cp.ID, now); err != nil {
				return err
			}
		}
		if err := g.seal(ctx, cp.ID); err != nil {
			return err
		}
	}
	return nil
}

// silent gives every item that nobody answered the campaign's answer.
func (g *Governor) silent(ctx context.Context, id tenure.CampaignID, now time.Time) error {
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		cp, err := tx.Campaign(id)
		if err != nil || cp.State != tenure.CampaignOpen || now.Before(cp.DueAt) {
			return err
		}
		rows, err := tx.ReviewItems(id)
		if err != nil {
			return err
		}
		for _, r := range rows {
			d := r.ReviewItem
			if d.Decision != "" {
				continue
			}
			d.Decision, d.Reason, d.DecidedAt = cp.Silence, silenceReason, now
			if _, err := g.answer(ctx, tx, d, cp.CreatedBy); err != nil {
				return err
			}
		}
		return tx.MoveCampaign(id, tenure.CampaignOpen, tenure.CampaignCarrying, "", now)
	})
}
