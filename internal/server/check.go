package server

import (
	"context"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
)

func checkSystem(ctx context.Context, c *Call, p *client.CheckSystemParams) (client.SystemCheck, error) {
	seen, err := c.Service.CheckSystem(ctx, p.System, p.Body.Blueprint, []byte(p.Body.Source), p.Body.File)
	return client.SystemCheck{
		System: p.System, Connector: seen.Connector, Checked: seen.Checked, Role: seen.Role, Version: seen.Version, Notes: seen.Notes,
		Rights: each(seen.Rights, func(r connector.Right) client.SystemRight {
			return client.SystemRight{Name: r.Name, State: string(r.State), For: r.For, Fix: r.Fix}
		}),
	}, err
}
