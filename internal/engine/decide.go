package engine

import (
	"fmt"
	"slices"
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
	waiting   waiting
	byKey     map[string]int
	approvals []tenure.Approval
	vendors   map[string]tenure.Vendor // by step: what companies were asked, and what they said
	extra     int                      // how many more persons must approve than the plan says
	extraWhy  string
	extraEnds time.Time // when that may pass by itself; zero: on an event
	holds     []tenure.Hold
	tenant    store.TenantRow
	// reopened says that a step which had ended has to run again, so that steps after
	// it have ended too early: what follows waits for all that comes before it.
	reopened bool
	doubt    string // why the time can't be relied on
}

// node is a step with its row.
type node struct {
	step  *tenure.Step
	on    *tenure.PlannedResource // what the step is about; nil: no resource of the plan
	row   store.StepRow
	needs []int // indexes of what the step needs; -1 for one that isn't there
	mine  bool  // a task of this very Advance runs it

	awaited time.Time // since when it waits for persons, as it has been recorded; zero: it hasn't
}

// decision is what may happen now.
type decision struct {
	claims []int   // indexes of nodes to run
	drains []int   // destructive steps whose process died and that a hold stands against: only to be counted
	opened []int   // gates that open
	awaits []await // gates that wait for persons

	vendors []int // gates that wait for companies
	reopen  []int // gates whose confirmation has lapsed
	undo    bool  // begin the compensation
	state   tenure.OperationState
	reason  string
	due     time.Time
	ended   bool

	asks map[string][]int // systems to ask first, and the steps that would be claimed
}

// await is a gate that waits for persons, and since when.
type await struct {
	index int
	since time.Time
}

// acts says whether a decision changes more than how the operation stands.
func (d *decision) acts() bool {
	return d.ended || d.undo || len(d.claims)+len(d.drains)+len(d.opened)+len(d.reopen) > 0
}

// maxParallel bounds how many steps of one operation run at once.
const maxParallel = 16

// decide is the pure heart: given where everything stands, which steps may run
// now, which gates open, and when somebody must look again.
func decide(s *snapshot, now time.Time) decision {
	if s.op.State.Ended() {
		return decision{state: s.op.State, reason: s.op.Reason, ended: true}
	}
	// A compensation that is blocked stays one: it isn't begun anew.
	v := view{snapshot: s, now: now, compensating: s.op.State == tenure.OperationCompensating || len(s.nodes) > len(s.plan.Steps)}
	for s.begin < len(s.nodes) && s.nodes[s.begin].ended() {
		s.begin++
	}
	s.waiting.begin(len(s.nodes))
	for i := s.begin; i < len(s.nodes); i++ {
		if !v.compensating && s.waiting.still(i) {
			v.left++
			continue
		}
		if !s.over(i) {
			s.waiting.open[i] = s.waiting.look
		}
		if v.open(i) {
			v.left++
			v.look(i)
		}
	}
	if free := max(0, maxParallel-v.running); len(v.d.claims) > free {
		v.d.claims = v.d.claims[:free]
	}
	v.d.state = tenure.OperationRunning
	if v.compensating {
		v.concludeUndo()
	} else {
		v.conclude()
	}
	if v.d.undo || len(v.d.reopen) > 0 {
		v.d.due = now // no step runs in between whose lease would bring somebody back
	}
	if v.d.ended {
		v.d.due = time.Time{}
	}
	return v.d
}

// view is a decision in the making: what has been seen of the steps so far.
type view struct {
	*snapshot
	now          time.Time
	d            decision
	compensating bool

	left    int            // steps that keep the operation from its end
	running int            // steps that run, or that follow one that does
	backoff int            // steps that will be tried again
	failed  []string       // keys of steps that failed for good
	last    tenure.Verdict // how the last of them failed
	waits   []string       // what is waited for
	tries   []string       // what has been tried for so long that it is named
	stuck   []string       // certificates that can't be issued yet
}

// open says whether a step keeps the operation from its end.
func (v *view) open(i int) bool {
	n, undo := &v.nodes[i], i >= len(v.plan.Steps)
	switch {
	case n.ended():
		return false
	case n.row.State == tenure.StepFailed:
		return undo || !n.step.Optional && !v.compensating
	case v.compensating && !undo:
		// What hasn't begun won't; what a dead process ran is taken back, not run again.
		return n.running()
	}
	return true
}

// look sorts an open step: it failed, runs, waits, is tried again later, or may run now.
func (v *view) look(i int) {
	n := &v.nodes[i]
	switch {
	case n.row.State == tenure.StepFailed:
		v.failed, v.last = append(v.failed, n.step.Key), n.row.Verdict
	case n.running():
		v.running++
	case n.row.State == tenure.StepRunning && n.step.Destructive && v.holding(n.step) != "":
		v.d.drains = append(v.d.drains, i)
	case !v.ready(i):
	case n.step.Action.IsGate():
		v.lookAtGate(i)
	case n.row.DueAt.After(v.now):
		v.lookAtDelayed(n)
	case n.step.Destructive && !v.mayDestroy(n):
	case v.op.Wanted == "" || v.op.Wanted == "undo" || i >= len(v.plan.Steps):
		v.d.claims = append(v.d.claims, i)
	}
}

