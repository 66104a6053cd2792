package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/clock"
)

func clockRoutes(s *Server) {
	route(s, client.ShowClock, Access{tenure.SystemRead, Anywhere}, showClock)
	route(s, client.ConfirmTime, Access{tenure.ClockConfirm, Installation}, confirmTime)
}

func showClock(_ context.Context, c *Call, _ *client.None) (client.ServerClock, error) {
	at := c.Service.Clock()
	out := client.ServerClock{At: c.Service.Now().Truncate(time.Second)}
	_, out.Virtual = at.(clock.Virtual)
	if d := at.Doubt(); d != nil {
		out.Doubt = &client.ClockDoubt{Kind: string(d.Kind), Reason: d.String(), WasAt: d.Was, NowAt: d.Is}
	}
	return out, nil
}

func confirmTime(ctx context.Context, c *Call, p *client.ConfirmTimeParams) (client.ServerClock, error) {
	if _, err := c.Service.ConfirmTime(ctx, p.Body.At, c.By()); err != nil {
		return client.ServerClock{}, err
	}
	return showClock(ctx, c, nil)
}
