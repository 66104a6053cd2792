package tenure

// ArtifactSpec is something that a tenant or its people own and that others go on using, such as a shared
// report, an app template, a domain or a repository. In a departure it gets another owner or is put away: one
// of To and Archive may say which is foreseen. Name, Where, To and Archive may hold CEL in ${…}.
type ArtifactSpec struct {
	Name    string `json:"name"`
	Where   string `json:"where,omitempty"`
	To      string `json:"to,omitempty"`      // who is to own it, in words
	Archive string `json:"archive,omitempty"` // where it is to be put
	Owner   string `json:"owner,omitempty"`   // whom the hand-over is reminded of, as notices name recipients
	Due     Period `json:"due,omitzero"`      // by when it should be done, from the departure's start
}

// Gate is what the step of the hand-over waits for.
func (a ArtifactSpec) Gate() *Gate {
	g := &Gate{Approvals: 1, Owner: a.Owner, Due: a.Due}
	a.Owner, a.Due = "", Period{}
	g.Artifact = &a
	return g
}

// Summary says what is to be done, in a line.
func (a ArtifactSpec) Summary() string {
	what := a.Name
	if a.Where != "" {
		what += " (" + a.Where + ")"
	}
	switch {
	case a.To != "":
		return "hand " + what + " over to " + a.To
	case a.Archive != "":
		return "archive " + what + " at " + a.Archive
	}
	return "hand " + what + " over, or archive it"
}

// ArtifactOutcome is what became of an artifact.
type ArtifactOutcome string

// Outcomes of an artifact whose hand-over is done.
const (
	ArtifactReassigned ArtifactOutcome = "reassigned" // it has another owner
	ArtifactArchived   ArtifactOutcome = "archived"   // it was put away
)

// Handed says what became of an artifact. The zero value is for a task, which has no outcome.
type Handed struct {
	Outcome     ArtifactOutcome
	Destination string // who owns it now, in words, or where it was put: one line of up to 500 characters
}

// Says puts it into words; "" if nothing is known.
func (h Handed) Says() string {
	switch h.Outcome {
	case ArtifactReassigned:
		return "reassigned to " + h.Destination
	case ArtifactArchived:
		return "archived at " + h.Destination
	}
	return ""
}
