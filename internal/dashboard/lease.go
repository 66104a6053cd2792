package dashboard

import (
	"io"
	"time"
)

// LeaseRow says where a tenant's lease stands.
type LeaseRow struct {
	Ends, Asks, Asked time.Time
	Answer            string // to the question that is open
	Lapsed            bool
	Over              string // why it is over
}

// LeaseView is for the tenant's contact: somebody without an account, who may know nothing of Tenure.
type LeaseView struct {
	Organization string
	Tenant       string
	Platform     string // who runs the service
	Ends         time.Time
	Done         string // what was answered, in a sentence; "" while nothing was
	Choices      []LeaseChoice
	Post         string
}

// LeaseChoice is one button, and what it does.
type LeaseChoice struct {
	Answer, Label, Says string
	Tone                Tone
}

// Lease renders the page; only the frame's installation and time are used.
func (p *Pages) Lease(w io.Writer, frame Frame, v LeaseView) error {
	return p.render(w, "lease", plain, frame, v)
}
