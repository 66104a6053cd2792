package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// roles are login roles and groups. A role is the whole server's, so its note
// names the system, and Discover passes over those of other systems.
type roles struct{ *Driver }

type roleAttributes struct {
	Login           bool     `json:"login"`
	ConnectionLimit *int     `json:"connectionLimit"`
	MemberOf        []string `json:"memberOf"`
}

func (k roles) parse(r connector.Ref) (a roleAttributes, err error) {
	if err := checkName(r); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if a.ConnectionLimit != nil && (*a.ConnectionLimit < -1 || *a.ConnectionLimit > 1_000_000) {
		return a, tenure.Errorf(tenure.Invalid, "role %q: the connection limit must be from 0 to 1000000", r.Name)
	}
	for _, m := range a.MemberOf {
		if err := checkRole(r, m); err != nil {
			return a, err
		}
		if m == r.Name {
			return a, tenure.Errorf(tenure.Invalid, "role %q can't be a member of itself", r.Name)
		}
	}
	a.MemberOf = sorted(a.MemberOf)
	return a, nil
}

func (a roleAttributes) limit() int {
	if a.ConnectionLimit == nil {
		return -1
	}
	return *a.ConnectionLimit
}

// roleShape gives the canonical attributes; flags are rights that no tenant's
// role should have, and what keeps it from its own; renamed is a name that it has got since.
func roleShape(login bool, limit int, members []string, flags, renamed string) json.RawMessage {
	var o object
	set := func(name string, letter byte) {
		if strings.IndexByte(flags, letter) >= 0 {
			o.flag(name, true)
		}
	}
	set("bypassrls", 'B')
	if limit >= 0 {
		o.raw("connectionLimit", strconv.Itoa(limit))
	}
	set("createdb", 'D')
	set("createrole", 'C')
	o.flag("login", login)
	o.list("memberOf", members)
	o.text("name", renamed)
	set("noinherit", 'I')
	set("replication", 'R')
	set("superuser", 'S')
	set("validUntil", 'U')
	return o.done()
}

func (k roles) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	if !d.Credential.IsZero() {
		if _, err := verifierWith(d.Credential, nil, 1); err != nil {
			return nil, err
		}
	}
	return roleShape(a.Login, a.limit(), a.MemberOf, "", ""), nil
}

var rolesSQL = "select " + roleClass.columns() + `, o.rolconnlimit::text,
 concat(case when o.rolcanlogin then 'L' end, case when o.rolsuper then 'S' end, case when o.rolcreatedb then 'D' end,
  case when o.rolcreaterole then 'C' end, case when o.rolbypassrls then 'B' end, case when o.rolreplication then 'R' end,
  case when not o.rolinherit then 'I' end, case when o.rolvaliduntil < 'infinity' then 'U' end),
 case when not exists (select from pg_auth_members m where m.member = o.oid) then '' else coalesce((select json_agg(g.rolname)::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = o.oid and left(g.rolname, 9) not in ('` + groupPrefix + `', '` + boundPrefix + `')), '') end,
 case when o.rolcanlogin then '0' else (select count(*)::text from pg_stat_get_activity(null) a where a.usesysid = o.oid) end` + roleClass.from()

// role is one row of rolesSQL.
type role struct {
	marked
	limit    int
	flags    string
	members  []string
	sessions int
}

func (k roles) read(v [][]byte) role {
	r := role{marked: k.marked(roleClass, v), flags: string(v[5])}
	r.limit, _ = strconv.Atoi(string(v[4]))
	if len(v[6]) > 0 {
		_ = json.Unmarshal(v[6], &r.members)
		r.members = sorted(r.members) // one that several have granted stands once for each
	}
	r.sessions, _ = strconv.Atoi(string(v[7]))
	return r
}

func (r role) login() bool { return strings.HasPrefix(r.flags, "L") }

// off says whether the role is suspended or revoked: its note says so, it can't
// log in, and no session of its is left.
func (r role) off() tenure.ResourceState {
	if s := tenure.ResourceState(r.note.Get("state")); s != "" && !r.login() && r.sessions == 0 {
		return s
	}
	return tenure.ResourcePresent
}

func (k roles) observed(r role) connector.Observed {
	o := connector.Observed{Type: "role", Name: r.shownAs(), Found: true, State: r.off()}
	o.Resource, o.Owner = r.note.Read(k.marker, "role")
	login, renamed := r.login(), ""
	if r.note.Get("state") != "" && !login {
		login = r.note.Get("login") == "true"
	}
	if r.sessions > 0 {
		o.Detail = strconv.Itoa(r.sessions) + " sessions are left although it can't log in"
	}
	if r.renamed() {
		renamed, o.Detail = r.name, "it has got another name"
	}
	o.Attributes = roleShape(login, r.limit, r.members, r.flags, renamed)
	return o
}

