package tenure

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// TenantState is where a tenant stands in its life.
type TenantState string

const (
	TenantRequested      TenantState = "requested"
	TenantValidating     TenantState = "validating"
	TenantProvisioning   TenantState = "provisioning"
	TenantActive         TenantState = "active"
	TenantSuspended      TenantState = "suspended"
	TenantTransition     TenantState = "transition"      // notice given, full service, export at will
	TenantTerminating    TenantState = "terminating"     // access is cut
	TenantRetained       TenantState = "retained"        // data waits for its retention
	TenantErasing        TenantState = "erasing"         // past the first point of no return
	TenantAwaitingExpiry TenantState = "awaiting_expiry" // backups and key copies
	TenantClosed         TenantState = "closed"
)

// TenantStates lists every state in the order of a life.
var TenantStates = []TenantState{
	TenantRequested, TenantValidating, TenantProvisioning, TenantActive, TenantSuspended, TenantTransition,
	TenantTerminating, TenantRetained, TenantErasing, TenantAwaitingExpiry, TenantClosed,
}

// A TenantMove is one legal move, and why it happens.
type TenantMove struct {
	From, To TenantState
	When     string
}

// RecordStages are the states of a tenant at which a record may be written to that others
// keep too, in the order of its life.
var RecordStages = []TenantState{TenantActive, TenantSuspended, TenantTransition, TenantTerminating, TenantRetained, TenantErasing, TenantAwaitingExpiry, TenantClosed}

// TenantTransitions is the one table of legal moves. The store refuses to keep
// any other; ARCHITECTURE.md draws it.
var TenantTransitions = []TenantMove{
	{TenantRequested, TenantValidating, "the plan passed intake"},
	{TenantValidating, TenantProvisioning, "the plan is approved"},
	{TenantProvisioning, TenantActive, "every probe passed"},
	{TenantRequested, TenantClosed, "withdrawn, nothing was made"},
	{TenantValidating, TenantClosed, "rejected or withdrawn, nothing was made"},
	{TenantProvisioning, TenantClosed, "failed and everything made was taken back"},
	{TenantActive, TenantSuspended, "suspend"},
	{TenantSuspended, TenantActive, "resume"},
	{TenantActive, TenantTransition, "notice given"},
	{TenantSuspended, TenantTransition, "notice given"},
	{TenantTransition, TenantActive, "notice withdrawn"},
	{TenantTransition, TenantTerminating, "the grace ended"},
	{TenantActive, TenantTerminating, "cut at once"},
	{TenantSuspended, TenantTerminating, "cut at once"},
	{TenantTerminating, TenantRetained, "access is proven cut"},
	{TenantTerminating, TenantActive, "reinstated"},
	{TenantRetained, TenantActive, "reinstated"},
	{TenantRetained, TenantErasing, "retention ended"},
	{TenantErasing, TenantAwaitingExpiry, "the stores are erased"},
	{TenantAwaitingExpiry, TenantClosed, "nothing remains"},
}

// CanMove says whether the table allows a tenant to go from one state to another.
func CanMove(from, to TenantState) bool {
	return slices.ContainsFunc(TenantTransitions, func(t TenantMove) bool { return t.From == from && t.To == to })
}

// Tenant is one customer's presence on the platform.
type Tenant struct {
	ID           TenantID
	Name         string // the slug that people type; unique among tenants that aren't closed
	Organization string // the customer's legal entity; sensitive
	Contact      string // who asked on the customer's side; personal
	Tier         string
	State        TenantState
	Previous     TenantState // the state before, "" for a new tenant
	Held         bool        // an active hold covers some of it
	Blocked      string      // why it can't go on, "" if it can
	Blueprint    BlueprintRef
	Parameters   []byte // canonical JSON object
	Labels       map[string]string
	KnownBy      KnownBy // sensitive
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Version      int64
}

// BlueprintRef names one immutable revision.
type BlueprintRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // "sha256:…" of the canonical form
}

// MaxTenantName is the longest tenant name, in bytes. It leaves a name derived
// from it within PostgreSQL's 63 bytes.
const MaxTenantName = 40

// CheckTenantName accepts a name of 1 to 40 bytes of lower-case letters,
// digits and inner hyphens that begins with a letter. Names become parts of
// hosts, schemas and folders, so everything else is Invalid.
func CheckTenantName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return Errorf(Invalid, "a tenant needs a name")
	case !utf8.ValidString(name):
		return Errorf(Invalid, "the tenant name is not valid UTF-8")
	case len(name) > MaxTenantName:
		return Errorf(Invalid, "tenant name %q is %d bytes long, at most %d are allowed", clip(name), len(name), MaxTenantName)
	}
	for i, r := range name {
		ok := r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '-' && i < len(name)-1)
		if !ok {
			return Errorf(Invalid, "tenant name %q: %q is not allowed at byte %d", clip(name), printable(r), i+1).
				WithHint("use lower-case letters, digits and inner hyphens, beginning with a letter")
		}
	}
	return nil
}

func printable(r rune) string {
	if unicode.IsPrint(r) {
		return string(r)
	}
	return "\\u" + strings.ToUpper(hex4(r))
}

func hex4(r rune) string {
	const digits = "0123456789abcdef"
	b := []byte{digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]}
	return string(b)
}
