package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// ApprovalsView is the inbox: what waits for a signature.
type ApprovalsView struct {
	Mine    []ApprovalRow // this person may sign
	Others  []ApprovalRow // and those that wait for somebody else
	Decided []DecidedRow  // lately
	Pager   Pager
}

// ApprovalRow is an operation that waits at a gate, or another thing that waits for
// somebody's decision.
type ApprovalRow struct {
	Subject     Ref // what waits, if it is no operation; then Operation is blank
	Operation   tenure.OperationID
	Step        string // key of the gate
	Kind        tenure.OperationKind
	Tenant      Ref
	Tier        string
	Summary     string // what the plan does, in a sentence
	Reason      string // what the requester said
	RequestedBy string
	Asked       time.Time
	Expires     time.Time
	Digest      string
	Steps       int
	Destructive int
	Gone        []GoneItem // what will be gone, the first few
	NoReturn    time.Time
	Rule        string // why it needs so many, from which roles
	Need, Have  int
	Signatures  []Signature
	Escalated   bool
	Why         string // why this person can't sign, "" if they can
	Actions     []Action
}

// DecidedRow is an approval that was given or refused.
type DecidedRow struct {
	Operation Ref
	Tenant    Ref
	Kind      tenure.OperationKind
	By        string
	Outcome   string // "approved", "rejected", "expired"
	At        time.Time
	Note      string
}

// Approvals renders the inbox.
func (p *Pages) Approvals(w io.Writer, frame Frame, v ApprovalsView) error {
	return p.render(w, "approvals", framed, frame, v)
}
