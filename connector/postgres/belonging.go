package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// serverSQL reads what is the whole server's: roles that are more than others, who is
// a member of whom, databases, settings, tablespaces, in which other databases roles
// have something, and whether large objects are guarded.
const serverSQL = `select rolname, concat_ws(', ', case when rolsuper then 'superuser' end, case when rolbypassrls then 'bypassrls' end, case when rolcreaterole then 'createrole' end,
 case when rolreplication then 'replication' end, case when rolname ~ '^pg_' then 'predefined' end,
 case when rolcanlogin and left(rolname, 9) in ('` + groupPrefix + `', '` + boundPrefix + `') then 'login' end)
 from pg_roles where rolsuper or rolbypassrls or rolcreaterole or rolreplication or rolname ~ '^pg_' or rolcanlogin and left(rolname, 9) in ('` + groupPrefix + `', '` + boundPrefix + `');
select g.rolname, u.rolname, m.admin_option, pg_get_userbyid(m.grantor) from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member where m.member <> ` + ownOID + `;
select datname, pg_get_userbyid(datdba), datacl::text, datallowconn from pg_database where datacl is not null or datdba <> ` + ownOID + `;
select coalesce(r.rolname, ''), coalesce(b.datname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) from pg_db_role_setting x
 left join pg_roles r on r.oid = x.setrole left join pg_database b on b.oid = x.setdatabase, unnest(x.setconfig) c where x.setrole <> 0 or x.setdatabase <> 0;
select spcname, pg_get_userbyid(spcowner), spcacl::text from pg_tablespace where spcacl is not null;
select distinct b.datname, pg_get_userbyid(d.refobjid) from pg_shdepend d join pg_database b on b.oid = d.dbid where d.refclassid = 'pg_authid'::regclass and b.datname <> current_database();
select setting from pg_settings where name = 'lo_compat_privileges'`

const parametersSQL = `select parname, paracl::text, pg_get_userbyid(10) from pg_parameter_acl`

// membership is one grant of a role to another.
type membership struct {
	role, member, grantor string
	admin                 bool
}

// setting is one of pg_db_role_setting.
type setting struct{ role, database, name, value string }

