package tenure

import (
	"slices"
	"strings"
	"time"
)

// ElevationKind tells what was asked for and granted from what was taken.
type ElevationKind string

const (
	Elevated   ElevationKind = "elevation"  // asked for, and another person agreed
	BreakGlass ElevationKind = "breakglass" // taken at once, and looked at afterwards
)

// ElevationState is where an elevation stands.
type ElevationState string

const (
	ElevationRequested ElevationState = "requested" // waits for another person
	ElevationApproved  ElevationState = "approved"  // may be claimed until ClaimUntil; its clock stands still
	ElevationRejected  ElevationState = "rejected"
	ElevationLapsed    ElevationState = "lapsed" // nobody answered, or nobody claimed it, in time
	ElevationActive    ElevationState = "active" // its clock runs
	ElevationEnded     ElevationState = "ended"  // by itself
	ElevationRevoked   ElevationState = "revoked"
)

// elevationMoves is the one table of legal moves. From "" something begins.
var elevationMoves = map[ElevationState]map[ElevationKind][]ElevationState{
	"":                 {Elevated: {ElevationRequested}, BreakGlass: {ElevationActive}},
	ElevationRequested: {Elevated: {ElevationApproved, ElevationRejected, ElevationLapsed, ElevationRevoked}},
	ElevationApproved:  {Elevated: {ElevationActive, ElevationLapsed, ElevationRevoked}},
	ElevationActive:    {Elevated: {ElevationEnded, ElevationRevoked}, BreakGlass: {ElevationEnded, ElevationRevoked}},
}

// CanMove says whether an elevation of a kind may go from one state to another;
// from "" it begins.
func (k ElevationKind) CanMove(from, to ElevationState) bool {
	return slices.Contains(elevationMoves[from][k], to)
}

// Over says whether nothing can happen to it any more.
func (s ElevationState) Over() bool { return s != "" && len(elevationMoves[s]) == 0 }

// DirectAccess is what an elevation's own login in a system may do there.
type DirectAccess string

const (
	DirectNone  DirectAccess = ""
	DirectRead  DirectAccess = "read"
	DirectWrite DirectAccess = "write" // read, insert and update: never delete, truncate, create, alter or drop
)

// Elevation is a role for a while. A person's, or a machine's that a person
// answers for.
type Elevation struct {
	ID          ElevationID    `json:"id"`
	Kind        ElevationKind  `json:"kind"`
	Principal   PrincipalID    `json:"principal"`
	Name        string         `json:"name"`            // whose it is
	Owner       string         `json:"owner,omitempty"` // of a machine: the person who answers for it
	Role        Role           `json:"role"`
	Scope       Scope          `json:"scope"`
	Reason      string         `json:"reason"`
	For         Period         `json:"for"`
	System      string         `json:"system,omitempty"` // where it opens a login of its own
	Access      DirectAccess   `json:"access,omitempty"`
	Digest      string         `json:"digest"` // of what was asked for; the approval signs it
	State       ElevationState `json:"state"`
	RequestedAt time.Time      `json:"requestedAt"`
	DecidedBy   string         `json:"decidedBy,omitempty"`
	DecidedAt   time.Time      `json:"decidedAt,omitzero"`
	ClaimUntil  time.Time      `json:"claimUntil,omitzero"`
	StartedAt   time.Time      `json:"startedAt,omitzero"`
	EndsAt      time.Time      `json:"endsAt,omitzero"`
	EndedAt     time.Time      `json:"endedAt,omitzero"`
	EndedBy     string         `json:"endedBy,omitempty"` // blank: by itself
	Why         string         `json:"why,omitempty"`     // of a rejection or a revocation
	ReviewedBy  string         `json:"reviewedBy,omitempty"`
	ReviewedAt  time.Time      `json:"reviewedAt,omitzero"`
	ReviewNote  string         `json:"reviewNote,omitempty"`
	Login       string         `json:"login,omitempty"`
	LoginGoneAt time.Time      `json:"loginGoneAt,omitzero"` // the login was seen to be gone
	Version     int64          `json:"version"`
}

// ElevationLimits bound elevations. A zero field takes the default.
type ElevationLimits struct {
	Max           time.Duration // the longest elevation; default 8 hours
	Answer        time.Duration // a request that nobody answers lapses; default 72 hours
	Claim         time.Duration // an approved one that isn't claimed lapses; default 1 hour
	BreakGlass    time.Duration // a break-glass that doesn't say how long; default 1 hour
	MaxBreakGlass time.Duration // default 4 hours
	Review        time.Duration // a break-glass is to be reviewed within, from its end; default 24 hours
}

