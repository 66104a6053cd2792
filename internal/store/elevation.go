package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const elevationColumns = `id, kind, principal, name, owner, role, scope, reason, lasts, system, access, digest, state, requested_at, decided_by, decided_at, claim_until,
	started_at, ends_at, ended_at, ended_by, why, reviewed_by, reviewed_at, review_note, login, claiming_at, login_gone_at, version`

// ElevationRow is an elevation with when its login began to be made.
type ElevationRow struct {
	tenure.Elevation
	ClaimingAt time.Time
}

func elevations(q querier, where string, args ...any) (out []ElevationRow, err error) {
	err = q.Rows(`select `+elevationColumns+` from elevation where `+where, args, func(r scanner) error {
		var e ElevationRow
		var scope, lasts string
		var requested, decided, claim, started, ends, ended, reviewed, claiming, gone int64
		err := r.Scan(&e.ID, &e.Kind, &e.Principal, &e.Name, &e.Owner, &e.Role, &scope, &e.Reason, &lasts, &e.System, &e.Access, &e.Digest, &e.State, &requested, &e.DecidedBy, &decided, &claim,
			&started, &ends, &ended, &e.EndedBy, &e.Why, &e.ReviewedBy, &reviewed, &e.ReviewNote, &e.Login, &claiming, &gone, &e.Version)
		if err != nil {
			return err
		}
		e.RequestedAt, e.DecidedAt, e.ClaimUntil = fromMicros(requested), fromMicros(decided), fromMicros(claim)
		e.StartedAt, e.EndsAt, e.EndedAt = fromMicros(started), fromMicros(ends), fromMicros(ended)
		e.ReviewedAt, e.ClaimingAt, e.LoginGoneAt = fromMicros(reviewed), fromMicros(claiming), fromMicros(gone)
		if err := json.Unmarshal([]byte(scope), &e.Scope); err != nil {
			return tenure.Errorf(tenure.Internal, "scope of elevation %s: %w", e.ID, err)
		}
		if err := e.For.UnmarshalText([]byte(lasts)); err != nil {
			return tenure.Errorf(tenure.Internal, "length of elevation %s: %w", e.ID, err)
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

func oneElevation(q querier, id tenure.ElevationID) (ElevationRow, error) {
	list, err := elevations(q, `id = $1`, string(id))
	if err == nil && len(list) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no elevation %s", id)
	}
	if err != nil {
		return ElevationRow{}, err
	}
	return list[0], nil
}

// Elevation returns one elevation.
func (db *DB) Elevation(ctx context.Context, id tenure.ElevationID) (ElevationRow, error) {
	return oneElevation(db.reader(ctx), id)
}

// Elevation returns one elevation as the transaction sees it.
func (tx *Tx) Elevation(id tenure.ElevationID) (ElevationRow, error) { return oneElevation(tx, id) }

// ElevationFilter narrows a listing; blank fields take everything.
type ElevationFilter struct {
	ID         tenure.ElevationID
	Mine       tenure.PrincipalID // whose own are shown whatever Visible says
	Owner      string             // and those of the machines that they answer for
	Visible    Visible            // others' whose whole scope is within it
	Principal  string             // a name
	State      tenure.ElevationState
	Kind       tenure.ElevationKind
	Unreviewed bool               // break-glass that nobody has reviewed
	Before     tenure.ElevationID // the last one of the page before
	Limit      int                // 0 is 100
}

// Elevations lists elevations, the latest first.
func (db *DB) Elevations(ctx context.Context, f ElevationFilter) ([]ElevationRow, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args := []any{string(f.Mine), f.Principal, string(f.State), string(f.Kind), flag(f.Unreviewed), string(f.Before), f.Limit, string(f.ID), f.Owner}
	where := `($2 = '' or name = $2) and ($3 = '' or state = $3) and ($4 = '' or kind = $4) and ($5 = 0 or kind = 'breakglass' and reviewed_at = 0) and ($6 = '' or id < $6) and ($8 = '' or id = $8)
		and ($1 <> '' and principal = $1 or $9 <> '' and owner = $9 or ` + f.Visible.whole(&args) + `) order by id desc limit $7`
	return elevations(db.reader(ctx), where, args...)
}

// whole is the condition that everything that an elevation is over is visible.
func (v Visible) whole(args *[]any) string {
	switch {
	case v.everything():
		return "true"
	case v.Nothing():
		return "false"
	}
	parts := []string{"s.kind = 'tenant' and " + v.where("s.value", args)}
	for kind, list := range map[string]func(tenure.Scope) []string{
		"tier": func(s tenure.Scope) []string { return s.Tiers }, "label": func(s tenure.Scope) []string { return s.Labels },
	} {
		named := "s.kind = '" + kind + "'"
		for _, s := range []tenure.Scope{v.Reach, v.Limit} {
			if s.All {
				continue
			}
			marks := []string{"null"}
			for _, one := range list(s) {
				*args = append(*args, one)
				marks = append(marks, placeholder(len(*args)))
			}
			named += " and s.value in (" + strings.Join(marks, ", ") + ")"
		}
		parts = append(parts, named)
	}
	return "not exists (select 1 from elevation_scope s where s.elevation = elevation.id and (" + strings.Join(parts, " or ") + ") is not true)"
}

// DueElevations lists what time or somebody may have brought to an end: those
// that are open with a date behind now, whose principal, or the person who
// answers for it, is disabled, or whose grant was revoked. The dates of those
// that wait for an answer are counted from asked.
func (db *DB) DueElevations(ctx context.Context, now, asked time.Time) ([]ElevationRow, error) {
	return elevations(db.reader(ctx), `state = 'active' and ends_at <= $1 or state = 'approved' and claim_until <= $1 or state = 'requested' and requested_at <= $2
		or state in ('requested', 'approved', 'active') and (
			exists (select 1 from principal p where p.id = elevation.principal and p.state <> 'active')
			or owner <> '' and exists (select 1 from principal p where p.name = elevation.owner and p.state <> 'active'))
		or state = 'active' and exists (select 1 from role_grant g where g.principal = elevation.principal and g.elevation = elevation.id and g.revoked_at <> 0)
		order by id limit 1000`, micros(now), micros(asked))
}

// Withdrawn says whether an elevation has lost what it stands on: its principal,
// or the person who answers for it, is disabled, or its grant was revoked.
func (tx *Tx) Withdrawn(e tenure.Elevation) (why string, err error) {
	var disabled, revoked int
	err = tx.Row(`select (select count(*) from principal where state <> 'active' and (id = $1 or name = $2 and $2 <> '')), (select count(*) from role_grant where principal = $1 and elevation = $3 and revoked_at <> 0)`,
		[]any{string(e.Principal), e.Owner, string(e.ID)}, &disabled, &revoked)
	switch {
	case err != nil:
		return "", err
	case disabled > 0:
		return "whose it is, or who answers for it, was disabled", nil
	case revoked > 0 && e.State == tenure.ElevationActive:
		return "its grant was revoked", nil
	}
	return "", nil
}

// ElevationLogins lists the elevations whose login hasn't been seen to be gone; a
// system narrows it.
func (db *DB) ElevationLogins(ctx context.Context, system string) ([]ElevationRow, error) {
	return elevations(db.reader(ctx), `login <> '' and login_gone_at = 0 and ($1 = '' or system = $1) order by id limit 10000`, system)
}

// UnreviewedBreakGlass lists the break-glass that ended before a moment, that nobody
// has reviewed and that isn't a critical finding yet.
func (db *DB) UnreviewedBreakGlass(ctx context.Context, before time.Time) ([]ElevationRow, error) {
	return elevations(db.reader(ctx), `kind = 'breakglass' and reviewed_at = 0 and case when ended_at > 0 then ended_at else ends_at end <= $1
		and not exists (select 1 from finding f where f.kind = 'anomaly' and f.type = 'elevation' and f.name = elevation.id and f.severity = 'critical' and f.resolved_at = 0) order by id limit 1000`, micros(before))
}

// SaveElevation stores a new elevation.
func (tx *Tx) SaveElevation(e tenure.Elevation) error {
	_, err := tx.Exec(`insert into elevation (`+elevationColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', 0, 0, $15, $16, 0, '', '', '', 0, '', $17, $18, 0, 1)`,
		string(e.ID), string(e.Kind), string(e.Principal), e.Name, e.Owner, string(e.Role), text(e.Scope), e.Reason, e.For.String(), e.System, string(e.Access), e.Digest, string(e.State), micros(e.RequestedAt),
		micros(e.StartedAt), micros(e.EndsAt), e.Login, micros(e.StartedAt))
	if err != nil {
		return err
	}
	put := func(kind, value string) {
		if err == nil {
			_, err = tx.Exec(`insert into elevation_scope (elevation, kind, value) values ($1, $2, $3) on conflict (elevation, kind, value) do nothing`, string(e.ID), kind, value)
		}
	}
	if e.Scope.All {
		put("all", "")
	}
	for _, t := range e.Scope.Tenants {
		put("tenant", string(t))
	}
	for _, t := range e.Scope.Tiers {
		put("tier", t)
	}
	for _, l := range e.Scope.Labels {
		put("label", l)
	}
	return err
}

// MoveElevation stores what has become of an elevation. One that has changed
// since e.Version was read is Conflict.
func (tx *Tx) MoveElevation(e tenure.Elevation) error {
	n, err := tx.Exec(`update elevation set state = $1, decided_by = $2, decided_at = $3, claim_until = $4, started_at = $5, ends_at = $6, ended_at = $7, ended_by = $8, why = $9,
		reviewed_by = $10, reviewed_at = $11, review_note = $12, login = $13, version = version + 1 where id = $14 and version = $15`,
		string(e.State), e.DecidedBy, micros(e.DecidedAt), micros(e.ClaimUntil), micros(e.StartedAt), micros(e.EndsAt), micros(e.EndedAt), e.EndedBy, e.Why,
		e.ReviewedBy, micros(e.ReviewedAt), e.ReviewNote, e.Login, string(e.ID), e.Version)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "elevation %s has changed since it was read", e.ID).WithHint("look at it again").Retryable()
	}
	return err
}

// BeginLogin notes the login that a claim is about to make, so that no crash
// leaves one that nobody knows of. While a claim that began after since is under
// way, another is Conflict.
func (tx *Tx) BeginLogin(e tenure.Elevation, login string, since, now time.Time) error {
	n, err := tx.Exec(`update elevation set login = $1, claiming_at = $2, login_gone_at = 0, version = version + 1 where id = $3 and version = $4 and state = 'approved' and claiming_at <= $5`,
		login, micros(now), string(e.ID), e.Version, micros(since))
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "elevation %s is being claimed already", e.ID).Retryable()
	}
	return err
}

