package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func checklistRoutes(s *Server) {
	route(s, client.ListChecklist, Access{tenure.TenantRead, OfOperation}, func(ctx context.Context, c *Call, p *client.OperationParams) (client.Page[client.ChecklistItem], error) {
		id, err := tenure.ParseID[tenure.OperationID](p.Operation)
		if err != nil {
			return client.Page[client.ChecklistItem]{}, err
		}
		list, err := c.Service.Checklist(ctx, id)
		now := c.Service.Now()
		out := []client.ChecklistItem{}
		for _, it := range list {
			out = append(out, client.ChecklistItem{
				Item: it.Item, Task: it.Text, Artifact: it.Artifact, Where: it.Where, To: it.To, Archive: it.Archive, Planned: it.Step != "", Owner: it.Owner, DueAt: it.DueAt, Overdue: it.Overdue(now), Waiting: it.Waiting, Another: it.Another,
				State: it.State, AddedBy: it.AddedBy, AddedAt: it.AddedAt, EndedBy: it.EndedBy, EndedAt: it.EndedAt, Note: it.Note, Outcome: it.Handed.Outcome, Destination: it.Handed.Destination,
			})
		}
		return whole(out), err
	})
	steer := Access{tenure.OperationSteer, OfOperation}
	route(s, client.AddTask, steer, func(ctx context.Context, c *Call, p *client.AddTaskParams) (client.ChecklistAnswer, error) {
		return onChecklist(ctx, c, p.OperationChange, func(id tenure.OperationID) (tenure.Task, error) {
			switch b := &p.Body; {
			case b.Artifact:
				return c.Service.AddArtifact(ctx, id, b.Task, b.Where, b.Owner, b.DueAt, c.By())
			case b.Where != "":
				return tenure.Task{}, tenure.Errorf(tenure.Invalid, "a location is of an artifact alone").WithHint("say that it is one: artifact")
			}
			return c.Service.AddTask(ctx, id, p.Body.Task, p.Body.Owner, p.Body.DueAt, c.By())
		})
	})
	route(s, client.ChangeTask, steer, func(ctx context.Context, c *Call, p *client.ChangeTaskParams) (client.ChecklistAnswer, error) {
		return onChecklist(ctx, c, p.OperationChange, func(id tenure.OperationID) (tenure.Task, error) {
			return c.Service.ChangeTask(ctx, id, p.Body.Item, p.Body.Owner, p.Body.DueAt, c.By())
		})
	})
	route(s, client.DropTask, steer, func(ctx context.Context, c *Call, p *client.DropTaskParams) (client.ChecklistAnswer, error) {
		return onChecklist(ctx, c, p.OperationChange, func(id tenure.OperationID) (tenure.Task, error) {
			return c.Service.EndTask(ctx, id, p.Body.Item, p.Body.Reason, c.By(), true)
		})
	})
}

func onChecklist(ctx context.Context, c *Call, p client.OperationChange, do func(tenure.OperationID) (tenure.Task, error)) (client.ChecklistAnswer, error) {
	id, err := c.changing(ctx, p)
	if err == nil {
		err = c.harmlessSteer(ctx, id)
	}
	if err != nil {
		return client.ChecklistAnswer{}, err
	}
	t, err := do(id)
	if t.Step != "" {
		return client.ChecklistAnswer{Item: t.Step}, err
	}
	return client.ChecklistAnswer{Item: string(t.ID)}, err
}
