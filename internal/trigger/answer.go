package trigger

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Replay has an event decided anew that failed, is held, or that no rule was for, by the
// rules that are in force now. What has led to something isn't decided twice.
func (i *Intake) Replay(ctx context.Context, id tenure.InboundID, by string) (store.Inbound, error) {
	return i.reopen(ctx, id, "event.replay", false, by, store.InboundFailed, store.InboundHeld, store.InboundIgnored, store.InboundDismissed)
}

// Release lets a held event do what it was held for.
func (i *Intake) Release(ctx context.Context, id tenure.InboundID, by string) (store.Inbound, error) {
	return i.reopen(ctx, id, "event.release", true, by, store.InboundHeld)
}

func (i *Intake) reopen(ctx context.Context, id tenure.InboundID, kind string, release bool, by string, from ...store.InboundState) (store.Inbound, error) {
	var out store.Inbound
	err := i.answer(ctx, id, kind, by, func(tx *store.Tx, e store.Inbound) error {
		if !slices.Contains(from, e.State) {
			return tenure.Errorf(tenure.Conflict, "event %s is %s: that can't be done with it", id, e.State)
		}
		return tx.ReopenInbound(e, release, by, i.now())
	}, &out)
	i.signal()
	return out, err
}

// Dismiss ends an event without doing anything that is held, failed or still tried.
func (i *Intake) Dismiss(ctx context.Context, id tenure.InboundID, reason, by string) (store.Inbound, error) {
	var out store.Inbound
	reason, err := tenure.NeedLines("the reason for dismissing an event", reason, tenure.MaxReason)
	if err != nil {
		return out, err
	}
	err = i.answer(ctx, id, "event.dismiss", by, func(tx *store.Tx, e store.Inbound) error {
		switch {
		case e.State == store.InboundReceived && e.Pending != "":
			return tenure.Errorf(tenure.Conflict, "what event %s leads to is being asked for at this moment", id).WithHint("look at it again in a moment: tenure inbound show %s", id)
		case e.State != store.InboundHeld && e.State != store.InboundFailed && e.State != store.InboundReceived:
			return tenure.Errorf(tenure.Conflict, "event %s is %s: only what is held, failed or still tried is dismissed", id, e.State)
		}
		return tx.DismissInbound(e, reason, by, i.now())
	}, &out)
	return out, err
}

func (i *Intake) answer(ctx context.Context, id tenure.InboundID, kind, by string, do func(*store.Tx, store.Inbound) error, out *store.Inbound) error {
	if by == "" {
		return tenure.Errorf(tenure.Unauthorized, "nobody is named as the one who asks").WithHint("say who you are: --as NAME")
	}
	if err := i.o.DB.VouchedRow(ctx, "inbound", string(id)); err != nil {
		return err
	}
	row, err := i.o.DB.Inbound(ctx, id)
	if err != nil {
		return err
	}
	e, err := i.o.Service.Entry(ctx, kind, by, row.Tenant, "", string(id), nil)
	if err != nil {
		return err
	}
	return i.o.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.Inbound(id)
		if err != nil {
			return err
		}
		if err := do(tx, row); err != nil {
			return err
		}
		if *out, err = tx.Inbound(id); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// List lists events, the latest first.
func (i *Intake) List(ctx context.Context, f store.InboundFilter) ([]store.Inbound, error) {
	return i.o.DB.Inbounds(ctx, f)
}

// Event finds one event.
func (i *Intake) Event(ctx context.Context, id tenure.InboundID) (store.Inbound, error) {
	return i.o.DB.Inbound(ctx, id)
}
