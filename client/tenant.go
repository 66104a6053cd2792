package client

import (
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Tenant is a tenant as it is shown.
type Tenant struct {
	ID           tenure.TenantID             `json:"id"`
	Name         string                      `json:"name"`
	Organization string                      `json:"organization,omitempty"`
	Contact      string                      `json:"contact,omitempty"`
	Tier         string                      `json:"tier,omitempty"`
	Labels       map[string]string           `json:"labels,omitempty"`
	KnownBy      tenure.KnownBy              `json:"knownBy,omitzero" doc:"what other systems know it by"`
	State        tenure.TenantState          `json:"state"`
	Held         bool                        `json:"held,omitempty"`
	Blocked      string                      `json:"blocked,omitempty"`
	Blueprint    tenure.BlueprintRef         `json:"blueprint"`
	Parameters   json.RawMessage             `json:"parameters,omitempty"`
	Features     map[string]bool             `json:"features,omitempty"`
	Anchors      map[tenure.Anchor]time.Time `json:"anchors,omitempty"`
	CreatedAt    time.Time                   `json:"createdAt"`
	UpdatedAt    time.Time                   `json:"updatedAt"`
	Version      int64                       `json:"version"` // the ETag's

	OpenFindings map[tenure.Severity]int `json:"openFindings,omitempty" doc:"in lists: how many are open and not waived, by severity"`
	LastUsedAt   time.Time               `json:"lastUsedAt,omitzero" doc:"in lists of the unused: the last sign-in; absent: none is known"`
	Monthly      map[string]int64        `json:"monthly,omitempty" doc:"in lists of the unused: what it costs a month, in minor units by currency"`
	Next         *TenantNext             `json:"next,omitempty" doc:"in lists: the next thing to happen; absent if nothing is open"`
}

// TenantNext is the next thing to happen to a tenant.
type TenantNext struct {
	What      string             `json:"what"`
	At        time.Time          `json:"at,omitzero" doc:"when it happens, or by when somebody must act; absent: nobody knows"`
	Who       string             `json:"who,omitempty" doc:"who must act; absent: it goes on by itself"`
	Operation tenure.OperationID `json:"operation"`
}

// TenantDetail is a tenant with all that stands around it.
type TenantDetail struct {
	Tenant
	Resources  []Resource         `json:"resources"`
	Operations []Operation        `json:"operations"`
	Holds      []Hold             `json:"holds,omitempty"`
	Clocks     []tenure.Clock     `json:"clocks,omitempty"`
	Findings   []tenure.Finding   `json:"findings,omitempty"`
	Agreements []tenure.Agreement `json:"agreements,omitempty"` // that haven't ended
	Lease      *Lease             `json:"lease,omitempty" doc:"absent: it stays until somebody ends it"`
}

// Resource is one thing of a tenant's as it is shown. What it should be and what
// was seen may hold what a platform doesn't want on a screen, and stay inside.
type Resource struct {
	ID          tenure.ResourceID    `json:"id"`
	Environment string               `json:"environment,omitempty"`
	Key         string               `json:"key"`
	System      string               `json:"system"`
	Type        string               `json:"type"`
	Name        string               `json:"name"`
	Layer       string               `json:"layer"`
	State       tenure.ResourceState `json:"state"`
	Verdict     tenure.Verdict       `json:"verdict,omitempty"`
	Classes     []string             `json:"classes,omitempty"`
	Operation   tenure.OperationID   `json:"operation,omitempty"`
	CreatedAt   time.Time            `json:"createdAt"`
	UpdatedAt   time.Time            `json:"updatedAt"`
	ExpiresAt   time.Time            `json:"expiresAt,omitzero"`
}

// Reason says of one thing of a tenant why it is still there.
type Reason struct {
	Environment   string               `json:"environment,omitempty"`
	Resource      string               `json:"resource"`
	System        string               `json:"system"`
	State         tenure.ResourceState `json:"state"`
	Reason        string               `json:"reason"`
	GoneAt        time.Time            `json:"goneAt,omitzero"` // projected; zero: nobody knows
	UndoExpiresAt time.Time            `json:"undoExpiresAt,omitzero"`
}

// TenantFilter narrows a listing.
type TenantFilter struct {
	Paging
	State     tenure.TenantState `query:"state" doc:"only those in this state" enum:"requested,validating,provisioning,active,suspended,transition,terminating,retained,erasing,awaiting_expiry,closed"`
	Blueprint string             `query:"blueprint" doc:"only those bound to this blueprint: name, name@version or digest"`
	Tier      string             `query:"tier" doc:"only those of this tier"`
	Label     string             `query:"label" doc:"only those with this label, as key=value" pattern:"^[^=]+=" patternDescription:"key=value"`
	Finding   string             `query:"finding" doc:"only those with an open finding of this severity or kind" enum:"critical,high,medium,low,drift,residue,orphan,exposure,ghost_user,dormant_account,uncovered_data,foreign,lost_mark,anomaly,unproven_absence,limit,isolation,credential,standing_unseen,unacknowledged,unanswered,revision"`
	From      time.Time          `query:"from" doc:"only those made at or after this moment (RFC 3339)"`
	To        time.Time          `query:"to" doc:"only those made before this moment (RFC 3339)"`
	Unused    int                `query:"unused" doc:"only those that nobody has signed in to for so many days, as far as every system with access tells it; what isn't known isn't listed" minimum:"0" maximum:"3650"`
	After     tenure.TenantID    `query:"after" doc:"only those made after this one"`
	Closed    bool               `query:"closed" doc:"include closed ones"`
}

// TenantParams name a tenant by id, or by the name of one that isn't closed.
type TenantParams struct {
	Tenant string `path:"tenant" doc:"a tenant's id, or the name of one that isn't closed" maxLength:"64"`
}

// TenantPart asks for a list that is a tenant's.
type TenantPart struct {
	TenantParams
	Paging
}

var (
	// ListTenants lists tenants in the order of their making.
	ListTenants = Endpoint[TenantFilter, Page[Tenant]]{Name: "tenant.list", Verb: "GET", Path: "/v1/tenants", Summary: "List tenants in the order in which they were created"}
	// ShowTenant shows one tenant whole.
	ShowTenant = Endpoint[TenantParams, TenantDetail]{Name: "tenant.show", Verb: "GET", Path: "/v1/tenants/{tenant}", Summary: "Show a tenant with everything about it"}
	// ListResources lists what there is, and was, of a tenant.
	ListResources = Endpoint[TenantPart, Page[Resource]]{Name: "tenant.resources", Verb: "GET", Path: "/v1/tenants/{tenant}/resources", Summary: "List a tenant's resources, including those that are gone"}
	// ExplainTenant says of each thing of a tenant why it is still there, and when
	// it will be gone.
	ExplainTenant = Endpoint[TenantParams, Page[Reason]]{Name: "tenant.explain", Verb: "GET", Path: "/v1/tenants/{tenant}/explain", Summary: "Say why a tenant's things still exist, and when they will be gone"}
)
