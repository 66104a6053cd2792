package connector

import (
	"context"

	"github.com/tenurehq/tenure"
)

// Stalled is one rule of a system's own by which what it keeps goes by itself: a
// lifecycle rule, an event.
type Stalled struct {
	Rule      string // as the system names it
	Was       string // what stood there, to the byte
	Is        string // what stands there while it is suspended; blank: it can't be
	Suspended bool   // false of one whose suspension is intended, and may have happened
	Says      string // what it would take; of one that isn't suspended, why not
}

// ExpiryLister knows the rules by which what a system keeps goes by itself.
type ExpiryLister interface {
	// Expiries names the rules that would take anything of the resource, or with parts
	// anything of these, and what would stand there while they were suspended. One that
	// takes nothing now isn't named, and so isn't one that is switched off, unless it is
	// among suspended and stands as that one is: then it is looked at as it was. One that
	// can't be suspended is named with why. It changes nothing.
	Expiries(ctx context.Context, r Ref, keep []Kept, suspended []Stalled) ([]Stalled, error)
}

// Staller suspends a system's own expiry while a legal hold covers what it would take.
type Staller interface {
	// Stall suspends a rule that Expiries named, if it still stands as it was, and says
	// how it stands then: one that is suspended already is suspended, one that was changed
	// in such a way that it goes on isn't. After a kill it is safe to repeat with what was
	// named before, and tells whether the rule was suspended.
	Stall(ctx context.Context, r Ref, s Stalled) (Stalled, error)
}

// Unstaller puts back what Stall took.
type Unstaller interface {
	// Unstall puts a rule back as it was. If what stands there isn't what Stall left there,
	// it is Conflict and nothing is changed; a rule that may never have been suspended, and
	// isn't, is left as it stands.
	Unstall(ctx context.Context, r Ref, s Stalled) error
}

// AsItWas is what stood in a rule's place if that which stands there is its suspension, and
// what stands there otherwise.
func AsItWas(suspended []Stalled, rule, is string) string {
	for _, e := range suspended {
		if e.Rule == rule && e.Is == is {
			return e.Was
		}
	}
	return is
}

// Standing is a rule as its connector reads and switches it. Its methods are what Staller
// and Unstaller do with it, which is the same everywhere.
type Standing struct {
	Read func() (is string, err error) // blank: it isn't there
	Off  func(is string) bool          // whether what stands there is switched off
	Set  func(on bool) error           // an error with a code; one that isn't Unavailable says why it can't be switched
}

// Stall is described at Staller.
func (r Standing) Stall(one Stalled) (Stalled, error) {
	is, err := r.Read()
	switch {
	case err != nil:
		return one, err
	case is == one.Is:
		one.Suspended = true
		return one, nil
	case is != one.Was:
		if one.Suspended = r.Off(is); !one.Suspended {
			one.Says += ", and was changed or removed before it could be suspended"
		}
		return one, nil
	}
	if err := r.Set(false); err != nil {
		if tenure.CodeOf(err) == tenure.Unavailable {
			return one, err
		}
		one.Suspended = false
		one.Says += ", and can't be suspended: " + err.Error()
		return one, nil
	}
	if is, err = r.Read(); err != nil { // systems write it in their own way
		return one, err
	}
	if one.Is, one.Suspended = is, r.Off(is); !one.Suspended {
		one.Says += ", and the system goes on with it"
	}
	return one, nil
}

// Unstall is described at Unstaller.
func (r Standing) Unstall(was Stalled) error {
	is, err := r.Read()
	switch {
	case err != nil:
		return err
	case is == was.Was, is != was.Is && !was.Suspended && !r.Off(is):
		return nil
	case is != was.Is:
		return tenure.Errorf(tenure.Conflict, "%s was changed or removed while a hold had suspended it", was.Rule).WithHint("look at it: it was\n%s", was.Was)
	}
	return r.Set(true)
}

// Expiries names the rules of the system's own that would take what a hold covers. A
// system that has none names none.
func (s *System) Expiries(ctx context.Context, r Ref, keep []Kept, suspended []Stalled) (out []Stalled, err error) {
	if !is[ExpiryLister](s) {
		return nil, nil
	}
	err = capable(ctx, s, "name its own expiry", func(d ExpiryLister) (err error) { out, err = d.Expiries(ctx, r, keep, suspended); return err })
	return out, err
}

// Stall suspends a rule that Expiries named.
func (s *System) Stall(ctx context.Context, r Ref, one Stalled) (out Stalled, err error) {
	err = capable(ctx, s, "suspend its own expiry", func(d Staller) (err error) { out, err = d.Stall(ctx, r, one); return err })
	return out, err
}

// Unstall puts a rule back that Stall suspended.
func (s *System) Unstall(ctx context.Context, r Ref, was Stalled) error {
	return capable(ctx, s, "put its own expiry back", func(d Unstaller) error { return d.Unstall(ctx, r, was) })
}
