package governance

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Schedule is an access review that opens by itself, again and again.
type Schedule struct {
	Name      string                // of the schedule; its campaigns bear it, with the date
	Every     tenure.Period         // from one to the next
	From      time.Time             // the first
	Lasts     tenure.Period         // until it is due
	Covers    []tenure.ReviewKind   //
	Scope     tenure.Scope          //
	Reviewers []string              //
	ByOwner   bool                  //
	Silence   tenure.ReviewDecision //
}

// errOpened says that a schedule's campaign is there already.
var errOpened = tenure.Errorf(tenure.Conflict, "the schedule has opened this review already")

// again is how long after a schedule couldn't open a review it is tried again.
const again = time.Hour

// Check refuses a schedule that could never open a review.
func (s Schedule) Check() error {
	bad := func(format string, args ...any) error {
		return tenure.Errorf(tenure.Invalid, "review schedule %q: "+format, append([]any{s.Name}, args...)...)
	}
	begin := s.From
	if begin.IsZero() {
		return bad("from is the date of the first review")
	}
	if _, err := tenure.NeedLine("its name", s.Name, 100); err != nil {
		return bad("%w", err)
	}
	switch every := s.Every.After(begin); {
	case s.Every.IsZero() || every.Before(begin.AddDate(0, 0, 1)):
		return bad("every is a day or longer, such as P3M")
	case s.Lasts.IsZero() || !s.Lasts.After(begin).After(begin):
		return bad("lasts says for how long answers are taken, such as P14D")
	case s.Lasts.After(begin).After(every):
		return bad("it would last (%s) beyond the next one (%s)", s.Lasts, s.Every)
	}
	if err := s.campaign(begin, begin).Check(begin); err != nil {
		return bad("%w", err)
	}
	return nil
}

// campaign is the review of one occasion, opened at now.
func (s Schedule) campaign(occasion, now time.Time) tenure.Campaign {
	return tenure.Campaign{
		ID: tenure.NewID[tenure.CampaignID](now), Name: s.Name + " " + occasion.Format(time.DateOnly), Covers: s.Covers, Scope: s.Scope, Reviewers: s.Reviewers, ByOwner: s.ByOwner,
		Silence: s.Silence, State: tenure.CampaignOpen, DueAt: s.Lasts.After(now).UTC().Truncate(time.Microsecond), CreatedBy: "schedule " + s.Name, CreatedAt: now,
		Schedule: s.Name, Occasion: occasion, Version: 1,
	}
}

// occasion is the last of the schedule's dates that isn't after now; false before the
// first.
func (s Schedule) occasion(now time.Time) (at time.Time, ok bool) {
	for next := s.From; !next.After(now); next = s.Every.After(next) {
		at, ok = next, true
	}
	return at, ok
}

// schedules remember what this process knows of the settings' schedules, so that a
// tick asks the store once for each date.
type schedules struct {
	opened map[string]time.Time // the last occasion that is opened, by schedule
	next   map[string]time.Time // when one that couldn't be opened is tried again
}

// openScheduled opens the reviews that the schedules make due, each once, however
// many processes and restarts there are. Dates that passed while nothing ran are
// passed over, but for the last. What can't be opened is told once for each date and
// tried again every hour.
func (g *Governor) openScheduled(ctx context.Context, now time.Time) error {
	for _, s := range g.o.Schedules {
		at, ok := s.occasion(now)
		if !ok || g.scheduled.opened[s.Name].Equal(at) || now.Before(g.scheduled.next[s.Name]) {
			continue
		}
		done, err := g.o.DB.Opened(ctx, s.Name, at)
		if err != nil {
			return err
		}
		if !done {
			cp := s.campaign(at, now)
			err = cp.Check(now)
			var reviewers map[string]tenure.Caller
			if err == nil {
				reviewers, err = g.reviewers(ctx, s.Reviewers)
			}
			if err == nil {
				_, err = g.open(ctx, cp, reviewers, "")
			}
			switch code := tenure.CodeOf(err); {
			case err == nil || err == error(errOpened):
			case code == tenure.Invalid || code == tenure.NotFound || code == tenure.Conflict:
				if g.scheduled.next == nil {
					g.scheduled.next = make(map[string]time.Time)
				}
				g.scheduled.next[s.Name] = now.Add(again)
				if err := g.notOpened(ctx, s, at, err, now); err != nil {
					return err
				}
				continue
			default:
				return err
			}
		}
		if g.scheduled.opened == nil {
			g.scheduled.opened = make(map[string]time.Time)
		}
		g.scheduled.opened[s.Name] = at
	}
	return nil
}

// notOpened tells who runs Tenure, once for each date, why a review didn't open.
func (g *Governor) notOpened(ctx context.Context, s Schedule, at time.Time, why error, now time.Time) error {
	n := store.Notice{ID: "review-schedule/" + s.Name + "/" + at.Format(time.DateOnly), Kind: tenure.NoticeReviewDue, Recipient: "platform", CreatedAt: now,
		Body: "The access review " + s.Name + " of " + at.Format(time.DateOnly) + " couldn't be opened: " + why.Error() + ". It is tried again every hour."}
	if told, err := g.o.DB.Noticed(ctx, n.ID); err != nil || told {
		return err
	}
	e, err := g.o.Entry(ctx, "campaign.missed", "", "", "", "", map[string]string{"schedule": s.Name, "occasion": at.Format(time.DateOnly), "code": string(tenure.CodeOf(why))})
	if err != nil {
		return err
	}
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddNotice(n); err != nil {
			return err
		}
		return tx.Log(e)
	})
}
