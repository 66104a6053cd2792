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
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/store"
)

// ward is an installation with tenants acme (gold) and globex (team), each with a
// thing in the system "db", people, and a clock that the test moves. ada operates
// over gold, bo approves and sue is the security officer over all, ann the admin,
// aud the auditor, tim approves over team alone, and ci is ada's machine.
type ward struct {
	*governance.Governor
	t       *testing.T
	db      *store.DB
	world   *memory.World
	sys     *connector.System
	driver  connector.Driver
	who     map[string]tenure.Caller
	acme    tenure.TenantID
	globex  tenure.TenantID
	mu      sync.Mutex
	now     time.Time
	kinds   []string
	failing error // what Entry answers
}

func newWard(t *testing.T) *ward {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "tenure.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &ward{t: t, db: db, world: memory.NewWorld("ward"), who: map[string]tenure.Caller{}, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	info := memory.InfoOf(w.world)
	w.driver, err = info.Open(t.Context(), connector.Config{System: "db", Marker: connector.Marker{Installation: "ins_test", System: "db", Key: []byte("a key that tests alone use, 32 B")}, Now: w.clock})
	w.must(err)
	fingerprint, err := w.driver.Plant(t.Context())
	w.must(err)
	w.sys = connector.NewSystem("db", info, w.driver, fingerprint, 4)
	w.restart()
	w.write(func(tx *store.Tx) error {
		return tx.SaveSystem(store.System{Name: "db", Connector: "memory", Fingerprint: fingerprint, AddedBy: "ann", AddedAt: w.clock()}, false)
	})
	w.acme, w.globex = w.tenant("acme", "gold"), w.tenant("globex", "team")
	all := tenure.Scope{All: true}
	gold, team := tenure.Scope{Tiers: []string{"gold"}}, tenure.Scope{Tiers: []string{"team"}}
	w.hire("ada", gold, tenure.Operator)
	w.hire("bo", all, tenure.Approver)
	w.hire("sue", all, tenure.SecurityOfficer)
	w.hire("ann", all, tenure.Admin)
	w.hire("aud", all, tenure.Auditor)
	w.hire("tim", team, tenure.Approver)
	w.hire("ci", gold, tenure.Viewer)
	return w
}

// restart is a new process on the same store and system.
func (w *ward) restart() {
	w.Governor = governance.New(governance.Options{
		DB: w.db, Now: w.clock, System: func(context.Context, string) (*connector.System, error) { return w.sys, nil },
		Entry: func(_ context.Context, kind, _ string, ten tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.kinds = append(w.kinds, kind)
			return audit.Entry{Format: audit.Format, At: w.now, Kind: kind, Tenant: ten, Operation: op, Subject: subject, Data: audit.Facts(facts)}, w.failing
		},
	})
}

func (w *ward) clock() time.Time      { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
func (w *ward) pass(by time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(by) }
func (w *ward) fail(err error)        { w.mu.Lock(); defer w.mu.Unlock(); w.failing = err }
func (w *ward) logged(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.kinds, kind)
}

func (w *ward) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) write(do func(*store.Tx) error) {
	w.t.Helper()
	w.must(w.db.Write(context.Background(), do))
}

func (w *ward) wants(what string, err error, code tenure.Code) {
	w.t.Helper()
	if tenure.CodeOf(err) != code {
		w.t.Errorf("%s: %v (%s), want %s", what, err, tenure.CodeOf(err), code)
	}
}

