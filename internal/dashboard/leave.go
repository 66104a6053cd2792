package dashboard

import (
	"io"
	"time"
)

// LeaveView is for customers who ask to leave, and for contacts who are asked about it: people without
// an account, who may know nothing of Tenure.
type LeaveView struct {
	Platform     string // who runs the service
	Organization string // blank on the page that anybody sees
	Tenant       string
	Title        string
	Says         string
	Facts        []Pair
	Post         string        // "": nothing is to be sent
	Choices      []LeaveChoice // the page's buttons; the form of each has its own fields
}

// LeaveChoice is one button, what it does, and what is asked for beside it.
type LeaveChoice struct {
	Answer, Label, Says string
	Tone                Tone
	Fields              []Field
}

// Leave renders the page; only the frame's installation and time are used.
func (p *Pages) Leave(w io.Writer, frame Frame, v LeaveView) error {
	return p.render(w, "leave", plain, frame, v)
}

// LeaveRow is a customer's own request to leave on the tenant's page.
type LeaveRow struct {
	State     string
	Requester string
	Reason    string
	Asked     time.Time
	Lapses    time.Time // zero once it was decided
	Awaits    string    // whose word is awaited; "" if nobody's
	Outcome   string
	Event     Ref    // that it became; zero for none
	Became    string // of the event
	Operation Ref
	Actions   []Action
}
