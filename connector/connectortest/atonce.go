package connectortest

import (
	"sync"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// checkAtOnce has calls on several things and looks come together, and of a System also calls
// on one thing, as two operations and a look at drift do. A call may be refused because of another one; in the
// end each thing is there once and as desired, and then nothing is left of any.
func checkAtOnce(a *actor) {
	_, err := a.delete(a.made().Ref) // what the first of a type leaves for the others is there
	a.must("delete", err)
	a.untouched("calls that came together", func() {
		all := []connector.Desired{a.sample(), a.sample(), a.sample()}
		refs := make([]connector.Ref, len(all))
		for i, d := range all {
			refs[i] = d.Ref
		}
		calls := all
		if a.system != nil { // it keeps those on one thing apart
			calls = []connector.Desired{all[0], all[0], all[0], all[1], all[1], all[2]}
		}
		a.together(calls, func(d connector.Desired) {
			_, _, err := a.ensure(d)
			a.inTheWay("ensure", err)
		}, refs)
		for _, d := range all {
			_, _, err := a.ensure(d)
			a.must("ensure after those that came together", err)
			a.there(d)
		}
		seen := make(map[tenure.ResourceID]int)
		for _, o := range a.discover(connector.Scope{}) {
			seen[o.Resource]++
		}
		for _, r := range refs {
			if seen[r.Resource] != 1 {
				a.t.Errorf("%s %q is there %d times", r.Type, r.Name, seen[r.Resource])
			}
		}
		a.together(calls, func(d connector.Desired) {
			_, err := a.delete(d.Ref)
			a.inTheWay("delete", err)
		}, refs)
		for _, r := range refs {
			_, err := a.delete(r)
			a.must("delete after those that came together", err)
			a.gone(r)
		}
	})
}

// together makes the calls, and two looks beside them, at the same time.
func (a *actor) together(calls []connector.Desired, do func(connector.Desired), refs []connector.Ref) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for _, d := range calls {
		all.Go(func() { <-start; do(d) })
	}
	all.Go(func() { <-start; a.glance(refs) })
	all.Go(func() { <-start; a.glance(nil) })
	close(start)
	all.Wait()
}

// glance looks at the refs, or with none at everything, while things come and go: what it
// sees of them isn't judged, only that it can look.
func (a *actor) glance(refs []connector.Ref) {
	take := func(connector.Observed) error { return nil }
	var err error
	switch {
	case refs == nil && a.system != nil:
		_, err = a.system.Discover(a.t.Context(), connector.Scope{}, take)
	case refs == nil:
		_, err = a.driver.Discover(a.t.Context(), connector.Scope{}, take)
	case a.system != nil:
		_, _, err = a.system.Observe(a.t.Context(), refs)
	default:
		_, err = a.driver.Observe(a.t.Context(), refs, take)
	}
	a.inTheWay("a look", a.checked("a look", err))
}

// inTheWay fails on errors other than those that say that something else is under way.
func (a *actor) inTheWay(call string, err error) {
	if err != nil && tenure.CodeOf(err) != tenure.Conflict && !tenure.CanRetry(err) {
		a.t.Errorf("%s beside others: %v", call, err)
	}
}
