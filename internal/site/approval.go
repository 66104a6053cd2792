package site

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) approvalPages() {
	s.page("GET /approvals", (*visit).approvals)
	s.page("POST /moves/{move}/{what}", (*visit).decideMove)
	s.page("POST /clock/confirm", (*visit).confirmTime)
	s.page("POST /store/confirm", (*visit).confirmStore)
}

// How much the inbox's page and the figure beside it read at the most.
const (
	inboxPage = 20
	maxBadge  = 99
)

func (v *visit) approvals() error {
	p := client.InboxParams{}
	p.Cursor, p.Limit = v.URL.Query().Get("cursor"), inboxPage
	list, err := ask(v, client.ListApprovals, p)
	if err != nil {
		return err
	}
	view := dashboard.ApprovalsView{Pager: v.pager(list.Next, len(list.Items))}
	mine := make(map[string]bool)
	for _, w := range list.Items {
		row, err := v.waitingRow(w)
		if err != nil {
			return err
		}
		mine[w.ID+" "+w.Gate] = true
		view.Mine = append(view.Mine, row)
	}
	if p.Cursor == "" && v.caller.May(tenure.TenantRead) {
		if err := v.othersInto(&view, mine); err != nil {
			return err
		}
	}
	return v.show(dashboard.AreaApprovals, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Approvals(w, f, view) })
}

// waitingRow is one thing that waits for the caller's decision.
func (v *visit) waitingRow(w client.Waiting) (dashboard.ApprovalRow, error) {
	row := dashboard.ApprovalRow{
		Step: w.Gate, Kind: w.OperationKind, Summary: w.Summary, RequestedBy: w.RequestedBy, Asked: w.OpenedAt, Expires: w.ExpiresAt, Digest: w.Digest,
		Destructive: w.Destructive, Need: w.Need, Have: w.Have, Escalated: w.EscalatedTo != "", Rule: missing(w),
	}
	if w.Tenant != "" {
		row.Tenant = tenantRef(w.Tenant, w.TenantName)
	}
	switch w.Kind {
	case "approval", "exception":
		row.Operation = tenure.OperationID(w.ID)
		o, err := ask(v, client.ShowOperation, client.OperationParams{Operation: w.ID})
		if tenure.CodeOf(err) == tenure.NotFound {
			return row, nil
		}
		if err != nil {
			return row, err
		}
		v.planInto(&row, o)
		if w.Kind == "approval" {
			row.Actions = slices.DeleteFunc(v.gateActions(o, v.targetOf(o.Tenant), w.TenantName), func(a dashboard.Action) bool { return !ofGate(a, w.Gate) })
		} else {
			row.Actions = []dashboard.Action{{Label: "Attest that it is left out", Post: dashboard.OperationPath(row.Operation) + "/skip", Tone: dashboard.ToneBad, Hidden: hiddenPairs("step", w.Gate), Says: w.Summary + ". The certificate lists it as an exception."}}
		}
		return row, nil
	}
	if w.Kind == "task" {
		row.Operation = tenure.OperationID(w.ID)
		row.Actions = []dashboard.Action{taskDone(row.Operation, w.Gate)}
		if w.Artifact {
			row.Actions = []dashboard.Action{handOver(row.Operation, w.Gate, "", "")}
		}
		return row, nil
	}
	if w.Kind == "blocked" {
		row.Operation = tenure.OperationID(w.ID)
		row.Actions = []dashboard.Action{{Label: "Let it go on", Post: dashboard.OperationPath(row.Operation) + "/retry", Tone: dashboard.ToneAccent, Says: w.Summary}}
		return row, nil
	}
	row.Subject = subjectOf(w)
	if w.Kind == "principal" {
		row.Actions = []dashboard.Action{{Label: "Let in", Post: "/access/principals/" + url.PathEscape(w.ID), Tone: dashboard.ToneAccent, Hidden: hiddenPairs("disabled", "false"), Says: w.Summary + ". They may sign in then, and be given roles."}}
	}
	if w.Kind == "clock" {
		now := v.s.o.Service.Now()
		row.Actions = []dashboard.Action{{Label: "The time is right", Post: "/clock/confirm", Tone: dashboard.ToneBad, Hidden: hiddenPairs("now", now.Format(time.RFC3339)), Says: w.Summary + ". You say that it is " + now.Format("2006-01-02 15:04 MST") + " now: look at another clock first. What destroys, and what a date makes due, goes on by it."}}
	}
	if w.Kind == "store" {
		row.Actions = []dashboard.Action{{Label: "The store is right", Post: "/store/confirm", Tone: dashboard.ToneBad, Says: w.Summary + ". Put back first what came after it: holds, releases, grants. What destroys goes on when two persons have confirmed it.", Fields: []dashboard.Field{{Name: "reason", Label: "Where it is from, and what was put back", Required: true, Max: 1000}}}}
	}
	if w.Kind == "move" {
		at := "/moves/" + url.PathEscape(w.Digest)
		row.Actions = []dashboard.Action{
			{Label: "Approve", Post: at + "/approve", Tone: dashboard.ToneAccent, Digest: w.Digest, Says: w.Summary + ". It is carried out at once.", Fields: []dashboard.Field{{Name: "note", Label: "Note (optional)", Max: 1000}}},
			{Label: "Reject", Post: at + "/reject", Tone: dashboard.ToneBad, Fields: []dashboard.Field{{Name: "note", Label: "Reason", Required: true, Max: 1000}}},
		}
	}
	return row, nil
}

