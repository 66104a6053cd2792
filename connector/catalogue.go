package connector

import (
	"context"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
)

// Cataloguer lists what a system holds, as its own catalog says: tables with their
// columns and references, or the beginnings of names. It changes nothing and reads no rows.
type Cataloguer interface {
	Catalogue(ctx context.Context) (Catalogue, error)
}

// Catalogue is what stands in a system, whoever's it is. What Tenure keeps for itself
// isn't in it.
type Catalogue struct {
	Tables []TableInfo `json:"tables,omitempty"`
	Links  []LinkInfo  `json:"links,omitempty"`
	Stores []StoreInfo `json:"stores,omitempty"` // of systems that keep files or objects
	Says   []string    `json:"says,omitempty"`   // what isn't listed, and why
}

// TableInfo is one table.
type TableInfo struct {
	Schema  string       `json:"schema,omitempty"` // "" where there is none
	Name    string       `json:"name"`
	Columns []ColumnInfo `json:"columns"`
	Key     []string     `json:"key,omitempty"` // its primary key

	// Closed says why its rows aren't read: they belong to a tenant's own role or store,
	// whose code would run, or rights are missing. "" if they can be.
	Closed string `json:"closed,omitempty"`
}

// String is the table's name, with its schema if it has one.
func (t TableInfo) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// Has says whether the table has the column.
func (t TableInfo) Has(column string) bool {
	return slices.ContainsFunc(t.Columns, func(c ColumnInfo) bool { return c.Name == column })
}

// Column returns a column.
func (t TableInfo) Column(name string) (ColumnInfo, bool) {
	i := slices.IndexFunc(t.Columns, func(c ColumnInfo) bool { return c.Name == name })
	if i < 0 {
		return ColumnInfo{}, false
	}
	return t.Columns[i], true
}

// ColumnInfo is one column.
type ColumnInfo struct {
	Name     string `json:"name"`
	Type     string `json:"type"`               // as the system writes it
	Required bool   `json:"required,omitempty"` // it can't be null
}

// LinkInfo is a foreign key.
type LinkInfo struct {
	Child    string   `json:"child"`  // as TableInfo.String gives it
	Parent   string   `json:"parent"` // likewise
	Columns  []string `json:"columns"`
	Parents  []string `json:"parents"`  // the parent's columns, in the same order
	OnDelete string   `json:"onDelete"` // no action, restrict, cascade, set null or set default
}

// StoreInfo is a place of files or objects, such as a bucket or a folder. It tells how
// names begin, and nothing of what is in them.
type StoreInfo struct {
	Type string `json:"type"` // the resource type that fits
	Name string `json:"name"`

	// Prefixes are what names in it begin with, as the attribute classes writes them; Rest
	// is how it writes everything else. Neither is given where the type has no such attribute.
	Prefixes []string `json:"prefixes,omitempty"`
	Rest     string   `json:"rest,omitempty"`
	Classes  bool     `json:"classes,omitempty"`

	// Base is what precedes a tenant's part in a place that tenants share; "" where the
	// place is a tenant's own.
	Base string `json:"base,omitempty"`
}

// Sampler reads some values of a system's columns. It changes nothing, evaluates nothing
// that a tenant wrote, and keeps nothing. No value is in its errors.
type Sampler interface {
	Sample(ctx context.Context, ask Sampling, yield func(ColumnSample) error) (partial string, err error)
}

// Sampling bounds how much is read.
type Sampling struct {
	Tables []string      // as TableInfo.String gives them; none is all
	Rows   int           // of each table, at most
	For    time.Duration // the whole call, roughly; 0 is no bound
}

// ColumnSample is a column with values of some rows, as texts, without nulls. Those of
// several tables come table by table.
type ColumnSample struct {
	Table  string
	Column ColumnInfo
	JSON   bool // its values are JSON documents
	Read   bool // false: its values weren't read, for what Says says
	Says   string
	Values []string
}

// Catalogue lists what the system holds.
func (s *System) Catalogue(ctx context.Context) (c Catalogue, err error) {
	err = capable(ctx, s, "catalogue", func(d Cataloguer) (err error) { c, err = d.Catalogue(ctx); return err })
	return c, err
}

// Sample reads some values of the system's columns. What it says is free of values.
func (s *System) Sample(ctx context.Context, ask Sampling, yield func(ColumnSample) error) (partial string, err error) {
	if ask.Rows < 1 {
		return "", tenure.Errorf(tenure.Invalid, "a sample needs at least one row")
	}
	handed := false
	err = delivers(ctx, s, "sample", &handed, func(d Sampler) (err error) {
		partial, err = d.Sample(ctx, ask, func(c ColumnSample) error { handed = true; return yield(c) })
		return err
	})
	return partial, err
}
