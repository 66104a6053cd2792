package tenure

import (
	"slices"
	"strings"
	"time"
)

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
	Text      string // what is to be done; of an artifact, its name
	Artifact  bool   // something whose ownership is handed over: it ends with an outcome
	Where     string // where the artifact is
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
	Handed    Handed // what became of the artifact; zero while it is open, and of a task
}

// TaskAhead is how long before its due date a task is reminded of; after it, it is each TaskAgain.
const (
	TaskAhead = 24 * time.Hour
	TaskAgain = 7 * 24 * time.Hour
)

// CheckOwner refuses whom nobody can tell of a task: Invalid. It is platform, security, the tenant's contact, or the
// holders of a role, a group, or a person by name. An address is none, so that tasks are told to nobody from elsewhere.
func CheckOwner(owner string) error {
	kind, name, named := strings.Cut(owner, ":")
	known := slices.Contains([]string{"platform", "security", "contact"}, owner) || named && slices.Contains([]string{"role", "group", "person"}, kind) && name != "" && strings.TrimSpace(name) == name
	if line, err := Line("owner", owner, MaxTitle); owner != "" && !known || err != nil || line != owner || named && !Shows(name) {
		return Errorf(Invalid, "a task's owner can't be %q", clip(owner)).WithHint("platform, security, contact, role:NAME, group:NAME or person:NAME")
	}
	return nil
}
