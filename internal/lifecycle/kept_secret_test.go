package lifecycle_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// rotatingText is small with credentials that are due after 90 days, a second output, and an
// approval of repairs.
var rotatingText = strings.NewReplacer("-admin\n    needs: [store]\n", "-admin\n    needs: [store]\n    rotate: P90D\n", "approvals: {onboard: 1,", "approvals: {onboard: 1, repair: 1,",
	"  password: ${credential(resources.admin)}\n", "  password: ${credential(resources.admin)}\n  key: ${credential(resources.api)}\n").Replace(blueprintText)

// newOverdue is a site whose tenant acme has such a blueprint, with the operation that made it.
func newOverdue(t *testing.T) (s *site, made tenure.OperationID, tenant *lifecycle.TenantView) {
	t.Helper()
	s = newSite(t, nil)
	s.pass(time.Hour) // it is the latest
	s.publishText(fmt.Sprintf(rotatingText, "2.0"))
	made = s.onboard("acme")
	tenant, err := s.Tenant(context.Background(), "acme")
	s.must(err)
	return s, made, tenant
}

// secrets are what is known of a tenant's credentials, by their paths.
func (s *site) secrets(tenant string) map[string]lifecycle.KeptSecret {
	s.t.Helper()
	ctx := context.Background()
	t, err := s.Tenant(ctx, tenant)
	s.must(err)
	list, err := s.TenantSecrets(ctx, store.SecretFilter{Tenant: t.ID, Limit: 100})
	s.must(err)
	out := make(map[string]lifecycle.KeptSecret)
	for _, k := range list {
		out[tenure.ResourcePath(k.Environment, k.Key)] = k
	}
	return out
}

// claimed are the one-time secrets of an operation, by environment and name.
func (s *site) claimed(op tenure.OperationID, by string) (secrets, how map[string]string) {
	s.t.Helper()
	outs, err := s.Outputs(context.Background(), op, true, by)
	s.must(err)
	secrets, how = make(map[string]string), make(map[string]string)
	for _, o := range outs {
		if o.Secret != "" {
			secrets[o.Environment+"/"+o.Name] = o.Secret
		}
		if o.Claim != "" {
			how[o.Environment+"/"+o.Name] = o.Claim
		}
	}
	return secrets, how
}

// overdue are the open findings at credentials that are too old, by resource or system.
func (s *site) overdue() map[string]tenure.Finding {
	s.t.Helper()
	all, err := s.Findings(context.Background(), "", false)
	s.must(err)
	out := make(map[string]tenure.Finding)
	for _, f := range all {
		if f.Kind == tenure.FindingCredential && f.Field == "age" {
			out[f.System+" "+f.Name] = f
		}
	}
	return out
}

