// Package sqlite connects Tenure to SQLite: a database file for each tenant and
// environment in one folder, and tenants' rows in a platform's shared database.
//
// The folder holds NAME.db for each database, .tenure with what Tenure keeps
// there, and .quarantine with what is set aside. Names are escaped as in URLs
// where a file name can't hold them.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// Info describes the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "sqlite",
		Version: "1",
		Summary: "SQLite: a database file for each tenant, and rows in a shared database",
		Options: []connector.Option{
			{Name: "dir", Help: "folder with one database file for each tenant and environment; nothing else belongs there", Required: true},
			{Name: "shared", Help: "the platform's shared database file, for rows and records; outside of dir"},
		},
		Types: types(),
		Probes: []connector.ProbeKind{
			{Name: "reachable", Help: "the database file opens and its integrity check is clean", Types: []string{"database"}},
			{Name: "isolation", Help: "the file is a file of its own, not a link to another, and no other tenant's file says that it is this tenant's", Types: []string{"database"}},
			{Name: "exposure", Help: "neither the folder nor the file can be read by the group or by others", Types: []string{"database"}},
			{Name: "encryption", Help: "SQLite has no connection to encrypt, and can't say whether its disk is"},
			{Name: "sql", Help: "params query, expect (rows, no-rows or value) and value: a query that must answer so; it runs read-only"},
		},
		Open:   open,
		Review: review,
	}
}

// Driver is one opened folder, with or without a shared database.
type Driver struct {
	dir    string
	path   string // of the shared database, "" for none
	shared *sql.DB
	reader *sql.DB
	marker connector.Marker
	system string
	clock  func() time.Time

	records relational.Records
}

var (
	_ connector.Driver      = (*Driver)(nil)
	_ connector.Suspender   = (*Driver)(nil)
	_ connector.Revoker     = (*Driver)(nil)
	_ connector.Quarantiner = (*Driver)(nil)
	_ connector.Exporter    = (*Driver)(nil)
	_ connector.Eraser      = (*Driver)(nil)
	_ connector.Mapper      = (*Driver)(nil)
	_ connector.Prober      = (*Driver)(nil)
)

var marks = relational.Marks{Table: "tenure_mark"}

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	d := &Driver{marker: c.Marker, system: c.System, clock: c.Now}
	if d.clock == nil {
		d.clock = time.Now
	}
	var err error
	if d.dir, err = absolute("dir", c.Option("dir")); err != nil {
		return nil, err
	}
	if c.Option("shared") == "" {
		return d, nil
	}
	if d.path, err = absolute("shared", c.Option("shared")); err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(d.dir, d.path); err == nil && !strings.HasPrefix(rel, "..") {
		return nil, tenure.Errorf(tenure.Invalid, "the shared database must lie outside of the folder dir")
	}
	if d.shared, err = handle(d.path, "rw"); err != nil {
		return nil, err
	}
	if d.reader, err = handle(d.path, "ro"); err != nil {
		return nil, err
	}
	d.records = relational.Records{Dialect: dialect{}, Marks: marks, Marker: c.Marker}
	return d, nil
}

func absolute(option, path string) (string, error) {
	if strings.TrimSpace(path) == "" {
		return "", tenure.Errorf(tenure.Invalid, "the option %s is missing", option)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", tenure.Errorf(tenure.Invalid, "the option %s: %w", option, err)
	}
	return abs, nil
}

// Close closes the shared database.
func (d *Driver) Close() error {
	for _, db := range []*sql.DB{d.shared, d.reader} {
		if db != nil {
			if err := db.Close(); err != nil {
				return coded(err)
			}
		}
	}
	return nil
}

// kind is the code for one resource type.
type kind interface {
	normalise(d connector.Desired) (json.RawMessage, error)
	ensure(ctx context.Context, d connector.Desired) (connector.Receipt, error)
	observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (whole bool, err error)
	remove(ctx context.Context, r connector.Ref) (connector.Receipt, error)
	discover(ctx context.Context, typ string, tenant tenure.TenantID, yield func(connector.Observed) error) (whole bool, err error)
}

func (d *Driver) kind(typ string) (kind, error) {
	switch {
	case typ == "database":
		return databases{d}, nil
	case typ == "rows" && d.shared != nil:
		return pools{d}, nil
	case relational.IsRecord(typ) && d.shared != nil:
		return rowRecords{d}, nil
	case typ == "rows" || relational.IsRecord(typ):
		return nil, tenure.Errorf(tenure.Invalid, "a %s needs the option shared", typ)
	}
	return nil, tenure.Errorf(tenure.Invalid, "sqlite has no resource type %q", typ)
}

// Normalise is described at connector.Driver.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	k, err := d.kind(want.Type)
	if err != nil {
		return nil, err
	}
	return k.normalise(want)
}

// Ensure is described at connector.Driver. A database file is made under
// another name and linked to its own when it is whole.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	k, err := d.kind(want.Type)
	if err != nil {
		return o, rec, err
	}
	if _, err := k.normalise(want); err != nil {
		return o, rec, err
	}
	if err := alive(ctx); err != nil {
		return o, rec, err
	}
	if rec, err = k.ensure(ctx, want); err != nil {
		return o, rec, coded(err)
	}
	_, err = k.observe(ctx, []connector.Ref{want.Ref}, func(seen connector.Observed) error {
		o = seen
		return nil
	})
	return o, rec, coded(err)
}

func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return coded(err)
	}
	return nil
}

// Observe is described at connector.Driver. The sentinels are read first.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	g, err := d.sight(ctx)
	if err != nil {
		return g, err
	}
	byType := map[string][]connector.Ref{}
	for _, r := range refs {
		byType[r.Type] = append(byType[r.Type], r)
	}
	for _, t := range types() {
		if len(byType[t.Name]) == 0 {
			continue
		}
		k, err := d.kind(t.Name)
		if err != nil {
			return g, err
		}
		whole, err := k.observe(ctx, byType[t.Name], func(o connector.Observed) error { return stop(yield(o)) })
		if err != nil {
			return g, coded(err)
		}
		g.Complete = g.Complete && whole
	}
	return g, nil
}

// Discover is described at connector.Driver.
func (d *Driver) Discover(ctx context.Context, sc connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	g, err := d.sight(ctx)
	if err != nil {
		return g, err
	}
	for _, t := range types() {
		if len(sc.Types) > 0 && !slices.Contains(sc.Types, t.Name) || t.Name != "database" && !d.planted(ctx) {
			continue
		}
		k, err := d.kind(t.Name)
		if err != nil {
			return g, err
		}
		whole, err := k.discover(ctx, t.Name, sc.Tenant, func(o connector.Observed) error { return stop(yield(o)) })
		if err != nil {
			return g, coded(err)
		}
		g.Complete = g.Complete && whole
	}
	return g, nil
}

// Delete is described at connector.Driver.
func (d *Driver) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return connector.Receipt{}, err
	}
	if err := alive(ctx); err != nil {
		return connector.Receipt{}, err
	}
	rec, err := k.remove(ctx, r)
	return rec, coded(err)
}

// planted says whether the shared database is there with Tenure's tables in it.
func (d *Driver) planted(ctx context.Context) bool {
	if d.shared == nil {
		return false
	}
	if _, err := os.Stat(d.path); err != nil {
		return false
	}
	found, err := textsOf(ctx, d.reader, "select name from sqlite_schema where type = 'table' and name = 'tenure_mark'")
	return err == nil && len(found) == 1
}
