package postgres

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// sharedSQL is what the policies of shared tables go by. tenure.role_key says which role
// has which key: one row for each policy resource. In a copy that was restored elsewhere
// another role may have that oid, so the role's name must agree, too. The view shows each role its own keys,
// and those of roles whose rights it has, so that one policy does for all of them; only
// the policies' groups may read it, and nobody but Tenure writes what stands behind it.
const sharedSQL = `
create table if not exists tenure.role_key (
	name text collate "C" not null, role oid not null, login text collate "C" not null, policy text not null, key text not null,
	constraint role_key_pk primary key (name));
create index if not exists role_key_role on tenure.role_key (role, policy);
create schema if not exists tenure_shared;
revoke all on schema tenure_shared from public;
comment on schema tenure_shared is 'kept by Tenure: what the policies of shared tables go by'`

// ownKeySQL makes the view. A role that only may become another, without its rights, has
// none of its keys.
const ownKeySQL = `create or replace view tenure_shared.own_key with (security_barrier) as
 with recursive me (role) as (select o.oid from pg_catalog.pg_roles o where o.rolname = current_user union select m.roleid from me join pg_catalog.pg_auth_members m on m.member = me.role)
 select k.policy, k.key from tenure.role_key k where (k.role, k.login) in (select o.oid, o.rolname::text from me join pg_catalog.pg_roles o on o.oid = me.role where pg_catalog.pg_has_role(me.role, 'usage'))`

// ownKeyPrinted is ownKeySQL's view as servers print it, each in its own way as to blanks,
// parentheses and the names before columns.
const ownKeyPrinted = "{security_barrier=true}WITHRECURSIVEmeroleASSELECTo.oidFROMpg_rolesoWHEREo.rolname=CURRENT_USERUNIONSELECTm.roleidFROMmeJOINpg_auth_membersmONm.member=me.roleSELECTpolicy,keyFROMtenure.role_keykWHERErole,loginINSELECTo.oid,o.rolname::textASrolnameFROMmeJOINpg_rolesoONo.oid=me.roleWHEREpg_has_roleme.role,'usage'::text;"

// isOwnKey says whether a view's options and text are those of ownKeySQL.
func isOwnKey(text string) bool {
	return strings.NewReplacer(" ", "", "\n", "", "(", "", ")", "", "k.", "").Replace(text) == ownKeyPrinted
}

