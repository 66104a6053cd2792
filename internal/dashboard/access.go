package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// AccessSection is one part of the access pages; each has a page of its own at
// /access/<section>.
type AccessSection string

const (
	AccessPrincipals  AccessSection = "principals"
	AccessGrants      AccessSection = "grants"
	AccessTokens      AccessSection = "tokens"
	AccessSessions    AccessSection = "sessions"
	AccessNotices     AccessSection = "notices"
	AccessElevations  AccessSection = "elevations"
	AccessBreakGlass  AccessSection = "break-glass"
	AccessDelegations AccessSection = "delegations"
	AccessStanding    AccessSection = "standing"
	AccessAgreements  AccessSection = "agreements"
	AccessPolicies    AccessSection = "policies"
	AccessDecision    AccessSection = "decision"
)

// AccessSections lists them all, in the order of the page's tabs.
var AccessSections = []AccessSection{
	AccessPrincipals, AccessGrants, AccessTokens, AccessSessions, AccessNotices, AccessElevations, AccessBreakGlass,
	AccessDelegations, AccessStanding, AccessAgreements, AccessPolicies, AccessDecision,
}

// AccessView is one section of the access pages: the slice of its section is
// filled, the others stay empty.
type AccessView struct {
	Section  AccessSection
	Sections []AccessSection // what this person may see
	Filters  Filters
	Pager    Pager
	Actions  []Action // invite, grant, make a token, ask for an elevation, use break-glass…

	Principals  []PrincipalRow
	Grants      []GrantRow
	Tokens      []TokenRow
	Sessions    []SessionRow
	Notices     NoticesView
	Elevations  []ElevationRow
	BreakGlass  []BreakGlassRow
	Delegations []DelegationRow
	Standing    []StandingRow
	Agreements  []AgreementRow
	Policies    []PolicyRow
	Decision    DecisionView
}

// PrincipalRow is a person or a machine.
type PrincipalRow struct {
	ID       tenure.PrincipalID
	Name     string
	Email    string
	Kind     string // "person", "machine"
	Owner    string // of a machine
	State    string // "active", "disabled", "dormant"
	Roles    []string
	LastSeen time.Time
	Created  time.Time
	Actions  []Action
}

// GrantRow is a role over a scope.
type GrantRow struct {
	ID        tenure.GrantID
	Principal string
	Role      tenure.Role
	Scope     string
	Reason    string
	By        string
	At        time.Time
	Expires   time.Time
	LastUsed  time.Time
	Elevation bool
	State     string
	Actions   []Action
}

// TokenRow is a machine's token; never the token itself.
type TokenRow struct {
	ID        tenure.TokenID
	Name      string
	Principal string
	Limit     string // what it is narrowed to
	Created   time.Time
	Expires   time.Time
	LastUsed  time.Time
	State     string
	Actions   []Action
}

// NoticesView is which notices a person gets by mail. Without Person, who looks has no settings.
type NoticesView struct {
	Person         string
	Kinds, Without string // patterns, parted by commas
	Language, Zone string
	Comes          string // how soon
	Quiet          string // the hours; "" for none
	SetBy          string
	SetAt          time.Time
}

// SessionRow is somebody's sign-in.
type SessionRow struct {
	ID        tenure.SessionID
	Principal string
	Agent     string // what the browser calls itself
	From      string // address
	Strong    bool
	Started   time.Time
	Seen      time.Time
	Expires   time.Time
	Current   bool // the one that looks
	Actions   []Action
}

// ElevationRow is a role for a while.
type ElevationRow struct {
	ID         tenure.ElevationID
	Principal  string
	Role       tenure.Role
	Scope      string
	Reason     string
	State      string // "requested", "claimable", "active", "ended", "revoked", "expired", "rejected"
	Duration   time.Duration
	Asked      time.Time
	ClaimUntil time.Time
	Ends       time.Time
	Approved   string
	Ephemeral  string // the login that it made, without its secret
	Actions    []Action
}

// BreakGlassRow is one use of break-glass.
type BreakGlassRow struct {
	Principal string
	Reason    string
	Scope     string
	Started   time.Time
	Ends      time.Time
	ReviewBy  time.Time
	Reviewed  string // by whom
	Outcome   string
	State     string // "active", "unreviewed", "overdue", "reviewed"
	Did       []Ref  // what was done under it
	Actions   []Action
}

// DelegationRow is somebody who decides in another's place for a while.
type DelegationRow struct {
	ID       tenure.DelegationID
	From, To string
	What     string
	Since    time.Time
	Until    time.Time
	State    string
	Actions  []Action
}

// StandingRow is a standing approval: a rule that may start plans which only
// create.
type StandingRow struct {
	ID         tenure.StandingID
	Name       string
	Rule       string
	Blueprint  string
	Used       int
	Budget     int
	Per        string // "day"
	ProposedBy string
	Reviewed   []string
	Expires    time.Time
	State      string
	Started    []Ref // what it started, for review
	Actions    []Action
}

// AgreementRow is an agreement on sharing data.
type AgreementRow struct {
	ID      tenure.AgreementID
	Tenant  Ref
	Party   string
	Classes []string
	Purpose string
	Expires time.Time
	State   string
	Actions []Action
}

// PolicyRow is one Cedar policy.
type PolicyRow struct {
	ID      string
	File    string
	Effect  string // "forbid"
	Says    string // its annotation, in words
	Source  string
	Denied  int // decisions that it denied lately
	Loaded  time.Time
	Problem string // why it wasn't loaded
}

// DecisionView answers "why was this decided?".
type DecisionView struct {
	Ask    Filters // who, what, over which tenant
	Asked  string  // the question in words; "" before one is asked
	Answer tenure.Decision
	Steps  []DecisionStep
}

// DecisionStep is one thing that was looked at on the way to a decision.
type DecisionStep struct {
	What    string
	Found   string
	Outcome string // "allowed", "denied", "nothing"
}

// Access renders one section.
func (p *Pages) Access(w io.Writer, frame Frame, v AccessView) error {
	return p.render(w, "access", framed, frame, v)
}

// String is a section's name for people.
func (s AccessSection) String() string {
	switch s {
	case AccessBreakGlass:
		return "Break-glass"
	case AccessStanding:
		return "Standing approvals"
	case AccessDecision:
		return "Why was this decided?"
	}
	return upperFirst(string(s))
}

// Path is the section's page.
func (s AccessSection) Path() string { return "/access/" + string(s) }
