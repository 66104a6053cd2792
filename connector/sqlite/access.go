package sqlite

import (
	"context"
	"os"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// asideMode are the permissions of a file in quarantine.
const asideMode = 0o400

// record gives the kind of a resource whose access can be taken off.
func (d *Driver) record(r connector.Ref, call string) (k rowRecords, err error) {
	any, err := d.kind(r.Type)
	if err != nil {
		return k, err
	}
	k, ok := any.(rowRecords)
	if !ok {
		return k, tenure.Errorf(tenure.Invalid, "a %s can't be %s", r.Type, call)
	}
	_, err = k.Normalise(connector.Desired{Ref: r})
	return k, err
}

// Suspend is described at connector.Suspender.
func (d *Driver) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := d.record(r, "suspended")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.disable(ctx, r, tenure.ResourceSuspended)
	return rec, coded(err)
}

// Resume is described at connector.Suspender.
func (d *Driver) Resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := d.record(r, "resumed")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.resume(ctx, r)
	return rec, coded(err)
}

// Revoke is described at connector.Revoker. A credential's digest is replaced.
func (d *Driver) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := d.record(r, "revoked")
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.disable(ctx, r, tenure.ResourceRevoked)
	return rec, coded(err)
}

// Quarantine moves a database that nobody has open into Tenure's own folder and
// makes it read-only. Unavailable while the platform still has it open.
func (d *Driver) Quarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = d.onDatabase(ctx, r, func(f *file) error {
		if f == nil {
			return nil
		}
		if !f.aside {
			rec.Changed = true
			to := d.aside(r.Name)
			if err := d.exclusively(ctx, f, func() error { return move(f.path, to) }); err != nil {
				return err
			}
			f.path, f.mode = to, 0
		}
		if f.mode == asideMode {
			return nil
		}
		rec.Changed = true
		return os.Chmod(f.path, asideMode)
	})
	return rec, err
}

// Unquarantine brings a database back under its name.
func (d *Driver) Unquarantine(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = d.onDatabase(ctx, r, func(f *file) error {
		switch {
		case f == nil:
			return tenure.Errorf(tenure.NotFound, "database %q isn't there", r.Name)
		case !f.aside:
			return nil
		}
		rec.Changed = true
		to := d.at(r.Name + suffix)
		if err := os.Chmod(f.path, fileMode); err != nil {
			return err
		}
		if err := move(f.path, to); err != nil {
			return err
		}
		return d.on(ctx, to, writing, func(s *session) error { return s.run(ctx, "pragma journal_mode = wal") })
	})
	return rec, err
}

// onDatabase runs f on r's own file, nil if it is absent.
func (d *Driver) onDatabase(ctx context.Context, r connector.Ref, f func(*file) error) error {
	if r.Type != "database" {
		if _, err := d.kind(r.Type); err != nil {
			return err
		}
		return tenure.Errorf(tenure.Invalid, "a %s can't be set aside", r.Type)
	}
	if err := checkName(r.Name); err != nil {
		return err
	}
	defer d.turns.Take("", r.Name)()
	found, err := d.owned(ctx, r)
	if err != nil {
		return coded(err)
	}
	if found != nil && found.note.Name != r.Name {
		return tenure.Errorf(tenure.Conflict, "database %q is a copy of %q", r.Name, found.note.Name)
	}
	return coded(f(found))
}

func (k databases) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	if err := checkName(r.Name); err != nil {
		return rec, err
	}
	defer k.turns.Take("", r.Name)()
	if err := context.Cause(ctx); err != nil {
		return rec, err
	}
	f, err := k.owned(ctx, r)
	if err != nil {
		return rec, err
	}
	if f == nil {
		err = k.unmark(r)
	} else {
		err = k.exclusively(ctx, f, func() error { return k.unlinkMarked(f.path) })
		rec.Changed, rec.Counts = true, map[string]int64{"bytes": f.size}
	}
	if err != nil {
		return connector.Receipt{}, err
	}
	begun, err := k.dropBegun(r.Resource)
	rec.Changed = rec.Changed || begun
	return rec, err
}
