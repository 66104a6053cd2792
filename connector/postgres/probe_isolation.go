package postgres

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// probeIsolation acts as the role. Of what isn't the tenant's only names of
// things and numbers of rows are read, never a row. What another tenant opened of its
// own is that one's misdeed: the probe names it and passes.
func (d *Driver) probeIsolation(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	s, err := d.tenant(ctx, c)
	if err != nil {
		return o, err
	}
	defer s.close(ctx)
	if _, err := s.Exec(ctx, "select id from tenure_sentinel.canary"); err == nil {
		return failed("role " + c.Ref.Name + " can read the sentinel neighbour")
	} else if state(err) != "42501" {
		return o, err
	}
	v, err := d.visit(ctx, s, c.Ref)
	if err != nil {
		return o, err
	}
	if len(v.reached) > 0 {
		return failed("role " + c.Ref.Name + " reaches beyond its tenant: " + strings.Join(v.reached, ", "))
	}
	for _, p := range v.shared {
		if what, err := p.leak(ctx, s); err != nil {
			return o, err
		} else if what != "" {
			return failed("role " + c.Ref.Name + ": " + what)
		}
	}
	says := "role " + c.Ref.Name + " is refused on the sentinel neighbour and reaches nothing of another tenant"
	if len(v.opened) > 0 {
		says += " but what its owner opened: " + strings.Join(v.opened, ", ")
	}
	return passed(says)
}

// visit is what a role reaches that it should not.
type visit struct {
	*Driver
	ref    connector.Ref
	shared []sharedTable
	grants []grantSpec // that are declared for it

	reached []string // by the platform's fault
	opened  []string // by the fault of a tenant whose it is
}

// actsSQL is asked as the role: what it is, and as whom it may act, by whose grant.
const actsSQL = `select case when rolsuper then 'superuser' when rolbypassrls then 'bypassrls' end, '' from pg_roles where rolname = current_user and (rolsuper or rolbypassrls);
with recursive me (oid) as (select oid from pg_roles where rolname = current_user union select m.roleid from me join pg_auth_members m on m.member = me.oid)
 select rolname, coalesce((select pg_get_userbyid(m.grantor) from pg_auth_members m where m.roleid = r.oid and m.member in (select oid from me) limit 1), '')
 from me join pg_roles r using (oid) where rolname <> current_user and rolname <> 'pg_database_owner'
 and (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolreplication or rolname ~ '^pg_')`

// beyondSQL is asked as the role: which schemas that aren't its own it may use and whose
// they are, and which databases; LENT are roles that other tenants made it a member of.
// A fresh session has no catalog cached, so that the lists themselves are gone through
// before what looks a schema up, which would be thousands.
const beyondSQL = `with recursive ` + meSQL + `, listed as materialized (select distinct oid, nspname, nspowner from (select oid, nspname, nspowner, (aclexplode(nspacl)).grantee from pg_namespace) x where grantee = 0 or grantee in (select oid from me))
 select nspname, pg_get_userbyid(nspowner) from listed where nspname !~ '^pg_' and nspname <> 'information_schema' and nspowner not in (select oid from me)
 and (has_schema_privilege(oid, 'usage') or has_schema_privilege(oid, 'create'));
with recursive ` + meSQL + ` select b.datname, pg_get_userbyid(b.datdba) from pg_database b where not pg_has_role(b.datdba, 'usage') and has_database_privilege(b.oid, 'connect')
 and exists (select 1 from aclexplode(coalesce(b.datacl, acldefault('d', b.datdba))) x where x.grantee = 0 or x.grantee in (select oid from me))`

// meSQL are the role and all of which it is a member, but for the roles of others.
const meSQL = `me (oid) as (select oid from pg_roles where rolname = current_user union select m.roleid from me join pg_auth_members m on m.member = me.oid where pg_get_userbyid(m.roleid) <> all (array[LENT]::name[]))`

