package tenure

import "time"

// TaskState is where a task on a departure's checklist stands.
type TaskState string

// States of a task.
const (
	TaskOpen    TaskState = "open"
	TaskDone    TaskState = "done"
	TaskDropped TaskState = "dropped" // somebody said why it needn't be done
)

// Task is something on the checklist of an operation that a person sees to: one of the plan's, or one
// that was added by hand. One that was added to a departure keeps its closing certificate waiting
// while it is open.
type Task struct {
	ID        TaskID
	Operation OperationID
	Tenant    TenantID
	Step      string // of the plan; "" for one that was added. Text, AddedBy and the end of one of the plan's are the plan's and the approvals'
	Text      string
	Owner     string // whom it is reminded of, as notices name recipients; "": nobody in particular
	DueAt     time.Time
	AddedBy   string
	AddedAt   time.Time
	SetBy     string // who gave it its owner and its date
	SetAt     time.Time
	State     TaskState
	EndedBy   string
	EndedAt   time.Time
	Note      string // of who ended it
}

// TaskAhead is how long before its due date a task is reminded of; after it, it is each TaskAgain.
const (
	TaskAhead = 24 * time.Hour
	TaskAgain = 7 * 24 * time.Hour
)
