package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// HoldsView is a page of the holds.
type HoldsView struct {
	Filters Filters
	Rows    []HoldRow
	Pager   Pager
	Place   *Action // nil for who may not
}

// HoldRow is one legal hold.
type HoldRow struct {
	ID          tenure.HoldID
	Matter      string
	Scope       string // in words
	Tenant      Ref
	Reason      string
	PlacedBy    string
	Placed      time.Time
	Effective   time.Time // zero: batches in flight still drain
	AlreadyGone string
	ReleaseBy   []string // who has asked for the release so far
	Released    time.Time
	Custodians  []tenure.Custodian
	Stops       []Ref // operations that wait for it
	Actions     []Action
}

// Status is the hold's look.
func (r HoldRow) Status() Status {
	switch {
	case !r.Released.IsZero():
		return Status{ToneIdle, "gone", "released"}
	case len(r.ReleaseBy) > 0:
		return Status{ToneWarn, "lock", "release asked"}
	case r.Effective.IsZero():
		return Status{ToneInfo, "run", "binding"}
	}
	return Status{ToneHold, "lock", "effective"}
}

// Holds renders the list.
func (p *Pages) Holds(w io.Writer, frame Frame, v HoldsView) error {
	return p.render(w, "holds", framed, frame, v)
}
