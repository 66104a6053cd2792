package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// thing is an object of a database, or of the server, on which somebody may have
// rights that nothing declares.
type thing struct {
	kind   string // table, view, sequence, column, schema, function, …
	says   string // its name for people, with its kind
	on     string // as grant and revoke name it
	column string // quoted, of a column
	schema string
	owner  string
	acl    []aclItem
	key    string              // in the ledger; "" if no grant can be declared on it
	place  *connector.Declared // the tenant's store that it stands in; nil if it is the platform's

	view       oid
	past       []string // tables whose row security the view, with its owner's rights, goes past
	definer    bool     // runs with its owner's rights
	secured    bool     // row security is on
	tenants    bool     // has a tenant column
	misplaced  bool     // its owner isn't that of its schema
	everybody  bool     // PUBLIC may use it since nothing says otherwise
	foundation bool     // it is Tenure's own
}

// reachSQL reads from a database everything on which somebody was given a right,
// and everything that has another owner than its schema. What the server or an
// extension gave when it was made doesn't count (pg_init_privs).
const reachSQL = `select n.nspname, pg_get_userbyid(n.nspowner), n.nspacl::text from pg_namespace n
 where (n.nspacl is not null or n.nspowner <> $user) and n.nspname !~ '^pg_(toast|temp)';
select n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner), c.relacl::text, c.oid, c.relrowsecurity, c.relowner <> n.nspowner,
 'security_invoker' = any (select lower(split_part(o, '=', 1)) from unnest(c.reloptions) o where lower(split_part(o, '=', 2)) in ('true', 'on', '1', 'yes')),
 exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = $columns and not a.attisdropped), i.initprivs::text
 from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_init_privs i on i.objoid = c.oid and i.classoid = 'pg_class'::regclass and i.objsubid = 0
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and (c.relacl is not null and i.initprivs is distinct from c.relacl or c.relowner <> n.nspowner) and n.nspname !~ '^pg_(toast|temp)';
select n.nspname, c.relname, a.attname, pg_get_userbyid(c.relowner), a.attacl::text, i.initprivs::text
 from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 left join pg_init_privs i on i.objoid = c.oid and i.classoid = 'pg_class'::regclass and i.objsubid = a.attnum
 where a.attacl is not null and not a.attisdropped and i.initprivs is distinct from a.attacl;
select n.nspname, quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_userbyid(p.proowner), coalesce(p.proacl::text, ''), p.prosecdef, p.proowner <> n.nspowner,
 p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype), p.proname || '(' || array_to_string(array(select format_type(t, null) from unnest(p.proargtypes::oid[]) t), ',') || ')', i.initprivs::text
 from pg_proc p join pg_namespace n on n.oid = p.pronamespace left join pg_init_privs i on i.objoid = p.oid and i.classoid = 'pg_proc'::regclass
 where (p.proacl is not null and i.initprivs is distinct from p.proacl or (p.prosecdef or p.proowner <> n.nspowner)
  and not exists (select 1 from pg_depend e where e.classid = 'pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e')) and n.nspname !~ '^pg_temp';
select n.nspname, quote_ident(t.typname), pg_get_userbyid(t.typowner), t.typacl::text, i.initprivs::text
 from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_init_privs i on i.objoid = t.oid and i.classoid = 'pg_type'::regclass
 where t.typacl is not null and i.initprivs is distinct from t.typacl;
select o.oid::text, pg_get_userbyid(o.lomowner), o.lomacl::text from pg_largeobject_metadata o where o.lomacl is not null;
select 'foreign server', quote_ident(srvname), pg_get_userbyid(srvowner), srvacl::text, null from pg_foreign_server where srvacl is not null
 union all select 'foreign data wrapper', quote_ident(fdwname), pg_get_userbyid(fdwowner), fdwacl::text, null from pg_foreign_data_wrapper where fdwacl is not null
 union all select 'language', quote_ident(lanname), pg_get_userbyid(lanowner), lanacl::text, i.initprivs::text from pg_language l left join pg_init_privs i on i.objoid = l.oid and i.classoid = 'pg_language'::regclass
  where lanacl is not null and i.initprivs is distinct from lanacl;
select pg_get_userbyid(f.defaclrole), coalesce(n.nspname, ''), f.defaclobjtype, f.defaclacl::text from pg_default_acl f left join pg_namespace n on n.oid = f.defaclnamespace;
select srvname, case when umuser = 0 then '' else usename end from pg_user_mappings;
select pg_get_userbyid(d.refobjid), pg_describe_object(d.classid, d.objid, 0) from pg_shdepend d
 where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and d.dbid in (0, (select oid from pg_database where datname = current_database())) and d.classid in ('pg_publication'::regclass,
 'pg_subscription'::regclass, 'pg_foreign_server'::regclass, 'pg_foreign_data_wrapper'::regclass, 'pg_event_trigger'::regclass, 'pg_extension'::regclass, 'pg_language'::regclass, 'pg_tablespace'::regclass);
select n.nspname, x.kind || ' ' || quote_ident(n.nspname) || '.' || x.name, pg_get_userbyid(x.owner) from (
 select 'type' as kind, quote_ident(typname) as name, typnamespace as ns, typowner as owner from pg_type where typtype in ('d', 'e', 'r') or typtype = 'b' and typelem = 0
 union all select 'operator', oprname, oprnamespace, oprowner from pg_operator union all select 'operator class', quote_ident(opcname), opcnamespace, opcowner from pg_opclass
 union all select 'operator family', quote_ident(opfname), opfnamespace, opfowner from pg_opfamily union all select 'collation', quote_ident(collname), collnamespace, collowner from pg_collation
 union all select 'conversion', quote_ident(conname), connamespace, conowner from pg_conversion union all select 'text search configuration', quote_ident(cfgname), cfgnamespace, cfgowner from pg_ts_config
 union all select 'text search dictionary', quote_ident(dictname), dictnamespace, dictowner from pg_ts_dict union all select 'statistics', quote_ident(stxname), stxnamespace, stxowner from pg_statistic_ext) x
 join pg_namespace n on n.oid = x.ns where x.owner <> n.nspowner and n.nspname !~ '^pg_(toast|temp)'`

