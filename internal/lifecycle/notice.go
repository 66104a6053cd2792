package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// steerNotices changes how notices go out, in a person's name.
func (s *Service) steerNotices(ctx context.Context, kind, by string, d store.Delivery, subject string, facts map[string]string, do func(*store.Tx) error) error {
	if by == "" {
		return tenure.Errorf(tenure.Unauthorized, "nobody is named as the one who asks").WithHint("say who you are: --as NAME")
	}
	e, err := s.entry(ctx, kind, by, cmp.Or(d.Notice.Tenant, d.Notice.About), d.Notice.Operation, subject, facts)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// ReplayDelivery has a notice sent to its target once more, whatever became of it. One that is
// being sent, or whose words are gone, is Conflict.
func (s *Service) ReplayDelivery(ctx context.Context, d store.Delivery, by string) error {
	return s.steerNotices(ctx, "notice.replay", by, d, d.ID, map[string]string{"target": d.Target, "was": string(d.State)}, func(tx *store.Tx) error {
		now, err := tx.Delivery(d.ID)
		switch {
		case err != nil:
			return err
		case now.State == store.DeliverySending && s.Now().Before(now.NextAt):
			return tenure.Errorf(tenure.Conflict, "it is being sent right now")
		case now.Notice.Recipient == "":
			return tenure.Errorf(tenure.Conflict, "the notice's words are gone: its tenant was forgotten")
		}
		return tx.ReplayDelivery(d.ID, s.Now())
	})
}

// Acknowledge notes that a receiver has done what a notice tells it. What needs no
// acknowledgement is Conflict; the same again changes nothing.
func (s *Service) Acknowledge(ctx context.Context, d store.Delivery, by string) error {
	if d.Answer == answered {
		return nil
	}
	return s.steerNotices(ctx, "notice.acknowledge", by, d, d.ID, map[string]string{"target": d.Target}, func(tx *store.Tx) error {
		now, err := tx.Delivery(d.ID)
		if err != nil {
			return err
		}
		if now.DueAt.IsZero() && now.Answer == "" {
			return tenure.Errorf(tenure.Conflict, "nobody waits for an acknowledgement of %s", d.ID)
		}
		if err := tx.ResolveFinding(unacknowledged(now), s.Now()); err != nil {
			return err
		}
		return tx.Acknowledge(d.ID, answered)
	})
}

// EnableTarget has notices sent again to a target that was given up; what waits for it goes
// first, unless it is older than a week.
func (s *Service) EnableTarget(ctx context.Context, name, by string) error {
	return s.steerNotices(ctx, "notice.enable", by, store.Delivery{}, name, nil, func(tx *store.Tx) error {
		return tx.SaveNotifyTarget(store.NotifyTarget{Name: name})
	})
}

const (
	answered = "done"
	missed   = "missed"
)

// unacknowledged is what is found where a receiver says nothing.
func unacknowledged(d store.Delivery) tenure.Finding {
	return tenure.Finding{Kind: tenure.FindingUnacknowledged, Severity: tenure.Medium, Tenant: cmp.Or(d.Notice.Tenant, d.Notice.About), Type: "notice", Name: d.Target, Field: d.ID}
}

// TickAcknowledgements finds receivers that haven't acknowledged a notice in time.
func (s *Service) TickAcknowledgements(ctx context.Context, now time.Time) error {
	list, err := s.o.DB.MissedAcknowledgements(ctx, now, 100)
	if err != nil || len(list) == 0 {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, d := range list {
			f := unacknowledged(d)
			f.ID, f.SeenAt = tenure.NewID[tenure.FindingID](now), now
			f.Detail = fmt.Sprintf("the system at target %s hasn't said until %s that it has done what it was told (%s): it may still work for the tenant", d.Target, d.DueAt.UTC().Format("2006-01-02 15:04 MST"), cmp.Or(d.Notice.Kind, "a notice"))
			f.Steps = []string{"look in that system whether it has stopped", "acknowledge it: tenure notice acknowledge " + d.ID}
			if err := tx.SaveFinding(f); err != nil {
				return err
			}
			if err := tx.Acknowledge(d.ID, missed); err != nil {
				return err
			}
		}
		return nil
	})
}
