package tenure

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Permission is one thing that a role lets somebody do.
type Permission string

const (
	TenantRead        Permission = "tenant.read"        // tenants, resources, operations, plans, findings
	TenantChange      Permission = "tenant.change"      // labels, departure links, leases
	OperationRequest  Permission = "operation.request"  // make a plan, start it, claim its outputs
	OperationSteer    Permission = "operation.steer"    // pause, continue, cancel, retry, say that a task is done
	OperationApprove  Permission = "operation.approve"  // sign or reject a plan, attest an exception
	FindingLook       Permission = "finding.look"       // look for drift and residue
	FindingWaive      Permission = "finding.waive"      //
	IncidentReport    Permission = "incident.report"    // an incident that another system saw
	BlueprintRead     Permission = "blueprint.read"     //
	BlueprintWrite    Permission = "blueprint.write"    // submit a revision
	BlueprintPublish  Permission = "blueprint.publish"  // publish another person's revision
	HoldRead          Permission = "hold.read"          //
	HoldPlace         Permission = "hold.place"         //
	HoldRelease       Permission = "hold.release"       //
	CertificateRead   Permission = "certificate.read"   //
	AuditRead         Permission = "audit.read"         // entries, proofs, checkpoints
	AuditExport       Permission = "audit.export"       // checkpoints signed, tiles written
	SystemRead        Permission = "system.read"        //
	SystemManage      Permission = "system.manage"      //
	ClockConfirm      Permission = "clock.confirm"      // say that the time is right after it came into doubt
	StoreConfirm      Permission = "store.confirm"      // say that the store is the right one after it came into doubt
	KeyRead           Permission = "key.read"           //
	KeyManage         Permission = "key.manage"         // note copies of keys
	AccessRead        Permission = "access.read"        // principals, grants, tokens, sessions
	AccessManage      Permission = "access.manage"      // principals, grants, tokens, sessions of others
	ElevationRequest  Permission = "elevation.request"  //
	ElevationApprove  Permission = "elevation.approve"  //
	BreakGlassUse     Permission = "breakglass.use"     //
	BreakGlassReview  Permission = "breakglass.review"  //
	ReviewRead        Permission = "review.read"        // campaigns and their evidence
	ReviewManage      Permission = "review.manage"      // start and close campaigns
	ReviewDecide      Permission = "review.decide"      // answer the items that one is named for
	AgreementRead     Permission = "agreement.read"     //
	AgreementManage   Permission = "agreement.manage"   //
	StandingPropose   Permission = "standing.propose"   // write a standing approval's rule
	StandingApprove   Permission = "standing.approve"   // review one
	EventRead         Permission = "event.read"         // what other systems tell, and what became of it
	EventDecide       Permission = "event.decide"       // release, dismiss or replay an event
	NoticeRead        Permission = "notice.read"        // notices on their way, to whom, and how the targets do
	NoticeSend        Permission = "notice.send"        // send one again, try a target, use one again
	NoticeAcknowledge Permission = "notice.acknowledge" // say that a system has done what it was told
	TriggerWrite      Permission = "trigger.write"      // submit rules for events
	TriggerPublish    Permission = "trigger.publish"    // publish another person's rules
)

// Reads says that a permission lets somebody look and do nothing.
func (p Permission) Reads() bool { return strings.HasSuffix(string(p), ".read") }

// Role is a named set of permissions. A principal has it through a grant.
type Role string

const (
	Viewer          Role = "viewer"
	Operator        Role = "operator"
	Approver        Role = "approver"
	BlueprintAuthor Role = "blueprint-author"
	SecurityOfficer Role = "security-officer"
	Legal           Role = "legal"
	Auditor         Role = "auditor"
	Admin           Role = "admin"
)

// Roles lists every role.
var Roles = []Role{Viewer, Operator, Approver, BlueprintAuthor, SecurityOfficer, Legal, Auditor, Admin}

var reading = []Permission{TenantRead, BlueprintRead, SystemRead, HoldRead, CertificateRead, AgreementRead, ReviewDecide}

