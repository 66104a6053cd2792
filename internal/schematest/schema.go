// Package schematest makes up database schemas with rows of three tenants, and
// says by a plain model on sets what the erasure of one of them must leave: which
// rows go, which references become null, and which schemas must be refused. It
// knows nothing of how Tenure does it.
package schematest

import (
	"encoding/json"
	"slices"
)

// The tenants whose rows fill a schema. Leaver's name is a prefix of the second's.
const (
	Leaver = "acme"
	Second = "acme-2"
	Third  = "bïrch 🌳"
)

// Dialect is the SQL that a schema is written in.
type Dialect string

const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
	MariaDB  Dialect = "mariadb" // in a session whose sql_mode has ANSI_QUOTES and NO_BACKSLASH_ESCAPES
)

// Schema is a database's tables, links and rows, and how a blueprint covers them.
type Schema struct {
	Dialect Dialect
	Classes []string // in the order in which they go
	Tables  []*Table
	Links   []*Link
}

// Table is one table. Each has the columns id (unique in the whole schema), note,
// blob and doc, which hold tokens.
type Table struct {
	Name       string
	Elsewhere  bool   // in the schema "extra" instead of "m"
	Key        string // the tenant column; "" for none
	KeyNotNull bool
	Alias      bool   // Key is told by aliases, not by columns
	Decoy      bool   // it has a column named tenant that doesn't tell whose a row is
	Class      string // "" is uncovered
	Shared     bool   // belongs to no tenant
	Wide       bool   // the primary key is (part, id)
	Partitions int
	Heirs      int
	Trigger    Trigger
	Extras     []*Extra // beside the columns that every table has
	Rows       []*Row
}

// Trigger is what a table's trigger does at a delete.
type Trigger string

const (
	Harmless Trigger = "harmless"
	Swallow  Trigger = "swallow" // returns null: the row stays
	Copy     Trigger = "copy"    // writes the row into the table history
)

// History is the table that Copy triggers write to.
const History = "history"

// Row is one row.
type Row struct {
	ID   int
	For  string         // whose the generator meant it to be
	Key  string         // the tenant column's value; "" is null
	Heir int            // stands in this heir, 1 and up
	Refs map[string]int // by link: the id that it refers to
	Half map[string]int // by composite link: an id whose part alone is set, so it refers to nothing
}

// Action is what a foreign key does when the parent goes.
type Action string

const (
	NoAction   Action = "no action"
	Restrict   Action = "restrict"
	Cascade    Action = "cascade"
	SetNull    Action = "set null"
	SetDefault Action = "set default"
)

// Link is one foreign key.
type Link struct {
	Name      string
	From, To  string
	Nullable  bool // its columns may be null, but for the tenant column
	Action    Action
	OnlyID    bool // set null (the id's column)
	Default   int  // of set default: the row's id; 0 is null
	Deferred  bool // deferrable
	WithKey   bool // (tenant column, id) refers to (tenant column, id)
	Checked   bool // a check constraint forbids null, though the column may be null
	Generated bool // the column is generated, so nobody can set it
	Word      string
}

func (s *Schema) table(name string) *Table {
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func (s *Schema) clone() *Schema {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	var out Schema
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return &out
}

func (s *Schema) class(t *Table) int { return slices.Index(s.Classes, t.Class) }

// owners by row id, the row itself by id.
func (s *Schema) rows() (rows map[int]*Row, in map[int]*Table) {
	rows, in = map[int]*Row{}, map[int]*Table{}
	for _, t := range s.Tables {
		for _, r := range t.Rows {
			rows[r.ID], in[r.ID] = r, t
		}
	}
	return rows, in
}

// remove takes a row away, and what can't be without it.
func (s *Schema) remove(id int) {
	for _, t := range s.Tables {
		t.Rows = slices.DeleteFunc(t.Rows, func(r *Row) bool { return r.ID == id })
	}
	for _, l := range s.Links {
		for _, r := range slices.Clone(s.table(l.From).Rows) {
			if r.Half[l.Name] == id {
				delete(r.Half, l.Name)
			}
			if r.Refs[l.Name] != id {
				continue
			}
			if delete(r.Refs, l.Name); !l.Nullable || l.Checked {
				s.remove(r.ID)
			}
		}
		if l.Default == id {
			l.Default = 0
		}
	}
}
