package connectortest

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// find gives what a discovery says of one thing.
func find(seen []connector.Observed, r connector.Ref) (connector.Observed, bool) {
	for _, o := range seen {
		if o.Type == r.Type && o.Name == r.Name {
			return o, true
		}
	}
	return connector.Observed{}, false
}

func checkDiscover(a *actor) {
	made := []connector.Desired{a.made(), a.made(), a.made()}
	if !a.c.FixedNames {
		// Byte order differs from a dictionary's in these.
		for _, suffix := range []string{"Z", "é", "-z", "_z"} {
			d := a.renamed(a.sample(), made[0].Name+suffix)
			if _, _, err := a.ensure(d); err == nil {
				made = append(made, d)
			}
		}
	}
	a.untouched("discover", func() {
		all := a.discover(connector.Scope{})
		ordered(a.t, all)
		for _, d := range made {
			o, ok := find(all, d.Ref)
			if !ok {
				a.t.Errorf("discover doesn't find %s %q", d.Type, d.Name)
				continue
			}
			o.Found = true // which an answer to Discover need not say
			a.same(d, o)
		}
		for _, o := range a.discover(connector.Scope{Types: []string{a.c.Type}}) {
			if o.Type != a.c.Type {
				a.t.Errorf("discover of type %s yields %s %q", a.c.Type, o.Type, o.Name)
			}
		}
		if _, ok := find(a.discover(connector.Scope{Types: []string{a.c.Type}}), made[0].Ref); !ok {
			a.t.Errorf("discover of type %s doesn't find %q", a.c.Type, made[0].Name)
		}
	})
}

// ordered fails unless (type, name) rises in byte order.
func ordered(t *testing.T, seen []connector.Observed) {
	t.Helper()
	for i := 1; i < len(seen); i++ {
		p, q := seen[i-1], seen[i]
		if p.Type > q.Type || p.Type == q.Type && p.Name > q.Name {
			t.Errorf("discover yields %s %q before %s %q", p.Type, p.Name, q.Type, q.Name)
		}
	}
}

func checkDelete(a *actor) {
	absent := a.sample()
	a.untouched("delete of what is absent", func() {
		rec, err := a.delete(absent.Ref)
		a.must("delete of what is absent", err)
		if rec.Changed {
			a.t.Error("delete of what is absent says that it changed something")
		}
	})
	d, neighbour := a.made(), a.made()
	rec, err := a.delete(d.Ref)
	a.must("delete", err)
	if !rec.Changed {
		a.t.Error("delete says that nothing changed")
	}
	a.gone(d.Ref)
	a.there(neighbour)
	if _, ok := find(a.discover(connector.Scope{}), d.Ref); ok {
		a.t.Errorf("discover yields the deleted %s %q", d.Type, d.Name)
	}
	_, err = a.delete(d.Ref)
	a.must("second delete", err)
	d.Resource = tenure.NewID[tenure.ResourceID](epoch)
	_, _, err = a.ensure(d)
	a.must("ensure under a freed name", err)
	a.there(d)
}

// checkNeighbour deletes a thing whose name begins a neighbour's.
func checkNeighbour(a *actor) {
	if a.c.FixedNames {
		a.t.Skip("the names of this type aren't free")
	}
	d := a.made()
	var longer []connector.Desired
	for _, suffix := range []string{"2", "-x", "_", ".bak"} {
		n := a.renamed(a.sample(), d.Name+suffix)
		if _, _, err := a.ensure(n); err == nil {
			longer = append(longer, n)
		} else {
			a.refused("ensure", err, tenure.Invalid)
		}
	}
	if len(longer) == 0 {
		a.t.Errorf("no name that begins with %q can be used", d.Name)
	}
	_, err := a.delete(d.Ref)
	a.must("delete", err)
	a.gone(d.Ref)
	for _, n := range longer {
		a.there(n)
	}
}
