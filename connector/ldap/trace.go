package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Tracer = (*Driver)(nil)

// tracing is one look at a directory that Tenure may never have seen.
type tracing struct {
	*Driver
	calls *connector.Budget
	hand  func(connector.Trace) error
	stop  error // hand's

	units  map[string]string   // IDs, by the keys of the DNs
	groups map[string][]string // IDs of groups, by the keys of those who are in them
	byUID  map[string][]string // and by the user ids that are in them (RFC 2307)
	says   []string
}

// errSpent says that no call is left.
var errSpent = errors.New("no call is left")

// Trace is described at connector.Tracer: organizational units, groups and users below the
// base. A page of a search is a call.
func (d *Driver) Trace(ctx context.Context, ask connector.Tracing, yield func(connector.Trace) error) (out connector.Traced, err error) {
	t := &tracing{Driver: d, calls: ask.Calls, units: map[string]string{}, groups: map[string][]string{}, byUID: map[string][]string{}}
	t.hand = func(one connector.Trace) error {
		t.stop = yield(one)
		return t.stop
	}
	if ctx.Err() == nil {
		err = t.look(ctx, &out)
	} else {
		err = context.Cause(ctx)
	}
	if t.stop != nil {
		return connector.Traced{}, t.stop
	}
	out.Says = t.says
	return out, classify("trace", err)
}

func (t *tracing) look(ctx context.Context, out *connector.Traced) error {
	if signed := t.calls.Spend(); !signed || !t.calls.Spend() { // to sign in, and to read what the server says of itself
		t.says = append(t.says, "the allowed calls were used up: nothing was looked at")
		return nil
	}
	g, err := t.sight(ctx)
	if err != nil {
		return err
	}
	if out.Fingerprint = g.Fingerprint; out.Fingerprint == "" {
		return tenure.Errorf(tenure.Forbidden, "trace: the base %s isn't there, or can't be read with this account", t.baseDN).WithHint("correct the option base, or give the account rights to read")
	}
	lacks, err := t.policies(ctx)
	if err != nil {
		return err
	}
	if err := t.traceUnits(ctx, lacks); err != nil {
		return err
	}
	if err := t.traceGroups(ctx); err != nil {
		return err
	}
	return t.traceUsers(ctx)
}

// pages gives the entries that a filter takes. Where the answer is cut short, by a limit, a
// right or the calls, it says so.
func (t *tracing) pages(ctx context.Context, what, below, filter string, attributes []string, each func(*ldap.Entry) error) error {
	referred, begun, own := false, false, error(nil)
	err := t.pool.on(ctx, func(c *connection) (bool, error) {
		for paging := ldap.NewControlPaging(t.page); ; {
			if !t.calls.Spend() {
				own = errSpent
				return true, nil
			}
			var got *ldap.SearchResult
			err := t.pool.during(ctx, c, func() (err error) {
				got, err = c.Search(ldap.NewSearchRequest(below, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, []ldap.Control{paging}))
				return err
			})
			if broken(err) {
				return begun, err
			}
			var cookie []byte
			if got != nil {
				if answer, ok := ldap.FindControl(got.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging); ok {
					cookie = answer.Cookie
				}
				referred = referred || len(got.Referrals) > 0
				for _, e := range got.Entries {
					begun = true
					if own = each(e); own != nil {
						return true, nil
					}
				}
			}
			if err != nil || len(cookie) == 0 {
				return begun, err
			}
			paging.SetCookie(cookie)
		}
	})
	switch {
	case own != nil && !errors.Is(own, errSpent):
		return own
	case own != nil:
		t.says = append(t.says, "the allowed calls were used up: not all "+what+" were looked at")
	case unseen(err):
		t.says = append(t.says, fmt.Sprintf("not all %s were told: the server says %s, %d", what, ldap.LDAPResultCodeMap[code(err)], code(err)))
	case missing(err):
		t.says = append(t.says, "no "+what+" can be read with this account")
	case err != nil:
		return err
	}
	if referred {
		t.says = append(t.says, "some "+what+" are on another server, which wasn't asked")
	}
	return nil
}

func traceID(at dn) string { return "dn:" + at.key() }

// in is the ID of the nearest unit above an entry, "" if there is none.
func (t *tracing) in(at dn) string {
	for at = at[1:]; len(at) > len(t.base); at = at[1:] {
		if id := t.units[at.key()]; id != "" {
			return id
		}
	}
	return ""
}