// visit finds what the role reaches, asking as the role.
func (d *Driver) visit(ctx context.Context, s *session, r connector.Ref) (*visit, error) {
	v := &visit{Driver: d, ref: r}
	if err := v.declared(ctx); err != nil {
		return nil, err
	}
	lent, err := v.acts(ctx, s)
	if err != nil {
		return nil, err
	}
	var schemas, databases [][2]string
	err = s.simple(ctx, strings.ReplaceAll(beyondSQL, "LENT", literals(lent)), func(result int, row [][]byte) error {
		found := [2]string{string(row[0]), string(row[1])}
		if result == 0 {
			schemas = append(schemas, found)
		} else {
			databases = append(databases, found)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	marked, err := v.markedDatabases(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range databases {
		if marked[b[0]] && !slices.ContainsFunc(v.grants, func(g grantSpec) bool { return g.Database == b[0] }) {
			if err := v.blame(ctx, "database "+b[0], b[1]); err != nil {
				return nil, err
			}
		}
	}
	var platforms []string
	for _, n := range schemas {
		if n[0] == "tenure_shared" {
			continue // what the policies that bind it go by
		}
		declared := slices.ContainsFunc(v.grants, func(g grantSpec) bool { return g.Schema == n[0] })
		tenants, err := v.blamed(ctx, n[0], n[1])
		if err != nil {
			return nil, err
		}
		if tenants && !declared {
			if err := v.blame(ctx, "schema "+n[0], n[1]); err != nil {
				return nil, err
			}
		} else {
			platforms = append(platforms, n[0])
		}
	}
	return v, v.inside(ctx, s, platforms)
}

// declared reads what Tenure granted the role, and which tables are shared.
func (v *visit) declared(ctx context.Context) (err error) {
	name, err := tenure.Canonical(v.ref.Name)
	if err != nil {
		return err
	}
	err = v.with(ctx, func(p *session) error {
		of := url.QueryEscape(`"role":` + string(name))
		by := literal(place(v.ref.Name))
		return p.simple(ctx, "select note from tenure.mark where type = 'grant' and "+bySQL+" = "+by+" union all select note from tenure.mark where type = 'grant' and "+bySQL+" is null and strpos(note, "+literal(of)+") > 0", func(_ int, row [][]byte) error {
			if n := readNoted(row); n.spec.Role == v.ref.Name && n.note.Get("state") == "" {
				v.grants = append(v.grants, n.spec)
			}
			return nil
		})
	})
	if err == nil {
		v.shared, err = v.Driver.shared(ctx, v.ref.Name)
	}
	return err
}

// acts finds as whom the role may act. A role that another tenant itself made it a member
// of is that one's misdeed, with what it shows of shared tables: these are given back.
func (v *visit) acts(ctx context.Context, s *session) (lent []string, err error) {
	var roles [][2]string
	err = s.simple(ctx, actsSQL, func(result int, row [][]byte) error {
		switch name := string(row[0]); {
		case result == 0:
			v.reached = append(v.reached, name)
		case !slices.Contains(list(v.ref.Attributes["memberOf"]), strings.ToLower(name)):
			roles = append(roles, [2]string{name, string(row[1])})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, m := range roles {
		own := len(v.opened)
		if err := v.blame(ctx, "role "+m[0], m[1]); err != nil {
			return nil, err
		}
		if len(v.opened) > own {
			lent = append(lent, m[0])
		}
	}
	if len(lent) == 0 {
		return nil, nil
	}
	return lent, v.with(ctx, func(p *session) error {
		keys, err := textsOf(ctx, p, "select k.key from tenure.role_key k where k.login = "+anyOf(lent))
		for i := range v.shared {
			v.shared[i].lent = keys
		}
		return err
	})
}

// blamed says whether a schema is a tenant's: it bears a mark of ours, or its owner does.
func (v *visit) blamed(ctx context.Context, schema, owner string) (tenants bool, err error) {
	err = v.with(ctx, func(p *session) error {
		n, err := schemas{v.Driver}.get(ctx, p, connector.Ref{Type: "schema", Name: schema})
		if err != nil {
			return err
		}
		if n != nil {
			_, whose := n.note.Read(v.marker, "schema")
			tenants = whose == connector.Ours
		}
		if !tenants {
			tenants, err = v.tenants(ctx, p, owner)
		}
		return err
	})
	return tenants, err
}

// tenants says whether a role is a tenant's.
func (v *visit) tenants(ctx context.Context, p *session, role string) (bool, error) {
	theirs, err := tenantsOf(ctx, p, []string{role})
	return theirs[role], err
}

// markedDatabases are those that are tenants' resources, of whatever installation.
func (v *visit) markedDatabases(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	err := v.with(ctx, func(p *session) error {
		return p.simple(ctx, "select o.datname"+databaseClass.from()+"where "+databaseClass.bears(), func(_ int, row [][]byte) error {
			out[string(row[0])] = true
			return nil
		})
	})
	return out, err
}

// blame lays what is reached to the charge of its owner, if that is a tenant's role,
// or else of the platform.
func (v *visit) blame(ctx context.Context, what, owner string) error {
	return v.with(ctx, func(p *session) error {
		theirs, err := v.tenants(ctx, p, owner)
		if theirs {
			v.opened = append(v.opened, what+" (of "+owner+")")
		} else if err == nil {
			v.reached = append(v.reached, what)
		}
		return err
	})
}

// reachableSQL is asked as the role: relations and functions of schemas that it may use,
// which aren't its own and run with their owner's rights.
const reachableSQL = `select n.nspname, c.relname, c.oid from pg_namespace n join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_class'::regclass
 join pg_class c on c.oid = d.objid where n.nspname = $schemas and c.relkind in ('v', 'm') and not pg_has_role(c.relowner, 'usage')
 and not (c.relkind = 'v' and exists (select 1 from unnest(c.reloptions) o where lower(o) in ('security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes')))
 and (has_table_privilege(c.oid, 'select, insert, update, delete') or has_any_column_privilege(c.oid, 'select, insert, update'));
select n.nspname, p.proname, p.prosrc from pg_namespace n join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_proc'::regclass
 join pg_proc p on p.oid = d.objid where n.nspname = $schemas and p.prosecdef and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
 and not pg_has_role(p.proowner, 'usage') and has_function_privilege(p.oid, 'execute')
 and not exists (select 1 from pg_depend e where e.classid = 'pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e')`

// inside looks into schemas of the platform's for what goes past row security: views,
// and functions that name a shared table.
func (v *visit) inside(ctx context.Context, s *session, names []string) error {
	if len(names) == 0 {
		return nil
	}
	f := &found{}
	err := s.simple(ctx, strings.ReplaceAll(reachableSQL, "$schemas", anyOf(names)), func(result int, row [][]byte) error {
		schema, name := string(row[0]), string(row[1])
		if result == 0 {
			f.things = append(f.things, thing{kind: "view", schema: schema, says: name, view: oidOf(row[2]), acl: []aclItem{{}}})
			return nil
		}
		for _, t := range v.shared {
			if regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(t.table) + `\b`).Match(row[2]) {
				v.reached = append(v.reached, "function "+schema+"."+name+", which reads "+t.schema+"."+t.table+" with its owner's rights")
				break
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	columns := make([]string, 0, len(v.shared))
	for _, t := range v.shared {
		columns = append(columns, t.column)
	}
	if err := v.newLedger(nil).pasts(ctx, s, f, anyOf(append(sorted(columns), ""))); err != nil {
		return err
	}
	for _, t := range f.things {
		if len(t.past) == 0 {
			continue
		}
		if slices.ContainsFunc(v.grants, func(g grantSpec) bool { return g.Schema == t.schema && slices.Contains(g.Tables, t.says) }) {
			if err := v.try(ctx, s, t); err != nil {
				return err
			}
			continue
		}
		v.reached = append(v.reached, "view "+t.schema+"."+t.says+", which reads "+strings.Join(t.past, ", ")+" past row security")
	}
	return nil
}

// try counts what a view that a grant declares shows of others.
func (v *visit) try(ctx context.Context, s *session, t thing) error {
	for _, of := range v.shared {
		if !slices.Contains(t.past, of.schema+"."+of.table) || of.key == "" {
			continue
		}
		of.schema, of.table = t.schema, t.says
		says, err := of.sees(ctx, s, quote(of.column)+" is distinct from "+literal(of.key))
		if state(err) == "42703" {
			continue // it doesn't show the column
		}
		if says != "" {
			v.reached = append(v.reached, says)
		}
		return err
	}
	return nil
}
