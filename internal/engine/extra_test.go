package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// TestExtraApprovals: while something asks for another person's word, a gate that
// has what its plan says stays shut, says why, and is looked at again; the word of
// one more distinct person opens it, and so does the passing of what asked.
func TestExtraApprovals(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, action := range []tenure.Action{tenure.ActApproval, tenure.ActNoReturn} {
		for signed, open := range map[string]map[int]bool{ // by how many more are asked for
			"":                {0: false, 1: false},
			"ada":             {0: true, 1: false, 2: false},
			"ada, ada":        {0: true, 1: false},
			"ada, asker":      {0: true, 1: false},
			"ada, bob":        {0: true, 1: true, 2: false},
			"ada, bob, cyd":   {0: true, 1: true, 2: true},
			"standing:std_1":  {0: action == tenure.ActApproval, 1: false},
			"standing:s, ada": {0: action == tenure.ActApproval, 1: false},
		} {
			for extra, want := range open {
				p := &tenure.Plan{Tenant: "ten_x", Kind: tenure.Onboard, Steps: []tenure.Step{{Key: "gate", Action: action, Gate: &tenure.Gate{Approvals: 1}}}}
				s := &snapshot{plan: p, extra: extra, extraWhy: "finding fnd_1 stands", extraEnds: now.Add(time.Hour), op: store.OperationRow{Operation: tenure.Operation{
					ID: "op_x", Kind: p.Kind, Plan: "sha256:x", State: tenure.OperationRunning, RequestedBy: "asker", CreatedAt: now.Add(-time.Hour),
				}}}
				s.link([]store.StepRow{{StepStatus: tenure.StepStatus{Key: "gate", State: tenure.StepPending}}})
				for _, by := range strings.Split(signed, ", ") {
					if by != "" {
						s.approvals = append(s.approvals, tenure.Approval{Step: "gate", Digest: "sha256:x", By: by, At: now})
					}
				}
				name := fmt.Sprintf("%s signed by %q, %d more", action, signed, extra)
				d := decide(s, now)
				if (len(d.opened) > 0) != want {
					t.Errorf("%s: open is %v (%s)", name, !want, d.reason)
				}
				if bare := decideBare(s, now); !bare || want {
					continue
				}
				if !strings.Contains(d.reason, "finding fnd_1 stands") || !d.due.Equal(s.extraEnds) || len(d.awaits) != 1 {
					t.Errorf("%s: %+v", name, d)
				}
			}
		}
	}
}

// decideBare says whether the gate opens if nothing more is asked for.
func decideBare(s *snapshot, now time.Time) bool {
	bare := *s
	bare.extra = 0
	return len(decide(&bare, now).opened) > 0
}

// Gates that wait beside one another for the same reason say it once.
func TestGatesSayOnceWhyMoreAreAsked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	p := &tenure.Plan{Tenant: "ten_x", Kind: tenure.Offboard}
	var rows []store.StepRow
	for i, key := range []string{"noreturn/a", "noreturn/b", "noreturn/c"} {
		p.Steps = append(p.Steps, tenure.Step{Key: key, Action: tenure.ActNoReturn, Gate: &tenure.Gate{Approvals: 1}})
		rows = append(rows, store.StepRow{StepStatus: tenure.StepStatus{Seq: i, Key: key, State: tenure.StepPending}})
	}
	const why = "finding fnd_1 stands: ada signs from a place where she never was"
	s := &snapshot{plan: p, extra: 1, extraWhy: why, extraEnds: now.Add(time.Hour), op: store.OperationRow{Operation: tenure.Operation{
		ID: "op_x", Kind: p.Kind, Plan: "sha256:x", State: tenure.OperationRunning, RequestedBy: "asker", CreatedAt: now.Add(-time.Hour),
	}}}
	s.link(rows)
	d := decide(s, now)
	if n := strings.Count(d.reason, why); n != 1 {
		t.Errorf("the finding is told %d times, want once: %s", n, d.reason)
	}
	for _, st := range p.Steps {
		if !strings.Contains(d.reason, "0 of 2 "+confirmations+" "+st.Key) {
			t.Errorf("nothing is said of %s: %s", st.Key, d.reason)
		}
	}
}

// What stands in the way of several steps, or at several places, is named once.
func TestPlacesAreNamedOnce(t *testing.T) {
	t.Parallel()
	p := connector.Place{Name: "letters", Says: "nothing covers it", Blocks: true, Fix: "tables: {letters: CLASS}"}
	other := p
	other.Class = "people"
	if err := standing([]connector.Place{p, other}); strings.Count(err.Error(), "nothing covers it") != 1 {
		t.Errorf("a place is named twice: %v", err)
	}
}
