package postgres

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
