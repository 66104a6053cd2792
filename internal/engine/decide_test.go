package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// world is a random operation: a graph of steps, some of them gates, some
// destructive, and where each stands.
func world(t *rapid.T) *snapshot {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n := rapid.IntRange(1, 14).Draw(t, "steps")
	p := &tenure.Plan{
		Tenant:    "ten_x",
		Kind:      rapid.SampledFrom([]tenure.OperationKind{tenure.Onboard, tenure.Change, tenure.Offboard}).Draw(t, "kind"),
		OnFailure: rapid.SampledFrom([]tenure.FailurePolicy{tenure.Compensate, tenure.Park}).Draw(t, "policy"),
	}
	for i := range n {
		s := tenure.Step{Key: fmt.Sprint("s", i), Resource: tenure.ResourceID(fmt.Sprint("r", i%3)), System: "main"}
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "need") == 0 {
				s.Needs = append(s.Needs, fmt.Sprint("s", j))
			}
		}
		switch rapid.IntRange(0, 9).Draw(t, "action") {
		case 0:
			s.Action, s.Gate = tenure.ActApproval, &tenure.Gate{Approvals: 1}
		case 1:
			days, _ := tenure.ParsePeriod(fmt.Sprintf("P%dD", rapid.IntRange(0, 20).Draw(t, "days")))
			s.Action, s.Gate = tenure.ActDate, &tenure.Gate{Period: days}
			if len(s.Needs) > 0 {
				s.Gate.After = s.Needs[0]
			}
		case 2:
			s.Action, s.Gate = tenure.ActTask, &tenure.Gate{Approvals: 1}
		case 3, 4:
			s.Action, s.Destructive = tenure.ActDelete, p.Kind != tenure.Onboard
			if s.Destructive {
				p.Destructive++
			}
		default:
			s.Action, s.Optional = tenure.ActEnsure, rapid.IntRange(0, 5).Draw(t, "optional") == 0
		}
		p.Steps = append(p.Steps, s)
	}
	s := &snapshot{plan: p, op: store.OperationRow{Operation: tenure.Operation{
		ID: "op_x", Kind: p.Kind, Tenant: p.Tenant, Plan: "sha256:x", State: tenure.OperationRunning, RequestedBy: "asker", CreatedAt: base,
	}}}
	s.op.Wanted = rapid.SampledFrom([]string{"", "", "", "", "pause", "cancel"}).Draw(t, "wanted")
	rows := make([]store.StepRow, n)
	for i := range rows {
		rows[i].Seq, rows[i].Key, rows[i].State = i, p.Steps[i].Key, tenure.StepPending
		over := true // a step moves only once what it needs is over
		for _, need := range p.Steps[i].Needs {
			j := slices.IndexFunc(p.Steps, func(o tenure.Step) bool { return o.Key == need })
			st := rows[j].State
			over = over && (st == tenure.StepDone || st == tenure.StepSkipped || st == tenure.StepFailed && p.Steps[j].Optional)
		}
		if !over {
			continue
		}
		states := []tenure.StepState{tenure.StepPending, tenure.StepDone, tenure.StepDone}
		if !p.Steps[i].Action.IsGate() {
			states = append(states, tenure.StepRunning, tenure.StepFailed, tenure.StepSkipped)
		}
		r := &rows[i]
		switch r.State = rapid.SampledFrom(states).Draw(t, "state"); r.State {
		case tenure.StepDone, tenure.StepSkipped:
			r.EndedAt, r.Attempt = base.Add(time.Duration(i)*time.Hour), 1
		case tenure.StepRunning:
			r.Attempt, r.Lapsed = 1, rapid.Bool().Draw(t, "lapsed")
		case tenure.StepFailed:
			r.Attempt, r.Verdict = 3, tenure.Unknown
		case tenure.StepPending:
			if !p.Steps[i].Action.IsGate() && rapid.IntRange(0, 3).Draw(t, "backoff") == 0 {
				r.Attempt, r.ErrorCode, r.DueAt = 1, tenure.Unavailable, base.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "due"))*time.Hour)
			}
		}
	}
	s.link(rows)
	for i := range p.Steps {
		if p.Steps[i].Action.IsGate() && rapid.Bool().Draw(t, "signed") {
			by := rapid.SampledFrom([]string{"asker", "other"}).Draw(t, "by")
			s.approvals = append(s.approvals, tenure.Approval{Step: p.Steps[i].Key, Digest: "sha256:x", By: by, At: base})
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "holds") {
		s.holds = append(s.holds, tenure.Hold{ID: "hld_x", Scope: tenure.HoldScope{Tenant: "ten_x", Resource: rapid.SampledFrom([]tenure.ResourceID{"", "r0", "r1"}).Draw(t, "held")}})
	}
	return s
}

