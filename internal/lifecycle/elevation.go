package lifecycle

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

// System gives an added system, opening it at its first use, for who looks at it
// beside operations. It lives as long as the service.
func (s *Service) System(ctx context.Context, name string) (*connector.System, error) {
	return s.system(context.WithoutCancel(ctx), name)
}
