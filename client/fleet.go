package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Fleet is how all tenants are that the caller may see.
type Fleet struct {
	Tenants    int64                        `json:"tenants"` // that aren't closed
	Held       int                          `json:"held"`
	ByState    map[tenure.TenantState]int64 `json:"byState"`
	ByTier     []FleetCount                 `json:"byTier"`
	ByRevision []FleetCount                 `json:"byRevision"`
	Stuck      []FleetOperation             `json:"stuck"` // the longest there first
	StuckAll   int                          `json:"stuckAll"`
	Waiting    int                          `json:"waiting"` // operations that wait for a date or a person
	Leaving    []FleetOperation             `json:"leaving"`
	LeavingAll int                          `json:"leavingAll"`
	Findings   map[tenure.Severity]int      `json:"findings"`
	Onboarding OnboardingFigures            `json:"onboarding"`
	Cost       *FleetCost                   `json:"cost,omitempty"` // for who sees everything
	CountedAt  time.Time                    `json:"countedAt"`      // when held, waiting, stuckAll, leavingAll and findings were counted
}

// FleetCount is how many tenants that aren't closed have something in common.
type FleetCount struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// FleetOperation is an operation on the fleet page.
type FleetOperation struct {
	ID          tenure.OperationID    `json:"id"`
	Kind        tenure.OperationKind  `json:"kind"`
	State       tenure.OperationState `json:"state"`
	Reason      string                `json:"reason,omitempty"`
	UpdatedAt   time.Time             `json:"updatedAt"`
	DueAt       time.Time             `json:"dueAt,omitzero"` // when it goes on by itself; zero: on an event
	Tenant      tenure.TenantID       `json:"tenant"`
	TenantName  string                `json:"tenantName"`
	TenantState tenure.TenantState    `json:"tenantState"`
}

// OnboardingFigures say how moving in went in the last 90 days. Times are in
// seconds from the request to the end, of all that ended.
type OnboardingFigures struct {
	StartsAt  time.Time        `json:"startsAt"`
	Runs      int              `json:"runs"`
	Failed    int              `json:"failed"`    // for a technical cause
	Expired   int              `json:"expired"`   // nobody approved it in time
	Rejected  int              `json:"rejected"`  // somebody said no
	Withdrawn int              `json:"withdrawn"` // whoever asked took it back
	P50       float64          `json:"p50"`
	P95       float64          `json:"p95"`
	Settled   int              `json:"settled"`   // succeeded
	Incidents int              `json:"incidents"` // of these, with an incident, a critical finding or an unplanned block within 30 days
	Weeks     []OnboardingWeek `json:"weeks"`
}

// OnboardingWeek is one week of it.
type OnboardingWeek struct {
	StartsAt time.Time `json:"startsAt"`
	Runs     int       `json:"runs"`
	Failed   int       `json:"failed"`
	P50      float64   `json:"p50"`
	P95      float64   `json:"p95"`
}

// FleetCost is what resources cost a month, in minor units by currency.
type FleetCost struct {
	At       time.Time        `json:"at"` // when it was added up
	Running  map[string]int64 `json:"running"`
	Stopped  map[string]int64 `json:"stopped"` // of what ran and has ended
	Orphaned map[string]int64 `json:"orphaned"`
	Unused   map[string]int64 `json:"unused" doc:"of what runs: of tenants that nobody has signed in to for 90 days, as far as every system with access tells it"`

	UnusedTenants int `json:"unusedTenants" doc:"how many these are"`
}

// LabelParams replace a tenant's labels.
type LabelParams struct {
	TenantParams
	IfMatch string `header:"If-Match" doc:"the ETag that was read" maxLength:"100"`
	Body    struct {
		Labels map[string]string `json:"labels" doc:"all labels that the tenant is to have"`
	}
}

// KnownByParams replace what other systems know a tenant by.
type KnownByParams struct {
	TenantParams
	IfMatch string `header:"If-Match" doc:"the ETag that was read" maxLength:"100"`
	Body    tenure.KnownBy
}

// Incident is trouble of a tenant's that another system saw.
type Incident struct {
	ID       string          `json:"id" doc:"the reporting system's own id for it; the same id again changes nothing; 200 bytes at most" maxLength:"200"`
	Tenant   tenure.TenantID `json:"tenant,omitempty"`
	Severity tenure.Severity `json:"severity" enum:"critical,high,medium,low"`
	Source   string          `json:"source" doc:"100 bytes at most" maxLength:"100"`
	Detail   string          `json:"detail,omitempty" doc:"2,000 bytes at most" maxLength:"2000"`
	At       time.Time       `json:"at,omitzero"`
}