// waitFor notes what is waited for, and when to look again; zero: on an event.
func (v *view) waitFor(why string, at time.Time) {
	v.waits = append(v.waits, why)
	v.d.due = earliest(v.d.due, at)
}

// lookAtGate opens a gate, or notes what it waits for.
func (v *view) lookAtGate(i int) {
	n := &v.nodes[i]
	w := v.gate(n, v.now)
	if w.open && v.doubt != "" && dated(n.step.Action) {
		w = wait{why: v.doubt}
	}
	if w.open {
		v.d.opened = append(v.d.opened, i)
		return
	}
	if w.persons {
		if w.since.IsZero() {
			w.since = v.awaitedSince(n)
		}
		v.d.awaits = append(v.d.awaits, await{i, w.since})
	}
	if w.company {
		v.d.vendors = append(v.d.vendors, i)
	}
	v.waitFor(w.why, w.at)
}

// lookAtDelayed notes why a step isn't run before its time: it waits for something, its
// certificate can't be issued yet, or it failed and is tried again.
func (v *view) lookAtDelayed(n *node) {
	v.d.due = earliest(v.d.due, n.row.DueAt)
	switch {
	case n.row.ErrorCode == "":
		v.waits = append(v.waits, n.row.Error)
		return
	case n.step.Action == tenure.ActCertify && n.row.ErrorCode == tenure.Blocked:
		v.stuck = append(v.stuck, n.step.Key+": "+n.row.Error)
		return
	}
	v.backoff++
	if n.row.FailingSince.IsZero() {
		return
	}
	if named := n.row.FailingSince.Add(nameAfter); named.After(v.now) {
		v.d.due = earliest(v.d.due, named)
		return
	}
	v.tries = append(v.tries, fmt.Sprintf("%s has been tried since %s: %s", n.step.Key, n.row.FailingSince.Format("2006-01-02 15:04 MST"), n.row.Error))
}

// mayDestroy says whether nothing stands against a destructive step now, and notes what
// does: another one on the same resource, a doubtful clock, a hold, a retention clock, or
// a confirmation that has lapsed and is asked for again.
func (v *view) mayDestroy(n *node) bool {
	if v.destroying(n.step.Resource, v.d.claims) {
		v.running++ // it follows when that has ended
		return false
	}
	if v.doubt != "" {
		v.waitFor(v.doubt, time.Time{})
		return false
	}
	if h := v.holding(n.step); h != "" {
		v.waitFor(fmt.Sprintf("hold %s stands against %s", h, n.step.Key), time.Time{})
		return false
	}
	if w := v.clocks(n.step, v.now); !w.open {
		v.waitFor(w.why, w.at)
		return false
	}
	gates := v.lapsed(n, v.now)
	for _, g := range gates {
		if !slices.Contains(v.d.reopen, g) {
			v.d.reopen = append(v.d.reopen, g)
		}
	}
	return len(gates) == 0
}

// busy says whether something goes on now, without anybody's doing.
func (v *view) busy() bool {
	return v.running+v.backoff+len(v.d.claims)+len(v.d.drains)+len(v.d.opened)+len(v.d.reopen) > 0
}

// concludeUndo says how an operation stands that is being taken back.
func (v *view) concludeUndo() {
	d := &v.d
	d.state, d.reason = tenure.OperationCompensating, v.why()
	switch {
	case v.left == 0:
		d.ended, d.state = true, tenure.OperationFailed
		if v.op.Wanted == "cancel" || v.op.Wanted == "undo" {
			d.state = tenure.OperationCancelled
		}
	case v.busy():
	case len(v.failed) > 0:
		d.state, d.reason = tenure.OperationBlocked, "taking back failed at "+strings.Join(v.failed, ", ")
	case len(v.waits) > 0:
		d.reason = strings.Join(unique(v.waits), "; ") // a hold stands against taking it back
	}
}

