package mysql

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// accounts are users and roles. They are the whole server's, so a note names the system.
type accounts struct {
	*Driver
	typ string // user or role
}

type accountAttributes struct {
	Host            string   `json:"host"`
	ConnectionLimit int64    `json:"connectionLimit"`
	TLS             bool     `json:"tls"`
	Roles           []string `json:"roles"`
}

// reservedAccounts are names that mean something else, or are the server's own.
var reservedAccounts = strings.Fields("public none current_user current_role session_user root mysql mariadb.sys null")

func checkAccount(what, name string) error {
	if err := checkIdentifier(what, name, 80); err != nil {
		return err
	}
	if slices.Contains(reservedAccounts, strings.ToLower(name)) || strings.HasPrefix(name, ownerPrefix) || strings.HasPrefix(name, elevationPrefix) {
		return tenure.Errorf(tenure.Invalid, "%s: the name %q is the server's own, or Tenure's", what, name)
	}
	return nil
}

func (k accounts) parse(r connector.Ref) (a accountAttributes, err error) {
	if err := checkAccount(k.typ, r.Name); err != nil {
		return a, err
	}
	if r.Name == k.config.User {
		return a, tenure.Errorf(tenure.Invalid, "%s %q is the account that Tenure itself signs in with", k.typ, r.Name)
	}
	if k.typ == "role" {
		var own struct {
			Roles []string `json:"roles"`
		}
		err = relational.Decode(r, &own)
		a.Roles = own.Roles
	} else {
		err = relational.Decode(r, &a)
	}
	if err != nil {
		return a, err
	}
	if a.Host == "" && k.typ == "user" {
		a.Host = "%"
	}
	if a.Host != "" && (checkIdentifier("the host of user", a.Host, 60) != nil || strings.ToLower(a.Host) != a.Host) {
		return a, tenure.Errorf(tenure.Invalid, "user %q: the host %q can't be used", r.Name, a.Host).WithHint("write an address, a name in lower case, or a pattern such as 10.1.%%")
	}
	if a.ConnectionLimit < 0 || a.ConnectionLimit > 1_000_000 {
		return a, tenure.Errorf(tenure.Invalid, "user %q: the connection limit must be from 0 to 1000000", r.Name)
	}
	for _, role := range a.Roles {
		if err := checkAccount("a role of "+k.typ, role); err != nil {
			return a, err
		}
		if role == r.Name {
			return a, tenure.Errorf(tenure.Invalid, "%s %q can't have itself", k.typ, r.Name)
		}
	}
	a.Roles = sorted(a.Roles)
	return a, nil
}

// hostOf is where a user signs in from: others may have made accounts of its name for
// other hosts.
func hostOf(r connector.Ref) string {
	if host, _ := r.Attributes["host"].(string); host != "" {
		return host
	}
	return "%"
}

func (a accountAttributes) shape() shape {
	out := shape{}
	out.text("host", a.Host)
	out.number("connectionLimit", a.ConnectionLimit)
	out.flag("tls", a.TLS)
	out.list("roles", a.Roles)
	return out
}

func (k accounts) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return a.shape().done()
}

// passwordHash is what the server keeps of a password (mysql_native_password).
func passwordHash(s tenure.Secret) string {
	first := sha1.Sum([]byte(s.Reveal()))
	second := sha1.Sum(first[:])
	return "*" + strings.ToUpper(hex.EncodeToString(second[:]))
}

// noPassword is a hash that no password has.
func noPassword() string {
	var b [20]byte
	_, _ = rand.Read(b[:])
	return "*" + strings.ToUpper(hex.EncodeToString(b[:]))
}

// off says whether the user is suspended or revoked: its note says so, it is locked,
// and no session of its is left.
func (h *held) off(n *relational.Note) tenure.ResourceState {
	if n != nil && n.Get("state") != "" && h.locked && h.sessions == 0 {
		return tenure.ResourceState(n.Get("state"))
	}
	return tenure.ResourcePresent
}

