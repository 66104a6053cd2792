package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector/relational"
)

// tracedCodeSQL finds the tables for which people's code could run when a query is planned:
// the planner evaluates what it can of indexes, checks, statistics and partition keys. What
// belongs to a superuser is trusted. The second column is false where rows lie on another
// server. TABLES are tables with their parts.
const tracedCodeSQL = `with t as (select unnest(TABLES::oid[]) as oid), o as (
 select t.oid as at, 'pg_class'::regclass as class, t.oid as id from t union all select t.oid, 'pg_class', i.indexrelid from t join pg_index i on i.indrelid = t.oid
 union all select t.oid, 'pg_constraint', k.oid from t join pg_constraint k on k.conrelid = t.oid union all select t.oid, 'pg_statistic_ext', e.oid from t join pg_statistic_ext e on e.stxrelid = t.oid
 union all select t.oid, 'pg_attrdef', f.oid from t join pg_attrdef f on f.adrelid = t.oid join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum and a.attgenerated <> '')
select distinct o.at, true from o join pg_depend d on d.classid = o.class and d.objid = o.id and d.refobjid >= 16384
 left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid left join pg_operator q on d.refclassid = 'pg_operator'::regclass and q.oid = d.refobjid
 left join pg_opclass c on d.refclassid = 'pg_opclass'::regclass and c.oid = d.refobjid left join pg_opfamily f on d.refclassid = 'pg_opfamily'::regclass and f.oid = d.refobjid
 join pg_roles r on r.oid = coalesce(p.proowner, q.oprowner, c.opcowner, f.opfowner) and not r.rolsuper
union all select t.oid, false from t join pg_class c on c.oid = t.oid and c.relkind = 'f'`

