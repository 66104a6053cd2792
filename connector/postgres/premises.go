package postgres

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// premises are a tenant's own schema or database, of which every table may hold code
// that the tenant wrote: an index expression or a check runs when rows are only counted,
// as the planner evaluates what it can. So no session but a deputy's reads tables there.
type premises struct {
	schema string // "" is the whole database
	owner  string // the role that they belong to
}

func (p premises) has(n relational.TableName) bool { return p.schema == "" || n.Schema == p.schema }

// tenantsSQL reads which of some roles are a tenant's, or have one among their members:
// what such a role owns isn't trusted. Where marks aren't kept a role's comment tells,
// which is out of its own reach.
const tenantsSQL = `with recursive asked (oid, name) as (select r.oid, r.rolname from pg_roles r where r.rolname = ROLES and not r.rolsuper),
 inside (root, oid) as (select oid, oid from asked union select i.root, m.member from inside i join pg_auth_members m on m.roleid = i.oid)
select a.name, (i.oid = i.root)::text from inside i join pg_shdescription d on d.objoid = i.oid and d.classoid = 'pg_authid'::regclass and left(d.description, 7) = 'tenure:' join asked a on a.oid = i.root
 MARKS union select name, 'true' from asked where name = '` + heirRole + `'`

// tenantsOf are those of the roles that are a tenant's.
func tenantsOf(ctx context.Context, s *session, roles []string) (map[string]bool, error) {
	out, err := tenantsAmong(ctx, s, roles)
	for r := range out {
		out[r] = true
	}
	return out, err
}

// tenantsAmong are those of the roles that are a tenant's, true if themselves and not only
// by a member.
func tenantsAmong(ctx context.Context, s *session, roles []string) (map[string]bool, error) {
	out := map[string]bool{}
	roles = sorted(slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return r == "" }))
	if len(roles) == 0 {
		return out, nil
	}
	marked, err := keeps(ctx, s, "mark")
	if err != nil {
		return nil, err
	}
	marks := ""
	if marked {
		marks = "union select a.name, (i.oid = i.root)::text from inside i join tenure.mark m on m.type = 'role' and m.site = " + siteSQL + " and m.object = i.oid join asked a on a.oid = i.root"
	}
	err = s.simple(ctx, replaced(tenantsSQL, "ROLES", anyOf(roles), "MARKS", marks), func(_ int, v [][]byte) error {
		out[string(v[0])] = out[string(v[0])] || string(v[1]) == "true"
		return nil
	})
	return out, err
}

// madeSQL reads who has made things in schemas, or may make some there, and whose
// functions triggers there run.
const madeSQL = `with inside (classid, objid, ns) as materialized (select d.classid, d.objid, n.oid from pg_namespace n join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid where SCHEMAS),
 tables as materialized (select c.* from inside i join pg_class c on i.classid = 'pg_class'::regclass and c.oid = i.objid)
select distinct pg_get_userbyid(x.role) from (
 select relowner from tables union select p.proowner from inside i join pg_proc p on i.classid = 'pg_proc'::regclass and p.oid = i.objid
 union select t.typowner from inside i join pg_type t on i.classid = 'pg_type'::regclass and t.oid = i.objid
 union select o.oprowner from inside i join pg_operator o on i.classid = 'pg_operator'::regclass and o.oid = i.objid
 union select a.grantee from pg_namespace n, aclexplode(n.nspacl) a where a.privilege_type = 'CREATE' and SCHEMAS
 union select a.grantee from tables c, aclexplode(c.relacl) a where c.relkind in ('r', 'p') and a.privilege_type = 'TRIGGER'
 union select p.proowner from tables c join pg_trigger g on g.tgrelid = c.oid and not g.tgisinternal join pg_proc p on p.oid = g.tgfoid) x (role)
 where x.role <> 0`

// premises are those of a whole store, by the roles that it may belong to, the likeliest
// first; nil if all there is Tenure's own or the platform's. A schema of "" is the
// session's database.
func (d *Driver) premises(ctx context.Context, s *session, schema string, owners ...string) (*premises, error) {
	p := premises{schema: schema}
	in := slices.DeleteFunc(owners, func(o string) bool { return o == "" || o == d.user })
	there, err := textsOf(ctx, s, "select rolname from pg_roles where not rolsuper and rolname = "+anyOf(in))
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(in, func(o string) bool { return slices.Contains(there, o) }); i >= 0 {
		p.owner = in[i]
		return &p, nil
	}
	all, err := textsOf(ctx, s, replaced(madeSQL, "SCHEMAS", p.schemas()))
	if err != nil {
		return nil, err
	}
	theirs, err := tenantsOf(ctx, s, all)
	if err != nil || len(theirs) == 0 {
		return nil, err
	}
	p.owner = slices.Sorted(maps.Keys(theirs))[0]
	return &p, nil
}