// begin is what an entry of any kind tells. Not ok: it is Tenure's own, or the base.
func (t *tracing) begin(kind connector.TraceKind, typ, word string, e *ldap.Entry) (one connector.Trace, at dn, ok bool) {
	at, err := parseDN(e.DN)
	if err != nil || len(at) <= len(t.base) || t.isOwn(at) {
		return one, nil, false
	}
	one = connector.Trace{Kind: kind, Word: word, Name: e.DN, ID: traceID(at), In: t.in(at), Rows: -1, Bytes: -1, Made: firstMoment(e, "createTimestamp", "whenCreated")}
	if of, name, ok := t.nameOf(at); ok && of == typ && slices.ContainsFunc(values(e, "objectClass"), func(c string) bool { return strings.EqualFold(c, objectClass[typ]) }) {
		one.Type, one.Name = typ, name
	}
	_, _, one.Bears, _ = t.whose(typ, e, at)
	called := []string{at[0].value}
	for _, name := range []string{"ou", "cn", "displayName", "o", "company", "description"} {
		for _, v := range values(e, name) {
			if !strings.HasPrefix(v, begins) && !slices.Contains(called, v) {
				called = append(called, v)
			}
		}
	}
	one.Called, one.Mails = called, values(e, "mail")
	for _, name := range []string{"employeeNumber", "employeeID", "uid", "departmentNumber"} {
		one.ExternalIDs = append(one.ExternalIDs, values(e, name)...)
	}
	return one, at, true
}

// told are the attributes that are read of every entry.
func (t *tracing) told(more ...string) []string {
	return append([]string{"objectClass", "entryUUID", t.mark, "ou", "cn", "displayName", "o", "company", "description", "mail", "employeeNumber", "employeeID", "uid", "departmentNumber", "createTimestamp", "whenCreated"}, more...)
}

// traceUnits tells of units, those that others are in first.
func (t *tracing) traceUnits(ctx context.Context, lacks func(dn) bool) error {
	type found struct {
		at  dn
		one connector.Trace
	}
	var all []found
	err := t.pages(ctx, "organizational units", t.baseDN, "(|(objectClass=organizationalUnit)(objectClass=organization))", t.told(), func(e *ldap.Entry) error {
		if one, at, ok := t.begin(connector.TracePlace, unit, "organizational unit", e); ok {
			if lacks(at) {
				one.Lacks = []string{"a password policy"}
			}
			t.units[at.key()] = one.ID
			all = append(all, found{at, one})
		}
		return nil
	})
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(len(a.at), len(b.at)), cmp.Compare(a.one.Name, b.one.Name))
	})
	for _, f := range all {
		if err == nil {
			f.one.In = t.in(f.at)
			err = t.hand(f.one)
		}
	}
	return err
}

// traceGroups tells of groups. One that is in another reaches what that one does.
func (t *tracing) traceGroups(ctx context.Context) error {
	const filter = "(|" + "(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group)" + ")"
	type found struct {
		key string
		one connector.Trace
	}
	var all []found
	parts := 0
	err := t.pages(ctx, "groups", t.baseDN, filter, t.told("member", "uniqueMember", "memberUid"), func(e *ldap.Entry) error {
		one, at, ok := t.begin(connector.TraceGroup, group, "group", e)
		if !ok {
			return nil
		}
		for _, name := range members {
			for _, v := range values(e, name) {
				if of, err := parseDN(v); err == nil {
					t.groups[of.key()] = append(t.groups[of.key()], one.ID)
				}
			}
		}
		for _, v := range values(e, "memberUid") {
			t.byUID[v] = append(t.byUID[v], one.ID)
		}
		if slices.ContainsFunc(e.Attributes, func(a *ldap.EntryAttribute) bool { return strings.HasPrefix(strings.ToLower(a.Name), "member;range=") }) {
			parts++
		}
		all = append(all, found{at.key(), one})
		return nil
	})
	if parts > 0 {
		t.says = append(t.says, fmt.Sprintf("of %d groups not all members were told: the server gives them in parts", parts))
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(a.one.Name, b.one.Name) })
	for _, f := range all {
		if err == nil {
			f.one.Reaches = t.groups[f.key]
			err = t.hand(f.one)
		}
	}
	return err
}

