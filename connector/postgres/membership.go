package postgres

import "strings"

// memberSQL is how a role is a member of a group: "member", "heir" if it has the group's
// rights by that, "chief" if it may make others members, "" if it is none. From version 16
// on that stands with each membership; before, a role has the rights of all of its groups
// or of none.
func memberSQL(group, role string) string {
	return `(select concat_ws(' ', 'member', case when bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true)) then 'heir' end, case when bool_or(m.admin_option) then 'chief' end)
 from pg_auth_members m where m.roleid = ` + group + ` and m.member = ` + role + ` having count(*) > 0)`
}

// bond is what memberSQL tells.
type bond struct{ member, heir, chief bool }

func bondOf(words string) (b bond) {
	for _, w := range strings.Fields(words) {
		b.member, b.heir, b.chief = b.member || w == "member", b.heir || w == "heir", b.chief || w == "chief"
	}
	return b
}

// joining are the statements that make a role a member of a group that has the group's
// rights, and nothing else by it.
func (b bond) joining(group, role string) (out []string) {
	if b.heir && !b.chief {
		return nil
	}
	if b.chief {
		out = append(out, leaving(group, role))
	}
	tag := "$t" + random() + "$"
	grant := "grant " + quote(group) + " to " + quote(role)
	return append(out, "do "+tag+" begin execute "+literal(grant)+" || case when current_setting('server_version_num')::int >= 160000 then ' with inherit true, set false' else '' end; end "+tag)
}

// leaving takes a role out of a group. From version 16 on a membership stands once for each
// who granted it, and revoke takes its own alone unless it names another.
func leaving(group, role string) string {
	tag := "$t" + random() + "$"
	return "do " + tag + ` declare g record; begin
for g in select b.rolname, b.oid, current_setting('server_version_num')::int >= 160000 as several from pg_auth_members m join pg_roles b on b.oid = m.grantor
 where m.roleid = to_regrole(` + literal(quote(group)) + `) and m.member = to_regrole(` + literal(quote(role)) + `) loop
 if g.several and not pg_has_role(g.oid, 'usage') then
  raise insufficient_privilege using message = format('%I granted the membership of %I in %I, and only it or a superuser can take that back (revoke … granted by %I)', g.rolname, ` + literal(role) + `, ` + literal(group) + `, g.rolname);
 end if;
 execute format('revoke %I from %I', ` + literal(group) + `, ` + literal(role) + `) || case when g.several then format(' granted by %I', g.rolname) else '' end;
end loop; end ` + tag
}
