package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func printOperations(o *page, list []client.Operation) {
	rows := make([][]string, len(list))
	for i, op := range list {
		rows[i] = []string{string(op.ID), string(op.Kind), string(op.State), fmt.Sprintf("%d of %d", op.Done, op.Steps), op.RequestedBy, o.when(op.CreatedAt), o.when(op.DueAt), op.Reason}
	}
	o.table([]string{"id", "kind", "state", "steps", "by", "since", "due", "because"}, rows)
}

// printOperation shows where an operation stands and what can be done about it;
// whole lists every step, else those that failed.
func printOperation(o *page, v client.OperationDetail, whole bool) {
	name := string(v.Tenant)
	if v.Body != nil {
		name = v.Body.Name + " (" + name + ")"
	}
	wanted := v.Wanted
	if v.State.Ended() {
		wanted = ""
	}
	o.fields(
		"operation", string(v.ID),
		"kind", string(v.Kind),
		"tenant", name,
		"state", string(v.State),
		"because", v.Reason,
		"asked to", wanted,
		"steps", fmt.Sprintf("%d of %d ended", v.Done, v.Steps),
		"due", o.when(v.DueAt),
		"plan", v.Plan,
		"by", v.RequestedBy+", "+o.when(v.CreatedAt),
	)
	printSteps(o, v, whole)
	printWaiting(o, v)
	if v.Body != nil && len(v.Rows) >= len(v.Body.Steps) {
		for _, i := range waitingGates(v) {
			if st := &v.Body.Steps[i]; st.Action == tenure.ActNoReturn {
				printCounts(o, v, st.Key)
			}
		}
	}
	if len(v.Approvals) > 0 && whole {
		o.title("Signed by")
		for _, ap := range v.Approvals {
			o.line("%s  %s  %s  %s", ap.Step, ap.By, o.when(ap.At), ap.Note)
		}
	}
	for _, e := range v.Exceptions {
		if e.AttestedBy == "" {
			o.line("exception for %s asked by %s (%s); a second person attests it", e.Step, e.RequestedBy, e.Reason)
		} else if whole {
			o.line("exception for %s asked by %s (%s), attested by %s", e.Step, e.RequestedBy, e.Reason, e.AttestedBy)
		}
	}
	for _, e := range v.Escalations {
		o.line("%s was escalated to %s at %s: %s", e.Gate, cmp.Or(e.To, "nobody"), o.when(e.At), e.Reason)
	}
	o.next(nextSteps(v)...)
}

// printCounts shows what is confirmed at a point of no return: what goes, table by
// table, also what is reached through something else, and which references of other
// tenants' rows become null.
func printCounts(o *page, v client.OperationDetail, gate string) {
	var rows [][]string
	for _, c := range v.Counts(gate) {
		for _, p := range c.Places {
			rows = append(rows, []string{c.Resource, p.Name, orElse(p.Class, "none"), fmt.Sprint(p.Rows), p.Via, p.Becomes()})
		}
		if len(c.Places) == 0 {
			rows = append(rows, []string{c.Resource, "", "", fmt.Sprint(c.Rows), "", client.Goes})
		}
		if c.Partial != "" {
			rows = append(rows, []string{c.Resource, "", "", "", "", "not looked at: " + c.Partial})
		}
	}
	if len(rows) == 0 {
		return
	}
	o.title("What is confirmed at %s", gate)
	o.table([]string{"resource", "place", "class", "rows or files", "reached by", "what becomes of it"}, rows)
}