// safe fails if the decision may do harm.
func safe(t *rapid.T, s *snapshot, d decision, now time.Time) {
	destroyed := make(map[tenure.ResourceID]bool)
	for _, i := range append(slices.Clone(d.claims), d.opened...) {
		n := &s.nodes[i]
		if n.row.State != tenure.StepPending && !(n.row.State == tenure.StepRunning && n.row.Lapsed) {
			t.Fatalf("%s is %s and is begun", n.step.Key, n.row.State)
		}
		for _, j := range n.needs {
			if !s.over(j) {
				t.Fatalf("%s is begun before %s is over (%s)", n.step.Key, s.nodes[j].step.Key, s.nodes[j].row.State)
			}
		}
	}
	for _, i := range d.claims {
		n := &s.nodes[i]
		if n.step.Action.IsGate() {
			t.Fatalf("gate %s is run", n.step.Key)
		}
		if n.row.DueAt.After(now) {
			t.Fatalf("%s is claimed before its time", n.step.Key)
		}
		if s.op.Wanted == "pause" || s.op.Wanted == "cancel" && i < len(s.plan.Steps) {
			t.Fatalf("%s is claimed though a person asked to %s", n.step.Key, s.op.Wanted)
		}
		if s.op.State == tenure.OperationCompensating && i < len(s.plan.Steps) {
			t.Fatalf("%s is claimed while what was made is taken back", n.step.Key)
		}
		if !n.step.Destructive {
			continue
		}
		if len(s.plan.Standing(s.holds, n.step)) > 0 {
			t.Fatalf("%s is claimed under a hold", n.step.Key)
		}
		if destroyed[n.step.Resource] {
			t.Fatalf("two destructions of %s at once", n.step.Resource)
		}
		destroyed[n.step.Resource] = true
	}
	for _, i := range d.opened {
		n := &s.nodes[i]
		if g := n.step; g.Action == tenure.ActApproval && !slices.ContainsFunc(s.approvals, func(a tenure.Approval) bool { return a.Step == g.Key && a.By != "asker" }) {
			t.Fatalf("gate %s opens without another's approval", g.Key)
		}
	}
	if len(d.claims) > maxParallel {
		t.Fatalf("%d steps at once", len(d.claims))
	}
}

// Whatever happened before, a decision does nothing that it may not, and leaves
// nobody stuck: something runs, or a time or an event is awaited with a reason,
// or a person must act, or it has ended.
func TestDecideIsSafeAndNeverStuck(t *testing.T) {
	t.Parallel()
	for range 20 { // a world that goes wrong is rare, and each is cheap
		rapid.Check(t, staysSafe)
	}
}

func staysSafe(t *rapid.T) {
	s := world(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "now")) * time.Hour)
	for range 400 {
		d := decide(s, now)
		safe(t, s, d, now)
		alive := slices.ContainsFunc(s.nodes, func(n node) bool { return n.row.State == tenure.StepRunning && !n.row.Lapsed })
		if d.ended {
			if !d.state.Ended() {
				t.Fatalf("it ended as %s", d.state)
			}
			if d.state == tenure.OperationSucceeded && slices.ContainsFunc(s.nodes, func(n node) bool {
				return !n.ended() && !(n.row.State == tenure.StepFailed && n.step.Optional)
			}) {
				t.Fatal("it succeeded with steps that aren't over")
			}
			return
		}
		s.op.State = d.state
		switch {
		case d.undo:
			rows := make([]store.StepRow, len(s.nodes))
			for i := range s.nodes {
				rows[i] = s.nodes[i].row
			}
			for _, u := range undoSteps(s.plan, rows) {
				u.State = tenure.StepPending
				rows = append(rows, store.StepRow{StepStatus: u})
			}
			s.begin = 0
			slices.SortFunc(rows, func(a, b store.StepRow) int { return a.Seq - b.Seq })
			s.link(rows)
		case len(d.claims)+len(d.opened) > 0:
			for _, i := range append(slices.Clone(d.claims), d.opened...) {
				r := &s.nodes[i].row
				r.State, r.EndedAt, r.Lapsed = tenure.StepDone, now, false
				r.Attempt++
				if !s.nodes[i].step.Action.IsGate() && rapid.IntRange(0, 7).Draw(t, "fails") == 0 {
					r.State, r.Verdict = tenure.StepFailed, tenure.Unknown
				}
			}
		case len(d.drains) > 0: // they are counted, and yield to their hold
			for _, i := range d.drains {
				s.nodes[i].row.State, s.nodes[i].row.Lapsed = tenure.StepPending, false
			}
		case alive: // somebody's answer comes
			for i := range s.nodes {
				if r := &s.nodes[i].row; r.State == tenure.StepRunning && !r.Lapsed {
					r.State, r.EndedAt = tenure.StepDone, now
					break
				}
			}
		case d.state == tenure.OperationBlocked:
			if d.reason == "" {
				t.Fatal("it is blocked and doesn't say why")
			}
			return
		case d.state == tenure.OperationPaused:
			return
		case !d.due.IsZero():
			if !d.due.After(now) {
				t.Fatalf("it is due at %s, which has passed, and nothing is to do", d.due)
			}
			now = d.due
		case (d.state == tenure.OperationWaiting || d.state == tenure.OperationCompensating) && d.reason != "":
			return // an event is awaited
		default:
			t.Fatalf("stuck: %s %q, nothing runs, and nothing is awaited", d.state, d.reason)
		}
	}
	t.Fatal("it goes on forever")
}
