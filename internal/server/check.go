package server

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
)

func checkSystem(ctx context.Context, c *Call, p *client.CheckSystemParams) (client.SystemCheck, error) {
	seen, err := c.Service.CheckSystem(ctx, p.System, p.Body.Blueprint, []byte(p.Body.Source), p.Body.File)
	out := client.SystemCheck{
		Identity: string(seen.Identity), Stranger: seen.Stranger, Untold: seen.Untold,
		System: p.System, Connector: seen.Connector, Checked: seen.Checked, Role: seen.Role, Version: seen.Version, Notes: seen.Notes,
		Rights: each(seen.Rights, func(r connector.Right) client.SystemRight {
			return client.SystemRight{Name: r.Name, State: string(r.State), For: r.For, Fix: r.Fix}
		}),
	}
	has := func(state connector.RightState) bool {
		return slices.ContainsFunc(seen.Rights, func(r connector.Right) bool { return r.State == state })
	}
	out.Enough, out.Beyond = "yes", "no"
	if has(connector.RightMissing) {
		out.Enough = "no"
	}
	switch {
	case has(connector.RightBeyond):
		out.Beyond = "yes"
	case seen.Untold != "" || !seen.Checked:
		out.Beyond = "untold"
	}
	if !seen.Checked {
		out.Enough, out.Untold = "untold", "its connector has nothing to check"
	}
	return out, err
}
