package mysql

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var _ connector.Elevator = (*Driver)(nil)

const (
	elevationPrefix = "t_elev_"
	elevationType   = "elevation"
	maxSessions     = "3"
)

// Elevate is described at connector.Elevator: a user with rights on the databases of the
// refs alone. An event of the server's own locks it at the end and ends its sessions, so
// that it ends whether Tenure runs or not.
func (d *Driver) Elevate(ctx context.Context, e connector.Elevation) error {
	switch {
	case !strings.HasPrefix(e.Login, elevationPrefix) || checkIdentifier("login", e.Login, 60) != nil:
		return tenure.Errorf(tenure.Invalid, "a login for an elevation begins with %s", elevationPrefix)
	case e.Access != tenure.DirectRead && e.Access != tenure.DirectWrite:
		return tenure.Errorf(tenure.Invalid, "direct access is read or write, not %q", e.Access)
	case e.Secret.IsZero() || e.Until.IsZero():
		return tenure.Errorf(tenure.Invalid, "a login for an elevation needs a secret and an end")
	}
	err := d.with(ctx, func(s *session) error { return d.elevate(ctx, s, e) })
	if err != nil && tenure.CodeOf(err) != tenure.Conflict {
		_ = d.Unelevate(context.WithoutCancel(ctx), e.Login) // one that is half what was asked for is none
	}
	return err
}

func (d *Driver) elevate(ctx context.Context, s *session, e connector.Elevation) error {
	r := connector.Ref{Type: elevationType, Name: e.Login, Resource: tenure.ResourceID(e.ID)}
	n, err := d.noteOf(ctx, s, r)
	if err != nil {
		return err
	}
	h, err := d.grantee(ctx, s, e.Login)
	if err != nil {
		return err
	}
	if h != nil && n == nil {
		return relational.Claim(d.marker, relational.Note{}, r)
	}
	databases, err := d.opens(ctx, s, e)
	if err != nil {
		return err
	}
	if on, err := s.value(ctx, "select @@global.event_scheduler"); err != nil || on != "ON" {
		if err == nil {
			err = tenure.Errorf(tenure.Blocked, "the server's event scheduler is off, so nothing would end the login in time").WithHint("set global event_scheduler = on, and in the server's settings")
		}
		return err
	}
	note := relational.NewNote(d.marker, r).With("until", e.Until.UTC().Format(time.RFC3339Nano))
	if err := d.marks.Put(ctx, s, d.marker, note); err != nil {
		return err
	}
	at := account(e.Login, "%")
	rights := "select, show view"
	if e.Access == tenure.DirectWrite {
		rights += ", insert, update"
	}
	statements := []string{
		"create user if not exists " + at + " identified by password " + literal(noPassword()) + " account lock",
		"alter user " + at + " identified by password " + literal(noPassword()) + " with max_user_connections " + maxSessions + " account lock",
		"revoke all privileges, grant option from " + at,
		"create or replace event " + quote(d.keep, e.Login) + " on schedule at " + literal(e.Until.UTC().Format("2006-01-02 15:04:05")) + " on completion preserve do begin set session tx_read_only = 0; set session autocommit = 1; alter user if exists " + at +
			" account lock; kill hard user " + literal(e.Login) + "; end",
	}
	for _, name := range databases {
		statements = append(statements, "grant "+rights+" on "+quote(pattern(name))+".* to "+at)
	}
	if e.Until.After(d.now()) {
		statements = append(statements, "alter user "+at+" identified by password "+literal(passwordHash(e.Secret))+" account unlock")
	}
	for _, sql := range statements {
		if err := s.run(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// opens are the databases of the refs. Rows in tables that tenants share can't be opened:
// the server has no rights by row.
func (d *Driver) opens(ctx context.Context, s *session, e connector.Elevation) (out []string, err error) {
	for _, r := range e.Refs {
		switch r.Type {
		case "database":
			have, _, err := databases{d}.own(ctx, s, r)
			if err != nil {
				return nil, err
			}
			if have != nil {
				out = append(out, r.Name)
			}
		case "rows":
			return nil, tenure.Errorf(tenure.Blocked, "rows %q stand in tables with those of other tenants, and the server can't open them alone", r.Name).
				WithHint("ask for the tenant's own database, or let the application show these rows")
		}
	}
	if len(out) == 0 {
		return nil, tenure.Errorf(tenure.Blocked, "there is no database that the login could reach")
	}
	return sorted(out), nil
}

// Unelevate is described at connector.Elevator.
func (d *Driver) Unelevate(ctx context.Context, login string) error {
	return d.with(ctx, func(s *session) error {
		notes, err := d.notes(ctx, s, elevationType)
		if err != nil {
			return err
		}
		n := notes[login]
		h, err := d.grantee(ctx, s, login)
		if err != nil || h == nil && n == nil {
			return err
		}
		owner := connector.Unmarked
		if n != nil {
			_, owner = n.Read(d.marker, elevationType)
		}
		if owner != connector.Ours || !strings.HasPrefix(login, elevationPrefix) {
			return tenure.Errorf(tenure.Conflict, "user %q isn't a login of an elevation of ours", login)
		}
		if h != nil {
			if err := s.run(ctx, "alter user "+h.at()+" identified by password "+literal(noPassword())+" account lock"); err != nil {
				return err
			}
			if err := d.end(ctx, s, login); err != nil {
				return err
			}
			if err := s.run(ctx, "drop user if exists "+h.at()); err != nil {
				return err
			}
		}
		if err := s.run(ctx, "drop event if exists "+quote(d.keep, login)); err != nil {
			return err
		}
		return d.marks.Delete(ctx, s, elevationType, login)
	})
}

// Elevations is described at connector.Elevator.
func (d *Driver) Elevations(ctx context.Context) (out []connector.Elevated, err error) {
	err = d.with(ctx, func(s *session) error {
		notes, err := d.notes(ctx, s, elevationType)
		if err != nil {
			return err
		}
		var logins []string
		for login, n := range notes {
			if _, owner := n.Read(d.marker, elevationType); owner == connector.Ours {
				logins = append(logins, login)
			}
		}
		slices.Sort(logins)
		have, err := accounts{d, "user"}.read(ctx, s, logins)
		if err != nil {
			return err
		}
		for _, login := range logins {
			h := have[login]
			if h == nil {
				continue
			}
			id, _ := notes[login].Read(d.marker, elevationType)
			until, _ := time.Parse(time.RFC3339Nano, notes[login].Get("until"))
			out = append(out, connector.Elevated{ID: tenure.ElevationID(id), Login: login, Until: until, Open: !h.locked && d.now().Before(until), Sessions: int(h.sessions)})
		}
		return nil
	})
	return out, err
}