// rolePermissions is the one table of what a role may do. docs/access.md shows it.
var rolePermissions = map[Role][]Permission{
	Viewer:          reading,
	Operator:        slices.Concat(reading, []Permission{TenantChange, OperationRequest, OperationSteer, FindingLook, IncidentReport, ElevationRequest, BreakGlassUse, AgreementManage, StandingPropose, EventRead, EventDecide, NoticeRead, NoticeSend, NoticeAcknowledge}),
	Approver:        slices.Concat(reading, []Permission{OperationApprove, ElevationApprove, StandingApprove}),
	BlueprintAuthor: slices.Concat(reading, []Permission{BlueprintWrite, BlueprintPublish, StandingPropose, EventRead, TriggerWrite, TriggerPublish}),
	SecurityOfficer: slices.Concat(reading, []Permission{
		OperationApprove, FindingLook, FindingWaive, IncidentReport, BlueprintPublish, AuditRead, AccessRead, KeyRead, KeyManage,
		ElevationRequest, ElevationApprove, BreakGlassUse, BreakGlassReview, ReviewRead, ReviewManage, StandingApprove, AgreementManage, ClockConfirm, StoreConfirm, EventRead, TriggerPublish, NoticeRead, NoticeAcknowledge,
	}),
	Legal:   slices.Concat(reading, []Permission{HoldPlace, HoldRelease, OperationApprove, AuditRead, TenantChange}),
	Auditor: slices.Concat(reading, []Permission{AuditRead, AuditExport, AccessRead, KeyRead, ReviewRead, EventRead, NoticeRead}),
	Admin:   slices.Concat(reading, []Permission{SystemManage, ClockConfirm, StoreConfirm, AccessRead, AccessManage, KeyRead, KeyManage, AuditRead, AuditExport, ReviewRead, ReviewManage, IncidentReport, BlueprintPublish, StandingPropose, ElevationRequest, BreakGlassUse, EventRead, TriggerPublish, NoticeRead, NoticeSend}),
}

// Permissions lists what a role may do; nil for a role that isn't one.
func (r Role) Permissions() []Permission { return slices.Clone(rolePermissions[r]) }

// May says whether a role has a permission.
func (r Role) May(p Permission) bool { return slices.Contains(rolePermissions[r], p) }

// destroying are the permissions that can lead to the loss of data or of the
// control over who has access. A person needs a strong sign-in for them.
var destroying = []Permission{OperationApprove, HoldRelease, AccessManage, BreakGlassUse, ElevationApprove, StandingApprove, ClockConfirm, StoreConfirm}

// NeedsStrong says whether a permission takes a strong sign-in (amr or acr, RFC
// 8176) where people sign in with OIDC.
func (p Permission) NeedsStrong() bool { return slices.Contains(destroying, p) }

// roleConflicts are the pairs of roles that no principal has at once, whatever
// their scopes (static separation of duties, NIST RBAC, ANSI INCITS 359).
var roleConflicts = map[[2]Role]string{
	{Auditor, Operator}:        "who audits doesn't act",
	{Auditor, Approver}:        "who audits doesn't decide",
	{Auditor, BlueprintAuthor}: "who audits doesn't write what is audited",
	{Auditor, SecurityOfficer}: "who audits doesn't decide",
	{Auditor, Legal}:           "who audits doesn't decide",
	{Auditor, Admin}:           "who audits doesn't give out access",
	{Admin, Approver}:          "who gives out access doesn't approve what it is used for",
	{Admin, SecurityOfficer}:   "who gives out access doesn't review it",
	{Admin, Legal}:             "who gives out access doesn't release holds",
}

// RoleConflict says why two roles can't be one principal's; "" if they can.
func RoleConflict(a, b Role) string {
	if why, ok := roleConflicts[[2]Role{a, b}]; ok {
		return why
	}
	return roleConflicts[[2]Role{b, a}]
}

// Scope says which tenants a grant is for: all of them, or those that any of
// the other fields names. The zero Scope is for none.
type Scope struct {
	All     bool       `json:"all,omitempty"`
	Tenants []TenantID `json:"tenants,omitempty"`
	Tiers   []string   `json:"tiers,omitempty"`
	Labels  []string   `json:"labels,omitempty"` // "key=value"
}

// IsZero says whether the scope names nothing.
func (s Scope) IsZero() bool {
	return !s.All && len(s.Tenants) == 0 && len(s.Tiers) == 0 && len(s.Labels) == 0
}

// Covers says whether a tenant is in the scope.
func (s Scope) Covers(t Target) bool {
	if s.All {
		return true
	}
	if t.Tenant == "" {
		return false
	}
	return slices.Contains(s.Tenants, t.Tenant) || t.Tier != "" && slices.Contains(s.Tiers, t.Tier) ||
		slices.ContainsFunc(s.Labels, func(l string) bool { k, v, _ := strings.Cut(l, "="); got, ok := t.Labels[k]; return ok && got == v })
}

// Union is the scope that covers what either covers.
func (s Scope) Union(o Scope) Scope {
	if s.All || o.All {
		return Scope{All: true}
	}
	join := func(a, b []string) []string { return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b)))) }
	return Scope{
		Tenants: slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.Tenants, o.Tenants)))),
		Tiers:   join(s.Tiers, o.Tiers), Labels: join(s.Labels, o.Labels),
	}
}

