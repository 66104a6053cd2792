package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// features are the rights that only some resources ask for.
func (c *checkup) features(ctx context.Context, asked []connector.Asked) error {
	const databases, rows = "databases of tenants' own", "rows of shared tables with row security"
	if asked == nil {
		c.needs(c.has("createdb"), connector.RightOptional, "createdb", databases, c.alter("createdb"))
		c.needs(c.has("bypassrls"), connector.RightOptional, "bypassrls", rows, c.alter("bypassrls"))
		return nil
	}
	a := asks{checkup: c, tables: map[relational.TableName][]connector.Asked{}, schemas: map[string][]connector.Asked{}, groups: map[string][]string{}, holders: map[string][]string{}, databases: map[string][]string{}, marked: map[markColumn][]string{}}
	for _, r := range asked {
		a.read(r)
	}
	c.needs(c.has("createdb"), unless(len(a.owned) > 0, connector.RightMissing), "createdb", uses(databases, a.owned), c.alter("createdb"))
	secured, err := a.secured(ctx)
	if err != nil {
		return err
	}
	c.needs(c.has("bypassrls"), unless(len(secured) > 0, connector.RightMissing), "bypassrls", uses(rows, secured), c.alter("bypassrls"))
	for _, part := range []func(context.Context) error{a.owners, a.admins, a.lent, a.marks} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if len(a.open) > 0 {
		slices.Sort(a.open)
		c.Notes = append(c.Notes, "what these name depends on the tenant, and wasn't looked up: "+strings.Join(slices.Compact(a.open), ", "))
	}
	return nil
}

// unless is the state of what isn't held: missing where it is needed.
func unless(needed bool, state connector.RightState) connector.RightState {
	if needed {
		return state
	}
	return connector.RightOptional
}

// uses names the resources that need something.
func uses(what string, keys []string) string {
	if len(keys) == 0 {
		return what + ", of which the blueprint has none"
	}
	slices.Sort(keys)
	return what + ": " + strings.Join(slices.Compact(keys), ", ")
}

// asks are what a blueprint's resources name, as far as it is written out.
type asks struct {
	*checkup
	owned     []string // the keys of databases of tenants' own
	policies  []string // of policies, which switch row security on
	tables    map[relational.TableName][]connector.Asked
	columns   []tenantColumn
	schemas   map[string][]connector.Asked // on which something is granted
	groups    map[string][]string          // by name: which resources make their roles members
	holders   map[string][]string          // by name: which resources belong to the role
	databases map[string][]string          // by name: the privileges that are granted on it
	own       []string                     // roles of the blueprint's own
	marked    map[markColumn][]string      // which resources put an owner mark there
	open      []string                     // keys of resources whose names depend on the tenant
}

// tenantColumn is the column by which rows anywhere are a tenant's.
type tenantColumn struct{ key, name string }

// markColumn is where rows of a table bear an owner mark.
type markColumn struct {
	table  relational.TableName
	column string
}

