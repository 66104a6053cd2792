package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// typesSQL reads types with their modifiers: their names, whether a domain of them
// can't be null, the schema of the operator by which values are equal, where the
// server doesn't bring it along (no search path has to know), and whether values name
// large objects, are lists of such, or can't be told apart by a recursive query, for
// want of a hash. The second result are columns of partitions.
const typesSQL = `select u.t, u.m, format_type(u.t, u.m), y.typnotnull,
 case when b.oid >= 16384 then (select n.nspname from pg_opclass c
   join pg_am m on m.oid = c.opcmethod and m.amname = 'btree' join pg_amop o on o.amopfamily = c.opcfamily and o.amopstrategy = 3 and o.amoplefttype = c.opcintype and o.amoprighttype = c.opcintype
   join pg_operator p on p.oid = o.amopopr join pg_namespace n on n.oid = p.oprnamespace where c.opcintype = b.oid and c.opcdefault and n.nspname <> 'pg_catalog') end,
 b.oid = 'oid'::regtype, b.typinput = 'array_in'::regproc and exists (select 1 from pg_type e where e.oid = b.typelem and 'oid'::regtype in (e.oid, e.typbasetype)),
 b.oid in ('bit'::regtype, 'varbit'::regtype, 'money'::regtype) or b.oid >= 16384 and b.typtype = 'b' and b.typcategory <> 'A'
   and not exists (select 1 from pg_opclass c join pg_am m on m.oid = c.opcmethod and m.amname = 'hash' where c.opcintype = b.oid)
 from unnest({{types}}::oid[], {{modifiers}}::int[]) u (t, m) join pg_type y on y.oid = u.t, lateral (
  with recursive d (oid, base) as (select y.oid, y.typbasetype union all select p.oid, p.typbasetype from d join pg_type p on p.oid = d.base) select oid from d where base = 0) i join pg_type b on b.oid = i.oid;
select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated <> '', a.attcollation, a.attgenerated <> '' from pg_attribute a where a.attrelid {{partitions}} and a.attnum > 0`

// checksSQL reads the checks on columns of foreign keys that may be null, with
// whether they can be evaluated: by what the server itself brings along alone. With
// offset 0 the planner asks for each check; it would read the whole catalog for a join.
const checksSQL = `select k.conrelid, pg_get_expr(k.conbin, k.conrelid),
 (select json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod))) from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)),
 not exists (select 1 from pg_depend d where d.classid = 'pg_constraint'::regclass and d.objid = k.oid and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass) and d.refobjid >= 16384 offset 0)
  and not exists (select 1 from pg_attribute a join pg_type y on y.oid = a.atttypid where a.attrelid = k.conrelid and a.attnum = any (k.conkey) and (y.oid >= 16384 or y.typtype <> 'b') offset 0)
 from pg_constraint k where k.oid {{checks}} and exists (select 1 from pg_constraint f join pg_attribute a on a.attrelid = f.conrelid and a.attnum = any (f.conkey) and not a.attnotnull
  where f.contype = 'f' and f.conrelid = k.conrelid and a.attnum = any (k.conkey) offset 0)`

// comparisonsSQL reads the schemas of operators that the server doesn't bring along,
// and the names of collations.
const comparisonsSQL = `select p.oid, n.nspname from pg_operator p join pg_namespace n on n.oid = p.oprnamespace where p.oid {{operators}} and n.nspname <> 'pg_catalog';
select l.oid, format('%I.%I', n.nspname, l.collname) from pg_collation l join pg_namespace n on n.oid = l.collnamespace where l.oid {{collations}}`

// databaseGraph reads every table of the database, save the catalog's and Tenure's own.
func databaseGraph(ctx context.Context, s *session) (*relational.Graph, error) {
	return graph(ctx, s, nil, everySQL, "")
}

// graphOf reads what a tenant's rows in a schema, or in the tables that the
// coverage names, can have to do with; column is the tenant column, if there is one.
func graphOf(ctx context.Context, s *session, schema, column string, c relational.Coverage) (*relational.Graph, error) {
	elsewhere := func(c relational.Coverage) string { // those in the schema are seeds as they are
		return namedSQL + "(" + values(slices.DeleteFunc(c.Seeds(schema), func(n relational.TableName) bool { return n.Schema == schema })) + ")"
	}
	seeds := seedsSQL + literal(schema) + ")\nunion " + elsewhere(relational.Coverage{Tables: c.Tables, Columns: c.Columns})
	return graph(ctx, s, append([]string{column}, c.Aliases...), seeds, elsewhere(relational.Coverage{Shared: c.Shared}))
}

func values(names []relational.TableName) string {
	out := []string{"(null, null)"}
	for _, n := range names {
		out = append(out, "("+literal(n.Name)+", "+literal(n.Schema)+")")
	}
	return "values " + strings.Join(out, ", ")
}

