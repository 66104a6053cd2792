package site

import (
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) operationPages() {
	s.page("GET /operations", (*visit).operations)
	s.page("GET /operations/{operation}", (*visit).operation)
	s.page("POST /operations/{operation}/{what}", (*visit).steer)
}

var operationKinds = []string{"onboard", "change", "upgrade", "repair", "suspend", "resume", "offboard", "reinstate", "revoke"}
var operationStates = []string{"running", "waiting", "paused", "blocked", "compensating", "succeeded", "failed", "cancelled"}

func (v *visit) operations() error {
	q := v.URL.Query()
	p := client.OperationFilter{Tenant: q.Get("tenant"), Kind: tenure.OperationKind(q.Get("kind")), State: tenure.OperationState(q.Get("state")), Open: q.Get("open") == "true"}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListOperations, p)
	if err != nil {
		return err
	}
	view := dashboard.OperationsView{Pager: v.pager(list.Next, len(list.Items)), Filters: filters("/operations", q,
		choice("kind", "Kind", q.Get("kind"), "any kind", operationKinds...),
		choice("state", "State", q.Get("state"), "any state", operationStates...),
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Tenant", Value: q.Get("tenant"), Hint: "name or id"},
		choice("open", "Ended or not", q.Get("open"), "all", "true"),
	)}
	view.Filters.Fields[3].Options[1].Label = "only open ones"
	names := v.names()
	for _, o := range list.Items {
		view.Rows = append(view.Rows, operationRow(o, names.of(o.Tenant)))
	}
	return v.show(dashboard.AreaOperations, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Operations(w, f, view) })
}

func operationRow(o client.Operation, tenantName string) dashboard.OperationRow {
	return dashboard.OperationRow{
		ID: o.ID, Kind: o.Kind, Tenant: tenantRef(o.Tenant, tenantName), State: o.State, Reason: o.Reason, RequestedBy: o.RequestedBy,
		Done: o.Done, Steps: o.Steps, Created: o.CreatedAt, Updated: o.UpdatedAt, Due: o.DueAt,
	}
}

// nameTable remembers the names of the tenants on one page.
type nameTable struct {
	v    *visit
	have map[tenure.TenantID]string
}

func (v *visit) names() *nameTable { return &nameTable{v, map[tenure.TenantID]string{}} }

// of is a tenant's name, or its id where it has none any more.
func (n *nameTable) of(id tenure.TenantID) string {
	if id == "" {
		return ""
	}
	name, ok := n.have[id]
	if !ok {
		if t, err := n.v.s.o.Service.TenantRow(n.v.ctx, id); err == nil {
			name = t.Name
		}
		n.have[id] = name
	}
	if name == "" {
		return string(id)
	}
	return name
}

