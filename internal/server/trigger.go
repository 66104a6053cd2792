package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/trigger"
)

// dryRun is how many recorded events a dry run reads.
const dryRun = 20_000

func triggerRoutes(s *Server) {
	route(s, client.ListTriggers, Access{tenure.EventRead, Anywhere}, listTriggers)
	route(s, client.CheckTriggers, Access{tenure.EventRead, Anywhere}, checkTriggers)
	created(s, client.SubmitTriggers, Access{tenure.TriggerWrite, Installation}, submitTriggers)
	route(s, client.ShowTriggers, Access{tenure.EventRead, Anywhere}, showTriggers)
	route(s, client.PublishTriggers, Access{tenure.TriggerPublish, Installation}, publishTriggers)
	route(s, client.DryRunTriggers, Access{tenure.EventRead, Installation}, dryRunTriggers)
	route(s, client.ListInbound, Access{tenure.EventRead, List}, listInbound)
	route(s, client.ShowInbound, Access{tenure.EventRead, OfInbound}, showInbound)
	route(s, client.ReplayInbound, Access{tenure.EventDecide, OfInbound}, answerInbound((*trigger.Intake).Replay))
	route(s, client.ReleaseInbound, Access{tenure.EventDecide, OfInbound}, answerInbound((*trigger.Intake).Release))
	route(s, client.DismissInbound, Access{tenure.EventDecide, OfInbound}, dismissInbound)
}

func triggersOf(t store.TriggerRevision) client.Triggers {
	return client.Triggers{Digest: t.Digest, Name: t.Name, Version: t.Version, CreatedBy: t.Author, CreatedAt: t.CreatedAt, PublishedBy: t.PublishedBy, PublishedAt: t.PublishedAt}
}

func listTriggers(ctx context.Context, c *Call, p *client.Paging) (client.Page[client.Triggers], error) {
	var out client.Page[client.Triggers]
	events := c.server.o.Events
	rows, err := events.Revisions(ctx)
	if err != nil {
		return out, err
	}
	in, err := c.Service.Engine.DB.TriggersInForce(ctx)
	if err != nil {
		return out, err
	}
	force := map[string]bool{}
	for _, t := range in {
		force[t.Digest] = true
	}
	list := each(rows, triggersOf)
	for i := range list {
		list[i].InForce = force[list[i].Digest]
	}
	return pageInOrder(c, list, *p, func(t client.Triggers) string { return t.Digest })
}

func checkTriggers(ctx context.Context, c *Call, p *client.SourceParams) (out client.TriggerCheck, err error) {
	events := c.server.o.Events
	if _, err = events.Check([]byte(p.Body.Source), p.Body.File); err == nil {
		out.Warnings, err = events.Warnings(ctx, []byte(p.Body.Source), p.Body.File)
	}
	return out, err
}

// warned is a revision with what of it couldn't be done as things stand.
func (c *Call) warned(ctx context.Context, t store.TriggerRevision, err error) (client.Triggers, error) {
	out := triggersOf(t)
	if err == nil {
		out.Warnings, err = c.server.o.Events.Warnings(ctx, []byte(t.Body), t.File)
	}
	return out, err
}

func submitTriggers(ctx context.Context, c *Call, p *client.SourceParams) (client.Triggers, error) {
	events := c.server.o.Events
	t, err := events.Submit(ctx, []byte(p.Body.Source), p.Body.File, c.By())
	if err == nil {
		c.Location("/v1/triggers/" + t.Digest)
	}
	return c.warned(ctx, t, err)
}

func showTriggers(ctx context.Context, c *Call, p *client.TriggersParams) (client.Triggers, error) {
	events := c.server.o.Events
	t, err := events.Revision(ctx, p.Triggers)
	out, err := c.warned(ctx, t, err)
	out.Source = t.Body
	return out, err
}

func publishTriggers(ctx context.Context, c *Call, p *client.PublishTriggersParams) (client.Triggers, error) {
	events := c.server.o.Events
	ref := p.Triggers
	if p.Signs() != "" {
		t, err := events.Revision(ctx, ref)
		if err == nil {
			err = isRead(p.Signs(), t.Digest)
		}
		if err != nil {
			return client.Triggers{}, err
		}
		ref = t.Digest
	}
	t, err := events.Publish(ctx, ref, c.By())
	return c.warned(ctx, t, err)
}