// An overdue credential is a finding until it is rotated: the new one is seen to work and the
// old one to be refused, and the new one is handed over once, to who asked for the rotation.
func TestOverdueCredentialIsRotated(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.pass(time.Hour) // it is the latest
	s.publishText(fmt.Sprintf(rotatingText, "2.0"))
	made := s.onboard("acme")
	before := s.clock.Load()
	first, _ := s.claimed(made, "operator")
	tv, err := s.Tenant(ctx, "acme")
	s.must(err)
	have := s.secrets("acme")
	k := have["prod/admin"]
	if len(have) != 4 || k.Operation != made || k.Owner != "operator" || k.MadeAt.IsZero() || !k.RotatedAt.IsZero() || !k.DueAt.Equal(k.MadeAt.AddDate(0, 0, 90)) || k.ClaimedAt.IsZero() {
		t.Errorf("of the credentials is known: %+v", have)
	}
	if have["prod/api"].DueAt != (time.Time{}) {
		t.Error("what the blueprint doesn't rotate is due")
	}
	s.must(s.TickSecrets(ctx, s.Now()))
	if len(s.overdue()) != 0 {
		t.Error("a new credential is overdue")
	}
	_, err = s.Plan(ctx, lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Overdue: true}, "ines")
	wantCode(t, err, tenure.Conflict, "no credential")

	s.pass(91 * day)
	s.must(s.TickSecrets(ctx, s.Now()))
	f, ok := s.overdue()["main acme-prod-admin"]
	if !ok || len(s.overdue()) != 2 || f.Tenant != tv.ID || !strings.Contains(f.Detail, "2026-05-31") {
		t.Fatalf("the findings are %+v", s.overdue())
	}
	r, err := s.Remedy(ctx, f)
	if err != nil || r.Plan != "tenure plan repair acme --reissue --resource "+string(k.Resource) {
		t.Errorf("what settles it: %+v, %v", r, err)
	}

	p, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}, "ines")
	s.must(err)
	if len(p.Plan.Resources) != 1 || p.Plan.Resources[0].ID != k.Resource {
		t.Errorf("the rotation of one touches %+v", p.Plan.Resources)
	}
	op := s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}, "ines")
	if !s.opens(tv.ID, "prod", first["prod/password"]) {
		t.Error("the credential was replaced before the approval")
	}
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	if s.opens(tv.ID, "prod", first["prod/password"]) || !s.opens(tv.ID, "test", first["test/password"]) {
		t.Error("the old credential still opens, or another's was taken")
	}
	var kinds []string
	for _, st := range p.Plan.Steps {
		kinds = append(kinds, st.Key)
	}
	if want := "verify/prod/admin/reachable verify/prod/admin/isolation verify/prod/admin/replaced outputs"; !strings.HasSuffix(strings.Join(kinds, " "), want) {
		t.Errorf("the steps are %q", kinds)
	}

	// Another than who asked gets nothing, nor does the operation before.
	if _, err := s.Outputs(ctx, op, true, "operator"); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("another claims the new credential: %v", err)
	}
	if got, how := s.claimed(made, "operator"); len(got) != 0 || how["prod/password"] != "replaced" || how["test/password"] != "claimed" {
		t.Errorf("the onboarding hands over %v, %v", len(got), how)
	}
	second, _ := s.claimed(op, "ines")
	if len(second) != 1 || !s.opens(tv.ID, "prod", second["prod/password"]) {
		t.Errorf("the rotation hands over %d credentials, or one that doesn't open", len(second))
	}
	if again, how := s.claimed(op, "ines"); len(again) != 0 || how["prod/password"] != "claimed" {
		t.Error("it is handed over twice")
	}
	k = s.secrets("acme")["prod/admin"]
	if k.Operation != op || k.Owner != "ines" || k.MadeAt.UnixMicro() > before || k.RotatedAt.Before(k.MadeAt.AddDate(0, 0, 91)) {
		t.Errorf("after the rotation is known: %+v", k)
	}
	s.clock.Add((2 * time.Minute).Microseconds())
	s.must(s.TickSecrets(ctx, s.Now()))
	if got := s.overdue(); len(got) != 1 || got["main acme-test-admin"].ID == "" {
		t.Errorf("after the rotation these are overdue: %v", got)
	}

	op = s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Overdue: true}, "ines")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	s.clock.Add((2 * time.Minute).Microseconds())
	s.must(s.TickSecrets(ctx, s.Now()))
	if got := s.overdue(); len(got) != 0 || !s.opens(tv.ID, "prod", second["prod/password"]) || s.opens(tv.ID, "test", first["test/password"]) {
		t.Errorf("after all that was due: %v", got)
	}
	s.audited()
}

// A rotation that breaks off half way goes on with the credential that it has made, and one
// whose old credential still works is blocked and says so.
func TestRotationThatBreaksOff(t *testing.T) {
	t.Parallel()
	s, made, tv := newOverdue(t)
	ctx := context.Background()
	first, _ := s.claimed(made, "operator")
	s.pass(day)
	s.world.Inject(memory.Fault{Call: "ensure", Type: "account", DropAnswer: true, Times: 2})
	op := s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}, "ines")
	s.approve(op, "reviewer")
	s.pass(time.Hour)
	s.wantState(op, tenure.OperationSucceeded)
	second, _ := s.claimed(op, "ines")
	if s.opens(tv.ID, "prod", first["prod/password"]) || !s.opens(tv.ID, "prod", second["prod/password"]) {
		t.Error("after the lost answers the wrong one opens")
	}

	s.pass(day)
	s.world.Inject(memory.Fault{Call: "ensure", Type: "account", Err: tenure.Errorf(tenure.Blocked, "the directory is read-only"), Times: 1})
	op = s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}, "ines")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationBlocked)
	if how := s.show(op); !strings.Contains(how, "the directory is read-only") {
		t.Errorf("it doesn't say why it is blocked:\n%s", how)
	}
	if !s.opens(tv.ID, "prod", second["prod/password"]) {
		t.Error("the old credential was taken by a rotation that made no new one")
	}
	_, err := s.Retry(ctx, op, "", "ines")
	s.must(err)
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	third, _ := s.claimed(op, "ines")
	if s.opens(tv.ID, "prod", second["prod/password"]) || !s.opens(tv.ID, "prod", third["prod/password"]) {
		t.Error("after the retry the wrong one opens")
	}

	// A system that goes on with the old credential.
	s.pass(day)
	is := func(secret string) {
		sum := sha256.Sum256([]byte(secret))
		s.world.Tamper("account", "acme-prod-admin", func(th *memory.Thing) { th.Credential = sum[:] })
	}
	fourth := ""
	stubborn := func(c connector.Check) {
		if secret := c.Credential.Reveal(); secret == third["prod/password"] {
			is(secret)
		} else if c.Ref.Name == "acme-prod-admin" && fourth == "" {
			fourth = secret
		}
	}
	s.seen.Store(&stubborn)
	op = s.request(lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}, "ines")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationBlocked)
	if how := s.show(op); !strings.Contains(how, "still works") {
		t.Errorf("it doesn't say why it is blocked:\n%s", how)
	}
	s.seen.Store(nil)
	is(fourth)
	_, err = s.Retry(ctx, op, "", "ines")
	s.must(err)
	s.settle()
	s.wantState(op, tenure.OperationSucceeded)
	s.must(s.TickSecrets(ctx, s.Now()))
	if _, err := s.db.ReplacedSecret(ctx, s.secrets("acme")["prod/admin"].Resource, op); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("after the operation the old credential is still kept: %v", err)
	}
	s.audited()
}

