package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// A law that keeps longer than a contract allows isn't decided by a program: two
// persons do, and then the longer rule holds.
func TestRetentionConflictIsDecidedByTwo(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(strings.NewReplacer("name: small", "name: torn", `"%s"`, `"1.0"`,
		"{name: accounting, kind: keep_until, period: P1Y, from: termination}",
		"{name: accounting, kind: keep_until, period: P1Y, from: notice}\n      - {name: contract, kind: gone_by, period: P60D, from: termination}").Replace(blueprintText))
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "torn", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	s.approve(op, "reviewer")
	s.fill("acme-prod", 2, 9)
	leaving := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(leaving, "reviewer")
	for range 3 { // long past every rule, and nobody has decided
		s.pass(200 * day)
		s.finish(leaving)
	}
	if got := s.rows("acme-prod", "invoices"); got != 9 {
		t.Fatalf("%d invoices are left, and nobody decided the conflict\n%s", got, s.show(leaving))
	}
	v := s.view(leaving)
	if !strings.Contains(v.Reason, "conflict in the retention of invoices") {
		t.Errorf("the conflict isn't the reason: %q", v.Reason)
	}
	_, err := s.Approve(ctx, leaving, "clock/invoices", v.Plan, "operator", "")
	wantCode(t, err, tenure.Forbidden)
	_, err = s.Approve(ctx, leaving, "clock/invoices", v.Plan, "counsel", "the law wins")
	s.must(err)
	s.settle()
	_, err = s.Approve(ctx, leaving, "clock/invoices", v.Plan, "counsel", "")
	wantCode(t, err, tenure.Conflict, "used")
	s.pass(8 * day)
	if th, _ := s.world.Get("store", "acme-prod"); th.State == tenure.ResourceQuarantined {
		t.Fatal("one person's decision was enough")
	}
	_, err = s.Approve(ctx, leaving, "clock/invoices", v.Plan, "director", "")
	s.must(err)
	s.pass(8 * day)
	s.finish(leaving)
	s.wantState(leaving, tenure.OperationSucceeded)
	s.audited()
}

// A retention may count from the contract's end, which is known when the tenant leaves and
// not before.
func TestRetentionFromTheContractsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.publishText(strings.NewReplacer("name: small", "name: small-dated", `"%s"`, `"1.0"`, "period: P1Y, from: termination}", "period: P1Y, from: contract_end}").Replace(blueprintText))
	s.wantState(s.begin("acme", "small-dated"), tenure.OperationSucceeded)
	s.fill("acme-prod", 2, 9)
	away := lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}
	_, err := s.Plan(context.Background(), away, "operator")
	wantCode(t, err, tenure.Invalid, "contract_end")
	away.ContractEnd = s.Now().Add(100 * day)
	leaving := s.request(away, "operator")
	s.approve(leaving, "reviewer")
	s.pass(400 * day)
	s.finish(leaving)
	if got := s.rows("acme-prod", "invoices"); got != 9 {
		t.Fatalf("%d invoices are left, a year after access was cut and not after the contract ended", got)
	}
	s.pass(70 * day)
	s.finish(leaving)
	s.wantState(leaving, tenure.OperationSucceeded)
}

// keptText has a backup whose copies expire.
var keptText = strings.NewReplacer("name: small", "name: kept", `"%s"`, `"1.0"`, "outputs:\n", `  - key: backup
    system: main
    type: backup
    name: ${tenant.name}-${env.name}-backup
    needs: [store]
    data: [orders, invoices]
    attributes: {keep: P90D}
outputs:
`).Replace(blueprintText)

// While a backup or a copy of a key is still somewhere, the certificate is an
// interim one that lists it; the closing one comes when each was seen to be gone.
func TestBackupsAndKeyCopiesKeepTheTenantOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(keptText)
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "kept", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationSucceeded)
	id := string(s.view(op).Tenant)
	keys, err := s.Keys(ctx, "acme")
	s.must(err)
	if len(keys) == 0 {
		t.Fatal("the tenant has no keys")
	}
	last := s.Now().Add(500 * day)
	s.world.AddCopy("backup", "acme-prod-backup", connector.Copy{Where: "vault/1", Expires: last})
	s.must(s.RegisterKeyCopy(ctx, keys[0].Key, "tape 12", time.Time{}, "operator"))
	leaving := s.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true, Reason: "r"}, "operator")
	s.approve(leaving, "reviewer")
	s.pass(360 * day)
	s.finish(leaving)
	s.pass(20 * day)
	s.finish(leaving)
	s.pass(4 * day)
	s.finish(leaving)
	if got := s.state(id); got != tenure.TenantAwaitingExpiry {
		t.Fatalf("acme is %s while a backup is there\n%s", got, s.show(leaving))
	}
	key, err := s.VerifierKey()
	s.must(err)
	file, err := s.Certificate(ctx, id, "interim")
	s.must(err)
	rep, err := evidence.Verify(file, key)
	s.must(err)
	if b := rep.Departure.Backups; len(b) != 1 || !b[0].Expires.Equal(last) {
		t.Errorf("the interim certificate lists the backups %+v, want one until %s", b, last)
	}
	_, err = s.Certificate(ctx, id, "closing")
	wantCode(t, err, tenure.NotFound)
	s.pass(120 * day)
	if _, there := s.world.Get("backup", "acme-prod-backup"); there {
		t.Errorf("the backup is there after its last copy expired\n%s", s.show(leaving))
	}
	if got := s.state(id); got != tenure.TenantAwaitingExpiry {
		t.Fatalf("acme is %s while a copy of a key is on a tape\n%s", got, s.show(leaving))
	}
	s.must(s.ForgetKeyCopy(ctx, keys[0].Key, "tape 12", "operator"))
	s.pass(2 * day)
	if got := s.state(id); got != tenure.TenantClosed {
		t.Fatalf("acme is %s after the last copy was seen to be gone\n%s", got, s.show(leaving))
	}
	file, err = s.Certificate(ctx, id, "closing")
	s.must(err)
	rep, err = evidence.Verify(file, key)
	s.must(err)
	if rep.Departure.Interim == "" {
		t.Error("the closing certificate doesn't name the interim one")
	}
	for i := 0; i < len(file); i += max(1, len(file)/13) {
		bad := append([]byte(nil), file...)
		bad[i] ^= 1
		if _, err := evidence.Verify(bad, key); err == nil {
			t.Fatalf("the certificate verifies with byte %d changed", i)
		}
	}
	s.audited()
}
