package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Lease is until when a tenant is there without anybody's further word.
type Lease struct {
	Tenant     tenure.TenantID    `json:"tenant"`
	State      tenure.LeaseState  `json:"state" doc:"lapsed: nobody answered, and the suspension was requested; over: it does nothing any more, reason says how that came" enum:"running,lapsed,over"`
	Why        string             `json:"reason,omitempty"`
	StartedAt  time.Time          `json:"startedAt"`
	EndsAt     time.Time          `json:"expiresAt"`
	AskAt      time.Time          `json:"askAt,omitzero" doc:"when the tenant's contact is asked; absent once they were"`
	AskedAt    time.Time          `json:"requestedAt,omitzero" doc:"when they were"`
	Answer     tenure.LeaseAnswer `json:"answer,omitempty" doc:"to the last question" enum:"keep,extend,end"`
	AnsweredAt time.Time          `json:"answeredAt,omitzero"`
	Extended   int                `json:"extended" doc:"how often the contact has extended it"`
	Extensions int                `json:"extensions" doc:"how often they may"`
	SetBy      string             `json:"setBy,omitempty" doc:"who of staff set the end"`
	SetAt      time.Time          `json:"setAt,omitzero"`
	Suspension tenure.OperationID `json:"suspension,omitempty"`
	Departure  tenure.OperationID `json:"departure,omitempty"`
	Version    int64              `json:"version"`
}

// LeaseParams set when a tenant's lease ends.
type LeaseParams struct {
	TenantParams
	IfMatch string `header:"If-Match" doc:"the ETag that was read: the lease's version" maxLength:"100"`
	Body    struct {
		EndsAt time.Time `json:"expiresAt,omitzero" doc:"the new end, up to ten years away"`
		Lift   bool      `json:"lift,omitempty" doc:"no end at all"`
	}
}

var (
	// ShowLease shows a tenant's lease.
	ShowLease = Endpoint[TenantParams, Lease]{Name: "lease.show", Verb: "GET", Path: "/v1/tenants/{tenant}/lease", Summary: "Show until when a tenant is there without anybody's further word"}
	// SetLease sets its end, or lifts it.
	SetLease = Endpoint[LeaseParams, Lease]{Name: "lease.set", Verb: "PUT", Path: "/v1/tenants/{tenant}/lease", Summary: "Set when a tenant's lease ends, or lift it; an open question is withdrawn", Example: `{"expiresAt": "2027-01-31T00:00:00Z"}`}
)