func (k accounts) observed(name string, h *held, n *relational.Note) (o connector.Observed, err error) {
	o = connector.Observed{Type: k.typ, Name: name}
	if h == nil {
		return o, nil
	}
	o.Found, o.State = true, h.off(n)
	k.owned(&o, n)
	a := accountAttributes{Host: h.host, ConnectionLimit: h.limit, TLS: h.tls, Roles: h.roles}.shape()
	a.list("hosts", h.others)
	a.list("admin", h.admin)
	a.list("privileges", h.whole)
	a.list("rights", h.rights)
	a.flag("role", h.role && k.typ == "user")
	a.flag("user", !h.role && k.typ == "role")
	a.flag("locked", k.typ == "user" && h.locked && (n == nil || n.Get("state") == ""))
	if k.typ == "user" && !h.role && h.fallback != fallback(h.roles) {
		a.text("defaultRole", h.fallback)
	}
	if h.locked && h.sessions > 0 {
		o.Detail = relational.Plural(h.sessions, "session") + " " + relational.Verb(h.sessions, "is", "are") + " left although it is locked"
	}
	o.Attributes, err = a.done()
	return o, err
}

// fallback is the role that is on when a user with these roles signs in.
func fallback(roles []string) string {
	if len(roles) == 1 {
		return roles[0]
	}
	return ""
}

