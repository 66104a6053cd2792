package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// policies let one role see one tenant's rows of shared tables and nothing
// else (row level security, PostgreSQL §5.8). However many they are, a table has one
// policy for each set of tables that they name (policy_group.go).
type policies struct{ *Driver }

type policySpec struct {
	Column  string   `json:"column"`
	Force   bool     `json:"force,omitempty"` // the tables' owner is bound too
	Key     string   `json:"key"`
	Role    string   `json:"role"`
	Schema  string   `json:"schema"`
	Setting string   `json:"setting,omitempty"` // whose value is the key, instead of the role's own
	Tables  []string `json:"tables"`

	group string // for which the policy is, of the same name
}

func (k policies) parse(r connector.Ref) (p policySpec, err error) {
	if err := relational.CheckName("policy", r.Name, maxName); err != nil {
		return p, err
	}
	if err := relational.Decode(r, &p); err != nil {
		return p, err
	}
	if err := checkRole(r, p.Role); err != nil {
		return p, err
	}
	if err := checkNames("what a policy names", append(slices.Clone(p.Tables), p.Schema, p.Column)...); err != nil {
		return p, err
	}
	if len(p.Tables) == 0 {
		return p, tenure.Errorf(tenure.Invalid, "policy %q names no table", r.Name)
	}
	if p.Setting != "" && !settingName.MatchString(p.Setting) {
		return p, tenure.Errorf(tenure.Invalid, "policy %q: %q isn't an application's own setting", r.Name, p.Setting).WithHint("write it like app.tenant")
	}
	p.Tables = sorted(p.Tables)
	return k.bound(p), checkKey(r, p.Key)
}

// checkKey accepts the value of a tenant column.
func checkKey(r connector.Ref, key string) error {
	if strings.TrimSpace(key) == "" || strings.ContainsRune(key, 0) {
		return tenure.Errorf(tenure.Invalid, "%s %q: the tenant's key is missing", r.Type, r.Name)
	}
	return nil
}

func (k policies) Normalise(d connector.Desired) (json.RawMessage, error) {
	p, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(p)
}

// secured is one table as the catalog has it for a policy.
type secured struct {
	rowSecurity, forced bool
	there               bool // the group's policy is there
	sound               bool // and it is the one that was made
	old                 bool // a policy of its own is there, as an older release made it
	open                []string
	column              keyColumn
}

// bound is a role as it stands to the policy's group.
type bound struct {
	bond
	there, reads bool // the group is there, and it may read its members' keys
	found, kept  bool // there is a row with the resource's key, and it is as it is to be
	others       []string
}

// guarded is a policy as it is.
type guarded struct {
	bound
	tables map[string]secured
}

// securedSQL reads the tables, and then the group, of each of g.
const securedSQL = `select g.i::text, c.relname, c.relrowsecurity::text, c.relforcerowsecurity::text, (p.oid is not null)::text,
 coalesce(p.polpermissive and p.polcmd = '*' and p.polroles = array[b.oid], false)::text,
 coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
 exists (select 1 from pg_policy o where o.polrelid = c.oid and o.polname = g.name::name)::text,
 coalesce((select json_agg(json_build_array(o.polname, coalesce(pg_get_expr(o.polqual, o.polrelid), ''), coalesce(pg_get_expr(o.polwithcheck, o.polrelid), '')))::text from pg_policy o where o.polrelid = c.oid and o.polpermissive and o.polname not in (g.name::name, g.bound::name)
  and exists (select 1 from unnest(o.polroles) x where x = 0 or pg_has_role(r.oid, x, 'usage'))), ''), ` + keyColumnSQL + `
 from g join pg_namespace n on n.nspname = g.schema::name join pg_class c on c.relnamespace = n.oid and c.relname = any (g.tables)
 left join pg_roles r on r.rolname = g.role::name left join pg_roles b on b.rolname = g.bound::name
 left join pg_policy p on p.polrelid = c.oid and p.polname = g.bound::name
 left join pg_attribute a on a.attrelid = c.oid and a.attname = g.col::name and not a.attisdropped`

