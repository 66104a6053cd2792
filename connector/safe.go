package connector

import (
	"context"

	"github.com/tenurehq/tenure"
)

// Issued is what a system made for a resource and tells only once.
type Issued struct {
	Credential tenure.Secret // handed over to the tenant; zero if there is none
	Note       tenure.Secret // what the connector needs to find and manage the thing again
}

// IsZero says whether nothing was issued.
func (i Issued) IsZero() bool { return i.Credential.IsZero() && i.Note.IsZero() }

// Safe keeps what a system issued, sealed: under the tenant's key until the resource is
// gone; what is kept for no resource, the sentinel's, under the installation's.
type Safe interface {
	// Keep replaces what is kept for a resource. It has been stored when the call returns.
	// A credential that isn't the one that was kept before can be claimed anew.
	Keep(ctx context.Context, r Ref, i Issued) error

	// Kept is what is kept for a resource, and the zero Issued if nothing is. Where the key
	// was destroyed it is NotFound.
	Kept(ctx context.Context, id tenure.ResourceID) (Issued, error)

	// Each yields all that is kept for the system's resources, the sentinel's aside.
	Each(ctx context.Context, yield func(tenure.ResourceID, Issued) error) error
}
