package governance_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// door is a Governor over a store of its own, under a clock that the test moves.
type door struct {
	*governance.Governor
	t   *testing.T
	db  *store.DB
	mu  sync.Mutex
	now time.Time
}

func newDoor(t *testing.T, policies governance.Policies) *door {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "tenure.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d := &door{t: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	d.on(db, policies)
	return d
}

// on sets the door up over a store.
func (d *door) on(db *store.DB, policies governance.Policies) {
	d.db = db
	d.Governor = governance.New(governance.Options{
		DB: db, Now: d.clock, Policies: policies,
		Entry: func(_ context.Context, kind, _ string, ten tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
			return audit.Entry{Format: audit.Format, At: d.clock(), Kind: kind, Tenant: ten, Operation: op, Subject: subject, Data: audit.Facts(facts)}, nil
		},
	})
}

func (d *door) clock() time.Time { d.mu.Lock(); defer d.mu.Unlock(); return d.now }

func (d *door) pass(by time.Duration) { d.mu.Lock(); defer d.mu.Unlock(); d.now = d.now.Add(by) }

func (d *door) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// person adds somebody with roles over everything and gives them as a caller.
func (d *door) person(name string, roles ...tenure.Role) tenure.Caller {
	d.t.Helper()
	return d.grant(name, tenure.Scope{All: true}, roles...)
}

func (d *door) grant(name string, scope tenure.Scope, roles ...tenure.Role) tenure.Caller {
	d.t.Helper()
	p, err := d.AddPrincipal(d.t.Context(), store.Principal{Name: name, Kind: tenure.CallerPerson, Email: name + "@example.com"}, "root")
	d.must(err)
	for _, r := range roles {
		_, err := d.Grant(d.t.Context(), governance.Local("root"), tenure.Grant{Principal: p.ID, Role: r, Scope: scope})
		d.must(err)
	}
	_, value, err := d.NewSession(d.t.Context(), p, "oidc", "test", true)
	d.must(err)
	c, err := d.Authenticate(d.t.Context(), governance.Credential{Session: value})
	d.must(err)
	return c
}

func (d *door) wants(err error, code tenure.Code, words ...string) {
	d.t.Helper()
	if tenure.CodeOf(err) != code {
		d.t.Fatalf("error %v (%s); want %s", err, tenure.CodeOf(err), code)
	}
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			d.t.Errorf("error %v; want it to say %q", err, w)
		}
	}
}

// A token opens what its principal may, until it ends, is revoked, or the
// principal is kept out; its text is nowhere in the store.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	ada := d.person("ada", tenure.Operator)
	made, text, err := d.NewToken(ctx, ada, "ada", store.Token{Name: "laptop", ExpiresAt: d.Now().Add(time.Hour)})
	d.must(err)
	use := func() error {
		_, err := d.Authenticate(ctx, governance.Credential{Bearer: text})
		return err
	}
	d.must(use())
	for _, wrong := range []string{"", "tnr_", "tnr_x", text.Reveal() + "x", text.Reveal()[:len(text.Reveal())-1], strings.ToUpper(text.Reveal()), strings.Repeat("a", 5000)} {
		_, err := d.Authenticate(ctx, governance.Credential{Bearer: tenure.NewSecret(wrong)})
		d.wants(err, tenure.Unauthorized)
	}
	d.pass(59 * time.Minute)
	d.must(use())
	d.pass(2 * time.Minute)
	d.wants(use(), tenure.Unauthorized)

	made, text, err = d.NewToken(ctx, ada, "ada", store.Token{Name: "laptop", ExpiresAt: d.Now().Add(time.Hour)})
	d.must(err)
	d.must(d.RevokeToken(ctx, ada, made.ID))
	d.wants(use(), tenure.Unauthorized)

	_, text, err = d.NewToken(ctx, ada, "ada", store.Token{Name: "laptop", ExpiresAt: d.Now().Add(time.Hour)})
	d.must(err)
	_, err = d.DisablePrincipal(ctx, "ada", true, 0, "root")
	d.must(err)
	d.wants(use(), tenure.Unauthorized)
	_, err = d.DisablePrincipal(ctx, "ada", false, 0, "root")
	d.must(err)
	if use() == nil {
		t.Error("a token revived with its principal")
	}
}

