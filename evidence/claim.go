package evidence

import (
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// claim is one item of a certificate with the log entry that it rests on.
type claim struct {
	item     string
	settled  bool // it is said to be verified
	entry    string
	kind     string // of the entry
	resource tenure.ResourceID
	step     string
	gone     bool // the entry must say that the resource is gone
	at       time.Time
	said     string // the entry must have this digest of what a company said
	became   string // the entry must have this outcome of an artifact
}

// claims are the items that may point to log entries; those that are verified must.
func (d *Departure) claims() []claim {
	var out []claim
	for _, r := range d.Resources {
		out = append(out, claim{item: "resource:" + string(r.ID), settled: r.Verdict.Settled(), entry: r.Entry, kind: "step.result", resource: r.ID, step: r.Step, gone: true, at: r.At})
	}
	for _, c := range d.Classes {
		for i := range c.Stores {
			p := &c.Stores[i]
			out = append(out, claim{item: p.item(c.Class), settled: p.Verdict.Settled(), entry: p.Entry, kind: "step.result", resource: p.Resource, step: p.Step, at: p.At})
		}
	}
	for _, e := range d.Exceptions {
		out = append(out, claim{item: "the exception for " + e.What, settled: true, entry: e.Entry, kind: "exception.attest", step: e.Step})
	}
	for _, a := range d.Additions {
		out = append(out, claim{item: "the addition " + a.Digest, settled: true, entry: a.Entry, kind: "coverage.review", step: a.Digest, at: a.At})
	}
	return append(append(append(out, d.remnantClaims()...), d.vendorClaims()...), d.artifactClaims()...)
}

// check is Invalid if the entry doesn't say what the claim says.
func (c *claim) check(d *Departure, e *audit.Entry) error {
	var data struct {
		Step     string         `json:"step"`
		State    string         `json:"state"`
		Verdict  tenure.Verdict `json:"verdict"`
		Resource string         `json:"resource"`
		Coverage string         `json:"coverage"`
		Gate     string         `json:"gate"`
		Said     string         `json:"said"`
		Task     string         `json:"task"`
		Artifact string         `json:"artifact"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return tenure.Errorf(tenure.Invalid, "%s: its entry's data: %w", c.item, err)
	}
	bad := func(what string) error {
		return tenure.Errorf(tenure.Invalid, "%s: its log entry says something else: %s", c.item, what)
	}
	switch {
	case e.Kind != c.kind:
		return bad("it is of kind " + e.Kind)
	case e.Tenant != d.Tenant.ID:
		return bad("it is about another tenant")
	case c.kind == "coverage.review":
		if data.Coverage != c.step || !e.At.Equal(c.at) {
			return bad("it is about another addition")
		}
		return nil
	case c.became != "":
		item := data.Task
		if e.Kind == ArtifactDone {
			item = data.Gate
		}
		if item != c.step || data.Artifact != c.became || e.Operation != d.Operation || !e.At.Equal(c.at) {
			return bad("something else became of the artifact")
		}
		return nil
	case c.kind == "task.done":
		if data.Gate != c.step || e.Operation != d.Operation || !e.At.Equal(c.at) {
			return bad("it is about another task")
		}
		return nil
	case c.said != "":
		if data.Gate != c.step || data.Said != c.said || e.Operation != d.Operation || !e.At.Equal(c.at) {
			return bad("the company said something else")
		}
		return nil
	case data.Step != c.step:
		return bad("it is about step " + data.Step)
	case c.kind == "exception.attest":
		return nil
	case e.Subject != string(c.resource):
		return bad("it is about another resource")
	case c.settled && (data.Verdict != tenure.Verified || data.State != string(tenure.StepDone)):
		return bad("it says " + data.State + ", " + string(data.Verdict))
	case c.settled && c.gone && data.Resource != string(tenure.ResourceGone):
		return bad("it says that the resource is " + data.Resource)
	case c.settled && !e.At.Equal(c.at):
		return bad("it is of another time")
	}
	return nil
}
