package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Quarantine moves a bucket into Tenure's own folder and takes every
// permission off it.
func (d *Driver) Quarantine(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	err = d.onBucket(ctx, "quarantine", ref, nil, func(r *os.Root, p place) error {
		if !p.quarantined {
			rec.Changed = true
			if p, err = d.setAside(ctx, r, p); err != nil {
				return err
			}
		}
		if p.info.Mode().Perm() == 0 {
			return nil
		}
		rec.Changed = true
		return r.Chmod(p.path, 0)
	})
	return rec, err
}

func (d *Driver) setAside(ctx context.Context, r *os.Root, p place) (place, error) {
	metrics, _, err := measure(ctx, r, p, p.rec.Attributes)
	if err != nil {
		return p, err
	}
	p.rec.Quarantine = &census{Objects: metrics["objects"], Bytes: metrics["bytes"]}
	if err := d.keep(r, p.rec); err != nil {
		return p, err
	}
	to := path.Join(quarantineDir, p.rec.Type, p.rec.Name)
	err = move(r, p.path, to)
	p.path, p.quarantined = to, true
	return p, err
}

// Unquarantine brings a bucket back under its name with the owner's
// permissions alone.
func (d *Driver) Unquarantine(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	absent := tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
	err = d.onBucket(ctx, "unquarantine", ref, absent, func(r *os.Root, p place) error {
		if p.quarantined {
			rec.Changed = true
			to := path.Join(ref.Type, ref.Name)
			if _, err := r.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
				return errors.Join(err, tenure.Errorf(tenure.Conflict, "%s %q can't be brought back: its name is taken", ref.Type, ref.Name))
			}
			if err := errors.Join(r.Chmod(p.path, 0o700), move(r, p.path, to)); err != nil {
				return err
			}
		}
		if p.rec.Quarantine == nil {
			return nil
		}
		p.rec.Quarantine = nil
		return d.keep(r, p.rec)
	})
	return rec, err
}

// move renames so that it lasts.
func move(r *os.Root, from, to string) error {
	if err := r.Rename(from, to); err != nil {
		return err
	}
	return errors.Join(syncDir(r, path.Dir(to)), syncDir(r, path.Dir(from)))
}

// onBucket runs f on a bucket of ours; absent is the answer if there is none.
func (d *Driver) onBucket(ctx context.Context, call string, ref connector.Ref, absent error, f func(*os.Root, place) error) error {
	if ref.Type != bucket {
		return tenure.Errorf(tenure.Invalid, "a %s can't be used with %s", ref.Type, call)
	}
	if checkName(ref.Name) != nil {
		return absent
	}
	defer d.turns.Take(ref.Type, ref.Name)()
	return d.with(ctx, call+" "+ref.Type, func(r *os.Root) error {
		p, err := d.owned(r, ref)
		if err != nil {
			return err
		}
		if !p.found() {
			return absent
		}
		return f(r, p)
	})
}
