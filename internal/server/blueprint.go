package server

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func blueprintRoutes(s *Server) {
	route(s, client.ListBlueprints, Access{tenure.BlueprintRead, Anywhere}, listBlueprints)
	created(s, client.SubmitBlueprint, Access{tenure.BlueprintWrite, Anywhere}, submitBlueprint)
	route(s, client.ShowBlueprint, Access{tenure.BlueprintRead, Anywhere}, showBlueprint)
	route(s, client.PublishBlueprint, Access{tenure.BlueprintPublish, Anywhere}, publishBlueprint)
	route(s, client.ListFaultyBlueprints, Access{tenure.BlueprintRead, Anywhere}, listFaultyBlueprints)
	route(s, client.DiffBlueprints, Access{tenure.BlueprintRead, Anywhere}, diffBlueprints)
}

func blueprintOf(b store.Blueprint) client.Blueprint {
	return client.Blueprint{BlueprintRef: b.BlueprintRef, CreatedBy: b.Author, CreatedAt: b.CreatedAt, PublishedBy: b.PublishedBy, PublishedAt: b.PublishedAt, Says: b.Says}
}

func listBlueprints(ctx context.Context, c *Call, p *client.BlueprintFilter) (client.Page[client.Blueprint], error) {
	rows, err := c.Service.Blueprints(ctx)
	if err != nil {
		return client.Page[client.Blueprint]{}, err
	}
	if p.Name != "" && !slices.ContainsFunc(rows, func(b store.Blueprint) bool { return b.Name == p.Name }) {
		return client.Page[client.Blueprint]{}, unknown("blueprint", p.Name)
	}
	var list []client.Blueprint
	for _, b := range rows {
		if (p.Name == "" || p.Name == b.Name) && (!p.Published || b.Published()) {
			list = append(list, blueprintOf(b))
		}
	}
	return pageInOrder(c, list, p.Paging, func(b client.Blueprint) string { return b.Digest })
}

func submitBlueprint(ctx context.Context, c *Call, p *client.SourceParams) (client.Blueprint, error) {
	b, err := c.Service.SubmitBlueprint(ctx, []byte(p.Body.Source), p.Body.File, c.By())
	if err == nil {
		c.Location("/v1/blueprints/" + b.Digest)
	}
	return blueprintOf(b), err
}

func showBlueprint(ctx context.Context, c *Call, p *client.BlueprintParams) (client.Blueprint, error) {
	b, err := c.Service.Blueprint(ctx, p.Blueprint)
	out := blueprintOf(b)
	out.Body = b.Body
	return out, err
}

func publishBlueprint(ctx context.Context, c *Call, p *client.PublishParams) (client.Blueprint, error) {
	ref := p.Blueprint
	if p.Signs() != "" {
		b, err := c.Service.Blueprint(ctx, ref)
		if err == nil {
			err = isRead(p.Signs(), b.Digest)
		}
		if err != nil {
			return client.Blueprint{}, err
		}
		ref = b.Digest
	}
	b, err := c.Service.PublishBlueprint(ctx, ref, c.By())
	return blueprintOf(b), err
}

func diffBlueprints(ctx context.Context, c *Call, p *client.DiffParams) (client.Page[tenure.Difference], error) {
	list, err := c.Service.DiffBlueprints(ctx, p.Blueprint, p.To)
	return whole(list), err
}

func listFaultyBlueprints(ctx context.Context, c *Call, p *client.Paging) (client.Page[client.FaultyBlueprint], error) {
	faulty, err := c.Service.FaultyBlueprints(ctx)
	if err != nil {
		return client.Page[client.FaultyBlueprint]{}, err
	}
	list := make([]client.FaultyBlueprint, len(faulty))
	for i, f := range faulty {
		list[i].BlueprintRef = f.BlueprintRef
		for _, u := range f.Unbound {
			list[i].Faults = append(list[i].Faults, client.BlueprintFault{Path: u.Path, Line: u.Line, Expression: u.Expression, Reason: u.Message, Hint: u.Hint})
		}
		if f.Err != nil {
			list[i].Faults = []client.BlueprintFault{{Reason: f.Err.Error()}}
		}
	}
	return pageInOrder(c, list, *p, func(f client.FaultyBlueprint) string { return f.Digest })
}
