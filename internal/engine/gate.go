package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// wait is what a gate says.
type wait struct {
	open bool
	why  string
	at   time.Time // when to look again; zero: on an event
	// persons says that their words at the gate are what it waits for.
	persons bool
	// company says that a company's word is.
	company bool
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
		return wait{why: "a person's task: " + n.step.Summary, persons: true}
	case tenure.ActVendor:
		return s.vendor(n, now)
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

// awaits says whether a gate of such an action isn't open yet.
func (s *snapshot) awaits(such func(tenure.Action) bool) bool {
	return slices.ContainsFunc(s.nodes, func(n node) bool { return !n.ended() && such(n.step.Action) })
}

// forSigners says whether a step is a gate that what stands against a signer can make
// ask for more persons.
func forSigners(a tenure.Action) bool { return a == tenure.ActApproval || a == tenure.ActNoReturn }

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
	class, ok := s.plan.Retention(n.step)
	if !ok {
		return wait{why: "data class " + n.step.Class + " isn't in the plan"}
	}
	c := tenure.SolveRetention(class, s.tenant.Anchors, s.plan.Keeping(s.holds, n.step), s.plan.Destroys(n.step)[0], now)
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