// Nobody makes a token that speaks in another person's name, and a narrowed token
// can't make a wider one.
func TestTokenNarrows(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	ada, admin := d.person("ada", tenure.Operator), d.person("admin", tenure.Admin)
	soon := d.Now().Add(time.Hour)
	_, _, err := d.NewToken(ctx, admin, "ada", store.Token{Name: "x", ExpiresAt: soon})
	d.wants(err, tenure.Forbidden, "that person alone")
	for _, bad := range []store.Token{
		{Name: "", ExpiresAt: soon}, {Name: "x"}, {Name: "x", ExpiresAt: d.Now().Add(400 * 24 * time.Hour)}, {Name: "x", ExpiresAt: d.Now().Add(-time.Hour)},
		{Name: "x", ExpiresAt: soon, Only: []tenure.Permission{"tenant.everything"}}, {Name: "x", ExpiresAt: soon, Limit: tenure.Scope{Labels: []string{"no"}}},
	} {
		_, _, err := d.NewToken(ctx, ada, "ada", bad)
		d.wants(err, tenure.Invalid)
	}
	_, text, err := d.NewToken(ctx, ada, "ada", store.Token{Name: "gold", ExpiresAt: soon, Limit: tenure.Scope{Tiers: []string{"gold"}}, Only: []tenure.Permission{tenure.TenantRead}})
	d.must(err)
	narrow, err := d.Authenticate(ctx, governance.Credential{Bearer: text})
	d.must(err)
	if got := narrow.Decide(tenure.TenantRead, tenure.Target{Tenant: "ten_a", Tier: "gold"}); !got.Allowed {
		t.Errorf("gold: %+v", got)
	}
	for name, got := range map[string]tenure.Decision{
		"another tier":       narrow.Decide(tenure.TenantRead, tenure.Target{Tenant: "ten_a", Tier: "team"}),
		"another permission": narrow.Decide(tenure.OperationRequest, tenure.Target{Tenant: "ten_a", Tier: "gold"}),
		"the installation":   narrow.Decide(tenure.TenantRead, tenure.Target{}),
	} {
		if got.Allowed {
			t.Errorf("%s: the token lets it", name)
		}
	}
	_, _, err = d.NewToken(ctx, narrow, "ada", store.Token{Name: "wider", ExpiresAt: soon, Limit: tenure.Scope{All: true}})
	d.wants(err, tenure.Forbidden, "reach further")
	wide, _, err := d.NewToken(ctx, narrow, "ada", store.Token{Name: "same", ExpiresAt: soon})
	d.must(err)
	if !slices.Equal(wide.Limit.Tiers, []string{"gold"}) || len(wide.Only) != 1 {
		t.Errorf("a token made by a narrowed one is %+v", wide)
	}
}

