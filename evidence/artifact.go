package evidence

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Artifact is something of the tenant's that others go on using, such as a shared report, and what became of it.
// Where it went isn't said: those are the operator's words, and may name people.
type Artifact struct {
	Name    string    `json:"name"`    // as NameDigest makes it
	Outcome string    `json:"outcome"` // reassigned, archived, or dropped: somebody said why it needn't be
	By      string    `json:"by"`      // who said so, as a pseudonym
	At      time.Time `json:"at"`
	Item    string    `json:"item"`  // of the departure's checklist: the plan's step, or the id of what was added by hand
	Entry   string    `json:"entry"` // digest of the log entry that says so
	Planned bool      `json:"planned,omitempty"`
}

// ArtifactDropped is the outcome of what somebody said needn't be handed over.
const ArtifactDropped = string(tenure.TaskDropped)

// Kinds of log entries of an artifact's end: one of the plan, one that was added by hand, and one that was dropped.
const (
	ArtifactDone  = "task.done"
	ArtifactEnded = "task.end"
	ArtifactDrop  = "task.drop"
)

// EntryKind is the kind of the log entry that says what became of it.
func (a *Artifact) EntryKind() string {
	switch {
	case a.Planned:
		return ArtifactDone
	case a.Outcome == ArtifactDropped:
		return ArtifactDrop
	}
	return ArtifactEnded
}

func (a *Artifact) item() string { return "artifact:" + a.Item }

// artifactClaims are the artifacts with the log entries that they point to.
func (d *Departure) artifactClaims() (out []claim) {
	for i := range d.Artifacts {
		a := &d.Artifacts[i]
		out = append(out, claim{item: a.item(), settled: true, entry: a.Entry, kind: a.EntryKind(), step: a.Item, at: a.At, became: a.Outcome})
	}
	return out
}

// checkArtifacts is Invalid if an artifact says what can't be.
func (d *Departure) checkArtifacts() error {
	if len(d.Artifacts) > 0 && d.Kind == Supplementary {
		return tenure.Errorf(tenure.Invalid, "a supplementary certificate lists no artifacts")
	}
	seen := make(map[string]bool)
	for i := range d.Artifacts {
		a := &d.Artifacts[i]
		bad := func(what string) error { return tenure.Errorf(tenure.Invalid, "%s %s", a.item(), what) }
		dropped := a.Outcome == ArtifactDropped
		switch {
		case !isDigest(a.Name):
			return bad("gives a name that is no digest")
		case a.Item == "" || a.By == "" || a.At.IsZero():
			return bad("needs its item, and who said what became of it, and when")
		case seen[a.Item]:
			return bad("is listed twice")
		case !dropped && a.Outcome != string(tenure.ArtifactReassigned) && a.Outcome != string(tenure.ArtifactArchived):
			return bad("says " + a.Outcome + ", which is no outcome")
		case dropped && a.Planned:
			return bad("is the plan's, and dropped: two persons leave such a step out, which is an exception")
		case a.At.After(d.Issued):
			return bad("is of a time after the certificate")
		}
		seen[a.Item] = true
	}
	return nil
}
