package dashboard

import (
	"io"
	"time"
)

// DepartureView is for the one who leaves: somebody without an account, who may
// know nothing of how Tenure works. Its texts are plain words.
type DepartureView struct {
	Organization string
	Tenant       string
	Platform     string // who runs the service
	Headline     string // "Your data is kept until 31 December 2026, then erased."
	Says         string // one or two sentences more
	Progress     []LifeStep
	Dates        []DepartureDate
	Stakeholder  bool // it is for somebody of the platform's: nothing of the customer's can be had
	Tasks        []DepartureTask
	Downloads    []Document
	DownloadSays string // until when, and with which key it opens
	Remains      []Remains
	Gone         []string // what is gone already, in words
	Certificates []CertificateRow
	Verify       string // the command that checks the certificate
	Contact      string
	Expires      time.Time // of this link
}

// DepartureDate is one date that matters to them.
type DepartureDate struct {
	At   time.Time
	What string
	Past bool
}

// DepartureTask is something that a person sees to.
type DepartureTask struct {
	What, Owner string
	State       string // open, overdue, done or dropped
	Due         time.Time
	Where, Went string // of an artifact: where it is, and where it went or is to go
}

// Remains is something of theirs that is still there.
type Remains struct {
	What, Why string
	Until     time.Time // zero: no date yet
	NoDate    string    // why there is none
}

// Departure renders the page; only the frame's installation and time are used.
func (p *Pages) Departure(w io.Writer, frame Frame, v DepartureView) error {
	return p.render(w, "departure", plain, frame, v)
}

// CertificateView is a certificate for people to read and print.
type CertificateView struct {
	ID           string
	Kind         string // "interim" or "closing"
	Tenant       string
	Organization string
	Installation string
	Issued       time.Time
	Digest       string // of the signed payload
	Plan         string
	InterimOf    string // digest of the interim certificate that it follows
	Statement    string // what it says, in a sentence
	Valid        bool   // the server's own check of signature and proofs
	ValidSays    string
	Timeline     []Moment
	Signatures   []Signature // by pseudonymous references
	Resources    []CertifiedRow
	Classes      []CertifiedRow
	Keys         []CertifiedRow
	Remnants     []RemnantRow
	Vendors      []VendorRow
	Artifacts    []ArtifactRow
	Exceptions   []ExceptionRow
	LeftOut      []ExceptionRow
	Download     string
	Verify       string // the command
}

// CertifiedRow is one thing and what became of it.
type CertifiedRow struct {
	What, Where, Method string
	Verdict             string
	At                  time.Time
	Until               time.Time
	Note                string
}

// ArtifactRow is something that others go on using, and what became of it.
type ArtifactRow struct {
	Name, Outcome, By string
	At                time.Time
}

// RemnantRow is something that a system physically keeps of deleted data, or may keep.
type RemnantRow struct {
	Kind, System string
	Says         string    // what is left
	Done         string    // what was done about it, or who attested it, "" if nothing and nobody
	At           time.Time // when
	Until        time.Time // by when it has gone by itself
	Open         bool      // nobody knows when it goes
	Source       string    // what that follows
}

// Certificate renders a certificate. Without Frame.Who it stands alone, as the
// one who leaves sees it.
func (p *Pages) Certificate(w io.Writer, frame Frame, v CertificateView) error {
	layout := framed
	if frame.Who == nil {
		layout = plain
	}
	return p.render(w, "certificate", layout, frame, v)
}