func (v *visit) operation() error {
	id := v.PathValue("operation")
	o, err := ask(v, client.ShowOperation, client.OperationParams{Operation: id})
	if err != nil {
		return err
	}
	view := v.operationView(o)
	return v.show(dashboard.AreaOperations, "/v1/operations/"+string(o.ID)+"/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Operation(w, f, view) })
}

func (v *visit) operationView(o client.OperationDetail) dashboard.OperationView {
	name := v.names().of(o.Tenant)
	view := dashboard.OperationView{OperationRow: operationRow(o.Operation, name), Plan: o.Plan, Forgotten: o.Body == nil, Events: v.ledTo(o.Operation)}
	for _, a := range o.Approvals {
		view.Signatures = append(view.Signatures, dashboard.Signature{By: a.By, Step: a.Step, Note: a.Note, At: a.At})
	}
	for _, e := range o.Exceptions {
		view.Exceptions = append(view.Exceptions, dashboard.ExceptionRow{Step: e.Step, Reason: e.Reason, By: e.RequestedBy, Second: e.AttestedBy, At: e.RequestedAt})
	}
	if o.Body == nil {
		return view
	}
	target := v.targetOf(o.Tenant)
	planInto(&view, o.Body)
	keys := make(map[tenure.ResourceID]string)
	for _, r := range o.Body.Resources {
		keys[r.ID] = tenure.ResourcePath(r.Environment, r.Key)
	}
	vendors, err := v.vendors(o)
	if err != nil {
		v.s.o.Log.Warn("vendors of an operation", "operation", o.ID, "error", err)
	}
	for i := range o.Rows {
		if i >= len(o.Body.Steps) { // a compensation
			view.StepRows = append(view.StepRows, compensationRow(o.Rows[i]))
			continue
		}
		row := stepRow(&o.Body.Steps[i], o.Rows[i], keys)
		v.stepActions(&row, &o.Body.Steps[i], o, target)
		if q := vendors[row.Key]; q != nil {
			row.Summary += "; " + vendorState(q)
			if !o.State.Ended() && q.State != "waiting" && v.may(tenure.OperationSteer, target) {
				row.Actions = append(row.Actions, vendorActions(o.ID, q)...)
			}
		}
		if row.Action.IsGate() && openGate(o.Rows[i]) && waitsAtGates(o.State) {
			row.Waits = o.Reason
			if view.Need == 0 && o.Body.Steps[i].Gate != nil && o.Body.Steps[i].Gate.Approvals > 0 {
				view.Need = o.Body.Steps[i].Gate.Approvals
				for _, a := range o.Approvals {
					if a.Step == row.Key {
						view.Have++
					}
				}
				if w, ok := v.inboxed(o.ID, row.Key); ok { // it may ask for more than its plan says
					view.Need, view.Have = w.Need, w.Have
				}
			}
		}
		view.StepRows = append(view.StepRows, row)
	}
	v.checklist(&view, o, target)
	view.Actions = v.operationActions(o, target, name)
	if o.State == tenure.OperationSucceeded && tenure.SamePerson(o.RequestedBy, v.caller.Name) && len(o.Body.Outputs) > 0 {
		view.Outputs = &dashboard.Action{Label: "Show what is handed over", Post: dashboard.OperationPath(o.ID) + "/claim", Says: "Secrets in it are shown this once. Keep them before you leave the page."}
		view.OutputsSay = "to " + o.RequestedBy + ", who asked for it"
	}
	return view
}

func waitsAtGates(s tenure.OperationState) bool {
	return s == tenure.OperationWaiting || s == tenure.OperationRunning
}

func openGate(r tenure.StepStatus) bool {
	return r.State == tenure.StepRunning || r.State == tenure.StepPending && !r.StartedAt.IsZero()
}

func planInto(view *dashboard.OperationView, p *tenure.Plan) {
	view.Blueprint, view.Why, view.Diff, view.Dates = blueprintRef(p.Blueprint), p.Reason, p.Diff, p.Dates
	view.Destructive, view.OnFailure = p.Destructive, p.OnFailure
	if p.From != nil {
		view.From = revision(*p.From)
	}
}

func stepRow(st *tenure.Step, r tenure.StepStatus, keys map[tenure.ResourceID]string) dashboard.StepRow {
	return dashboard.StepRow{
		Key: st.Key, Stage: st.Stage, Action: st.Action, Summary: st.Summary, Needs: st.Needs, Destructive: st.Destructive, Optional: st.Optional,
		Environment: st.Environment, System: st.System, Resource: keys[st.Resource], State: r.State, Verdict: r.Verdict, Attempts: r.Attempt,
		Started: r.StartedAt, Ended: r.EndedAt, Due: r.DueAt, ErrorCode: r.ErrorCode, Error: r.Error, Receipt: r.Receipt, Progress: r.Progress,
	}
}

func compensationRow(r tenure.StepStatus) dashboard.StepRow {
	return dashboard.StepRow{
		Key: r.Key, Stage: tenure.StageRestore, Action: "compensate", Summary: "take back " + strings.TrimPrefix(r.Key, "compensate/"), State: r.State, Verdict: r.Verdict,
		Attempts: r.Attempt, Started: r.StartedAt, Ended: r.EndedAt, Due: r.DueAt, ErrorCode: r.ErrorCode, Error: r.Error, Receipt: r.Receipt,
	}
}

func (v *visit) targetOf(id tenure.TenantID) tenure.Target {
	t, err := v.s.o.Governor.Target(v.ctx, string(id))
	if err != nil {
		return tenure.Target{Tenant: id}
	}
	return t
}

// stepActions are what a person can do at one step.
func (v *visit) stepActions(row *dashboard.StepRow, st *tenure.Step, o client.OperationDetail, t tenure.Target) {
	at := dashboard.OperationPath(o.ID)
	if o.State.Ended() {
		return
	}
	switch {
	case row.State == tenure.StepFailed:
		if v.may(tenure.OperationSteer, t) {
			row.Actions = append(row.Actions, dashboard.Action{Label: "Retry", Post: at + "/retry", Hidden: hiddenPairs("step", row.Key), Tone: dashboard.ToneAccent})
		}
		v.skipAction(row, o, t)
	case row.Action == tenure.ActTask && row.State != tenure.StepDone && waitsAtGates(o.State) && ready(o, st) && v.may(tenure.OperationSteer, t):
		done := taskDone(o.ID, row.Key)
		if st.Gate != nil && st.Gate.Artifact != nil {
			done = handOver(o.ID, row.Key, st.Gate.Artifact.To, st.Gate.Artifact.Archive)
		}
		if st.Gate != nil && st.Gate.Another && tenure.SamePerson(o.RequestedBy, v.caller.Name) {
			done.Not = "You requested the operation; another person confirms this task."
		}
		row.Actions = append(row.Actions, done)
		if o.Kind == tenure.Offboard && st.System == "" {
			v.skipAction(row, o, t)
		}
	}
}

// taskDone is what says that a task has been carried out.
func taskDone(op tenure.OperationID, gate string) dashboard.Action {
	return dashboard.Action{Label: "It is done", Post: dashboard.OperationPath(op) + "/done", Says: "You say that this task has been carried out; your name stands in the log.",
		Fields: []dashboard.Field{{Name: "note", Label: "Note", Max: 1000}}, Hidden: hiddenPairs("gate", gate)}
}

func (v *visit) skipAction(row *dashboard.StepRow, o client.OperationDetail, t tenure.Target) {
	at := dashboard.OperationPath(o.ID) + "/skip"
	for _, e := range o.Exceptions {
		if e.Step != row.Key || e.AttestedBy != "" {
			continue
		}
		a := dashboard.Action{Label: "Attest that it is left out", Post: at, Tone: dashboard.ToneBad, Hidden: hiddenPairs("step", row.Key), Says: e.RequestedBy + " asks to leave it out: " + e.Reason + ". When you attest it, it is left out, and the certificate lists it as an exception."}
		if tenure.SamePerson(e.RequestedBy, v.caller.Name) {
			a.Not = "You asked for this; a second person must attest it."
		} else if !v.may(tenure.OperationApprove, t) {
			a.Not = "It takes somebody who may approve."
		}
		row.Actions = append(row.Actions, a)
		return
	}
	if v.may(tenure.OperationSteer, t) {
		row.Actions = append(row.Actions, dashboard.Action{Label: "Ask to leave it out", Post: at, Tone: dashboard.ToneBad, Hidden: hiddenPairs("step", row.Key),
			Says:   "A second person must attest this. What the step would have done stays undone, and the certificate lists it as an exception.",
			Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Required: true, Max: 1000}}})
	}
}

