package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func storeRoutes(s *Server) {
	route(s, client.ShowStore, Access{tenure.SystemRead, Anywhere}, showStore)
	route(s, client.ConfirmStore, Access{tenure.StoreConfirm, Installation}, confirmStore)
}

func showStore(_ context.Context, c *Call, _ *client.None) (client.Store, error) {
	out := client.Store{Doubts: []client.StoreDoubt{}}
	for _, d := range c.Service.StoreDoubts() {
		out.Doubts = append(out.Doubts, client.StoreDoubt{About: d.About, Reason: d.Reason, ConfirmedBy: append([]string{}, d.ConfirmedBy...), Need: lifecycle.StoreConfirmers})
	}
	return out, nil
}

func confirmStore(ctx context.Context, c *Call, p *client.ConfirmStoreParams) (client.Store, error) {
	if err := c.Service.ConfirmStore(ctx, p.Body.Reason, c.By()); err != nil {
		return client.Store{}, err
	}
	return showStore(ctx, c, nil)
}
