package site

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) eventPages() {
	s.page("GET /events", (*visit).events)
	s.page("GET /events/{event}", (*visit).event)
	s.page("POST /events/{event}/{what}", (*visit).decideEvent)
	s.page("GET /events/rules", (*visit).rules)
	s.page("POST /events/rules", (*visit).submitRules)
	s.page("GET /events/rules/{ref}", (*visit).rule)
	s.page("POST /events/rules/{ref}/publish", (*visit).publishRules)
}

var eventStates = []string{"received", "acted", "noted", "ignored", "superseded", "held", "failed", "dismissed"}

func (v *visit) events() error {
	q := v.URL.Query()
	p := client.InboundFilter{State: q.Get("state"), Source: strings.TrimSpace(q.Get("source")), Tenant: strings.TrimSpace(q.Get("tenant")), Type: strings.TrimSpace(q.Get("type")), Subject: strings.TrimSpace(q.Get("subject")), Reference: strings.TrimSpace(q.Get("reference"))}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListInbound, p)
	if err != nil {
		return err
	}
	view := dashboard.EventsView{Pager: v.pager(list.Next, len(list.Items)), Filters: filters("/events", q,
		choice("state", "Outcome", p.State, "any outcome", eventStates...),
		choice("source", "Source", p.Source, "any source", v.s.o.Sources()...),
		dashboard.Field{Name: "type", Label: "Type", Value: p.Type},
		dashboard.Field{Name: "subject", Label: "Subject", Value: p.Subject},
		dashboard.Field{Name: "reference", Label: "Source’s ID", Value: p.Reference},
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Tenant", Value: p.Tenant, Hint: "name or id"},
	)}
	names := v.names()
	for _, e := range list.Items {
		view.Rows = append(view.Rows, eventRow(e, names.of(e.Tenant)))
	}
	return v.show(dashboard.AreaEvents, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Events(w, f, view) })
}

func eventRow(e client.InboundEvent, tenantName string) dashboard.EventRow {
	row := dashboard.EventRow{
		ID: e.ID, Source: e.Source, Subject: e.Subject, Type: e.Type, State: e.State, Reason: e.Reason, Tenant: tenantRef(e.Tenant, tenantName), Happened: e.HappenedAt, Received: e.ReceivedAt,
		Operation: operationRef(e.Operation, "operation"),
	}
	if e.Rule != "" {
		revision, _, _ := strings.Cut(e.Rule, "/")
		row.Rule = dashboard.Ref{Label: e.Rule, Href: rulesPath(revision)}
	}
	return row
}

func (v *visit) event() error {
	e, err := ask(v, client.ShowInbound, client.InboundParams{Event: v.PathValue("event")})
	if err != nil {
		return err
	}
	view := dashboard.EventView{
		EventRow: eventRow(e, v.names().of(e.Tenant)), Reference: e.Reference, Version: e.Version,
		Attempts: e.Attempts, Decided: e.DecidedAt, By: e.DecidedBy, Data: pretty(e.Data),
	}
	view.Actions, view.May = v.eventActions(e)
	if e.State == "received" {
		view.Next = e.NextAt
	}
	if e.Operation != "" {
		if o, err := ask(v, client.ShowOperation, client.OperationParams{Operation: string(e.Operation)}); err == nil {
			view.Operation.Label = string(o.Kind) + ", " + dashboard.StatusOf(o.State).Word
		}
	}
	return v.show(dashboard.AreaEvents, "/v1/events", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Event(w, f, view) })
}

// eventActions are what a person can decide about an event, by where it stands.
func (v *visit) eventActions(e client.InboundEvent) (out []dashboard.Action, may bool) {
	target := tenure.Target{}
	if e.Tenant != "" {
		target = v.targetOf(e.Tenant)
	}
	if !v.may(tenure.EventDecide, target) {
		return nil, false
	}
	at := dashboard.EventPath(e.ID)
	if e.State == "held" {
		out = append(out, dashboard.Action{Label: "Release", Post: at + "/release", Tone: dashboard.ToneAccent, Says: "It is decided anew, past the bound or the earlier departure that held it; a tenant that is leaving stays so. What the blueprint wants approved still waits for people. Your name stands in the log."})
	}
	if slices.Contains([]string{"held", "failed", "ignored", "dismissed"}, e.State) {
		replay := dashboard.Action{Label: "Replay", Post: at + "/replay", Says: "It is decided anew, by the rules that are in force now. Your name stands in the log."}
		if e.State == "failed" {
			replay.Tone = dashboard.ToneAccent
		}
		out = append(out, replay)
	}
	if e.State == "held" || e.State == "failed" || e.State == "received" {
		out = append(out, dashboard.Action{Label: "Dismiss", Post: at + "/dismiss", Tone: dashboard.ToneBad, Says: "It leads to nothing. Your name and reason stand in the log.",
			Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "reason", Label: "Reason", Required: true, Max: 1000}}})
	}
	return out, true
}

