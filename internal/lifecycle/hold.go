package lifecycle

import (
	"context"
	"fmt"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// PlaceHold places a legal hold. It binds with this call's commit: a destructive
// step that hasn't started won't, one that runs stops before its next batch. It
// is effective when batches in flight have drained, and says what was gone.
func (s *Service) PlaceHold(ctx context.Context, h tenure.Hold, by string) (tenure.Hold, error) {
	if err := person(by); err != nil {
		return h, err
	}
	var err error
	if h.Matter, err = tenure.Line("the matter that a hold serves", h.Matter, tenure.MaxTitle); err != nil {
		return h, err
	}
	if h.Matter == "" {
		return h, tenure.Errorf(tenure.Invalid, "a hold needs the matter that it serves").WithHint("name the case: --matter")
	}
	if h.Reason, err = tenure.Lines("the reason", h.Reason, tenure.MaxReason); err != nil {
		return h, err
	}
	if err := h.Scope.Check(); err != nil {
		return h, err
	}
	if err := h.CheckCustodians(); err != nil {
		return h, err
	}
	now := s.Now()
	h.ID, h.PlacedBy, h.PlacedAt = tenure.NewID[tenure.HoldID](now), by, now
	if t := h.Scope.Tenant; t != "" {
		row, err := s.o.DB.Tenant(ctx, string(t))
		if err != nil {
			return h, err
		}
		h.Scope.Tenant = row.ID
	}
	if err := s.knownScope(ctx, h.Scope); err != nil {
		return h, err
	}
	var named *int64
	if h.Scope.Part() {
		var err error
		if h.Scope, named, err = s.placedPart(ctx, h.Scope); err != nil {
			return h, err
		}
	}
	facts := holdFacts(h.Scope)
	if h.Untold {
		facts["untold"] = "true"
	}
	e, err := s.entry(ctx, "hold.place", by, h.Scope.Tenant, "", string(h.ID), facts)
	if err != nil {
		return h, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		if h, err = engine.Bind(tx, h, now); err != nil {
			return err
		}
		if err := tx.SaveHold(h); err != nil {
			return err
		}
		if err := s.askCustodians(tx, h, now, "placed"); err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		if err := tx.PokeVendors(h.Scope.Tenant, now); err != nil { // who was told to erase has to be told to keep
			return err
		}
		return tx.PokeTenant(h.Scope.Tenant, now)
	})
	if err == nil {
		// The hold binds already; what can't be suspended stands in it and is a finding.
		if err = s.stall(ctx, h.ID, ""); err == nil {
			h, err = s.o.DB.Hold(ctx, h.ID)
		}
	}
	h.Named = named
	return h, err
}

// holdFacts are what the log says of a scope in clear. Values and prefixes may be personal;
// the row's digest stands for them.
func holdFacts(scope tenure.HoldScope) map[string]string {
	facts := map[string]string{"class": scope.Class, "system": scope.System, "resource": string(scope.Resource)}
	if scope.Environment != "" {
		facts["environment"] = scope.Environment
	}
	if scope.Table != "" {
		facts["table"], facts["conditions"] = scope.Table, fmt.Sprint(len(scope.Rows))
	}
	if scope.Prefix != "" {
		facts["prefix"] = "true"
	}
	return facts
}

// ReleaseHold records one person's word for a release; the second person's, who
// must be another, releases it.
func (s *Service) ReleaseHold(ctx context.Context, id tenure.HoldID, by string) (tenure.Hold, error) {
	var h tenure.Hold
	if err := person(by); err != nil {
		return h, err
	}
	if err := s.o.DB.VouchedHolds(ctx); err != nil { // a first word that nobody gave isn't counted with the second
		return h, err
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		if h, err = tx.Hold(id); err != nil {
			return err
		}
		for _, said := range h.ReleaseBy {
			if same, err := onePerson(tx, said, by); err != nil {
				return err
			} else if same && said != by {
				return tenure.Errorf(tenure.Forbidden, "%s has asked for this release already, and with %s they are one person", said, by)
			}
		}
		now := s.Now()
		if h, err = h.Release(by, now); err != nil {
			return err
		}
		if err := tx.ReleaseHold(h); err != nil {
			return err
		}
		e, err := s.entry(ctx, "hold.release", by, h.Scope.Tenant, "", string(h.ID), map[string]string{"words": fmt.Sprint(len(h.ReleaseBy)), "released": fmt.Sprint(!h.Active())})
		if err != nil {
			return err
		}
		if err := tx.Log(e); err != nil {
			return err
		}
		if h.Active() {
			return nil
		}
		if err := tx.NoteAccess(store.AccessEvent{At: now, Kind: tenure.EventHoldRelease, Principal: by, Tenant: string(h.Scope.Tenant), Detail: string(h.ID)}); err != nil {
			return err
		}
		return tx.PokeTenant(h.Scope.Tenant, now)
	})
	if err == nil && !h.Active() {
		err = s.unstall(ctx, h.ID)
	}
	return h, err
}

// Holds lists the holds that can cover a tenant; a blank one lists all.
func (s *Service) Holds(ctx context.Context, tenant string, released bool) ([]tenure.Hold, error) {
	id := tenure.TenantID("")
	if tenant != "" {
		t, err := s.o.DB.Tenant(ctx, tenant)
		if err != nil {
			return nil, err
		}
		id = t.ID
	}
	return s.o.DB.Holds(ctx, id, released)
}