// server judges what is the whole server's.
func (j *reaching) server(ctx context.Context, s *session) error {
	j.in = j.d.config.Database
	j.strong, j.up, j.down = map[string]string{}, map[string][]string{}, map[string][]string{}
	var members []membership
	var settings []setting
	var things []thing
	closed := map[string]bool{}
	err := s.simple(ctx, serverSQL, func(result int, v [][]byte) error {
		text := func(i int) string { return string(v[i]) }
		switch result {
		case 0:
			j.strong[text(0)] = text(1)
		case 1:
			m := membership{role: text(0), member: text(1), admin: yes(v[2]), grantor: text(3)}
			members = append(members, m)
			j.up[m.member], j.down[m.role] = append(j.up[m.member], m.role), append(j.down[m.role], m.member)
		case 2:
			t := thing{kind: "database", says: "database " + text(0), on: "database " + quote(text(0)), owner: text(1), acl: parseACL(text(2)), key: onDatabase(text(0)), place: j.ledger.database(text(0))}
			things = append(things, t)
			closed[text(0)] = !yes(v[3])
		case 3:
			settings = append(settings, setting{text(0), text(1), text(2), text(3)})
		case 4:
			things = append(things, thing{kind: "tablespace", says: "tablespace " + text(0), on: "tablespace " + quote(text(0)), owner: text(1), acl: parseACL(text(2))})
		case 5:
			if j.role(text(1)) != nil && !slices.Contains(j.databases, text(0)) {
				j.databases = append(j.databases, text(0))
			}
		case 6:
			if text(0) == "on" {
				j.say(way{Way: connector.Way{Severity: tenure.Critical, Field: "lo_compat_privileges", Got: "on", Says: "every role may read and write every large object (lo_compat_privileges is on)",
					Fix: "alter system set lo_compat_privileges = off"}})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, at := range j.ledger.databases {
		if d := &j.all[at]; d.Name == name && d.State == tenure.ResourcePresent && name != j.d.config.Database && !slices.Contains(j.databases, name) {
			j.databases = append(j.databases, name)
		}
	}
	j.databases = slices.DeleteFunc(sorted(j.databases), func(name string) bool { return closed[name] })
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	if version >= 150000 {
		err := s.simple(ctx, parametersSQL, func(_ int, v [][]byte) error {
			things = append(things, thing{kind: "parameter", says: "parameter " + string(v[0]), on: "parameter " + string(v[0]), owner: string(v[2]), acl: parseACL(string(v[1]))})
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := j.keys(ctx, s); err != nil {
		return err
	}
	for _, t := range things {
		if err := j.thing(ctx, s, t); err != nil {
			return err
		}
		if r := j.role(t.owner); t.kind == "database" && t.place == nil && r != nil {
			j.say(way{Way: connector.Way{At: r, Severity: tenure.High, Field: "owner of " + t.says, Got: t.owner, Says: "role " + t.owner + " owns " + t.says,
				Fix: "drop it, or give it to another role: alter " + t.on + " owner to …"}})
		}
	}
	for _, m := range members {
		by := ""
		if version >= 160000 {
			by = " granted by " + quote(m.grantor)
		}
		if err := j.member(ctx, m, by); err != nil {
			return err
		}
	}
	for member := range j.up {
		j.through(member)
	}
	for group := range j.down {
		j.group(group)
	}
	for _, x := range settings {
		j.setting(x)
	}
	return nil
}

// group judges what a group of ours is beyond its rights on what it is for: its members,
// tenants' roles, may become it.
func (j *reaching) group(name string) {
	member := ""
	if isGroup(name) {
		member = j.among(name, nil)
	}
	if member == "" {
		return
	}
	says := "the group " + name + ", of which " + member + " is a member, "
	if how := j.strong[name]; how != "" {
		j.say(way{Way: connector.Way{Severity: tenure.Critical, Field: "attributes of " + name, Got: how, Says: says + "has " + how,
			Fix: "alter role " + quote(name) + " nosuperuser nobypassrls nocreaterole noreplication nologin"}})
	}
	for _, up := range sorted(j.up[name]) {
		j.say(way{Way: connector.Way{Severity: tenure.Critical, Field: "member of " + up + " through " + name, Got: up, Says: says + "is itself a member of " + up,
			Fix: "revoke " + quote(up) + " from " + quote(name)}})
	}
}

// keys judges what roles have as their tenants' keys: a policy's note must speak of it.
func (j *reaching) keys(ctx context.Context, s *session) error {
	if kept, err := keeps(ctx, s, "role_key", "mark"); err != nil || !kept {
		return err
	}
	shown, err := textsOf(ctx, s, "select coalesce(c.reloptions::text, '') || pg_get_viewdef(c.oid) from pg_class c where c.oid = to_regclass('tenure_shared.own_key')")
	if err != nil {
		return err
	}
	if len(shown) > 0 && !isOwnKey(shown[0]) {
		j.say(way{Way: connector.Way{Severity: tenure.Critical, Field: "view tenure_shared.own_key", Got: "changed", Fix: ownKeySQL,
			Says: "view tenure_shared.own_key, which shows each role its own keys, isn't as Tenure made it: roles may see other tenants' rows of shared tables"}})
	}
	return s.simple(ctx, `select k.name, coalesce(r.rolname, ''), k.key from tenure.role_key k left join pg_roles r on r.oid = k.role
 where not exists (select 1 from tenure.mark m where m.type = 'policy' and m.name = k.name)`, func(_ int, v [][]byte) error {
		role := string(v[1])
		j.say(way{Way: connector.Way{At: j.role(role), Severity: tenure.Critical, Holder: role, Field: "key " + string(v[0]) + " of " + role, Got: string(v[2]),
			Says: "role " + role + " sees the rows of the key " + strconv.Quote(string(v[2])) + " in shared tables"}, undo: "delete from tenure.role_key where name = " + literal(string(v[0]))})
		return nil
	})
}

// member judges who is a member of a tenant's role. Of whom a tenant's role is a
// member is an attribute of its own. By says whose grant it is, where the server asks.
func (j *reaching) member(ctx context.Context, m membership, by string) error {
	role, member := j.role(m.role), j.role(m.member)
	if member != nil {
		if isGroup(m.role) && !j.members[[2]string{m.member, m.role}] {
			j.say(way{Way: connector.Way{At: member, Severity: tenure.Critical, Holder: m.member, Field: "member of " + m.role, Got: m.role, Says: "role " + m.member + " is a member of the group " + m.role},
				undo: "revoke " + quote(m.role) + " from " + quote(m.member) + by + " cascade"})
		}
		if m.admin {
			j.say(way{Way: connector.Way{At: member, Severity: tenure.Critical, Holder: m.member, Field: "admin option of " + m.member + " on " + m.role, Got: "admin", Says: "role " + m.member + " may make others members of role " + m.role},
				undo: "revoke admin option for " + quote(m.role) + " from " + quote(m.member) + by + " cascade"})
		}
		return nil
	}
	if role == nil || m.member == j.d.user || strings.Contains(j.strong[m.member], "superuser") {
		return nil
	}
	if ours, err := j.elevated(ctx, m.member); err != nil || ours {
		return err
	}
	severity, other := tenure.High, j.among(m.member, role)
	says := "role " + m.member + " is a member of " + m.role
	if other != "" {
		severity, says = tenure.Critical, says+", and "+other+", another tenant's, of it"
	}
	j.say(way{Way: connector.Way{At: role, Severity: severity, Holder: m.member, Field: "member " + m.member + " of " + m.role, Got: m.member, Says: says},
		undo: "revoke " + quote(m.role) + " from " + quote(m.member) + by + " cascade"})
	return nil
}

// through judges whom a tenant's role may become through others.
func (j *reaching) through(member string) {
	at := j.role(member)
	if at == nil {
		return
	}
	seen := map[string]bool{member: true}
	type step struct{ role, via string }
	var queue []step
	for _, g := range j.up[member] {
		if seen[g] = true; j.strong[g] != "" || j.role(g) != nil || isGroup(g) {
			continue // its memberOf shows it, or its group does
		}
		for _, more := range j.up[g] {
			queue = append(queue, step{more, g})
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		q := queue[0]
		if seen[q.role] {
			continue
		}
		seen[q.role] = true
		if how := j.strong[q.role]; how != "" || j.role(q.role) != nil && !j.theirs(q.role, at) {
			if how == "" {
				how = "another tenant's"
			}
			j.say(way{Way: connector.Way{At: at, Severity: tenure.Critical, Field: "member of " + q.role + " through " + q.via, Got: q.role,
				Says: "role " + member + " may act as " + q.role + " (" + how + ") through " + q.via, Fix: "revoke " + quote(q.role) + " from " + quote(q.via)}})
		}
		for _, more := range j.up[q.role] {
			queue = append(queue, step{more, q.via})
		}
	}
}

// astray are settings by which a session looks at, or acts as, somebody else.
var astray = []string{"search_path", "role", "session_authorization", "session_preload_libraries", "local_preload_libraries", "default_tablespace", "temp_tablespaces"}

// setting judges what a tenant's role or database is set to.
func (j *reaching) setting(x setting) {
	at, on, in := j.role(x.role), "role "+quote(x.role), ""
	switch {
	case x.role == "":
		at, on = j.ledger.database(x.database), "database "+quote(x.database)
	case x.database != "":
		in = " in database " + quote(x.database)
	}
	if at == nil {
		return
	}
	severity := tenure.High
	if slices.Contains(astray, x.name) {
		severity = tenure.Critical
	}
	got := x.value
	if strings.Contains(x.name, ".") {
		got = "set" // an application's own, which may be a secret
	}
	name := x.name
	if strings.Contains(name, ".") {
		name = quotedSetting(name)
	}
	j.say(way{Way: connector.Way{At: at, Severity: severity, Setting: true, Holder: x.role, Field: "setting " + x.name + strings.ReplaceAll(in, `"`, ""), Got: got,
		Says: "setting " + x.name + " of " + strings.ReplaceAll(on, `"`, "") + strings.ReplaceAll(in, `"`, "") + " is " + got}, undo: "alter " + on + in + " reset " + name})
}

// quotedSetting quotes the two parts of an application's own setting.
func quotedSetting(name string) string {
	class, rest, _ := strings.Cut(name, ".")
	return quote(class) + "." + quote(rest)
}
