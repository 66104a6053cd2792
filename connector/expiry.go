package connector

import "context"

// Stalled is one rule of a system's own by which what it keeps goes by itself: a
// lifecycle rule, an event.
type Stalled struct {
	Rule      string // as the system names it
	Was       string // what stood there, to the byte
	Is        string // what stands there while it is suspended
	Suspended bool
	Says      string // what it would take; of one that isn't suspended, why not
}

// Staller suspends a system's own expiry while a legal hold covers what it would take.
type Staller interface {
	// Stall suspends the rules that would take anything of the resource, or with parts
	// anything of these, and names them. One that takes nothing now isn't named, and isn't
	// touched. One that can't be suspended is named with why. It is safe to repeat.
	Stall(ctx context.Context, r Ref, keep []Kept) ([]Stalled, error)
}

// Unstaller puts back what Stall took.
type Unstaller interface {
	// Unstall puts a rule back as it was. If what stands there isn't what Stall left there,
	// it is Conflict and nothing is changed.
	Unstall(ctx context.Context, r Ref, s Stalled) error
}

// Stall suspends the rules of the system's own that would take what a hold covers. A
// system that has none to suspend names none.
func (s *System) Stall(ctx context.Context, r Ref, keep []Kept) (out []Stalled, err error) {
	if !is[Staller](s) {
		return nil, nil
	}
	err = capable(ctx, s, "suspend its own expiry", func(d Staller) (err error) { out, err = d.Stall(ctx, r, keep); return err })
	return out, err
}

// Unstall puts a rule back that Stall suspended.
func (s *System) Unstall(ctx context.Context, r Ref, was Stalled) error {
	return capable(ctx, s, "put its own expiry back", func(d Unstaller) error { return d.Unstall(ctx, r, was) })
}