// tables reads the tables of the schemas that tenants share: those that aren't among many alike.
func (t *tracing) tables(ctx context.Context) error {
	var in []oid
	for _, n := range t.schemas {
		if !n.alike {
			in = append(in, n.oid)
		}
	}
	if len(in) == 0 {
		return nil
	}
	n, err := nearTo(ctx, t.s, "select null::oid where false", "select c.oid from pg_class c where c.relkind in ('r', 'p') and c.relnamespace "+isOneOf(in))
	if err != nil {
		return err
	}
	if err := n.describe(ctx, t.s); err != nil {
		return err
	}
	t.near = n
	keys, err := n.foreignKeys(ctx, t.s)
	if err != nil {
		return err
	}
	var tables []relational.Table
	var all []oid
	for at, of := range n.tables {
		if root := n.root(at); root == of && slices.ContainsFunc(t.schemas, func(s *tracedSchema) bool { return s.name == of.Schema && !s.alike }) {
			tables = append(tables, of.Table)
		}
		all = append(all, at)
	}
	slices.Sort(all)
	if err := t.code(ctx, n, all); err != nil {
		return err
	}
	if err := t.strangers(ctx, n); err != nil {
		return err
	}
	err = t.s.simple(ctx, basesSQL+" and c.relnamespace "+isOneOf(in), func(_ int, v [][]byte) error {
		if of := n.table(oidOf(v[0])); of != nil {
			t.bases[column{of.TableName, string(v[1])}] = string(v[2])
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.plan = relational.PlanTrace(relational.NewGraph(tables, keys), t.ask.Columns)
	return nil
}

// code finds the tables whose reading could run people's code.
func (t *tracing) code(ctx context.Context, n *near, all []oid) error {
	parts := "(with recursive p (oid) as (select unnest(" + array(all) + "::oid[]) union select h.inhrelid from p join pg_inherits h on h.inhparent = p.oid) select array_agg(oid) from p)"
	return t.s.simple(ctx, strings.ReplaceAll(tracedCodeSQL, "TABLES", parts), func(_ int, v [][]byte) error {
		of := n.root(oidOf(v[0]))
		switch {
		case of == nil:
		case yes(v[1]):
			t.closed[of.TableName] = "an index, a check or a partition calls a function that no superuser owns, which could run"
		default:
			t.closed[of.TableName] = "some of them lie on another server"
		}
		return nil
	})
}

// strangers closes the tables of roles that are a tenant's: they are marked so, or all that
// they own is in one of many schemas that are alike, and this.
func (t *tracing) strangers(ctx context.Context, n *near) error {
	theirs := map[string]bool{}
	owns := map[string]int{}
	for _, s := range t.schemas {
		if s.alike {
			owns[s.owner]++
		}
	}
	var roles []string
	for _, of := range n.tables {
		if of.found && of.owner != "" && !slices.Contains(roles, of.owner) {
			roles = append(roles, of.owner)
		}
		theirs[of.owner] = owns[of.owner] == 1
	}
	if len(roles) > 0 {
		err := t.s.simple(ctx, replaced(tenantsSQL, "ROLES", anyOf(roles), "MARKS", ""), func(_ int, v [][]byte) error {
			theirs[string(v[0])] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	for at, of := range n.tables {
		root := n.root(at)
		if root == nil {
			continue
		}
		if theirs[of.owner] {
			t.closed[root.TableName] = "it belongs to a tenant's role, whose code could run"
		}
		if t.owners[of.owner] && root == n.table(at) {
			t.ownedBy[root.TableName] = relational.TraceID("role", of.owner)
		}
	}
	return nil
}

// tracedAtSQL is the table that shows a relation's rows, 0 in a schema of ALIKE.
const tracedAtSQL = `case when c.relnamespace = any (ALIKE::oid[]) then 0 when c.relispartition then coalesce(pg_partition_root(c.oid)::oid, c.oid) else c.oid end`

// tracedSizesSQL adds up bytes and estimates of rows. SIZE is what a relation takes up.
const tracedSizesSQL = `select c.relnamespace, ` + tracedAtSQL + `, sum(SIZE)::bigint, coalesce(sum(greatest(c.reltuples, 0)) filter (where c.relkind <> 'p'), 0)::bigint, coalesce(bool_or(c.reltuples < 0) filter (where c.relkind <> 'p'), false), bool_or(c.relrowsecurity)
 from pg_class c where c.relkind in ('r', 'm', 'p') and c.oid >= 16384 group by 1, 2`

func (t *tracing) sizes(ctx context.Context) error {
	schemas := map[oid]*tracedSchema{}
	for _, n := range t.schemas {
		n.bytes, n.rows, schemas[n.oid] = 0, 0, n
	}
	row := func(v [][]byte) error {
		n := schemas[oidOf(v[0])]
		if n == nil {
			return nil
		}
		bytes, rows, unknown := int64(number(v[2])), int64(number(v[3])), yes(v[4])
		if n.bytes += bytes; unknown || n.rows < 0 {
			n.rows = -1
		} else {
			n.rows += rows
		}
		of := t.near.root(oidOf(v[1]))
		if of == nil {
			return nil
		}
		f := t.facts[of.TableName]
		if f.Bytes += bytes; unknown || f.Rows < 0 {
			f.Rows = -1
		} else {
			f.Rows += rows
		}
		if yes(v[5]) {
			f.Labels = map[string]string{"row security": "true"}
		}
		t.facts[of.TableName] = f
		return nil
	}
	sql := replaced(tracedSizesSQL, "ALIKE", array(t.alike()))
	done, err := t.tried(ctx, traceSizes, replaced(sql, "SIZE", "coalesce(pg_total_relation_size(c.oid), 0)"), row)
	if err == nil && !done {
		_, err = t.tried(ctx, traceCatalog, replaced(sql, "SIZE", "c.relpages * current_setting('block_size')::bigint"), row)
		t.says("sizes are the server's estimates, without indexes: to ask for them took too long, or a table is locked")
	}
	if err != nil || len(t.databases) > traceDatabases {
		return err
	}
	bytes := map[oid]int64{}
	_, err = t.tried(ctx, traceSizes, "select oid, pg_database_size(oid) from pg_database where has_database_privilege(oid, 'connect')", func(v [][]byte) error {
		bytes[oidOf(v[0])] = int64(number(v[1]))
		return nil
	})
	for _, db := range t.databases {
		if n, known := bytes[db.oid]; known {
			db.bytes = n
		}
	}
	return err
}

// alike are the schemas that aren't shared.
func (t *tracing) alike() (out []oid) {
	for _, n := range t.schemas {
		if n.alike {
			out = append(out, n.oid)
		}
	}
	return out
}

// tracedRightsSQL reads who may read or write relations, by their schema and table, then who
// may create in schemas and who may connect to databases: each owner, and whoever was given a
// right, 0 being everybody. What is in a schema that one mayn't use doesn't count. Last come the
// rights that were given in schemas of ALIKE, those on tables before those on the schema.
const tracedRightsSQL = `with c as (select c.oid, c.relnamespace as ns, c.relacl, c.relowner, ` + tracedAtSQL + ` as at from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f') and ` + notOurs + `),
g as (select c.ns, c.at, c.relowner as who from c union select c.ns, c.at, a.grantee from c, aclexplode(c.relacl) a where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
 union select c.ns, c.at, a.grantee from c join pg_attribute t on t.attrelid = c.oid and t.attacl is not null, aclexplode(t.attacl) a where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE'))
select g.ns, g.at, g.who from g where case when g.who = 0 then has_schema_privilege('public', g.ns, 'usage') else has_schema_privilege(g.who, g.ns, 'usage') end order by 1, 2, 3;
select n.oid, n.nspowner from pg_namespace n union select n.oid, a.grantee from pg_namespace n, aclexplode(n.nspacl) a where a.privilege_type = 'CREATE' order by 1, 2;
select d.oid, d.datdba from pg_database d union select d.oid, a.grantee from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a where a.privilege_type in ('CONNECT', 'CREATE') order by 1, 2;
with g as (select a.grantee as who, c.relnamespace as ns, c.relname::text as rel, string_agg(lower(a.privilege_type), ',' order by lower(a.privilege_type)) as has
 from pg_class c, aclexplode(c.relacl) a where c.relnamespace = any (ALIKE::oid[]) and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.grantee not in (0, c.relowner) group by 1, 2, 3
 union all select a.grantee, n.oid, '', string_agg(lower(a.privilege_type), ',' order by lower(a.privilege_type))
 from pg_namespace n, aclexplode(n.nspacl) a where n.oid = any (ALIKE::oid[]) and a.grantee not in (0, n.nspowner) group by 1, 2)
select ns, who, has, to_jsonb(array_agg(rel order by rel))::text from g group by 1, 2, 3, rel = '' order by 1, 2, rel = '', 3`

// rights notes what each role reaches, save superusers, who reach everything, and what
// everybody does.
func (t *tracing) rights(ctx context.Context) error {
	roles, schemas, within, databases := map[oid]*tracedRole{}, map[oid]string{}, map[oid]*tracedSchema{}, map[oid]string{}
	for _, r := range t.roles {
		if !strings.Contains(r.flags, "S") {
			roles[r.oid] = r
		}
	}
	for _, n := range t.schemas {
		schemas[n.oid], within[n.oid] = t.schemaID(n.name), n
	}
	for _, db := range t.databases {
		databases[db.oid] = relational.TraceID("database", db.name)
	}
	note := func(id string, who oid, all string) {
		if r := roles[who]; r != nil && !slices.Contains(r.reaches[max(0, len(r.reaches)-1):], id) {
			r.reaches = append(r.reaches, id)
		}
		if who == 0 {
			t.open[id] = all
		}
	}
	err := t.s.simple(ctx, replaced(tracedRightsSQL, "ALIKE", array(t.alike())), func(result int, v [][]byte) error {
		switch {
		case result == 0 && oidOf(v[1]) == 0:
			if id := schemas[oidOf(v[0])]; id != "" {
				note(id, oidOf(v[2]), "every role of the server may read or change something in it")
			}
		case result == 0:
			if of := t.near.root(oidOf(v[1])); of != nil {
				note(t.tableID(of.TableName), oidOf(v[2]), "every role of the server may read or change it")
			}
		case result == 1:
			if id := schemas[oidOf(v[0])]; id != "" {
				note(id, oidOf(v[1]), "every role of the server may create in it")
			}
		case result == 2:
			if id := databases[oidOf(v[0])]; id != "" {
				note(id, oidOf(v[1]), "every role of the server may connect to it")
			}
		case result == 3:
			var tables []string
			if r, in := roles[oidOf(v[1])], within[oidOf(v[0])]; r != nil && in != nil && json.Unmarshal(v[3], &tables) == nil && len(tables) > 0 {
				in.given(r.name, strings.Split(string(v[2]), ","), tables)
			}
		}
		return nil
	})
	for _, r := range t.roles {
		slices.Sort(r.reaches)
		r.reaches = slices.Compact(r.reaches)
	}
	return err
}

// marks reads whose marks the things bear, where Tenure keeps any and this login may read them.
func (t *tracing) marks(ctx context.Context) error {
	kept, err := keeps(ctx, t.s, "mark")
	if err != nil || !kept || t.out.Fingerprint == "" {
		return err
	}
	for _, c := range []struct {
		class
		id func(string) string
	}{
		{databaseClass, func(n string) string { return relational.TraceID("database", n) }},
		{roleClass, func(n string) string { return relational.TraceID("role", n) }},
		{schemaClass, t.schemaID},
	} {
		_, err := t.tried(ctx, traceCatalog, "select "+c.columns()+c.from()+"where m.name is not null", func(v [][]byte) error {
			b := t.d.marked(c.class, v)
			_, owner := b.note.Read(t.d.marker, c.typ)
			t.bears[c.id(b.name)] = owner
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
