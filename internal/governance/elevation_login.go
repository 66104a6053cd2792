package governance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Login is what an elevation's holder signs in to a system with. The secret is
// given this once and kept nowhere.
type Login struct {
	System string
	Name   string
	Secret tenure.Secret
	Until  time.Time
}

// claiming is how long a claim may take to open a login. For as long a sweep
// leaves the login alone, and another claim waits.
const claiming = 5 * time.Minute

// ClaimElevation starts the clock of an approved elevation: it gives the role, and
// opens the login if there is to be one. It is for the holder, once, within the
// window. When the login can't be opened the clock doesn't start.
func (g *Governor) ClaimElevation(ctx context.Context, c tenure.Caller, id tenure.ElevationID) (tenure.Elevation, *Login, error) {
	now := g.Now()
	if err := g.o.DB.VouchedRow(ctx, "elevation", string(id)); err != nil {
		return tenure.Elevation{}, nil, err
	}
	e, login, err := g.beginClaim(ctx, c, id, now)
	if err != nil {
		return e, nil, err
	}
	if login != nil {
		if err := g.openLogin(ctx, e, login); err != nil {
			g.cancelLogin(ctx, id, login, now)
			return e, nil, err
		}
	}
	e, err = g.finishClaim(ctx, c, id, login != nil, now)
	if err != nil && login != nil {
		g.cancelLogin(ctx, id, login, now)
	}
	if err != nil {
		return e, nil, err
	}
	return e, login, nil
}

// claimed reads an elevation and claims it, without storing that.
func (g *Governor) claimed(tx *store.Tx, c tenure.Caller, id tenure.ElevationID, now time.Time) (before store.ElevationRow, after tenure.Elevation, err error) {
	before, err = tx.Elevation(id)
	if tenure.CodeOf(err) == tenure.NotFound {
		return before, after, Hidden()
	}
	if err != nil {
		return before, after, err
	}
	if !isHolder(c, before.Elevation) {
		_, err := before.Claim(c, nil, g.o.Elevation, now)
		return before, after, g.unlessSeen(tx, c, before.Elevation, err)
	}
	if why, err := tx.Withdrawn(before.Elevation); err != nil || why != "" {
		return before, after, orConflict(err, before.Elevation, why)
	}
	if !c.Limit.IsZero() && !before.Scope.Within(c.Limit) {
		return before, after, tenure.Errorf(tenure.Forbidden, "the token is only for %s", c.Limit)
	}
	if err := g.requireAny(c, tenure.ElevationRequest); err != nil {
		return before, after, err
	}
	p, err := tx.Principal(string(before.Principal))
	if err != nil {
		return before, after, err
	}
	have, err := heldBy(tx, p)
	if err != nil {
		return before, after, err
	}
	after, err = before.Claim(c, have, g.o.Elevation, now)
	return before, after, err
}

// beginClaim writes the login down before it is made, so that a crash can't leave
// one that nobody knows of.
func (g *Governor) beginClaim(ctx context.Context, c tenure.Caller, id tenure.ElevationID, now time.Time) (e tenure.Elevation, login *Login, err error) {
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		before, after, err := g.claimed(tx, c, id, now)
		e, login = after, nil
		if err != nil || after.System == "" {
			return err
		}
		login = newLogin(after)
		e.Login = login.Name
		return tx.BeginLogin(before.Elevation, login.Name, now.Add(-claiming), now)
	})
	return e, login, err
}

func newLogin(e tenure.Elevation) *Login {
	return &Login{System: e.System, Name: connector.LoginName(e.ID), Secret: tenure.NewSecret(rand.Text()), Until: e.EndsAt}
}

func (g *Governor) finishClaim(ctx context.Context, c tenure.Caller, id tenure.ElevationID, login bool, now time.Time) (e tenure.Elevation, err error) {
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		before, after, err := g.claimed(tx, c, id, now)
		if err != nil {
			return err
		}
		if login && !before.ClaimingAt.Equal(now) {
			return tenure.Errorf(tenure.Conflict, "elevation %s is being claimed already", id)
		}
		if err := tx.MoveElevation(after); err != nil {
			return err
		}
		if err := tx.SaveGrant(after.Grant(tenure.NewID[tenure.GrantID](now))); err != nil {
			return err
		}
		after.Version++
		e = after
		return g.record(ctx, tx, "elevation.claim", c.Name, e)
	})
	return e, err
}

