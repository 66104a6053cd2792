package governance

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// sweeps remember when systems were asked for logins, so that a dead one isn't
// asked at every tick.
type sweeps struct {
	mu     sync.Mutex
	listed time.Time
	again  map[string]time.Time // by system
}

const (
	listEvery  = 5 * time.Minute  // between two looks at all systems for logins of ours
	againAfter = 30 * time.Second // after a system couldn't be asked
)

// TickElevations brings elevations to where time has brought them: it ends what
// is over, takes back what was withdrawn with its holder, ends their logins,
// sweeps logins that nothing accounts for, and makes findings of break-glass that
// nobody reviewed in time. It is idempotent, and cheap when nothing is due; the
// first call after a start looks at every system.
func (g *Governor) TickElevations(ctx context.Context, now time.Time) error {
	return errors.Join(g.settleElevations(ctx, now), g.sweepLogins(ctx, now), g.listLogins(ctx, now), g.overdueReviews(ctx, now))
}

func (g *Governor) settleElevations(ctx context.Context, now time.Time) error {
	due, err := g.o.DB.DueElevations(ctx, now, now.Add(-g.o.Elevation.Answer))
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range due {
		errs = append(errs, g.o.DB.Write(ctx, func(tx *store.Tx) error { return g.settle(ctx, tx, row.ID, now) }))
	}
	return errors.Join(errs...)
}

func (g *Governor) settle(ctx context.Context, tx *store.Tx, id tenure.ElevationID, now time.Time) error {
	row, err := tx.Elevation(id)
	if err != nil {
		return err
	}
	e, changed := row.Settle(g.o.Elevation, now)
	kind := "elevation.lapse"
	if e.State == tenure.ElevationEnded {
		kind = "elevation.end"
	}
	if !changed {
		why, err := tx.Withdrawn(row.Elevation)
		if err != nil || why == "" {
			return err
		}
		if e, err = row.Revoke("", why, now); err != nil {
			return err
		}
		if err := tx.RevokeElevationGrants(e, "", now); err != nil {
			return err
		}
		kind = "elevation.withdraw"
	}
	if err := tx.MoveElevation(e); err != nil {
		return err
	}
	return g.record(ctx, tx, kind, "", e)
}

// sweepLogins ends the logins of elevations that are over.
func (g *Governor) sweepLogins(ctx context.Context, now time.Time) error {
	rows, err := g.o.DB.ElevationLogins(ctx, "")
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range rows {
		if g.accounts(row, now) || !g.mayAsk(row.System, now) {
			continue
		}
		if _, err := g.endLogin(ctx, row.Elevation); err != nil {
			g.dead(row.System, now)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// accounts says whether an elevation still accounts for its login: it is active,
// or being claimed.
func (g *Governor) accounts(row store.ElevationRow, now time.Time) bool {
	switch row.State {
	case tenure.ElevationActive:
		return now.Before(row.EndsAt)
	case tenure.ElevationApproved:
		return now.Before(row.ClaimingAt.Add(claiming))
	}
	return false
}

// listLogins asks each system for the logins that bear our mark, and ends those
// that no elevation accounts for: a crash, or a store that was restored from
// before, leaves none behind.
func (g *Governor) listLogins(ctx context.Context, now time.Time) error {
	if g.o.System == nil {
		return nil
	}
	g.sweeps.mu.Lock()
	due := g.sweeps.listed.IsZero() || now.Sub(g.sweeps.listed) >= listEvery
	if due {
		g.sweeps.listed = now
	}
	g.sweeps.mu.Unlock()
	if !due {
		return nil
	}
	systems, err := g.o.DB.Systems(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range systems {
		if !g.mayAsk(s.Name, now) {
			continue
		}
		sys, err := g.o.System(ctx, s.Name)
		if err == nil && !sys.Can("elevate") {
			continue
		}
		if err == nil {
			err = g.listed(ctx, sys, now)
		}
		if err != nil {
			g.dead(s.Name, now)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *Governor) listed(ctx context.Context, sys *connector.System, now time.Time) error {
	list, err := sys.Elevations(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range list {
		row, err := g.o.DB.Elevation(ctx, l.ID)
		switch {
		case err != nil && tenure.CodeOf(err) != tenure.NotFound:
			errs = append(errs, err)
			continue
		case err == nil && row.System == sys.Name && row.Login == l.Login && g.accounts(row, now):
			continue
		}
		if err := sys.Unelevate(ctx, l.Login); err != nil {
			errs = append(errs, err)
			continue
		}
		e := row.Elevation
		e.ID, e.System, e.Login = l.ID, sys.Name, l.Login
		errs = append(errs, g.o.DB.Write(ctx, func(tx *store.Tx) error {
			if err := tx.LoginGone(l.ID, now); err != nil {
				return err
			}
			return g.record(ctx, tx, "elevation.login.sweep", "", e)
		}))
	}
	return errors.Join(errs...)
}

func (g *Governor) mayAsk(system string, now time.Time) bool {
	g.sweeps.mu.Lock()
	defer g.sweeps.mu.Unlock()
	return !now.Before(g.sweeps.again[system])
}

func (g *Governor) dead(system string, now time.Time) {
	g.sweeps.mu.Lock()
	defer g.sweeps.mu.Unlock()
	if g.sweeps.again == nil {
		g.sweeps.again = make(map[string]time.Time)
	}
	g.sweeps.again[system] = now.Add(againAfter)
}

// overdueReviews makes critical findings of break-glass that should have been
// reviewed by now.
func (g *Governor) overdueReviews(ctx context.Context, now time.Time) error {
	rows, err := g.o.DB.UnreviewedBreakGlass(ctx, now.Add(-g.o.Elevation.Review))
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range rows {
		errs = append(errs, g.o.DB.Write(ctx, func(tx *store.Tx) error {
			e, err := tx.Elevation(row.ID)
			if err != nil || !e.ReviewOverdue(g.o.Elevation, now) {
				return err
			}
			if err := tx.SaveFinding(breakGlassFinding(e.Elevation, tenure.Critical, "nobody has reviewed it within "+g.o.Elevation.Review.String(), now)); err != nil {
				return err
			}
			if err := tx.AddNotice(breakGlassNotice(e.Elevation, "overdue", "The review of break-glass "+string(e.ID)+" by "+e.Name+" is overdue.", now)); err != nil {
				return err
			}
			return g.record(ctx, tx, "breakglass.overdue", "", e.Elevation)
		}))
	}
	return errors.Join(errs...)
}
