package dashboard

import (
	"io"
	"time"
)

// ConfirmView asks whether something is to be destroyed. It is a page of its
// own, and a plain POST sends the answer: the typed name as "confirm", and the
// digest that was shown as "digest".
type ConfirmView struct {
	Title    string // "Offboard acme"
	Name     string // what must be typed
	Says     string
	Gone     []GoneItem
	Stays    []string // what isn't touched, or is kept longer, and why
	Dates    []DepartureDate
	NoReturn time.Time // until when it can be undone
	NoUndo   string    // said instead, where it can't be
	Digest   string
	PlanHref string
	Who      string // whose approval it takes besides
	Fields   []Field
	Hidden   []Pair
	Post     string
	Button   string
	Cancel   string // path back
	Error    string // what was wrong with the last try
	Typed    string
}

// GoneItem is something that will be gone.
type GoneItem struct {
	What, Where string
	Count       int64     // rows, objects; 0: not counted
	At          time.Time // when, by projection
	Undo        time.Time // until when it can be undone
}

// Confirm renders the question.
func (p *Pages) Confirm(w io.Writer, frame Frame, v ConfirmView) error {
	return p.render(w, "confirm", framed, frame, v)
}