func (v *visit) decideEvent() error {
	p := client.InboundParams{Event: v.PathValue("event")}
	var err error
	say := ""
	switch v.PathValue("what") {
	case "release":
		_, err = ask(v, client.ReleaseInbound, p)
		say = "It is released, and goes on in a moment."
	case "replay":
		_, err = ask(v, client.ReplayInbound, p)
		say = "It is decided anew in a moment."
	case "dismiss":
		d := client.DismissInboundParams{InboundParams: p}
		d.Body.Reason = v.PostFormValue("reason")
		_, err = ask(v, client.DismissInbound, d)
		say = "It is dismissed: nothing comes of it."
	default:
		return tenure.Errorf(tenure.NotFound, "an event can't be asked to %q", v.PathValue("what"))
	}
	return v.tried(dashboard.EventPath(tenure.InboundID(p.Event)), say, err)
}

// ledTo lists the events that an operation goes back to: the one that asked for it, and
// what withdrew it. Whoever makes an operation may name any trigger, so the event's own row
// says which operation it led to.
func (v *visit) ledTo(o client.Operation) []dashboard.LedEvent {
	if !v.caller.May(tenure.EventRead) {
		return nil
	}
	p := client.InboundFilter{Operation: string(o.ID)}
	p.Limit = 10
	list, err := ask(v, client.ListInbound, p)
	if err != nil {
		return nil
	}
	var out []dashboard.LedEvent
	for _, e := range slices.Backward(list.Items) {
		did := "Withdrawn by"
		if o.Trigger == "event:"+e.Source+":"+string(e.ID) {
			did = "Asked for by"
		}
		out = append(out, dashboard.LedEvent{Did: did, Event: dashboard.Ref{Label: cmp.Or(e.Type, e.Reference), Href: dashboard.EventPath(e.ID)}, Source: e.Source})
	}
	return out
}

func rulesPath(ref string) string { return dashboard.RulesPath + "/" + url.PathEscape(ref) }

// rulesOf lists the revisions of rules of a name, or of all, by name and the newest first.
func (v *visit) rulesOf(name string) ([]dashboard.RuleRow, error) {
	list, err := client.UpTo(v.ctx, v.s.api, client.ListTriggers, client.Paging{}, maxRevisions)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b client.Triggers) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.Digest, b.Digest))
	})
	var out []dashboard.RuleRow
	for _, t := range list {
		if name == "" || t.Name == name {
			out = append(out, ruleRow(t))
		}
	}
	return out, nil
}

func ruleRow(t client.Triggers) dashboard.RuleRow {
	row := dashboard.RuleRow{Name: t.Name, Version: t.Version, Href: rulesPath(t.Digest), State: "replaced", Digest: t.Digest, Author: t.CreatedBy, Submitted: t.CreatedAt, By: t.PublishedBy, Published: t.PublishedAt}
	switch {
	case t.InForce:
		row.State = "in force"
	case t.PublishedAt.IsZero():
		row.State = "draft"
	}
	return row
}

func (v *visit) rules() error {
	rows, err := v.rulesOf("")
	if err != nil {
		return err
	}
	view := dashboard.RulesView{Rows: rows}
	if v.may(tenure.TriggerWrite, tenure.Target{}) {
		view.Actions = append(view.Actions, dashboard.Action{
			Label: "Submit a revision", Post: dashboard.RulesPath, Tone: dashboard.ToneAccent, Says: "Its tests run, and it is kept as a draft. Another person reads and publishes it.",
			Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "source", Label: "Text", Required: true, Hint: "the file of rules, YAML"}},
		})
	}
	return v.show(dashboard.AreaEvents, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Rules(w, f, view) })
}

func (v *visit) rule() error {
	t, err := ask(v, client.ShowTriggers, client.TriggersParams{Triggers: v.PathValue("ref")})
	if err != nil {
		return err
	}
	all, err := v.rulesOf(t.Name)
	if err != nil {
		return err
	}
	view := dashboard.RuleView{RuleRow: ruleRow(t), Source: t.Source, Warnings: t.Warnings, Revisions: all}
	for i := range view.Revisions {
		if r := &view.Revisions[i]; r.Digest == t.Digest { // the list knows what is in force
			r.Current = true
			view.State = r.State
		}
	}
	if view.State == "draft" && v.may(tenure.TriggerPublish, tenure.Target{}) {
		a := dashboard.Action{Label: "Publish", Post: rulesPath(t.Digest) + "/publish", Tone: dashboard.ToneAccent, Digest: t.Digest, Signs: "Revision", Says: "Events are decided by exactly this text from then on, in place of what " + t.Name + " says now."}
		if tenure.SamePerson(t.CreatedBy, v.caller.Name) {
			a.Not = "You wrote it, so another person must publish it."
		}
		view.Actions = append(view.Actions, a)
	}
	return v.show(dashboard.AreaEvents, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Rule(w, f, view) })
}

func (v *visit) submitRules() error {
	p := client.SourceParams{}
	p.Body.File, p.Body.Source = "rules.yaml", strings.ReplaceAll(v.PostFormValue("source"), "\r\n", "\n")
	t, err := ask(v, client.SubmitTriggers, p)
	if err != nil {
		return v.tried(dashboard.RulesPath, "", err)
	}
	return v.done(rulesPath(t.Digest), "It is kept as a draft. Another person publishes it.")
}

func (v *visit) publishRules() error {
	ref := v.PathValue("ref")
	p := client.PublishTriggersParams{TriggersParams: client.TriggersParams{Triggers: ref}, SignedBody: client.Sign(v.PostFormValue("digest"))}
	_, err := ask(v, client.PublishTriggers, p)
	return v.tried(rulesPath(ref), "It is published: events are decided by it from now on.", err)
}