// operationActions are what a person can do with the whole operation, each with
// what follows from it.
func (v *visit) operationActions(o client.OperationDetail, t tenure.Target, name string) []dashboard.Action {
	at := dashboard.OperationPath(o.ID)
	if o.State.Ended() {
		return nil
	}
	out := v.gateActions(o, t, name)
	if !v.may(tenure.OperationSteer, t) {
		return out
	}
	if o.State == tenure.OperationPaused || o.Wanted == "pause" {
		out = append(out, dashboard.Action{Label: "Continue", Post: at + "/continue", Tone: dashboard.ToneAccent})
	} else {
		out = append(out, dashboard.Action{Label: "Pause", Post: at + "/pause", Says: "Steps that run now end; no other starts until somebody lets it go on."})
	}
	cancel := dashboard.Action{Label: "Cancel", Post: at + "/cancel", Tone: dashboard.ToneBad, Says: "Steps that run now end, and nothing more is done."}
	switch o.Kind {
	case tenure.Onboard:
		cancel.Says = "What this onboarding has made is taken back, in reverse, and " + name + " is closed."
	case tenure.Offboard:
		cancel.Says = "Things stay as they are now: what was cut stays cut until a reinstatement issues new credentials. Past the first point of no return it can't be cancelled."
	}
	return append(out, cancel)
}

