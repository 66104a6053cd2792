package lifecycle_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// byHand makes what a tenant of blueprint small has, as a platform would before Tenure came.
func (l *life) byHand(name string) {
	l.t.Helper()
	sum := sha256.Sum256([]byte("what " + name + " signs in with"))
	for _, env := range []string{"prod", "test"} {
		at := name + "-" + env
		l.world.Put(memory.Thing{Type: "store", Name: at, Attributes: json.RawMessage(`{"public":false}`), Rows: map[string][]string{"orders": {"one", "two"}, "invoices": {"three"}}})
		l.world.Put(memory.Thing{Type: "account", Name: at + "-admin", Credential: sum[:]})
		l.world.Put(memory.Thing{Type: "api_key", Name: at + "-key", Credential: sum[:]})
		l.world.Put(memory.Thing{Type: "setting", Name: at + "-seats", Attributes: json.RawMessage(`{"value":7}`)})
	}
}

func adoptIntent(name string) lifecycle.Intent {
	return lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Tier: "team", Adopt: true, Parameters: map[string]any{"login": "a@b.example", "seats": 7}}
}

// butMarks leaves out of a thing what an adoption may change.
var butMarks = []cmp.Option{cmpopts.IgnoreFields(memory.Thing{}, "Mark", "Tenant", "Environment"), cmpopts.IgnoreUnexported(memory.Thing{})}

func (l *life) wantNoDrift(tenant string) {
	l.t.Helper()
	look, err := l.Drift(context.Background(), tenant)
	l.must(err)
	for _, f := range look.Findings {
		l.t.Errorf("drift: %s %s %s %s %s: %s", f.Kind, f.System, f.Type, f.Name, f.Field, f.Detail)
	}
	if len(look.Dead) > 0 {
		l.t.Errorf("systems that couldn't be asked: %v", look.Dead)
	}
}

// What a platform made by hand comes under Tenure: two persons let it, nothing but marks
// changes, nothing drifts, the tenant's own credential goes on, and it can leave as any other.
func TestAdopt(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	ctx := context.Background()
	l.byHand("acme")
	l.byHand("birch") // a neighbour that nobody adopts
	before := l.world.Things()

	p, err := l.Plan(ctx, adoptIntent("acme"), "operator")
	l.must(err)
	if d := cmp.Diff(before, l.world.Things(), cmpopts.IgnoreUnexported(memory.Thing{})); d != "" {
		t.Errorf("planning changed the system (-before +after):\n%s", d)
	}
	says := ""
	for _, d := range p.Plan.Diff {
		says += d.Resource + " " + d.Field + " " + d.From + " " + d.To + "\n"
	}
	for _, want := range []string{"prod/store mark", "prod/admin credential", "prod/admin probe reachable of prod/admin left out"} {
		if !strings.Contains(says, want) {
			t.Errorf("the plan doesn't say %q:\n%s", want, says)
		}
	}
	started, err := l.Start(ctx, p.Digest, lifecycle.Intent{}, "operator")
	l.must(err)
	op := started.ID
	l.settle()
	l.approve(op, "reviewer")
	if d := cmp.Diff(before, l.world.Things(), cmpopts.IgnoreUnexported(memory.Thing{})); d != "" {
		t.Errorf("one person's approval is enough to change something:\n%s", d)
	}
	l.approve(op, "counsel")
	if got := l.state("acme"); got != tenure.TenantActive {
		t.Fatalf("acme is %s\n%s", got, l.show(op))
	}
	if d := cmp.Diff(before, l.world.Things(), butMarks...); d != "" {
		t.Errorf("something but marks has changed (-before +after):\n%s", d)
	}
	for _, th := range l.world.Things() {
		if mine := strings.HasPrefix(th.Name, "acme-"); mine != (th.Mark != "") {
			t.Errorf("%s %s has the mark %q", th.Type, th.Name, th.Mark)
		}
	}
	l.wantNoDrift("acme")
	rows, err := l.db.Resources(ctx, started.Tenant, false)
	l.must(err)
	for _, r := range rows {
		if r.State != tenure.ResourcePresent || r.Verdict != tenure.Verified || len(r.Normal) == 0 {
			t.Errorf("%s is %s (%s) in the inventory, normally %q", r.Path(), r.State, r.Verdict, r.Normal)
		}
	}
	outputs, err := l.Outputs(ctx, op, true, "operator")
	l.must(err)
	for _, o := range outputs {
		if o.Secret != "" || o.Claim != "" {
			t.Errorf("output %s hands over a credential that was never issued: %+v", o.Name, o)
		}
	}

	// A repair mends an account that has drifted, and leaves the password alone.
	l.world.Tamper("account", "acme-prod-admin", func(th *memory.Thing) { th.Attributes = json.RawMessage(`{"email":"x@y.example"}`) })
	repair := l.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme"}, "operator")
	if v, _ := l.Operation(ctx, repair); v.State != tenure.OperationSucceeded {
		t.Fatalf("the repair\n%s", l.show(repair))
	}
	if d := cmp.Diff(before, l.world.Things(), butMarks...); d != "" {
		t.Errorf("a repair changed more than what had drifted:\n%s", d)
	}
	change := l.request(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Parameters: map[string]any{"seats": 8}}, "operator")
	if v, _ := l.Operation(ctx, change); v.State != tenure.OperationSucceeded {
		t.Fatalf("the change\n%s", l.show(change))
	}

	leave := l.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}, "operator")
	l.approve(leave, "reviewer")
	l.pass(55 * 24 * time.Hour)
	l.approve(leave, "reviewer", "counsel")
	l.pass(400 * 24 * time.Hour)
	l.approve(leave, "reviewer", "counsel")
	l.pass(time.Hour)
	if v, _ := l.Operation(ctx, leave); v.State != tenure.OperationSucceeded {
		t.Fatalf("the departure\n%s", l.show(leave))
	}
	left := l.world.Things()
	before = slices.DeleteFunc(before, func(th memory.Thing) bool { return strings.HasPrefix(th.Name, "acme-") })
	if d := cmp.Diff(before, left, cmpopts.IgnoreUnexported(memory.Thing{})); d != "" {
		t.Errorf("the neighbour isn't whole, or something of acme is left:\n%s", d)
	}
}

