package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// FindingsView is a page of the findings.
type FindingsView struct {
	Filters Filters
	Counts  []Count // open ones by severity
	Rows    []FindingRow
	Pager   Pager
	Actions []Action // look for drift and residue now
}

// FindingRow is one finding.
type FindingRow struct {
	ID        tenure.FindingID
	Kind      tenure.FindingKind
	Severity  tenure.Severity
	Tenant    Ref
	Where     string // system, type and name
	Field     string
	Want, Got string // never a secret
	Detail    string

	Confidence tenure.Confidence // whose it is; "" where that isn't in question
	Steps      []string          // what a person does
	Seen       time.Time
	Resolved   time.Time
	Waived     time.Time // until
	WaivedBy   string
	Actions    []Action // repair, waive
}

// Status says whether it is open.
func (r FindingRow) Status() Status {
	switch {
	case !r.Resolved.IsZero():
		return Status{ToneIdle, "gone", "resolved"}
	case !r.Waived.IsZero():
		return Status{ToneWarn, "flag", "waived"}
	}
	return Status{ToneInfo, "clock", "open"}
}

// Findings renders the list.
func (p *Pages) Findings(w io.Writer, frame Frame, v FindingsView) error {
	return p.render(w, "findings", framed, frame, v)
}
