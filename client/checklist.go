package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// ChecklistItem is a task of an operation that a person sees to.
type ChecklistItem struct {
	Item        string                 `json:"item" doc:"what names it: the plan's step, or the id of a task that was added"`
	Task        string                 `json:"task" doc:"what is to be done; of an artifact, its name"`
	Artifact    bool                   `json:"artifact,omitempty" doc:"it is something whose ownership is handed over, and is done with an outcome"`
	Where       string                 `json:"location,omitempty" doc:"where the artifact is"`
	To          string                 `json:"to,omitempty" doc:"who the blueprint foresees as its owner"`
	Archive     string                 `json:"archive,omitempty" doc:"where the blueprint foresees that it is put"`
	Planned     bool                   `json:"planned" doc:"it is one of the plan's; others keep the closing certificate waiting while they are open"`
	Owner       string                 `json:"owner,omitempty" doc:"whom it is reminded of, as notices name recipients"`
	DueAt       time.Time              `json:"dueAt,omitzero"`
	Overdue     bool                   `json:"overdue,omitempty"`
	Waiting     bool                   `json:"waiting,omitempty" doc:"it can be done now"`
	Another     bool                   `json:"another,omitempty" doc:"it isn't the requester of the operation who confirms it"`
	State       tenure.TaskState       `json:"state" enum:"open,done,dropped"`
	AddedBy     string                 `json:"addedBy"`
	AddedAt     time.Time              `json:"addedAt"`
	EndedBy     string                 `json:"endedBy,omitempty"`
	EndedAt     time.Time              `json:"endedAt,omitzero"`
	Note        string                 `json:"note,omitempty" doc:"of who ended it"`
	Outcome     tenure.ArtifactOutcome `json:"outcome,omitempty" doc:"what became of the artifact" enum:"reassigned,archived"`
	Destination string                 `json:"destination,omitempty" doc:"who owns the artifact now, or where it was put"`
}

// AddTaskParams put a task on the checklist of a departure.
type AddTaskParams struct {
	OperationChange
	Body struct {
		Task     string    `json:"task" doc:"what is to be done, in a line; of an artifact, its name" maxLength:"500"`
		Artifact bool      `json:"artifact,omitempty" doc:"it is something whose ownership is handed over"`
		Where    string    `json:"location,omitempty" doc:"where the artifact is; not of a task" maxLength:"500"`
		Owner    string    `json:"owner,omitempty" doc:"whom it is reminded of: person:NAME, group:NAME, role:NAME, platform, security or contact" maxLength:"200"`
		DueAt    time.Time `json:"dueAt,omitzero"`
	}
}

// ChangeTaskParams give a task another owner and date.
type ChangeTaskParams struct {
	OperationChange
	Body struct {
		Item  string    `json:"item" maxLength:"300"`
		Owner string    `json:"owner,omitempty" doc:"absent: nobody in particular" maxLength:"200"`
		DueAt time.Time `json:"dueAt,omitzero" doc:"absent: no date"`
	}
}

// DropTaskParams say why a task needn't be done.
type DropTaskParams struct {
	OperationChange
	Body struct {
		Item   string `json:"item" maxLength:"300"`
		Reason string `json:"reason" maxLength:"500"`
	}
}

// ChecklistAnswer names the task that was added or changed.
type ChecklistAnswer struct {
	Item string `json:"item"`
}

var (
	// ListChecklist lists the tasks of an operation.
	ListChecklist = Endpoint[OperationParams, Page[ChecklistItem]]{Name: "checklist.list", Verb: "GET", Path: "/v1/operations/{operation}/checklist", Summary: "List the tasks of an operation: those of its plan, and those that were added"}
	// AddTask puts a task on a departure's checklist.
	AddTask = Endpoint[AddTaskParams, ChecklistAnswer]{Name: "checklist.add", Verb: "POST", Path: "/v1/operations/{operation}/checklist", Summary: "Add a task to a departure; its closing certificate waits while it is open", Example: `{"task": "Tell the auditors", "owner": "group:legal", "dueAt": "2027-01-31T00:00:00Z"}`}
	// ChangeTask gives a task another owner and date.
	ChangeTask = Endpoint[ChangeTaskParams, ChecklistAnswer]{Name: "checklist.change", Verb: "POST", Path: "/v1/operations/{operation}/checklist/change", Summary: "Give a task another owner and date", Example: `{"item": "task/1", "owner": "person:rita", "dueAt": "2027-01-31T00:00:00Z"}`}
	// DropTask says why a task needn't be done.
	DropTask = Endpoint[DropTaskParams, ChecklistAnswer]{Name: "checklist.drop", Verb: "POST", Path: "/v1/operations/{operation}/checklist/drop", Summary: "Say why a task that was added needn't be done", Example: `{"item": "tsk_01890a5d-ac96-774b-bcce-b302099a8057", "reason": "there are no auditors"}`}
)