// A machine acts under a person's responsibility: it never approves, counts with
// its owner where roles conflict, and falls with them.
func TestMachines(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	ada, eve := d.person("ada", tenure.Operator), d.person("eve", tenure.Viewer)
	_ = d.person("auditor", tenure.Auditor)
	_, err := d.AddPrincipal(ctx, store.Principal{Name: "ci", Kind: tenure.CallerMachine}, "root")
	d.wants(err, tenure.Invalid, "answers for it")
	_, err = d.AddPrincipal(ctx, store.Principal{Name: "ci", Kind: tenure.CallerMachine, Owner: "ada"}, "root")
	d.must(err)
	_, err = d.AddPrincipal(ctx, store.Principal{Name: "audit-bot", Kind: tenure.CallerMachine, Owner: "auditor"}, "root")
	d.must(err)
	root := governance.Local("root")
	for _, r := range []tenure.Role{tenure.Approver, tenure.SecurityOfficer, tenure.Legal, tenure.Admin} {
		_, err := d.Grant(ctx, root, tenure.Grant{Principal: "ci", Role: r, Scope: tenure.Scope{All: true}})
		d.wants(err, tenure.Invalid, "only persons")
	}
	_, err = d.Grant(ctx, root, tenure.Grant{Principal: "audit-bot", Role: tenure.BlueprintAuthor, Scope: tenure.Scope{All: true}})
	d.wants(err, tenure.Conflict, "auditor")
	_, err = d.Grant(ctx, root, tenure.Grant{Principal: "ci", Role: tenure.Operator, Scope: tenure.Scope{All: true}})
	d.must(err)
	_, err = d.AddPrincipal(ctx, store.Principal{Name: "eve-bot", Kind: tenure.CallerMachine, Owner: "eve"}, "root")
	d.must(err)
	_, err = d.Grant(ctx, root, tenure.Grant{Principal: "eve-bot", Role: tenure.Operator, Scope: tenure.Scope{All: true}})
	d.must(err)
	_, err = d.Grant(ctx, root, tenure.Grant{Principal: "eve", Role: tenure.Auditor, Scope: tenure.Scope{All: true}})
	d.wants(err, tenure.Conflict, "doesn't act")
	_, _, err = d.NewToken(ctx, eve, "ci", store.Token{Name: "x", ExpiresAt: d.Now().Add(time.Hour)})
	d.wants(err, tenure.Forbidden)
	_, text, err := d.NewToken(ctx, ada, "ci", store.Token{Name: "x", ExpiresAt: d.Now().Add(time.Hour)})
	d.must(err)
	c, err := d.Authenticate(ctx, governance.Credential{Bearer: text})
	d.must(err)
	if c.Owner != "ada" || c.Kind != tenure.CallerMachine {
		t.Errorf("caller %+v", c)
	}
	_, err = d.DisablePrincipal(ctx, "ada", true, 0, "root")
	d.must(err)
	_, err = d.Authenticate(ctx, governance.Credential{Bearer: text})
	d.wants(err, tenure.Unauthorized)
}

// Nobody gives a role to themselves, over more than they manage, or against the
// table of conflicts; a revocation holds from the next request on.
func TestGrants(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	admin := d.person("admin", tenure.Admin)
	gold := d.grant("gold-admin", tenure.Scope{Tiers: []string{"gold"}}, tenure.Admin)
	bob := d.person("bob")
	all := tenure.Scope{All: true}
	_, err := d.Grant(ctx, admin, tenure.Grant{Principal: admin.Principal, Role: tenure.Operator, Scope: all})
	d.wants(err, tenure.Forbidden, "themselves")
	_, err = d.Grant(ctx, gold, tenure.Grant{Principal: bob.Principal, Role: tenure.Viewer, Scope: all})
	d.wants(err, tenure.Forbidden)
	_, err = d.Grant(ctx, bob, tenure.Grant{Principal: admin.Principal, Role: tenure.Viewer, Scope: all})
	d.wants(err, tenure.Forbidden)
	_, err = d.Grant(ctx, admin, tenure.Grant{Principal: bob.Principal, Role: "god", Scope: all})
	d.wants(err, tenure.Invalid, "no role")
	_, err = d.Grant(ctx, admin, tenure.Grant{Principal: bob.Principal, Role: tenure.Viewer})
	d.wants(err, tenure.Invalid, "names nobody")
	given, err := d.Grant(ctx, gold, tenure.Grant{Principal: bob.Principal, Role: tenure.Operator, Scope: tenure.Scope{Tiers: []string{"gold"}}, ExpiresAt: d.Now().Add(time.Hour)})
	d.must(err)
	_, err = d.Grant(ctx, admin, tenure.Grant{Principal: bob.Principal, Role: tenure.Auditor, Scope: all})
	d.wants(err, tenure.Conflict, "doesn't act")

	_, value, err := d.NewSession(ctx, store.Principal{ID: bob.Principal, Name: "bob"}, "oidc", "", true)
	d.must(err)
	can := func() bool {
		c, err := d.Authenticate(ctx, governance.Credential{Session: value})
		d.must(err)
		return c.Decide(tenure.OperationRequest, tenure.Target{Tenant: "ten_a", Tier: "gold"}).Allowed
	}
	if !can() {
		t.Fatal("the grant lets nothing")
	}
	d.must(d.RevokeGrant(ctx, gold, given.ID))
	if can() {
		t.Error("a revoked grant still lets")
	}
	_, err = d.Grant(ctx, admin, tenure.Grant{Principal: bob.Principal, Role: tenure.Operator, Scope: all, ExpiresAt: d.Now().Add(time.Minute)})
	d.must(err)
	if !can() {
		t.Error("the second grant lets nothing")
	}
	d.pass(2 * time.Minute)
	if can() {
		t.Error("a grant outlives its end")
	}
}