// gateActions are the signature that the gate which waits asks for.
func (v *visit) gateActions(o client.OperationDetail, t tenure.Target, name string) []dashboard.Action {
	var out []dashboard.Action
	if o.Body == nil || !waitsAtGates(o.State) {
		return nil
	}
	for i := range o.Body.Steps {
		st := &o.Body.Steps[i]
		if i >= len(o.Rows) || o.Rows[i].State == tenure.StepDone || st.Action != tenure.ActApproval && st.Action != tenure.ActNoReturn || !ready(o, st) {
			continue
		}
		why := ""
		switch {
		case tenure.SamePerson(o.RequestedBy, v.caller.Name):
			why = "You asked for this operation, so somebody else must approve it."
		case !v.may(tenure.OperationApprove, t):
			why = "It takes somebody who may approve for this tenant."
		}
		for _, a := range o.Approvals {
			if a.Step == st.Key && tenure.SamePerson(a.By, v.caller.Name) {
				why = "You have signed this already."
			}
		}
		label, says := "Approve", approvalSays(o, name)
		if st.Action == tenure.ActNoReturn {
			out = append(out, dashboard.Action{Label: "Confirm the point of no return: " + strings.TrimPrefix(st.Key, "noreturn/"), Href: dashboard.OperationPath(o.ID) + "/no-return?gate=" + queryEscape(st.Key), Tone: dashboard.ToneBad, Not: why})
			continue
		}
		out = append(out,
			dashboard.Action{Label: label, Post: dashboard.OperationPath(o.ID) + "/approve", Tone: dashboard.ToneAccent, Says: says, Digest: o.Plan, Not: why,
				Hidden: hiddenPairs("gate", st.Key), Fields: []dashboard.Field{{Name: "note", Label: "Note (optional)", Max: 1000}}},
			dashboard.Action{Label: "Reject", Post: dashboard.OperationPath(o.ID) + "/reject", Tone: dashboard.ToneBad, Says: "The operation is cancelled, with your reason.", Not: why,
				Hidden: hiddenPairs("gate", st.Key), Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Required: true, Max: 1000}}})
	}
	return out
}

// ready says whether what a step needs has ended.
func ready(o client.OperationDetail, st *tenure.Step) bool {
	for _, need := range st.Needs {
		for j := range o.Body.Steps {
			if o.Body.Steps[j].Key == need && j < len(o.Rows) && o.Rows[j].State != tenure.StepDone && o.Rows[j].State != tenure.StepSkipped {
				return false
			}
		}
	}
	return true
}

