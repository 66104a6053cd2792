package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Kept is what one legal hold keeps of a resource: rows of a table, or objects under a
// prefix.
type Kept struct {
	Hold   tenure.HoldID
	Class  string // "" is every class
	Table  string
	Rows   []tenure.RowCondition
	Prefix string // of keys, below the resource's own place

	// Resource is the hold's own, of a Type, and Place its table as a data map names it,
	// where another resource is erased: rows of the one may need rows of the other.
	Resource tenure.ResourceID
	Type     string
	Place    string
}

// KeptBy is what a hold keeps of its resource.
func KeptBy(h tenure.Hold) Kept {
	return Kept{Hold: h.ID, Class: h.Scope.Class, Table: h.Scope.Table, Rows: h.Scope.Rows, Prefix: h.Scope.Prefix}
}

// HasKey says that an object of a class is kept, by its key below the resource's place.
func (k Kept) HasKey(key, class string) bool {
	return k.Prefix != "" && k.Place == "" && strings.HasPrefix(key, k.Prefix) && (k.Class == "" || k.Class == class)
}

// KeptKey says that one of the holds keeps an object.
func KeptKey(keep []Kept, key, class string) bool {
	return slices.ContainsFunc(keep, func(k Kept) bool { return k.HasKey(key, class) })
}

// A hold that names rows can't be of objects, nor one that names objects of rows.
var (
	ErrNoTables = errors.New("a store of objects has keys, and no tables")
	ErrNoKeys   = errors.New("a database has tables, and no keys")
)

// CheckPrefixes is Invalid, with ErrNoTables, if one of the holds names a table.
func CheckPrefixes(keep []Kept) error {
	for _, k := range keep {
		if k.Table != "" && k.Place == "" {
			return tenure.Errorf(tenure.Invalid, "a hold names table %q: %w", k.Table, ErrNoTables).WithHint("name what the keys begin with: --prefix")
		}
	}
	return nil
}

// Held is how much of one place stays for one hold.
type Held struct {
	Hold   tenure.HoldID `json:"hold"`
	Place  string        `json:"place"` // as a data map names it
	Class  string        `json:"class,omitempty"`
	Named  string        `json:"named,omitempty"`  // of the hold's own table: its name as a blueprint best writes it
	Rows   int64         `json:"rows,omitempty"`   // rows or objects that the hold names
	Needed int64         `json:"needed,omitempty"` // rows that those need
}

// Keeper is an Eraser whose batches leave out what Batch.Keep names.
type Keeper interface {
	// Held counts what of the resource is kept, by hold and place; with no rows a place
	// stands for a hold of which nothing is there now. A table or a column that isn't
	// there is NotFound; an operator or a value that the column's type can't have is
	// Invalid. It changes nothing.
	Held(ctx context.Context, r Ref, keep []Kept) ([]Held, error)
}

// Needer says whether a thing that is one row, or that rows stand on, is needed by rows
// that holds keep in another resource of the same system.
type Needer interface {
	// Needed names what of in needs r, in words; "" if nothing does.
	Needed(ctx context.Context, r, in Ref, keep []Kept) (string, error)
}

// Held counts what of the resource holds keep. A system that can keep no part of a
// resource is Invalid.
func (s *System) Held(ctx context.Context, r Ref, keep []Kept) (out []Held, err error) {
	err = capable(ctx, s, "hold a part of a resource", func(d Keeper) (err error) { out, err = d.Held(ctx, r, keep); return err })
	return out, err
}

// held fills in how much of each place of a map is held.
func (s *System) held(ctx context.Context, v Survey, m *Map) error {
	held, err := s.Held(ctx, v.Ref, v.Keep)
	if err != nil {
		return err
	}
	for i := range m.Places {
		p := &m.Places[i]
		var here []Held
		for _, h := range held {
			if h.Place == p.Name && p.IsData() && p.Kind != PlaceDerived {
				here = append(here, h)
			}
		}
		if Total(here) == 0 {
			continue
		}
		p.Held = min(Total(here), p.Rows) // two holds may keep one row
		if p.Says != "" {
			p.Says += "; "
		}
		p.Says += "stays: " + HeldSays(here)
	}
	return nil
}

// Needed says what of another resource, which holds keep a part of, needs r.
func (s *System) Needed(ctx context.Context, r, in Ref, keep []Kept) (says string, err error) {
	if !is[Needer](s) {
		return "", nil
	}
	err = capable(ctx, s, "hold a part of a resource", func(d Needer) (err error) { says, err = d.Needed(ctx, r, in, keep); return err })
	return says, err
}

// Total is how many rows or objects stay, named and needed.
func Total(held []Held) (n int64) {
	for _, h := range held {
		n += h.Rows + h.Needed
	}
	return n
}

// HeldSays says what is held, for a person.
func HeldSays(held []Held) string {
	var out []string
	for _, h := range held {
		if h.Rows > 0 {
			out = append(out, fmt.Sprintf("%s of %s by hold %s", counted(h.Rows), h.Place, h.Hold))
		}
		if h.Needed > 0 {
			out = append(out, fmt.Sprintf("%s of %s that what hold %s keeps needs", counted(h.Needed), h.Place, h.Hold))
		}
	}
	return strings.Join(out, ", ")
}

func counted(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}
