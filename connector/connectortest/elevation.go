package connectortest

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// runElevation checks a connector.Elevator: a login works while it should, and at
// the word of Unelevate nobody signs in and no session goes on.
func runElevation(t *testing.T, open Harness) {
	w := open(t)
	if len(w.Cases) == 0 {
		t.Skip("the connector has no resource types")
	}
	c := firstCase(w)
	if i := slices.IndexFunc(w.Cases, func(c Case) bool { return c.Type == w.ElevatedType }); i >= 0 {
		c = w.Cases[i]
	}
	a := newActor(t, w, c, "system", newMarker(w))
	if !a.system.Can("elevate") {
		t.Skip("the driver opens no logins for people")
	}
	if w.SignIn == nil || c.Type != w.ElevatedType {
		t.Fatal("the world has no hands to sign in with")
	}
	before := w.Look(t)
	d := a.made()
	text := "secret-" + rand.Text()
	a.secrets = append(a.secrets, text)
	id := tenure.NewID[tenure.ElevationID](time.Now())
	e := connector.Elevation{ID: id, Login: connector.LoginName(id), Secret: tenure.NewSecret(text), Until: time.Now().Add(time.Hour), Access: tenure.DirectRead, Refs: []connector.Ref{d.Ref}}

	for range 2 { // the second time it is there already
		a.must("elevate", a.checked("elevate", a.system.Elevate(t.Context(), e)))
	}
	use, err := w.SignIn(t, e.Login, e.Secret, d.Ref)
	if err != nil {
		t.Fatalf("the login doesn't work: %v", err)
	}
	if err := use(); err != nil {
		t.Errorf("the session doesn't work: %v", err)
	}
	list, err := a.system.Elevations(t.Context())
	a.must("elevations", err)
	a.says("elevations", list)
	if len(list) != 1 || list[0].ID != e.ID || list[0].Login != e.Login || !list[0].Open || list[0].Until.Sub(e.Until).Abs() > time.Second {
		t.Errorf("listed are %+v, want %s until %s", list, e.Login, e.Until)
	}
	a.stranger(e)
	for range 2 { // absent is success
		a.must("unelevate", a.checked("unelevate", a.system.Unelevate(t.Context(), e.Login)))
	}
	if err := use(); err == nil {
		t.Error("the session goes on after the login was ended")
	}
	if _, err := w.SignIn(t, e.Login, e.Secret, d.Ref); err == nil {
		t.Error("the login works after it was ended")
	}
	if list, err := a.system.Elevations(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("left are %+v, error %v", list, err)
	}
	_, _, err = a.system.Delete(t.Context(), d.Ref)
	a.must("delete", err)
	if after := w.Look(t); after != before {
		t.Errorf("something is left of the elevation:\n%s", after)
	}
}

// stranger is another installation: it neither sees the login nor ends it.
func (a *actor) stranger(e connector.Elevation) {
	a.t.Helper()
	b := a.another()
	if list, err := b.system.Elevations(a.t.Context()); err != nil || len(list) > 0 {
		a.t.Errorf("another installation lists %+v, error %v", list, err)
	}
	a.refused("unelevate by another installation", b.system.Unelevate(a.t.Context(), e.Login), tenure.Conflict)
	a.refused("elevate by another installation", b.system.Elevate(a.t.Context(), e), tenure.Conflict, tenure.Blocked)
}