// conclude says how an operation stands, from what was seen of its steps and what a
// person wants of it.
func (v *view) conclude() {
	d := &v.d
	switch {
	case v.left == 0:
		d.state, d.ended = tenure.OperationSucceeded, true
	case v.op.Wanted == "cancel":
		d.claims, d.opened, d.reopen = nil, nil, nil
		if v.running+len(d.drains) > 0 {
			break
		}
		d.reason = v.why()
		if v.adopted() { // the tenant would be left between two states; a retry goes on
			d.state, d.due = tenure.OperationPaused, time.Time{}
			d.reason = "it has begun to adopt what stood there, and isn't taken back"
			break
		}
		if v.undoable() {
			d.undo, d.state = true, tenure.OperationCompensating
		} else {
			d.ended, d.state = true, tenure.OperationCancelled
		}
	case v.op.Wanted == "pause":
		d.claims, d.opened, d.reopen, d.due = nil, nil, nil, time.Time{}
		if v.running+len(d.drains) == 0 {
			d.state, d.reason = tenure.OperationPaused, "paused by a person"
		}
	case len(v.failed) > 0 && v.running == 0 && v.plan.OnFailure == tenure.Compensate && v.undoable():
		d.claims, d.opened = nil, nil
		d.undo, d.state, d.reason = true, tenure.OperationCompensating, "failed at "+strings.Join(v.failed, ", ")
	case v.busy():
		d.reason = strings.Join(v.tries, "; ")
	case len(v.failed) > 0:
		d.state, d.reason = tenure.OperationBlocked, fmt.Sprintf("failed (%s) at %s", v.last, strings.Join(v.failed, ", "))
		if len(v.waits) > 0 {
			d.reason += "; beside it: " + strings.Join(unique(v.waits), "; ")
		}
	case len(v.stuck) > 0:
		d.state, d.reason = tenure.OperationBlocked, strings.Join(append(v.stuck, unique(v.waits)...), "; beside it: ")
	default:
		d.state, d.reason = tenure.OperationWaiting, strings.Join(unique(v.waits), "; ")
	}
	if v.extra > 0 {
		d.reason = once(d.reason, v.extraWhy)
	}
}

// once takes out of a text what is said in it again: gates that ask for more persons do so
// for the same reason.
func once(text, why string) string {
	head, rest, found := strings.Cut(text, ": "+why)
	if !found || why == "" {
		return text
	}
	return head + ": " + why + strings.ReplaceAll(rest, ": "+why, ", too")
}

// why is the reason that a person gave for a cancellation, or what failed, while it is
// taken back and when it is done.
func (s *snapshot) why() string {
	if s.op.Wanted == "cancel" {
		return s.op.Why
	}
	var out, before []string
	for i := range s.plan.Steps {
		switch n := &s.nodes[i]; {
		case n.step.Optional || n.row.State == tenure.StepDone || n.row.ErrorCode == "":
		case n.row.State == tenure.StepFailed:
			out = append(out, n.step.Key+": "+n.row.Error)
		default: // somebody has had it skipped, or tried again, since
			before = append(before, n.step.Key+": "+n.row.Error)
		}
	}
	if out == nil {
		out = before
	}
	return strings.Join(unique(out), "; ")
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

// running says whether somebody runs a step: this Advance, or a process that lives.
func (n *node) running() bool {
	return n.row.State == tenure.StepRunning && (n.mine || !n.row.Lapsed)
}

// undoable says whether the operation may be taken back: only one that creates, and none that
// has begun to adopt what stood there before.
func (s *snapshot) undoable() bool { return s.plan.Kind == tenure.Onboard && !s.adopted() }

func (s *snapshot) adopted() bool {
	if !s.plan.Adopt {
		return false
	}
	rows := make([]store.StepRow, len(s.nodes))
	for i := range s.nodes {
		rows[i] = s.nodes[i].row
	}
	return Adopted(s.plan, rows)
}

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
		if n := &s.nodes[i]; n.step.Destructive && n.step.Resource == id && n.running() {
			return true
		}
	}
	return false
}

// nameAfter is how long a step is tried before the operation says what keeps it.
const nameAfter = 5 * time.Minute

// holding names an active hold that covers what a destructive step would destroy.
func (s *snapshot) holding(step *tenure.Step) tenure.HoldID {
	if len(s.holds) == 0 {
		return ""
	}
	if h := s.plan.Standing(s.holds, step); len(h) > 0 {
		return h[0].ID
	}
	return ""
}

// lapsed are the points of no return that a destructive step relies on and whose
// confirmation is older than it may be: all of them, so that persons are asked once.
// A step that has begun to take rows goes on to its end without being asked for again.
func (s *snapshot) lapsed(n *node, now time.Time) (out []int) {
	for i := range s.plan.Steps {
		gate := &s.nodes[i]
		g := gate.step.Gate
		if gate.step.Action != tenure.ActNoReturn || gate.row.State != tenure.StepDone || g == nil || g.Period.IsZero() || !now.After(g.Period.After(gate.row.EndedAt)) {
			continue
		}
		if slices.Contains(n.step.Needs, gate.step.Key) || s.excused(n.step, s.plan.ClassOf(gate.step)) {
			out = append(out, i)
		}
	}
	if len(out) > 0 {
		if p, err := erasureOf(n.row.Progress); err == nil && p.begun() {
			return nil
		}
	}
	return out
}

// excused says whether two persons let a class's erasure out of a resource, so that
// its rows go with the resource's deletion.
func (s *snapshot) excused(deletion *tenure.Step, class string) bool {
	return deletion.Action == tenure.ActDelete && class != "" && slices.ContainsFunc(s.nodes[:len(s.plan.Steps)], func(n node) bool {
		return n.step.Action == tenure.ActErase && n.step.Resource == deletion.Resource && n.step.Class == class && n.row.State == tenure.StepSkipped
	})
}
