package connectortest

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// can says whether the driver offers a capability at all.
func (a *actor) can(call string) bool {
	ok := false
	switch call {
	case "suspend", "resume":
		_, ok = connector.As[connector.Suspender](a.driver)
	case "revoke":
		_, ok = connector.As[connector.Revoker](a.driver)
	case "quarantine", "unquarantine":
		_, ok = connector.As[connector.Quarantiner](a.driver)
	case "export":
		_, ok = connector.As[connector.Exporter](a.driver)
	case "erase":
		_, ok = connector.As[connector.Eraser](a.driver)
	case "map":
		_, ok = connector.As[connector.Mapper](a.driver)
	case "tally":
		_, ok = connector.As[connector.Tallier](a.driver)
	}
	return ok
}

// lacks says that the harness declares the type to be without a capability.
func (a *actor) lacks(call string) bool { return slices.Contains(a.c.Without, call) }

// offers decides whether a check of the capability runs. A type that owes it
// and doesn't have it fails; one that doesn't owe it and refuses is skipped,
// after a look that nothing was done.
func (a *actor) offers(call string, owed bool, try func() error) bool {
	a.t.Helper()
	owed = owed && !a.lacks(call)
	if !a.can(call) {
		if owed {
			a.t.Errorf("type %s should offer %s, and the driver can't", a.c.Type, call)
		} else {
			a.t.Skipf("the driver can't %s", call)
		}
		return false
	}
	refused := false
	before := a.w.Look(a.t)
	if err := try(); err != nil {
		a.refused(call, err, tenure.Invalid)
		refused = true
	}
	switch {
	case refused && owed:
		a.t.Errorf("type %s should offer %s, and refuses", a.c.Type, call)
	case refused:
		if after := a.w.Look(a.t); after != before {
			a.t.Errorf("a refused %s changed the system", call)
		}
		a.t.Skipf("type %s can't %s", a.c.Type, call)
	}
	return !refused
}

func (a *actor) inState(call string, r connector.Ref, states ...tenure.ResourceState) {
	a.t.Helper()
	o := a.observe(r)[0]
	if !o.Found || o.Owner != connector.Ours || o.Name != r.Name || !slices.Contains(states, o.State) {
		a.t.Errorf("after %s: found=%t owner=%q name=%q state=%q, want ours, %q, %v", call, o.Found, o.Owner, o.Name, o.State, r.Name, states)
	}
}

func (a *actor) works(call string, d connector.Desired, want bool) {
	a.t.Helper()
	if a.c.Works != nil && a.c.Works(a.t, d) != want {
		a.t.Errorf("after %s: access works=%t, want %t", call, !want, want)
	}
}

func checkSuspend(a *actor) {
	d, neighbour := a.made(), a.made()
	if !a.offers("suspend", a.typ.Layer.IsAccess(), func() error { _, err := a.do("suspend", d.Ref); return err }) {
		return
	}
	a.inState("suspend", d.Ref, tenure.ResourceSuspended)
	a.works("suspend", d, false)
	a.works("a neighbour's suspend", neighbour, true)
	a.untouched("the second suspend", func() {
		rec, err := a.do("suspend", d.Ref)
		a.must("second suspend", err)
		if rec.Changed {
			a.t.Error("the second suspend says that it changed something")
		}
	})
	if o, ok := find(a.discover(connector.Scope{}), d.Ref); !ok || o.Owner != connector.Ours {
		a.t.Error("discover doesn't find what is suspended")
	}
	for range 2 {
		_, err := a.do("resume", d.Ref)
		a.must("resume", err)
	}
	a.inState("resume", d.Ref, tenure.ResourcePresent)
	a.works("resume", d, true)
	a.there(d)
	_, err := a.do("suspend", d.Ref)
	a.must("suspend", err)
	_, err = a.delete(d.Ref)
	a.must("delete of what is suspended", err)
	a.gone(d.Ref)
	for _, call := range []string{"suspend", "resume"} {
		_, err := a.do(call, d.Ref)
		a.refused(call+" of what is absent", err, tenure.NotFound)
	}
}

func checkRevoke(a *actor) {
	d, neighbour := a.made(), a.made()
	if !a.offers("revoke", a.typ.Layer.IsAccess(), func() error { _, err := a.do("revoke", d.Ref); return err }) {
		return
	}
	a.works("revoke", d, false)
	a.works("a neighbour's revoke", neighbour, true)
	if o := a.observe(d.Ref)[0]; o.Found && o.State != tenure.ResourceRevoked && o.State != tenure.ResourceQuarantined {
		a.t.Errorf("after revoke: state %q", o.State)
	}
	a.untouched("the second revoke", func() {
		rec, err := a.do("revoke", d.Ref)
		a.must("second revoke", err)
		if rec.Changed {
			a.t.Error("the second revoke says that it changed something")
		}
	})
	a.works("the second revoke", d, false)
	if a.typ.Credential {
		reissued := d
		if a.typ.Issued {
			d.Credential = a.w.Safe.Issued(d.Resource).Credential
			a.secrets = append(a.secrets, d.Credential.Reveal())
			reissued.Reissue = time.Now()
		} else {
			reissued.Credential = tenure.NewSecret("reissued-" + rand.Text())
			a.secrets = append(a.secrets, reissued.Credential.Reveal())
		}
		_, _, err := a.ensure(reissued)
		a.must("ensure with a new credential", err)
		a.inState("a reissue", d.Ref, tenure.ResourcePresent)
		a.works("a reissue, with the new credential", reissued, true)
		a.works("a reissue, with the old credential", d, false)
	}
	_, err := a.delete(d.Ref)
	a.must("delete of what is revoked", err)
	a.gone(d.Ref)
	a.untouched("revoke of what is absent", func() {
		_, err := a.do("revoke", d.Ref)
		a.must("revoke of what is absent", err)
	})
}