func (a *asks) read(r connector.Asked) {
	names := func(attribute string) []string {
		list, open := spelled(r.Attributes[attribute])
		if open {
			a.open = append(a.open, r.Key)
		}
		return list
	}
	switch r.Type {
	case "database":
		a.owned = append(a.owned, r.Key)
	case "role":
		a.own = append(a.own, r.Name)
		for _, m := range names("memberOf") {
			a.groups[m] = append(a.groups[m], r.Key)
		}
	case "policy":
		a.policies = append(a.policies, r.Key)
	case "rows":
		for _, column := range names("column") {
			a.columns = append(a.columns, tenantColumn{r.Key, column})
		}
	}
	if r.Type == "schema" || r.Type == "database" {
		for _, owner := range names("owner") {
			a.holders[owner] = append(a.holders[owner], r.Key)
		}
	}
	switch schemas := names("schema"); {
	case r.Type == "database":
	case r.Type == "schema": // of its tables those elsewhere are named with their schemas
		a.named(r, "", slices.Concat(names("tables"), columnsOf(r)))
	case len(schemas) == 0 && r.Attributes["schema"] == nil && relational.IsRecord(r.Type):
		a.named(r, "public", names("table"))
	default:
		for _, schema := range schemas {
			if r.Type == "grant" {
				a.schemas[schema] = append(a.schemas[schema], r)
			}
			a.named(r, schema, slices.Concat(names("tables"), names("table"), names("sequences"), names("functions"), columnsOf(r)))
		}
	}
	if relational.IsRecord(r.Type) {
		or := func(attribute, otherwise string) []string {
			if r.Attributes[attribute] == nil {
				return []string{otherwise}
			}
			list, _ := spelled(r.Attributes[attribute])
			return list
		}
		schemas, columns := or("schema", "public"), or("markColumn", relational.MarkColumn)
		tables, _ := spelled(r.Attributes["table"])
		for _, schema := range schemas {
			for _, table := range tables {
				for _, column := range columns {
					m := markColumn{relational.TableName{Schema: schema, Name: table}, column}
					a.marked[m] = append(a.marked[m], r.Key)
				}
			}
		}
	}
	if r.Type == "grant" {
		for _, db := range names("database") {
			privileges, _ := spelled(r.Attributes["privileges"])
			a.databases[db] = append(a.databases[db], privileges...)
		}
	}
}

// marks looks whether tables whose rows are to bear an owner mark have a column for it.
func (a *asks) marks(ctx context.Context) error {
	for _, m := range slices.SortedFunc(maps.Keys(a.marked), func(x, y markColumn) int {
		return cmp.Or(x.table.Compare(y.table), strings.Compare(x.column, y.column))
	}) {
		lacks, err := textsOf(ctx, a.session, "select 'yes' from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = "+literal(m.table.Schema)+" and c.relname = "+literal(m.table.Name)+
			" and not exists (select 1 from pg_attribute b where b.attrelid = c.oid and b.attname = "+literal(m.column)+" and not b.attisdropped)")
		if err != nil {
			return err
		}
		if len(lacks) > 0 {
			a.needs(false, connector.RightMissing, "column "+m.column+" of "+m.table.String(), uses("owner marks of rows", a.marked[m]),
				"alter table "+quote(m.table.Schema, m.table.Name)+" add column "+quote(m.column)+" text")
		}
	}
	return nil
}

// columnsOf are the tables that have the tenant column by another name.
func columnsOf(r connector.Asked) (tables []string) {
	all, _ := r.Attributes["columns"].(map[string]any)
	for table, column := range all {
		if column != "" { // which says that the table hasn't any
			tables = append(tables, table)
		}
	}
	return tables
}

// named adds tables of a schema, or of the one that a name says itself.
func (a *asks) named(r connector.Asked, schema string, tables []string) {
	for _, t := range sorted(tables) {
		n := relational.TableName{Schema: schema, Name: t}
		if in, name, qualified := strings.Cut(t, "."); qualified && (r.Type == "rows" || r.Type == "schema") {
			n = relational.TableName{Schema: in, Name: name}
		}
		if n.Name != "*" && n.Schema != "" {
			a.tables[n] = append(a.tables[n], r)
		}
	}
}

// secured are the resources whose tables have row security, or get it.
func (a *asks) secured(ctx context.Context) (keys []string, err error) {
	keys = slices.Clone(a.policies)
	err = a.session.simple(ctx, "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relrowsecurity and (c.relname, n.nspname) in ("+values(slices.Collect(maps.Keys(a.tables)))+")", func(_ int, v [][]byte) error {
		for _, r := range a.tables[relational.TableName{Schema: string(v[0]), Name: string(v[1])}] {
			if r.Type != "grant" {
				keys = append(keys, r.Key)
			}
		}
		return nil
	})
	for _, column := range a.columns {
		if err != nil {
			break
		}
		var any []string
		any, err = textsOf(ctx, a.session, "select 'yes' from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid where c.relrowsecurity and not a.attisdropped and a.attname = "+literal(column.name)+" and "+notOurs+" limit 1")
		if len(any) > 0 {
			keys = append(keys, column.key)
		}
	}
	return keys, err
}

