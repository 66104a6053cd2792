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
		Tested:  connector.Live, How: "against SQLite 3, as this program links it",
		Summary: "SQLite: a database file for each tenant and environment, and rows in a file that tenants share",
		Options: []connector.Option{
			{Name: "dir", Help: "folder with the tenants' database files; adding the system creates it if its parent is there", Required: true},
			{Name: "shared", Help: "the platform's database file, which all tenants share; without it there are no rows, accounts, keys and settings"},
			{Name: "timeout", Help: "how long a locked database is waited for", Default: "5s"},
			{Name: "limit", Help: "how long one call may be at work in a tenant's own file, and a second more for each MiB of it", Default: "2m"},
		},
		Types:  types(),
		Probes: probes(), Remnants: remnants,
		Open:   open,
		Review: review,
		Check:  relational.Faults,
		SQL:    sqltext.SQLite().Read,
	}
}

// Driver is one folder and one shared file.
type Driver struct {
	kinds
	dir     string // absolute
	shared  string // absolute; "" for none
	timeout time.Duration
	limit   time.Duration // in a tenant's own file
	marker  connector.Marker
	now     func() time.Time
	records relational.Records
	turns   connector.Turns // by name, against two calls on one file

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
	d.kinds = kinds{Of: d.kind, Types: d.types, Look: d.look, Coded: coded}
	return d, nil
}

// Close has nothing to let go of: each call opens its file anew, so one that
// was replaced or mounted again is seen as it is.
func (d *Driver) Close() error { return nil }

// kinds carry out the calls, each for one resource type. A database is made under another name, and
// marked, and gets its own name when it is whole. The session on the shared file is nil if
// there is none.
type kinds = relational.Kinds[*session]

type kind = relational.Kind[*session]

// types are those that can be here: without a shared file, tenants' own files alone.
func (d *Driver) types() []tenure.ResourceType {
	all := types()
	if d.shared != "" {
		return all
	}
	return slices.DeleteFunc(all, func(t tenure.ResourceType) bool { return t.Name != "database" })
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