// IncidentParams report an incident.
type IncidentParams struct {
	TenantParams
	Body Incident
}

// DepartureLink lets a leaving customer see their own departure.
type DepartureLink struct {
	ID        tenure.LinkID   `json:"id"`
	Tenant    tenure.TenantID `json:"tenant"`
	Audience  string          `json:"audience" doc:"customer: who leaves; stakeholder: somebody of the platform's, who sees the checklist and none of the customer's data" enum:"customer,stakeholder"`
	CreatedBy string          `json:"createdBy"`
	CreatedAt time.Time       `json:"createdAt"`
	ExpiresAt time.Time       `json:"expiresAt"`
	RevokedAt time.Time       `json:"revokedAt,omitzero"`
	SeenAt    time.Time       `json:"seenAt,omitzero"`
	Path      string          `json:"path,omitempty"` // on this server; shown this once
}

// LinkParams make a departure link.
type LinkParams struct {
	TenantParams
	Body struct {
		Days     int    `json:"days" minimum:"1" maximum:"400" doc:"how long it is good for"`
		Audience string `json:"audience,omitempty" doc:"absent: customer" enum:"customer,stakeholder"`
	}
}

// LinkID names a departure link of a tenant's.
type LinkID struct {
	TenantParams
	Link string `path:"link" doc:"a link's id, lnk_…" maxLength:"64"`
}

// AccountAccess is one way into a tenant: an account, a credential or a role in a
// system, or a principal's grant.
type AccountAccess struct {
	Kind      string    `json:"kind"` // grant, account
	Who       string    `json:"who"`
	What      string    `json:"what"` // the role, or the type of the account
	Where     string    `json:"where,omitempty"`
	State     string    `json:"state,omitempty"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	Source    string    `json:"source"` // the grant's or resource's id
}

var (
	// ShowFleet gives the fleet's figures.
	ShowFleet = Endpoint[None, Fleet]{Name: "fleet.show", Verb: "GET", Path: "/v1/fleet", Summary: "Show the state of all tenants that the caller may see"}
	// SetLabels replaces a tenant's labels.
	SetLabels = Endpoint[LabelParams, Tenant]{Name: "tenant.labels", Verb: "PATCH", Path: "/v1/tenants/{tenant}", Summary: "Replace a tenant's labels", Example: `{"labels": {"region": "eu"}}`}
	// SetKnownBy replaces what other systems know a tenant by.
	SetKnownBy = Endpoint[KnownByParams, Tenant]{Name: "tenant.known", Verb: "PUT", Path: "/v1/tenants/{tenant}/known-by", Summary: "Replace the mail domains and external ids that a tenant is known by in other systems", Example: `{"domains": ["acme.example"], "externalIds": ["crm-0001"]}`}
	// ReportIncident notes trouble of a tenant's.
	ReportIncident = Endpoint[IncidentParams, Incident]{Name: "incident.report", Verb: "POST", Path: "/v1/tenants/{tenant}/incidents", Summary: "Report an incident of a tenant that another system saw", Example: `{"id": "pager-17", "severity": "high", "source": "pager", "detail": "login errors"}`}
	// ListIncidents lists a tenant's incidents.
	ListIncidents = Endpoint[TenantParams, []Incident]{Name: "incident.list", Verb: "GET", Path: "/v1/tenants/{tenant}/incidents", Summary: "List a tenant's incidents, the latest first"}
	// TenantAccess lists who and what has access to a tenant.
	TenantAccess = Endpoint[TenantParams, []AccountAccess]{Name: "tenant.access", Verb: "GET", Path: "/v1/tenants/{tenant}/access", Summary: "List who and what has access to a tenant"}
	// MakeLink makes a departure link; its path is shown this once.
	MakeLink = Endpoint[LinkParams, DepartureLink]{Name: "link.make", Verb: "POST", Path: "/v1/tenants/{tenant}/departure-links", Summary: "Make a departure link for a leaving customer or a stakeholder; it is shown this once", Example: `{"days": 30}`, Once: true}
	// ListLinks lists a tenant's departure links.
	ListLinks = Endpoint[TenantParams, []DepartureLink]{Name: "link.list", Verb: "GET", Path: "/v1/tenants/{tenant}/departure-links", Summary: "List a tenant's departure links"}
	// RevokeLink ends a departure link.
	RevokeLink = Endpoint[LinkID, None]{Name: "link.revoke", Verb: "DELETE", Path: "/v1/tenants/{tenant}/departure-links/{link}", Summary: "Revoke a departure link"}
)