// subjectOf is what waits, and where one can decide on it, if it is no operation.
func subjectOf(w client.Waiting) dashboard.Ref {
	switch w.Kind {
	case "hold":
		return dashboard.Ref{Label: "Release of a hold", Href: "/holds#" + url.PathEscape(w.ID)}
	case "blueprint":
		return dashboard.Ref{Label: "Publication of a blueprint", Href: "/blueprints/" + url.PathEscape(cmp.Or(w.Digest, w.ID))}
	case "standing":
		return dashboard.Ref{Label: "Standing approval", Href: "/access/standing#" + url.PathEscape(w.ID)}
	case "start":
		return dashboard.Ref{Label: "Start without a person", Href: "/access/standing"}
	case "elevation":
		return dashboard.Ref{Label: "Elevation", Href: "/access/elevations#" + url.PathEscape(w.ID)}
	case "breakglass":
		return dashboard.Ref{Label: "Review of a break-glass", Href: "/access/break-glass"}
	case "clock":
		return dashboard.Ref{Label: "Time to confirm"}
	case "store":
		return dashboard.Ref{Label: "Store to confirm"}
	case "event":
		return dashboard.Ref{Label: "Event of another system", Href: dashboard.EventPath(tenure.InboundID(w.ID))}
	case "leave":
		return dashboard.Ref{Label: "Request to leave", Href: dashboard.TenantPath(w.Tenant)}
	case "principal":
		return dashboard.Ref{Label: "Lookalike to let in", Href: "/access/principals"}
	case "move":
		return dashboard.Ref{Label: "Change of roles"}
	}
	return dashboard.Ref{Label: w.Kind}
}

func escalatedTo(to, why string) string {
	return "Escalated to " + cmp.Or(to, "nobody") + ": " + why + "."
}

func missing(w client.Waiting) string {
	var parts []string
	if w.Missing != "" {
		parts = append(parts, "Still needed: "+w.Missing+".")
	}
	if len(w.Rules) > 0 {
		parts = append(parts, "Asked for by the rule "+strings.Join(w.Rules, ", ")+".")
	}
	if w.Escalation != "" {
		parts = append(parts, escalatedTo(w.EscalatedTo, w.Escalation))
	}
	if w.Delegator != "" {
		parts = append(parts, "You decide in "+w.Delegator+"'s place.")
	}
	return strings.Join(parts, " ")
}

// ofGate says whether an action is about a gate.
func ofGate(a dashboard.Action, gate string) bool {
	if a.Href != "" {
		return strings.HasSuffix(a.Href, "gate="+queryEscape(gate))
	}
	return slices.Contains(a.Hidden, dashboard.Pair{Name: "gate", Value: gate})
}

// planInto puts in what the operation's plan does.
func (v *visit) planInto(row *dashboard.ApprovalRow, o client.OperationDetail) {
	row.Operation, row.Kind, row.Digest, row.RequestedBy = o.ID, o.Kind, o.Plan, o.RequestedBy
	for _, a := range o.Approvals {
		if a.Step == row.Step {
			row.Signatures = append(row.Signatures, dashboard.Signature{By: a.By, Step: a.Step, Note: a.Note, At: a.At})
		}
	}
	if o.Body == nil {
		return
	}
	row.Tier, row.Reason, row.Steps, row.Destructive = o.Body.Tier, o.Body.Reason, len(o.Body.Steps), o.Body.Destructive
	for _, d := range o.Body.Dates {
		if !d.Undo.IsZero() && (row.NoReturn.IsZero() || d.Undo.Before(row.NoReturn)) {
			row.NoReturn = d.Undo
		}
	}
	keys := make(map[tenure.ResourceID]string)
	for _, r := range o.Body.Resources {
		keys[r.ID] = tenure.ResourcePath(r.Environment, r.Key)
	}
	for i := range o.Body.Steps {
		s := &o.Body.Steps[i]
		if s.Destructive && len(row.Gone) < 5 {
			item := dashboard.GoneItem{What: cmp.Or(keys[s.Resource], s.Summary), Where: s.System}
			for _, d := range o.Body.Dates {
				if d.Step == s.Key || strings.Contains(d.What, item.What) {
					item.At, item.Undo = d.At, d.Undo
				}
			}
			row.Gone = append(row.Gone, item)
		}
	}
}