func (k accounts) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, k.typ)
	if err != nil {
		return false, err
	}
	have, err := k.read(ctx, s, names(refs))
	if isNumber(err, 1142, 1143) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, r := range refs {
		o, err := k.observed(r.Name, have[r.Name].from(hostOf(r)), notes[r.Name])
		if err != nil {
			return false, err
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (k accounts) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, k.typ)
	if err != nil {
		return false, err
	}
	var refs []connector.Ref
	for name, n := range notes {
		if !k.elsewhere(n, sc) {
			refs = append(refs, connector.Ref{Type: k.typ, Name: name})
		}
	}
	var all []connector.Observed
	whole, err := k.Observe(ctx, s, refs, func(o connector.Observed) error {
		if o.Found {
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return whole, byName(all, yield)
}

// own reads the account of r with its note: nil if there is none, Conflict if it isn't r's.
func (k accounts) own(ctx context.Context, s *session, r connector.Ref) (*held, *relational.Note, error) {
	n, err := k.noteOf(ctx, s, r)
	if err != nil {
		return nil, nil, err
	}
	have, err := k.read(ctx, s, []string{r.Name})
	if err != nil {
		return nil, nil, err
	}
	h := have[r.Name].from(hostOf(r))
	if h != nil && n == nil {
		return nil, nil, relational.Claim(k.marker, relational.Note{}, r)
	}
	return h, n, nil
}

func (k accounts) put(ctx context.Context, s *session, n relational.Note) error {
	return k.marks.Put(ctx, s, k.marker, n)
}

func (k accounts) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return o, rec, err
	}
	err = k.with(ctx, func(s *session) error {
		h, n, err := k.own(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		if err := k.may(d, h, n); err != nil {
			return err
		}
		for _, role := range a.Roles {
			if err := k.isRole(ctx, s, role); err != nil {
				return err
			}
		}
		note := relational.NewNote(k.marker, d.Ref)
		if h == nil {
			rec.Changed = true
			if err := k.put(ctx, s, note.With(makingKey, "yes")); err != nil {
				return err
			}
			if err := s.run(ctx, k.create(d, a)); err != nil {
				return err
			}
			h = k.fresh(d, a)
		}
		for _, sql := range k.changes(d, a, h) {
			rec.Changed = true
			if err := s.run(ctx, sql); err != nil {
				return err
			}
		}
		if len(h.rights) > 0 {
			rec.Changed = true
			if err := (databases{k.Driver}).revokeAccess(ctx, s, "", d.Name); err != nil {
				return err
			}
		}
		if n == nil || n.String() != note.String() {
			rec.Changed = true
			if err := k.put(ctx, s, note); err != nil {
				return err
			}
		}
		have, err := k.read(ctx, s, []string{d.Name})
		if err != nil {
			return err
		}
		note = note.Seal(k.marker)
		o, err = k.observed(d.Name, have[d.Name].from(hostOf(d.Ref)), &note)
		return err
	})
	return o, rec, err
}

// may is Conflict where the account isn't one that Tenure made, whatever its note says.
func (k accounts) may(d connector.Desired, h *held, n *relational.Note) error {
	switch {
	case h == nil:
		return nil
	case h.role != (k.typ == "role"):
		return tenure.Errorf(tenure.Conflict, "%q is a %s of the server's already", d.Name, map[bool]string{true: "role", false: "user"}[h.role])
	case len(h.others) > 0:
		return tenure.Errorf(tenure.Conflict, "there are further accounts of the name %q, for %s", d.Name, strings.Join(h.others, ", ")).WithHint("drop them, or choose another name")
	case n.Get(makingKey) != "" && k.typ == "user" && h.hash != passwordHash(d.Credential):
		return tenure.Errorf(tenure.Conflict, "user %q was made by somebody else while Tenure was about to", d.Name).WithHint("drop it, or choose another name")
	}
	return nil
}

func (k accounts) isRole(ctx context.Context, s *session, role string) error {
	have, err := k.read(ctx, s, []string{role})
	if err == nil && (have[role] == nil || !have[role].role) {
		err = tenure.Errorf(tenure.Invalid, "there is no role %q", role)
	}
	return err
}

// fresh is an account that was just created.
func (k accounts) fresh(d connector.Desired, a accountAttributes) *held {
	h := &held{name: d.Name, host: a.Host, role: k.typ == "role", tls: a.TLS, limit: a.ConnectionLimit, plugin: "mysql_native_password"}
	if !d.Credential.IsZero() {
		h.hash = passwordHash(d.Credential)
	}
	return h
}

func (k accounts) create(d connector.Desired, a accountAttributes) string {
	if k.typ == "role" {
		return "create role " + quote(d.Name)
	}
	hash := noPassword()
	if !d.Credential.IsZero() {
		hash = passwordHash(d.Credential)
	}
	return "create user " + account(d.Name, a.Host) + " identified by password " + literal(hash) + a.with()
}

func (a accountAttributes) with() string {
	require := " require none"
	if a.TLS {
		require = " require ssl"
	}
	return require + " with max_user_connections " + strconv.FormatInt(a.ConnectionLimit, 10)
}

// at is the account as SQL names it.
func (h *held) at() string {
	if h.role {
		return quote(h.name)
	}
	return account(h.name, h.host)
}

// changes are the statements that bring the account to desired.
func (k accounts) changes(d connector.Desired, a accountAttributes, h *held) (out []string) {
	do := func(sql string) { out = append(out, sql) }
	for _, p := range h.whole {
		do("revoke " + p + " on *.* from " + h.at())
	}
	if k.typ == "user" {
		if h.host != a.Host {
			do("rename user " + h.at() + " to " + account(d.Name, a.Host))
			h.host = a.Host
		}
		if !d.Credential.IsZero() && (h.hash != passwordHash(d.Credential) || h.plugin != "mysql_native_password") {
			do("alter user " + h.at() + " identified by password " + literal(passwordHash(d.Credential)))
		}
		if h.tls != a.TLS || h.limit != a.ConnectionLimit {
			do("alter user " + h.at() + a.with())
		}
		if h.locked {
			do("alter user " + h.at() + " account unlock")
		}
	}
	for _, role := range h.roles {
		if !slices.Contains(a.Roles, role) || slices.Contains(h.admin, role) {
			do("revoke " + quote(role) + " from " + h.at())
		}
	}
	for _, role := range a.Roles {
		if !slices.Contains(h.roles, role) || slices.Contains(h.admin, role) {
			do("grant " + quote(role) + " to " + h.at())
		}
	}
	if want := fallback(a.Roles); k.typ == "user" && h.fallback != want {
		if want == "" {
			want = "none"
		} else {
			want = quote(want)
		}
		do("set default role " + want + " for " + h.at())
	}
	return out
}

// cut takes a user's access off.
func (k accounts) cut(ctx context.Context, r connector.Ref, to tenure.ResourceState) (rec connector.Receipt, err error) {
	if k.typ != "user" {
		return rec, tenure.Errorf(tenure.Invalid, "a role signs in nowhere, so its access can't be taken off: that of its users can")
	}
	err = k.with(ctx, func(s *session) error {
		h, n, err := k.own(ctx, s, r)
		switch {
		case err != nil:
			return err
		case h == nil && to == tenure.ResourceRevoked:
			return nil
		case h == nil:
			return absent(r)
		}
		if now := h.off(n); now == to || now == tenure.ResourceRevoked {
			return nil
		}
		rec.Changed = true
		if now := tenure.ResourceState(n.Get("state")); now == tenure.ResourceRevoked {
			to = now // it was about to be
		}
		if err := k.put(ctx, s, relational.NewNote(k.marker, r).With("state", string(to))); err != nil {
			return err
		}
		for _, host := range append([]string{h.host}, h.others...) {
			sql := "alter user " + account(r.Name, host)
			if to == tenure.ResourceRevoked {
				sql += " identified by password " + literal(noPassword())
			}
			if err := s.run(ctx, sql+" account lock"); err != nil {
				return err
			}
		}
		return k.end(ctx, s, r.Name)
	})
	return rec, err
}

func (k accounts) resume(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	if k.typ != "user" {
		return rec, tenure.Errorf(tenure.Invalid, "a role signs in nowhere, so it was never suspended")
	}
	err = k.with(ctx, func(s *session) error {
		h, n, err := k.own(ctx, s, r)
		switch {
		case err != nil:
			return err
		case h == nil:
			return absent(r)
		case n.Get("state") == string(tenure.ResourceRevoked):
			return tenure.Errorf(tenure.Conflict, "user %q is revoked; it is made again with a new credential", r.Name)
		case n.Get("state") == "" && !h.locked:
			return nil
		}
		rec.Changed = true
		if err := s.run(ctx, "alter user "+h.at()+" account unlock"); err != nil {
			return err
		}
		return k.put(ctx, s, relational.NewNote(k.marker, r))
	})
	return rec, err
}

// droppedKey says in a note that the account it is of was dropped, or about to be, while
// there were others of its name.
const droppedKey = "dropped"

func (k accounts) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	if _, err := k.parse(r); err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		h, n, err := k.own(ctx, s, r)
		if err != nil || h == nil && n == nil {
			return err
		}
		left := func(hosts []string) error {
			return tenure.Errorf(tenure.Blocked, "%s %q is gone, and there are further accounts of its name, for %s: these are locked now", k.typ, r.Name, strings.Join(hosts, ", ")).
				WithHint("drop them if they are the tenant's, or rename them; then retry")
		}
		if h != nil && h.host != hostOf(r) && n.Get(droppedKey) != "" {
			return left(sorted(append([]string{h.host}, h.others...)))
		}
		if h != nil {
			rec.Changed = true
			verb := "drop role if exists "
			if !h.role {
				verb = "drop user if exists "
				if err := s.run(ctx, "alter user "+h.at()+" account lock"); err != nil {
					return err
				}
				for _, t := range h.twins {
					if err := s.run(ctx, "alter user "+t.at()+" account lock"); err != nil {
						return err
					}
				}
				if err := k.end(ctx, s, r.Name); err != nil {
					return err
				}
			}
			if len(h.others) > 0 {
				if h.host != hostOf(r) {
					return left(append([]string{h.host}, h.others...))
				}
				if err := k.put(ctx, s, relational.NewNote(k.marker, r).With("state", n.Get("state")).With(droppedKey, "yes")); err != nil {
					return err
				}
			}
			if err := s.run(ctx, verb+h.at()); err != nil {
				return err
			}
			if len(h.others) > 0 {
				return left(h.others)
			}
		}
		return k.marks.Delete(ctx, s, r.Type, r.Name)
	})
	return rec, err
}

func (k accounts) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	if _, err := k.parse(r); err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		notes, err := k.notes(ctx, s, k.typ)
		if err != nil {
			return err
		}
		have, err := k.read(ctx, s, []string{r.Name})
		if err != nil {
			return err
		}
		h := have[r.Name]
		if h == nil || h.role != (k.typ == "role") {
			return absent(r)
		}
		if lost, err := k.lost(notes[r.Name], r); err != nil || !lost {
			return err
		}
		note := relational.NewNote(k.marker, r)
		if as == tenure.ResourceSuspended || as == tenure.ResourceRevoked {
			note = note.With("state", string(as))
		}
		rec.Changed = true
		return k.put(ctx, s, note)
	})
	return rec, err
}
