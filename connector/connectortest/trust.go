package connectortest

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// runTrust checks who a system is and when its silence counts.
func runTrust(t *testing.T, open Harness) {
	t.Run("fingerprint", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		a := newActor(t, w, firstCase(w), "driver", newMarker(w))
		one := plant(a)
		a.open()
		a.untouched("a repeated plant", func() {
			if again := plant(a); again != one || one == "" {
				t.Errorf("the fingerprint was %q and is %q", one, again)
			}
		})
		if b := plant(newActor(t, w, a.c, "driver", newMarker(w))); b != one {
			t.Errorf("two installations see %q and %q", one, b)
		}
		other := open(t)
		if f := plant(newActor(t, other, firstCase(other), "driver", newMarker(other))); f == one {
			t.Errorf("two systems have fingerprint %q", f)
		}
	})
	t.Run("before plant", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		if len(w.Cases) == 0 {
			t.Skip("nothing is planted in a system without resource types")
		}
		a := &actor{t: t, w: w, c: firstCase(w), marker: newMarker(w)}
		a.untouched("open and observe", func() {
			a.open()
			sight, err := a.driver.Observe(t.Context(), nil, func(connector.Observed) error { return nil })
			if a.checked("observe", err) == nil && sight.Sentinel {
				t.Error("a sentinel is seen before anything was planted")
			}
		})
	})
	for _, loss := range []struct {
		name string
		do   func(*World, *actor) bool
	}{
		{"sentinel lost", func(w *World, a *actor) bool { w.LoseSentinel(a.t); return true }},
		{"another system", func(_ *World, a *actor) bool { a.system.Fingerprint = "another system"; return true }},
		{"nothing recorded", func(_ *World, a *actor) bool { a.system.Fingerprint = ""; return true }},
		{"rights lost", func(w *World, a *actor) bool {
			if w.Hide == nil {
				return false
			}
			w.Hide(a.t)
			return true
		}},
	} {
		t.Run(loss.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			if len(w.Cases) == 0 {
				t.Skip("the connector has no resource types")
			}
			a := newActor(t, w, w.Cases[0], "system", newMarker(w))
			d := a.made()
			absent := a.sample()
			if !loss.do(w, a) {
				t.Skip("the harness can't")
			}
			distrusted(a, d, absent, loss.name != "rights lost")
		})
	}
	t.Run("outage", func(t *testing.T) { t.Parallel(); runOutage(t, open) })
}

func firstCase(w *World) Case {
	if len(w.Cases) == 0 {
		return Case{}
	}
	return w.Cases[0]
}

func plant(a *actor) string {
	a.t.Helper()
	f, err := a.driver.Plant(a.t.Context())
	a.must("plant", a.checked("plant", err))
	a.silent("plant", f)
	return f
}

// distrusted fails unless absence is unknown and, on a system that isn't the
// recorded one, nothing is changed.
func distrusted(a *actor, d, absent connector.Desired, refuses bool) {
	_, verdict, err := a.system.Observe(a.t.Context(), []connector.Ref{absent.Ref})
	if a.checked("observe", err) == nil && verdict != tenure.Unknown {
		a.t.Errorf("absence is %q", verdict)
	}
	trusted, err := a.system.Discover(a.t.Context(), connector.Scope{}, func(connector.Observed) error { return nil })
	if a.checked("discover", err) == nil && trusted == nil {
		a.t.Error("a discovery is trusted")
	}
	if a.maps() {
		_, verdict, err := a.system.DataMap(a.t.Context(), connector.Survey{Ref: d.Ref})
		if a.checked("data map", err) == nil && verdict != tenure.Unknown {
			a.t.Errorf("what the data map doesn't show is %q", verdict)
		}
	}
	if !refuses {
		return
	}
	a.open() // which makes it identify the system again
	a.untouched("a call on a system that can't be trusted", func() {
		_, _, _, err := a.system.Ensure(a.t.Context(), absent)
		a.refused("ensure", a.checked("ensure", err), tenure.Blocked)
		_, _, err = a.system.Delete(a.t.Context(), d.Ref)
		a.refused("delete", a.checked("delete", err), tenure.Blocked)
	})
}

func runOutage(t *testing.T, open Harness) {
	w := open(t)
	if w.Outage == nil || len(w.Cases) == 0 {
		t.Skip("the harness can't make the system unreachable")
	}
	a := newActor(t, w, w.Cases[0], "system", newMarker(w))
	d, next := a.made(), a.sample()
	restore := w.Outage(t)
	for call, f := range map[string]func() error{
		"ensure":  func() error { _, _, _, err := a.system.Ensure(t.Context(), next); return err },
		"delete":  func() error { _, _, err := a.system.Delete(t.Context(), d.Ref); return err },
		"observe": func() error { _, _, err := a.system.Observe(t.Context(), []connector.Ref{d.Ref}); return err },
		"discover": func() error {
			_, err := a.system.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil })
			return err
		},
	} {
		err := a.checked(call, f())
		a.refused(call+" during an outage", err, tenure.Unavailable)
		if !tenure.CanRetry(err) {
			t.Errorf("%s during an outage: the error doesn't say that a retry helps", call)
		}
	}
	restore()
	a.there(d)
	_, _, err := a.ensure(next)
	a.must("ensure after an outage", err)
	a.there(next)
}
