package connectortest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tenurehq/tenure/connector"
)

func cancelled(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// checkObserve reads a hundred refs in one call, most of them absent.
func checkObserve(a *actor) {
	there := []connector.Desired{a.made(), a.made(), a.made()}
	var refs []connector.Ref
	for i := range 97 {
		d := a.sample()
		if !a.c.FixedNames {
			d = a.renamed(d, fmt.Sprintf("%s-absent-%d", there[0].Name, i))
		}
		refs = append(refs, d.Ref)
	}
	for i, d := range there {
		at := i * 40
		refs = append(refs[:at], append([]connector.Ref{d.Ref}, refs[at:]...)...)
	}
	a.untouched("observe", func() {
		seen := a.observe(refs...)
		for i, o := range seen {
			if i%40 == 0 {
				a.same(there[i/40], o)
			} else if o.Found {
				a.t.Errorf("absent %s %q is observed", refs[i].Type, refs[i].Name)
			}
		}
	})
}

// checkObserveStops fails if a caller's error doesn't end the pass.
func checkObserveStops(a *actor) {
	d, e := a.made(), a.made()
	enough := errors.New("enough")
	calls := 0
	stop := func(connector.Observed) error { calls++; return enough }
	_, err := a.driver.Observe(a.t.Context(), []connector.Ref{d.Ref, e.Ref}, stop)
	if !errors.Is(err, enough) || calls != 1 {
		a.t.Errorf("observe goes on after its caller's error: %d calls, error %v", calls, err)
	}
	calls = 0
	_, err = a.driver.Discover(a.t.Context(), connector.Scope{}, stop)
	if !errors.Is(err, enough) || calls != 1 {
		a.t.Errorf("discover goes on after its caller's error: %d calls, error %v", calls, err)
	}
}
