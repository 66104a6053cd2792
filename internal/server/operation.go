package server

import (
	"context"
	"reflect"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/trigger"
)

func operationRoutes(s *Server) {
	route(s, client.ListOperations, Access{tenure.TenantRead, List}, listOperations)
	accepted(s, client.RequestOperation, Access{tenure.OperationRequest, OfBody}, requestOperation)
	route(s, client.ShowOperation, Access{tenure.TenantRead, OfOperation}, showOperation)
	route(s, client.FollowOperation, Access{tenure.TenantRead, OfOperation}, followOperation)
	route(s, client.ApproveOperation, Access{tenure.OperationApprove, OfOperation}, approveOperation)
	route(s, client.FinishTask, Access{tenure.TenantRead, OfOperation}, finishTask)
	accepted(s, client.PauseOperation, Access{tenure.OperationSteer, OfOperation}, steer("pause"))
	accepted(s, client.ContinueOperation, Access{tenure.OperationSteer, OfOperation}, steer("continue"))
	accepted(s, client.CancelOperation, Access{tenure.OperationSteer, OfOperation}, steer("cancel"))
	route(s, client.RetryOperation, Access{tenure.OperationSteer, OfOperation}, retryOperation)
	route(s, client.SkipStep, Access{tenure.TenantRead, OfOperation}, skipStep)
	route(s, client.ShowOutputs, Access{tenure.OperationRequest, OfOperation}, outputs(false))
	route(s, client.ClaimOutputs, Access{tenure.OperationRequest, OfOperation}, outputs(true))
}

func operationsOf(ctx context.Context, s *lifecycle.Service, rows []store.OperationRow) ([]client.Operation, error) {
	ids := each(rows, func(r store.OperationRow) tenure.OperationID { return r.ID })
	counts, err := s.Engine.DB.StepCounts(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]client.Operation, len(rows))
	for i, r := range rows {
		out[i] = client.Operation{Operation: r.Operation, Wanted: r.Wanted}
		for state, n := range counts[r.ID] {
			out[i].Steps += n
			switch state {
			case tenure.StepDone, tenure.StepFailed, tenure.StepSkipped:
				out[i].Done += n
			case tenure.StepRunning:
				out[i].Running += n
			}
		}
	}
	return out, nil
}

func progressOf(ctx context.Context, s *lifecycle.Service, row store.OperationRow) (client.Operation, error) {
	list, err := operationsOf(ctx, s, []store.OperationRow{row})
	if err != nil {
		return client.Operation{}, err
	}
	return list[0], nil
}

// operation reads the one that the path names, and gives the answer its ETag.
func (c *Call) operation(ctx context.Context, text string) (store.OperationRow, error) {
	id, err := tenure.ParseID[tenure.OperationID](text)
	if err != nil {
		return store.OperationRow{}, err
	}
	row, err := c.Service.Engine.DB.Operation(ctx, id)
	if err == nil {
		c.Version(row.Version)
	}
	return row, err
}

// changing is operation for what changes it: of the version that was read.
func (c *Call) changing(ctx context.Context, p client.OperationChange) (tenure.OperationID, error) {
	row, err := c.operation(ctx, p.Operation)
	if err != nil {
		return "", err
	}
	return row.ID, c.Match(p.IfMatch, row.Version)
}

func listOperations(ctx context.Context, c *Call, p *client.OperationFilter) (client.Page[client.Operation], error) {
	var before tenure.OperationID
	out := client.Page[client.Operation]{Items: []client.Operation{}}
	if err := c.after(p.Cursor, &before); err != nil {
		return out, err
	}
	n := limitOf(p.Paging)
	f := store.OperationFilter{State: p.State, Kind: p.Kind, Open: p.Open, Before: before, Limit: n + 1, Visible: &c.Visible}
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.TenantRead, p.Tenant); err != nil {
			return out, err
		}
		t, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return out, err
		}
		f.Tenant = t.ID
	}
	if !p.To.IsZero() { // ids begin with their time (RFC 9562 §5.7)
		if floor := tenure.DeriveID[tenure.OperationID](p.To)[:len("op_01890a5d-ac96-")]; before == "" || floor < before {
			f.Before = floor
		}
	}
	rows, err := c.Service.Engine.DB.Operations(ctx, f)
	if err != nil {
		return out, err
	}
	for i, r := range rows {
		if !p.From.IsZero() && r.CreatedAt.Before(p.From) {
			rows = rows[:i]
			break
		}
	}
	if len(rows) > n {
		rows = rows[:n]
		out.Next = c.cursor(rows[n-1].ID)
	}
	out.Items, err = operationsOf(ctx, c.Service, rows)
	return out, err
}