// keepsSQL counts the tables of Tenure's that are there: whoever owns a database may
// have made others of their names, and what is read there would be the tenant's code.
const keepsSQL = `select count(*)::text from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner join pg_roles o on o.oid = n.nspowner
 where n.nspname = 'tenure' and c.relkind = 'r' and (r.rolsuper or r.rolname = current_user)
 and not exists (select 1 from pg_shdescription d where d.objoid = o.oid and d.classoid = 'pg_authid'::regclass and left(d.description, 7) = 'tenure:') and c.relname = `

// keeps says that Tenure keeps such tables in the session's database.
func keeps(ctx context.Context, s *session, tables ...string) (bool, error) {
	n, err := textsOf(ctx, s, keepsSQL+anyOf(tables))
	return err == nil && n[0] == strconv.Itoa(len(tables)), err
}

// shut is Blocked if a table of the class belongs to a tenant's role elsewhere: what isn't
// read isn't erased, and none of it may count as gone.
func (at reading) shut(ctx context.Context, s *session, class string) error {
	all, err := at.all(ctx, s)
	if err != nil || !slices.ContainsFunc(all.Tables, func(t relational.Reached) bool { return t.Table.Alien && !all.Own(t.Table.TableName) }) {
		return err
	}
	here, err := at.here(ctx, s)
	if err != nil {
		return err
	}
	for _, p := range unread(all, here, reading{}, nil) {
		if p.Kind == connector.PlaceTable && p.Blocks && (class == "" || p.Class == class) {
			return tenure.Errorf(tenure.Blocked, "%s", p.Says).WithHint("%s", p.Fix)
		}
	}
	return nil
}

// unread are the places of tables of tenants' roles that no session reads, and what the
// catalog alone tells of a whole store that a deputy reads.
func unread(all, here *relational.Holding, at reading, order []string) (out []connector.Place) {
	if at.deputise != nil {
		for _, p := range all.Objections(order) {
			if !slices.ContainsFunc(here.Objections(order), func(o connector.Place) bool { return o.Name == p.Name && o.Kind == p.Kind }) {
				out = append(out, p)
			}
		}
	}
	for _, t := range all.Tables {
		n := t.Table.TableName
		if _, read := here.Table(n); !read && !all.Own(n) {
			out = append(out, connector.Place{Name: n.String(), Kind: connector.PlaceTable, Class: all.Classes[n], Via: t.Via, Blocks: all.Classes[n] != "",
				Says: n.String() + " belongs to a tenant's role, whose code would run with Tenure's rights if it were read",
				Fix:  "alter table " + n.String() + " owner to the role of the platform's application, which no tenant is a member of"})
		}
	}
	for _, k := range changing(all.Graph, here.Graph) {
		child, _ := all.Graph.Table(k.Child)
		if class := here.Classes[k.Parent]; class != "" && child.Alien && child.Code && !all.Own(k.Child) {
			out = append(out, connector.Place{Name: k.Link(), Kind: connector.PlaceCode, Class: class, Via: "→ " + k.Parent.String(), Blocks: true,
				Says: "rows of " + k.Child.String() + ", which belongs to a tenant's role, change when rows of " + k.Parent.String() + " go, and triggers there would run with Tenure's rights",
				Fix:  "alter table " + k.Child.String() + " drop constraint " + k.Name + "; or drop the triggers"})
		}
	}
	return append(out, crossing(all, at)...)
}