// Within says whether everything that s covers is surely covered by o. It
// compares what is named, so false may be said of scopes that happen to cover
// the same tenants.
func (s Scope) Within(o Scope) bool {
	if o.All {
		return true
	}
	return !s.All && subset(s.Tenants, o.Tenants) && subset(s.Tiers, o.Tiers) && subset(s.Labels, o.Labels)
}

func subset[T comparable](a, b []T) bool {
	return !slices.ContainsFunc(a, func(v T) bool { return !slices.Contains(b, v) })
}

// String is the scope in words.
func (s Scope) String() string {
	if s.All {
		return "all tenants"
	}
	var parts []string
	for _, t := range s.Tenants {
		parts = append(parts, string(t))
	}
	for _, t := range s.Tiers {
		parts = append(parts, "tier "+t)
	}
	for _, l := range s.Labels {
		parts = append(parts, "label "+l)
	}
	if len(parts) == 0 {
		return "no tenant"
	}
	return strings.Join(parts, ", ")
}

// Check refuses a scope that names nothing, or a label that is none.
func (s Scope) Check() error {
	switch {
	case s.IsZero():
		return Errorf(Invalid, "a scope names nobody").WithHint("name tenants, tiers or labels, or say all")
	case s.All && (len(s.Tenants) > 0 || len(s.Tiers) > 0 || len(s.Labels) > 0):
		return Errorf(Invalid, "a scope is of all tenants or of some, not both")
	case len(s.Tenants)+len(s.Tiers)+len(s.Labels) > MaxScope:
		return Errorf(Invalid, "a scope names at most %d tenants, tiers and labels", MaxScope).WithHint("use a label for so many")
	}
	for _, l := range s.Labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			return Errorf(Invalid, "the label %q is not key=value", clip(l))
		}
		if err := CheckLabel(k, v); err != nil {
			return err
		}
	}
	return nil
}

// MaxScope bounds what one scope names.
const MaxScope = 200

// MaxLabels bounds a tenant's labels.
const MaxLabels = 32

// CheckLabel accepts a label: a key of 1 to 63 lower-case letters, digits, inner
// '-', '.' and '/', and a value of up to 63 printable bytes without '='.
func CheckLabel(key, value string) error {
	if key == "" || len(key) > 63 || len(value) > 63 {
		return Errorf(Invalid, "a label's key has 1 to 63 bytes and its value up to 63")
	}
	for i, r := range key {
		inner := i > 0 && i < len(key)-1 && (r == '-' || r == '.' || r == '/')
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || inner) {
			return Errorf(Invalid, "label key %q: %q is not allowed", clip(key), printable(r))
		}
	}
	for _, r := range value {
		if r < ' ' || r > '~' || r == '=' || r == ',' {
			return Errorf(Invalid, "label value %q: %q is not allowed", clip(value), printable(r))
		}
	}
	return nil
}

// Target is what a permission is asked for: a tenant, with what scopes look at.
// The zero Target is the installation.
type Target struct {
	Tenant TenantID
	Tier   string
	Labels map[string]string
}

// Grant gives a principal a role over a scope.
type Grant struct {
	ID        GrantID     `json:"id"`
	Principal PrincipalID `json:"principal"`
	Role      Role        `json:"role"`
	Scope     Scope       `json:"scope"`
	Reason    string      `json:"reason,omitempty"`
	By        string      `json:"createdBy"`
	At        time.Time   `json:"createdAt"`
	ExpiresAt time.Time   `json:"expiresAt,omitzero"`
	Elevation ElevationID `json:"elevation,omitempty"` // the elevation that it lasts for
	RevokedAt time.Time   `json:"revokedAt,omitzero"`
	RevokedBy string      `json:"revokedBy,omitempty"`
	// BreakGlass says that nobody agreed beforehand; see Grant.May.
	BreakGlass bool `json:"breakGlass,omitempty"`
	// Delegator is the person by whose delegation the holder has it; see Grant.May.
	Delegator string `json:"delegator,omitempty"`
}

// Active says whether the grant counts at now.
func (g Grant) Active(now time.Time) bool {
	return g.RevokedAt.IsZero() && (g.ExpiresAt.IsZero() || now.Before(g.ExpiresAt))
}

