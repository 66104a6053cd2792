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
const tenantsSQL = `select r.rolname from pg_roles r where r.rolname = ROLES and not r.rolsuper and exists (
 with recursive inside (oid) as (select r.oid union select m.member from inside join pg_auth_members m on m.roleid = inside.oid)
 select 1 from inside join pg_shdescription d on d.objoid = inside.oid and d.classoid = 'pg_authid'::regclass where left(d.description, 7) = 'tenure:'
 MARKS union all select 1 where r.rolname = '` + heirRole + `')`

// tenantsOf are those of the roles that are a tenant's.
func tenantsOf(ctx context.Context, s *session, roles []string) (map[string]bool, error) {
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
		marks = "union all select 1 from inside join tenure.mark m on m.type = 'role' and m.site = " + siteSQL + " and m.object = inside.oid"
	}
	err = s.simple(ctx, replaced(tenantsSQL, "ROLES", anyOf(roles), "MARKS", marks), func(_ int, v [][]byte) error {
		out[string(v[0])] = true
		return nil
	})
	return out, err
}

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
	all, err := textsOf(ctx, s, "select distinct pg_get_userbyid(c.relowner) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f') and "+p.schemas())
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
const keepsSQL = `select count(*)::text from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
 where n.nspname = 'tenure' and c.relkind = 'r' and (r.rolsuper or r.rolname = current_user) and c.relname = `

// keeps says that Tenure keeps such tables in the session's database.
func keeps(ctx context.Context, s *session, tables ...string) (bool, error) {
	n, err := textsOf(ctx, s, keepsSQL+anyOf(tables))
	return err == nil && n[0] == strconv.Itoa(len(tables)), err
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

// lurkingSQL reads the triggers that would run on rows of tables that refer to some
// tables, when rows of these go and the reference has the others change.
const lurkingSQL = `select distinct pg_get_userbyid(c.relowner), 'trigger ' || g.tgname || ' of ' || c.oid::regclass from pg_trigger r join pg_constraint k on k.oid = r.tgconstraint
 join pg_class c on c.oid = k.conrelid join pg_trigger g on g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled in ('O', 'A')
 where r.tgisinternal and k.contype = 'f' and k.confdeltype in ('c', 'n', 'd') and r.tgrelid in (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where (c.relname, n.nspname) in (NAMES))`

// lurking is Blocked if triggers of a tenant's role would run in Tenure's own session.
func (f footing) lurking(ctx context.Context, s *session) error {
	if s.deputy != nil || !f.Holding.Beyond {
		return nil
	}
	owners, which := []string(nil), map[string]string{}
	err := s.simple(ctx, replaced(lurkingSQL, "NAMES", values(f.Takes())), func(_ int, v [][]byte) error {
		owners, which[string(v[0])] = append(owners, string(v[0])), string(v[1])
		return nil
	})
	if err != nil {
		return err
	}
	theirs, err := tenantsOf(ctx, s, owners)
	for owner := range theirs {
		return tenure.Errorf(tenure.Blocked, "%s, which belongs to a tenant's role, would run with Tenure's rights", which[owner]).
			WithHint("drop it, or the reference by which its table changes, then retry")
	}
	return err
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