// canElevate refuses a system that opens no logins for people.
func (g *Governor) canElevate(ctx context.Context, system string) error {
	if system == "" {
		return nil
	}
	_, err := g.elevator(ctx, system)
	return err
}

func (g *Governor) elevator(ctx context.Context, system string) (*connector.System, error) {
	if g.o.System == nil {
		return nil, tenure.Errorf(tenure.Invalid, "there are no systems here that direct access could be given to")
	}
	sys, err := g.o.System(ctx, system)
	if err != nil {
		return nil, err
	}
	if !sys.Can("elevate") {
		return nil, tenure.Errorf(tenure.Invalid, "system %s (%s) opens no logins for people", system, sys.Info.Name)
	}
	return sys, nil
}

// openLogin opens the login for what the tenants have in the system.
func (g *Governor) openLogin(ctx context.Context, e tenure.Elevation, l *Login) error {
	sys, err := g.elevator(ctx, e.System)
	if err != nil {
		return err
	}
	var refs []connector.Ref
	for _, t := range e.Scope.Tenants {
		rows, err := g.o.DB.Resources(ctx, t, false)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.System != e.System || r.State != tenure.ResourcePresent {
				continue
			}
			ref := connector.Ref{Resource: r.ID, Tenant: r.Tenant, Environment: r.Environment, Type: r.Type, Name: r.Name, Classes: r.Classes}
			if len(r.Desired) > 0 {
				if err := json.Unmarshal(r.Desired, &ref.Attributes); err != nil {
					return tenure.Errorf(tenure.Internal, "attributes of %s: %w", r.ID, err)
				}
			}
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		return tenure.Errorf(tenure.Blocked, "nothing of %s is in system %s", e.Scope, e.System)
	}
	return sys.Elevate(ctx, connector.Elevation{ID: e.ID, Login: l.Name, Secret: l.Secret, Until: l.Until, Access: e.Access, Refs: refs})
}

// cancelLogin undoes the claim of a moment that came to nothing, unless another
// has taken its place: then the login is that one's. What it can't reach a sweep
// ends later.
func (g *Governor) cancelLogin(ctx context.Context, id tenure.ElevationID, l *Login, began time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	row, err := g.o.DB.Elevation(ctx, id)
	if err != nil || row.State == tenure.ElevationActive || !row.ClaimingAt.Equal(began) {
		return
	}
	sys, err := g.elevator(ctx, l.System)
	if err == nil {
		err = sys.Unelevate(ctx, l.Name)
	}
	_ = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err == nil {
			if err := tx.LoginGone(id, g.Now()); err != nil {
				return err
			}
		}
		return tx.CancelLogin(id)
	})
}

// endLogin ends the login of an elevation that is over, and notes that it is gone.
// One that can't be ended is a critical finding until it can.
func (g *Governor) endLogin(ctx context.Context, e tenure.Elevation) (tenure.Elevation, error) {
	if e.Login == "" || !e.LoginGoneAt.IsZero() {
		return e, nil
	}
	// Whoever revokes may hang up; the session is to end all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	sys, err := g.elevator(ctx, e.System)
	if err == nil {
		err = sys.Unelevate(ctx, e.Login)
	}
	now := g.Now()
	if err != nil {
		ferr := g.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.SaveFinding(lastingLogin(e, now)) })
		if ferr != nil {
			return e, ferr
		}
		return e, tenure.Errorf(tenure.Unavailable, "elevation %s is over, and its login in %s couldn't be ended yet: %w", e.ID, e.System, err).Retryable().
			WithHint("it is tried again, and is a critical finding until then")
	}
	e.LoginGoneAt = now
	return e, g.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.LoginGone(e.ID, now); err != nil {
			return err
		}
		if err := tx.ResolveElevationFindings(e.ID, tenure.FindingExposure, now); err != nil {
			return err
		}
		return g.record(ctx, tx, "elevation.login.end", "", e)
	})
}

func lastingLogin(e tenure.Elevation, now time.Time) tenure.Finding {
	return tenure.Finding{
		ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingExposure, Severity: tenure.Critical, Tenant: oneTenant(e.Scope), System: e.System, Type: "elevation", Name: string(e.ID), Field: "login",
		Detail: "the login " + e.Login + " outlives its elevation: the system doesn't end it", SeenAt: now,
	}
}
