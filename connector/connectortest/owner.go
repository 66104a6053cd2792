package connectortest

import (
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// guarded fails unless every changing call on the thing is Conflict and leaves
// it alone, and it is seen as owner's, by Observe and (if listed) by Discover.
func (a *actor) guarded(d connector.Desired, owner connector.Ownership, listed bool) {
	a.t.Helper()
	a.untouched("a call on a thing that is "+string(owner), func() {
		_, _, err := a.ensure(d)
		a.refused("ensure", err, tenure.Conflict)
		_, err = a.delete(d.Ref)
		a.refused("delete", err, tenure.Conflict)
		for _, call := range []string{"suspend", "revoke", "quarantine"} {
			if a.can(call) {
				_, err = a.do(call, d.Ref)
				a.refused(call, err, tenure.Conflict, tenure.Invalid)
			}
		}
		if _, ok := connector.As[connector.Eraser](a.driver); ok && a.typ.Holds == tenure.HoldsData {
			_, err = a.erase(d.Ref, connector.Batch{Limit: 10})
			a.refused("erase", err, tenure.Conflict, tenure.Invalid)
		}
	})
	o := a.observe(d.Ref)[0]
	if !o.Found || o.Owner != owner || owner != connector.Ours && o.Resource != "" {
		a.t.Errorf("observed found=%t owner=%q resource=%q, want a thing that is %s", o.Found, o.Owner, o.Resource, owner)
	}
	if !listed {
		return
	}
	o, ok := find(a.discover(connector.Scope{}), d.Ref)
	if !ok || o.Owner != owner {
		a.t.Errorf("discover says found=%t owner=%q, want a thing that is %s", ok, o.Owner, owner)
	}
}

func checkUnmarked(a *actor) {
	if a.c.Foreign == nil {
		a.t.Skip("nothing of this type can be unmarked")
	}
	d := a.sample()
	a.c.Foreign(a.t, d.Ref)
	a.guarded(d, connector.Unmarked, !a.c.Unlisted)
}

// checkInstallations lets two installations share one system.
func checkInstallations(a *actor) {
	if a.c.Unshared {
		checkApart(a)
		return
	}
	d := a.made()
	b := a.another()
	b.secrets = append(b.secrets, a.secrets...)
	theirs := b.sample()
	theirs.Name, theirs.Attributes = d.Name, d.Attributes
	b.guarded(theirs, connector.Others, true)
	a.there(d)
	own := b.made()
	b.there(own)
	a.there(d)
	if o, ok := find(a.discover(connector.Scope{}), own.Ref); !ok || o.Owner != connector.Others {
		a.t.Errorf("the first installation sees the second's as found=%t %q", ok, o.Owner)
	}
}

// checkApart lets two installations, and two resources of one, make things of one name:
// neither call on the one is felt by the other.
func checkApart(a *actor) {
	d := a.made()
	b := a.another()
	for _, of := range []*actor{a, b} {
		same := of.sample()
		same.Name, same.Attributes = d.Name, d.Attributes
		_, _, err := of.ensure(same)
		of.must("ensure of a second thing of that name", err)
		of.there(same)
		_, err = of.delete(same.Ref)
		of.must("delete of a second thing of that name", err)
		of.gone(same.Ref)
		a.there(d)
	}
}

// checkAnotherResource tries to take one resource of ours for another.
func checkAnotherResource(a *actor) {
	if a.c.Unshared {
		a.t.Skip("things of one name are several things")
	}
	d := a.made()
	other := d
	other.Resource = tenure.NewID[tenure.ResourceID](epoch)
	a.untouched("a call for another resource of that name", func() {
		_, _, err := a.ensure(other)
		a.refused("ensure", err, tenure.Conflict)
		_, err = a.delete(other.Ref)
		a.refused("delete", err, tenure.Conflict)
	})
	a.there(d)
}

// checkMarks replaces the mark by ones that don't authenticate.
func checkMarks(a *actor) {
	if a.c.Remark == nil {
		a.t.Skip("the mark can't be replaced from outside")
	}
	elsewhere := a.marker
	elsewhere.System = "another-system"
	stranger := newMarker(a.w)
	for _, mark := range []struct {
		name  string
		text  func(tenure.ResourceID) string
		owner connector.Ownership
	}{
		{"wrong code", func(id tenure.ResourceID) string {
			m := a.marker.Mark(a.c.Type, id)
			return m[:strings.LastIndexByte(m, ':')+1] + strings.Repeat("A", 24)
		}, connector.Forged},
		{"another type's", func(id tenure.ResourceID) string { return a.marker.Mark(a.c.Type+"x", id) }, connector.Forged},
		{"another system's", func(id tenure.ResourceID) string { return elsewhere.Mark(a.c.Type, id) }, connector.Forged},
		{"another installation's", func(id tenure.ResourceID) string { return stranger.Mark(a.c.Type, id) }, connector.Others},
		{"cut off", func(tenure.ResourceID) string { return "tenure:1:cut" }, connector.Malformed},
	} {
		d := a.made()
		a.c.Remark(a.t, d.Ref, mark.text(d.Resource))
		a.t.Log("a mark that is " + mark.name)
		a.guarded(d, mark.owner, true)
	}
	d := a.made()
	a.c.Remark(a.t, d.Ref, a.marker.Mark(a.c.Type, tenure.NewID[tenure.ResourceID](epoch)))
	owner := connector.Ours
	if a.observe(d.Ref)[0].Owner == connector.Forged { // more than the mark is authenticated
		owner = connector.Forged
	}
	a.guarded(d, owner, true)
}