func approvalSays(o client.OperationDetail, name string) string {
	n := len(o.Body.Steps)
	say := "You sign exactly this plan: " + plural(n, "step", "steps") + " for " + name + ", on " + plural(len(o.Body.Resources), "resource", "resources")
	if o.Body.Destructive > 0 {
		say += ", of which " + plural(o.Body.Destructive, "destroys", "destroy") + " data"
		for _, d := range o.Body.Dates {
			if !d.Undo.IsZero() {
				say += "; it can be undone until " + d.Undo.UTC().Format("2 January 2006")
				break
			}
		}
	}
	return say + ". A changed plan would need a new approval."
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// steer takes what a person asked of an operation.
func (v *visit) steer() error {
	id, what := v.PathValue("operation"), v.PathValue("what")
	at := "/operations/" + url.PathEscape(id)
	params := client.OperationParams{Operation: id}
	change := client.OperationChange{OperationParams: params}
	var err error
	say := "Noted."
	switch what {
	case "approve":
		p := client.GateParams{OperationChange: change}
		p.Body.Gate, p.Body.Digest, p.Body.Note = v.PostFormValue("gate"), v.PostFormValue("digest"), v.PostFormValue("note")
		_, err = ask(v, client.ApproveOperation, p)
		say = "You have signed the plan."
	case "no-return":
		return v.noReturn(id)
	case "reject":
		err = v.reject(id)
		say = "You have rejected it; the operation is cancelled."
	case "pause":
		_, err = ask(v, client.PauseOperation, change)
		say = "It pauses when the steps under way have ended."
	case "continue":
		_, err = ask(v, client.ContinueOperation, change)
		say = "It goes on."
	case "cancel":
		_, err = ask(v, client.CancelOperation, change)
		say = "It is being cancelled."
	case "retry":
		p := client.RetryParams{OperationChange: change}
		p.Body.Step = v.PostFormValue("step")
		_, err = ask(v, client.RetryOperation, p)
		say = "The step is tried again."
	case "skip":
		p := client.SkipParams{OperationChange: change}
		p.Body.Step, p.Body.Reason = v.PostFormValue("step"), v.PostFormValue("reason")
		var s client.Skipped
		if s, err = ask(v, client.SkipStep, p); s.Attested {
			say = "The step is left out."
		} else {
			say = "A second person must attest it now."
		}
	case "done":
		p := client.TaskParams{OperationChange: change}
		p.Body.Gate, p.Body.Note = v.PostFormValue("gate"), v.PostFormValue("note")
		p.Body.Outcome, p.Body.Destination = tenure.ArtifactOutcome(v.PostFormValue("outcome")), v.PostFormValue("destination")
		_, err = ask(v, client.FinishTask, p)
		say = "Thank you: it goes on."
	case "add-task":
		p := client.AddTaskParams{OperationChange: change}
		p.Body.Task, p.Body.Owner, p.Body.DueAt = v.PostFormValue("task"), v.PostFormValue("owner"), day(v.PostFormValue("due"))
		p.Body.Artifact, p.Body.Where = v.PostFormValue("artifact") == "true", v.PostFormValue("where")
		_, err = ask(v, client.AddTask, p)
		say = "It is on the checklist."
	case "assign":
		p := client.ChangeTaskParams{OperationChange: change}
		p.Body.Item, p.Body.Owner, p.Body.DueAt = v.PostFormValue("item"), v.PostFormValue("owner"), day(v.PostFormValue("due"))
		if was, err := time.Parse(time.RFC3339Nano, v.PostFormValue("was")); err == nil && was.Format(time.DateOnly) == v.PostFormValue("due") {
			p.Body.DueAt = was // the form has days alone
		}
		_, err = ask(v, client.ChangeTask, p)
		say = "The task has the owner and the date that you gave."
	case "drop":
		p := client.DropTaskParams{OperationChange: change}
		p.Body.Item, p.Body.Reason = v.PostFormValue("item"), v.PostFormValue("reason")
		_, err = ask(v, client.DropTask, p)
		say = "The task needn't be done."
	case "claim":
		return v.claim(id)
	default:
		return tenure.Errorf(tenure.NotFound, "an operation can't be asked to %q", what)
	}
	return v.tried(at, say, err)
}

// claim shows one-time secrets in the answer itself: a redirect would have to keep
// them somewhere.
func (v *visit) claim(id string) error {
	out, err := ask(v, client.ClaimOutputs, client.OperationParams{Operation: id})
	if err != nil {
		return v.tried("/operations/"+url.PathEscape(id), "", err)
	}
	o, err := ask(v, client.ShowOperation, client.OperationParams{Operation: id})
	if err != nil {
		return err
	}
	view := v.operationView(o)
	var lines []string
	for _, l := range out.Items {
		value := l.Secret
		switch {
		case value != "":
		case l.Value != nil:
			value = valueText(l.Value)
		case l.Claim == "claimed":
			value = "claimed " + l.ClaimedAt.Format(time.RFC3339)
		default:
			value = l.Claim
		}
		lines = append(lines, strings.Trim(l.Environment+"/"+l.Name, "/")+" = "+value)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	frame := v.frame(dashboard.AreaOperations, "")
	frame.Flash = &dashboard.Flash{Kind: dashboard.FlashDone, Text: "This is what is handed over. Secrets are shown this once.", Code: strings.Join(lines, "\n")}
	return v.s.pages.Operation(v.w, frame, view)
}