// get reads the role of r: by its note, or by its name.
func (k roles) get(ctx context.Context, s *session, r connector.Ref) (found *role, err error) {
	err = s.prepared(ctx, rolesSQL+roleClass.named("$1::name[]"), func(v [][]byte) error {
		if one := k.read(v); one.answers(r) > 0 && (found == nil || one.answers(r) > found.answers(r)) {
			found = &one
		}
		return nil
	}, []string{r.Name})
	return found, err
}

// own reads the role of r: nil if there is none, Conflict if it isn't ours.
func (k roles) own(ctx context.Context, s *session, r connector.Ref) (*role, error) {
	if err := checkName(r); err != nil {
		return nil, err
	}
	have, err := k.get(ctx, s, r)
	if err != nil || have == nil {
		return nil, err
	}
	return have, relational.Claim(k.marker, have.note, r)
}

// seal lets a later call tell whether the credential is still the same, without
// a way from the note to the credential.
func (k roles) seal(d connector.Desired) string {
	h := hmac.New(sha256.New, k.marker.Key)
	h.Write([]byte("role credential\x00" + string(d.Resource) + "\x00" + d.Credential.Reveal()))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

func (k roles) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		statements, err := k.changes(ctx, s, d, a, have)
		if err != nil {
			return err
		}
		note := k.noteFor(d)
		if have != nil && len(statements) == 0 && note.With(relational.ObjectKey, have.object).String() == have.note.String() {
			o = k.observed(*have)
			return nil
		}
		rec.Changed = true
		err = s.atomic(ctx, func(s *session) error {
			if len(statements) > 0 {
				if err := s.simple(ctx, strings.Join(statements, ";\n"), nil); err != nil {
					return err
				}
			}
			mine, err := k.mine(ctx, s, d.Name)
			if err != nil {
				return err
			}
			if err := s.simple(ctx, strings.Join(append(mine, ""), ";\n"), nil); err != nil {
				return err
			}
			object, err := roleClass.made(ctx, s, d.Name)
			if err != nil {
				return err
			}
			return s.simple(ctx, strings.Join(k.mark(roleClass, d.Name, note.With(relational.ObjectKey, object)), ";\n"), nil)
		})
		if err != nil {
			return err
		}
		if have, err = k.get(ctx, s, d.Ref); have != nil {
			o = k.observed(*have)
		}
		return err
	})
	return o, rec, err
}

// changes are the statements that bring the role to desired.
func (k roles) changes(ctx context.Context, s *session, d connector.Desired, a roleAttributes, have *role) ([]string, error) {
	name := quote(d.Name)
	var statements, with []string
	switch {
	case have == nil:
		have = &role{limit: -1}
		statements = append(statements, "create role "+name)
	case have.renamed(): // which takes an MD5 password away, and none of Tenure's is one
		statements = append(statements, "alter role "+quote(have.name)+" rename to "+name)
	}
	if a.Login != have.login() {
		with = append(with, map[bool]string{true: "login", false: "nologin"}[a.Login])
	}
	for _, f := range []struct{ letter, off string }{{"S", "nosuperuser"}, {"D", "nocreatedb"}, {"C", "nocreaterole"}, {"B", "nobypassrls"}, {"R", "noreplication"}, {"I", "inherit"}, {"U", "valid until 'infinity'"}} {
		if strings.Contains(have.flags, f.letter) {
			with = append(with, f.off)
		}
	}
	if a.limit() != have.limit {
		with = append(with, "connection limit "+strconv.Itoa(a.limit()))
	}
	if set, err := k.password(ctx, s, d, *have); err != nil {
		return nil, err
	} else if set != "" {
		with = append(with, "password "+literal(set))
	}
	switch {
	case have.name == "" && len(with) > 0:
		statements[0] += " " + strings.Join(with, " ")
	case len(with) > 0:
		statements = append(statements, "alter role "+name+" "+strings.Join(with, " "))
	}
	for _, m := range a.MemberOf {
		if !slices.Contains(have.members, m) {
			statements = append(statements, "grant "+quote(m)+" to "+name)
		}
	}
	for _, m := range have.members {
		if !slices.Contains(a.MemberOf, m) {
			statements = append(statements, leaving(m, d.Name))
		}
	}
	return statements, nil
}