// A weak sign-in isn't enough for what can destroy or give out access.
func TestStrongSignIn(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	c := d.person("ada", tenure.Approver)
	if !c.Decide(tenure.OperationApprove, tenure.Target{Tenant: "ten_a"}).Allowed {
		t.Fatal("a strong sign-in may not approve")
	}
	_, value, err := d.NewSession(t.Context(), store.Principal{ID: c.Principal, Name: "ada"}, "oidc", "", false)
	d.must(err)
	weak, err := d.Authenticate(t.Context(), governance.Credential{Session: value})
	d.must(err)
	if got := weak.Decide(tenure.OperationApprove, tenure.Target{Tenant: "ten_a"}); got.Allowed || !strings.Contains(got.Why, "stronger") {
		t.Errorf("weak: %+v", got)
	}
	if !weak.Decide(tenure.TenantRead, tenure.Target{Tenant: "ten_a"}).Allowed {
		t.Error("a weak sign-in may not even read")
	}
}

// Sessions end by time, by idleness and by revocation, and each sign-in makes
// another one.
func TestSessions(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	ada := d.person("ada", tenure.Viewer)
	begin := func() (store.Session, tenure.Secret) {
		s, v, err := d.NewSession(ctx, store.Principal{ID: ada.Principal, Name: "ada"}, "oidc", strings.Repeat("é", 500), false)
		d.must(err)
		return s, v
	}
	in := func(v tenure.Secret) bool {
		_, err := d.Authenticate(ctx, governance.Credential{Session: v})
		return err == nil
	}
	s1, v1 := begin()
	_, v2 := begin()
	if v1.Reveal() == v2.Reveal() || !in(v1) || !in(v2) {
		t.Fatal("two sign-ins don't make two sessions")
	}
	d.must(d.RevokeSession(ctx, ada, s1.ID))
	if in(v1) || !in(v2) {
		t.Error("revoking one session did something else")
	}
	d.pass(59 * time.Minute)
	if !in(v2) {
		t.Error("a session ended before its idle time")
	}
	d.pass(61 * time.Minute)
	if in(v2) {
		t.Error("an idle session goes on")
	}
	_, v3 := begin()
	for range 20 {
		d.pass(50 * time.Minute)
		in(v3)
	}
	if in(v3) {
		t.Error("a session in use goes on for ever")
	}
	eve := d.person("eve", tenure.Viewer)
	s4, _ := begin()
	d.wants(d.RevokeSession(ctx, eve, s4.ID), tenure.NotFound)
}

