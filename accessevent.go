package tenure

import (
	"encoding/json"
	"strings"
	"time"
)

// Kinds of access events: what anomalies are found in.
const (
	EventSignIn      = "signin"
	EventRefused     = "signin.refused"    // somebody who isn't known was refused; detail: RefusalsCounted
	EventDenied      = "refused"           // somebody who is known was; detail: RefusalsCounted
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

// RefusalsCounted is what an event says of the refusals of one caller or address at
// one route within one minute.
type RefusalsCounted struct {
	Route    string         `json:"route"`
	Address  string         `json:"address,omitempty"` // of who isn't known
	Count    int            `json:"count"`
	Statuses map[string]int `json:"statuses"` // by HTTP status
}

// String is the event's detail.
func (r RefusalsCounted) String() string {
	b, _ := json.Marshal(r)
	return string(b)
}

// ParseRefusalsCounted reads it; what can't be read is one refusal.
func ParseRefusalsCounted(detail string) (r RefusalsCounted) {
	if json.Unmarshal([]byte(detail), &r) != nil || r.Count < 1 {
		return RefusalsCounted{Count: 1}
	}
	return r
}