// ownersSQL reads who owns tables, functions and schemas, whether that is a superuser,
// whether Tenure's role has the owner's rights, whether it may change the rows without,
// and what statements call the thing.
const ownersSQL = `select n.nspname, c.relname, o.rolname, o.rolsuper, pg_has_role(o.oid, 'usage'),
 has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'),
 coalesce((select 'table ' || d.refobjid::regclass from pg_depend d where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') limit 1),
  case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table' end || format(' %I.%I', n.nspname, c.relname))
 from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles o on o.oid = c.relowner where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and (c.relname, n.nspname) in (TABLES)
union all select f.schema, f.called, o.rolname, o.rolsuper, pg_has_role(o.oid, 'usage'), false, 'function ' || p.oid::regprocedure from (FUNCTIONS) f (called, schema, name) join pg_namespace n on n.nspname = f.schema
 join pg_proc p on p.pronamespace = n.oid and p.proname = f.name join pg_roles o on o.oid = p.proowner
union all select n.nspname, '', o.rolname, o.rolsuper, pg_has_role(o.oid, 'usage'), false, format('schema %I', n.nspname) from pg_namespace n join pg_roles o on o.oid = n.nspowner where n.nspname = SCHEMAS order by 1, 2`

// calls are the functions that are named, as ownersSQL takes them: without their types,
// which can be spelled in several ways.
func (a *asks) calls() string {
	out := []string{"(null, null, null)"}
	for n := range a.tables {
		if name, _, is := strings.Cut(n.Name, "("); is {
			out = append(out, "("+literals([]string{n.Name, n.Schema, strings.TrimSpace(name)})+")")
		}
	}
	return "values " + strings.Join(out, ", ")
}