func (w *ward) tenant(name, tier string) tenure.TenantID {
	w.t.Helper()
	now := w.clock()
	id, res := tenure.NewID[tenure.TenantID](now), tenure.NewID[tenure.ResourceID](now)
	w.write(func(tx *store.Tx) error {
		row := store.TenantRow{Tenant: tenure.Tenant{ID: id, Name: name, Tier: tier, Parameters: []byte(`{}`), CreatedAt: now}}
		if err := tx.CreateTenant(row); err != nil {
			return err
		}
		r := tenure.Resource{ID: res, Tenant: id, Environment: "prod", Key: "store", System: "db", Type: "store", Name: name, Desired: []byte(`{}`), CreatedAt: now, UpdatedAt: now}
		if err := tx.SaveResource(r); err != nil {
			return err
		}
		_, err := tx.Exec(`update resource set state = 'present', verdict = verdict, expires_at = expires_at where id = $1`, string(res))
		return err
	})
	_, _, err := w.driver.Ensure(w.t.Context(), connector.Desired{Ref: connector.Ref{Resource: res, Tenant: id, Environment: "prod", Type: "store", Name: name, Attributes: map[string]any{}}})
	w.must(err)
	return id
}

func (w *ward) hire(name string, scope tenure.Scope, role tenure.Role) {
	w.t.Helper()
	p := store.Principal{Name: name, Kind: tenure.CallerPerson}
	if name == "ci" {
		p.Kind, p.Owner = tenure.CallerMachine, "ada"
	}
	p, err := w.AddPrincipal(w.t.Context(), p, "root")
	w.must(err)
	_, err = w.Grant(w.t.Context(), governance.Local("root"), tenure.Grant{Principal: p.ID, Role: role, Scope: scope})
	w.must(err)
	w.who[name] = w.as(name)
}

// as is somebody with what they may do now.
func (w *ward) as(name string) tenure.Caller {
	w.t.Helper()
	p, err := w.db.Principal(w.t.Context(), name)
	w.must(err)
	all, err := w.db.Grants(w.t.Context(), p.ID, false)
	w.must(err)
	c := tenure.Caller{Principal: p.ID, Name: p.Name, Kind: p.Kind, Owner: p.Owner, Strong: true}
	for _, g := range all {
		if g.Active(w.clock()) {
			c.Grants = append(c.Grants, g)
		}
	}
	return c
}

func hours(n int) tenure.Period {
	p, _ := tenure.ParsePeriod("PT" + string(rune('0'+n)) + "H")
	return p
}

func (w *ward) ask(role tenure.Role, system string, access tenure.DirectAccess) governance.ElevationAsk {
	return governance.ElevationAsk{Role: role, Scope: tenure.Scope{Tenants: []tenure.TenantID{w.acme}}, Reason: "a stuck migration", For: hours(2), System: system, Access: access}
}

// approved is an elevation of ada's that bo approved.
func (w *ward) approved(ask governance.ElevationAsk) tenure.Elevation {
	w.t.Helper()
	e, err := w.RequestElevation(w.t.Context(), w.who["ada"], ask)
	w.must(err)
	e, err = w.ApproveElevation(w.t.Context(), w.who["bo"], e.ID, e.Digest)
	w.must(err)
	return e
}

func (w *ward) may(name string, p tenure.Permission) bool {
	w.t.Helper()
	return w.as(name).Decide(p, tenure.Target{Tenant: w.acme, Tier: "gold"}).Allowed
}

// in says whether a login opens acme's things, and no neighbour's.
func (w *ward) in(l *governance.Login) bool {
	w.t.Helper()
	if w.world.SignIn(l.Name, l.Secret.Reveal(), "store", "globex", w.clock()) == nil {
		w.t.Error("the login opens a neighbour")
	}
	return w.world.SignIn(l.Name, l.Secret.Reveal(), "store", "acme", w.clock()) == nil
}

func (w *ward) state(id tenure.ElevationID) tenure.ElevationState {
	w.t.Helper()
	row, err := w.db.Elevation(w.t.Context(), id)
	w.must(err)
	return row.State
}

func (w *ward) logins() int {
	w.t.Helper()
	list, err := w.sys.Elevations(w.t.Context())
	w.must(err)
	return len(list)
}

func (w *ward) tick() {
	w.t.Helper()
	w.must(w.TickElevations(w.t.Context(), w.clock()))
}