// lurkingSQL reads to whom belongs what some tables run: those that refer to them,
// however far, and have rows that change when theirs go, with their parts; the functions
// of triggers; and the functions, types and operators by which triggers, checks, defaults,
// policies and indexes are written.
const lurkingSQL = `with recursive here (oid, named) as (select c.oid, true from pg_class c join pg_namespace n on n.oid = c.relnamespace where (c.relname, n.nspname) in (NAMES)
 union select x.oid, false from here h, lateral (select i.inhrelid from pg_inherits i where i.inhparent = h.oid
  union all select k.conrelid from pg_trigger r join pg_constraint k on k.oid = r.tgconstraint and k.contype = 'f' and k.confdeltype in ('c', 'n', 'd') where r.tgisinternal and r.tgrelid = h.oid and k.confrelid = h.oid) x (oid)),
code as (select h.oid, g.oid as trigger, g.tgname, c.relowner, g.tgfoid from here h join pg_class c on c.oid = h.oid join pg_trigger g on g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled in ('O', 'A')),
parts as (select h.oid, d.classid, d.objid from here h join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = h.oid
 and d.classid in ('pg_trigger'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass, 'pg_class'::regclass, 'pg_policy'::regclass) where h.named)
select pg_get_userbyid(relowner), 'trigger ' || tgname || ' of ' || oid::regclass from code
union select pg_get_userbyid(p.proowner), 'trigger ' || tgname || ' of ' || code.oid::regclass from code join pg_proc p on p.oid = tgfoid
union select pg_get_userbyid(coalesce(p.proowner, t.typowner, o.oprowner)), pg_describe_object(x.classid, x.objid, 0) from parts x join pg_depend r on r.classid = x.classid and r.objid = x.objid
 left join pg_proc p on r.refclassid = 'pg_proc'::regclass and p.oid = r.refobjid left join pg_type t on r.refclassid = 'pg_type'::regclass and t.oid = r.refobjid
 left join pg_operator o on r.refclassid = 'pg_operator'::regclass and o.oid = r.refobjid where coalesce(p.oid, t.oid, o.oid) is not null`

// lurks names something that a tenant made and that would run in Tenure's own session
// when rows of the tables go, or change; "" if there is nothing.
func lurks(ctx context.Context, s *session, tables []relational.TableName) (string, error) {
	if s.deputy != nil || len(tables) == 0 {
		return "", nil
	}
	any, err := textsOf(ctx, s, "select 'yes' from pg_shdescription d where d.classoid = 'pg_authid'::regclass and left(d.description, 7) = 'tenure:' limit 1")
	if err != nil || len(any) == 0 { // no role of the server's is a tenant's
		return "", err
	}
	owners, which := []string(nil), map[string]string{}
	err = s.simple(ctx, replaced(lurkingSQL, "NAMES", values(tables)), func(_ int, v [][]byte) error {
		owners, which[string(v[0])] = append(owners, string(v[0])), string(v[1])
		return nil
	})
	if err != nil {
		return "", err
	}
	theirs, err := tenantsOf(ctx, s, owners)
	for owner := range theirs {
		return which[owner] + ", which is of " + owner + ", a tenant's role", err
	}
	return "", err
}

// lurking is Blocked if code of a tenant's role would run in Tenure's own session.
func lurking(ctx context.Context, s *session, tables []relational.TableName) error {
	what, err := lurks(ctx, s, tables)
	if err != nil || what == "" {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "%s, would run with Tenure's rights", what).WithHint("drop it, or the reference by which its table changes, then retry")
}

// lent are the covered tables' parts that a tenant's role has made.
func (g *ground) lent(ctx context.Context, s *session) (out []connector.Place, err error) {
	var tables []relational.TableName
	for n, h := range g.held {
		if h.class != "" && !g.own(n) {
			tables = append(tables, n)
		}
	}
	what, err := lurks(ctx, s, tables)
	if what != "" {
		out = append(out, connector.Place{Name: what, Kind: connector.PlaceCode, Via: "shared tables", Blocks: true, Says: what + ", would run with Tenure's rights", Fix: "drop it, and revoke trigger and references on shared tables from tenants' roles"})
	}
	return out, err
}

// crossing are references between a whole store that is read by a deputy and tables
// outside: no session may read both.
func crossing(all *relational.Holding, at reading) (out []connector.Place) {
	if at.deputise == nil {
		return nil
	}
	for _, k := range all.Graph.Keys() {
		from, to := all.Own(k.Child), all.Own(k.Parent)
		if from == to || all.Shared(k.Parent) || all.Shared(k.Child) {
			continue
		}
		if class := all.Classes[k.Child]; to && (class == "" || all.TenantColumn(k.Child) == "") {
			out = append(out, connector.Place{Name: k.Link(), Kind: connector.PlaceReference, Class: all.Classes[k.Parent], Via: "→ " + k.Parent.String(), Blocks: true,
				Says: "rows of " + k.Child.String() + " refer to " + k.Parent.String() + " of the tenant's own, and nothing else says whose they are",
				Fix:  "alter table " + k.Child.String() + " drop constraint " + k.Name + "; or cover it by its tenant column, with key and column"})
		}
	}
	return out
}
