package memory

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// login is a person's own, for a while.
type login struct {
	Name   string              `json:"name"`
	Mark   string              `json:"mark"`
	ID     tenure.ElevationID  `json:"id"`
	Secret []byte              `json:"secret"` // SHA-256
	Until  time.Time           `json:"until"`
	Access tenure.DirectAccess `json:"access"`
	Reach  []string            `json:"reach"` // type and name
}

// markOf is the mark of a login: a type of its own, so that none of a thing's
// will do.
func (d *Driver) markOf(id tenure.ElevationID, name string) string {
	return d.marker.Mark("elevation "+name, tenure.ResourceID(id))
}

func (d *Driver) mine(l login) bool { return l.Mark == d.markOf(l.ID, l.Name) }

// Elevate opens a login for the refs that are there, in service and ours.
func (d *Driver) Elevate(ctx context.Context, e connector.Elevation) error {
	switch {
	case e.Access != tenure.DirectRead && e.Access != tenure.DirectWrite:
		return tenure.Errorf(tenure.Invalid, "direct access is read or write, not %q", e.Access)
	case e.Login == "" || e.Secret.IsZero() || e.Until.IsZero():
		return tenure.Errorf(tenure.Invalid, "a login for an elevation needs a name, a secret and an end")
	}
	w := d.world
	f, err := w.begin(ctx, "elevate", e.Refs...)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := sha256.Sum256([]byte(e.Secret.Reveal()))
	l := login{Name: e.Login, ID: e.ID, Mark: d.markOf(e.ID, e.Login), Secret: sum[:], Until: e.Until.UTC(), Access: e.Access}
	for _, r := range e.Refs {
		t, ok := w.things[key{r.Type, r.Name}]
		if !ok || t.State != tenure.ResourcePresent {
			continue
		}
		if err := d.owns(t, r); err != nil {
			return err
		}
		l.Reach = append(l.Reach, r.Type+" "+r.Name)
	}
	if len(l.Reach) == 0 {
		return tenure.Errorf(tenure.Blocked, "there is nothing that a login could be opened for")
	}
	i := slices.IndexFunc(w.state.Logins, func(l login) bool { return l.Name == e.Login })
	switch {
	case i >= 0 && (!d.mine(w.state.Logins[i]) || w.state.Logins[i].ID != e.ID):
		return tenure.Errorf(tenure.Conflict, "login %q is there already and isn't this elevation's", e.Login)
	case i >= 0:
		w.state.Logins[i] = l
	default:
		w.state.Logins = append(w.state.Logins, l)
	}
	return f.end(w.save(true))
}

// Unelevate ends a login.
func (d *Driver) Unelevate(ctx context.Context, name string) error {
	w := d.world
	f, err := w.begin(ctx, "unelevate")
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.state.Logins, func(l login) bool { return l.Name == name })
	if i < 0 {
		return f.end(nil)
	}
	if !d.mine(w.state.Logins[i]) {
		return tenure.Errorf(tenure.Conflict, "login %q isn't one of ours", name)
	}
	w.state.Logins = slices.Delete(slices.Clone(w.state.Logins), i, i+1)
	return f.end(w.save(true))
}

// Elevations lists the logins that are ours.
func (d *Driver) Elevations(ctx context.Context) (out []connector.Elevated, err error) {
	w := d.world
	f, err := w.begin(ctx, "elevations")
	if err != nil {
		return nil, err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, l := range w.state.Logins {
		if d.mine(l) {
			out = append(out, connector.Elevated{ID: l.ID, Login: l.Name, Until: l.Until, Open: true})
		}
	}
	return out, f.end(nil)
}

// SignIn tries, as a person with that login at that moment, to use a thing:
// Unauthorized or Forbidden if the world refuses.
func (w *World) SignIn(name, secret, typ, thing string, now time.Time) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	sum := sha256.Sum256([]byte(secret))
	for _, l := range w.state.Logins {
		if l.Name != name || subtle.ConstantTimeCompare(l.Secret, sum[:]) != 1 || !now.Before(l.Until) {
			continue
		}
		if t, ok := w.things[key{typ, thing}]; ok && t.State == tenure.ResourcePresent && slices.Contains(l.Reach, typ+" "+thing) {
			return nil
		}
		return tenure.Errorf(tenure.Forbidden, "login %q isn't for that", name)
	}
	return tenure.Errorf(tenure.Unauthorized, "the login is not known, or has ended")
}
