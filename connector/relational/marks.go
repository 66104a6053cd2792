package relational

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure/connector"
)

// Marks is Tenure's own table in a database: the notes of what is a tenant's there.
// It has the columns type, name and note; (type, name) is its key. No tenant may
// write it, and its notes are sealed all the same.
type Marks struct {
	Table     string // quoted
	Duplicate bool   // the database writes over a row by "on duplicate key update", as MariaDB does
}

// RegistryType is the type under which the marks table lists the platform's
// tables that hold marked rows.
const RegistryType = "table"

// Registered are the platform's tables that hold rows with an owner mark of their
// own, with the column that it stands in. What bears one is a resource by itself.
func (m Marks) Registered(ctx context.Context, q Querier, d Dialect) (map[TableName]string, error) {
	listed, err := m.All(ctx, q, d, RegistryType)
	out := make(map[TableName]string, len(listed))
	for _, n := range listed {
		var parts [3]string
		if json.Unmarshal([]byte(n.Name), &parts) == nil {
			out[TableName{parts[0], parts[1]}] = parts[2]
		}
	}
	return out, err
}

// Unmarked is the condition that a row bears no owner mark in a column.
func Unmarked(mark string) string { return "(coalesce(" + Quote(mark) + ", '') not like 'tenure:_:%')" }

// Unmarked gives those of the places that stand though rows with an owner mark are
// resources by themselves: a table of such rows needs no class, unless there are some
// without a mark.
func (h *Holding) Unmarked(ctx context.Context, q Querier, m Marks, places []connector.Place) ([]connector.Place, error) {
	registered, err := m.Registered(ctx, q, h.Dialect)
	if err != nil {
		return nil, err
	}
	var out []connector.Place
	for _, p := range places {
		n, ok := h.named(p.Name)
		t, mark := h.at[n], registered[n]
		if !ok || p.Class != "" || !p.IsData() || !t.Table.Has(mark) {
			out = append(out, p)
			continue
		}
		if p.Rows, err = tally(ctx, q, "select count(*) from "+h.from(t)+" where "+t.Where()+" and "+Unmarked(mark)); err != nil {
			return nil, err
		}
		if p.Rows > 0 {
			p.Says = p.Name + " has rows of the tenant's without an owner mark, and no data class covers it"
			p.Fix += "; or delete the rows that Tenure didn't make"
			out = append(out, p)
		}
	}
	return out, nil
}

// Put writes a note with its seal.
func (m Marks) Put(ctx context.Context, q Querier, marker connector.Marker, n Note) error {
	over := "on conflict (type, name) do update set note = excluded.note"
	if m.Duplicate {
		over = "on duplicate key update note = values(note)"
	}
	_, err := q.Exec(ctx, "insert into "+m.Table+" (type, name, note) values ($1, $2, $3) "+over, n.Type, n.Name, n.Sealed(marker))
	return err
}

// Get reads a note.
func (m Marks) Get(ctx context.Context, q Querier, typ, name string) (Note, bool, error) {
	found, err := texts(ctx, q, "select note from "+m.Table+" where type = $1 and name = $2", typ, name)
	if err != nil || len(found) == 0 {
		return Note{}, false, err
	}
	return ParseNote(found[0]).At(typ, name), true, nil
}

// Delete takes a note away.
func (m Marks) Delete(ctx context.Context, q Querier, typ, name string) error {
	_, err := q.Exec(ctx, "delete from "+m.Table+" where type = $1 and name = $2", typ, name)
	return err
}

// All reads the notes of a type, ordered by name in bytes.
func (m Marks) All(ctx context.Context, q Querier, d Dialect, typ string) ([]Note, error) {
	found, err := texts(ctx, q, "select note from "+m.Table+" where type = $1 order by "+d.Rest("note"), typ)
	if err != nil {
		return nil, err
	}
	notes := make([]Note, len(found))
	for i, s := range found {
		notes[i] = ParseNote(s)
	}
	return notes, nil
}

// Free says whether r may be made or touched: no note stands under its name, or
// its own does.
func (m Marks) Free(ctx context.Context, q Querier, marker connector.Marker, r connector.Ref) (n Note, found bool, err error) {
	n, found, err = m.Get(ctx, q, r.Type, r.Name)
	if err != nil || !found {
		return n, found, err
	}
	return n, true, Claim(marker, n, r)
}
