package connectortest

import (
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func checkQuarantine(a *actor) {
	d, neighbour := a.made(), a.made()
	filled := a.fill(d, 5)
	a.fill(neighbour, 3)
	if !a.offers("quarantine", a.typ.Recovery.Quarantine, func() error { _, err := a.do("quarantine", d.Ref); return err }) {
		return
	}
	if !a.typ.Recovery.Quarantine {
		a.t.Errorf("type %s can be quarantined and doesn't declare it", a.c.Type)
	}
	a.inState("quarantine", d.Ref, tenure.ResourceQuarantined)
	a.works("quarantine", d, false)
	if a.c.Exists != nil && a.c.Exists(a.t, d.Ref) {
		a.t.Error("what is quarantined can still be reached under its name")
	}
	a.there(neighbour)
	if o, ok := find(a.discover(connector.Scope{}), d.Ref); !ok || o.State != tenure.ResourceQuarantined || o.Owner != connector.Ours {
		a.t.Errorf("discover gives what is quarantined as found=%t %q %q", ok, o.State, o.Owner)
	}
	a.untouched("the second quarantine and a refused ensure", func() {
		rec, err := a.do("quarantine", d.Ref)
		a.must("second quarantine", err)
		if rec.Changed {
			a.t.Error("the second quarantine says that it changed something")
		}
		_, _, err = a.ensure(d)
		a.refused("ensure of what is quarantined", err, tenure.Conflict, tenure.Blocked)
	})
	for range 2 {
		_, err := a.do("unquarantine", d.Ref)
		a.must("unquarantine", err)
	}
	a.inState("unquarantine", d.Ref, tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceRevoked)
	a.counts(d, filled)
	_, _, err := a.ensure(d)
	a.must("ensure after unquarantine", err)
	if a.c.Exists != nil && !a.c.Exists(a.t, d.Ref) {
		a.t.Error("what was brought back isn't there under its name")
	}
	checkQuarantinedEnd(a, d, neighbour)
}

// checkQuarantinedEnd erases and deletes what is quarantined.
func checkQuarantinedEnd(a *actor, d, neighbour connector.Desired) {
	a.t.Helper()
	_, err := a.do("quarantine", d.Ref)
	a.must("quarantine", err)
	if a.c.Fill != nil && a.can("erase") {
		sum := a.erasure(d.Ref, d.Classes[0], 2).all()
		if sum != 5 {
			a.t.Errorf("erasing from quarantine counts %d of 5", sum)
		}
		a.inState("an erasure", d.Ref, tenure.ResourceQuarantined)
	}
	_, err = a.delete(d.Ref)
	a.must("delete of what is quarantined", err)
	a.gone(d.Ref)
	if _, ok := find(a.discover(connector.Scope{}), d.Ref); ok {
		a.t.Error("discover yields what was deleted from quarantine")
	}
	a.there(neighbour)
	a.untouched("quarantine of what is absent", func() {
		_, err := a.do("quarantine", d.Ref)
		a.must("quarantine of what is absent", err)
		_, err = a.do("unquarantine", d.Ref)
		a.refused("unquarantine of what is absent", err, tenure.NotFound)
	})
}
