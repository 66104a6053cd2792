package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/guard"
)

func policyRoutes(s *Server) {
	route(s, client.ListPolicies, Access{tenure.AccessRead, Installation}, func(_ context.Context, c *Call, _ *client.None) ([]client.Policy, error) {
		return each(c.Governor.Policies(), func(p guard.Policy) client.Policy { return client.Policy(p) }), nil
	})
}
