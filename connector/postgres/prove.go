package postgres

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

// prove tries the erasure on an empty copy.
func prove(ctx context.Context, s *session, of holdingOf, order []string) ([]connector.Place, error) {
	return nil, nil
}