// WithDefaults fills in what isn't set.
func (l ElevationLimits) WithDefaults() ElevationLimits {
	for field, d := range map[*time.Duration]time.Duration{
		&l.Max: 8 * time.Hour, &l.Answer: 72 * time.Hour, &l.Claim: time.Hour,
		&l.BreakGlass: time.Hour, &l.MaxBreakGlass: 4 * time.Hour, &l.Review: 24 * time.Hour,
	} {
		if *field <= 0 {
			*field = d
		}
	}
	return l
}

// MinBreakGlassReason is how many bytes a break-glass's reason has at least.
const MinBreakGlassReason = 10

// breakGlassRoles are what may be taken without asking.
var breakGlassRoles = []Role{Viewer, Operator, SecurityOfficer}

// breakGlassMay is all that a grant by break-glass carries: looking, and what
// keeps a service running. It has nothing that decides for others, gives access
// out, or lets go of a hold, a key, a system or a finding.
var breakGlassMay = slices.Concat(reading, []Permission{TenantChange, OperationRequest, OperationSteer, FindingLook, IncidentReport, AuditRead, AccessRead, KeyRead, ReviewRead})

// May says whether the grant's role carries a permission; one by break-glass
// carries no more than breakGlassMay, and one by delegation approves and reads.
func (g Grant) May(p Permission) bool {
	return g.Role.May(p) && (!g.BreakGlass || slices.Contains(breakGlassMay, p)) && (g.Delegator == "" || delegated(p))
}

// OnlyBreakGlass says whether the caller has a permission over a target through
// break-glass alone. Such a caller is refused what destroys: a plan with a
// destructive step, and the way through a point of no return.
func (c Caller) OnlyBreakGlass(p Permission, t Target) bool {
	if c.Kind == CallerLocal {
		return false
	}
	var only bool
	for _, g := range c.Grants {
		if !g.May(p) || !g.Scope.Covers(t) {
			continue
		}
		if !g.BreakGlass {
			return false
		}
		only = true
	}
	return only
}

// CheckDestructive refuses what sets off a plan that destroys something to a
// caller who has the permission for it through break-glass alone: Forbidden.
func (c Caller) CheckDestructive(needs Permission, p *Plan, t Target) error {
	if !c.OnlyBreakGlass(needs, t) {
		return nil
	}
	destroys := p.Kind == Offboard || p.Destructive > 0 || slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Destructive })
	if !destroys {
		return nil
	}
	return Errorf(Forbidden, "%s asks through break-glass, which never destroys data", c.Name).WithHint("ask as somebody with the role, or for an elevation that another person approves")
}

// asked is what an approval signs.
type asked struct {
	Format      int           `json:"format"`
	ID          ElevationID   `json:"id"`
	Kind        ElevationKind `json:"kind"`
	Principal   PrincipalID   `json:"principal"`
	Name        string        `json:"name"`
	Role        Role          `json:"role"`
	Scope       Scope         `json:"scope"`
	Reason      string        `json:"reason"`
	For         Period        `json:"for"`
	System      string        `json:"system,omitempty"`
	Access      DirectAccess  `json:"access,omitempty"`
	RequestedAt time.Time     `json:"requestedAt"`
}

// Asked is the canonical JSON of what was asked for, and its digest.
func (e Elevation) Asked() (body []byte, digest string, err error) {
	body, err = Canonical(asked{1, e.ID, e.Kind, e.Principal, e.Name, e.Role, e.Scope, e.Reason, e.For, e.System, e.Access, e.RequestedAt.UTC()})
	if err != nil {
		return nil, "", err
	}
	return body, Digest(body), nil
}

// Request begins an elevation: Invalid if what is asked for can't be right,
// Conflict if a role that the principal has conflicts with it.
func (e Elevation) Request(have []Grant, l ElevationLimits, now time.Time) (Elevation, error) {
	return e.begin(Elevated, ElevationRequested, have, l.Max, now)
}

// Break takes a role at once. The clock runs from now.
func (e Elevation) Break(have []Grant, l ElevationLimits, now time.Time) (Elevation, error) {
	if e.For.IsZero() {
		e.For = periodOf(l.BreakGlass)
	}
	switch {
	case !slices.Contains(breakGlassRoles, e.Role):
		return e, Errorf(Invalid, "break-glass doesn't give the role %q", clip(string(e.Role))).WithHint("roles: viewer, operator, security-officer")
	case e.Access == DirectWrite:
		return e, Errorf(Invalid, "break-glass opens systems for reading alone").WithHint("for writing ask for an elevation")
	case len(strings.TrimSpace(e.Reason)) < MinBreakGlassReason:
		return e, Errorf(Invalid, "break-glass needs a reason of at least %d bytes", MinBreakGlassReason)
	}
	e, err := e.begin(BreakGlass, ElevationActive, have, l.MaxBreakGlass, now)
	e.StartedAt, e.EndsAt = now, e.For.After(now)
	return e, err
}

