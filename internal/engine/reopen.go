package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// maxRounds is how often a class may be erased again from a resource since rows
// came late. After that an application goes on writing, and a person must stop it.
const maxRounds = 3

// reopens takes a result that found late rows: the steps that erase them go back to
// pending, and the step that found them waits for those. Where that can't help, the
// result is a failure that says why.
func (a *advance) reopens(c *composed, n *node, r Result) Result {
	late := r.Reopen
	r.Reopen = nil
	if err := a.refuseRound(n, late); err != nil {
		return Result{Verdict: tenure.Failed, Receipt: r.Receipt, Facts: r.Facts, Progress: r.Progress, Err: err}
	}
	var says []string
	begun := 0
	for _, l := range late {
		seqs := a.again(c, l)
		begun, says = begun+len(seqs), append(says, l.Says)
		a.reopened(c, string(l.Resource), seqs, map[string]string{"class": l.Class, "why": l.Says})
	}
	if begun == 0 { // it is under way already, or isn't done: to look again at once would find the same
		return Result{Receipt: r.Receipt, Progress: r.Progress, Err: tenure.Errorf(tenure.Conflict, "rows that came late haven't been erased yet: %s", strings.Join(says, "; ")).Retryable()}
	}
	c.stale = true
	return Result{yield: true, Progress: r.Progress, Receipt: r.Receipt, Note: "rows came late: " + strings.Join(says, "; ")}
}

// refuseRound says why late rows that a step found can't be erased in another round.
// After a person's retry, which is a step's first attempt again, there is one more.
func (a *advance) refuseRound(n *node, late []Late) error {
	for _, l := range late {
		var pr *tenure.PlannedResource
		for i := range a.s.plan.Resources {
			if a.s.plan.Resources[i].ID == l.Resource {
				pr = &a.s.plan.Resources[i]
			}
		}
		if pr == nil {
			return tenure.Errorf(tenure.Blocked, "resource %s isn't in the plan and has rows: %s", l.Resource, l.Says)
		}
		sys, err := a.e.System(pr.System)
		if err != nil {
			return err
		}
		if typ, _ := sys.Info.Type(pr.Type); typ.Whole && a.deleted(pr.ID) {
			return tenure.Errorf(tenure.Blocked, "%s %s was deleted, and something of it is there again: %s", pr.Type, pr.Name, l.Says).
				WithHint("find out what made it again, remove it, then retry")
		}
		for _, i := range a.erasing(l) {
			if p, err := ErasureOf(a.s.nodes[i].row); err == nil && p.Rounds >= maxRounds && n.row.Attempt > 1 {
				return tenure.Errorf(tenure.Blocked, "an application still writes to %s %s, after %d erasures of %s: %s", pr.Type, pr.Name, p.Rounds+1, l.Class, l.Says).
					WithHint("stop what writes there, then retry")
			}
		}
	}
	return nil
}

func (a *advance) deleted(id tenure.ResourceID) bool {
	return slices.ContainsFunc(a.s.nodes, func(n node) bool {
		return n.step.Action == tenure.ActDelete && n.step.Resource == id && n.row.State == tenure.StepDone
	})
}

// erasing are the steps that take a class's rows from a resource: its own erasure,
// or the deletion where they go along with it.
func (a *advance) erasing(l Late) []int {
	var own, along []int
	for i := range a.s.plan.Steps {
		s := &a.s.plan.Steps[i]
		switch {
		case s.Resource != l.Resource:
		case s.Action == tenure.ActErase && s.Class == l.Class:
			own = append(own, i)
		case s.Action == tenure.ActDelete:
			along = append(along, i)
		}
	}
	if len(own) > 0 {
		return own
	}
	return along
}

// again puts a class's count, point of no return and erasure in a resource, the resource's
// deletion, and what was done about the remnants in its system, back to pending, and gives
// their numbers.
func (a *advance) again(c *composed, l Late) (seqs []string) {
	s := a.s
	erasing := a.erasing(l)
	for i := range s.plan.Steps {
		st := &s.plan.Steps[i]
		n := &s.nodes[i]
		progress := ""
		switch {
		case st.Action == tenure.ActNoReturn && s.plan.ClassOf(st) == l.Class:
			seqs = append(seqs, a.recount(c, i)...)
		case st.Action == tenure.ActErase && slices.Contains(erasing, i), st.Action == tenure.ActDelete && st.Resource == l.Resource:
			p, err := ErasureOf(n.row)
			if err != nil {
				p = &Erasure{}
			}
			if slices.Contains(erasing, i) && n.ended() {
				p.Rounds++
				p.Earlier = maps.Clone(p.Counts)
			}
			progress = p.text()
		case st.Action == tenure.ActObserve && st.To == "absent" && st.Resource == l.Resource:
		case st.Action == tenure.ActRemnants || len(st.Remnants()) > 0:
			if a.system(l.Resource) != st.System {
				continue
			}
			if st.Action == tenure.ActTask { // what was said was said of what had gone then
				c.extras = append(c.extras, func(tx *store.Tx) error { return tx.DropApprovals(a.id, st.Key, c.Now.Add(time.Microsecond)) })
			}
		default:
			continue
		}
		if a.undone(c, i, progress) {
			seqs = append(seqs, strconv.Itoa(n.row.Seq))
		}
	}
	return seqs
}

// system is that of a planned resource.
func (a *advance) system(id tenure.ResourceID) string {
	for i := range a.s.plan.Resources {
		if r := &a.s.plan.Resources[i]; r.ID == id {
			return r.System
		}
	}
	return ""
}

// recount puts a point of no return back to pending, with the counts under it.
// Confirmations of the old counts don't count for the new ones.
func (a *advance) recount(c *composed, gate int) (seqs []string) {
	key := a.s.nodes[gate].step.Key
	c.extras = append(c.extras, func(tx *store.Tx) error { return tx.DropApprovals(a.id, key, c.Now.Add(time.Microsecond)) })
	c.stale = true
	for _, i := range append([]int{gate}, a.s.nodes[gate].needs...) {
		if i < 0 {
			continue
		}
		n := &a.s.nodes[i]
		if i != gate && !n.step.Action.IsCount() {
			continue
		}
		if a.undone(c, i, "") {
			seqs = append(seqs, strconv.Itoa(n.row.Seq))
		}
	}
	return seqs
}

// undone puts a step that has ended back to pending, and says whether it had.
func (a *advance) undone(c *composed, i int, progress string) bool {
	n := &a.s.nodes[i]
	if !n.ended() {
		return false
	}
	if n.row.State == tenure.StepSkipped {
		c.extras = append(c.extras, func(tx *store.Tx) error { return tx.DropException(a.id, n.step.Key) })
	}
	r := store.StepResult{Seq: n.row.Seq, Token: n.row.Token, From: n.row.State, State: tenure.StepPending, Progress: progress, Batched: n.batched()}
	c.Results = append(c.Results, r)
	n.apply(r, c.Now)
	n.row.EndedAt, n.awaited = time.Time{}, time.Time{}
	a.s.begin, a.s.reopened = 0, true
	return true
}

// reopened logs that steps which had ended run again.
func (a *advance) reopened(c *composed, subject string, seqs []string, facts map[string]string) {
	if len(seqs) == 0 {
		return
	}
	facts["seqs"] = strings.Join(seqs, ",")
	leaf, err := encode(audit.Entry{Kind: "step.reopened", Subject: subject, At: c.Now, Tenant: a.s.op.Tenant, Operation: a.id, Data: audit.Facts(facts)})
	if err == nil {
		c.Leaves = append(c.Leaves, leaf)
	}
}
