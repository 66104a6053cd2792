package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Operation is an operation as it is shown, with how far it is.
type Operation struct {
	tenure.Operation
	Wanted  string `json:"wanted,omitempty"` // pause, cancel: asked for and not done yet
	Steps   int    `json:"steps"`
	Done    int    `json:"done"` // ended in any way
	Running int    `json:"running,omitempty"`
}

// OperationDetail is an operation with its plan, steps and signatures.
type OperationDetail struct {
	Operation
	Body       *tenure.Plan        `json:"body,omitempty"` // nil once it is forgotten
	Rows       []tenure.StepStatus `json:"rows"`
	Approvals  []tenure.Approval   `json:"approvals,omitempty"`
	Exceptions []store.Exception   `json:"exceptions,omitempty"`
}

func operationsOf(ctx context.Context, s *lifecycle.Service, rows []store.OperationRow) ([]Operation, error) {
	ids := make([]tenure.OperationID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	counts, err := s.Engine.DB.StepCounts(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Operation, len(rows))
	for i, r := range rows {
		out[i] = Operation{Operation: r.Operation, Wanted: r.Wanted}
		for state, n := range counts[r.ID] {
			out[i].Steps += n
			switch state {
			case tenure.StepDone, tenure.StepFailed, tenure.StepSkipped:
				out[i].Done += n
			case tenure.StepRunning:
				out[i].Running += n
			}
		}
	}
	return out, nil
}

func operationOf(ctx context.Context, s *lifecycle.Service, row store.OperationRow) (Operation, error) {
	list, err := operationsOf(ctx, s, []store.OperationRow{row})
	if err != nil {
		return Operation{}, err
	}
	return list[0], nil
}

// OperationFilter narrows a listing.
type OperationFilter struct {
	Tenant string `json:"tenant,omitempty"`
	Open   bool   `json:"open,omitempty"`  // only those that haven't ended
	Limit  int    `json:"limit,omitempty"` // 0 is 100
}

// IDParams name an operation.
type IDParams struct {
	ID string `json:"id"`
}

// ListOperations lists operations, the latest first.
var ListOperations = Method[OperationFilter, []Operation]{"operation.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, p OperationFilter) ([]Operation, error) {
	rows, err := s.Operations(ctx, p.Tenant, p.Open, p.Limit)
	if err != nil {
		return nil, err
	}
	return operationsOf(ctx, s, rows)
}}

// ShowOperation shows one operation whole.
var ShowOperation = Method[IDParams, OperationDetail]{"operation.show", false, func(ctx context.Context, s *lifecycle.Service, _ string, p IDParams) (OperationDetail, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return OperationDetail{}, err
	}
	v, err := s.Operation(ctx, id)
	if err != nil {
		return OperationDetail{}, err
	}
	out := OperationDetail{Body: v.Body, Approvals: v.Approvals, Exceptions: v.Exceptions}
	for _, r := range v.Steps {
		out.Rows = append(out.Rows, r.StepStatus)
	}
	out.Operation, err = operationOf(ctx, s, v.OperationRow)
	return out, err
}}

// FollowOperation says how far an operation is: the small answer for who asks
// again and again.
var FollowOperation = Method[IDParams, Operation]{"operation.follow", false, func(ctx context.Context, s *lifecycle.Service, _ string, p IDParams) (Operation, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return Operation{}, err
	}
	row, err := s.Engine.DB.Operation(ctx, id)
	if err != nil {
		return Operation{}, err
	}
	return operationOf(ctx, s, row)
}}

// GateParams are a person's word at a gate. A blank gate is the one that waits.
type GateParams struct {
	ID     string `json:"id"`
	Gate   string `json:"gate,omitempty"`
	Digest string `json:"digest,omitempty"` // of the plan that was read
	Note   string `json:"note,omitempty"`
}

// GateAnswer names the gate that the word was for.
type GateAnswer struct {
	Gate string `json:"gate"`
}

// ApproveOperation signs an operation's plan at a gate.
var ApproveOperation = Method[GateParams, GateAnswer]{"operation.approve", true, func(ctx context.Context, s *lifecycle.Service, by string, p GateParams) (GateAnswer, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return GateAnswer{}, err
	}
	gate, err := s.Approve(ctx, id, p.Gate, p.Digest, by, p.Note)
	return GateAnswer{gate}, err
}}

// FinishTask says that a person has done what an operation waits for.
var FinishTask = Method[GateParams, GateAnswer]{"operation.done", true, func(ctx context.Context, s *lifecycle.Service, by string, p GateParams) (GateAnswer, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return GateAnswer{}, err
	}
	gate, err := s.FinishTask(ctx, id, p.Gate, by, p.Note)
	return GateAnswer{gate}, err
}}

// SteerParams ask an operation to "pause", "continue" or "cancel".
type SteerParams struct {
	ID   string `json:"id"`
	What string `json:"what"`
}

// SteerOperation pauses, continues or cancels an operation.
var SteerOperation = Method[SteerParams, None]{"operation.steer", true, func(ctx context.Context, s *lifecycle.Service, by string, p SteerParams) (None, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return None{}, err
	}
	return None{}, s.Steer(ctx, id, p.What, by)
}}

// StepParams name a step of an operation; a blank one is every failed step.
type StepParams struct {
	ID     string `json:"id"`
	Step   string `json:"step,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Retried says how many steps are tried again.
type Retried struct {
	Steps int `json:"steps"`
}

// RetryOperation gives failed steps their attempts again.
var RetryOperation = Method[StepParams, Retried]{"operation.retry", true, func(ctx context.Context, s *lifecycle.Service, by string, p StepParams) (Retried, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return Retried{}, err
	}
	n, err := s.Retry(ctx, id, p.Step, by)
	return Retried{n}, err
}}

// Skipped says whether the step is left out now, or a second person must attest.
type Skipped struct {
	Step     string `json:"step"`
	Attested bool   `json:"attested"`
}

// SkipStep asks for a failed step to be left out, or attests what another asked.
var SkipStep = Method[StepParams, Skipped]{"operation.skip", true, func(ctx context.Context, s *lifecycle.Service, by string, p StepParams) (Skipped, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.ID)
	if err != nil {
		return Skipped{}, err
	}
	attested, err := s.Skip(ctx, id, p.Step, p.Reason, by)
	return Skipped{p.Step, attested}, err
}}

// ShowOutputs lists what an operation hands over, without secrets.
var ShowOutputs = Method[IDParams, []lifecycle.Output]{"operation.outputs", false, outputs(false)}

// ClaimOutputs also reveals the one-time secrets, once, to the requester.
var ClaimOutputs = Method[IDParams, []lifecycle.Output]{"operation.claim", true, outputs(true)}

func outputs(claim bool) func(context.Context, *lifecycle.Service, string, IDParams) ([]lifecycle.Output, error) {
	return func(ctx context.Context, s *lifecycle.Service, by string, p IDParams) ([]lifecycle.Output, error) {
		id, err := tenure.ParseID[tenure.OperationID](p.ID)
		if err != nil {
			return nil, err
		}
		return s.Outputs(ctx, id, claim, by)
	}
}
