package filesystem

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.ExpiryLister = (*Driver)(nil)

// Expiries is described at connector.ExpiryLister. Tenure removes copies by their dates itself, and
// doesn't while a hold covers them; who else rotates them can't be seen, and is said.
func (d *Driver) Expiries(_ context.Context, r connector.Ref, _ []connector.Kept, _ []connector.Stalled) ([]connector.Stalled, error) {
	if r.Type != backups {
		return nil, nil
	}
	return []connector.Stalled{{Rule: "rotation of " + r.Name, Says: "whoever makes these backups may also delete them by their age, which Tenure can't see or suspend"}}, nil
}
