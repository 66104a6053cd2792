package connectortest

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure/connector"
)

// Staller is a driver that suspends its system's own expiry for holds.
type Staller interface {
	connector.ExpiryLister
	connector.Staller
	connector.Unstaller
}

// StallAll suspends what would take anything of a resource, and returns how each rule
// stands. What was intended before a kill is told apart afterwards: after a suspension the
// same call finds the rule suspended, and the end of the hold puts back one of which only
// the intent is known.
func StallAll(t *testing.T, d Staller, r connector.Ref, keep []connector.Kept) (out []connector.Stalled) {
	t.Helper()
	all, err := d.Expiries(t.Context(), r, keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, intent := range all {
		if intent.Is == "" {
			out = append(out, intent)
			continue
		}
		stall := func(when string) connector.Stalled {
			t.Helper()
			one, err := d.Stall(t.Context(), r, intent)
			if err != nil {
				t.Fatalf("%s %s: %v", intent.Rule, when, err)
			}
			return one
		}
		unstall := func(when string) {
			t.Helper()
			if err := d.Unstall(t.Context(), r, intent); err != nil {
				t.Fatalf("%s %s: %v", intent.Rule, when, err)
			}
		}
		unstall("was never suspended")
		first := stall("the first time")
		if again := stall("after it was suspended"); again != first {
			t.Errorf("%s after a kill is %+v, want %+v", intent.Rule, again, first)
		}
		if first.Suspended {
			unstall("was suspended, and that wasn't written down")
			if again := stall("after it was put back"); again != first {
				t.Errorf("%s after it was put back is %+v, want %+v", intent.Rule, again, first)
			}
		}
		named := func(suspended ...connector.Stalled) bool {
			t.Helper()
			all, err := d.Expiries(t.Context(), r, keep, suspended)
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(all, func(s connector.Stalled) bool {
				return s.Rule == first.Rule && s.Was == first.Was && s.Is != ""
			})
		}
		if other := first; first.Suspended {
			if other.Is += " "; named() || named(other) || !named(first) {
				t.Errorf("%s is suspended: named %v, as another %v, as itself %v; want the last alone", first.Rule, named(), named(other), named(first))
			}
		}
		out = append(out, first)
	}
	return out
}