// settingName is an application's own setting, in two parts.
var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$`)

// boundOf names the group that the policy is for, and the policy: one for each column of
// each set of tables, and for each setting that says whose rows they are.
func boundOf(installation, database string, p policySpec) string {
	return groupName(boundPrefix, append([]string{installation, database, p.Schema, p.Column, p.Setting}, p.Tables...)...)
}

// bound fills in the policy's group.
func (k policies) bound(p policySpec) policySpec {
	p.group = boundOf(string(k.marker.Installation), k.config.Database, p)
	return p
}

// keyColumn is a tenant column as a policy compares it: its quoted name, the type that
// keys are cast to, and the column's own collation.
type keyColumn struct{ name, typ, collation string }

// keyColumnSQL reads a keyColumn of the attribute a. A cast to a type with a length, or to
// a domain on one, would cut keys; text, bpchar and "bit" have none.
const keyColumnSQL = `coalesce(quote_ident(a.attname), ''), coalesce((with recursive base (oid) as (select a.atttypid union all select t.typbasetype from base b join pg_type t on t.oid = b.oid and t.typbasetype <> 0)
  select case when t.oid = 'bpchar'::regtype then 'bpchar' when t.typcategory = 'S' then 'text' when t.oid = 'bit'::regtype then '"bit"' else format_type(t.oid, null) end
  from base b join pg_type t on t.oid = b.oid and t.typbasetype = 0), ''),
 coalesce((select case when cn.nspname <> 'pg_catalog' then quote_ident(cn.nspname) || '.' else '' end || quote_ident(co.collname) from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = nullif(a.attcollation, 100)), '')`

func keyColumnOf(v [][]byte) keyColumn {
	return keyColumn{string(v[0]), string(v[1]), string(v[2])}
}

// test is the policy's condition: the column has one of the role's keys, or the one that
// the application has set for its transaction; none if it has set nothing.
func (c keyColumn) test(p policySpec) string {
	if p.Setting != "" {
		key := "nullif(current_setting(" + literal(p.Setting) + ", true), '')::" + c.typ
		if c.collation != "" {
			key = "(" + key + ") collate " + c.collation
		}
		return "(" + c.name + " = (" + key + "))"
	}
	in := "array(select key from tenure_shared.own_key where policy = " + literal(p.group) + ")::" + c.typ + "[]"
	if c.collation != "" {
		in = "(" + in + ") collate " + c.collation
	}
	return "(" + c.name + " = any ((" + in + ")))"
}

// printed says whether the server wrote the condition so, and no other one.
func (c keyColumn) printed(text string, p policySpec) bool {
	in, list := "NULLIF(current_setting("+literal(p.Setting)+"::text, true), ''::text)", ""
	if p.Setting == "" {
		text = strings.NewReplacer(" own_key.", " ", "(own_key.", "(").Replace(strings.Join(strings.Fields(text), " "))
		in, list = "ARRAY( SELECT key FROM tenure_shared.own_key WHERE (policy = "+literal(p.group)+"::text))", "[]"
	}
	if c.typ != "text" {
		in = "(" + in + ")::" + c.typ + list
	}
	if c.collation != "" {
		in = "(" + in + " COLLATE " + c.collation + ")"
	}
	if p.Setting == "" {
		in = "ANY (" + in + ")"
	}
	return text == "("+c.name+" = "+in+")" || text == "(("+c.name+")::"+c.typ+" = "+in+")"
}

// wider are, of a table's other policies for the role, those that let more rows through
// than its own: each is its name and its two conditions.
func (c keyColumn) wider(all []byte, p policySpec) (names []string, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	var policies [][3]string
	err = json.Unmarshal(all, &policies)
	for _, o := range policies {
		if !c.printed(o[1], p) || o[2] != "" && !c.printed(o[2], p) {
			names = append(names, o[0])
		}
	}
	return names, err
}

// settable is Invalid if a tenant could log in as the role of a policy that goes by a
// setting: whoever may run statements sets what they like.
func (k policies) settable(ctx context.Context, s *session, r connector.Ref, p policySpec) error {
	if p.Setting == "" {
		return nil
	}
	theirs, err := tenantsOf(ctx, s, []string{p.Role})
	if err == nil && theirs[p.Role] {
		err = tenure.Errorf(tenure.Invalid, "policy %q: role %q is a tenant's, which could set %s to another tenant's key", r.Name, p.Role, p.Setting).
			WithHint("leave setting out, and the policy goes by the role's own key; or name the application's role, as which no tenant logs in")
	}
	return err
}

// equals says whether a policy's text, as the server writes it, compares the column with
// the one key and does nothing else, as the policies of older releases do.
func (c keyColumn) equals(text, key string) bool {
	k := strings.TrimSpace(literal(key))
	for _, typ := range []string{"text", "bpchar", c.typ} {
		if typ != "" && (text == "("+c.name+" = "+k+"::"+typ+")" || text == "(("+c.name+")::"+typ+" = "+k+"::"+typ+")") {
			return true
		}
	}
	_, err := strconv.ParseInt(key, 10, 64)
	return err == nil && text == "("+c.name+" = "+key+")"
}

// fits is Invalid if the tables' columns can't hold the key.
func (k policies) fits(ctx context.Context, s *session, r connector.Ref, p policySpec, tables map[string]secured) error {
	for _, t := range p.Tables {
		c := tables[t].column
		if c.typ == "" || c.typ == "text" {
			continue
		}
		err := s.simple(ctx, "select "+literal(p.Key)+"::"+c.typ, nil)
		if class := state(err); strings.HasPrefix(class, "22") || class == "23514" {
			return tenure.Errorf(tenure.Invalid, "policy %q: column %s of %s.%s is of type %s, which can't hold the tenant's key", r.Name, p.Column, p.Schema, t, c.typ)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// share are the statements that make the group and let it read its members' keys.
func (p policySpec) share(is bound) (out []string) {
	if !is.there {
		out = append(out, newGroup(p.group))
	}
	if !is.reads {
		out = append(out, "grant usage on schema tenure_shared to "+quote(p.group), "grant select on tenure_shared.own_key to "+quote(p.group))
	}
	return out
}

// enter are the statements that give the role the key, and bind it by the policy.
func (p policySpec) enter(name string, is bound) (out []string) {
	if !is.kept {
		out = append(out, "insert into tenure.role_key (name, role, login, policy, key) values ("+literal(name)+", "+literal(quote(p.Role))+"::regrole, "+literals([]string{p.Role, p.group, p.Key})+
			") on conflict (name) do update set role = excluded.role, login = excluded.login, policy = excluded.policy, key = excluded.key")
	}
	return append(out, is.joining(p.group, p.Role)...)
}

// leave are the statements that take the role out of the policy. A policy that binds
// nobody goes, with its group.
func (p policySpec) leave(is bound) (out []string) {
	if is.member {
		out = append(out, ifSQL("not exists (select 1 from tenure.role_key where policy = "+literal(p.group)+" and role = "+literal(quote(p.Role))+"::regrole)", leaving(p.group, p.Role)))
	}
	var all []string
	for _, t := range p.Tables {
		all = append(all, dropPolicy(p.group, p.Schema, t))
	}
	return append(out, emptied(p.group, append(all, "revoke all on schema tenure_shared from "+quote(p.group), "revoke all on tenure_shared.own_key from "+quote(p.group))...))
}
