package tenure

import "time"

const (
	// LeaveConfirmWithin is how long who asked to leave has to confirm it.
	LeaveConfirmWithin = 48 * time.Hour
	// LeaveAnswerWithin is how long the tenant's contact, or staff where it has none, has to answer.
	LeaveAnswerWithin = 14 * 24 * time.Hour
)

// LeaveState is where a customer's own request to leave stands.
type LeaveState string

const (
	LeaveAsked     LeaveState = "asked"     // who asked was sent a link, and hasn't confirmed it
	LeaveWaiting   LeaveState = "waiting"   // for the tenant's contact, or for staff where it has none
	LeaveConfirmed LeaveState = "confirmed" // it became an event; rules decide what that leads to
	LeaveRefused   LeaveState = "refused"   // by the contact or by staff
	LeaveLapsed    LeaveState = "lapsed"    // nobody answered in time, or the tenant leaves already
	LeaveWithdrawn LeaveState = "withdrawn" // by who asked
)

// Open says whether somebody's word is still awaited.
func (s LeaveState) Open() bool { return s == LeaveAsked || s == LeaveWaiting }

// LeaveParty is who decided a request to leave.
type LeaveParty string

const (
	LeaveRequester LeaveParty = "requester" // who is the contact, too, where they confirmed it alone
	LeaveContact   LeaveParty = "contact"
	LeaveStaff     LeaveParty = "staff"
)

// LeaveRequest is a customer's own request to leave. It does nothing by itself: once who asked and
// the tenant's contact have confirmed it, it is an event, which rules decide.
type LeaveRequest struct {
	ID         LeaveID
	Tenant     TenantID
	Requester  string // their mail address
	Reason     string // in their own words, on one line
	AskedAt    time.Time
	VerifiedAt time.Time // when they confirmed it by the link in their mail; zero: they haven't
	Contact    string    // who was asked then; "": staff, or nobody yet
	LinkedAt   time.Time // when the contact was sent their link; zero: none was
	ExpiresAt  time.Time // when it lapses without the word that is awaited
	State      LeaveState
	DecidedAt  time.Time // when its state became final
	DecidedAs  LeaveParty
	DecidedBy  string // who of staff
	Why        string // what they said, or why it lapsed
	Event      InboundID
	Version    int64
}