// graph reads the tables of two queries with what they have to do with. Heirs that
// add one of the columns which tell tenants apart stand by themselves.
func graph(ctx context.Context, s *session, tells []string, seeds, shared string) (*relational.Graph, error) {
	n, err := nearTo(ctx, s, seeds, shared)
	if err != nil {
		return nil, err
	}
	n.tells = tells
	if err := n.owners(ctx, s); err != nil {
		return nil, err
	}
	if err := n.describe(ctx, s); err != nil {
		return nil, err
	}
	keys, err := n.foreignKeys(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := n.readChecks(ctx, s); err != nil {
		return nil, err
	}
	tables := make([]relational.Table, 0, len(n.tables))
	for at, t := range n.tables {
		if root := n.root(at); root != nil && root != t {
			root.Code, root.Alien = root.Code || t.Code, root.Alien || t.Alien
		}
	}
	for at, t := range n.tables {
		if n.root(at) == t {
			tables = append(tables, t.Table)
		}
	}
	return relational.NewGraph(tables, keys), nil
}

// owners tells which tables are a tenant's role's. A deputy sees none but its role's.
func (n *near) owners(ctx context.Context, s *session) error {
	var roles []string
	for _, t := range n.tables {
		if t.found && t.owner != "" && !slices.Contains(roles, t.owner) {
			roles = append(roles, t.owner)
		}
	}
	if s.deputy != nil {
		return nil
	}
	theirs, err := tenantsOf(ctx, s, roles)
	for _, t := range n.tables {
		t.Alien = theirs[t.owner]
	}
	return err
}

// table is one that was found; nil for any other oid.
func (n *near) table(at oid) *nearTable {
	if t := n.tables[at]; t != nil && t.found {
		return t
	}
	return nil
}

// root is the table that shows the rows of another. An heir that adds the tenant
// column stands by itself: its root can't tell whose its rows are.
func (n *near) root(at oid) *nearTable {
	t := n.table(at)
	for i := 0; t != nil && len(t.parents) > 0 && i < 100; i++ {
		up := n.table(t.parents[0])
		if up == nil || slices.ContainsFunc(n.tells, func(c string) bool { return c != "" && t.Has(c) && !up.Has(c) }) {
			break
		}
		t = up
	}
	return t
}

// describe reads the types of the columns, and the columns of partitions with foreign
// keys of their own.
func (n *near) describe(ctx context.Context, s *session) error {
	types := map[typed]relational.Column{}
	var oids, partitions []oid
	var modifiers []int
	for _, t := range n.tables {
		for _, c := range t.columns {
			if _, known := types[c.typed]; !known {
				types[c.typed] = relational.Column{}
				oids, modifiers = append(oids, c.oid), append(modifiers, c.modifier)
			}
		}
	}
	for _, k := range n.keys {
		for _, at := range []oid{k.child, k.parent} {
			if t := n.table(at); t != nil && t.partition {
				partitions = append(partitions, at)
			}
		}
	}
	sql := strings.NewReplacer("{{types}}", array(oids), "{{modifiers}}", array(modifiers), "{{partitions}}", isOneOf(partitions)).Replace(typesSQL)
	err := s.simple(ctx, sql, func(result int, v [][]byte) error {
		if result == 1 {
			return n.take(columnRow, v)
		}
		c := relational.Column{Type: string(v[2]), Required: yes(v[3]), Locator: yes(v[5]) || yes(v[6]), List: yes(v[6]), Unhashed: yes(v[7])}
		if v[4] != nil {
			c.Equal = equalIn(string(v[4]))
		}
		types[typed{oidOf(v[0]), number(v[1])}] = c
		return nil
	})
	for _, t := range n.tables {
		slices.SortFunc(t.columns, func(a, b nearColumn) int { return a.number - b.number })
		t.Key = t.names(t.primary)
		if t.partition {
			continue
		}
		t.Columns = make([]relational.Column, len(t.columns))
		for i, c := range t.columns {
			typ := types[c.typed]
			c.Type, c.Equal, c.Locator, c.List, c.Unhashed, c.Required = typ.Type, typ.Equal, typ.Locator, typ.List, typ.Unhashed, c.Required || typ.Required
			t.Columns[i] = c.Column
		}
	}
	return err
}

// foreignKeys are the keys between tables that show rows; what only a partition has
// counts for its root.
func (n *near) foreignKeys(ctx context.Context, s *session) (out []relational.ForeignKey, err error) {
	operators, collations, err := n.comparisons(ctx, s)
	out = make([]relational.ForeignKey, 0, len(n.keys))
	for _, k := range n.keys {
		from, to := n.table(k.child), n.table(k.parent)
		if from == nil || to == nil {
			continue
		}
		child, parent := n.root(k.child), n.root(k.parent)
		if from != child || to != parent {
			k.Name += " of " + from.Name + " to " + to.Name
		}
		k.Child, k.Parent, k.Refuses = child.TableName, parent.TableName, (k.OnDelete == relational.NoAction || k.OnDelete == relational.Restrict) && !k.Deferrable && n.guards[k.oid] == k.parent
		k.Columns, k.Parents, k.Sets = from.names(k.columns), to.names(k.parents), from.names(k.sets)
		k.Equal, k.Collate = k.compared(from, to, operators, collations)
		lacks := func(t *nearTable) func(string) bool { return func(c string) bool { return !t.Has(c) } }
		if slices.ContainsFunc(k.Columns, lacks(child)) || slices.ContainsFunc(k.Parents, lacks(parent)) {
			continue // a column that an heir adds to its root's
		}
		out = append(out, k.ForeignKey)
	}
	return out, err
}

// comparisons are the names of the operators and collations that keys need and that
// don't go without saying.
func (n *near) comparisons(ctx context.Context, s *session) (operators, collations map[oid]string, err error) {
	operators, collations = map[oid]string{}, map[oid]string{}
	var by, in []oid
	for _, k := range n.keys {
		by, in = append(by, k.operators...), append(in, n.differing(k)...)
	}
	if len(by)+len(in) == 0 {
		return operators, collations, nil
	}
	err = s.simple(ctx, strings.NewReplacer("{{operators}}", isOneOf(by), "{{collations}}", isOneOf(in)).Replace(comparisonsSQL), func(result int, v [][]byte) error {
		if result == 0 {
			operators[oidOf(v[0])] = equalIn(string(v[1]))
		} else {
			collations[oidOf(v[0])] = string(v[1])
		}
		return nil
	})
	return operators, collations, err
}

// equalIn is the operator = of a schema.
func equalIn(schema string) string { return "operator(" + quote(schema) + ".=)" }

var onDelete = map[byte]relational.OnDelete{
	'a': relational.NoAction, 'r': relational.Restrict, 'c': relational.Cascade, 'n': relational.SetNull, 'd': relational.SetDefault,
}

// readChecks finds which columns a check doesn't let be null together: those for
// which it is false when they are. One that can't be evaluated lets none be null.
func (n *near) readChecks(ctx context.Context, s *session) error {
	if len(n.checks) == 0 {
		return nil
	}
	type check struct {
		t       *nearTable
		columns []string
	}
	var all []check
	var selects []string
	err := s.simple(ctx, strings.ReplaceAll(checksSQL, "{{checks}}", isOneOf(n.checks)), func(_ int, v [][]byte) error {
		t := n.root(oidOf(v[0]))
		if t == nil {
			return nil
		}
		var columns [][2]string
		_ = json.Unmarshal(v[2], &columns)
		var names, nulls []string
		for _, c := range columns {
			names, nulls = append(names, c[0]), append(nulls, "null::"+c[1]+" as "+quote(c[0]))
		}
		if !yes(v[3]) {
			for _, name := range names {
				t.Checks = append(t.Checks, []string{name})
			}
			return nil
		}
		all = append(all, check{t, names})
		selects = append(selects, "select coalesce(("+string(v[1])+")::text, '') from (select "+strings.Join(nulls, ", ")+") x")
		return nil
	})
	if err != nil || len(all) == 0 {
		return err
	}
	i := 0
	return s.simple(ctx, strings.Join(selects, " union all "), func(_ int, v [][]byte) error {
		if string(v[0]) == "false" {
			all[i].t.Checks = append(all[i].t.Checks, all[i].columns)
		}
		i++
		return nil
	})
}

// referringSQL reads the foreign keys that refer to a table or to parts of it, by
// indexes alone.
const referringSQL = `select distinct k.conname, n.nspname, c.relname,
 (select json_agg(a.attname order by u.i) from unnest(k.conkey) with ordinality u(n, i) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n)::text,
 (select json_agg(a.attname order by u.i) from unnest(k.confkey) with ordinality u(n, i) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n)::text
 from here h join pg_depend p on p.refclassid = 'pg_class'::regclass and p.refobjid = h.oid and p.classid = 'pg_constraint'::regclass
 join pg_constraint k on k.oid = p.objid and k.contype = 'f' and k.confrelid = h.oid and k.conparentid = 0
 join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace order by 2, 3, 1`

// Referring is described at relational.Dialect.
func (dialect) Referring(ctx context.Context, q relational.Querier, t relational.TableName) (out []relational.ForeignKey, err error) {
	err = each(ctx, q, hereSQL(t)+referringSQL, 5, func(v []string) {
		k := relational.ForeignKey{Name: v[0], Child: relational.TableName{Schema: v[1], Name: v[2]}, Parent: t}
		_ = json.Unmarshal([]byte(v[3]), &k.Columns)
		_ = json.Unmarshal([]byte(v[4]), &k.Parents)
		out = append(out, k)
	})
	return out, err
}
