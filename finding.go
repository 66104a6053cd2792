package tenure

import "time"

// FindingKind says what was found to be not as it should be.
type FindingKind string

const (
	FindingDrift          FindingKind = "drift"            // live differs from desired
	FindingResidue        FindingKind = "residue"          // left of a tenant that has gone
	FindingOrphan         FindingKind = "orphan"           // bears our mark or stands where ours do, and no inventory knows it
	FindingExposure       FindingKind = "exposure"         // reachable by who should not
	FindingGhost          FindingKind = "ghost_user"       // alive after its tenant left
	FindingDormant        FindingKind = "dormant_account"  // enabled, and not signed in to for longer than its system allows
	FindingUncovered      FindingKind = "uncovered_data"   // reachable from the tenant, in no data class
	FindingForeign        FindingKind = "foreign"          // in our place, under somebody else's mark
	FindingLostMark       FindingKind = "lost_mark"        // in our place, and nothing says whose it is: two persons let it be ours again
	FindingAnomaly        FindingKind = "anomaly"          // somebody's access, or their use of it, is unusual
	FindingUnproven       FindingKind = "unproven_absence" // gone, it seems, but not proven
	FindingLimit          FindingKind = "limit"            // half of one of a system's own limits is used up, or more
	FindingCredential     FindingKind = "credential"       // one that is due for rotation, or that can't be read or renewed
	FindingUnacknowledged FindingKind = "unacknowledged"   // a system was told something of a tenant, and hasn't said that it has done it
	FindingIsolation      FindingKind = "isolation"        // a probe as the tenant reached what isn't its own, or couldn't be made
	FindingUnanswered     FindingKind = "unanswered"       // a company that was told to erase hasn't answered, or can't be reached
	FindingRevision       FindingKind = "revision"         // several tenants that moved in by one revision had incidents soon after
)

// RevisionTrouble is how many tenants that moved in by one revision of a blueprint have an
// incident within 30 days before the revision itself is a finding.
const RevisionTrouble = 3

// Severity ranks a finding; Critical means that it can leak across tenants.
type Severity string

const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Confidence says how sure it is whose a thing is.
type Confidence string

const (
	Certain  Confidence = "certain"  // it bears an owner mark that authenticates
	Strong   Confidence = "strong"   // it bears an external id of the tenant's
	Likely   Confidence = "likely"   // its mail address is in a domain of the tenant's
	Possible Confidence = "possible" // its name is made like the tenant's
)

// Proves says whether the confidence is enough to keep a tenant's case open: less asks a
// person, so that nobody stops another's exit with a name.
func (c Confidence) Proves() bool { return c == Certain || c == Strong }

// Finding is one thing that isn't as it should be.
type Finding struct {
	ID          FindingID   `json:"id"`
	Kind        FindingKind `json:"kind"`
	Severity    Severity    `json:"severity"`
	Tenant      TenantID    `json:"tenant,omitempty"`
	Resource    ResourceID  `json:"resource,omitempty"`
	System      string      `json:"system,omitempty"`
	Type        string      `json:"type,omitempty"`
	Name        string      `json:"name,omitempty"`
	Field       string      `json:"field,omitempty"` // the attribute that drifted
	Want        string      `json:"want,omitempty"`
	Got         string      `json:"got,omitempty"`
	Detail      string      `json:"detail"`
	Confidence  Confidence  `json:"confidence,omitempty"` // whose it is; "" where that isn't in question
	Steps       []string    `json:"steps,omitempty"`      // what a person does to settle it, in this order, where Tenure may not
	SeenAt      time.Time   `json:"seenAt"`
	ResolvedAt  time.Time   `json:"resolvedAt,omitzero"`
	WaivedUntil time.Time   `json:"waiverExpiresAt,omitzero"`
	WaivedBy    string      `json:"waivedBy,omitempty"`
}

// Open says whether the finding wants attention at now.
func (f Finding) Open(now time.Time) bool {
	return f.ResolvedAt.IsZero() && !now.Before(f.WaivedUntil)
}