var boundToSQL = `select g.i::text, coalesce(` + memberSQL("b.oid", "r.oid") + `, ''), coalesce(has_schema_privilege(b.oid, 'tenure_shared', 'usage') and has_table_privilege(b.oid, 'tenure_shared.own_key', 'select'), false)::text,
 (k.name is not null)::text, coalesce(k.role = r.oid and k.login = r.rolname and k.policy = g.bound and k.key = g.key, false)::text, (b.oid is not null)::text,
 coalesce((select json_agg(o.name)::text from tenure.role_key o where o.policy = g.bound and o.key <> g.key and o.name <> g.name
  and o.role = any (array(select r.oid union all select u.roleid from pg_auth_members u where u.member = r.oid))), '')
 from g left join pg_roles r on r.rolname = g.role::name left join pg_roles b on b.rolname = g.bound::name left join tenure.role_key k on k.name = g.name`

func (k policies) guarded(ctx context.Context, s *session, names []string, specs []policySpec) ([]guarded, error) {
	out := make([]guarded, len(specs))
	values := make([]string, len(specs))
	for i, p := range specs {
		out[i].tables = map[string]secured{}
		values[i] = fmt.Sprintf("(%d, %s, array[%s]::name[])", i, literals([]string{names[i], p.group, p.Role, p.Schema, p.Column, p.Key}), literals(p.Tables))
	}
	if len(specs) == 0 {
		return out, nil
	}
	with := "with g (i, name, bound, role, schema, col, key, tables) as materialized (values " + strings.Join(values, ", ") + ") "
	err := s.simple(ctx, with+securedSQL+"; "+with+boundToSQL, func(result int, v [][]byte) error {
		i, err := strconv.Atoi(string(v[0]))
		if err != nil {
			return err
		}
		is := func(n int) bool { return string(v[n]) == "true" }
		names := func(n int) (all []string) {
			if len(v[n]) > 0 {
				_ = json.Unmarshal(v[n], &all)
			}
			return all
		}
		if result == 1 {
			out[i].bound = bound{bond: bondOf(string(v[1])), reads: is(2), found: is(3), kept: is(4), there: is(5), others: names(6)}
			return nil
		}
		t := secured{rowSecurity: is(2), forced: is(3), there: is(4), old: is(8), column: keyColumnOf(v[10:])}
		if t.open, err = t.column.wider(v[9], specs[i]); err != nil {
			return err
		}
		t.sound = is(5) && t.column.printed(string(v[6]), specs[i]) && t.column.printed(string(v[7]), specs[i])
		out[i].tables[string(v[1])] = t
		return nil
	})
	return out, err
}

// shown is the policy as it is. What lets the role see more than the key's rows, or
// fewer, stands under problems.
func (k policies) shown(name string, note *relational.Note, p policySpec, is guarded) connector.Observed {
	o := connector.Observed{Type: "policy", Name: name, Found: true, State: tenure.ResourcePresent, Owner: connector.Unmarked}
	var problems []string
	say := func(text string, is bool) {
		if is {
			problems = append(problems, text)
		}
	}
	there := is.found
	for _, t := range p.Tables {
		at, found := is.tables[t]
		there = there || at.old
		if !found {
			say(t+": no such table", true)
			continue
		}
		say(t+": no policy", !at.there)
		say(t+": the policy isn't the one that was made", at.there && !at.sound)
		say(t+": the policy is of the form of an older release", at.old)
		say(t+": row security is off", !at.rowSecurity)
		say(t+": row security isn't forced", at.rowSecurity && p.Force && !at.forced)
		for _, other := range at.open {
			say(t+": policy "+strconv.Quote(other)+" lets more through", true)
		}
	}
	say("no key is kept for the role", !is.found)
	say("the key that is kept is another role's, or another one", is.found && !is.kept)
	say("the role isn't bound by the policy", !is.heir)
	say("the role may bind others by the policy", is.chief)
	say("the policy's group can't read the keys", is.there && !is.reads)
	for _, other := range is.others {
		if p.Setting != "" {
			break // the role is every tenant's
		}
		say("policy "+strconv.Quote(other)+" gives the role another key", true)
	}
	if note != nil {
		o.Resource, o.Owner = note.Read(k.marker, "policy")
	} else if !there {
		return connector.Observed{Type: "policy", Name: name}
	}
	attributes := map[string]any{"column": p.Column, "key": p.Key, "role": p.Role, "schema": p.Schema, "tables": p.Tables}
	if p.Force {
		attributes["force"] = true
	}
	if p.Setting != "" {
		attributes["setting"] = p.Setting
	}
	if len(problems) > 0 {
		attributes["problems"] = sorted(problems)
	}
	o.Attributes, _ = tenure.Canonical(attributes)
	return o
}