// requestOperation starts what an intent asks for, or a stored plan.
func requestOperation(ctx context.Context, c *Call, p *client.OperationRequest) (client.Operation, error) {
	var row store.OperationRow
	var repeated bool
	if err := checkTrigger(p.Body.Trigger); err != nil {
		return client.Operation{}, err
	}
	var err error
	if p.Body.Plan != "" {
		row, err = c.startPlan(ctx, p)
	} else {
		row, repeated, err = c.startIntent(ctx, p.Body.Intent)
	}
	if err != nil {
		return client.Operation{}, err
	}
	out, err := progressOf(ctx, c.Service, row)
	out.Repeated = repeated
	c.Version(row.Version)
	c.Location("/v1/operations/" + string(row.ID))
	return out, err
}

// checkTrigger refuses the keys by which Tenure knows again what it began itself
// (for a plan, a review, an upgrade): who took one beforehand would stand in for it.
func checkTrigger(key string) error {
	for _, own := range []string{"plan:", "review:", "upgrade:", trigger.Prefix, lifecycle.LeaseTrigger} {
		if strings.HasPrefix(key, own) {
			return tenure.Errorf(tenure.Invalid, "triggers that begin with %q are Tenure's own", own)
		}
	}
	return nil
}

func (c *Call) startIntent(ctx context.Context, in client.Intent) (row store.OperationRow, repeated bool, err error) {
	if err := c.requireIntent(ctx, in); err != nil {
		return row, false, err
	}
	if only, err := c.harmlessIntent(ctx, in); err != nil || only != "" {
		if err == nil {
			row, err = c.Service.Start(ctx, only, intentOf(in), c.By())
		}
		if err == nil {
			err = c.requireStarted(ctx, row, only)
		}
		return row, false, err
	}
	plan, row, err := c.Service.Request(ctx, intentOf(in), c.By())
	if err == nil && plan == nil {
		err = c.requireStarted(ctx, row, "")
	}
	return row, plan == nil, err
}

// requireStarted refuses an operation that runs another plan than the one that was
// asked for, since its trigger had been seen before, to who may not request it: it
// may be a tenant's that they may not know of, so nothing of it is told.
func (c *Call) requireStarted(ctx context.Context, row store.OperationRow, digest string) error {
	if row.Plan == digest {
		return nil
	}
	t, err := c.server.target(ctx, string(row.Tenant))
	if err != nil || !c.Governor.Decide(ctx, c.Caller, tenure.OperationRequest, t).Allowed {
		return tenure.Errorf(tenure.Conflict, "this trigger has started another operation already").WithHint("a new request takes a trigger of its own")
	}
	return nil
}

func (c *Call) startPlan(ctx context.Context, p *client.OperationRequest) (store.OperationRow, error) {
	in := p.Body.Intent
	if bare := (client.Intent{Trigger: in.Trigger, Kind: in.Kind, Reason: in.Reason}); !reflect.DeepEqual(in, bare) {
		return store.OperationRow{}, tenure.Errorf(tenure.Invalid, "a stored plan is run exactly as it is: beside it only a trigger is given")
	}
	digest := wholeDigest(strings.TrimSpace(p.Body.Plan))
	plan, err := c.Service.Engine.DB.Plan(ctx, digest)
	if err == nil {
		err = c.requirePlan(ctx, plan)
	}
	if err == nil {
		err = c.harmless(ctx, tenure.OperationRequest, plan)
	}
	if tenure.CodeOf(err) == tenure.NotFound {
		err = notThere(OfPlan, digest)
	}
	if err != nil {
		return store.OperationRow{}, err
	}
	row, err := c.Service.Start(ctx, digest, intentOf(in), c.By())
	if err == nil {
		err = c.requireStarted(ctx, row, digest)
	}
	return row, err
}

// requirePlan asks whether the caller may request what a plan does.
func (c *Call) requirePlan(ctx context.Context, p *tenure.Plan) error {
	if p.Kind != tenure.Onboard {
		return c.RequireTenant(ctx, tenure.OperationRequest, string(p.Tenant))
	}
	return c.Require(ctx, tenure.OperationRequest, tenure.Target{Tenant: p.Tenant, Tier: p.Tier, Labels: p.Labels})
}

