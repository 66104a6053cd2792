package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// equalSQL is, for the type of column a, the schema of the operator by which its values
// are equal, where the server doesn't bring it along, so that no search path has to
// know; and whether a recursive query can't tell its values apart, for want of a hash.
const equalSQL = `(with recursive b (oid) as (select a.atttypid union select y.typbasetype from b join pg_type y on y.oid = b.oid and y.typbasetype <> 0)
  select json_build_array((select n.nspname from pg_opclass c join pg_am m on m.oid = c.opcmethod and m.amname = 'btree'
    join pg_amop o on o.amopfamily = c.opcfamily and o.amopstrategy = 3 and o.amoplefttype = c.opcintype and o.amoprighttype = c.opcintype
    join pg_operator p on p.oid = o.amopopr join pg_namespace n on n.oid = p.oprnamespace where c.opcintype in (select oid from b) and c.opcdefault and n.nspname <> 'pg_catalog'),
   exists (select 1 from b join pg_type y on y.oid = b.oid where y.oid in ('bit'::regtype, 'varbit'::regtype, 'money'::regtype)
    or y.oid >= 16384 and y.typtype = 'b' and y.typcategory <> 'A' and not exists (select 1 from pg_opclass c join pg_am m on m.oid = c.opcmethod and m.amname = 'hash' where c.opcintype = y.oid))))`

// relationsSQL reads tables, with their partitions and heirs; these have no
// columns here, since they stand under their root, which shows their rows.
const relationsSQL = `select c.oid::text, n.nspname, c.relname, (c.relkind = 'p' or c.relhassubclass)::text,
 (not has_table_privilege(c.oid, 'select') or row_security_active(c.oid))::text,
 coalesce((select h.inhparent::text from pg_inherits h where h.inhrelid = c.oid order by h.inhseqno limit 1), ''),
 case when c.relispartition then '[]' else (select coalesce(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull or (select y.typnotnull from pg_type y where y.oid = a.atttypid), a.attgenerated <> '' or a.attidentity = 'a',
   case when a.atttypid >= 16384 or a.atttypid in ('bit'::regtype, 'varbit'::regtype, 'money'::regtype) then ` + equalSQL + ` end) order by a.attnum), '[]')
  from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)::text end,
 coalesce((select json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum)) from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
  where i.indrelid = c.oid and i.indisprimary), '[]')::text,
 (c.relhasrules or c.relhastriggers and exists (select 1 from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled <> 'D' and g.tgtype & 24 <> 0))::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and ` + notOurs

// keysSQL reads foreign keys. One that a partition has from its root has a
// parent; what only a partition has counts for the root.
const keysSQL = `select k.conname, k.conrelid::text, k.confrelid::text, k.confdeltype::text, k.condeferrable::text, (k.confmatchtype = 'f')::text,
 (select json_agg(a.attname order by u.i) from unnest(k.conkey) with ordinality u(n, i) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n)::text,
 (select json_agg(a.attname order by u.i) from unnest(k.confkey) with ordinality u(n, i) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n)::text,
 coalesce((select json_agg(a.attname) from jsonb_array_elements_text(case jsonb_typeof(to_jsonb(k) -> 'confdelsetcols') when 'array' then to_jsonb(k) -> 'confdelsetcols' end) s
  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = s::int), '[]')::text,
 (k.confdeltype in ('a', 'r') and not k.condeferrable and current_setting('session_replication_role') <> 'replica'
  and exists (select 1 from pg_trigger g where g.tgconstraint = k.oid and g.tgrelid = k.confrelid and g.tgtype & 8 <> 0 and g.tgenabled in ('O', 'A')))::text,
 (select json_agg(case when n.nspname <> 'pg_catalog' then n.nspname end order by u.i) from unnest(k.conpfeqop) with ordinality u(o, i) join pg_operator p on p.oid = u.o join pg_namespace n on n.oid = p.oprnamespace)::text,
 (select json_agg(case when c.attcollation <> p.attcollation then format('%I.%I', n.nspname, l.collname) end order by u.i) from unnest(k.conkey, k.confkey) with ordinality u(c, p, i)
  join pg_attribute c on c.attrelid = k.conrelid and c.attnum = u.c join pg_attribute p on p.attrelid = k.confrelid and p.attnum = u.p
  left join pg_collation l on l.oid = p.attcollation left join pg_namespace n on n.oid = l.collnamespace)::text
 from pg_constraint k where k.contype = 'f' and k.conparentid = 0`