// noteOn is the note of a policy.
func (k policies) noteOn(r connector.Ref, p policySpec) (relational.Note, error) {
	spec, err := tenure.Canonical(p)
	return k.noteBy(r, spec, p.Schema+"\x00"+p.Role, p.Schema+"\x00"+p.Column), err
}

// policyStanding is what there is of a policy before something is done to it.
type policyStanding struct {
	note      *relational.Note
	spec, was policySpec // as it is to be, and as the note has it
	is, old   guarded    // what there is of the two
}

// stands reads what there is of a policy; a policy of that name without a note
// is Conflict.
func (k policies) stands(ctx context.Context, s *session, r connector.Ref) (st policyStanding, err error) {
	if st.spec, err = k.parse(r); err != nil {
		return st, err
	}
	if st.note, err = k.noteOf(ctx, s, r); err != nil {
		return st, err
	}
	st.was = st.spec
	if st.note != nil {
		if p, ok := k.specOf(*st.note); ok {
			st.was = p
		}
	}
	both, err := k.guarded(ctx, s, []string{r.Name, r.Name}, []policySpec{st.spec, st.was})
	if err != nil {
		return st, err
	}
	st.is, st.old = both[0], both[1]
	if st.note == nil && k.shown(r.Name, nil, st.spec, st.is).Found {
		err = relational.Claim(k.marker, relational.Note{}, r)
	}
	return st, err
}

// specOf is the policy as its note has it.
func (k policies) specOf(n relational.Note) (p policySpec, ok bool) {
	ok = json.Unmarshal([]byte(n.Get("spec")), &p) == nil
	return k.bound(p), ok
}

func (k policies) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.inTurn(ctx, func(s *session) error {
		st, err := k.stands(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		if err := k.fits(ctx, s, d.Ref, st.spec, st.is.tables); err != nil {
			return err
		}
		if st.note == nil || st.was.Key != st.spec.Key {
			if err := k.alone(ctx, s, d.Ref, st.spec, st.is.tables); err != nil {
				return err
			}
		}
		if err := k.settable(ctx, s, d.Ref, st.spec); err != nil {
			return err
		}
		note, err := k.noteOn(d.Ref, st.spec)
		if err != nil {
			return err
		}
		p, is := st.spec, st.is
		statements := p.share(is.bound)
		for _, t := range p.Tables {
			statements = append(statements, p.secure(t, is.tables[t])...)
		}
		statements = append(append(statements, p.enter(d.Name, is.bound)...), st.older(d.Name)...)
		if st.was.group != p.group || st.was.Role != p.Role {
			statements = append(statements, st.left()...)
		}
		if st.note == nil || st.note.String() != note.String() {
			statements = append(statements, k.putNote(note))
		}
		if len(statements) > 0 {
			rec.Changed = true
			if err := s.run(ctx, append([]string{turnSQL}, statements...), "", nil); err != nil {
				return err
			}
			now, err := k.guarded(ctx, s, []string{d.Name}, []policySpec{p})
			if err != nil {
				return err
			}
			is = now[0]
		}
		o = k.shown(d.Name, &note, p, is)
		return p.foreign(d.Name, is)
	})
	return o, rec, err
}

// left are the statements that take the role out of the policy as it was. One that goes by
// a setting binds the application: on a table that it leaves it stays, like the row
// security, or the application would see no row of anybody's there.
func (st policyStanding) left() []string {
	was, now := st.was, st.spec
	kept := func(t string) bool { return was.Schema != now.Schema || !slices.Contains(now.Tables, t) }
	if was.Setting == "" || was.group == now.group || !slices.ContainsFunc(was.Tables, kept) {
		return was.leave(st.old.bound)
	}
	var drop []string
	for _, t := range was.Tables {
		if !kept(t) {
			drop = append(drop, dropPolicy(was.group, was.Schema, t))
		}
	}
	if drop == nil {
		return nil
	}
	return []string{ifSQL("not exists (select 1 from tenure.role_key where policy = "+literal(was.group)+") and not exists (select 1 from pg_auth_members m where m.roleid = to_regrole("+
		literal(quote(was.group))+") and m.member not in ("+ownOID+", to_regrole("+literal(quote(was.Role))+")))", strings.Join(drop, "; "))}
}