// The clock starts at the claim; the role and the login work from then on and end
// by themselves, the role even if nothing runs.
func TestElevationLife(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	e := w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead))
	if w.may("ada", tenure.AuditRead) || w.logins() != 0 {
		t.Fatal("the role works, or the login is there, before the claim")
	}
	w.pass(50 * time.Minute)
	e, login, err := w.ClaimElevation(t.Context(), w.who["ada"], e.ID)
	w.must(err)
	if !e.StartedAt.Equal(w.clock()) || !e.EndsAt.Equal(w.clock().Add(2*time.Hour)) {
		t.Errorf("it runs from %s to %s, want two hours from the claim on", e.StartedAt, e.EndsAt)
	}
	if !w.may("ada", tenure.AuditRead) || !w.in(login) {
		t.Fatal("the role or the login doesn't work after the claim")
	}
	if w.as("ada").Decide(tenure.AuditRead, tenure.Target{Tenant: w.globex, Tier: "team"}).Allowed {
		t.Error("the role reaches beyond what was asked for")
	}
	_, _, err = w.ClaimElevation(t.Context(), w.who["ada"], e.ID)
	w.wants("a second claim", err, tenure.Conflict)
	w.tick()
	if !w.in(login) {
		t.Error("a tick ended the login early")
	}
	w.pass(2 * time.Hour)
	if w.may("ada", tenure.AuditRead) || w.in(login) {
		t.Error("the role or the login works after the end, while nothing runs")
	}
	w.tick()
	if w.state(e.ID) != tenure.ElevationEnded || w.logins() != 0 {
		t.Errorf("after the end it is %s with %d logins", w.state(e.ID), w.logins())
	}
	for _, kind := range []string{"elevation.request", "elevation.approve", "elevation.claim", "elevation.end", "elevation.login.end"} {
		if !w.logged(kind) {
			t.Errorf("%s isn't in the log", kind)
		}
	}
	for _, kind := range []string{"elevation.request", "elevation.claim"} {
		events, err := w.db.AccessEvents(t.Context(), kind, "ada", time.Time{}, 10)
		if err != nil || len(events) != 1 || events[0].Tenant != string(w.acme) || !strings.Contains(events[0].Detail, "security-officer") {
			t.Errorf("the events of %s are %+v (%v)", kind, events, err)
		}
	}
}

