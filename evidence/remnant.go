package evidence

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Remnant is what a system physically keeps, or may keep, of what was logically deleted
// there, as it was seen when the certificate was made. It ends on a date, or a person has
// attested it, or nobody can say.
type Remnant struct {
	System string             `json:"system"`
	Kind   tenure.RemnantKind `json:"kind"`
	Says   string             `json:"says,omitempty"`  // what is left, and what ends it; blank if nothing of the kind was seen
	Bytes  int64              `json:"bytes,omitempty"` // at the most, where the system says so

	Until  time.Time `json:"until,omitzero"`   // by when it has gone by itself
	Source string    `json:"source,omitempty"` // what the date or the attestation follows, if the blueprint says so

	Cleaned  time.Time `json:"cleaned,omitzero"`     // when Tenure did what it can about it
	Task     string    `json:"task,omitempty"`       // what a person attested
	Attested string    `json:"attestedBy,omitempty"` // by whom
	At       time.Time `json:"at,omitzero"`          // and when

	Step  string `json:"step,omitempty"`  // of the plan, that cleaned it, waited for it or asked a person
	Entry string `json:"entry,omitempty"` // digest of the log entry of its end
}

func (r *Remnant) item() string { return "remnant:" + r.System + "/" + string(r.Kind) }

// Ended says whether nothing of it was seen, or it was over when the certificate was made,
// or a person has attested it.
func (r *Remnant) Ended(issued time.Time) bool {
	return r.Says == "" || r.Attested != "" || !r.Until.IsZero() && !r.Until.After(issued)
}

// remnantClaims are the remnants that point to log entries.
func (d *Departure) remnantClaims() (out []claim) {
	for i := range d.Remnants {
		r := &d.Remnants[i]
		c := claim{item: r.item(), entry: r.Entry, step: r.Step}
		switch {
		case r.Attested != "":
			c.settled, c.kind, c.at = true, "task.done", r.At
		case !r.Cleaned.IsZero():
			c.settled, c.kind, c.at, c.resource = true, "step.result", r.Cleaned, tenure.ResourceID(d.Operation)
		case r.Entry == "":
			continue
		default:
			c.kind, c.resource = "step.result", tenure.ResourceID(d.Operation)
		}
		out = append(out, c)
	}
	return out
}

// checkRemnants is Invalid if a remnant says what can't be.
func (d *Departure) checkRemnants() error {
	for i := range d.Remnants {
		r := &d.Remnants[i]
		bad := func(what string) error { return tenure.Errorf(tenure.Invalid, "%s %s", r.item(), what) }
		switch {
		case r.System == "" || r.Kind == "":
			return bad("needs its system and its kind")
		case (r.Attested == "") != (r.Task == "") || (r.Attested == "") != r.At.IsZero():
			return bad("must give attestedBy, task and at together, or none of them")
		case r.Attested != "" && !r.Cleaned.IsZero():
			return bad("is cleaned or attested, not both")
		case (r.Attested != "" || !r.Cleaned.IsZero()) && r.Step == "":
			return bad("needs the step that it rests on")
		case r.At.After(d.Issued) || r.Cleaned.After(d.Issued):
			return bad("is of a time after the certificate")
		}
	}
	return nil
}
