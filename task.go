package tenure

import (
	"bytes"
	"encoding/json"
)

// TaskSpec is something that a person does and confirms while a tenant comes or goes.
// In a blueprint it is a text, or a mapping where it says who confirms it.
type TaskSpec struct {
	Task        string `json:"task"`
	ConfirmedBy string `json:"confirmedBy,omitempty"` // ConfirmedByAnother; blank: anybody who may
	Owner       string `json:"owner,omitempty"`       // whom it is reminded of, as notices name recipients
	Due         Period `json:"due,omitzero"`          // by when it should be done, from the operation's start
}

// ConfirmedByAnother has a task confirmed by another person than the one who requested
// the operation.
const ConfirmedByAnother = "another"

// MarshalJSON writes a task that says no more than its text as that text, as it was
// always written.
func (t TaskSpec) MarshalJSON() ([]byte, error) {
	if t.ConfirmedBy == "" && t.Owner == "" && t.Due.IsZero() {
		return json.Marshal(t.Task)
	}
	type plain TaskSpec
	return json.Marshal(plain(t))
}

// UnmarshalJSON reads either.
func (t *TaskSpec) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = TaskSpec{}
		return json.Unmarshal(b, &t.Task)
	}
	type plain TaskSpec
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(t))
}

// Gate is what the task's step waits for.
func (t TaskSpec) Gate() *Gate {
	return &Gate{Approvals: 1, Another: t.ConfirmedBy == ConfirmedByAnother, Owner: t.Owner, Due: t.Due}
}

// OnboardingSpec is how a tenant comes, beside what is made for it.
type OnboardingSpec struct {
	Tasks []TaskSpec `json:"tasks,omitempty"` // done once everything is made and probed, before the tenant is active
}

// TaskWord is a person's word that a task is done, with all that decides whether it
// counts.
type TaskWord struct {
	By          string
	Owner       string       // who answers for By, where that is a machine
	Answers     string       // who answers for the machine that requested the operation
	Delegations []Delegation // as Signing has them
}

// Check refuses the word of who requested the operation, or counts as them, where the
// task is another person's to confirm: Forbidden.
func (w TaskWord) Check(op Operation, g *Gate) error {
	if g == nil || !g.Another {
		return nil
	}
	words := append(Signing{Approval: Approval{By: w.By}, Delegations: w.Delegations}.sameAs(), w.By, w.Owner)
	for _, name := range []string{op.RequestedBy, w.Answers} {
		if name != "" && NamesPerson(words, name) {
			return Errorf(Forbidden, "%s, and the blueprint has another person confirm the task", op.AskedBy(name)).WithHint("ask somebody else to confirm it")
		}
	}
	return nil
}