func (k roles) noteFor(d connector.Desired) relational.Note {
	note := relational.NewNote(k.marker, d.Ref)
	if !d.Credential.IsZero() {
		note = note.With("cred", k.seal(d))
	}
	return note
}

// password is the verifier to set, "" if the role has the credential already.
// Where the server shows verifiers, that is seen; else the note's word counts.
func (k roles) password(ctx context.Context, s *session, d connector.Desired, have role) (string, error) {
	if d.Credential.IsZero() {
		return "", nil
	}
	if have.name != "" && have.note.Get("cred") == k.seal(d) {
		stored, readable, err := storedVerifier(ctx, s, have.name)
		if err != nil {
			return "", err
		}
		if !readable || matches(stored, d.Credential) {
			return "", nil
		}
	}
	return verifier(d.Credential)
}

func storedVerifier(ctx context.Context, s *session, name string) (stored string, readable bool, err error) {
	err = s.simple(ctx, "select has_table_privilege('pg_catalog.pg_authid', 'select')::text", func(_ int, v [][]byte) error {
		readable = string(v[0]) == "true"
		return nil
	})
	if err != nil || !readable {
		return "", false, err
	}
	err = s.simple(ctx, "select coalesce(rolpassword, '') from pg_catalog.pg_authid where rolname = "+literal(name), func(_ int, v [][]byte) error {
		stored = string(v[0])
		return nil
	})
	return stored, true, err
}

func (k roles) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	err := byName(refs, func(part []connector.Ref, names []string) error {
		asked := make(map[string]connector.Ref, len(part))
		for _, r := range part {
			asked[r.Name] = r
		}
		found, best := make(map[string]connector.Observed, len(part)), make(map[string]int, len(part))
		err := s.simple(ctx, rolesSQL+roleClass.named("array["+literals(names)+"]::name[]"), func(_ int, v [][]byte) error {
			one := k.read(v)
			for _, name := range []string{one.known, one.name} {
				if rank := one.answers(asked[name]); name != "" && asked[name].Name != "" && rank > best[name] {
					o := k.observed(one)
					o.Name = name
					found[name], best[name] = o, rank
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return answer(part, found, yield)
	})
	return true, err
}

// byName cuts refs into parts that one query can name.
func byName(refs []connector.Ref, f func(part []connector.Ref, names []string) error) error {
	for part := range slices.Chunk(refs, 5000) {
		names := make([]string, len(part))
		for i, r := range part {
			names[i] = strings.ToValidUTF8(strings.ReplaceAll(r.Name, "\x00", ""), "")
			if len(names[i]) > maxName || names[i] != r.Name {
				names[i] = "" // no such name can be there
			}
		}
		if err := f(part, names); err != nil {
			return err
		}
	}
	return nil
}

// answer yields one observation for each ref.
func answer(part []connector.Ref, found map[string]connector.Observed, yield func(connector.Observed) error) error {
	for _, r := range part {
		o, ok := found[r.Name]
		if !ok {
			o = connector.Observed{Type: r.Type, Name: r.Name}
		}
		if err := yield(o); err != nil {
			return &stopped{err}
		}
	}
	return nil
}

func (k roles) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	err := s.simple(ctx, rolesSQL+"where "+roleClass.bears()+roleClass.order(), func(_ int, v [][]byte) error {
		r := k.read(v)
		if k.elsewhere(r.note, sc) {
			return nil
		}
		return stop(yield(k.observed(r)))
	})
	return true, err
}

// elsewhere says that a note is for another system or outside the scope.
func (d *Driver) elsewhere(n relational.Note, sc connector.Scope) bool {
	if s := n.Get("system"); s != "" && s != d.system {
		return true
	}
	t := n.Get("tenant")
	return sc.Tenant != "" && t != "" && t != string(sc.Tenant)
}

func stop(err error) error {
	if err == nil {
		return nil
	}
	return &stopped{err}
}

// remove drops the role, with what it was granted in this database and on what is
// the whole server's. One on which anything else hangs isn't dropped: Blocked.
func (k roles) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, r)
		if err != nil {
			return err
		}
		if have == nil {
			return k.unmark(ctx, s, r)
		}
		if err := k.overdue(ctx, s); err != nil {
			return err
		}
		outside, err := k.outside(ctx, s, *have)
		if err != nil {
			return err
		}
		if err := unbound("role "+strconv.Quote(r.Name), outside); err != nil {
			return err
		}
		if err := k.cut(ctx, s, have.name, have, ""); err != nil {
			return err
		}
		rec.Changed = true
		if rec.Counts, err = k.unlinkOwned(ctx, s, have.name); err != nil {
			return err
		}
		// It owns nothing, so that the first takes back grants alone.
		err = s.run(ctx, []string{"drop owned by " + quote(have.name), "drop role " + quote(have.name), dropNote(r)}, "", nil)
		if state(err) == "2BP01" {
			err = k.kept(ctx, s, have.name, err)
		}
		return err
	})
	return rec, err
}