// traceUsers tells of what can sign in.
func (t *tracing) traceUsers(ctx context.Context) error {
	const filter = "(|" + accounts + "(objectClass=user))"
	wanted := t.told("pwdAccountLockedTime", "loginDisabled", "nsAccountLock", "userAccountControl", "accountExpires", "pwdEndTime", "shadowExpire",
		"sn", "pwdPolicySubentry", lastSeen, "authTimestamp", "lastLogin", "lastLoginTime", "lastLogon", "lastLogonTimestamp")
	if t.lockName != "" {
		wanted = append(wanted, t.lockName)
	}
	return t.pages(ctx, "users", t.baseDN, filter, wanted, func(e *ldap.Entry) error {
		one, at, ok := t.begin(connector.TraceAccount, user, "user", e)
		if !ok || slices.ContainsFunc(values(e, "objectClass"), func(c string) bool { return strings.EqualFold(c, "computer") }) {
			return nil
		}
		if one.Type == user {
			one.Attributes = toldOf(e)
		}
		one.Reaches = slices.Clone(t.groups[at.key()])
		for _, uid := range values(e, "uid") {
			one.Reaches = append(one.Reaches, t.byUID[uid]...)
		}
		slices.Sort(one.Reaches)
		one.Reaches = slices.Compact(one.Reaches)
		one.Disabled = t.locked(e) || value(e, "pwdAccountLockedTime") != "" || strings.EqualFold(value(e, "loginDisabled"), "TRUE") || strings.EqualFold(value(e, "nsAccountLock"), "true")
		if flags, err := strconv.ParseUint(value(e, "userAccountControl"), 10, 32); err == nil && flags&2 != 0 { // ACCOUNTDISABLE
			one.Disabled = true
		}
		one.Used = firstMoment(e, lastSeen, "authTimestamp", "lastLogin", "lastLoginTime", "lastLogon", "lastLogonTimestamp")
		one.Expires = firstMoment(e, "pwdEndTime", "accountExpires")
		if days, err := strconv.ParseInt(value(e, "shadowExpire"), 10, 32); err == nil && days > 0 && one.Expires.IsZero() {
			one.Expires = time.Unix(days*24*60*60, 0).UTC()
		}
		return t.hand(one)
	})
}

// toldOf are the attributes of a user that a blueprint can say: those of one value.
func toldOf(e *ldap.Entry) map[string]any {
	out := map[string]any{}
	for name, as := range plainNames {
		if all := values(e, as); len(all) == 1 && all[0] != "" {
			out[name] = all[0]
		}
	}
	return out
}

// firstMoment is the latest of the times that some attributes say: generalized times, or
// hundreds of nanoseconds since 1601 as Active Directory counts.
func firstMoment(e *ldap.Entry, names ...string) (at time.Time) {
	const since1601, never = 11_644_473_600, 1<<63 - 1
	for _, name := range names {
		v := value(e, name)
		one := moment(v)
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 0 && n != never {
			one = time.Unix(n/10_000_000-since1601, n%10_000_000*100).UTC()
		}
		if one.After(at) {
			at = one
		}
	}
	return at
}

// policies says which units have no password policy: neither one that holds for all, nor one
// of a user's in it. Where the server's configuration can't be read, nothing is said of any.
func (t *tracing) policies(ctx context.Context) (lacks func(dn) bool, err error) {
	none := func(dn) bool { return false }
	if !t.calls.Spend() {
		return none, nil // which the next search says
	}
	seen, standing := false, false
	err = t.pool.read(ctx, func(c *connection) error {
		got, err := c.Search(ldap.NewSearchRequest("cn=config", ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
			"(|(objectClass=olcDatabaseConfig)(objectClass=olcPPolicyConfig))", []string{"objectClass", "olcPPolicyDefault"}, nil))
		if err == nil {
			for _, e := range got.Entries {
				seen = true
				standing = standing || value(e, "olcPPolicyDefault") != ""
			}
		}
		return err
	})
	if broken(err) {
		return nil, err
	}
	if !seen {
		t.says = append(t.says, "the server's configuration can't be read, so what password policy holds isn't told")
		return none, nil
	}
	if standing {
		return none, nil
	}
	covered := map[string]bool{}
	said := len(t.says)
	err = t.pages(ctx, "users with a password policy", t.baseDN, "(pwdPolicySubentry=*)", []string{"1.1"}, func(e *ldap.Entry) error {
		if at, err := parseDN(e.DN); err == nil {
			for ; len(at) > len(t.base); at = at[1:] {
				covered[at.key()] = true
			}
		}
		return nil
	})
	if len(t.says) > said {
		return none, err
	}
	return func(at dn) bool { return !covered[at.key()] }, err
}
