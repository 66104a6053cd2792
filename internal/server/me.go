package server

import (
	"context"

	"github.com/tenurehq/tenure/client"
)

func meRoutes(s *Server) {
	route(s, client.ShowMe, Access{Reach: Signed}, showMe)
}

func showMe(_ context.Context, c *Call, _ *client.None) (client.Me, error) {
	w := c.Caller
	return client.Me{Principal: w.Principal, Name: w.Name, Kind: w.Kind, Strong: w.Strong, Grants: w.Grants, Limit: w.Limit, Only: w.Only}, nil
}