// othersInto adds the gates that wait for somebody else, and what was signed
// lately, out of the latest operations.
func (v *visit) othersInto(view *dashboard.ApprovalsView, mine map[string]bool) error {
	p := client.OperationFilter{State: tenure.OperationWaiting}
	p.Limit = inboxPage
	list, err := ask(v, client.ListOperations, p)
	if err != nil {
		return err
	}
	names := v.names()
	for _, o := range list.Items {
		full, err := ask(v, client.ShowOperation, client.OperationParams{Operation: string(o.ID)})
		if err != nil {
			return err
		}
		name := names.of(o.Tenant)
		for _, a := range full.Approvals {
			view.Decided = append(view.Decided, dashboard.DecidedRow{Operation: operationRef(o.ID, string(o.Kind)), Tenant: tenantRef(o.Tenant, name), Kind: o.Kind, By: a.By, Outcome: "approved", At: a.At, Note: a.Note})
		}
		if full.Body == nil {
			continue
		}
		for i := range full.Body.Steps {
			s := &full.Body.Steps[i]
			if !waitsForPeople(full, i) || mine[string(o.ID)+" "+s.Key] {
				continue
			}
			row := dashboard.ApprovalRow{Step: s.Key, Tenant: tenantRef(o.Tenant, name), Summary: s.Summary, Asked: cmp.Or(full.Rows[i].StartedAt, o.UpdatedAt), Expires: full.Rows[i].DueAt}
			v.planInto(&row, full)
			if s.Gate != nil {
				row.Need = s.Gate.Approvals
			}
			row.Have = len(row.Signatures)
			for _, e := range full.Escalations {
				if e.Gate == s.Key {
					row.Escalated, row.Rule = e.To != "", escalatedTo(e.To, e.Reason)
				}
			}
			for _, a := range v.gateActions(full, v.targetOf(o.Tenant), name) {
				if ofGate(a, s.Key) {
					row.Why = cmp.Or(a.Not, "Your signature isn't the one that is needed here.")
				}
			}
			view.Others = append(view.Others, row)
		}
	}
	slices.SortFunc(view.Decided, func(a, b dashboard.DecidedRow) int { return b.At.Compare(a.At) })
	view.Decided = view.Decided[:min(len(view.Decided), inboxPage)]
	return nil
}

// waitsForPeople says whether a step is a gate that waits for signatures now.
func waitsForPeople(o client.OperationDetail, i int) bool {
	s := &o.Body.Steps[i]
	return i < len(o.Rows) && (s.Action == tenure.ActApproval || s.Action == tenure.ActNoReturn) && o.Rows[i].State != tenure.StepDone && o.Rows[i].State != tenure.StepSkipped && ready(o, s)
}

// needOf is one of what waits, for the fleet page.
func needOf(w client.Waiting) dashboard.Need {
	need := dashboard.Need{What: dashboard.Ref{Label: w.Summary}, Kind: w.Kind, Since: w.OpenedAt, Due: w.ExpiresAt, Mine: true}
	switch w.Kind {
	case "approval", "exception", "blocked", "task":
		need.What.Href = dashboard.OperationPath(tenure.OperationID(w.ID))
	default:
		need.What.Href = cmp.Or(subjectOf(w).Href, "/approvals")
	}
	return need
}

func (v *visit) reject(id string) error {
	p := client.RejectParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: id}}}
	p.Body.Gate, p.Body.Reason = v.PostFormValue("gate"), v.PostFormValue("reason")
	_, err := ask(v, client.RejectOperation, p)
	return err
}

func (v *visit) decideMove() error {
	p := client.DecideMoveParams{MoveID: client.MoveID{Move: v.PathValue("move")}}
	p.Body.Note, p.Body.Digest = v.PostFormValue("note"), v.PostFormValue("digest")
	var err error
	say := "You have signed it; it is carried out."
	switch v.PathValue("what") {
	case "approve":
		_, err = ask(v, client.ApproveMove, p)
	case "reject":
		_, err = ask(v, client.RejectMove, p)
		say = "You have turned it down."
	default:
		return tenure.Errorf(tenure.NotFound, "a change of roles can't be asked to %q", v.PathValue("what"))
	}
	return v.tried("/approvals", say, err)
}
