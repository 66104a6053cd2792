package connectortest

import (
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// checkLost takes the mark away from a thing of ours: it is seen, as nobody's, and
// never as gone; nothing is done to it; adopted, it is ours as before.
func checkLost(a *actor) {
	if a.c.Unmark == nil || a.c.Hollow {
		a.t.Skip("the mark of this type can't be lost")
	}
	adopter, ok := connector.As[connector.Adopter](a.driver)
	if !ok {
		a.t.Fatal("a driver whose marks can be lost has to be a connector.Adopter")
	}
	adopt := func(r connector.Ref) (rec connector.Receipt, err error) {
		if a.system != nil {
			var v tenure.Verdict
			if rec, v, err = a.system.Adopt(a.t.Context(), r, tenure.ResourcePresent); err == nil && v != tenure.Verified {
				a.t.Errorf("adopt %s %q: verdict %q", r.Type, r.Name, v)
			}
		} else {
			rec, err = adopter.Adopt(a.t.Context(), r, tenure.ResourcePresent)
		}
		a.says("adopt", rec)
		return rec, a.checked("adopt", err)
	}
	d, neighbour := a.made(), a.made()
	a.untouched("adopt of what has its mark", func() {
		rec, err := adopt(d.Ref)
		a.must("adopt of what has its mark", err)
		if rec.Changed {
			a.t.Error("adopt of what has its mark says that it changed something")
		}
		other := d.Ref
		other.Resource = tenure.NewID[tenure.ResourceID](epoch)
		_, err = adopt(other)
		a.refused("adopt of another resource's", err, tenure.Conflict)
	})

	a.c.Unmark(a.t, d.Ref)
	a.guarded(d, connector.Unmarked, false)
	rec, err := adopt(d.Ref)
	a.must("adopt", err)
	if !rec.Changed {
		a.t.Error("adopt says that nothing changed")
	}
	if o := a.observe(d.Ref)[0]; !o.Found || o.Owner != connector.Ours || o.Resource != d.Resource {
		a.t.Errorf("adopted, it is observed with found=%t owner=%q resource=%q", o.Found, o.Owner, o.Resource)
	}
	_, _, err = a.ensure(d)
	a.must("ensure of what was adopted", err)
	a.there(d)
	a.there(neighbour)
	if o, ok := find(a.discover(connector.Scope{}), d.Ref); !ok || o.Owner != connector.Ours {
		a.t.Errorf("discover says found=%t owner=%q of what was adopted", ok, o.Owner)
	}
	_, err = a.delete(d.Ref)
	a.must("delete of what was adopted", err)
	a.gone(d.Ref)
	_, err = adopt(d.Ref)
	a.refused("adopt of what is absent", err, tenure.NotFound)
}
