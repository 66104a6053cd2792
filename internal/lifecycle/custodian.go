package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// AcknowledgeHold records that a custodian knows of a hold. From anybody else it is Conflict.
func (s *Service) AcknowledgeHold(ctx context.Context, id tenure.HoldID, by string) (h tenure.Hold, err error) {
	if err := person(by); err != nil {
		return h, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if h, err = tx.Hold(id); err != nil {
			return err
		}
		if h, err = h.Acknowledge(by, s.Now()); err != nil {
			return err
		}
		if err := tx.TellCustodians(h); err != nil {
			return err
		}
		e, err := s.entry(ctx, "hold.acknowledge", by, h.Scope.Tenant, "", string(h.ID), map[string]string{"waiting": fmt.Sprint(len(h.Unacknowledged()))})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return h, err
}

// TickHolds reminds the custodians who haven't acknowledged a hold in time, once for each
// of its periods.
func (s *Service) TickHolds(ctx context.Context, now time.Time) error {
	all, err := s.o.DB.RemindableHolds(ctx)
	if err != nil {
		return err
	}
	for _, h := range all {
		if at := h.RemindsAt(); at.IsZero() || now.Before(at) {
			continue
		}
		if err := s.remindCustodians(ctx, h.ID, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) remindCustodians(ctx context.Context, id tenure.HoldID, now time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		h, err := tx.Hold(id)
		if err != nil {
			return notThere(err)
		}
		if at := h.RemindsAt(); at.IsZero() || now.Before(at) {
			return nil
		}
		h.RemindedAt = now
		if err := tx.TellCustodians(h); err != nil {
			return err
		}
		if err := s.askCustodians(tx, h, now, "reminder"); err != nil {
			return err
		}
		e, err := s.entry(ctx, "hold.reminder", "", h.Scope.Tenant, "", string(h.ID), map[string]string{"waiting": fmt.Sprint(len(h.Unacknowledged()))})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// askCustodians puts a notice for each custodian who hasn't acknowledged the hold into
// the outbox. It names no matter: who reads the outbox needn't know of it.
func (s *Service) askCustodians(tx *store.Tx, h tenure.Hold, now time.Time, word string) error {
	for i, c := range h.Custodians {
		if !c.AcknowledgedAt.IsZero() {
			continue
		}
		n := store.Notice{
			ID: fmt.Sprintf("%s/%s/%d/%d", h.ID, word, i, now.UnixMicro()), Kind: tenure.NoticeCustodian, Tenant: h.Scope.Tenant, Recipient: "person:" + c.Name, CreatedAt: now,
			Body: fmt.Sprintf("You are a custodian of legal hold %s. Keep what it covers, and say that you know of it: tenure hold acknowledge %s", h.ID, h.ID),
		}
		if err := tx.AddNotice(n); err != nil {
			return err
		}
	}
	return nil
}
