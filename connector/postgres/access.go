package postgres

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// disabler is a kind whose access can be taken off.
type disabler interface {
	disable(ctx context.Context, r connector.Ref, to tenure.ResourceState) (connector.Receipt, error)
	resume(ctx context.Context, r connector.Ref) (connector.Receipt, error)
}

// shelver is a kind that can be set aside.
type shelver interface {
	quarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error)
	unquarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error)
}

// able gives the resource's kind as T, or says that the type can't.
func able[T any](d *Driver, r connector.Ref, call string) (can T, err error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return can, err
	}
	can, ok := k.(T)
	if !ok {
		return can, tenure.Errorf(tenure.Invalid, "a %s can't %s", r.Type, call)
	}
	_, err = k.Normalise(connector.Desired{Ref: r})
	return can, err
}

// Suspend is described at connector.Suspender. A role's sessions end too.
func (d *Driver) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := able[disabler](d, r, "be suspended")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.disable(ctx, r, tenure.ResourceSuspended)
	return rec, coded(err)
}

// Resume is described at connector.Suspender.
func (d *Driver) Resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := able[disabler](d, r, "be resumed")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.resume(ctx, r)
	return rec, coded(err)
}

// Revoke is described at connector.Revoker. A role loses its password.
func (d *Driver) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := able[disabler](d, r, "be revoked")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.disable(ctx, r, tenure.ResourceRevoked)
	return rec, coded(err)
}

// Quarantine is described at connector.Quarantiner: a reserved name, no rights
// for anybody else, and for a database no connections.
func (d *Driver) Quarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := able[shelver](d, r, "be quarantined")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.quarantine(ctx, r)
	return rec, coded(err)
}

// Unquarantine is described at connector.Quarantiner.
func (d *Driver) Unquarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := able[shelver](d, r, "be brought back")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.unquarantine(ctx, r)
	return rec, coded(err)
}
