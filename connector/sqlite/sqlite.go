// Package sqlite connects Tenure to a platform that keeps SQLite databases: a
// folder with one database file for each tenant and environment, and, where
// there is one, a database file that all tenants share.
//
// What Tenure keeps for itself is in DIR/.tenure and in the tables tenure_mark,
// tenure_sentinel, tenure_tally and tenure_parent. A tenant's file is DIR/NAME.db, and
// its owner mark stands in DIR/.tenure/marks, where no tenant can write. No symbolic link is ever followed.
package sqlite

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/connector/sqltext"
)

// Info describes the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "sqlite",
		Version: "1",
		Summary: "SQLite: a database file for each tenant and environment, and rows in a file that tenants share",
		Options: []connector.Option{
			{Name: "dir", Help: "folder with the tenants' database files; adding the system creates it if its parent is there", Required: true},
			{Name: "shared", Help: "the platform's database file, which all tenants share; without it there are no rows, accounts, keys and settings"},
			{Name: "timeout", Help: "how long a locked database is waited for", Default: "5s"},
			{Name: "limit", Help: "how long one call may be at work in a tenant's own file, and a second more for each MiB of it", Default: "2m"},
		},
		Types:  types(),
		Probes: probes(), Remnants: leftovers,
		Open:   open,
		Review: review,
		Check:  relational.Faults,
		SQL:    sqltext.SQLite().Read,
	}
}

// Driver is one folder and one shared file.
type Driver struct {
	dir     string // absolute
	shared  string // absolute; "" for none
	timeout time.Duration
	limit   time.Duration // in a tenant's own file
	marker  connector.Marker
	now     func() time.Time
	records relational.Records
	locks   [64]sync.Mutex // by name, against two calls on one file

	mu     sync.Mutex
	shapes map[string]shape // by ddl
}

var (
	_ connector.Driver      = (*Driver)(nil)
	_ connector.Adopter     = (*Driver)(nil)
	_ connector.Suspender   = (*Driver)(nil)
	_ connector.Revoker     = (*Driver)(nil)
	_ connector.Quarantiner = (*Driver)(nil)
	_ connector.Exporter    = (*Driver)(nil)
	_ connector.Eraser      = (*Driver)(nil)
	_ connector.Tallier     = (*Driver)(nil)
	_ connector.Mapper      = (*Driver)(nil)
	_ connector.Prober      = (*Driver)(nil)
)

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	d := &Driver{marker: c.Marker, now: c.Now, timeout: 5 * time.Second, limit: 2 * time.Minute, shapes: map[string]shape{}}
	if d.now == nil {
		d.now = time.Now
	}
	if c.Option("dir") == "" {
		return nil, tenure.Errorf(tenure.Invalid, "a sqlite system needs the option dir")
	}
	for option, into := range map[string]*string{"dir": &d.dir, "shared": &d.shared} {
		text := c.Option(option)
		if text == "" {
			continue
		}
		abs, err := filepath.Abs(text)
		if err != nil || relational.CheckName("the option "+option, text, 4096) != nil {
			return nil, tenure.Errorf(tenure.Invalid, "the option %s can't be used as a path", option)
		}
		*into = abs
	}
	if d.shared != "" && filepath.Dir(d.shared) == d.dir {
		return nil, tenure.Errorf(tenure.Invalid, "the option shared names a file in the folder of the tenants' files").WithHint("keep it outside")
	}
	for option, into := range map[string]*time.Duration{"timeout": &d.timeout, "limit": &d.limit} {
		text := c.Option(option)
		if text == "" {
			continue
		}
		var err error
		if *into, err = time.ParseDuration(text); err != nil || *into < 0 || *into > time.Hour {
			return nil, tenure.Errorf(tenure.Invalid, "the option %s must be a duration such as 5s, up to 1h", option)
		}
	}
	d.records = relational.Records{Dialect: dialect{}, Marks: marks, Marker: c.Marker}
	return d, nil
}

// Close has nothing to let go of: each call opens its file anew, so one that
// was replaced or mounted again is seen as it is.
func (d *Driver) Close() error { return nil }

// A kind is the code for one resource type.
type kind interface {
	normalise(d connector.Desired) (json.RawMessage, error)
	ensure(ctx context.Context, d connector.Desired) (connector.Observed, connector.Receipt, error)
	// observe and discover are given the session on the shared file that holds
	// the pass's snapshot; nil if there is no such file.
	observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (whole bool, err error)
	discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (whole bool, err error)
	remove(ctx context.Context, r connector.Ref) (connector.Receipt, error)
	adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (connector.Receipt, error)
}

func (d *Driver) kind(typ string) (kind, error) {
	switch {
	case typ == "database":
		return databases{d}, nil
	case typ != "rows" && !relational.IsRecord(typ):
		return nil, tenure.Errorf(tenure.Invalid, "sqlite has no resource type %q", typ)
	case d.shared == "":
		return nil, tenure.Errorf(tenure.Invalid, "a %s stands in the platform's database, and the option shared doesn't name one", typ)
	case typ == "rows":
		return pools{Driver: d}, nil
	}
	return rowRecords{d, typ}, nil
}

// Normalise is described at connector.Driver. A database's schema is what its
// ddl gives when it is run in an empty database.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	k, err := d.kind(want.Type)
	if err != nil {
		return nil, err
	}
	raw, err := k.normalise(want)
	return raw, coded(err)
}

// Ensure is described at connector.Driver. A file is made under another name,
// and marked, and gets its own name when it is whole.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (connector.Observed, connector.Receipt, error) {
	k, err := d.kind(want.Type)
	if err != nil {
		return connector.Observed{}, connector.Receipt{}, err
	}
	if _, err := k.normalise(want); err != nil {
		return connector.Observed{}, connector.Receipt{}, coded(err)
	}
	o, rec, err := k.ensure(ctx, want)
	return o, rec, coded(err)
}

// Observe is described at connector.Driver: one snapshot of the shared file for
// all that is in it; tenants' files are read one by one.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	byType := map[string][]connector.Ref{}
	var order []string
	for _, r := range refs {
		if byType[r.Type] == nil {
			order = append(order, r.Type)
		}
		byType[r.Type] = append(byType[r.Type], r)
	}
	slices.Sort(order)
	return d.look(ctx, func(s *session) (bool, error) {
		all := true
		for _, typ := range order {
			k, err := d.kind(typ)
			if err != nil {
				return false, err
			}
			whole, err := k.observe(ctx, s, byType[typ], func(o connector.Observed) error { return stop(yield(o)) })
			if err != nil {
				return false, err
			}
			all = all && whole
		}
		return all, nil
	})
}

// Discover is described at connector.Driver.
func (d *Driver) Discover(ctx context.Context, sc connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	return d.look(ctx, func(s *session) (bool, error) {
		all := true
		for _, t := range types() { // ordered by name
			if s == nil && t.Name != "database" || len(sc.Types) > 0 && !slices.Contains(sc.Types, t.Name) {
				continue
			}
			k, err := d.kind(t.Name)
			if err != nil {
				return false, err
			}
			whole, err := k.discover(ctx, s, sc, func(o connector.Observed) error { return stop(yield(o)) })
			if err != nil {
				return false, err
			}
			all = all && whole
		}
		return all, nil
	})
}

// Delete is described at connector.Driver.
func (d *Driver) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.remove(ctx, r)
	return rec, coded(err)
}