func TestElevationApprovers(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	// ada may approve herself, by her role, and still not her own.
	_, err := w.Grant(ctx, governance.Local("root"), tenure.Grant{Principal: "ada", Role: tenure.Approver, Scope: tenure.Scope{All: true}})
	w.must(err)
	e, err := w.RequestElevation(ctx, w.as("ada"), w.ask(tenure.SecurityOfficer, "", ""))
	w.must(err)
	both := w.ask(tenure.Operator, "", "")
	both.Scope.Tenants = append(both.Scope.Tenants, w.globex)
	weak := w.who["bo"]
	weak.Strong = false
	for what, c := range map[string]struct {
		by   tenure.Caller
		code tenure.Code
	}{
		"oneself": {w.as("ada"), tenure.Forbidden}, "without the permission": {w.who["ann"], tenure.Forbidden}, "over other tenants": {w.who["tim"], tenure.NotFound}, "after a weak sign-in": {weak, tenure.Forbidden},
	} {
		_, err := w.ApproveElevation(ctx, c.by, e.ID, e.Digest)
		w.wants("approval by "+what, err, c.code)
	}
	_, err = w.ApproveElevation(ctx, w.who["bo"], e.ID, "sha256:of something else")
	w.wants("approval of another digest", err, tenure.Conflict)
	_, err = w.ApproveElevation(ctx, w.who["bo"], tenure.NewID[tenure.ElevationID](w.clock()), e.Digest)
	w.wants("approval of what isn't there", err, tenure.NotFound)
	_, err = w.RejectElevation(ctx, w.who["bo"], e.ID, " ")
	w.wants("a rejection without a reason", err, tenure.Invalid)
	if w.state(e.ID) != tenure.ElevationRequested {
		t.Fatalf("it is %s", w.state(e.ID))
	}
	e, err = w.RejectElevation(ctx, w.who["bo"], e.ID, "use the runbook")
	w.must(err)
	_, err = w.ApproveElevation(ctx, w.who["sue"], e.ID, e.Digest)
	w.wants("approval after a rejection", err, tenure.Conflict)

	m, err := w.RequestElevation(ctx, w.who["ci"], w.ask(tenure.Viewer, "", ""))
	w.wants("a request without the permission", err, tenure.Forbidden)
	machine := w.as("ci")
	machine.Grants[0].Role = tenure.BlueprintAuthor
	machine.Grants = append(machine.Grants, tenure.Grant{ID: "grt_x", Role: tenure.Operator, Scope: tenure.Scope{All: true}})
	if m, err = w.RequestElevation(ctx, machine, w.ask(tenure.BlueprintAuthor, "", "")); err != nil {
		t.Fatal(err)
	}
	_, err = w.ApproveElevation(ctx, w.as("ada"), m.ID, m.Digest)
	w.wants("approval by who answers for the machine", err, tenure.Forbidden)
	_, err = w.RequestElevation(ctx, machine, w.ask(tenure.Legal, "", ""))
	w.wants("a machine as legal", err, tenure.Invalid)

	_, err = w.RequestElevation(ctx, w.who["ada"], both)
	w.wants("a tenant that ada may not know of", err, tenure.NotFound)
	_, err = w.RequestElevation(ctx, w.as("ada"), w.ask(tenure.Auditor, "", ""))
	w.wants("a role that conflicts", err, tenure.Conflict)
}

func TestElevationRevoke(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	for _, by := range []string{"ada", "bo", "sue", "ann"} {
		e, login, err := w.ClaimElevation(ctx, w.who["ada"], w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectWrite)).ID)
		w.must(err)
		for who, code := range map[string]tenure.Code{"tim": tenure.NotFound, "aud": tenure.Forbidden} {
			_, err = w.RevokeElevation(ctx, w.who[who], e.ID, "")
			w.wants("revocation by "+who, err, code)
		}
		if !w.in(login) {
			t.Fatal("a refused revocation ended the login")
		}
		e, err = w.RevokeElevation(ctx, w.who[by], e.ID, "enough")
		w.must(err)
		if w.may("ada", tenure.AuditRead) || w.in(login) || e.State != tenure.ElevationRevoked || e.LoginGoneAt.IsZero() {
			t.Errorf("revoked by %s it goes on: %+v", by, e)
		}
		_, err = w.RevokeElevation(ctx, w.who[by], e.ID, "")
		w.wants("a second revocation", err, tenure.Conflict)
	}
	e := w.approved(w.ask(tenure.SecurityOfficer, "", ""))
	_, err := w.RevokeElevation(ctx, w.who["ada"], e.ID, "not needed")
	w.must(err)
	_, _, err = w.ClaimElevation(ctx, w.who["ada"], e.ID)
	w.wants("a claim of what was revoked", err, tenure.Conflict)
}

