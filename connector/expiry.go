package connector

import "context"

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
	// takes nothing now isn't named. One that can't be suspended is named with why. It
	// changes nothing.
	Expiries(ctx context.Context, r Ref, keep []Kept) ([]Stalled, error)
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

// Expiries names the rules of the system's own that would take what a hold covers. A
// system that has none names none.
func (s *System) Expiries(ctx context.Context, r Ref, keep []Kept) (out []Stalled, err error) {
	if !is[ExpiryLister](s) {
		return nil, nil
	}
	err = capable(ctx, s, "name its own expiry", func(d ExpiryLister) (err error) { out, err = d.Expiries(ctx, r, keep); return err })
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