// kept says which rights keep a role from being dropped: those that somebody gave it whom
// Tenure's own role doesn't stand above.
func (k roles) kept(ctx context.Context, s *session, name string, err error) error {
	var says []string
	if look := s.simple(ctx, sqlf(rolesHoldSQL, literal(name))+" order by 2", func(_ int, v [][]byte) error {
		says = append(says, "it "+string(v[2])+" "+string(v[1]))
		return nil
	}); look != nil || len(says) == 0 {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "role %q can't be dropped: %s", name, strings.Join(says[:min(5, len(says))], "; ")).
		WithHint("what others gave it takes them, or a superuser, to take back: drop owned by %s", quote(name))
}

// cutSQL ends the sessions of a role, and those of others that may have taken it on:
// the server doesn't say as whom a session acts. Superusers need no membership for that.
const cutSQL = `with recursive may (oid) as (select oid from pg_roles where rolname = $1
 union select m.member from may join pg_auth_members m on m.roleid = may.oid and m.member <> $own)
select pg_terminate_backend(a.pid, 5000)::text from may join pg_roles r on r.oid = may.oid and (r.rolname = $1 or not r.rolsuper and not starts_with(r.rolname, '` + deputyPrefix + `'))
 join pg_stat_get_activity(null) a on a.usesysid = r.oid where a.pid <> pg_backend_pid() order by r.rolname <> $1`

// cut takes the login away and ends the sessions. A note is set along with it.
func (k roles) cut(ctx context.Context, s *session, name string, have *role, also string) error {
	var statements []string
	if have.login() {
		statements = append(statements, "alter role "+quote(name)+" nologin")
	}
	if also != "" {
		statements = append(statements, also)
	}
	if len(statements) > 0 {
		if err := s.run(ctx, statements, "", nil); err != nil {
			return err
		}
	}
	for range 3 {
		left := 0
		err := s.simple(ctx, strings.NewReplacer("$1", literal(name), "$own", ownOID).Replace(cutSQL), func(int, [][]byte) error {
			left++
			return nil
		})
		if err != nil || left == 0 {
			return err
		}
	}
	return tenure.Errorf(tenure.Unavailable, "sessions of role %q are still there", name).Retryable()
}

func (k roles) disable(ctx context.Context, r connector.Ref, to tenure.ResourceState) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, r)
		switch {
		case err != nil:
			return err
		case have == nil && to == tenure.ResourceRevoked:
			return nil
		case have == nil:
			return tenure.Errorf(tenure.NotFound, "role %q isn't there", r.Name)
		case have.off() == to || have.off() == tenure.ResourceRevoked:
			return nil
		}
		note := have.note.With("state", string(to))
		if have.note.Get("state") == "" {
			note = note.With("login", strconv.FormatBool(have.login()))
		}
		if to == tenure.ResourceRevoked {
			note = note.With("cred", "")
		}
		also := k.putNote(note)
		if to == tenure.ResourceRevoked {
			also += "; alter role " + quote(have.name) + " password null"
		}
		rec.Changed = true
		return k.cut(ctx, s, have.name, have, also)
	})
	return rec, err
}

func (k roles) resume(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		have, err := k.own(ctx, s, r)
		switch {
		case err != nil:
			return err
		case have == nil:
			return tenure.Errorf(tenure.NotFound, "role %q isn't there", r.Name)
		case have.note.Get("state") == string(tenure.ResourceRevoked):
			return tenure.Errorf(tenure.Conflict, "role %q is revoked; it is ensured again with a new credential", r.Name)
		case have.note.Get("state") == "":
			return nil
		}
		statements := []string{k.putNote(have.note.With("state", "").With("login", ""))}
		if have.note.Get("login") == "true" {
			statements = append(statements, "alter role "+quote(have.name)+" login")
		}
		rec.Changed = true
		return s.run(ctx, statements, "", nil)
	})
	return rec, err
}