// A credential that the system refused doesn't take the place of the one that works: once the
// operation was cancelled, that one is known again as before, can be claimed, and is what the
// next rotation and a cut are proven by.
func TestRefusedRotation(t *testing.T) {
	t.Parallel()
	s, made, tv := newOverdue(t)
	ctx := context.Background()
	before := s.secrets("acme")["prod/admin"]
	s.pass(day)
	rotate := lifecycle.Intent{Kind: tenure.Repair, Tenant: "acme", Reissue: true, Resources: []string{"prod/admin"}}
	for range 2 { // one after the other, each to be taken back
		s.pass(time.Minute)
		s.world.Inject(memory.Fault{Call: "ensure", Type: "account", Err: tenure.Errorf(tenure.Blocked, "no password is good enough"), Times: 1})
		op := s.request(rotate, "ines")
		s.approve(op, "reviewer")
		s.wantState(op, tenure.OperationBlocked)
		s.must(s.Steer(ctx, op, "cancel", "ines"))
		s.settle()
		s.wantState(op, tenure.OperationCancelled)
	}
	s.pass(2 * time.Minute)
	s.must(s.TickSecrets(ctx, s.Now()))
	if now := s.secrets("acme")["prod/admin"]; now != before {
		t.Errorf("of the credential is known %+v, and was known %+v", now, before)
	}
	first, _ := s.claimed(made, "operator")
	if first["prod/password"] == "" || !s.opens(tv.ID, "prod", first["prod/password"]) {
		t.Error("the credential that works can't be claimed any more")
	}
	op := s.request(rotate, "ines")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	if second, _ := s.claimed(op, "ines"); s.opens(tv.ID, "prod", first["prod/password"]) || !s.opens(tv.ID, "prod", second["prod/password"]) {
		t.Error("after the rotation the wrong one opens")
	}

	// Where the system didn't answer it may have taken the new one, and here it has.
	s.pass(day)
	s.world.Inject(memory.Fault{Call: "ensure", Type: "account", DropAnswer: true})
	op = s.request(rotate, "ines")
	s.approve(op, "reviewer")
	s.must(s.Steer(ctx, op, "cancel", "ines"))
	s.settle()
	s.wantState(op, tenure.OperationCancelled)
	s.world.Heal()
	s.pass(2 * time.Minute)
	s.must(s.TickSecrets(ctx, s.Now()))
	if now := s.secrets("acme")["prod/admin"]; now.Operation != op {
		t.Errorf("the credential that the system has is forgotten: %+v", now)
	}
	s.audited()
}

// A system's credential is somebody's, and is overdue when nobody has renewed it.
func TestOverdueSystemCredential(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	ctx := context.Background()
	set := r.options.Settings["db"]
	if set.Rotate, _ = tenure.ParsePeriod("P30D"); set.Rotate.IsZero() {
		t.Fatal("no period")
	}
	set.Owner = "the database team"
	r.options.Settings["db"] = set
	r.added(ctx)
	r.must(r.TickCredentials(ctx, r.Now()))
	list, err := r.SystemSecrets(ctx)
	r.must(err)
	if len(list) != 1 || list[0].System != "db" || list[0].Name != "dsn" || list[0].Owner != "the database team" || !list[0].RotatedAt.IsZero() || list[0].Overdue(r.Now()) {
		t.Fatalf("of the systems' credentials is known: %+v", list)
	}
	r.clock.Add((31 * day).Microseconds())
	r.must(r.TickSecrets(ctx, r.Now()))
	if _, ok := r.overdue()["db db"]; !ok {
		t.Fatalf("the findings are %+v", r.overdue())
	}
	_, dsn := r.account("next-password")
	r.keep(dsn)
	if changed, err := r.RotateSystem(ctx, "db", "ada"); !changed || err != nil {
		t.Fatal(changed, err)
	}
	list, err = r.SystemSecrets(ctx)
	r.must(err)
	if list[0].By != "ada" || list[0].RotatedAt.IsZero() {
		t.Errorf("after the rotation is known: %+v", list)
	}
	r.clock.Add((2 * time.Minute).Microseconds())
	r.must(r.TickSecrets(ctx, r.Now()))
	if got := r.overdue(); len(got) != 0 {
		t.Errorf("after the rotation these are overdue: %+v", got)
	}
}