func showOperation(ctx context.Context, c *Call, p *client.OperationParams) (client.OperationDetail, error) {
	id, err := tenure.ParseID[tenure.OperationID](p.Operation)
	if err != nil {
		return client.OperationDetail{}, err
	}
	v, err := c.Service.Operation(ctx, id)
	if err != nil {
		return client.OperationDetail{}, err
	}
	c.Version(v.Version)
	out := client.OperationDetail{Body: v.Body, Approvals: v.Approvals}
	out.Exceptions = each(v.Exceptions, func(e store.Exception) client.Exception { return client.Exception(e) })
	out.Rows = each(v.Steps, func(r store.StepRow) tenure.StepStatus { return r.StepStatus })
	waits, err := c.Service.Engine.DB.ApprovalWaits(ctx, id)
	if err != nil {
		return out, err
	}
	for _, w := range waits {
		if !w.EscalatedAt.IsZero() {
			out.Escalations = append(out.Escalations, client.Escalated{Gate: w.Step, To: w.EscalatedTo, Reason: w.Escalated, At: w.EscalatedAt})
		}
	}
	out.Operation, err = progressOf(ctx, c.Service, v.OperationRow)
	return out, err
}

func followOperation(ctx context.Context, c *Call, p *client.OperationParams) (client.Operation, error) {
	row, err := c.operation(ctx, p.Operation)
	if err != nil {
		return client.Operation{}, err
	}
	return progressOf(ctx, c.Service, row)
}

func approveOperation(ctx context.Context, c *Call, p *client.GateParams) (client.GateAnswer, error) {
	id, err := c.changing(ctx, p.OperationChange)
	if err != nil {
		return client.GateAnswer{}, err
	}
	gate, err := c.Service.ApproveAs(ctx, c.Caller, id, p.Body.Gate, p.Body.Digest, p.Body.Note)
	return client.GateAnswer{Gate: gate}, err
}

// finishTask takes who steers, or who owns the task.
func finishTask(ctx context.Context, c *Call, p *client.TaskParams) (client.GateAnswer, error) {
	id, err := c.changing(ctx, p.OperationChange)
	if err != nil {
		return client.GateAnswer{}, err
	}
	if err = c.Require(ctx, tenure.OperationSteer, c.Target); err == nil {
		err = c.harmlessSteer(ctx, id)
	} else if len(c.Caller.Only) == 0 { // a token that is for some things alone stays so
		if owns, unread := c.Service.OwnsTask(ctx, id, p.Body.Gate, c.By()); owns || unread != nil {
			err = unread
		}
	}
	if err != nil {
		return client.GateAnswer{}, err
	}
	gate, err := c.Service.HandOver(ctx, id, p.Body.Gate, tenure.Handed{Outcome: p.Body.Outcome, Destination: p.Body.Destination}, c.By(), p.Body.Note)
	return client.GateAnswer{Gate: gate}, err
}

func steer(what string) func(context.Context, *Call, *client.OperationChange) (client.Operation, error) {
	return func(ctx context.Context, c *Call, p *client.OperationChange) (client.Operation, error) {
		id, err := c.changing(ctx, *p)
		if err == nil && what == "continue" {
			err = c.harmlessSteer(ctx, id)
		}
		if err != nil {
			return client.Operation{}, err
		}
		if err := c.Service.Steer(ctx, id, what, c.By()); err != nil {
			return client.Operation{}, err
		}
		return followOperation(ctx, c, &p.OperationParams)
	}
}

func retryOperation(ctx context.Context, c *Call, p *client.RetryParams) (client.Retried, error) {
	id, err := c.changing(ctx, p.OperationChange)
	if err == nil {
		err = c.harmlessSteer(ctx, id)
	}
	if err != nil {
		return client.Retried{}, err
	}
	n, err := c.Service.Retry(ctx, id, p.Body.Step, c.By())
	return client.Retried{Steps: n}, err
}

// skipStep takes two persons: who steers asks, and who approves attests. Either
// permission opens the route; which of them is needed hangs on what was asked.
func skipStep(ctx context.Context, c *Call, p *client.SkipParams) (client.Skipped, error) {
	id, err := c.changing(ctx, p.OperationChange)
	if err == nil {
		err = c.harmlessSteer(ctx, id)
	}
	if err != nil {
		return client.Skipped{}, err
	}
	attested, err := c.Service.SkipAs(ctx, c.Caller, id, p.Body.Step, p.Body.Reason)
	return client.Skipped{Step: p.Body.Step, Attested: attested}, err
}

func outputs(claim bool) func(context.Context, *Call, *client.OperationParams) (client.Page[client.Output], error) {
	return func(ctx context.Context, c *Call, p *client.OperationParams) (client.Page[client.Output], error) {
		id, err := tenure.ParseID[tenure.OperationID](p.Operation)
		if err != nil {
			return client.Page[client.Output]{}, err
		}
		list, err := c.Service.Outputs(ctx, id, claim, c.By())
		return whole(each(list, func(o lifecycle.Output) client.Output { return client.Output(o) })), err
	}
}
