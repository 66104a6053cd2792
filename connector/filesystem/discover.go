package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Discover yields everything in the folders of the types and in quarantine,
// whatever its name.
func (d *Driver) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (g connector.Sighting, err error) {
	var stop error
	err = d.with(ctx, "discover", func(r *os.Root) error {
		if g, err = sight(r); err != nil {
			return err
		}
		for _, typ := range []string{backups, bucket, document} {
			if len(s.Types) > 0 && !slices.Contains(s.Types, typ) {
				continue
			}
			whole, err := d.discover(ctx, r, typ, s.Tenant, func(o connector.Observed) error {
				stop = yield(o)
				return stop
			})
			g.Complete = g.Complete && whole
			if err != nil {
				return err
			}
		}
		return nil
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// entry is one thing to be looked at.
type entry struct {
	name  string
	aside bool
}

func (d *Driver) discover(ctx context.Context, r *os.Root, typ string, tenant tenure.TenantID, yield func(connector.Observed) error) (whole bool, err error) {
	live, whole, err := names(r, typ)
	if err != nil {
		return false, err
	}
	aside, sure, err := names(r, path.Join(quarantineDir, typ))
	if err != nil {
		return false, err
	}
	whole = whole && sure
	var all []entry
	for _, n := range live {
		all = append(all, entry{n, false})
	}
	for _, n := range aside {
		all = append(all, entry{n, true})
	}
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for _, e := range all {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		o, of, err := d.entry(ctx, r, typ, e)
		if errors.Is(err, fs.ErrPermission) {
			whole = false
		} else if err != nil {
			return false, err
		}
		if !o.Found || tenant != "" && of != "" && of != tenant {
			continue
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return whole, nil
}

// entry is what one directory entry is. One that isn't there any more isn't
// found.
func (d *Driver) entry(ctx context.Context, r *os.Root, typ string, e entry) (o connector.Observed, of tenure.TenantID, err error) {
	var rec *record
	broken := false
	if checkName(e.name) == nil {
		if rec, broken, err = readRecord(r, typ, e.name); err != nil {
			return o, "", err
		}
	}
	at := path.Join(typ, e.name)
	if e.aside {
		at = path.Join(quarantineDir, typ, e.name)
	}
	p, err := d.at(r, at, rec, broken)
	if err != nil || !p.found() {
		return o, "", err
	}
	p.quarantined = e.aside
	if p.rec != nil {
		of = p.rec.Tenant
	}
	o, err = d.describe(ctx, r, connector.Ref{Type: typ, Name: e.name}, p)
	return o, of, err
}

// names lists a directory; one that is away or closed isn't whole.
func names(r *os.Root, dir string) (list []string, whole bool, err error) {
	f, err := r.Open(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	list, err = f.Readdirnames(-1)
	return list, true, errors.Join(err, f.Close())
}