// owners are the roles that own what the resources name.
func (a *asks) owners(ctx context.Context) error {
	type owner struct {
		super bool
		held  bool
		what  []string
		keys  []string
		fixes []string
	}
	all, seen := map[string]*owner{}, map[relational.TableName]bool{}
	sql := replaced(ownersSQL, "TABLES", values(slices.Collect(maps.Keys(a.tables))), "FUNCTIONS", a.calls(), "SCHEMAS", anyOf(slices.Collect(maps.Keys(a.schemas))))
	err := a.session.simple(ctx, sql, func(_ int, v [][]byte) error {
		n := relational.TableName{Schema: string(v[0]), Name: string(v[1])}
		seen[n] = true
		users, what := a.tables[n], n.String()
		if n.Name == "" {
			users, what = a.schemas[n.Schema], "schema "+n.Schema
		}
		if string(v[4]) == "f" && string(v[5]) == "t" { // its rows are all that some need
			users = slices.DeleteFunc(slices.Clone(users), func(r connector.Asked) bool { return relational.IsRecord(r.Type) })
		}
		if len(users) == 0 {
			return nil
		}
		o := all[string(v[2])]
		if o == nil {
			o = &owner{super: string(v[3]) == "t", held: string(v[4]) == "t"}
			all[string(v[2])] = o
		}
		o.what = append(o.what, what)
		for _, r := range users {
			o.keys = append(o.keys, r.Key)
		}
		o.fixes = append(o.fixes, "alter "+string(v[6])+" owner to APPLICATION")
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		o := all[name]
		held, fix, err := a.member(ctx, name)
		if err != nil {
			return err
		}
		if o.super && !a.traits["superuser"] {
			fix = strings.Join(sorted(o.fixes), "; ") + "; grant APPLICATION to " + quote(a.role)
			a.Notes = append(a.Notes, name+" is a superuser, and no other should have its rights: APPLICATION is a role of the platform's application, which is to own "+strings.Join(o.what, ", "))
		}
		if a.traits["superuser"] && !o.super {
			a.lacks = append(a.lacks, "grant "+quote(name)+" to "+grantee)
		}
		a.needs(held, connector.RightMissing, "member of "+name, uses(strings.Join(o.what, ", "), o.keys), fix)
	}
	for n, users := range a.tables {
		if !seen[n] {
			a.Notes = append(a.Notes, fmt.Sprintf("there is no %s, which %s names", n, users[0].Key))
		}
	}
	return nil
}

// admins are the roles that aren't of the blueprint's making and of which it makes others
// members, or owners. To give a thing to a role takes membership; from version 16 on, to
// make somebody a member takes the admin option, and the login that acts for an owner is
// made one.
func (a *asks) admins(ctx context.Context) error {
	names := slices.Concat(slices.Collect(maps.Keys(a.groups)), slices.Collect(maps.Keys(a.holders)))
	for _, name := range sorted(names) {
		if slices.Contains(a.own, name) {
			continue
		}
		keys := slices.Concat(a.groups[name], a.holders[name])
		is, err := textsOf(ctx, a.session, "select concat_ws(' ', case when rolsuper then 'superuser' end, case when pg_has_role(oid, 'usage') then 'member' end, case when pg_has_role(oid, 'member with admin option') then 'admin' end) from pg_roles where rolname = "+literal(name))
		if err != nil {
			return err
		}
		if len(is) == 0 {
			a.Notes = append(a.Notes, fmt.Sprintf("there is no role %s, which %s names", name, keys[0]))
			continue
		}
		_, owns := a.holders[name]
		grant := "grant " + quote(name) + " to " + grantee
		if a.version >= version16 {
			grant += " with admin option"
			if owns {
				grant += ", inherit true"
			}
		}
		if a.traits["superuser"] && !strings.Contains(is[0], "superuser") && (owns || a.version >= version16) {
			a.lacks = append(a.lacks, grant)
		}
		switch {
		case strings.Contains(is[0], "superuser"):
			a.Notes = append(a.Notes, name+" is a superuser, whose rights no tenant may have: name another role in "+strings.Join(sorted(keys), ", "))
		case a.version >= version16 && owns:
			a.needs(strings.Contains(is[0], "member admin"), connector.RightMissing, "member of "+name+" with admin option", uses("things and members of its", keys), to(grant, a.role))
		case a.version >= version16:
			a.needs(strings.Contains(is[0], "admin"), connector.RightMissing, "admin option on "+name, uses("members of its", keys), to(grant, a.role))
		case owns:
			held, fix, err := a.member(ctx, name)
			if err != nil {
				return err
			}
			a.needs(held, connector.RightMissing, "member of "+name, uses("things of its", a.holders[name]), fix)
		}
	}
	return nil
}

// lent are the databases that aren't tenants' own and on which they get rights.
func (a *asks) lent(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(a.databases)) {
		var missing []string
		there, err := textsOf(ctx, a.session, "select 'yes' from pg_database where datname = "+literal(name))
		if err != nil || len(there) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		for _, p := range sorted(a.databases[name]) {
			if !slices.Contains([]string{"connect", "create", "temporary", "temp"}, strings.ToLower(p)) {
				continue
			}
			held, err := textsOf(ctx, a.session, "select 'yes' where has_database_privilege("+literal(name)+", "+literal(p+" with grant option")+")")
			if err != nil {
				return err
			}
			if len(held) == 0 {
				missing = append(missing, strings.ToLower(p))
			}
		}
		a.needs(len(missing) == 0, connector.RightMissing, "grant option on database "+name, "rights on it for tenants' roles",
			"grant "+strings.Join(missing, ", ")+" on database "+quote(name)+" to "+quote(a.role)+" with grant option")
	}
	return nil
}
