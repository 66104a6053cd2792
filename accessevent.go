package tenure

import (
	"encoding/json"
	"strings"
	"time"
)

// Kinds of access events: what anomalies are found in.
const (
	EventSignIn      = "signin"
	EventRefused     = "signin.refused"
	EventElevation   = "elevation.request" // detail: the role and scope that were asked for
	EventBreakGlass  = "breakglass"        // likewise
	EventApproval    = "approval"          // detail: ApprovalGiven
	EventDestructive = "destructive"       // a destructive plan was started
	EventHoldRelease = "hold.release"      // by the word that released it
	EventErase       = "erase"             // a tenant's erasure began
)

// ElevationAsked is what an elevation's event says was asked for.
type ElevationAsked struct {
	Role  Role
	Scope Scope
}

// String is the event's detail: "role over scope".
func (a ElevationAsked) String() string { return string(a.Role) + " over " + a.Scope.String() }

// ParseElevationAsked reads the detail of an elevation's event; what can't be read
// asks for nothing.
func ParseElevationAsked(detail string) (a ElevationAsked) {
	role, scope, ok := strings.Cut(detail, " over ")
	if !ok {
		return a
	}
	a.Role = Role(role)
	for part := range strings.SplitSeq(scope, ", ") {
		tier, isTier := strings.CutPrefix(part, "tier ")
		label, isLabel := strings.CutPrefix(part, "label ")
		switch {
		case part == "all tenants":
			a.Scope.All = true
		case isTier:
			a.Scope.Tiers = append(a.Scope.Tiers, tier)
		case isLabel:
			a.Scope.Labels = append(a.Scope.Labels, label)
		case part != "" && part != "no tenant":
			a.Scope.Tenants = append(a.Scope.Tenants, TenantID(part))
		}
	}
	return a
}

// ApprovalGiven is what an approval's event says: at which kind of gate, and how
// many seconds that had waited for persons.
type ApprovalGiven struct {
	Gate    Action  `json:"gate"`
	Seconds float64 `json:"seconds"`
}

// ApprovalDetail is the detail of an approval's event.
func ApprovalDetail(gate Action, waited time.Duration) string {
	b, _ := json.Marshal(ApprovalGiven{gate, waited.Seconds()})
	return string(b)
}

// ParseApprovalGiven reads it; ok is false for what can't be read.
func ParseApprovalGiven(detail string) (a ApprovalGiven, ok bool) {
	return a, json.Unmarshal([]byte(detail), &a) == nil && a.Gate != ""
}