func dryRunTriggers(ctx context.Context, c *Call, p *client.DryRunParams) (client.Page[client.DryRunOutcome], error) {
	events := c.server.o.Events
	list, err := events.DryRun(ctx, []byte(p.Body.Source), p.Body.File, p.Body.ReceivedAt, dryRun)
	return whole(each(list, func(o trigger.Outcome) client.DryRunOutcome {
		return client.DryRunOutcome{Source: o.Event.Source, Type: o.Event.Type, Reference: o.Event.ID, At: o.Event.At, Rule: o.Rule, State: string(o.State), Reason: o.Why, Asked: o.Asked}
	})), err
}

func inboundOf(e store.Inbound) client.InboundEvent {
	if e.State != store.InboundReceived { // it isn't tried again
		e.NextAt = time.Time{}
	}
	return client.InboundEvent{
		ID: e.ID, Source: e.Source, Reference: e.ExternalID, Type: e.Type, Subject: e.Subject, Version: e.Version, HappenedAt: e.HappenedAt, ReceivedAt: e.ReceivedAt,
		State: string(e.State), Reason: e.Why, Rule: e.Rule, Tenant: e.Tenant, Operation: e.Operation, Attempts: e.Attempts, NextAt: e.NextAt, DecidedAt: e.DecidedAt, DecidedBy: e.DecidedBy,
	}
}

func listInbound(ctx context.Context, c *Call, p *client.InboundFilter) (client.Page[client.InboundEvent], error) {
	out := client.Page[client.InboundEvent]{Items: []client.InboundEvent{}}
	events := c.server.o.Events
	if p.Source != "" && !events.Known(p.Source) {
		return out, unknown("source of events", p.Source)
	}
	f := store.InboundFilter{Source: p.Source, State: store.InboundState(p.State), Type: p.Type, Subject: p.Subject, Reference: p.Reference, Sight: &c.Visible, Limit: limitOf(p.Paging) + 1}
	if err := c.after(p.Cursor, &f.Before); err != nil {
		return out, err
	}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.EventRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.ID
	}
	if p.Operation != "" {
		row, err := c.operation(ctx, p.Operation)
		if err == nil {
			err = c.RequireTenant(ctx, tenure.EventRead, string(row.Tenant))
		}
		if err != nil {
			return out, err
		}
		f.Operation = row.ID
	}
	rows, err := events.List(ctx, f)
	if err != nil {
		return out, err
	}
	if n := f.Limit - 1; len(rows) > n {
		rows = rows[:n]
		out.Next = c.cursor(rows[n-1].ID)
	}
	out.Items = each(rows, inboundOf)
	return out, nil
}

func showInbound(ctx context.Context, c *Call, p *client.InboundParams) (client.InboundEvent, error) {
	row, err := c.inbound(ctx, p.Event)
	out := inboundOf(row)
	if out.Data = row.Body; len(row.Body) > 0 && !json.Valid(row.Body) { // somebody wrote it past Tenure
		out.Data, _ = json.Marshal(string(row.Body))
	}
	return out, err
}

// inbound reads the event that the path names.
func (c *Call) inbound(ctx context.Context, text string) (store.Inbound, error) {
	id, err := tenure.ParseID[tenure.InboundID](text)
	if err != nil {
		return store.Inbound{}, err
	}
	events := c.server.o.Events
	return events.Event(ctx, id)
}

func answerInbound(answer func(*trigger.Intake, context.Context, tenure.InboundID, string) (store.Inbound, error)) func(context.Context, *Call, *client.InboundParams) (client.InboundEvent, error) {
	return func(ctx context.Context, c *Call, p *client.InboundParams) (client.InboundEvent, error) {
		id, err := tenure.ParseID[tenure.InboundID](p.Event)
		if err != nil {
			return client.InboundEvent{}, err
		}
		row, err := answer(c.server.o.Events, ctx, id, c.By())
		return inboundOf(row), err
	}
}

func dismissInbound(ctx context.Context, c *Call, p *client.DismissInboundParams) (client.InboundEvent, error) {
	return answerInbound(func(i *trigger.Intake, ctx context.Context, id tenure.InboundID, by string) (store.Inbound, error) {
		return i.Dismiss(ctx, id, p.Body.Reason, by)
	})(ctx, c, &p.InboundParams)
}

// door is how events ask: in a principal's name, by the rules of the API.
type door struct{ s *Server }

