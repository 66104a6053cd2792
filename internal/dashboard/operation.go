package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// OperationsView is a page of the list of operations.
type OperationsView struct {
	Filters Filters
	Rows    []OperationRow
	Pager   Pager
	Actions []Action
}

// OperationRow is an operation in a list.
type OperationRow struct {
	ID          tenure.OperationID
	Kind        tenure.OperationKind
	Tenant      Ref
	State       tenure.OperationState
	Reason      string // why it waits or is blocked
	RequestedBy string
	Done, Steps int
	Created     time.Time
	Updated     time.Time
	Due         time.Time
}

// OperationView is one operation with its plan.
type OperationView struct {
	OperationRow
	Plan        string // digest
	Blueprint   Ref
	From        string     // the revision before, of an upgrade
	Why         string     // the reason that was given with the request
	Events      []LedEvent // of other systems, that led to it or ended it; none for who may not read them
	Rule        string     // the approval rule that holds, in words
	Need, Have  int        // signatures at the gate that is open
	Signatures  []Signature
	Exceptions  []ExceptionRow
	Tasks       []TaskRow // what people see to
	AddTask     *Action
	StepRows    []StepRow
	Diff        []tenure.Difference
	Dates       []tenure.Projection
	Destructive int
	OnFailure   tenure.FailurePolicy
	Forgotten   bool     // the plan's body was erased with the tenant
	Actions     []Action // approve, reject, pause, continue, cancel, with their consequences
	Outputs     *Action  // claims what is handed over, once
	OutputsSay  string   // to whom, until when
}

// Signature is one person's name under a plan's digest.
type Signature struct {
	By, Role, Step, Note string
	At                   time.Time
	For                  string // whom they stand in for, by a delegation
}

// TaskRow is something on the checklist that a person sees to.
type TaskRow struct {
	DepartureTask
	By, Note string // who ended it
	Actions  []Action
}

// ExceptionRow is a step that a second person attested.
type ExceptionRow struct {
	Step, Reason, By, Second string
	At                       time.Time
}

// StepRow is one step of a plan and where it stands.
type StepRow struct {
	Key         string
	Stage       tenure.Stage
	Action      tenure.Action
	Summary     string
	Needs       []string
	Destructive bool
	Optional    bool
	Environment string
	System      string
	Resource    string
	State       tenure.StepState
	Verdict     tenure.Verdict
	Held        bool // a hold stands before it
	Attempts    int
	Started     time.Time
	Ended       time.Time
	Due         time.Time
	Waits       string // what it waits for, in words
	ErrorCode   tenure.Code
	Error       string
	Receipt     string // JSON, without secrets
	Progress    string
	Log         []LogLine
	Actions     []Action // retry, skip with a second person, say that a task is done
}

// LogLine is one line of a step's log; it never holds a secret.
type LogLine struct {
	At   time.Time
	Text string
	Tone Tone
}

// Status is the step's look.
func (s StepRow) Status() Status {
	switch {
	case s.Held && s.State == tenure.StepPending:
		return Status{ToneHold, "lock", "held"}
	case s.State == tenure.StepRunning && s.Action.IsGate(), s.State == tenure.StepPending && s.Waits != "":
		return Status{ToneHold, "clock", "waiting"}
	}
	return stepStatus(s.State, s.Verdict)
}

// Took is how long it has run; zero while it runs.
func (s StepRow) Took() time.Duration {
	if s.Started.IsZero() || s.Ended.IsZero() {
		return 0
	}
	return s.Ended.Sub(s.Started)
}

// Progress counts the steps by their look, for the bar above the graph.
func (v OperationView) Progress() []Count {
	n := make(map[Status]int)
	order := []Status{
		{ToneOK, "ok", "verified"}, {ToneOK, "ok", "done"}, {ToneWarn, "said", "claimed"}, {ToneWarn, "ask", "unknown"}, {ToneWarn, "skip", "skipped"},
		{ToneBad, "fail", "failed"}, {ToneInfo, "run", "running"}, {ToneHold, "clock", "waiting"}, {ToneHold, "lock", "held"}, {ToneIdle, "dot", "pending"},
	}
	for _, s := range v.StepRows {
		n[s.Status()]++
	}
	var out []Count
	for _, s := range order {
		if n[s] > 0 {
			out = append(out, Count{Label: s.Word, N: n[s], Tone: s.Tone})
		}
	}
	return out
}

// Summary is one sentence on where it stands; a live page announces it.
func (v OperationView) Summary() string {
	s := upperFirst(string(v.Kind)) + " of " + v.Tenant.Label + ": " + spaced(string(v.State)) + ", " +
		numberOf(v.Done) + " of " + plural(v.Steps, "step", "steps") + " done"
	if v.Reason != "" {
		s += "; " + v.Reason
	}
	return s
}

// Operations renders the list.
func (p *Pages) Operations(w io.Writer, frame Frame, v OperationsView) error {
	return p.render(w, "operations", framed, frame, v)
}

// Operation renders one operation.
func (p *Pages) Operation(w io.Writer, frame Frame, v OperationView) error {
	return p.render(w, "operation", framed, frame, v)
}
