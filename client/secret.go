package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Secret is what is known of a credential; its value is never told.
type Secret struct {
	Of          string             `json:"of" enum:"tenant,system" doc:"tenant: of a tenant's resource; system: what Tenure works with there"`
	Tenant      tenure.TenantID    `json:"tenant,omitempty"`
	TenantName  string             `json:"tenantName,omitempty"`
	Resource    tenure.ResourceID  `json:"resource,omitempty"`
	Environment string             `json:"environment,omitempty"`
	Key         string             `json:"key,omitempty" doc:"the blueprint's name for the resource"`
	System      string             `json:"system"`
	Type        string             `json:"type" doc:"the resource's; of a system its connector"`
	Name        string             `json:"name" doc:"the resource's, in its system; of a system the names of its secret options"`
	MadeAt      time.Time          `json:"madeAt,omitzero" doc:"when the first one was made, or of a system first seen; left out where that isn't known"`
	RotatedAt   time.Time          `json:"rotatedAt,omitzero" doc:"when the one in use was made or took over; left out where it is the first"`
	Operation   tenure.OperationID `json:"operation,omitempty" doc:"the one that made it"`
	Owner       string             `json:"owner,omitempty" doc:"who answers for it: who asked for the operation; of a system its owner in systems.yaml, or who added it"`
	Rotate      string             `json:"rotate,omitempty" doc:"how long after it was made it is due for rotation (ISO 8601)"`
	DueAt       time.Time          `json:"dueAt,omitzero" doc:"when it is due for rotation; left out: never"`
	Overdue     bool               `json:"overdue" doc:"it should have been rotated by now"`
	ClaimedAt   time.Time          `json:"claimedAt,omitzero" doc:"when it was handed over"`
}

// SecretFilter narrows a listing.
type SecretFilter struct {
	Paging
	Tenant  string `query:"tenant" doc:"only those of this tenant" maxLength:"64"`
	Overdue bool   `query:"overdue" doc:"only those that should have been rotated by now"`
}

// ListSecrets lists what is known of credentials: those that Tenure works with in systems,
// then those of tenants' resources.
var ListSecrets = Endpoint[SecretFilter, Page[Secret]]{Name: "secret.list", Verb: "GET", Path: "/v1/secrets", Summary: "List the credentials of systems and tenants with their age, owner and due date, never their values"}