// foreign is Blocked, by name, if policies that Tenure didn't make let the role see more:
// whose they are and what goes by them isn't known, so that they stay.
func (p policySpec) foreign(name string, is guarded) error {
	for _, t := range p.Tables {
		for _, other := range is.tables[t].open {
			return tenure.Errorf(tenure.Blocked, "policy %q: policy %q of %s.%s, which isn't Tenure's, lets role %s see more rows", name, other, p.Schema, t, p.Role).
				WithHint("drop policy %s on %s, or alter it to the roles that it is meant for: alter policy … to …", quote(other), quote(p.Schema, t))
		}
	}
	return nil
}

// older drops the policies that an older release made for the one role.
func (st policyStanding) older(name string) (out []string) {
	for _, each := range []struct {
		policySpec
		guarded
	}{{st.was, st.old}, {st.spec, st.is}} {
		for _, t := range each.Tables {
			if each.tables[t].old {
				out = append(out, dropPolicy(name, each.Schema, t))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func dropPolicy(name, schema, table string) string {
	return "drop policy if exists " + quote(name) + " on " + quote(schema, table)
}

// secure are the statements that switch the table's row security on and make its policy.
func (p policySpec) secure(table string, is secured) []string {
	var out []string
	on := quote(p.Schema, table)
	if !is.rowSecurity {
		out = append(out, "alter table "+on+" enable row level security")
	}
	if p.Force && !is.forced {
		out = append(out, "alter table "+on+" force row level security")
	}
	if is.sound {
		return out
	}
	if is.there {
		out = append(out, dropPolicy(p.group, p.Schema, table))
	}
	if is.column.name == "" {
		is.column = keyColumn{name: quote(p.Column), typ: "text"} // the server says that there is no such column
	}
	test := is.column.test(p)
	return append(out, "create policy "+quote(p.group)+" on "+on+" as permissive for all to "+quote(p.group)+" using "+test+" with check "+test)
}

func (k policies) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.inTurn(ctx, func(s *session) error {
		st, err := k.stands(ctx, s, r)
		if err != nil || st.note == nil {
			return err
		}
		rec.Changed = true
		statements := append(st.older(r.Name), "delete from tenure.role_key where name = "+literal(r.Name))
		if st.was.Setting == "" { // else it binds the application, which would see no row of anybody's without it
			statements = append(statements, st.was.leave(st.old.bound)...)
		}
		return s.run(ctx, append([]string{turnSQL}, append(statements, dropNote(r))...), "", nil)
	})
	return rec, err
}

func (k policies) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	names, specs, notes := make([]string, len(refs)), make([]policySpec, len(refs)), map[string]relational.Note{}
	for i, r := range refs {
		var err error
		if specs[i], err = k.parse(r); err != nil {
			return false, err
		}
		names[i] = r.Name
	}
	err := s.simple(ctx, "select note from tenure.mark where type = 'policy' and name in ("+literals(append(slices.Clone(names), ""))+")", func(_ int, v [][]byte) error {
		n := relational.ParseNote(string(v[0]))
		notes[n.Name] = n
		return nil
	})
	if err != nil {
		return false, err
	}
	for i, r := range refs {
		if n, ok := notes[r.Name]; ok {
			if p, ok := k.specOf(n); ok {
				specs[i] = p
			}
		}
	}
	return true, k.yield(ctx, s, names, specs, notes, yield)
}

func (k policies) yield(ctx context.Context, s *session, names []string, specs []policySpec, notes map[string]relational.Note, yield func(connector.Observed) error) error {
	all, err := k.guarded(ctx, s, names, specs)
	if err != nil {
		return err
	}
	for i, name := range names {
		var note *relational.Note
		if n, ok := notes[name]; ok {
			note = &n
		}
		if err := yield(k.shown(name, note, specs[i], all[i])); err != nil {
			return &stopped{err}
		}
	}
	return nil
}

func (k policies) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	all, err := marks.All(ctx, s, dialect{}, "policy")
	if err != nil {
		return false, err
	}
	var names []string
	var specs []policySpec
	notes := map[string]relational.Note{}
	for _, n := range all {
		if k.elsewhere(n, sc) {
			continue
		}
		p, _ := k.specOf(n)
		names, specs, notes[n.Name] = append(names, n.Name), append(specs, p), n
	}
	return true, k.yield(ctx, s, names, specs, notes, yield)
}