// The bootstrap code lets one admin in, once.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	code, err := d.BootstrapCode(ctx)
	d.must(err)
	if !d.AwaitsFirst(ctx) {
		t.Error("nobody is awaited")
	}
	_, err = d.Redeem(ctx, tenure.NewSecret("boot_wrong"), "mallory", "")
	d.wants(err, tenure.Unauthorized)
	var wins sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for _, name := range []string{"a", "b", "c", "d"} {
		wins.Go(func() {
			if _, err := d.Redeem(ctx, code, name, name+"@example.com"); err == nil {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	wins.Wait()
	if n != 1 {
		t.Errorf("the code let %d in", n)
	}
	if d.AwaitsFirst(ctx) {
		t.Error("somebody is still awaited")
	}
	late, err := d.BootstrapCode(ctx)
	d.must(err)
	d.pass(25 * time.Hour)
	_, err = d.Redeem(ctx, late, "late", "")
	d.wants(err, tenure.Unauthorized)
}

// A device waits until a signed-in person confirms its code, gets one token, and
// is as strong as that person's sign-in.
func TestDevice(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	ctx := t.Context()
	ada := d.person("ada", tenure.Operator)
	dev, err := d.BeginDevice(ctx)
	d.must(err)
	_, _, err = d.DeviceToken(ctx, dev.DeviceCode)
	d.wants(err, tenure.Blocked)
	if !tenure.CanRetry(err) {
		t.Error("a retry doesn't help while nobody has confirmed")
	}
	d.wants(d.ConfirmDevice(ctx, ada, "BCDF-GHJK"), tenure.NotFound)
	machine := tenure.Caller{Kind: tenure.CallerMachine, Name: "ci", Principal: ada.Principal}
	d.wants(d.ConfirmDevice(ctx, machine, dev.UserCode), tenure.Forbidden)
	d.must(d.ConfirmDevice(ctx, ada, " "+strings.ToLower(strings.ReplaceAll(dev.UserCode, "-", ""))+" "))
	eve := d.person("eve", tenure.Viewer)
	if d.ConfirmDevice(ctx, eve, dev.UserCode) == nil {
		t.Error("another person took the device over")
	}
	_, text, err := d.DeviceToken(ctx, dev.DeviceCode)
	d.must(err)
	c, err := d.Authenticate(ctx, governance.Credential{Bearer: text})
	d.must(err)
	if c.Name != "ada" || !c.Strong {
		t.Errorf("the token is %+v", c)
	}
	_, _, err = d.DeviceToken(ctx, dev.DeviceCode)
	d.wants(err, tenure.Unauthorized)
	old, err := d.BeginDevice(ctx)
	d.must(err)
	d.pass(11 * time.Minute)
	if d.ConfirmDevice(ctx, ada, old.UserCode) == nil {
		t.Error("a lapsed code was confirmed")
	}
}

// denies denies one permission, whoever asks.
type denies tenure.Permission

func (p denies) Denies(_ tenure.Caller, asked tenure.Permission, _ tenure.Target, _ time.Time) []string {
	if asked == tenure.Permission(p) {
		return []string{"no-weekends (hours.cedar)"}
	}
	return nil
}

// A policy denies what a grant allows and says its name; what the caller may not
// know of is NotFound whatever they ask.
func TestRequire(t *testing.T) {
	t.Parallel()
	d := newDoor(t, denies(tenure.OperationRequest))
	ctx := t.Context()
	ada := d.grant("ada", tenure.Scope{Tiers: []string{"gold"}}, tenure.Operator)
	seen, hidden := tenure.Target{Tenant: "ten_a", Tier: "gold"}, tenure.Target{Tenant: "ten_b", Tier: "team"}
	d.must(d.Require(ctx, ada, tenure.TenantRead, seen))
	d.wants(d.Require(ctx, ada, tenure.OperationRequest, seen), tenure.Forbidden, "denied by no-weekends (hours.cedar)")
	d.wants(d.Require(ctx, ada, tenure.OperationApprove, seen), tenure.Forbidden, "no role of theirs has")
	for _, p := range []tenure.Permission{tenure.TenantRead, tenure.OperationRequest, tenure.OperationApprove} {
		d.wants(d.Require(ctx, ada, p, hidden), tenure.NotFound)
	}
	d.wants(d.Require(ctx, ada, tenure.TenantRead, tenure.Target{}), tenure.Forbidden)
}

// Only paths of this site are returned to.
func TestSafePath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/tenants?state=active": "/tenants?state=active", "": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/", "javascript:alert(1)": "/",
		"/a\r\nSet-Cookie: x": "/", "/\t/evil.example": "/", "/" + strings.Repeat("a", 600): "/", "/%2f%2fevil": "/%2f%2fevil",
	} {
		if got := governance.SafePath(in); got != want {
			t.Errorf("SafePath(%q) = %q, want %q", in, got, want)
		}
	}
}
