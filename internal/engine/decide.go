package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// snapshot is all that a decision is made of: the rows of one operation, and the
// plan that it runs.
type snapshot struct {
	op        store.OperationRow
	plan      *tenure.Plan
	nodes     []node // the plan's steps, then compensations
	begin     int    // every node before it has ended well
	byKey     map[string]int
	approvals []tenure.Approval
	holds     []tenure.Hold
	tenant    store.TenantRow
}

// node is a step with its row.
type node struct {
	step  *tenure.Step
	row   store.StepRow
	needs []int // indexes of what the step needs; -1 for one that isn't there
	mine  bool  // a task of this very Advance runs it
}

// decision is what may happen now.
type decision struct {
	claims []int // indexes of nodes to run
	opened []int // gates that open
	reopen []int // gates whose confirmation has lapsed
	undo   bool  // begin the compensation
	state  tenure.OperationState
	reason string
	due    time.Time
	ended  bool
}

// maxParallel bounds how many steps of one operation run at once.
const maxParallel = 16

// decide is the pure heart: given where everything stands, which steps may run
// now, which gates open, and when somebody must look again.
func decide(s *snapshot, now time.Time) decision {
	d := decision{state: tenure.OperationRunning}
	if s.op.State.Ended() {
		d.state, d.ended = s.op.State, true
		return d
	}
	// A compensation that is blocked stays one: it isn't begun anew.
	compensating := s.op.State == tenure.OperationCompensating || len(s.nodes) > len(s.plan.Steps)
	running, backoff, open := 0, 0, 0
	var failed, waits []string
	var last tenure.Verdict
	for s.begin < len(s.nodes) && s.nodes[s.begin].ended() {
		s.begin++
	}
	for i := s.begin; i < len(s.nodes); i++ {
		n := &s.nodes[i]
		undo := i >= len(s.plan.Steps)
		switch n.row.State {
		case tenure.StepDone, tenure.StepSkipped:
			continue
		case tenure.StepFailed:
			if undo || !n.step.Optional && !compensating {
				failed, last = append(failed, n.step.Key), n.row.Verdict
				open++
			}
			continue
		}
		if compensating && !undo && (n.row.State != tenure.StepRunning || n.row.Lapsed && !n.mine) {
			continue // what hasn't begun won't; what a dead process ran is taken back, not run again
		}
		open++
		switch {
		case n.row.State == tenure.StepRunning && (n.mine || !n.row.Lapsed):
			running++
			continue
		case !s.ready(n):
			continue
		case n.step.Action.IsGate():
			w := s.gate(n, now)
			if w.open {
				d.opened = append(d.opened, i)
				continue
			}
			waits = append(waits, w.why)
			d.due = earliest(d.due, w.at)
			continue
		case n.row.DueAt.After(now) && n.row.ErrorCode == "":
			waits = append(waits, n.row.Error)
			d.due = earliest(d.due, n.row.DueAt)
			continue
		case n.row.DueAt.After(now):
			backoff++
			d.due = earliest(d.due, n.row.DueAt)
			continue
		}
		if n.step.Destructive {
			if s.destroying(n.step.Resource, d.claims) {
				running++ // it follows when that has ended
				continue
			}
			if h := s.holding(n.step); h != "" {
				waits = append(waits, fmt.Sprintf("hold %s stands against %s", h, n.step.Key))
				continue
			}
			if g := s.lapsed(n.step, now); g >= 0 {
				d.reopen = append(d.reopen, g)
				continue
			}
		}
		if s.op.Wanted == "" || s.op.Wanted == "undo" || undo {
			d.claims = append(d.claims, i)
		}
	}
	if free := max(0, maxParallel-running); len(d.claims) > free {
		d.claims = d.claims[:free]
	}
	busy := running+len(d.claims)+len(d.opened)+len(d.reopen) > 0
	switch {
	case compensating:
		d.state = tenure.OperationCompensating
		switch {
		case open == 0:
			d.ended, d.state = true, tenure.OperationFailed
			if s.op.Wanted == "cancel" || s.op.Wanted == "undo" {
				d.state = tenure.OperationCancelled
			}
		case !busy && backoff == 0 && len(failed) > 0:
			d.state, d.reason = tenure.OperationBlocked, "taking back failed at "+strings.Join(failed, ", ")
		case !busy && backoff == 0:
			d.reason = strings.Join(unique(waits), "; ") // a hold stands against taking it back
		}
	case open == 0:
		d.state, d.ended = tenure.OperationSucceeded, true
	case s.op.Wanted == "cancel":
		if running > 0 {
			d.claims, d.opened = nil, nil
			break
		}
		d.claims, d.opened, d.reopen = nil, nil, nil
		if s.undoable() {
			d.undo, d.state = true, tenure.OperationCompensating
		} else {
			d.ended, d.state = true, tenure.OperationCancelled
		}
	case s.op.Wanted == "pause":
		d.claims, d.opened, d.reopen, d.due = nil, nil, nil, time.Time{}
		if running == 0 {
			d.state, d.reason = tenure.OperationPaused, "paused by a person"
		}
	case len(failed) > 0 && running == 0 && s.plan.OnFailure == tenure.Compensate && s.undoable():
		d.claims, d.opened = nil, nil
		d.undo, d.state, d.reason = true, tenure.OperationCompensating, "failed at "+strings.Join(failed, ", ")
	case busy || backoff > 0:
	case len(failed) > 0:
		d.state, d.reason = tenure.OperationBlocked, fmt.Sprintf("failed (%s) at %s", last, strings.Join(failed, ", "))
	default:
		d.state, d.reason = tenure.OperationWaiting, strings.Join(unique(waits), "; ")
	}
	if d.undo || len(d.reopen) > 0 {
		d.due = now // no step runs in between whose lease would bring somebody back
	}
	if d.ended {
		d.due = time.Time{}
	}
	return d
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func unique(in []string) []string {
	out := in[:0]
	seen := make(map[string]bool, len(in))
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// ended says whether a step is over for good, well or by an exception.
func (n *node) ended() bool {
	return n.row.State == tenure.StepDone || n.row.State == tenure.StepSkipped
}

// ready says whether all that the step needs has ended well enough.
func (s *snapshot) ready(n *node) bool {
	for _, i := range n.needs {
		if i < 0 {
			return false
		}
		need := &s.nodes[i]
		if !need.ended() && !(need.row.State == tenure.StepFailed && need.step.Optional) {
			return false
		}
	}
	return true
}

// undoable says whether the operation may be taken back: only one that creates.
func (s *snapshot) undoable() bool { return s.plan.Kind == tenure.Onboard }

// destroying says whether a destructive step on the same resource is under way or
// claimed: two erasures in one store would meet at its foreign keys.
func (s *snapshot) destroying(id tenure.ResourceID, claims []int) bool {
	if id == "" {
		return false
	}
	for _, i := range claims {
		if n := &s.nodes[i]; n.step.Destructive && n.step.Resource == id {
			return true
		}
	}
	for i := s.begin; i < len(s.nodes); i++ {
		if n := &s.nodes[i]; n.step.Destructive && n.step.Resource == id && n.row.State == tenure.StepRunning && (n.mine || !n.row.Lapsed) {
			return true
		}
	}
	return false
}

// holding names an active hold that covers what a destructive step would destroy.
func (s *snapshot) holding(step *tenure.Step) tenure.HoldID {
	subject := holdSubject(s.plan, step)
	for _, h := range s.holds {
		if h.Covers(subject) {
			return h.ID
		}
	}
	return ""
}

func holdSubject(p *tenure.Plan, step *tenure.Step) tenure.HoldSubject {
	subject := tenure.HoldSubject{Tenant: p.Tenant, System: step.System, Resource: step.Resource}
	switch {
	case step.Class != "":
		subject.Classes = []string{step.Class}
	default:
		for i := range p.Resources {
			if p.Resources[i].ID == step.Resource {
				subject.Classes = p.Resources[i].Classes
			}
		}
	}
	return subject
}

// wait is what a gate says.
type wait struct {
	open bool
	why  string
	at   time.Time // when to look again; zero: on an event
}

// gate says whether a waiting step opens now.
func (s *snapshot) gate(n *node, now time.Time) wait {
	g := n.step.Gate
	if g == nil {
		g = &tenure.Gate{}
	}
	switch n.step.Action {
	case tenure.ActApproval:
		have := s.signatures(n.step.Key, time.Time{}, true)
		if have >= g.Approvals {
			return wait{open: true}
		}
		return wait{why: fmt.Sprintf("%d of %d approvals at %s", have, g.Approvals, n.step.Key)}
	case tenure.ActTask:
		if s.signatures(n.step.Key, time.Time{}, false) > 0 {
			return wait{open: true}
		}
		return wait{why: "a person's task: " + n.step.Summary}
	case tenure.ActNoReturn:
		good := now.Add(time.Microsecond)
		if !g.Period.IsZero() {
			good = g.Period.After(s.since(g.After)) // counts are good until then
		}
		if now.After(good) {
			return wait{why: fmt.Sprintf("the counts at %s are older than %s; confirm again to take fresh ones", n.step.Key, g.Period)}
		}
		have := s.signatures(n.step.Key, s.since(g.After), true)
		if have >= g.Approvals {
			return wait{open: true}
		}
		return wait{why: fmt.Sprintf("%d of %d confirmations of the point of no return at %s", have, g.Approvals, n.step.Key)}
	case tenure.ActDate:
		at := g.Period.After(s.since(g.After))
		if !now.Before(at) {
			return wait{open: true}
		}
		return wait{why: fmt.Sprintf("%s until %s", n.step.Summary, at.Format("2006-01-02 15:04 MST")), at: at}
	case tenure.ActRetention:
		return s.retention(n, now)
	}
	return wait{why: "an unknown gate " + string(n.step.Action)}
}

// since is when the step ended that a gate counts from.
func (s *snapshot) since(key string) time.Time {
	if i, ok := s.byKey[key]; ok && !s.nodes[i].row.EndedAt.IsZero() {
		return s.nodes[i].row.EndedAt
	}
	return s.op.CreatedAt
}

// signatures counts the distinct persons who signed this plan at a gate since a
// moment; other says that the requester doesn't count.
func (s *snapshot) signatures(gate string, since time.Time, other bool) int {
	n := 0
	seen := make(map[string]bool)
	for _, a := range s.approvals {
		if a.Step == gate && a.Digest == s.op.Plan && !a.At.Before(since) && !seen[a.By] && (!other || a.By != s.op.RequestedBy) {
			seen[a.By] = true
			n++
		}
	}
	return n
}

// retention asks the solver about the gate's data class.
func (s *snapshot) retention(n *node, now time.Time) wait {
	for i := range s.plan.Classes {
		if s.plan.Classes[i].Name != n.step.Class {
			continue
		}
		c := tenure.SolveRetention(s.plan.Classes[i], s.tenant.Anchors, s.holds, tenure.HoldSubject{Tenant: s.plan.Tenant}, now)
		switch c.State {
		case tenure.ClockErase:
			return wait{open: true}
		case tenure.ClockConflict:
			// Two persons may decide that the longer rule wins.
			if s.signatures(n.step.Key, time.Time{}, true) >= 2 {
				return wait{open: !now.Before(c.KeepUntil), why: fmt.Sprintf("retention of %s, as two persons decided: %s", c.Class, c.Because), at: c.KeepUntil}
			}
			return wait{why: fmt.Sprintf("conflict in the retention of %s, for two persons to decide at %s: %s", c.Class, n.step.Key, c.Because)}
		case tenure.ClockKeep:
			return wait{why: fmt.Sprintf("retention of %s: %s", c.Class, c.Because), at: c.KeepUntil}
		default:
			return wait{why: fmt.Sprintf("retention of %s (%s): %s", c.Class, c.State, c.Because)}
		}
	}
	return wait{why: "data class " + n.step.Class + " isn't in the plan"}
}

// lapsed finds a point of no return that a destructive step relies on and whose
// confirmation is older than it may be; -1 if there is none.
func (s *snapshot) lapsed(step *tenure.Step, now time.Time) int {
	for _, key := range step.Needs {
		i, ok := s.byKey[key]
		if !ok || s.nodes[i].step.Action != tenure.ActNoReturn || s.nodes[i].row.State != tenure.StepDone {
			continue
		}
		g := s.nodes[i].step.Gate
		if g != nil && !g.Period.IsZero() && now.After(g.Period.After(s.nodes[i].row.EndedAt)) {
			return i
		}
	}
	return -1
}

// undoSteps are the compensations of what an operation made: its keys and
// resources in reverse, one after the other, and then the tenant's close.
func undoSteps(p *tenure.Plan, rows []store.StepRow) []tenure.StepStatus {
	var out []tenure.StepStatus
	for i := len(p.Steps) - 1; i >= 0; i-- {
		a := p.Steps[i].Action
		if undoAction(a) != "" && (rows[i].Attempt > 0 || a == tenure.ActKeyCreate) {
			out = append(out, tenure.StepStatus{Operation: rows[i].Operation, Seq: undoSeq(p, i), Key: "undo/" + p.Steps[i].Key})
		}
	}
	return append(out, tenure.StepStatus{Operation: rows[0].Operation, Seq: 2*len(p.Steps) + 1, Key: "undo/close"})
}

// undoSeq orders compensations in reverse behind the plan's own steps.
func undoSeq(p *tenure.Plan, i int) int { return 2*len(p.Steps) - i }

func undoAction(a tenure.Action) tenure.Action {
	switch a {
	case tenure.ActEnsure:
		return tenure.ActDelete
	case tenure.ActKeyCreate:
		return tenure.ActKeyDestroy
	}
	return ""
}

// undoStep rebuilds a compensation from its row.
func undoStep(p *tenure.Plan, row store.StepRow, before string) *tenure.Step {
	var needs []string
	if before != "" {
		needs = []string{before}
	}
	if row.Key == "undo/close" {
		return &tenure.Step{Key: row.Key, Stage: tenure.StageRestore, Action: tenure.ActMove, To: string(tenure.TenantClosed), Needs: needs, Summary: "close the tenant, which was never active"}
	}
	orig := p.Steps[2*len(p.Steps)-row.Seq]
	return &tenure.Step{
		Key: row.Key, Stage: tenure.StageRestore, Action: undoAction(orig.Action), Resource: orig.Resource, System: orig.System,
		Environment: orig.Environment, To: orig.To, Needs: needs, Destructive: orig.Action == tenure.ActEnsure, Summary: "take back: " + orig.Summary,
	}
}
