package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func systemRoutes(s *Server) {
	created(s, client.AddSystem, Access{tenure.SystemManage, Installation}, addSystem)
	route(s, client.ListSystems, Access{tenure.SystemRead, Anywhere}, listSystems)
	route(s, client.CheckSystem, Access{tenure.SystemRead, Installation}, checkSystem)
	route(s, client.RotateSystem, Access{tenure.SystemManage, Installation}, rotateSystem)
	route(s, client.ScanSystem, Access{tenure.SystemManage, Installation}, scanSystem)
	route(s, client.ScaffoldBlueprint, Access{tenure.SystemManage, Installation}, scaffoldBlueprint)
}

func addSystem(ctx context.Context, c *Call, p *client.AddSystemParams) (client.System, error) {
	row, err := c.Service.AddSystem(ctx, p.Body.Name, p.Body.Replace, c.By())
	return client.System(row), err
}

func rotateSystem(ctx context.Context, c *Call, p *client.RotateSystemParams) (client.SystemRotation, error) {
	changed, err := c.Service.RotateSystem(ctx, p.System, c.By())
	return client.SystemRotation{System: p.System, Changed: changed}, err
}

func listSystems(ctx context.Context, c *Call, _ *client.None) (client.Page[client.SystemStatus], error) {
	list, err := c.Service.Systems(ctx)
	return whole(each(list, func(s lifecycle.SystemStatus) client.SystemStatus {
		return client.SystemStatus{System: client.System(s.System), Well: s.Well, Reason: s.Why, Limit: s.Limit}
	})), err
}