// ownOID is the role that a session acts as.
const ownOID = "(select oid from pg_roles where rolname = current_user)"

// found is what reachSQL gave.
type found struct {
	things   []thing
	defaults []defaults
	mappings [][2]string // foreign server, role
	owned    [][2]string // role, what it owns
}

// defaults are rights that are given on what a role makes from now on.
type defaults struct {
	of, schema string
	kind       byte // pg_default_acl.defaclobjtype
	acl        []aclItem
}

func relationKind(relkind byte) string {
	switch relkind {
	case 'v':
		return "view"
	case 'm':
		return "materialized view"
	case 'f':
		return "foreign table"
	case 'S':
		return "sequence"
	}
	return "table"
}

// rights reads a database; own is the tenant whose own the whole of it is.
func (l *ledger) rights(ctx context.Context, s *session, own *connector.Declared) (*found, error) {
	f := &found{}
	add := func(t thing, acl, initial []byte) {
		if t.acl = since(parseACL(string(acl)), parseACL(string(initial))); t.place == nil {
			if t.place = own; own == nil {
				t.place = l.schema(t.schema)
			}
		}
		t.foundation = keptSchema(t.schema)
		f.things = append(f.things, t)
	}
	columns := make([]string, 0, len(l.columns)+1)
	for c := range l.columns {
		columns = append(columns, c)
	}
	tenants := anyOf(append(sorted(columns), ""))
	sql := strings.NewReplacer("$user", ownOID, "$columns", tenants).Replace(reachSQL)
	err := s.simple(ctx, sql, func(result int, v [][]byte) error {
		text := func(i int) string { return string(v[i]) }
		switch result {
		case 0:
			add(thing{kind: "schema", says: "schema " + text(0), on: "schema " + quote(text(0)), schema: text(0), owner: text(1), key: onSchema(text(0))}, v[2], nil)
		case 1:
			kind := relationKind(v[2][0])
			t := thing{kind: kind, says: kind + " " + text(0) + "." + text(1), on: "table " + quote(text(0), text(1)), schema: text(0), owner: text(3), key: onTable(text(0), text(1)),
				secured: yes(v[6]), misplaced: yes(v[7]), tenants: yes(v[9])}
			if kind == "sequence" {
				t.on = "sequence " + quote(text(0), text(1))
			}
			if kind == "materialized view" || kind == "view" && !yes(v[8]) {
				t.view, t.definer = oidOf(v[5]), true
			}
			add(t, v[4], v[10])
		case 2:
			add(thing{kind: "column", says: "column " + text(2) + " of " + text(0) + "." + text(1), on: "table " + quote(text(0), text(1)), column: quote(text(2)), schema: text(0), owner: text(3),
				key: onTable(text(0), text(1))}, v[4], v[5])
		case 3:
			add(thing{kind: "function", says: "function " + text(0) + "." + text(1), on: "routine " + quote(text(0)) + "." + text(1), schema: text(0), owner: text(2), key: onFunction(text(0), text(7)),
				definer: yes(v[4]) && !yes(v[6]), misplaced: yes(v[5]), everybody: len(v[3]) == 0}, v[3], v[8])
		case 4:
			add(thing{kind: "type", says: "type " + text(0) + "." + text(1), on: "type " + quote(text(0)) + "." + text(1), schema: text(0), owner: text(2)}, v[3], v[4])
		case 5:
			add(thing{kind: "large object", says: "large object " + text(0), on: "large object " + text(0), owner: text(1), place: l.role(text(1))}, v[2], nil)
		case 6:
			add(thing{kind: text(0), says: text(0) + " " + text(1), on: text(0) + " " + text(1), owner: text(2)}, v[3], v[4])
		case 7:
			f.defaults = append(f.defaults, defaults{of: text(0), schema: text(1), kind: v[2][0], acl: parseACL(text(3))})
		case 8:
			f.mappings = append(f.mappings, [2]string{text(0), text(1)})
		case 9:
			f.owned = append(f.owned, [2]string{text(0), text(1)})
		case 10:
			kind, _, _ := strings.Cut(text(1), " ")
			add(thing{kind: kind, says: text(1), schema: text(0), owner: text(2), misplaced: true}, nil, nil)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, l.pasts(ctx, s, f, tenants)
}

// pastSQL follows views to the tables that they read with their owner's rights.
const pastSQL = `with recursive b (view, at) as (select v, v from unnest($views::oid[]) v
 union select b.view, d.refobjid from b join pg_rewrite r on r.ev_class = b.at
 join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class)
select b.view, n.nspname, c.relname, c.relrowsecurity or exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = $columns)
 from b join pg_class c on c.oid = b.at join pg_namespace n on n.oid = c.relnamespace where b.at <> b.view and c.relkind in ('r', 'p', 'f') order by 1, 2, 3`

// pasts says of each view which tables of tenants' rows it reads past row security.
func (l *ledger) pasts(ctx context.Context, s *session, f *found, columns string) error {
	views := map[oid]*thing{}
	var list []oid
	for i := range f.things {
		if t := &f.things[i]; t.view != 0 && len(t.acl) > 0 {
			views[t.view] = t
			list = append(list, t.view)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return s.simple(ctx, strings.NewReplacer("$views", array(list), "$columns", columns).Replace(pastSQL), func(_ int, v [][]byte) error {
		t, from := views[oidOf(v[0])], l.schema(string(v[1]))
		if from != nil && t.place != nil && from.Tenant == t.place.Tenant {
			return nil // its own tenant's
		}
		if yes(v[3]) || from != nil {
			t.past = append(t.past, string(v[1])+"."+string(v[2]))
		}
		return nil
	})
}

// leaks ranks what a right of a tenant's role on a thing of the platform's means.
func (t thing) leaks(letters string) tenure.Severity {
	switch t.kind {
	case "table", "view", "materialized view", "foreign table", "column", "large object":
		return tenure.Critical
	case "function":
		if t.definer {
			return tenure.Critical
		}
		return tenure.Medium
	case "schema", "database":
		if strings.Contains(letters, "C") {
			return tenure.Critical
		}
	case "type", "language", "tablespace":
		return tenure.Medium
	}
	return tenure.High
}
