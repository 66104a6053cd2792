package memory

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func absent(r connector.Ref) error {
	return tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
}

func can(r connector.Ref, call string, types ...string) error {
	for _, t := range types {
		if t == r.Type {
			return nil
		}
	}
	return tenure.Errorf(tenure.Invalid, "a %s can't be used with %s", r.Type, call)
}

// access are the types whose access can be cut.
var access = []string{"api_key", "session", "account", "integration"}

// Suspend puts the thing out of service until Resume.
func (d *Driver) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	if err := can(r, "suspend", access...); err != nil {
		return connector.Receipt{}, err
	}
	return d.change(ctx, "suspend", r, absent(r), func(t *Thing) (bool, error) {
		return move(t, tenure.ResourceSuspended, tenure.ResourcePresent), nil
	})
}

// Resume puts a suspended thing into service again. What was revoked or set
// aside is Conflict.
func (d *Driver) Resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	if err := can(r, "resume", access...); err != nil {
		return connector.Receipt{}, err
	}
	return d.change(ctx, "resume", r, absent(r), func(t *Thing) (bool, error) {
		if t.State == tenure.ResourceRevoked || t.State == tenure.ResourceQuarantined {
			return false, tenure.Errorf(tenure.Conflict, "%s %q is %s and can't be resumed", r.Type, r.Name, t.State)
		}
		return move(t, tenure.ResourcePresent, tenure.ResourceSuspended), nil
	})
}

// Revoke puts the thing out of service for good.
func (d *Driver) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	if err := can(r, "revoke", access...); err != nil {
		return connector.Receipt{}, err
	}
	return d.change(ctx, "revoke", r, nil, func(t *Thing) (bool, error) {
		return move(t, tenure.ResourceRevoked, tenure.ResourcePresent, tenure.ResourceSuspended), nil
	})
}

// Quarantine takes a store out of reach with its rows.
func (d *Driver) Quarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	if err := can(r, "quarantine", "store"); err != nil {
		return connector.Receipt{}, err
	}
	return d.change(ctx, "quarantine", r, nil, func(t *Thing) (bool, error) {
		before := t.State
		changed := move(t, tenure.ResourceQuarantined, tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceRevoked)
		if changed {
			t.Before = before
		}
		return changed, nil
	})
}

// Unquarantine brings a store back into the state that it had.
func (d *Driver) Unquarantine(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	if err := can(r, "unquarantine", "store"); err != nil {
		return connector.Receipt{}, err
	}
	return d.change(ctx, "unquarantine", r, absent(r), func(t *Thing) (bool, error) {
		if t.State != tenure.ResourceQuarantined {
			return false, nil
		}
		t.State, t.Before = t.Before, ""
		return true, nil
	})
}

// move sets a state if the thing is in one of the others.
func move(t *Thing, to tenure.ResourceState, from ...tenure.ResourceState) bool {
	for _, s := range from {
		if t.State == s {
			t.State = to
			return true
		}
	}
	return false
}
