package postgres

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// partsKey is where the note of a schema that is set aside keeps which of its
// tables were parts of tables outside.
const partsKey = "parts"

// part is a table of a tenant's schema whose rows show in a table outside: a
// partition of it, with its bound, or an heir, without.
type part struct {
	Schema string `json:"schema"` // of the table outside
	Parent string `json:"parent"`
	Name   string `json:"name"`
	Bound  string `json:"bound,omitempty"`
}

const partsSQL = `select pn.nspname, p.relname, c.relname, case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) else '' end
 from pg_depend d join pg_class c on c.oid = d.objid join pg_inherits h on h.inhrelid = c.oid
 join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace
 where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_namespace'::regclass and d.refobjid = (select oid from pg_namespace where nspname = %s)
 and c.relkind in ('r', 'p', 'f') and p.relnamespace <> c.relnamespace order by c.relname, pn.nspname, p.relname`

// parts are the tables of a schema that are parts of tables outside.
func (k schemas) parts(ctx context.Context, s *session, name string) (out []part, err error) {
	err = s.simple(ctx, sqlf(partsSQL, literal(name)), func(_ int, v [][]byte) error {
		out = append(out, part{Schema: string(v[0]), Parent: string(v[1]), Name: string(v[2]), Bound: string(v[3])})
		return nil
	})
	return out, err
}

// detach takes the part, which stands in the named schema, out of the table
// outside, whose other rows and parts stay as they are.
func (p part) detach(schema string) string {
	if p.Bound == "" {
		return "alter table " + quote(schema, p.Name) + " no inherit " + quote(p.Schema, p.Parent)
	}
	return "alter table " + quote(p.Schema, p.Parent) + " detach partition " + quote(schema, p.Name)
}

// attach undoes detach.
func (p part) attach(schema string) string {
	if p.Bound == "" {
		return "alter table " + quote(schema, p.Name) + " inherit " + quote(p.Schema, p.Parent)
	}
	return "alter table " + quote(p.Schema, p.Parent) + " attach partition " + quote(schema, p.Name) + " " + p.Bound
}

// place tells the approver that the table outside loses a part.
func (p part) place(schema string) connector.Place {
	return connector.Place{Name: p.Schema + "." + p.Parent, Kind: connector.PlaceDependent, Rows: 1,
		Says: schema + "." + p.Name + " is a part of " + p.Schema + "." + p.Parent + " and is detached when the schema is set aside, and before its drop"}
}

func writeParts(parts []part) (string, error) {
	if len(parts) == 0 {
		return "", nil
	}
	raw, err := tenure.Canonical(parts)
	return string(raw), err
}

func readParts(text string) (parts []part, err error) {
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the list of detached tables can't be read: %w", err)
	}
	return parts, nil
}
