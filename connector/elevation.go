package connector

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Elevation is a login of a person's own in a system, for a while.
type Elevation struct {
	ID     tenure.ElevationID
	Login  string        // chosen by the caller beforehand: LoginName
	Secret tenure.Secret // printable ASCII; the same login with another one gets that one
	Until  time.Time     // after it nobody signs in with the login, whether Tenure runs or not
	Access tenure.DirectAccess
	Refs   []Ref // what it is to reach, all of living tenants
}

// Elevator opens and ends logins for people, for a while.
type Elevator interface {
	// Elevate makes the login, marked as ours, or brings it to what is asked. It
	// reaches nothing but the refs, and can't create, alter, drop, truncate or
	// delete. Refs that can't be opened without showing a neighbour's data are
	// Blocked, and then there is no login.
	Elevate(ctx context.Context, e Elevation) error

	// Unelevate ends the login at once: nobody signs in, sessions end, and it is
	// removed. Absent is success; a login that isn't ours is Conflict. After an
	// error access may be off already; the call is repeated.
	Unelevate(ctx context.Context, login string) error

	// Elevations lists the logins that are ours, whoever knows of them.
	Elevations(ctx context.Context) ([]Elevated, error)
}

// Elevated is one login as it is.
type Elevated struct {
	ID       tenure.ElevationID // from its mark
	Login    string
	Until    time.Time // zero: no end
	Open     bool      // it may sign in
	Sessions int       // that are open now
}

// LoginName is the login of an elevation: t_elev_ and the last twelve digits of
// its id, which are random.
func LoginName(id tenure.ElevationID) string { return "t_elev_" + string(id[max(0, len(id)-12):]) }

// Elevate opens a login.
func (s *System) Elevate(ctx context.Context, e Elevation) error {
	return capable(ctx, s, "open logins for people", func(d Elevator) error { return NewVeil(e.Secret).Err(d.Elevate(ctx, e)) })
}

// Unelevate ends a login.
func (s *System) Unelevate(ctx context.Context, login string) error {
	return capable(ctx, s, "open logins for people", func(d Elevator) error { return d.Unelevate(ctx, login) })
}

// Elevations lists the logins that are ours.
func (s *System) Elevations(ctx context.Context) (list []Elevated, err error) {
	err = capable(ctx, s, "open logins for people", func(d Elevator) (err error) { list, err = d.Elevations(ctx); return err })
	return list, err
}
