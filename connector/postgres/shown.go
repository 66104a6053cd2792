package postgres

import (
	"context"
	"slices"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

const viewColumnsSQL = `select a.attrelid::text, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relkind = 'v' and a.attnum > 0 and not a.attisdropped and a.attname = `

// shown finds views that the blueprint takes for tables, and those with the tenant
// column that show tables of which nobody knows. A view has no rows to erase, and
// isn't read: it may run what a tenant wrote.
func (g *ground) shown(ctx context.Context, s *session) (out []connector.Place, err error) {
	if !slices.ContainsFunc(g.relations, func(r *relation) bool { return r.kind == 'v' || r.kind == 'm' }) {
		return nil, nil
	}
	reads := map[oid][]oid{}
	err = s.simple(ctx, viewsSQL, func(_ int, v [][]byte) error {
		reads[oidOf(v[1])] = append(reads[oidOf(v[1])], oidOf(v[0]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range g.relations {
		if r.kind != 'v' && r.kind != 'm' || g.said(r.name) == "" {
			continue
		}
		p := connector.Place{Name: r.name.String(), Kind: connector.PlaceTable, Class: g.said(r.name), Via: "a view", Blocks: true,
			Says: r.name.String() + " is a view: it has no rows of its own that could be erased"}
		switch of := g.bases(reads, r.oid); {
		case r.kind == 'm':
			p.Fix = "take it out of tables, and say derived: {" + p.Name + ": refresh}"
		case len(of) == 0:
			p.Fix = "take it out of tables"
		default:
			p.Fix = "name what it shows in its place: tables: {" + of[0].String() + ": CLASS}, with columns: {" + of[0].String() + ": COLUMN} if its tenant column is called otherwise"
		}
		out = append(out, p)
	}
	names, _ := g.holding.TenantColumns(relational.TableName{})
	if len(names) == 0 || g.whole {
		return out, nil
	}
	err = s.simple(ctx, viewColumnsSQL+anyOf(names)+" order by 1, 2", func(_ int, v [][]byte) error {
		r := g.byOID[oidOf(v[0])]
		if r == nil || g.said(r.name) != "" || g.keyless(r.name) || g.others(r.name) {
			return nil
		}
		of := g.bases(reads, r.oid)
		if len(of) == 0 || slices.ContainsFunc(of, func(n relational.TableName) bool {
			return g.spoken(n) || g.others(n) || g.marked[n] != "" || g.tells(n)
		}) {
			return nil
		}
		p := uncovered(of[0], "view "+r.name.String(), r.name.String()+" shows "+listed(of)+" with the column "+string(v[1])+", and no data class covers what it shows")
		p.Fix += ", with columns: {" + of[0].String() + ": COLUMN}; or columns: {" + r.name.String() + `: ""} if the column means something else there`
		out = append(out, p)
		return nil
	})
	return out, err
}

// tells says that the table has the tenant column itself, so that it is a place already.
func (g *ground) tells(n relational.TableName) bool {
	return slices.ContainsFunc(g.bearing, func(b bearer) bool { return b.relation.root == n })
}

// bases are the tables that a view shows, through other views too.
func (g *ground) bases(reads map[oid][]oid, view oid) (out []relational.TableName) {
	seen := map[oid]bool{}
	var visit func(of oid)
	visit = func(of oid) {
		if seen[of] {
			return
		}
		seen[of] = true
		for _, from := range reads[of] {
			switch r := g.byOID[from]; {
			case r == nil:
			case r.kind == 'v' || r.kind == 'm':
				visit(from)
			case !slices.Contains(out, r.root):
				out = append(out, r.root)
			}
		}
	}
	visit(view)
	slices.SortFunc(out, relational.TableName.Compare)
	return out
}