// What isn't there, isn't as desired or bears a mark isn't adopted, and all of it is named.
func TestAdoptRefused(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	ctx := context.Background()
	l.onboard("cedar")
	for _, c := range []struct {
		tenant string
		spoil  func()
		names  []string
	}{
		{"acme", func() {
			l.world.Remove("store", "acme-prod")
			l.world.Tamper("setting", "acme-test-seats", func(th *memory.Thing) { th.Attributes = json.RawMessage(`{"value":9}`) })
		}, []string{"prod/store (store acme-prod in main) isn't there", `test/seats (setting acme-test-seats in main) has value 9, and would have 7`}},
		{"birch", func() {
			l.world.Tamper("store", "birch-prod", func(th *memory.Thing) {
				th.Mark = "tenure:1:ins_0190a8a0-0000-7000-8000-000000000000:res_1:abc"
			})
		}, []string{"birch-prod", "mark"}},
		{"dogwood", func() {
			ours, _ := l.world.Get("store", "cedar-prod")
			l.world.Tamper("store", "dogwood-prod", func(th *memory.Thing) { th.Mark = ours.Mark })
		}, []string{"bears the mark of another resource of Tenure's"}},
		{"elder", func() {
			l.world.Tamper("account", "elder-prod-admin", func(th *memory.Thing) { th.State = tenure.ResourceSuspended })
		}, []string{"elder-prod-admin", "is suspended"}},
	} {
		l.byHand(c.tenant)
		c.spoil()
		before := l.world.Things()
		_, err := l.Plan(ctx, adoptIntent(c.tenant), "operator")
		wantCode(t, err, tenure.Conflict, c.names...)
		if d := cmp.Diff(before, l.world.Things(), cmpopts.IgnoreUnexported(memory.Thing{})); d != "" {
			t.Errorf("%s: a refused plan changed the system:\n%s", c.tenant, d)
		}
	}
	in := adoptIntent("acme")
	in.Kind = tenure.Change
	_, err := l.Plan(ctx, in, "operator")
	wantCode(t, err, tenure.Invalid, "adopt")
}

