package postgres

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// groupsSQL reads the roles whose rights Tenure's role has, or can take on, and of which
// other it has each.
const groupsSQL = `with recursive mine (oid) as (select oid from pg_roles where rolname = current_user union select m.roleid from mine join pg_auth_members m on m.member = mine.oid)`

// strongSQL reads which of those are stronger than Tenure needs, and by which membership
// each is had.
const strongSQL = groupsSQL + ` select distinct g.rolname, u.rolname, case when m.grantor = 10 then '' else coalesce(b.rolname, '') end, case when g.rolsuper then 'superuser' when g.rolreplication then 'replication' end
 from mine join pg_auth_members m on m.member = mine.oid join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member left join pg_roles b on b.oid = m.grantor
 where u.rolname !~ '^pg_' and (g.rolsuper or g.rolreplication or g.rolname ~ '^pg_' and g.rolname not in ('pg_monitor', 'pg_signal_backend', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_use_reserved_connections')) order by 1, 2`

// privateSQL reads what was granted of the system's own that superusers alone have.
const privateSQL = groupsSQL + `, them as (select g.oid, g.rolname from mine join pg_roles g on g.oid = mine.oid where g.rolname !~ '^pg_' and not g.rolsuper)
select distinct lower(a.privilege_type) || ' on function ' || p.oid::regprocedure, t.rolname from pg_proc p, aclexplode(p.proacl) a join them t on t.oid = a.grantee where p.pronamespace = 'pg_catalog'::regnamespace
union select distinct lower(a.privilege_type) || ' on table ' || c.oid::regclass, t.rolname from pg_class c, aclexplode(c.relacl) a join them t on t.oid = a.grantee where c.relnamespace = 'pg_catalog'::regnamespace`

// settableSQL reads what settings of the server may be changed, on versions that can
// let somebody.
const settableSQL = ` union select distinct lower(a.privilege_type) || ' on parameter ' || r.parname, t.rolname from pg_parameter_acl r, aclexplode(r.paracl) a join them t on t.oid = a.grantee`

// powers say what the server's own roles let their members do.
var powers = map[string]string{
	"pg_execute_server_program": "runs programs on the server's machine",
	"pg_read_server_files":      "reads files of the server's machine",
	"pg_write_server_files":     "writes files of the server's machine, and so can run programs there",
	"pg_read_all_data":          "reads every table of every database",
	"pg_write_all_data":         "writes every table of every database",
}

// beyond are the rights that Tenure works without.
func (c *checkup) beyond(ctx context.Context) error {
	add := func(name, lets, fix string) {
		c.Rights = append(c.Rights, connector.Right{Name: name, State: connector.RightBeyond, For: lets, Fix: fix})
	}
	if c.traits["superuser"] {
		add("superuser", "passes every check of the server's, and runs programs on its machine", c.lessen())
	}
	if c.traits["replication"] && !c.traits["superuser"] {
		add("replication", "copies the whole server", c.alter("noreplication"))
	}
	err := c.session.simple(ctx, strongSQL, func(_ int, v [][]byte) error {
		group, member, grantor := string(v[0]), string(v[1]), string(v[2])
		fix := "revoke " + quote(group) + " from " + quote(member)
		if c.version >= version16 && grantor != "" {
			fix += " granted by " + quote(grantor)
		}
		lets := powers[group]
		switch {
		case string(v[3]) == "superuser":
			lets = "becomes a superuser"
		case string(v[3]) == "replication":
			lets = "copies the whole server"
		case lets == "":
			lets = "nothing that Tenure does"
		}
		name := "member of " + group
		if member != c.role {
			name += " through " + member
		}
		add(name, lets, fix)
		return nil
	})
	if err != nil || c.traits["first"] {
		return err
	}
	sql := privateSQL
	if c.version >= 150000 {
		sql += settableSQL
	}
	return c.session.simple(ctx, sql+" order by 1, 2", func(_ int, v [][]byte) error {
		what, grantee := string(v[0]), string(v[1])
		name := what
		if grantee != c.role {
			name += " through " + grantee
		}
		add(name, "what superusers keep to themselves", "revoke "+what+" from "+quote(grantee))
		return nil
	})
}

// lessen are the statements that leave a superuser what Tenure needs, or make a role that
// has it where the server lets nobody lessen it.
func (c *checkup) lessen() string {
	role := c.role
	first, last := "alter role "+grantee+" inherit", "alter role "+grantee+" nosuperuser noreplication createrole createdb bypassrls"
	if c.traits["first"] {
		role = "tenure"
		if c.role == role {
			role = "tenure_least"
		}
		first, last = "create role "+grantee+" login createrole createdb bypassrls password '…'", ""
	}
	all := append([]string{first, "grant create on database " + quote(c.database) + " to " + grantee, "grant pg_monitor, pg_signal_backend to " + grantee}, c.lacks...)
	if last != "" {
		all = append(all, last)
	}
	for i, one := range all {
		all[i] = to(one, role)
	}
	return strings.Join(all, "; ")
}
