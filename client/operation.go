package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Operation is an operation as it is shown, with how far it is.
type Operation struct {
	tenure.Operation
	Wanted   string `json:"wanted,omitempty"` // pause, cancel: asked for and not done yet
	Steps    int    `json:"steps"`
	Done     int    `json:"done"` // ended in any way
	Running  int    `json:"running,omitempty"`
	Repeated bool   `json:"repeated,omitempty"` // the request's trigger had been seen before
}

// OperationDetail is an operation with its plan, steps and signatures.
type OperationDetail struct {
	Operation
	Body       *tenure.Plan        `json:"body,omitempty"` // nil once it is forgotten
	Rows       []tenure.StepStatus `json:"rows"`
	Approvals  []tenure.Approval   `json:"approvals,omitempty"`
	Exceptions []Exception         `json:"exceptions,omitempty"`

	Escalations []Escalated `json:"escalations,omitempty"` // of gates that still wait
}

// Escalated says whom the escalation of a gate went to, and why.
type Escalated struct {
	Gate   string    `json:"gate"`
	To     string    `json:"to,omitempty" doc:"role:…, group:… or person:…, with commas; blank if nobody stands above those who were reminded"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Exception is a step that is left out, with who asked and who attested.
type Exception struct {
	Operation   tenure.OperationID `json:"operation"`
	Step        string             `json:"step"`
	Reason      string             `json:"reason"`
	RequestedBy string             `json:"requestedBy"`
	RequestedAt time.Time          `json:"requestedAt"`
	AttestedBy  string             `json:"attestedBy,omitempty"`
	AttestedAt  time.Time          `json:"attestedAt,omitzero"`
}

// OperationFilter narrows a listing.
type OperationFilter struct {
	Paging
	Tenant string                `query:"tenant" doc:"only those of this tenant" maxLength:"64"`
	Open   bool                  `query:"open" doc:"only those that haven't ended"`
	Kind   tenure.OperationKind  `query:"kind" doc:"only those of this kind" enum:"onboard,change,upgrade,repair,suspend,resume,offboard,reinstate,revoke,supplement"`
	State  tenure.OperationState `query:"state" doc:"only those in this state" enum:"running,waiting,paused,blocked,compensating,succeeded,failed,cancelled"`
	From   time.Time             `query:"from" doc:"only those made at or after this moment (RFC 3339)"`
	To     time.Time             `query:"to" doc:"only those made before this moment (RFC 3339)"`
}

// OperationParams name an operation.
type OperationParams struct {
	Operation string `path:"operation" doc:"an operation's id, op_…" maxLength:"64"`
}

// OperationChange names an operation that is to change; with IfMatch it must be of
// that version still.
type OperationChange struct {
	OperationParams
	IfMatch string `header:"If-Match" doc:"the ETag that was read; another version is refused with 412"`
}

// OperationRequest asks for an operation: by an intent, or by the digest of a
// stored plan, which is run exactly as it is.
type OperationRequest struct {
	Body struct {
		Intent
		Plan string `json:"plan,omitempty" doc:"a stored plan's digest; beside it, trigger alone" maxLength:"80"`
	}
}

// GateParams are a person's word at a gate. A blank gate is the one that waits.
type GateParams struct {
	OperationChange
	Body struct {
		Gate   string `json:"gate,omitempty"`
		Digest string `json:"digest,omitempty" doc:"of the plan that was read" pattern:"^(sha256:)?[0-9a-f]{64}$" patternDescription:"a digest: sha256: and 64 hexadecimal digits"`
		Note   string `json:"note,omitempty"`
	}
}

// TaskParams say that a person's task is done. A blank gate is the one that waits.
type TaskParams struct {
	OperationChange
	Body struct {
		Gate string `json:"gate,omitempty"`
		Note string `json:"note,omitempty"`
		// An artifact needs both; a task takes neither.
		Outcome     tenure.ArtifactOutcome `json:"outcome,omitempty" doc:"what became of an artifact; it isn't done without" enum:"reassigned,archived"`
		Destination string                 `json:"destination,omitempty" doc:"who owns the artifact now, in words, or where it was put" maxLength:"500"`
	}
}

// GateAnswer names the gate that the word was for.
type GateAnswer struct {
	Gate string `json:"gate"`
}

// RetryParams name a failed step; a blank one is every failed step.
type RetryParams struct {
	OperationChange
	Body struct {
		Step string `json:"step,omitempty"`
	}
}

// Retried says how many steps are tried again.
type Retried struct {
	Steps int `json:"steps"`
}

// SkipParams name a failed step that is to be left out.
type SkipParams struct {
	OperationChange
	Body struct {
		Step   string `json:"step"`
		Reason string `json:"reason,omitempty" doc:"of the first person; the second attests"`
	}
}

// Skipped says whether the step is left out now, or a second person must attest.
type Skipped struct {
	Step     string `json:"step"`
	Attested bool   `json:"attested"`
}

// Output is one line of what an operation hands over.
type Output struct {
	Environment string `json:"environment"`
	Name        string `json:"name"`
	Value       any    `json:"value,omitempty"`
	Secret      string `json:"secret,omitempty"` // shown this once
	// Claim says how a one-time secret stands that isn't shown: open, claimed, gone, or
	// replaced by a later operation, which hands the new one over.
	Claim     string    `json:"claim,omitempty" doc:"how a one-time secret stands that isn't shown: open, claimed, gone, or replaced by a later operation, which hands the new one over"`
	ClaimedAt time.Time `json:"claimedAt,omitzero"`
}

const (
	exampleGate = `{"digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "note": "read it"}`
	exampleTask = `{"note": "handed over on the phone"}`
)

var (
	// ListOperations lists operations, the latest first.
	ListOperations = Endpoint[OperationFilter, Page[Operation]]{Name: "operation.list", Verb: "GET", Path: "/v1/operations", Summary: "List operations, the latest first"}
	// RequestOperation makes a plan, or takes a stored one, and starts it.
	RequestOperation = Endpoint[OperationRequest, Operation]{Name: "operation.request", Verb: "POST", Path: "/v1/operations", Summary: "Make a plan, or take a stored one, and start it", Example: exampleIntent}
	// ShowOperation shows one operation whole.
	ShowOperation = Endpoint[OperationParams, OperationDetail]{Name: "operation.show", Verb: "GET", Path: "/v1/operations/{operation}", Summary: "Show an operation with its plan, steps and signatures"}
	// FollowOperation says how far an operation is: the small answer for who asks
	// again and again.
	FollowOperation = Endpoint[OperationParams, Operation]{Name: "operation.progress", Verb: "GET", Path: "/v1/operations/{operation}/progress", Summary: "Say how far an operation is"}
	// ApproveOperation signs an operation's plan at a gate.
	ApproveOperation = Endpoint[GateParams, GateAnswer]{Name: "operation.approve", Verb: "POST", Path: "/v1/operations/{operation}/approve", Summary: "Sign an operation's plan at a gate", Example: exampleGate}
	// FinishTask says that a person has done what an operation waits for.
	FinishTask = Endpoint[TaskParams, GateAnswer]{Name: "operation.done", Verb: "POST", Path: "/v1/operations/{operation}/done", Summary: "Say that a task is done, as who owns it or may steer operations", Example: exampleTask}
	// PauseOperation lets the steps under way end, and starts no more.
	PauseOperation = Endpoint[OperationChange, Operation]{Name: "operation.pause", Verb: "POST", Path: "/v1/operations/{operation}/pause", Summary: "Let the steps under way end, and start no more"}
	// ContinueOperation goes on with a paused operation.
	ContinueOperation = Endpoint[OperationChange, Operation]{Name: "operation.continue", Verb: "POST", Path: "/v1/operations/{operation}/continue", Summary: "Go on with a paused operation"}
	// CancelOperation cancels an operation: an onboarding takes back what it made.
	CancelOperation = Endpoint[OperationChange, Operation]{Name: "operation.cancel", Verb: "POST", Path: "/v1/operations/{operation}/cancel", Summary: "Cancel an operation: an onboarding takes back what it made"}
	// RetryOperation gives failed steps their attempts again.
	RetryOperation = Endpoint[RetryParams, Retried]{Name: "operation.retry", Verb: "POST", Path: "/v1/operations/{operation}/retry", Summary: "Try failed steps again, with all their attempts", Example: `{"step": "prod/db/ensure"}`}
	// SkipStep asks for a failed step to be left out, or attests what another asked.
	SkipStep = Endpoint[SkipParams, Skipped]{Name: "operation.skip", Verb: "POST", Path: "/v1/operations/{operation}/skip", Summary: "Ask for a failed step to be left out, or attest what another asked", Example: `{"step": "prod/db/ensure", "reason": "its region is closed for good"}`}
	// ShowOutputs lists what an operation hands over, without secrets.
	ShowOutputs = Endpoint[OperationParams, Page[Output]]{Name: "operation.outputs", Verb: "GET", Path: "/v1/operations/{operation}/outputs", Summary: "List what an operation hands over, without secrets"}
	// ClaimOutputs also reveals the one-time secrets, once, to the requester.
	ClaimOutputs = Endpoint[OperationParams, Page[Output]]{Name: "operation.claim", Verb: "POST", Path: "/v1/operations/{operation}/claim", Summary: "Reveal an operation's one-time secrets, once, to its requester", Once: true}
)