func (e Elevation) begin(kind ElevationKind, to ElevationState, have []Grant, limit time.Duration, now time.Time) (Elevation, error) {
	if err := CheckGrant(have, Grant{Role: e.Role, Scope: e.Scope}, now); err != nil {
		return e, err
	}
	length := e.For.After(now).Sub(now)
	var err error
	if e.Reason, err = NeedLines("the reason for an elevation", e.Reason, MaxReason); err != nil {
		return e, err
	}
	switch {
	case e.For.IsZero() || length < time.Minute || length > limit:
		return e, Errorf(Invalid, "an elevation lasts from a minute to %s", limit).WithHint("write it like PT2H")
	case (e.System == "") != (e.Access == DirectNone):
		return e, Errorf(Invalid, "direct access names a system and says read or write")
	case e.Access != DirectNone && e.Access != DirectRead && e.Access != DirectWrite:
		return e, Errorf(Invalid, "direct access is read or write, not %q", clip(string(e.Access)))
	case e.System != "" && (e.Scope.All || len(e.Scope.Tenants) == 0 || len(e.Scope.Tiers)+len(e.Scope.Labels) > 0 || len(e.Scope.Tenants) > MaxDirectTenants):
		return e, Errorf(Invalid, "direct access is to tenants by name, at most %d", MaxDirectTenants)
	}
	e.Kind, e.State, e.RequestedAt, e.Version = kind, to, now, 1
	_, e.Digest, err = e.Asked()
	return e, err
}

// MaxDirectTenants is how many tenants one login is opened for.
const MaxDirectTenants = 20

// move refuses a move that the table doesn't have.
func (e Elevation) move(to ElevationState) error {
	if !e.Kind.CanMove(e.State, to) {
		return Errorf(Conflict, "elevation %s is %s and can't become %s", e.ID, e.State, to)
	}
	return nil
}

// another refuses whose elevation it is, who answers for them, and a machine.
func (e Elevation) another(by Caller, what string) error {
	switch {
	case by.Kind == CallerMachine:
		return Errorf(Forbidden, "only a person %s an elevation", what)
	case by.Principal != "" && by.Principal == e.Principal || SamePerson(by.Name, e.Name):
		return Errorf(Forbidden, "nobody %s their own elevation", what).WithHint("ask another person")
	case SamePerson(by.Name, e.Owner):
		return Errorf(Forbidden, "%s answers for %s, and so can't be the one who %s its elevation", by.Name, e.Name, what)
	case by.Name == "":
		return Errorf(Forbidden, "nobody known %s it", what)
	}
	return nil
}

// Approve signs what was asked for. It is for another person; from now on it may
// be claimed, and its clock stands still.
func (e Elevation) Approve(by Caller, digest string, l ElevationLimits, now time.Time) (Elevation, error) {
	if e.due(l, now) == ElevationLapsed {
		return e, Errorf(Conflict, "the request has lapsed")
	}
	if err := e.move(ElevationApproved); err != nil {
		return e, err
	}
	if err := e.another(by, "approves"); err != nil {
		return e, err
	}
	if digest != e.Digest {
		return e, Errorf(Conflict, "the approval is of %q, and what was asked for is %s", clip(digest), e.Digest).WithHint("look at it again: tenure elevation show %s", e.ID)
	}
	if _, is, err := e.Asked(); err != nil || is != e.Digest {
		return e, Errorf(Conflict, "elevation %s isn't what its digest names: it was changed", e.ID)
	}
	e.State, e.DecidedBy, e.DecidedAt, e.ClaimUntil = ElevationApproved, by.Name, now, now.Add(l.Claim)
	return e, nil
}

// Reject refuses the request, for a reason. It is for another person.
func (e Elevation) Reject(by Caller, why string, now time.Time) (Elevation, error) {
	if err := e.move(ElevationRejected); err != nil {
		return e, err
	}
	if err := e.another(by, "rejects"); err != nil {
		return e, err
	}
	why, err := NeedLines("the reason for a rejection", why, MaxReason)
	if err != nil {
		return e, err
	}
	e.State, e.DecidedBy, e.DecidedAt, e.Why = ElevationRejected, by.Name, now, why
	return e, nil
}