func printSteps(o *page, v client.OperationDetail, whole bool) {
	var rows [][]string
	for _, st := range v.Rows {
		if whole || st.State == tenure.StepFailed {
			because := st.Error
			if n := len(v.InTheWay(st)); n > 0 {
				because = fmt.Sprintf("places stand in the way, see below: %d", n)
			}
			rows = append(rows, []string{string(st.State), string(st.Verdict), st.Key, o.when(st.EndedAt), because})
		}
	}
	if len(rows) == 0 {
		return
	}
	title := "Steps"
	if !whole {
		title = "Failed"
	}
	o.title("%s", title)
	o.table([]string{"state", "verdict", "step", "ended", "because"}, rows)
	for _, st := range v.Rows {
		if places := v.InTheWay(st); len(places) > 0 {
			o.title("In the way of %s", st.Key)
			for _, p := range places { // whole, since each is a line to act on
				o.line("%s: %s", p.Name, p.Says)
				if p.Fix != "" {
					o.line("  %s", p.Fix)
				}
			}
		}
	}
}

// printWaiting shows the gates that wait while an operation is blocked: they can be
// seen to before what failed is settled.
func printWaiting(o *page, v client.OperationDetail) {
	if v.State != tenure.OperationBlocked || v.Body == nil || len(v.Rows) < len(v.Body.Steps) {
		return
	}
	var rows [][]string
	for _, i := range waitingGates(v) {
		rows = append(rows, []string{v.Body.Steps[i].Key, v.Body.Steps[i].Summary})
	}
	if len(rows) > 0 {
		o.title("Waiting beside it")
		o.table([]string{"gate", "for what"}, rows)
	}
}

// nextSteps are the commands that an operation waits for.
func nextSteps(v client.OperationDetail) []string {
	id := string(v.ID)
	switch v.State {
	case tenure.OperationPaused:
		return []string{"tenure operation continue " + id}
	case tenure.OperationSucceeded:
		if v.Body != nil && len(v.Body.Outputs) > 0 {
			return []string{"tenure tenant outputs " + id + " --claim --as " + v.RequestedBy}
		}
	}
	var out []string
	if v.State == tenure.OperationBlocked {
		out = append(out, "tenure operation retry "+id)
		if slices.ContainsFunc(v.Rows, func(r tenure.StepStatus) bool {
			return r.State == tenure.StepFailed && strings.HasSuffix(r.Error, "…") && len(v.InTheWay(r)) == 0
		}) {
			out = append(out, "tenure finding list --tenant "+string(v.Tenant))
		}
	}
	if v.State.Ended() || v.Body == nil || len(v.Rows) < len(v.Body.Steps) {
		return out
	}
	for _, i := range waitingGates(v) {
		st := &v.Body.Steps[i]
		switch st.Action {
		case tenure.ActApproval, tenure.ActNoReturn:
			out = append(out, "tenure operation approve "+id+" --gate "+st.Key+" --digest "+v.Plan+" --as SOMEBODY-ELSE")
		case tenure.ActRetention:
			if strings.Contains(v.Reason, "two persons to decide at "+st.Key+":") {
				out = append(out, "two persons, that the longer rule wins: tenure operation approve "+id+" --gate "+st.Key+" --digest "+v.Plan+" --as SOMEBODY-ELSE")
			}
		case tenure.ActVendor:
			out = append(out, "tenure vendor list "+id)
		case tenure.ActTask:
			say := "tenure operation done " + id + " --gate " + st.Key
			if st.Gate != nil && st.Gate.Artifact != nil {
				say += " --reassigned-to WHOM, or --archived-at WHERE"
			}
			if st.Gate != nil && st.Gate.Another {
				say += " --as SOMEBODY-ELSE"
			}
			out = append(out, say)
		}
	}
	return out
}

// waitingGates are the indexes of the gates that could open now.
func waitingGates(v client.OperationDetail) []int {
	ended := make(map[string]bool)
	for i := range v.Body.Steps {
		state := v.Rows[i].State
		ended[v.Body.Steps[i].Key] = state == tenure.StepDone || state == tenure.StepSkipped || state == tenure.StepFailed && v.Body.Steps[i].Optional
	}
	var out []int
	for i := range v.Body.Steps {
		st := &v.Body.Steps[i]
		waits := st.Action.IsGate() && v.Rows[i].State == tenure.StepPending
		if waits && !slices.ContainsFunc(st.Needs, func(n string) bool { return !ended[n] }) {
			out = append(out, i)
		}
	}
	return out
}
