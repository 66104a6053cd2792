package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Waiting is one thing that waits for the caller's decision.
type Waiting struct {
	Kind          string               `json:"kind" doc:"approval, exception, hold, blueprint, standing, start, blocked, task, elevation, breakglass, move, principal, clock, store, event, leave"`
	ID            string               `json:"id" doc:"of the operation, hold, …"`
	Gate          string               `json:"gate,omitempty"`
	Tenant        tenure.TenantID      `json:"tenant,omitempty"`
	TenantName    string               `json:"tenantName,omitempty"`
	OperationKind tenure.OperationKind `json:"operationKind,omitempty"`
	Summary       string               `json:"summary"`
	RequestedBy   string               `json:"requestedBy"`
	Digest        string               `json:"digest,omitempty" doc:"what the decision signs"`
	Resources     int                  `json:"resources,omitempty" doc:"that the plan touches"`
	Destructive   int                  `json:"destructive,omitempty" doc:"steps that destroy"`
	Need          int                  `json:"need,omitempty" doc:"persons in all"`
	Have          int                  `json:"have,omitempty"`
	Missing       string               `json:"missing,omitempty" doc:"who is still needed, in words"`
	Rules         []string             `json:"rules,omitempty" doc:"approval rules that asked"`
	Delegator     string               `json:"delegator,omitempty" doc:"the delegator on whose behalf"`
	OpenedAt      time.Time            `json:"openedAt"`
	ExpiresAt     time.Time            `json:"expiresAt,omitzero"`
	Escalated     bool                 `json:"escalated,omitempty"`
	EscalatedTo   string               `json:"escalatedTo,omitempty" doc:"role:…, group:… or person:…, with commas; blank beside an escalation if nobody stands above those who were reminded"`
	Escalation    string               `json:"escalation,omitempty" doc:"why it went to them, or to nobody"`
	Artifact      bool                 `json:"artifact,omitempty" doc:"of a task: it is an artifact, and done with an outcome"`
}

// InboxParams say which part of the inbox is wanted.
type InboxParams struct {
	Paging
}

// InboxCount is how much waits.
type InboxCount struct {
	Count int  `json:"count"`
	More  bool `json:"more,omitempty" doc:"there is more than was counted"`
}

// RejectParams say no at a gate. A blank gate is the one that waits.
type RejectParams struct {
	OperationChange
	Body struct {
		Gate   string `json:"gate,omitempty"`
		Reason string `json:"reason" doc:"1,000 bytes at most" maxLength:"1000"`
	}
}

var (
	// ListApprovals lists what waits for the caller's decision, the oldest first.
	ListApprovals = Endpoint[InboxParams, Page[Waiting]]{Name: "approval.list", Verb: "GET", Path: "/v1/approvals", Summary: "List what waits for the caller's decision, the oldest first"}
	// CountApprovals counts it, up to 1,000.
	CountApprovals = Endpoint[None, InboxCount]{Name: "approval.count", Verb: "GET", Path: "/v1/approvals/count", Summary: "Count what waits for the caller's decision"}
	// RejectOperation says no at a gate: the operation is cancelled with the reason.
	RejectOperation = Endpoint[RejectParams, GateAnswer]{Name: "operation.reject", Verb: "POST", Path: "/v1/operations/{operation}/reject", Summary: "Say no at a gate: the operation is cancelled with the reason", Example: `{"reason": "the contract isn't signed"}`}
)
