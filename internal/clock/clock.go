// Package clock gives the time, and says when it can't be relied on. The machine's
// clock is held against its monotonic one while Tenure runs and, at start, against a
// heartbeat file. A clock in doubt still ticks; what destroys, or what a date alone
// makes due, waits until somebody confirms the time.
package clock

import (
	"fmt"
	"time"

	"github.com/tenurehq/tenure"
)

// Clock gives the time. Machine and Virtual are the two kinds.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// Doubt says why the time can't be relied on; nil: it can. It looks at the clock.
	Doubt() *Doubt
	// Confirm takes somebody's word that the time is about what they say, and gives the
	// doubt that it ends. Conflict means that there is none, Invalid that the clock says
	// another time than they do.
	Confirm(said time.Time) (Doubt, error)
	// Beat notes that the time is right up to now, or that it is in doubt. It is cheap
	// to call often.
	Beat() error
}

const (
	// Tolerance is how far the machine's clock may be off from what is expected.
	Tolerance = time.Hour
	// Longest is how long Tenure may have been off without being asked about the time.
	Longest = 72 * time.Hour
	// every is how often a heartbeat is written.
	every = time.Minute
)

// Kind says how a clock came into doubt.
type Kind string

const (
	Jump     Kind = "jump"     // while it ran, the time went on by more than what passed
	Back     Kind = "back"     // the time is before what it was
	Gap      Kind = "gap"      // the last heartbeat is long ago
	Lost     Kind = "lost"     // there is no heartbeat, though the installation isn't new
	Unusable Kind = "unusable" // the heartbeat can't be read
)

// Doubt is why the time can't be relied on.
type Doubt struct {
	Kind Kind      `json:"kind"`
	Was  time.Time `json:"was,omitzero"` // what the time should have been or, at start, the last heartbeat's
	Is   time.Time `json:"is"`           // what the clock said when that was noticed
}

// String is a doubt in a sentence that stays the same while it lasts.
func (d Doubt) String() string {
	const form = "2006-01-02 15:04 MST"
	was, is := d.Was.UTC().Format(form), d.Is.UTC().Format(form)
	switch d.Kind {
	case Jump:
		return fmt.Sprintf("the machine's clock jumped from %s to %s", was, is)
	case Back:
		return fmt.Sprintf("the machine's clock went back from %s to %s", was, is)
	case Gap:
		return fmt.Sprintf("the machine's clock says %s, and the last heartbeat was at %s, more than %d hours before", is, was, int(Longest.Hours()))
	case Lost:
		return fmt.Sprintf("the machine's clock says %s, and there is no heartbeat file to hold it against", is)
	}
	return fmt.Sprintf("the machine's clock says %s, and the heartbeat file can't be read to hold it against", is)
}

// Virtual is a clock that somebody sets: a test's, a rehearsal's. It goes where it is
// told to, so nothing about it is ever in doubt.
type Virtual func() time.Time

// Now is the time that the clock was set to.
func (v Virtual) Now() time.Time { return v() }

// Doubt is always nil.
func (v Virtual) Doubt() *Doubt { return nil }

// Beat does nothing.
func (v Virtual) Beat() error { return nil }

// Confirm is always a Conflict.
func (v Virtual) Confirm(time.Time) (Doubt, error) { return Doubt{}, notInDoubt() }

func notInDoubt() error {
	return tenure.Errorf(tenure.Conflict, "the time isn't in doubt: there is nothing to confirm")
}

var (
	_ Clock = Virtual(nil)
	_ Clock = (*Machine)(nil)
)

// Check is Confirm that ends nothing yet.
func Check(c Clock, said time.Time) (Doubt, error) {
	d := c.Doubt()
	if d == nil {
		return Doubt{}, notInDoubt()
	}
	return *d, near(said, c.Now())
}
