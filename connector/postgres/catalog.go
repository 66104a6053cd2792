package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// relation is a table, a view, or what else has rows.
type relation struct {
	oid
	name relational.TableName
	kind byte                 // pg_class.relkind
	root relational.TableName // the table that shows its rows: itself, or the one it is a partition or heir of

	blank bool   // a materialized view that was made with no data
	owner string // the role that it belongs to; "" of this session's
	alien bool   // that is a tenant's role, whose code would run if it were read
}

// catalog is the relations of a database, save the server's and Tenure's own.
type catalog struct {
	relations []relation // by name; what is a part of several tables stands there for each
	byOID     map[oid]*relation
	byName    map[relational.TableName]*relation
	strangers map[string]bool                 // schemas that are a tenant's own store: true if another tenant's
	marked    map[relational.TableName]string // the column of owner marks of tables whose rows are resources by themselves
}

const notOurs = `n.nspname not in ('pg_catalog', 'information_schema', 'tenure', 'tenure_sentinel', 'tenure_shared') and n.nspname not like 'pg\_toast%' and n.nspname not like 'pg\_temp%'`

// catalogSQL reads schemas with whether they are people's, relations, and what is a
// part of what.
const catalogSQL = `select n.oid, n.nspname, ` + notOurs + ` from pg_namespace n;
select c.oid, c.relnamespace, c.relname, c.relkind, c.relispopulated, case when c.relowner = (select oid from pg_roles where rolname = current_user) then '' else pg_get_userbyid(c.relowner) end from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f');
select h.inhrelid, h.inhparent from pg_inherits h join pg_class c on c.oid = h.inhrelid and c.relkind in ('r', 'p', 'f')`

func (d *Driver) readCatalog(ctx context.Context, s *session, r connector.Ref) (*catalog, error) {
	c := &catalog{byOID: map[oid]*relation{}, byName: map[relational.TableName]*relation{}, strangers: map[string]bool{}}
	schemas, hidden := map[oid]string{}, map[string]bool{}
	all, parents, owners := map[oid]relation{}, map[oid][]oid{}, map[string]bool{}
	err := s.simple(ctx, catalogSQL, func(result int, v [][]byte) error {
		at := oidOf(v[0])
		switch result {
		case 0:
			schemas[at], hidden[string(v[1])] = string(v[1]), !yes(v[2])
		case 1:
			all[at] = relation{oid: at, name: relational.TableName{Schema: schemas[oidOf(v[1])], Name: string(v[2])}, kind: v[3][0], blank: !yes(v[4]), owner: string(v[5])}
			owners[string(v[5])] = true
		case 2:
			parents[at] = append(parents[at], oidOf(v[1]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	theirs, err := tenantsOf(ctx, s, slices.Collect(maps.Keys(owners)))
	if err != nil {
		return nil, err
	}
	for at, one := range all {
		if hidden[one.name.Schema] {
			continue
		}
		for _, root := range tops(at, parents) {
			one.root = all[root].name
			one.alien = theirs[one.owner]
			c.relations = append(c.relations, one)
		}
	}
	slices.SortFunc(c.relations, func(a, b relation) int { return cmp.Or(a.name.Compare(b.name), a.root.Compare(b.root)) })
	for i := range c.relations {
		one := &c.relations[i]
		c.byOID[one.oid], c.byName[one.name] = one, one
	}
	if kept, err := keeps(ctx, s, "mark"); err != nil || !kept { // a tenant's own database keeps no marks
		return c, err
	}
	err = s.simple(ctx, strangersSQL, func(_ int, v [][]byte) error {
		if owned, theirs := d.storeOf(d.marked(schemaClass, v), r.Tenant); owned {
			c.strangers[string(v[0])] = theirs
		}
		return nil
	})
	if err == nil {
		c.marked, err = marks.Registered(ctx, s, dialect{})
	}
	return c, err
}

// tops are the tables that show a relation's rows.
func tops(at oid, parents map[oid][]oid) []oid {
	if len(parents[at]) == 0 {
		return []oid{at}
	}
	var out []oid
	for _, up := range parents[at] {
		for _, top := range tops(up, parents) {
			if !slices.Contains(out, top) {
				out = append(out, top)
			}
		}
	}
	return out
}