// Door is how what happens by itself asks in a principal's name, by the same rules as over
// the network.
func (s *Server) Door() trigger.Door { return door{s} }

func (d door) call(ctx context.Context, as string) (*Call, error) {
	p, err := d.s.db().Principal(ctx, as)
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil, tenure.Errorf(tenure.Forbidden, "there is no principal %s, in whose name the rules ask", as).WithHint("add it with what it may do: tenure principal add, tenure grant give")
	}
	if err != nil {
		return nil, err
	}
	if p.Kind != tenure.CallerMachine {
		return nil, tenure.Errorf(tenure.Forbidden, "%s is a person: rules ask in the name of a machine, whom a person answers for", as)
	}
	if p.Disabled {
		return nil, tenure.Errorf(tenure.Forbidden, "%s, in whose name the rules ask, is disabled", as)
	}
	caller, err := d.s.o.Governor.Named(ctx, governance.Local(as))
	if err != nil {
		return nil, err
	}
	return &Call{Caller: caller, Service: d.s.o.Service, Governor: d.s.o.Governor, server: d.s}, nil
}

// unable says of a refusal which machine may not do what where, and how it gets to: rules come by a
// tenant by themselves, so nothing is told that they don't know.
func unable(as string, p tenure.Permission, where string, err error) error {
	switch tenure.CodeOf(err) {
	case tenure.Forbidden, tenure.NotFound:
	default:
		return err
	}
	why := ""
	if tenure.CodeOf(err) == tenure.Forbidden {
		why = " (" + err.Error() + ")"
	}
	return tenure.Errorf(tenure.Forbidden, "the machine %s, in whose name the rules ask, may not %s over %s%s", as, p, where, why).
		WithHint("give it what it needs, and replay the event: tenure grant give %s operator --all-tenants --reason WHY", as)
}

// Request is described at trigger.Door.
func (d door) Request(ctx context.Context, as string, in lifecycle.Intent) (store.OperationRow, error) {
	c, err := d.call(ctx, as)
	if err != nil {
		return store.OperationRow{}, err
	}
	if err := c.requireIntent(ctx, client.Intent(in)); err != nil {
		where := "a new tenant"
		if in.Kind != tenure.Onboard {
			where = "the tenant " + in.Tenant
		}
		return store.OperationRow{}, unable(as, tenure.OperationRequest, where, err)
	}
	row, _, err := c.startIntent(ctx, client.Intent(in))
	return row, err
}

// Cancel is described at trigger.Door.
func (d door) Cancel(ctx context.Context, as string, op tenure.OperationID) error {
	c, err := d.call(ctx, as)
	if err != nil {
		return err
	}
	row, err := c.Service.Engine.DB.Operation(ctx, op)
	if err == nil {
		err = unable(as, tenure.OperationSteer, "the tenant "+string(row.Tenant), c.RequireTenant(ctx, tenure.OperationSteer, string(row.Tenant)))
	}
	if err != nil {
		return err
	}
	return c.Service.Steer(ctx, op, "cancel", c.By())
}

// Know is described at trigger.Door.
func (d door) Know(ctx context.Context, as string, tenant tenure.TenantID, known tenure.KnownBy) error {
	c, err := d.call(ctx, as)
	if err != nil {
		return err
	}
	if err := c.RequireTenant(ctx, tenure.TenantChange, string(tenant)); err != nil {
		return unable(as, tenure.TenantChange, "the tenant "+string(tenant), err)
	}
	t, err := c.Service.Engine.DB.Tenant(ctx, string(tenant))
	if err != nil {
		return err
	}
	known.Domains, known.ExternalIDs = append(known.Domains, t.KnownBy.Domains...), append(known.ExternalIDs, t.KnownBy.ExternalIDs...)
	_, err = c.Service.SetKnownBy(ctx, string(tenant), known, t.Version, c.By())
	return err
}

// Report is described at trigger.Door.
func (d door) Report(ctx context.Context, as string, tenant tenure.TenantID, i store.Incident) error {
	c, err := d.call(ctx, as)
	if err != nil {
		return err
	}
	if err := c.RequireTenant(ctx, tenure.IncidentReport, string(tenant)); err != nil {
		return unable(as, tenure.IncidentReport, "the tenant "+string(tenant), err)
	}
	_, err = c.Service.ReportIncident(ctx, string(tenant), i, c.By())
	return err
}
