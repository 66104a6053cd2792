package tenure

import "time"

// OperationState is where an operation stands.
type OperationState string

const (
	OperationRunning      OperationState = "running"
	OperationWaiting      OperationState = "waiting" // for a date, a person or a hold; holds no lock
	OperationPaused       OperationState = "paused"
	OperationBlocked      OperationState = "blocked"      // a step failed for good; a person must act
	OperationCompensating OperationState = "compensating" // taking back what it made
	OperationSucceeded    OperationState = "succeeded"
	OperationFailed       OperationState = "failed"
	OperationCancelled    OperationState = "cancelled"
)

// Ended says whether nothing more will happen to it.
func (s OperationState) Ended() bool {
	return s == OperationSucceeded || s == OperationFailed || s == OperationCancelled
}

// Operation is one execution of a plan.
type Operation struct {
	ID          OperationID    `json:"id"`
	Kind        OperationKind  `json:"kind"`
	Tenant      TenantID       `json:"tenant"`
	Plan        string         `json:"plan"` // digest
	State       OperationState `json:"state"`
	Reason      string         `json:"reason,omitempty"` // why it waits or is blocked
	RequestedBy string         `json:"requestedBy"`
	Trigger     string         `json:"trigger,omitempty"` // idempotency key of what asked for it
	CreatedAt   time.Time      `json:"createdAt"`
	UpdatedAt   time.Time      `json:"updatedAt"`
	DueAt       time.Time      `json:"dueAt,omitzero"` // when somebody must call Advance; zero: on an event
	Version     int64          `json:"version"`
}

// StepState is where one step of an operation stands.
type StepState string

const (
	StepPending StepState = "pending" // its needs aren't met, or a gate isn't open
	StepRunning StepState = "running" // claimed, under a lease
	StepDone    StepState = "done"    // ended; the verdict says how
	StepFailed  StepState = "failed"  // ended for good without success
	StepSkipped StepState = "skipped" // left out, with a reason and a second person
)

// Known says whether it is one of the states.
func (s StepState) Known() bool {
	switch s {
	case StepPending, StepRunning, StepDone, StepFailed, StepSkipped:
		return true
	}
	return false
}

// StepStatus is a step's row: where it stands and how it got there.
type StepStatus struct {
	Operation  OperationID `json:"operation"`
	Seq        int         `json:"seq"` // index in the plan, then compensations
	Key        string      `json:"key"`
	State      StepState   `json:"state"`
	Verdict    Verdict     `json:"verdict,omitempty"`
	Attempt    int         `json:"attempt,omitempty"`
	Owner      string      `json:"owner,omitempty"`
	Token      int64       `json:"token,omitempty"` // fencing token
	LeaseUntil time.Time   `json:"leaseExpiresAt,omitzero"`
	DueAt      time.Time   `json:"dueAt,omitzero"` // backoff, or when a gate opens
	StartedAt  time.Time   `json:"startedAt,omitzero"`
	EndedAt    time.Time   `json:"endedAt,omitzero"`
	ErrorCode  Code        `json:"errorCode,omitempty"`
	Error      string      `json:"error,omitempty"`
	Receipt    string      `json:"receipt,omitempty"`  // JSON of what was done, without secrets
	Progress   string      `json:"progress,omitempty"` // where a batched step can go on
}

// Approval is one person's signature under a plan's digest, at one gate.
type Approval struct {
	Operation OperationID `json:"operation"`
	Step      string      `json:"step"`
	Digest    string      `json:"digest"`
	By        string      `json:"by"`
	At        time.Time   `json:"at"`
	Note      string      `json:"note,omitempty"`
	For       string      `json:"delegator,omitempty"` // the delegator on whose behalf it was given
	Roles     []Role      `json:"roles,omitempty"`     // approving roles over the tenant that it was given with
}

// AskedBy says in words that somebody requested the operation or, of another than its
// requester, that they answer for the machine that did.
func (o Operation) AskedBy(name string) string {
	if SamePerson(name, o.RequestedBy) {
		return name + " requested this operation"
	}
	return name + " answers for " + o.RequestedBy + ", which requested this operation"
}

// CheckApproval is the separation of duties at a gate: the requester never
// approves, nobody counts twice, and only the plan that was read is signed.
func CheckApproval(op Operation, earlier []Approval, a Approval) error {
	switch {
	case a.By == "":
		return Errorf(Unauthorized, "an approval needs a name")
	case SamePerson(a.By, op.RequestedBy):
		return Errorf(Forbidden, "%s requested this operation and can't approve it", a.By).WithHint("ask somebody else to approve it")
	case a.Digest != op.Plan:
		return Errorf(Conflict, "the approval is for plan %s, the operation runs %s", a.Digest, op.Plan).WithHint("read the plan again: tenure operation show %s", op.ID)
	case op.State.Ended():
		return Errorf(Conflict, "operation %s has ended as %s", op.ID, op.State)
	}
	for _, e := range earlier {
		if e.Step == a.Step && SamePerson(e.By, a.By) {
			return Errorf(Conflict, "%s has approved this already; the approval is used", a.By)
		}
	}
	return nil
}

// conflicts is the published table: two operations that touch a common resource
// exclude each other while both run steps, save the pairs listed as free.
// A pair that isn't listed excludes. One that waits at a gate holds no lock.
var conflicts = map[[2]OperationKind]bool{
	{Repair, Repair}: false, // the same repair twice is idempotent
}

// Exclude says whether two operations that touch a common resource exclude each
// other while both are at work.
func Exclude(a, b OperationKind) bool {
	if v, ok := conflicts[[2]OperationKind{a, b}]; ok {
		return v
	}
	if v, ok := conflicts[[2]OperationKind{b, a}]; ok {
		return v
	}
	return true
}