// An adoption that fails half-way deletes nothing and isn't taken back, whatever the
// blueprint's failure policy is; mended, it goes on where it stood.
func TestAdoptFailsHalfWay(t *testing.T) {
	t.Parallel()
	l := newLife(t) // its blueprint compensates
	ctx := context.Background()
	l.byHand("acme")
	l.byHand("birch")
	before := l.world.Things()
	op := l.request(adoptIntent("acme"), "operator")
	for _, name := range []string{"acme-prod-admin", "acme-test-seats"} {
		l.world.Inject(memory.Fault{Call: "adopt", Name: name, Err: tenure.Errorf(tenure.Conflict, "no")})
	}
	l.world.Inject(memory.Fault{Call: "adopt", Name: "acme-prod-key", DropAnswer: true, Times: 1})
	l.approve(op, "reviewer", "counsel")
	l.pass(2 * time.Hour)
	whole := func(when string) {
		t.Helper()
		if d := cmp.Diff(before, l.world.Things(), butMarks...); d != "" {
			t.Errorf("%s, something but marks has changed (-before +after):\n%s", when, d)
		}
		for _, th := range l.world.Things() {
			if strings.HasPrefix(th.Name, "birch-") && th.Mark != "" {
				t.Errorf("%s, the neighbour's %s bears a mark", when, th.Name)
			}
		}
	}
	whole("after the failure")
	v, err := l.Operation(ctx, op)
	l.must(err)
	if v.State != tenure.OperationBlocked || l.state("acme") != tenure.TenantProvisioning {
		t.Fatalf("the tenant is %s\n%s", l.state("acme"), l.show(op))
	}
	wantCode(t, l.Steer(ctx, op, "cancel", "operator"), tenure.Blocked, "begun to adopt")
	l.settle()
	whole("after a cancellation was asked for")
	rows, err := l.db.Resources(ctx, v.Tenant, false)
	l.must(err)
	if len(rows) != 8 {
		t.Errorf("the inventory knows %d things, want 8", len(rows))
	}

	// What drifted in between isn't marked; the thing is put back, and it goes on.
	l.world.Heal()
	l.world.Tamper("setting", "acme-test-seats", func(th *memory.Thing) { th.Attributes = json.RawMessage(`{"value":9}`) })
	_, err = l.Retry(ctx, op, "", "operator")
	l.must(err)
	l.pass(time.Hour)
	if th, _ := l.world.Get("setting", "acme-test-seats"); th.Mark != "" || l.state("acme") != tenure.TenantProvisioning {
		t.Errorf("what had drifted was marked all the same: %q\n%s", th.Mark, l.show(op))
	}
	l.world.Tamper("setting", "acme-test-seats", func(th *memory.Thing) { th.Attributes = json.RawMessage(`{"value":7}`) })
	_, err = l.Retry(ctx, op, "", "operator")
	l.must(err)
	l.pass(time.Hour)
	if got := l.state("acme"); got != tenure.TenantActive {
		t.Fatalf("acme is %s\n%s", got, l.show(op))
	}
	whole("after the retry")
	l.wantNoDrift("acme")
}

// Cancelled before anything bears a mark, an adoption leaves no trace, and may be asked for again.
func TestAdoptCancelledBefore(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	ctx := context.Background()
	l.byHand("acme")
	before := l.world.Things()
	op := l.request(adoptIntent("acme"), "operator")
	l.must(l.Steer(ctx, op, "cancel", "operator"))
	l.pass(time.Hour)
	if v, _ := l.Operation(ctx, op); v.State != tenure.OperationCancelled {
		t.Fatalf("it isn't cancelled\n%s", l.show(op))
	}
	if d := cmp.Diff(before, l.world.Things(), cmpopts.IgnoreUnexported(memory.Thing{})); d != "" {
		t.Errorf("something has changed:\n%s", d)
	}
	op = l.request(adoptIntent("acme"), "operator")
	l.approve(op, "reviewer", "counsel")
	if got := l.state("acme"); got != tenure.TenantActive {
		t.Fatalf("acme is %s\n%s", got, l.show(op))
	}
}

