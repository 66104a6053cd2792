package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

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

// catalog is the relations of a database, save the server's and Tenure's own, and those
// in other tenants' stores that nothing connects with the rest.
type catalog struct {
	relations []*relation // by name; what is a part of several tables stands there for each
	byOID     map[oid]*relation
	byName    map[relational.TableName]*relation
	strangers map[string]bool                 // schemas that are a tenant's own store: true if another tenant's
	apart     map[string]oid                  // the schemas of which unconnected relations were left out
	marked    map[relational.TableName]string // the column of owner marks of tables whose rows are resources by themselves
}

const notOurs = `n.nspname not in ('pg_catalog', 'information_schema', 'tenure', 'tenure_sentinel', 'tenure_shared') and n.nspname not like 'pg\_toast%' and n.nspname not like 'pg\_temp%'`

// catalogSQL reads relations, whether their schemas are people's, and what is a part of
// what. WHICH is a condition for relations.
const catalogSQL = `select c.oid, n.nspname, c.relname, c.relkind, c.relispopulated, case when c.relowner = (select oid from pg_roles where rolname = current_user) then '' else pg_get_userbyid(c.relowner) end, ` + notOurs + `
 from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f') and WHICH;
select h.inhrelid, h.inhparent from pg_inherits h join pg_class c on c.oid = h.inhrelid and c.relkind in ('r', 'p', 'f')`

// connectedSQL is such a condition: what is in no schema of APART, every view, and what
// inheritance, foreign keys and views connect with these, however far. What came with the server
// (under 16384) is connected with nothing of anybody's. It goes along indexes, so that its cost is
// that of what is read and not of what is left out.
const connectedSQL = `c.oid = any (array(with recursive connected (oid) as (
 (select d.objid from pg_depend d where d.refclassid = 'pg_namespace'::regclass and d.classid = 'pg_class'::regclass and d.refobjid = any (array(select oid from pg_namespace where oid <> all (APART::oid[]))) and d.objid::bigint >= 16384
  union all select w.ev_class from pg_rewrite w where w.rulename = '_RETURN' and w.oid >= 16384)
 union select x.oid from connected r, lateral (
  select h.inhparent from pg_inherits h where h.inhrelid = r.oid union all select h.inhrelid from pg_inherits h where h.inhparent = r.oid
  union all select k.confrelid from pg_constraint k where k.conrelid = r.oid and k.contype = 'f'
  union all select k.conrelid from pg_depend d join pg_constraint k on k.oid = d.objid and k.contype = 'f' where d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_constraint'::regclass
  union all select d.refobjid from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass where w.ev_class = r.oid) x (oid))
 select oid from connected))`

// readCatalog reads the catalog for a tenant's resource. Relations of the named schemas
// are there even if they are another tenant's.
func (d *Driver) readCatalog(ctx context.Context, s *session, r connector.Ref, named ...string) (*catalog, error) {
	c := &catalog{byOID: map[oid]*relation{}, byName: map[relational.TableName]*relation{}, strangers: map[string]bool{}, apart: map[string]oid{}}
	kept, err := keeps(ctx, s, "mark")
	if err != nil || !kept { // a tenant's own database keeps no marks
		if err == nil {
			err = c.read(ctx, s, "true")
		}
		return c, err
	}
	if c.marked, err = marks.Registered(ctx, s, dialect{}); err != nil {
		return nil, err
	}
	for n := range c.marked {
		named = append(named, n.Schema)
	}
	err = s.simple(ctx, strangersSQL, func(_ int, v [][]byte) error {
		b := d.marked(schemaClass, v)
		owned, theirs := d.storeOf(b, r.Tenant)
		if owned {
			c.strangers[b.name] = theirs
		}
		if theirs && !slices.Contains(named, b.name) {
			_, at, _ := strings.Cut(b.object, ":")
			_, at, _ = strings.Cut(at, ":")
			c.apart[b.name] = oidOf([]byte(at))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	which := "true"
	if len(c.apart) > 0 {
		which = strings.ReplaceAll(connectedSQL, "APART", array(slices.Collect(maps.Values(c.apart))))
	}
	return c, c.read(ctx, s, which)
}

// admit adds what was left out of the schemas.
func (c *catalog) admit(ctx context.Context, s *session, schemas []string) error {
	var in []oid
	for _, n := range schemas {
		if at, apart := c.apart[n]; apart {
			in = append(in, at)
			delete(c.apart, n)
		}
	}
	if len(in) == 0 {
		return nil
	}
	return c.read(ctx, s, "c.relnamespace "+isOneOf(in))
}

// read adds the relations that a condition lets through and that aren't there yet.
func (c *catalog) read(ctx context.Context, s *session, which string) error {
	all, parents, owners := map[oid]relation{}, map[oid][]oid{}, map[string]bool{}
	hidden := map[oid]bool{}
	err := s.simple(ctx, strings.Replace(catalogSQL, "WHICH", which, 1), func(result int, v [][]byte) error {
		at := oidOf(v[0])
		if result == 1 {
			parents[at] = append(parents[at], oidOf(v[1]))
			return nil
		}
		all[at] = relation{oid: at, name: relational.TableName{Schema: string(v[1]), Name: string(v[2])}, kind: v[3][0], blank: !yes(v[4]), owner: string(v[5])}
		hidden[at] = !yes(v[6])
		owners[string(v[5])] = true
		return nil
	})
	if err != nil {
		return err
	}
	theirs, err := tenantsOf(ctx, s, slices.Collect(maps.Keys(owners)))
	if err != nil {
		return err
	}
	for at, one := range all {
		if hidden[at] || c.byOID[at] != nil {
			continue
		}
		one.alien = theirs[one.owner]
		for _, root := range tops(at, parents) {
			part := one
			if up, here := all[root]; here {
				part.root = up.name
			} else if up := c.byOID[root]; up != nil { // read before
				part.root = up.name
			} else {
				part.root = one.name
			}
			c.relations = append(c.relations, &part)
		}
	}
	slices.SortFunc(c.relations, func(a, b *relation) int { return cmp.Or(a.name.Compare(b.name), a.root.Compare(b.root)) })
	for _, one := range c.relations {
		c.byOID[one.oid], c.byName[one.name] = one, one
	}
	return nil
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