// CancelLogin says that a claim that began has come to nothing, so that it can be
// tried again at once.
func (tx *Tx) CancelLogin(id tenure.ElevationID) error {
	_, err := tx.Exec(`update elevation set claiming_at = 0, version = version + 1 where id = $1 and state = 'approved'`, string(id))
	return err
}

// LoginGone notes that an elevation's login was seen to be gone.
func (tx *Tx) LoginGone(id tenure.ElevationID, at time.Time) error {
	_, err := tx.Exec(`update elevation set login_gone_at = $1, version = version + 1 where id = $2 and login_gone_at = 0`, micros(at), string(id))
	return err
}

// RevokeElevationGrants ends the grants that an elevation gave.
func (tx *Tx) RevokeElevationGrants(e tenure.Elevation, by string, at time.Time) error {
	_, err := tx.Exec(`update role_grant set revoked_at = $1, revoked_by = $2 where principal = $3 and elevation = $4 and revoked_at = 0`, micros(at), by, string(e.Principal), string(e.ID))
	return err
}

// ResolveElevationFindings closes the open findings of a kind that an elevation
// made.
func (tx *Tx) ResolveElevationFindings(id tenure.ElevationID, kind tenure.FindingKind, at time.Time) error {
	_, err := tx.Exec(`update finding set resolved_at = $1 where kind = $2 and type = 'elevation' and name = $3 and resolved_at = 0`, micros(at), string(kind), string(id))
	return err
}
