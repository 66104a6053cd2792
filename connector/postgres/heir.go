package postgres

import (
	"context"

	"github.com/tenurehq/tenure"
)

// heirRole owns what a login made where nobody but Tenure owns the schema. It can't
// sign in, has no rights and no members: a function or a view of its reaches nothing.
const heirRole = "t_heir"

// drop takes the role's rights back wherever it has some, and drops it. What it came
// to own is its heir's from now on: "" finds whose the schemas are in which it lies.
// Nothing of it becomes Tenure's, since functions and views run with the rights of
// whom they belong to.
func (k elevations) drop(ctx context.Context, s *session, login, heir string) error {
	var elsewhere []string
	closed := ""
	err := s.simple(ctx, `select distinct b.datname, b.datallowconn::text from pg_shdepend d join pg_database b on b.oid = d.dbid
 where d.refclassid = 'pg_authid'::regclass and d.refobjid = (select oid from pg_roles where rolname = `+literal(login)+`) and b.datname <> current_database()`, func(_ int, v [][]byte) error {
		elsewhere = append(elsewhere, string(v[0]))
		if string(v[1]) != "true" {
			closed = string(v[0])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if closed != "" {
		return tenure.Errorf(tenure.Blocked, "role %q can't sign in any more, and has rights left in database %q, which is closed", login, closed).Retryable()
	}
	err = s.simple(ctx, "select pg_terminate_backend(pid)::text from pg_stat_activity where application_name = "+literal(guardName(login))+" and usename = current_user", nil)
	if err != nil {
		return err
	}
	if err := k.undo(ctx, s, login); err != nil {
		return err
	}
	for _, db := range elsewhere {
		if err := k.inside(ctx, db, func(s *session) error { return k.take(ctx, s, login, heir) }); err != nil {
			return err
		}
	}
	err = k.take(ctx, s, login, heir, "drop role "+quote(login),
		"delete from tenure.mark where type in ("+literals([]string{elevationType, deputyType})+") and name = "+literal(login))
	if state(err) == "2BP01" {
		err = roles(k).kept(ctx, s, login, err)
	}
	return err
}

// undo rolls back the transactions that the login prepared: they hold locks after its
// sessions have ended, and once the role is gone a superuser alone could end them.
func (k elevations) undo(ctx context.Context, s *session, login string) error {
	in := map[string][]string{}
	err := s.simple(ctx, "select database, gid from pg_prepared_xacts where owner = "+literal(login), func(_ int, v [][]byte) error {
		in[string(v[0])] = append(in[string(v[0])], string(v[1]))
		return nil
	})
	for db, gids := range in {
		if err != nil {
			break
		}
		err = k.inside(ctx, db, func(s *session) error { // whose connection isn't used again
			if err := s.simple(ctx, "set role "+quote(login), nil); err != nil {
				return err
			}
			for _, gid := range gids {
				if err := s.simple(ctx, "rollback prepared "+literal(gid), nil); err != nil && state(err) != "42704" { // another has ended it
					return err
				}
			}
			return nil
		})
	}
	return err
}

// take takes the role's rights in the session's database back.
func (k elevations) take(ctx context.Context, s *session, login, heir string, last ...string) error {
	owned, err := textsOf(ctx, s, `select 'yes' from pg_shdepend d where d.deptype = 'o' and d.refclassid = 'pg_authid'::regclass
 and d.refobjid = (select oid from pg_roles where rolname = `+literal(login)+`) and d.dbid in (0, (select oid from pg_database where datname = current_database())) limit 1`)
	if err != nil {
		return err
	}
	var statements []string
	if len(owned) > 0 {
		if heir == "" {
			if heir, err = k.heir(ctx, s, login); err != nil {
				return err
			}
		}
		mine, err := k.mine(ctx, s, heir)
		if err != nil {
			return err
		}
		statements = append(mine, "reassign owned by "+quote(login)+" to "+quote(heir))
		if len(mine) > 0 { // no superuser gives things to who mayn't make any where they lie
			in, err := textsOf(ctx, s, `select distinct quote_ident(n.nspname) from pg_shdepend d join pg_depend p on p.classid = d.classid and p.objid = d.objid and p.refclassid = 'pg_namespace'::regclass
 join pg_namespace n on n.oid = p.refobjid where d.deptype = 'o' and d.refclassid = 'pg_authid'::regclass and d.refobjid = (select oid from pg_roles where rolname = `+literal(login)+`)
 and d.dbid = (select oid from pg_database where datname = current_database()) and not has_schema_privilege(`+literal(heir)+`, n.oid, 'create')`)
			if err != nil {
				return err
			}
			for _, n := range in {
				statements = append(append([]string{"grant create on schema " + n + " to " + quote(heir)}, statements...), "revoke create on schema "+n+" from "+quote(heir))
			}
		}
	}
	return s.run(ctx, append(append(statements, "drop owned by "+quote(login)), last...), "", nil)
}

// heir is the tenant's role that owns every schema in which the login's things lie; else
// the one that has no rights.
func (k elevations) heir(ctx context.Context, s *session, login string) (string, error) {
	owners, err := textsOf(ctx, s, `with own as (select d.classid, d.objid from pg_shdepend d where d.deptype = 'o' and d.refclassid = 'pg_authid'::regclass
  and d.refobjid = (select oid from pg_roles where rolname = `+literal(login)+`) and d.dbid = (select oid from pg_database where datname = current_database()))
 select distinct coalesce(case when r.rolsuper or r.rolname = current_user then null else r.rolname end, '') from own o
 left join pg_depend p on p.classid = o.classid and p.objid = o.objid and p.refclassid = 'pg_namespace'::regclass left join pg_namespace n on n.oid = p.refobjid left join pg_roles r on r.oid = n.nspowner`)
	if err != nil {
		return "", err
	}
	if theirs, err := tenantsOf(ctx, s, owners); err != nil || len(owners) == 1 && theirs[owners[0]] && owners[0] != login {
		return owners[0], err
	}
	have, err := textsOf(ctx, s, "select 'yes' from pg_roles where rolname = "+literal(heirRole))
	if err != nil || len(have) > 0 {
		return heirRole, err
	}
	return heirRole, s.run(ctx, []string{"create role " + heirRole, "comment on role " + heirRole + " is " + literal("owns what logins of Tenure's left behind, and has no rights")}, "", nil)
}