// Rows that stand among others' in a database come under Tenure: no row changes, nothing
// drifts, and they go with the tenant, and no neighbour's.
func TestAdoptRows(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	ctx := context.Background()
	s.publishText(strings.ReplaceAll(pooledText, "%s", "1.0"))
	for _, table := range []string{"a", "b", "c"} {
		s.sql(db, `insert into `+table+` (tenant) values ('acme'), ('acme'), ('birch')`)
	}
	_, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "cedar", Blueprint: "pooled", Adopt: true}, "operator")
	wantCode(t, err, tenure.Conflict, "cedar-data", "isn't there")
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "pooled", Adopt: true}, "operator")
	s.approve(op, "reviewer", "counsel")
	s.wantState(op, tenure.OperationSucceeded)
	if n := count(t, db, `select (select count(*) from a) + (select count(*) from b) + (select count(*) from c)`); n != 9 {
		t.Errorf("%d rows, want 9", n)
	}
	s.wantNoDrift("acme")
	leave := s.leave("acme")
	for range 12 {
		s.pass(5 * day)
		s.finish(leave)
	}
	s.wantState(leave, tenure.OperationSucceeded)
	if n := count(t, db, `select (select count(*) from a where tenant = 'birch') * 100 + (select count(*) from a) + (select count(*) from b) + (select count(*) from c)`); n != 103 {
		t.Errorf("the neighbour's rows and all: %d, want 103", n)
	}
	s.audited()
}

// A schema, a role that signs in and its rights on a real server come under Tenure: tables, rows,
// rights and the password stay as they are, and nothing drifts.
func TestAdoptPostgres(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	ctx := context.Background()
	token := "t" + strings.ToLower(rand.Text())[:12] + "_" // roles are the server's, and a name begins with a letter
	text := withResources("silo", "2.0", `  - {key: data, system: pool, type: schema, name: "s_${tenant.name}", data: [aa, bb, cc], attributes: {tables: {a: aa, b: bb, c: cc}}}
  - {key: login, system: pool, type: role, name: "`+token+`${tenant.name}", attributes: {login: true}}
  - {key: rights, system: pool, type: grant, name: "`+token+`${tenant.name}-rights", needs: [login, data], attributes: {role: "`+token+`${tenant.name}", schema: "s_${tenant.name}", tables: [a], privileges: [select, insert]}}`)
	for _, name := range []string{"acme", "birch"} {
		schema, role := "s_"+name, token+name
		p.sql(p.db, `create schema `+schema+`; create table `+schema+`.a (i int); create table `+schema+`.b (i int); create table `+schema+`.c (i int); insert into `+schema+`.a values (1), (2);
			create role `+role+` login password 'what it signs in with'; grant usage on schema `+schema+` to `+role+`; grant select, insert on `+schema+`.a to `+role)
		t.Cleanup(func() { _, _ = p.db.ExecContext(context.Background(), `drop owned by `+role+`; drop role `+role) })
	}
	p.publishText(text)
	state := func() (out string) {
		t.Helper()
		p.must(p.db.QueryRow(`select (select string_agg(n.nspname || n.nspacl::text || n.nspowner::text, ',' order by 1) from pg_namespace n where nspname like 's\_%') ||
			(select string_agg(relname || coalesce(relacl::text, '') || relowner::text, ',' order by relnamespace, relname) from pg_class where relnamespace in (select oid from pg_namespace where nspname like 's\_%')) ||
			(select string_agg(rolname || rolpassword || rolconnlimit::text, ',' order by 1) from pg_authid where rolname like $1)`, token+"%").Scan(&out))
		return out
	}
	before := state()
	op := p.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "silo", Adopt: true}, "operator")
	p.approve(op, "reviewer", "counsel")
	p.wantState(op, tenure.OperationSucceeded)
	if now := state(); now != before {
		t.Errorf("more than marks has changed:\n%s\n%s", before, now)
	}
	p.wantFound("acme")
	if n := count(t, p.db, "select count(*) from tenure.mark where note like '%birch%'"); n != 0 {
		t.Errorf("%d of the neighbour's things bear a mark", n)
	}
	_, err := p.Plan(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "birch", Blueprint: "silo", Adopt: true}, "operator")
	p.must(err)
	p.sql(p.db, `revoke insert on s_birch.a from `+token+`birch`)
	_, err = p.Plan(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "birch", Blueprint: "silo", Adopt: true}, "operator")
	wantCode(t, err, tenure.Conflict, "birch-rights")

	leave := p.leave("acme")
	for range 16 {
		p.pass(5 * day)
		p.finish(leave)
	}
	p.wantState(leave, tenure.OperationSucceeded)
	if n := count(t, p.db, `select (select count(*) from pg_namespace where nspname = 's_acme') + (select count(*) from pg_roles where rolname = '`+token+`acme') + 10 * (select count(*) from s_birch.a)`); n != 20 {
		t.Errorf("what is left of acme, and ten times the neighbour's rows: %d, want 20", n)
	}
}
