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
	extra     int // how many more persons must approve than the plan says
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
	reopen []int   // gates whose confirmation has lapsed
	undo   bool    // begin the compensation
	state  tenure.OperationState
	reason string
	due    time.Time
	ended  bool

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
	d := decision{state: tenure.OperationRunning}
	if s.op.State.Ended() {
		d.state, d.reason, d.ended = s.op.State, s.op.Reason, true
		return d
	}
	// A compensation that is blocked stays one: it isn't begun anew.
	compensating := s.op.State == tenure.OperationCompensating || len(s.nodes) > len(s.plan.Steps)
	running, backoff, open := 0, 0, 0
	var failed, waits, tries, stuck []string
	var last tenure.Verdict
	for s.begin < len(s.nodes) && s.nodes[s.begin].ended() {
		s.begin++
	}
	s.waiting.begin(len(s.nodes))
	for i := s.begin; i < len(s.nodes); i++ {
		if !compensating && s.waiting.still(i) {
			open++
			continue
		}
		n := &s.nodes[i]
		undo := i >= len(s.plan.Steps)
		if !s.over(i) {
			s.waiting.open[i] = s.waiting.look
		}
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
		case n.row.State == tenure.StepRunning && n.step.Destructive && s.holding(n.step) != "":
			d.drains = append(d.drains, i)
			continue
		case !s.ready(i):
			continue
		case n.step.Action.IsGate():
			w := s.gate(n, now)
			if w.open && s.doubt != "" && dated(n.step.Action) {
				w = wait{why: s.doubt}
			}
			if w.open {
				d.opened = append(d.opened, i)
				continue
			}
			if w.persons {
				if w.since.IsZero() {
					w.since = s.awaitedSince(n)
				}
				d.awaits = append(d.awaits, await{i, w.since})
			}
			waits = append(waits, w.why)
			d.due = earliest(d.due, w.at)
			continue
		case n.row.DueAt.After(now) && n.row.ErrorCode == "":
			waits = append(waits, n.row.Error)
			d.due = earliest(d.due, n.row.DueAt)
			continue
		case n.row.DueAt.After(now) && n.step.Action == tenure.ActCertify && n.row.ErrorCode == tenure.Blocked:
			stuck = append(stuck, n.step.Key+": "+n.row.Error)
			d.due = earliest(d.due, n.row.DueAt)
			continue
		case n.row.DueAt.After(now):
			backoff++
			d.due = earliest(d.due, n.row.DueAt)
			switch named := n.row.FailingSince.Add(nameAfter); {
			case n.row.FailingSince.IsZero():
			case named.After(now):
				d.due = earliest(d.due, named)
			default:
				tries = append(tries, fmt.Sprintf("%s has been tried since %s: %s", n.step.Key, n.row.FailingSince.Format("2006-01-02 15:04 MST"), n.row.Error))
			}
			continue
		}
		if n.step.Destructive {
			if s.destroying(n.step.Resource, d.claims) {
				running++ // it follows when that has ended
				continue
			}
			if s.doubt != "" {
				waits = append(waits, s.doubt)
				continue
			}
			if h := s.holding(n.step); h != "" {
				waits = append(waits, fmt.Sprintf("hold %s stands against %s", h, n.step.Key))
				continue
			}
			if w := s.clocks(n.step, now); !w.open {
				waits = append(waits, w.why)
				d.due = earliest(d.due, w.at)
				continue
			}
			if gates := s.lapsed(n, now); len(gates) > 0 {
				for _, g := range gates {
					if !slices.Contains(d.reopen, g) {
						d.reopen = append(d.reopen, g)
					}
				}
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
	busy := running+len(d.claims)+len(d.drains)+len(d.opened)+len(d.reopen) > 0
	switch {
	case compensating:
		d.state, d.reason = tenure.OperationCompensating, s.why()
		switch {
		case open == 0:
			d.ended, d.state = true, tenure.OperationFailed
			if s.op.Wanted == "cancel" || s.op.Wanted == "undo" {
				d.state = tenure.OperationCancelled
			}
		case !busy && backoff == 0 && len(failed) > 0:
			d.state, d.reason = tenure.OperationBlocked, "taking back failed at "+strings.Join(failed, ", ")
		case !busy && backoff == 0 && len(waits) > 0:
			d.reason = strings.Join(unique(waits), "; ") // a hold stands against taking it back
		}
	case open == 0:
		d.state, d.ended = tenure.OperationSucceeded, true
	case s.op.Wanted == "cancel":
		if running+len(d.drains) > 0 {
			d.claims, d.opened, d.reopen = nil, nil, nil
			break
		}
		d.claims, d.opened, d.reopen, d.reason = nil, nil, nil, s.why()
		if s.undoable() {
			d.undo, d.state = true, tenure.OperationCompensating
		} else {
			d.ended, d.state = true, tenure.OperationCancelled
		}
	case s.op.Wanted == "pause":
		d.claims, d.opened, d.reopen, d.due = nil, nil, nil, time.Time{}
		if running+len(d.drains) == 0 {
			d.state, d.reason = tenure.OperationPaused, "paused by a person"
		}
	case len(failed) > 0 && running == 0 && s.plan.OnFailure == tenure.Compensate && s.undoable():
		d.claims, d.opened = nil, nil
		d.undo, d.state, d.reason = true, tenure.OperationCompensating, "failed at "+strings.Join(failed, ", ")
	case busy || backoff > 0:
		d.reason = strings.Join(tries, "; ")
	case len(failed) > 0:
		d.state, d.reason = tenure.OperationBlocked, fmt.Sprintf("failed (%s) at %s", last, strings.Join(failed, ", "))
		if len(waits) > 0 {
			d.reason += "; beside it: " + strings.Join(unique(waits), "; ")
		}
	case len(stuck) > 0:
		d.state, d.reason = tenure.OperationBlocked, strings.Join(append(stuck, unique(waits)...), "; beside it: ")
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
	return strings.Join(out, "; ")
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

// wait is what a gate says.
type wait struct {
	open bool
	why  string
	at   time.Time // when to look again; zero: on an event
	// persons says that their signatures at the gate are what it waits for.
	persons bool
	// since is when they began to be asked, where that isn't when the gate was reached.
	since time.Time
}

// gate says whether a waiting step opens now.
func (s *snapshot) gate(n *node, now time.Time) wait {
	g := n.step.Gate
	if g == nil {
		g = &tenure.Gate{}
	}
	if len(s.holds) > 0 && (n.step.Action == tenure.ActNoReturn || n.step.Action == tenure.ActDate && n.step.Stage == tenure.StageQuaran) {
		if h := s.plan.Keeping(s.holds, n.step); len(h) > 0 {
			return wait{why: fmt.Sprintf("hold %s stands against %s", h[0].ID, n.step.Key)}
		}
	}
	switch n.step.Action {
	case tenure.ActApproval:
		return s.signed(n, g, "approvals at", s.approvals, time.Time{}, tenure.OnlyCreates(s.plan) == "")
	case tenure.ActTask:
		if s.signatures(n.step.Key, time.Time{}, g.Another) > 0 {
			return wait{open: true}
		}
		return wait{why: "a person's task: " + n.step.Summary}
	case tenure.ActNoReturn:
		return s.noReturn(n, g, now)
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

// noReturn says whether a point of no return opens. Its words grow old with the counts
// that they are about or, where nothing is counted, by themselves; then it asks again.
func (s *snapshot) noReturn(n *node, g *tenure.Gate, now time.Time) wait {
	words := s.approvals
	first, since := Counted(s.plan, n.step, func(i int) store.StepRow { return s.nodes[i].row })
	if since.IsZero() {
		since = s.since(g.After)
	}
	var lapse time.Time
	switch {
	case g.Period.IsZero():
	case first.IsZero():
		words = nil
		for _, a := range s.approvals {
			if end := lapsesAt(g, a.At); a.Step == n.step.Key && now.Before(end) {
				words, lapse = append(words, a), earliest(lapse, end)
			}
		}
	default:
		if lapse = lapsesAt(g, first); !now.Before(lapse) {
			w := s.signed(n, g, confirmations, nil, since, false)
			w.why += fmt.Sprintf("; the counts are older than %s: confirm again to take fresh ones", g.Period)
			w.since = lapse
			return w
		}
	}
	w := s.signed(n, g, confirmations, words, since, false)
	if !w.open {
		w.at = earliest(w.at, lapse)
	}
	return w
}

const confirmations = "confirmations of the point of no return at"

// lapsesAt is the first moment at which what was counted or said at a point of no
// return is too old.
func lapsesAt(g *tenure.Gate, at time.Time) time.Time {
	return g.Period.After(at).Add(time.Microsecond)
}

// signed says whether a gate has the signatures that it asks for: those of its plan
// and, while something makes it ask for more persons, theirs too. A standing approval
// opens it where standing says so and nothing more is asked for.
func (s *snapshot) signed(n *node, g *tenure.Gate, what string, words []tenure.Approval, since time.Time, standing bool) wait {
	c := g.CountMore(s.extra, s.op.Operation, n.step.Key, words, since)
	if c.Open() && (c.Standing == "" || standing && s.extra <= 0) {
		return wait{open: true}
	}
	why := fmt.Sprintf("%d of %d %s %s%s", c.Have, c.Need, what, n.step.Key, roles(c))
	if s.extra <= 0 {
		return wait{why: why, persons: true}
	}
	return wait{why: fmt.Sprintf("%s, with %d more than the plan says: %s", why, s.extra, s.extraWhy), at: s.extraEnds, persons: true}
}

// awaitsPersons says whether a gate for persons isn't open yet.
func (s *snapshot) awaitsPersons() bool {
	for i := range s.nodes {
		if n := &s.nodes[i]; !n.ended() && (n.step.Action == tenure.ActApproval || n.step.Action == tenure.ActNoReturn) {
			return true
		}
	}
	return false
}

// roles says which roles a gate still asks for, where it asks for some.
func roles(c tenure.GateCount) string {
	if len(c.Roles) == 0 {
		return ""
	}
	return " (still " + c.Missing() + ")"
}

// awaitedSince is when a gate that waits for persons began to: when the last step
// that it needs had ended.
func (s *snapshot) awaitedSince(n *node) time.Time {
	at := s.op.CreatedAt
	for _, i := range n.needs {
		if i >= 0 && s.nodes[i].row.EndedAt.After(at) {
			at = s.nodes[i].row.EndedAt
		}
	}
	return at
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
		if a.Step == gate && a.Digest == s.op.Plan && !a.At.Before(since) && !seen[tenure.PersonKey(a.By)] && (!other || !tenure.SamePerson(a.By, s.op.RequestedBy)) {
			seen[tenure.PersonKey(a.By)] = true
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
		c := tenure.SolveRetention(s.plan.Classes[i], s.tenant.Anchors, s.plan.Keeping(s.holds, n.step), s.plan.Destroys(n.step)[0], now)
		switch c.State {
		case tenure.ClockErase:
			return wait{open: true}
		case tenure.ClockConflict:
			// Two persons may decide that the longer rule wins.
			if s.signatures(n.step.Key, time.Time{}, true) >= 2 {
				return wait{open: !now.Before(c.KeepUntil), why: fmt.Sprintf("retention of %s, as two persons decided: %s", c.Class, c.Because), at: c.KeepUntil}
			}
			return wait{why: fmt.Sprintf("conflict in the retention of %s, for two persons to decide at %s: %s", c.Class, n.step.Key, c.Because), persons: true}
		case tenure.ClockKeep:
			return wait{why: fmt.Sprintf("retention of %s: %s", c.Class, c.Because), at: c.KeepUntil}
		default:
			return wait{why: fmt.Sprintf("retention of %s (%s): %s", c.Class, c.State, c.Because)}
		}
	}
	return wait{why: "data class " + n.step.Class + " isn't in the plan"}
}

// clocks says whether the retention clocks that a destructive step needs still let it
// go: what a clock counts from may have moved since its gate opened.
func (s *snapshot) clocks(step *tenure.Step, now time.Time) wait {
	for _, key := range step.Needs {
		if i, ok := s.byKey[key]; ok && s.nodes[i].step.Action == tenure.ActRetention {
			if w := s.retention(&s.nodes[i], now); !w.open {
				return w
			}
		}
	}
	return wait{open: true}
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