// checksSQL reads the checks on columns of foreign keys that may be null, with
// whether they can be evaluated: by what the server itself brings along alone.
const checksSQL = `select k.conrelid::text, pg_get_expr(k.conbin, k.conrelid),
 (select json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod))) from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey))::text,
 (not exists (select 1 from pg_depend d where d.classid = 'pg_constraint'::regclass and d.objid = k.oid and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass) and d.refobjid >= 16384)
  and not exists (select 1 from pg_attribute a join pg_type y on y.oid = a.atttypid where a.attrelid = k.conrelid and a.attnum = any (k.conkey) and (y.oid >= 16384 or y.typtype <> 'b')))::text
 from pg_constraint k where k.contype = 'c' and exists (select 1 from pg_constraint f join pg_attribute a on a.attrelid = f.conrelid and a.attnum = any (f.conkey) and not a.attnotnull
  where f.contype = 'f' and f.conrelid = k.conrelid and a.attnum = any (k.conkey))`

// nearSQL are the tables of a schema and those that are named, what refers to
// them, however far (own), and what all of these refer to (near), with partitions
// and heirs. It goes by indexes alone: what one tenant costs mustn't grow with
// the number of its neighbours.
const nearSQL = `with recursive own (oid) as (
 (select c.oid from pg_depend p join pg_class c on c.oid = p.objid and c.relkind in ('r', 'p')
  where p.classid = 'pg_class'::regclass and p.refclassid = 'pg_namespace'::regclass and p.refobjid = (select oid from pg_namespace where nspname = SCHEMA)
 union
 select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where (c.relname, n.nspname) in (SEEDS) and c.relkind in ('r', 'p'))
 union
 select x.oid from own o cross join lateral (
  select k.conrelid from pg_depend p join pg_constraint k on k.oid = p.objid and k.contype = 'f' and k.confrelid = o.oid
   where p.refclassid = 'pg_class'::regclass and p.refobjid = o.oid and p.classid = 'pg_constraint'::regclass
  union all select h.inhparent from pg_inherits h where h.inhrelid = o.oid
  union all select h.inhrelid from pg_inherits h where h.inhparent = o.oid) x (oid)
), near (oid) as (
 (select oid from own union select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where (c.relname, n.nspname) in (SHARED) and c.relkind in ('r', 'p'))
 union
 select x.oid from near o cross join lateral (
  select k.confrelid from pg_constraint k where k.conrelid = o.oid and k.contype = 'f'
  union all select h.inhparent from pg_inherits h where h.inhrelid = o.oid
  union all select h.inhrelid from pg_inherits h where h.inhparent = o.oid) x (oid)
)
`

// Graph reads every table of the database, save the catalog's and Tenure's own.
func (dialect) Graph(ctx context.Context, q relational.Querier) (*relational.Graph, error) {
	return graph(ctx, q, nil, relationsSQL, keysSQL, checksSQL)
}

// graphOf reads what a tenant's rows in a schema, or in the tables that the
// coverage names, can have to do with; column is the tenant column, if there is one.
func graphOf(ctx context.Context, q relational.Querier, schema, column string, c relational.Coverage) (*relational.Graph, error) {
	seeds := relational.Coverage{Tables: c.Tables, Columns: c.Columns}.Seeds(schema)
	shared := relational.Coverage{Shared: c.Shared}.Seeds(schema)
	near := strings.NewReplacer("SCHEMA", literal(schema), "SEEDS", values(seeds), "SHARED", values(shared)).Replace(nearSQL)
	const among = " = any (array(select oid from near))"
	return graph(ctx, q, append([]string{column}, c.Aliases...), near+relationsSQL+" and c.oid"+among, near+keysSQL+" and k.conrelid"+among+" and k.confrelid"+among, near+checksSQL+" and k.conrelid"+among)
}

func values(names []relational.TableName) string {
	out := []string{"(null, null)"}
	for _, n := range names {
		out = append(out, "("+literal(n.Name)+", "+literal(n.Schema)+")")
	}
	return "values " + strings.Join(out, ", ")
}

// relations are tables by their oids, with the root of each.
type relations struct {
	tables map[string]*relational.Table
	parent map[string]string
	tells  []string // names of tenant columns
}

// root is the table that shows the rows of another. An heir that adds the tenant
// column stands by itself: its root can't tell whose its rows are.
func (r relations) root(oid string) *relational.Table {
	for i := 0; i < 100; i++ {
		up := r.tables[r.parent[oid]]
		if up == nil || slices.ContainsFunc(r.tells, func(c string) bool { return c != "" && r.tables[oid].Has(c) && !up.Has(c) }) {
			break
		}
		oid = r.parent[oid]
	}
	return r.tables[oid]
}

