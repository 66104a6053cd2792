package connector

import (
	"context"

	"github.com/tenurehq/tenure"
)

// Checker says which rights Tenure's own role has in the system, which it lacks, and
// which it has beyond what Tenure needs. It changes nothing, reads what every role may,
// and answers for a system that wasn't added yet.
type Checker interface {
	// Check holds the rights against what Tenure always needs, and against what the
	// resources and the cleaning ask for; nil is no blueprint, whose features may ask for more.
	Check(ctx context.Context, asked []Asked) (Checkup, error)
}

// Asked is a resource as a blueprint writes it: its attributes may hold ${…} texts. With
// Clean it is none, but a kind of what is physically left that Tenure is to clean.
type Asked struct {
	Key        string // the blueprint's name for it
	Type       string
	Name       string
	Attributes map[string]any
	Clean      tenure.RemnantKind
}

// RightState is where one right stands.
type RightState string

const (
	RightHeld     RightState = "held"
	RightMissing  RightState = "missing"  // what needs it fails
	RightOptional RightState = "optional" // not held, and perhaps not needed
	RightBeyond   RightState = "beyond"   // held, and Tenure works without it
)

// Right is one right of Tenure's role.
type Right struct {
	Name  string // as the system calls it
	State RightState
	For   string // what needs it; of one beyond need, what it lets its holder do
	Fix   string // the statements that grant it, or that take it away; "" of one that is held
}

// Checkup is what a check of Tenure's rights saw.
type Checkup struct {
	Role    string // in whose name Tenure works there
	Version string // the system's own
	Rights  []Right
	Notes   []string // what is to know besides

	// Untold is why the system doesn't tell what Tenure's role may do beyond need; "" where
	// it does. Then no right beyond need says nothing, and a person compares.
	Untold string
}

// Check says which rights Tenure's role has, lacks and has beyond need. A system whose
// connector has nothing to check is not ok. The system isn't identified before: what is
// missing may be the right to see who it is.
func (s *System) Check(ctx context.Context, asked []Asked) (c Checkup, ok bool, err error) {
	if !is[Checker](s) {
		return c, false, nil
	}
	l, leave := s.take()
	defer leave()
	err = s.observed(ctx, l, "check", func(d Driver) (err error) {
		c, err = d.(Checker).Check(ctx, asked)
		return err
	})
	return c, true, s.wrap(l, "check", err)
}