// CheckGrant refuses a grant whose role conflicts with one that the principal
// has already (static separation of duties).
func CheckGrant(have []Grant, g Grant, now time.Time) error {
	if _, ok := rolePermissions[g.Role]; !ok {
		return Errorf(Invalid, "there is no role %q", clip(string(g.Role))).WithHint("roles: %s", joinRoles())
	}
	if err := g.Scope.Check(); err != nil {
		return err
	}
	for _, h := range have {
		if !h.Active(now) {
			continue
		}
		if why := RoleConflict(h.Role, g.Role); why != "" {
			return Errorf(Conflict, "the roles %s and %s can't be one principal's: %s", h.Role, g.Role, why).WithHint("revoke grant %s first", h.ID)
		}
	}
	return nil
}

func joinRoles() string {
	var out []string
	for _, r := range Roles {
		out = append(out, string(r))
	}
	return strings.Join(out, ", ")
}

// CallerKind says how somebody came in.
type CallerKind string

const (
	CallerLocal   CallerKind = "local"   // opened the installation's own folder or socket; the name is asserted
	CallerPerson  CallerKind = "person"  // signed in
	CallerMachine CallerKind = "machine" // a service's token
)

// Caller is who asks, with what they may do at this moment.
type Caller struct {
	Principal PrincipalID
	Name      string // unique; what the log and separation of duties know them by
	Kind      CallerKind
	Owner     string  // of a machine: the person who answers for it
	Strong    bool    // signed in with what destroying permissions take
	Grants    []Grant // active ones; nil for a local caller, who may everything
	Token     TokenID
	Session   SessionID
	Limit     Scope // of a token: narrows every grant; the zero Scope narrows nothing
	Only      []Permission
}

// Decision is the answer to "may they?", with its reason.
type Decision struct {
	Allowed bool       `json:"allowed"`
	Visible bool       `json:"visible"` // the caller may know that the target exists
	Role    Role       `json:"role,omitempty"`
	Grant   GrantID    `json:"grant,omitempty"`
	Why     string     `json:"reason"`
	Denied  []string   `json:"deniedBy,omitempty"` // policies that deny
	Asked   Permission `json:"permission"`
}

// Decide says whether the caller's grants let them do something to a target. It
// knows nothing of policies, which may deny further and never widen.
func (c Caller) Decide(p Permission, t Target) Decision {
	d := Decision{Asked: p, Visible: c.Sees(t)}
	if c.Kind == CallerLocal {
		d.Allowed, d.Visible, d.Why = true, true, "opened the installation's own folder"
		return d
	}
	if len(c.Only) > 0 && !slices.Contains(c.Only, p) {
		d.Why = "the token isn't for " + string(p)
		return d
	}
	if !c.Limit.IsZero() && !c.Limit.Covers(t) {
		d.Why = "the token is only for " + c.Limit.String()
		return d
	}
	has := false
	for _, g := range c.Grants {
		if !g.May(p) {
			continue
		}
		has = true
		if g.Scope.Covers(t) {
			if p.NeedsStrong() && c.Kind == CallerPerson && !c.Strong {
				d.Role, d.Grant, d.Why = g.Role, g.ID, string(p)+" takes a stronger sign-in than this one"
				continue
			}
			return Decision{Allowed: true, Visible: d.Visible, Role: g.Role, Grant: g.ID, Why: "role " + string(g.Role) + " over " + g.Scope.String(), Asked: p}
		}
	}
	switch {
	case d.Why != "":
	case has:
		d.Why = "no grant with " + string(p) + " covers it"
	default:
		d.Why = "no role of theirs has " + string(p)
	}
	return d
}

// Sees says whether the caller may know that a target exists: some grant covers it.
func (c Caller) Sees(t Target) bool {
	if c.Kind == CallerLocal {
		return true
	}
	if !c.Limit.IsZero() && !c.Limit.Covers(t) {
		return false
	}
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return g.Scope.Covers(t) })
}

// May says whether the caller has a permission over anything at all.
func (c Caller) May(p Permission) bool {
	if c.Kind == CallerLocal {
		return true
	}
	if len(c.Only) > 0 && !slices.Contains(c.Only, p) {
		return false
	}
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return g.May(p) })
}

// Reach are the scopes, joined, over which the caller has a permission, and what
// a token narrows them to: a tenant is within reach if both cover it.
func (c Caller) Reach(p Permission) (reach, limit Scope) {
	if c.Kind == CallerLocal {
		return Scope{All: true}, Scope{All: true}
	}
	if len(c.Only) > 0 && !slices.Contains(c.Only, p) {
		return Scope{}, Scope{}
	}
	for _, g := range c.Grants {
		if g.May(p) {
			reach = reach.Union(g.Scope)
		}
	}
	if limit = c.Limit; limit.IsZero() {
		limit = Scope{All: true}
	}
	return reach, limit
}

// LabelsText is labels as sorted "key=value".
func LabelsText(labels map[string]string) []string {
	out := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return out
}
