package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// searchFor is how long a count may seek a tenant's values in columns that the
// catalog doesn't give away.
const searchFor = 5 * time.Second

// Count is the receipt of what was counted before a point of no return: what
// persons confirm, from the same data map that the erasure goes by.
type Count struct {
	Found   bool                 `json:"found"`
	State   tenure.ResourceState `json:"state"`
	Metrics map[string]int64     `json:"metrics"`
	Places  []connector.Place    `json:"places,omitempty"`
	Partial string               `json:"partial,omitempty"` // what couldn't be looked at
}

func countOf(o connector.Observed) Count {
	return Count{Found: o.Found, State: o.State, Metrics: o.Metrics}
}

// Standing are the places that block the erasure of a class; of any class if it is
// blank.
func (c Count) Standing(class string) []connector.Place {
	return slices.DeleteFunc(slices.Clone(c.Places), func(p connector.Place) bool {
		return !p.Blocks || class != "" && p.Class != "" && p.Class != class
	})
}

// Stands says whether a count's step found something that blocks the erasure of its
// class.
func Stands(row store.StepRow, class string) bool {
	var c Count
	return json.Unmarshal([]byte(row.Receipt), &c) == nil && len(c.Standing(class)) > 0
}

// Counted is when the counts under a point of no return were taken, the first and the
// last of them; zero where nothing is counted, as for a class that only backups hold.
func Counted(p *tenure.Plan, gate *tenure.Step, row func(i int) store.StepRow) (first, last time.Time) {
	for i := range p.Steps {
		if !p.Steps[i].Action.IsCount() || !slices.Contains(gate.Needs, p.Steps[i].Key) {
			continue
		}
		at := row(i).EndedAt
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

// count says what is about to go from a resource, place by place, and stops where
// a place stands in the way.
func count(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	ref := Ref(t.Plan.Tenant, pr)
	seen, absent, err := sys.Observe(ctx, []connector.Ref{ref})
	if err != nil {
		return Result{Err: err}
	}
	rec, v := countOf(seen[0]), tenure.Verified
	typ, _ := sys.Info.Type(pr.Type)
	// A share of what stays is known by its mark alone: rows without it came late.
	lost := !seen[0].Found || seen[0].Owner == connector.Unmarked && !typ.Whole
	switch {
	case lost:
		if v = absent; typ.Whole {
			return Result{Verdict: v, Receipt: rec}
		}
	case seen[0].Owner != connector.Ours:
		return Result{Verdict: tenure.Failed, Receipt: rec, Err: strange(pr, seen[0])}
	}
	if typ.Holds != tenure.HoldsData || !sys.Can("map") {
		return Result{Verdict: v, Receipt: rec}
	}
	class := t.Plan.ClassOf(t.Step)
	order, before, err := e.order(ctx, t, pr, class)
	if err != nil {
		return Result{Err: err}
	}
	at := []string{class}
	changes := t.changes(pr)
	if class == "" || changes[class] == tenure.Pseudonymise {
		at = nil
	}
	kept, err := t.parts(ctx, sys, pr, nil)
	if err != nil {
		return Result{Err: err}
	}
	survey := connector.Survey{Ref: ref, Keep: kept.own(), Order: slices.Concat(order, at, before), Prove: true, Search: searchFor, Gone: lost, Beside: beside(t.Plan, pr), Changes: changes, Groups: true}
	m, _, err := sys.DataMap(ctx, survey)
	if tenure.CodeOf(err) == tenure.Invalid && len(pr.Classes) == 0 {
		return Result{Verdict: v, Receipt: rec}
	}
	if err != nil {
		return Result{Err: err}
	}
	rec.Places, rec.Partial = m.Places, m.Partial
	if stand := rec.Standing(class); len(stand) > 0 {
		if class != "" && len(before) > 0 && !slices.ContainsFunc(stand, func(p connector.Place) bool { return p.Kind != connector.PlaceOrder }) {
			// Planned to go after those, and it can't go sooner: their clocks opened together.
			survey.Order = slices.Concat(order, before, at)
			if m, _, err = sys.DataMap(ctx, survey); err != nil {
				return Result{Err: err}
			}
			if len(Count{Places: m.Places}.Standing(class)) == 0 {
				return Result{Receipt: rec, Again: t.Now.Add(countAgain), Note: class + " goes from " + pr.Name + " after " + strings.Join(before, ", ")}
			}
		}
		return Result{Verdict: tenure.Failed, Receipt: rec, Err: standing(stand)}
	}
	// Whoever holds a lock ends with its access; until then not every row was counted.
	if i := slices.IndexFunc(m.Places, func(p connector.Place) bool { return p.Kind == connector.PlaceLock }); i >= 0 && m.Partial != "" {
		return Result{Err: tenure.Errorf(tenure.Unavailable, "%s", m.Places[i].Says).WithHint("end that session; the count is taken again").Retryable()}
	}
	return Result{Verdict: v, Receipt: rec}
}

// beside are the tenant's other resources in a resource's system, gone or not.
func beside(p *tenure.Plan, of *tenure.PlannedResource) (out []connector.Ref) {
	for i := range p.Resources {
		if r := &p.Resources[i]; r.System == of.System && r.ID != of.ID {
			out = append(out, Ref(p.Tenant, r))
		}
	}
	return out
}

// standing is the error that names what stands in the way, with what would settle it.
func standing(places []connector.Place) error {
	var names, fixes []string
	for _, p := range places {
		text := p.Name
		if p.Says != "" {
			text += ": " + p.Says
		}
		names = append(names, text)
		if p.Fix != "" {
			fixes = append(fixes, p.Fix)
		}
	}
	err := tenure.Errorf(tenure.Blocked, "the erasure can't go as planned: %s", strings.Join(unique(names), "; "))
	if len(fixes) > 0 {
		err = err.WithHint("%s", strings.Join(unique(fixes), "; "))
	}
	return err
}

// countAgain is when a count that waits for other classes looks again by itself; it
// is woken when one of them has gone.
const countAgain = 24 * time.Hour

// order returns the classes of a resource that have gone, as they went, and those that
// are planned to go before the class at hand and haven't: by their clocks, or by their
// erasures in a plan that has no clocks, such as a supplementary one.
func (e *Engine) order(ctx context.Context, t *Task, pr *tenure.PlannedResource, class string) (gone, before []string, err error) {
	rows, err := e.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return nil, nil, err
	}
	by := tenure.ActErase
	if slices.ContainsFunc(t.Plan.Steps, func(s tenure.Step) bool { return s.Action == tenure.ActRetention }) {
		by = tenure.ActRetention
	}
	var ended []store.StepRow
	of := make(map[int]string)
	sooner := true
	for i := range t.Plan.Steps {
		s := &t.Plan.Steps[i]
		if s.Action == by && (s.Resource == "" || s.Resource == pr.ID) {
			sooner = sooner && s.Class != class
			if sooner && slices.Contains(pr.Classes, s.Class) {
				before = append(before, s.Class)
			}
		}
		if s.Action == tenure.ActErase && s.Resource == pr.ID && (rows[i].State == tenure.StepDone || waitsHeld(rows[i])) {
			ended, of[rows[i].Seq] = append(ended, rows[i]), s.Class
		}
	}
	slices.SortStableFunc(ended, func(a, b store.StepRow) int { return endOf(a).Compare(endOf(b)) })
	for _, r := range ended {
		gone = append(gone, of[r.Seq])
	}
	before = slices.DeleteFunc(before, func(c string) bool { return slices.Contains(gone, c) })
	return gone, before, nil
}

// wake lets the counts and erasures of a resource that wait for a class look again when it
// went.
func (a *advance) wake(c *composed, erased *node) {
	for i := range a.s.nodes {
		n := &a.s.nodes[i]
		if (n.step.Action == tenure.ActCount || n.step.Action == tenure.ActErase && !waitsHeld(n.row)) && n.step.Resource == erased.step.Resource && n.row.State == tenure.StepPending && n.row.DueAt.After(c.Now) && n.row.ErrorCode == "" {
			r := store.StepResult{Seq: n.row.Seq, Token: n.row.Token, From: tenure.StepPending, State: tenure.StepPending, Progress: n.row.Progress, Batched: n.batched()}
			c.Results = append(c.Results, r)
			n.apply(r, c.Now)
		}
	}
}