// Claim starts the clock. It is for whose elevation it is, once, within the
// window; roles are looked at again, since others may have come meanwhile.
func (e Elevation) Claim(by Caller, have []Grant, l ElevationLimits, now time.Time) (Elevation, error) {
	if by.Kind != CallerLocal && by.Principal != e.Principal || by.Kind == CallerLocal && !SamePerson(by.Name, e.Name) {
		return e, Errorf(Forbidden, "elevation %s is for %s to claim", e.ID, e.Name)
	}
	if e.due(l, now) == ElevationLapsed {
		return e, Errorf(Conflict, "the window to claim elevation %s in has closed", e.ID).WithHint("ask again")
	}
	if err := e.move(ElevationActive); err != nil {
		return e, err
	}
	if err := CheckGrant(have, Grant{Role: e.Role, Scope: e.Scope}, now); err != nil {
		return e, err
	}
	e.State, e.StartedAt, e.EndsAt = ElevationActive, now, e.For.After(now)
	return e, nil
}

// Revoke ends it at once, whatever its clock says; by whom is for governance to
// decide.
func (e Elevation) Revoke(by, why string, now time.Time) (Elevation, error) {
	if err := e.move(ElevationRevoked); err != nil {
		return e, err
	}
	why, err := Lines("the reason", why, MaxReason)
	if err != nil {
		return e, err
	}
	e.State, e.EndedAt, e.EndedBy, e.Why = ElevationRevoked, now, by, why
	return e, nil
}

// due is the state that time alone has brought, "" if none.
func (e Elevation) due(l ElevationLimits, now time.Time) ElevationState {
	switch {
	case e.State == ElevationRequested && !now.Before(e.RequestedAt.Add(l.Answer)), e.State == ElevationApproved && !now.Before(e.ClaimUntil):
		return ElevationLapsed
	case e.State == ElevationActive && !now.Before(e.EndsAt):
		return ElevationEnded
	}
	return ""
}

// Settle brings it to where time has brought it, and says whether that changed
// anything. An active one ends at EndsAt, however late somebody looks.
func (e Elevation) Settle(l ElevationLimits, now time.Time) (Elevation, bool) {
	to := e.due(l, now)
	if to == "" {
		return e, false
	}
	e.State, e.EndedAt = to, now
	if to == ElevationEnded {
		e.EndedAt = e.EndsAt
	}
	return e, true
}

// OverAt says whether nothing more can be done under it at now: it has ended, or
// its clock has run out and nobody has written that down yet.
func (e Elevation) OverAt(now time.Time) bool {
	return e.State.Over() || e.State == ElevationActive && !now.Before(e.EndsAt)
}

// Review records a second person's look at a break-glass, once and after its end:
// before, more could be done under it than was looked at.
func (e Elevation) Review(by Caller, note string, now time.Time) (Elevation, error) {
	switch {
	case e.Kind != BreakGlass:
		return e, Errorf(Invalid, "elevation %s was approved beforehand; break-glass is what is reviewed", e.ID)
	case !e.ReviewedAt.IsZero():
		return e, Errorf(Conflict, "%s has reviewed it already", e.ReviewedBy)
	}
	note, err := NeedLines("what the review found", note, 2*MaxReason)
	if err != nil {
		return e, err
	}
	if err := e.another(by, "reviews"); err != nil {
		return e, err
	}
	if !e.OverAt(now) {
		return e, Errorf(Conflict, "the break-glass goes on until %s, and is reviewed when it has ended", e.EndsAt.Format("2006-01-02 15:04 MST")).
			WithHint("end it now: tenure elevation revoke %s", e.ID)
	}
	e.ReviewedBy, e.ReviewedAt, e.ReviewNote = by.Name, now, note
	return e, nil
}

// ReviewDueAt is by when a break-glass is to be reviewed, counted from its end.
func (e Elevation) ReviewDueAt(l ElevationLimits) time.Time {
	end := e.EndedAt
	if end.IsZero() {
		end = e.EndsAt
	}
	return end.Add(l.Review)
}

// ReviewOverdue says whether a break-glass should have been reviewed by now.
func (e Elevation) ReviewOverdue(l ElevationLimits, now time.Time) bool {
	return e.Kind == BreakGlass && e.ReviewedAt.IsZero() && !now.Before(e.ReviewDueAt(l))
}

// Grant is what an active elevation gives.
func (e Elevation) Grant(id GrantID) Grant {
	return Grant{
		ID: id, Principal: e.Principal, Role: e.Role, Scope: e.Scope, Reason: e.Reason, By: grantedBy(e),
		At: e.StartedAt, ExpiresAt: e.EndsAt, Elevation: e.ID, BreakGlass: e.Kind == BreakGlass,
	}
}

func grantedBy(e Elevation) string {
	if e.Kind == BreakGlass {
		return e.Name
	}
	return e.DecidedBy
}

// periodOf is a duration as a period, to the second.
func periodOf(d time.Duration) Period { return Period{clock: d.Truncate(time.Second), set: true} }
