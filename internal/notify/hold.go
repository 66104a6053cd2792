package notify

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// together is how many notices go in one message that has waited for quiet hours to end, or for its time.
const together = 500

// due lists what may be sent to a target at now; what its quiet hours or its readers' settings put off
// is held back instead.
func (n *Notifier) due(ctx context.Context, t *target, now time.Time) ([]store.Delivery, error) {
	settings := make(map[tenure.PrincipalID]tenure.NoticeSettings)
	for {
		list, err := n.o.DB.DueDeliveries(ctx, t.Name, now, batch)
		if err != nil {
			return nil, err
		}
		left, err := n.hold(ctx, t, list, settings, now)
		if err != nil || len(left) == len(list) || len(list) < batch {
			return left, err
		}
	}
}

// dueTo lists all that may be sent at now to one address.
func (n *Notifier) dueTo(ctx context.Context, t *target, address string, now time.Time) ([]store.Delivery, error) {
	list, err := n.o.DB.DueDeliveriesTo(ctx, t.Name, address, now, together)
	if err != nil {
		return nil, err
	}
	return n.hold(ctx, t, list, make(map[tenure.PrincipalID]tenure.NoticeSettings), now)
}

// hold holds back what may not be sent yet, and gives the others.
func (n *Notifier) hold(ctx context.Context, t *target, list []store.Delivery, known map[tenure.PrincipalID]tenure.NoticeSettings, now time.Time) (left []store.Delivery, err error) {
	type held struct {
		store.Delivery
		until time.Time
		why   string
	}
	var hold []held
	for _, d := range list {
		set, is := known[d.Person]
		if d.Person != "" && !is {
			row, err := n.o.DB.NoticeSetting(ctx, d.Person)
			if err != nil {
				n.o.Log.Warn("notice settings can't be read", "principal", d.Person, "err", err, "code", tenure.CodeOf(err)) // rather too early than never
			}
			set = row.NoticeSettings
			known[d.Person] = set
		}
		until, why := t.sendAt(d, set, now)
		if !until.After(now) {
			left = append(left, d)
			continue
		}
		hold = append(hold, held{d, until, why})
	}
	if len(hold) == 0 {
		return left, nil
	}
	return left, n.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, h := range hold {
			if err := tx.HoldDelivery(h.Delivery, h.until, h.why); err != nil {
				return err
			}
		}
		return nil
	})
}

// sendAt is when a delivery may be sent, and what it waits for. What is ahead of a date that would have
// passed by then goes at once, and so does what is for a customer: it may hold a link that is good for hours.
func (t *target) sendAt(d store.Delivery, set tenure.NoticeSettings, now time.Time) (time.Time, string) {
	if d.Notice.Kind.Urgent() || d.Notice.Kind == trial || forCustomer(d.Notice.Recipient) {
		return now, ""
	}
	at, why := now, ""
	if d.Person != "" {
		if at = set.SendAt(d.Notice.Kind, d.Since, now); at.After(now) {
			why = "its reader's settings hold it back"
		}
	}
	for range 3 { // the target's hours and the reader's may follow one another
		quiet := t.Quiet.Until(at, t.zone)
		if !quiet.After(at) {
			break
		}
		at, why = quiet, "the target's quiet hours hold it back"
		if d.Person != "" {
			at = later(at, set.SendAt(d.Notice.Kind, d.Since, at))
		}
	}
	if !d.Notice.AheadOf.IsZero() && !at.Before(d.Notice.AheadOf) {
		return now, ""
	}
	return at, why
}
