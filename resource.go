package tenure

import "time"

// ResourceState is where one resource stands.
type ResourceState string

const (
	ResourcePlanned     ResourceState = "planned"     // in the inventory, before the first call went out
	ResourcePresent     ResourceState = "present"     // made and seen
	ResourceSuspended   ResourceState = "suspended"   // there, access off, can be resumed
	ResourceRevoked     ResourceState = "revoked"     // there, access cut for good; reinstatement issues new credentials
	ResourceQuarantined ResourceState = "quarantined" // set aside, can be restored until its point of no return
	ResourceErasing     ResourceState = "erasing"     // being destroyed in batches
	ResourceExpiring    ResourceState = "expiring"    // copies of it still have to expire
	ResourceUnknown     ResourceState = "unknown"     // the system can't be read, or absence isn't proven
	ResourceGone        ResourceState = "gone"        // absence is verified
)

// ResourceStates lists every state.
var ResourceStates = []ResourceState{
	ResourcePlanned, ResourcePresent, ResourceSuspended, ResourceRevoked, ResourceQuarantined,
	ResourceErasing, ResourceExpiring, ResourceUnknown, ResourceGone,
}

// Layer orders the cut of access and the erasure: lower layers go first.
type Layer int

const (
	LayerKey           Layer = iota + 1 // API keys and tokens
	LayerSession                        // sessions
	LayerAccount                        // accounts, roles
	LayerIntegration                    // integrations, jobs, webhooks, export grants
	LayerTransactional                  // transactional stores
	LayerAncillary                      // search indexes, caches, files, reports
	LayerBackup                         // backups
	LayerConfiguration                  // policies, entitlements, templates
)

// IsAccess says whether the layer is cut when access is cut.
func (l Layer) IsAccess() bool { return l >= LayerKey && l <= LayerIntegration }

func (l Layer) String() string {
	names := [...]string{"", "key", "session", "account", "integration", "transactional", "ancillary", "backup", "configuration"}
	if l < 1 || int(l) >= len(names) {
		return "undeclared"
	}
	return names[l]
}

// Resource is one thing in one system that is a tenant's.
type Resource struct {
	ID          ResourceID
	Tenant      TenantID
	Environment string // "" for one that stands above environments
	Key         string // the blueprint's name for it
	System      string
	Type        string
	Name        string // its name in the system
	Layer       Layer
	State       ResourceState
	Verdict     Verdict
	Desired     []byte // canonical JSON object of attributes
	Observed    []byte // canonical JSON object, normalised as the connector does
	Classes     []string
	Needs       []ResourceID // what it stands on; the teardown order, reversed
	Operation   OperationID  // the last one that touched it
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ExpiresAt   time.Time // when its last copy expires, if any is known
	Version     int64
}

// Path is what people call the resource by: environment/key, or the key alone of one
// that stands above environments.
func (r *Resource) Path() string { return ResourcePath(r.Environment, r.Key) }

// ResourcePath is the path of a resource of an environment, "" if it has none.
func ResourcePath(environment, key string) string {
	if environment == "" {
		return key
	}
	return environment + "/" + key
}

// ResourceType is what a connector declares of one kind of thing that it makes.
// A blueprint that uses a type whose deletion, verification or recovery is
// undeclared is refused.
type ResourceType struct {
	Name         string
	Summary      string
	Layer        Layer
	Deletion     string        // what deletion means in this system
	Verification string        // how presence and absence are read back
	Recovery     Recovery      // what can be undone, and for how long
	Holds        DataHeld      // whether it may hold data of a data class
	Attributes   string        // JSON Schema (2020-12) of the attributes
	Credential   bool          // a credential for it is handed over; Tenure makes it, unless it is Issued
	Issued       bool          // the system makes the credential, and tells it once
	Cost         []CostTerm    // what one costs a month
	Lag          Period        // how late the system's own answer may be
	Copies       bool          // the system keeps copies of it that expire later
	Whole        bool          // deleting it takes along all that it holds, known or not; otherwise what it holds is erased before
	Owner        bool          // things that aren't resources may belong to it: what keeps it from going can be mapped
	Row          bool          // it is a row of a table that others share: what the table's triggers make of it can be mapped
	Record       bool          // others keep it too, as a deal in a CRM: it may stay when its tenant leaves, with a last word and without a mark
	Shared       bool          // making it may change what others than its tenant see of a thing that they share
	Dispositions []Disposition // those that change rows (Disposition.Changes) and that it can carry out
	Isolation    []string      // observed attributes whose drift can leak across tenants; "*" means every one

	// Loses are the observed attributes by whose repair somebody who is no tenant's may lose a
	// right, "*" for every one, each with the attribute that names who: "" where it is anybody.
	Loses map[string]string
}

// Recovery says whether a deletion can be undone.
type Recovery struct {
	Declared   bool
	Quarantine bool   // can be set aside (renamed, access revoked, detached) and brought back
	Says       string // in words, for the plan
}

// DataHeld says whether a type may hold data of data classes.
type DataHeld string

const (
	HoldsNothing DataHeld = "nothing"
	HoldsData    DataHeld = "data"
)

// CostTerm is one addend of a monthly cost: the metric divided by Per, times
// the price that the system's settings give under Price.
type CostTerm struct {
	Metric string // "one", "bytes", "rows"
	Per    int64
	Price  string // key in the system's prices
}

// MonthlyCost adds up the terms with the prices (minor units of one currency
// for each unit) and the observed metrics. A price that isn't set counts as 0.
func MonthlyCost(terms []CostTerm, prices map[string]int64, metrics map[string]int64) int64 {
	var sum int64
	for _, t := range terms {
		n, per := metrics[t.Metric], t.Per
		if t.Metric == "one" {
			n = 1
		}
		if per < 1 {
			per = 1
		}
		sum += (n*prices[t.Price] + per - 1) / per
	}
	return sum
}
