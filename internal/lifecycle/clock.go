package lifecycle

import (
	"context"
	"time"

	"github.com/tenurehq/tenure/internal/clock"
	"github.com/tenurehq/tenure/internal/store"
)

// Clock is the clock that the service goes by.
func (s *Service) Clock() clock.Clock { return s.o.Clock }

// ConfirmTime takes a person's word that the time is about what they say. It ends the
// doubt, which it gives, and what waited for it goes on. Conflict means that there is
// none, Invalid that the clock says another time.
func (s *Service) ConfirmTime(ctx context.Context, said time.Time, by string) (clock.Doubt, error) {
	if err := person(by); err != nil {
		return clock.Doubt{}, err
	}
	d, err := clock.Check(s.o.Clock, said)
	if err != nil {
		return d, err
	}
	facts := map[string]string{"doubt": string(d.Kind), "noticed": d.Is.UTC().Format(time.RFC3339), "to": s.Now().Format(time.RFC3339)}
	if !d.Was.IsZero() {
		facts["from"] = d.Was.UTC().Format(time.RFC3339)
	}
	e, err := s.entry(ctx, "clock.confirm", by, "", "", string(s.o.Installation), facts)
	if err != nil {
		return d, err
	}
	if err := s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.Log(e) }); err != nil {
		return d, err
	}
	// The file keeps the doubt until everything has been woken: a crash in between asks again.
	if d, err = s.o.Clock.Confirm(said); err != nil {
		return d, err
	}
	if err := s.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.PokeTenant("", s.Now()) }); err != nil {
		return d, err
	}
	return d, s.o.Clock.Beat()
}