// A system that is down when an elevation is revoked: the role ends, everybody is
// told of the login, and it is ended once the system is back.
func TestElevationRevokedWhileTheSystemIsDown(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	e, login, err := w.ClaimElevation(ctx, w.who["ada"], w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead)).ID)
	w.must(err)
	w.world.Down(true)
	_, err = w.RevokeElevation(ctx, w.who["sue"], e.ID, "now")
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Fatalf("revocation: %v, want unavailable, and that it is tried again", err)
	}
	if w.may("ada", tenure.AuditRead) || w.state(e.ID) != tenure.ElevationRevoked {
		t.Error("the role goes on")
	}
	open, err := w.db.Findings(ctx, w.acme)
	if err != nil || len(open) != 1 || open[0].Kind != tenure.FindingExposure || open[0].Severity != tenure.Critical {
		t.Fatalf("the findings are %+v (%v), want a critical exposure", open, err)
	}
	calls := func() int64 {
		return w.world.Calls("unelevate") + w.world.Calls("elevations") + w.world.Calls("observe")
	}
	asked := calls()
	for range 3 {
		_ = w.TickElevations(ctx, w.clock())
	}
	if n := calls() - asked; n < 1 || n > 2 {
		t.Errorf("a dead system was asked %d times at one moment", n)
	}
	w.world.Down(false)
	w.pass(time.Minute)
	w.tick()
	if w.in(login) || w.logins() != 0 {
		t.Error("the login is still there")
	}
	if open, err := w.db.Findings(ctx, ""); err != nil || len(open) != 0 {
		t.Errorf("the findings are still %+v (%v)", open, err)
	}
}

// What an elevation stands on goes: it ends at the next tick.
func TestElevationWithdrawn(t *testing.T) {
	t.Parallel()
	for what, undo := range map[string]func(*ward, tenure.Elevation){
		"the person is disabled": func(w *ward, e tenure.Elevation) {
			_, err := w.DisablePrincipal(context.Background(), "ada", true, 0, "ann")
			w.must(err)
		},
		"the grant is revoked": func(w *ward, e tenure.Elevation) {
			grants, err := w.db.Grants(context.Background(), e.Principal, false)
			w.must(err)
			for _, g := range grants {
				if g.Elevation == e.ID {
					w.must(w.RevokeGrant(context.Background(), w.who["ann"], g.ID))
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWard(t)
			e, login, err := w.ClaimElevation(t.Context(), w.who["ada"], w.approved(w.ask(tenure.SecurityOfficer, "db", tenure.DirectRead)).ID)
			w.must(err)
			undo(w, e)
			w.tick()
			if w.state(e.ID) != tenure.ElevationRevoked || w.in(login) || w.may("ada", tenure.AuditRead) {
				t.Errorf("it is %s, and the login is in: %t", w.state(e.ID), w.in(login))
			}
		})
	}
}

// Lists tell of nobody's elevation that is over a tenant whom the caller may not
// see, their own aside.
func TestElevationLists(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ctx := t.Context()
	e, err := w.RequestElevation(ctx, w.who["ada"], w.ask(tenure.Viewer, "", ""))
	w.must(err)
	_, err = w.RequestElevation(ctx, w.who["ann"], governance.ElevationAsk{Role: tenure.Viewer, Scope: tenure.Scope{Tenants: []tenure.TenantID{w.globex}}, Reason: "to look", For: hours(1)})
	w.must(err)
	_, err = w.RequestElevation(ctx, w.who["ann"], governance.ElevationAsk{Role: tenure.Viewer, Scope: tenure.Scope{Tiers: []string{"team"}}, Reason: "to look", For: hours(1)})
	w.must(err)
	for name, want := range map[string]int{"ada": 1, "bo": 3, "sue": 3, "ann": 3, "aud": 3, "tim": 2, "ci": 0} {
		list, err := w.Elevations(ctx, w.who[name], store.ElevationFilter{})
		if err != nil || len(list) != want {
			t.Errorf("%s sees %d (%v), want %d", name, len(list), err, want)
		}
		_, err = w.Elevation(ctx, w.who[name], e.ID)
		if seen := err == nil; seen != (name != "tim" && name != "ci") {
			t.Errorf("%s sees ada's over acme: %t (%v)", name, seen, err)
		}
	}
	narrow := w.who["bo"]
	narrow.Limit = tenure.Scope{Tiers: []string{"team"}}
	if list, err := w.Elevations(ctx, narrow, store.ElevationFilter{}); err != nil || len(list) != 2 {
		t.Errorf("a token for tier team sees %d (%v), want 2", len(list), err)
	}
}