func graph(ctx context.Context, q relational.Querier, tells []string, relationsSQL, keysSQL, checksSQL string) (*relational.Graph, error) {
	all := relations{tables: map[string]*relational.Table{}, parent: map[string]string{}, tells: tells}
	err := each(ctx, q, relationsSQL, 9, func(v []string) {
		t := &relational.Table{TableName: relational.TableName{Schema: v[1], Name: v[2]}, Parts: v[3] == "true", Hidden: v[4] == "true", Code: v[8] == "true"}
		var columns [][5]any
		_ = json.Unmarshal([]byte(v[6]), &columns)
		for _, c := range columns {
			column := relational.Column{}
			column.Name, _ = c[0].(string)
			column.Type, _ = c[1].(string)
			column.Required, _ = c[2].(bool)
			column.Generated, _ = c[3].(bool)
			if own, is := c[4].([]any); is {
				if schema, is := own[0].(string); is {
					column.Equal = equalIn(schema)
				}
				column.Unhashed, _ = own[1].(bool)
			}
			t.Columns = append(t.Columns, column)
		}
		_ = json.Unmarshal([]byte(v[7]), &t.Key)
		all.tables[v[0]], all.parent[v[0]] = t, v[5]
	})
	if err != nil {
		return nil, err
	}
	keys, err := all.keys(ctx, q, keysSQL)
	if err != nil {
		return nil, err
	}
	if err := all.checks(ctx, q, checksSQL); err != nil {
		return nil, err
	}
	var tables []relational.Table
	for oid, t := range all.tables {
		root := all.root(oid)
		root.Code = root.Code || t.Code
	}
	for oid, t := range all.tables {
		if all.root(oid) == t {
			tables = append(tables, *t)
		}
	}
	return relational.NewGraph(tables, keys), nil
}

// equalIn is the operator = of a schema.
func equalIn(schema string) string { return "operator(" + quote(schema) + ".=)" }

var onDelete = map[string]relational.OnDelete{
	"a": relational.NoAction, "r": relational.Restrict, "c": relational.Cascade, "n": relational.SetNull, "d": relational.SetDefault,
}

func (r relations) keys(ctx context.Context, q relational.Querier, sql string) (out []relational.ForeignKey, err error) {
	err = each(ctx, q, sql, 12, func(v []string) {
		child, parent := r.root(v[1]), r.root(v[2])
		if child == nil || parent == nil {
			return
		}
		k := relational.ForeignKey{Name: v[0], Child: child.TableName, Parent: parent.TableName, OnDelete: onDelete[v[3]], Deferrable: v[4] == "true", Full: v[5] == "true", Refuses: v[9] == "true"}
		if r.tables[v[1]] != child || r.tables[v[2]] != parent {
			k.Name += " of " + r.tables[v[1]].Name + " to " + r.tables[v[2]].Name
		}
		_ = json.Unmarshal([]byte(v[6]), &k.Columns)
		_ = json.Unmarshal([]byte(v[7]), &k.Parents)
		_ = json.Unmarshal([]byte(v[8]), &k.Sets)
		_ = json.Unmarshal([]byte(v[10]), &k.Equal)
		_ = json.Unmarshal([]byte(v[11]), &k.Collate)
		for i, schema := range k.Equal {
			if schema != "" {
				k.Equal[i] = equalIn(schema)
			}
		}
		lacks := func(t *relational.Table) func(string) bool { return func(c string) bool { return !t.Has(c) } }
		if slices.ContainsFunc(k.Columns, lacks(child)) || slices.ContainsFunc(k.Parents, lacks(parent)) {
			return // a column that an heir adds to its root's
		}
		out = append(out, k)
	})
	return out, err
}

// checks finds which columns a check doesn't let be null together: those for
// which it is false when they are. One that can't be evaluated lets none be null.
func (r relations) checks(ctx context.Context, q relational.Querier, sql string) error {
	type check struct {
		t       *relational.Table
		columns []string
	}
	var all []check
	var selects []string
	err := each(ctx, q, sql, 4, func(v []string) {
		t := r.root(v[0])
		if t == nil {
			return
		}
		var columns [][2]string
		_ = json.Unmarshal([]byte(v[2]), &columns)
		var names, nulls []string
		for _, c := range columns {
			names, nulls = append(names, c[0]), append(nulls, "null::"+c[1]+" as "+quote(c[0]))
		}
		if v[3] != "true" {
			for _, n := range names {
				t.Checks = append(t.Checks, []string{n})
			}
			return
		}
		all = append(all, check{t, names})
		selects = append(selects, "select coalesce(("+v[1]+")::text, '') from (select "+strings.Join(nulls, ", ")+") x")
	})
	if err != nil || len(all) == 0 {
		return err
	}
	i := 0
	return each(ctx, q, strings.Join(selects, " union all "), 1, func(v []string) {
		if v[0] == "false" {
			all[i].t.Checks = append(all[i].t.Checks, all[i].columns)
		}
		i++
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
