package lifecycle_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

const blueprintText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: small
version: "%s"
parameters:
  required: [login]
  properties:
    login: {type: string, minLength: 1}
    seats: {type: integer, minimum: 1, default: 5}
environments:
  - {name: prod, kind: production}
  - {name: test, kind: test}
systems:
  main: {connector: memory}
features:
  reports: {tiers: [team]}
dataClasses:
  orders:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
  invoices:
    disposition: purge
    retention:
      - {name: accounting, kind: keep_until, period: P1Y, from: termination}
resources:
  - key: store
    system: main
    type: store
    name: ${tenant.name}-${env.name}
    data: [orders, invoices]
    handover: true
  - key: admin
    system: main
    type: account
    name: ${tenant.name}-${env.name}-admin
    needs: [store]
  - key: api
    system: main
    type: api_key
    name: ${tenant.name}-${env.name}-key
    needs: [store]
  - key: seats
    system: main
    type: setting
    name: ${tenant.name}-${env.name}-seats
    attributes: {value: "${params.seats}"}
outputs:
  user: ${resources.admin.name}
  password: ${credential(resources.admin)}
failure: compensate
approvals: {onboard: 1, offboard: 1}
offboarding:
  grace: P14D
  retrieval: P30D
  quarantine: P7D
notices:
  - {on: active, to: platform, text: "${tenant.name} is active"}
`

// life is an installation in a test: memory as the one system, and a clock that
// the test moves.
type life struct {
	*lifecycle.Service
	t     *testing.T
	db    *store.DB
	world *memory.World
	clock atomic.Int64

	folder string // of hand-overs
}

func newLife(t *testing.T) *life {
	t.Helper()
	w := memory.NewWorld("main")
	return newLifeOn(t, w, memory.InfoOf(w))
}

// newLifeOn has a system that may do more than the world behind it.
func newLifeOn(t *testing.T, w *memory.World, info connector.Info) *life {
	t.Helper()
	ctx := context.Background()
	l := &life{t: t, world: w}
	l.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(l.clock.Load()).UTC() }
	dir := t.TempDir()
	l.folder = filepath.Join(dir, "handover")
	keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: now})
	l.must(err)
	l.db, err = store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	l.must(err)
	t.Cleanup(func() { _ = l.db.Close() })
	l.Service, err = lifecycle.New(ctx, lifecycle.Options{
		DB: l.db, Keys: keys, Catalog: []connector.Info{info}, Installation: tenure.NewID[tenure.InstallationID](now()),
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory", Prices: map[string]int64{"store": 900}, Currency: "EUR"}},
		Folder:   l.folder, Now: now, Owner: "test", URL: "https://tenure.example",
	})
	l.must(err)
	t.Cleanup(l.Close)
	_, err = l.AddSystem(ctx, "main", false, "operator")
	l.must(err)
	l.publish("1.0")
	return l
}

func (l *life) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) publish(version string) {
	l.t.Helper()
	ctx := context.Background()
	_, err := l.SubmitBlueprint(ctx, fmt.Appendf(nil, blueprintText, version), "small.yaml", "author")
	l.must(err)
	_, err = l.PublishBlueprint(ctx, "small@"+version, "reviewer")
	l.must(err)
}

// settle runs what is due.
func (l *life) settle() time.Time {
	l.t.Helper()
	next, err := l.Engine.Settle(context.Background())
	l.must(err)
	return next
}

// pass moves the clock on and runs what comes due on the way.
func (l *life) pass(d time.Duration) {
	l.t.Helper()
	end := l.clock.Load() + d.Microseconds()
	for looks := 0; ; looks++ {
		if looks > 20_000 {
			l.t.Fatal("something comes due without end")
		}
		next := l.settle()
		if next.IsZero() || next.UnixMicro() > end {
			break
		}
		l.clock.Store(max(next.UnixMicro(), l.clock.Load()))
	}
	l.clock.Store(end)
	l.settle()
}

func (l *life) request(in lifecycle.Intent, by string) tenure.OperationID {
	l.t.Helper()
	_, op, err := l.Request(context.Background(), in, by)
	l.must(err)
	l.settle()
	return op.ID
}

func (l *life) approve(op tenure.OperationID, by ...string) {
	l.t.Helper()
	v, err := l.Operation(context.Background(), op)
	l.must(err)
	for _, b := range by {
		_, err := l.Approve(context.Background(), op, "", v.Plan, b, "")
		if err != nil && strings.Contains(err.Error(), "taken again") {
			l.settle() // a person looks at the fresh counts
			_, err = l.Approve(context.Background(), op, "", v.Plan, b, "")
		}
		if err != nil {
			l.t.Fatalf("approve by %s: %v (%s: %s)", b, err, v.State, v.Reason)
		}
	}
	l.settle()
}

func (l *life) state(tenant string) tenure.TenantState {
	l.t.Helper()
	v, err := l.Tenant(context.Background(), tenant)
	l.must(err)
	return v.State
}

// show prints where an operation stands, for a failing test.
func (l *life) show(op tenure.OperationID) string {
	v, err := l.Operation(context.Background(), op)
	if err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("%s %s: %s\n", v.Kind, v.State, v.Reason)
	for _, s := range v.Steps {
		out += fmt.Sprintf("  %-8s %-9s %-40s %s\n", s.State, s.Verdict, s.Key, s.Error)
	}
	return out
}

func (l *life) onboard(name string) tenure.OperationID {
	l.t.Helper()
	op := l.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}, "operator")
	l.approve(op, "reviewer")
	if got := l.state(name); got != tenure.TenantActive {
		l.t.Fatalf("%s is %s\n%s", name, got, l.show(op))
	}
	return op
}

// fill puts rows into a store, as the platform would.
func (l *life) fill(name string, orders, invoices int) {
	l.t.Helper()
	for class, n := range map[string]int{"orders": orders, "invoices": invoices} {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = fmt.Sprintf("%s %d", class, i)
		}
		if !l.world.Fill("store", name, class, rows...) {
			l.t.Fatalf("there is no store %s to fill", name)
		}
	}
}

// rows counts what a store holds, by a look from outside.
func (l *life) rows(name, class string) int {
	th, ok := l.world.Get("store", name)
	if !ok {
		return -1
	}
	return len(th.Rows[class])
}

func TestAWholeLife(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	ctx := context.Background()
	l.onboard("acme")
	l.onboard("acme-two") // a neighbour whose name begins with the other's
	for _, env := range []string{"prod", "test"} {
		l.fill("acme-"+env, 40, 25)
	}
	op := l.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}, "operator")
	l.approve(op, "reviewer")
	if got := l.state("acme"); got != tenure.TenantTransition {
		t.Fatalf("in the grace the tenant is %s\n%s", got, l.show(op))
	}
	l.pass(15 * 24 * time.Hour)
	if got := l.state("acme"); got != tenure.TenantRetained {
		t.Fatalf("after the cut the tenant is %s\n%s", got, l.show(op))
	}
	l.pass(35 * 24 * time.Hour)
	l.approve(op, "reviewer", "counsel")
	if got := l.state("acme"); got != tenure.TenantErasing {
		t.Fatalf("past the point of no return the tenant is %s\n%s", got, l.show(op))
	}
	if n := l.rows("acme-prod", "orders"); n != 0 {
		t.Errorf("%d orders are left after their retention", n)
	}
	if n := l.rows("acme-prod", "invoices"); n != 25 {
		t.Errorf("%d invoices are there while their retention runs, want 25", n)
	}
	l.pass(400 * 24 * time.Hour)
	l.approve(op, "reviewer", "counsel")
	l.pass(time.Hour)
	v, err := l.Operation(ctx, op)
	l.must(err)
	if v.State != tenure.OperationSucceeded {
		t.Fatalf("the offboarding hasn't ended\n%s", l.show(op))
	}
	for _, th := range l.world.Things() {
		if len(th.Name) > 5 && th.Name[:5] == "acme-" && th.Name[:8] != "acme-two" {
			t.Errorf("%s %s is left", th.Type, th.Name)
		}
	}
	if got := l.state("acme-two"); got != tenure.TenantActive {
		t.Errorf("the neighbour is %s", got)
	}
	file, err := l.Certificate(ctx, string(v.Tenant), "closing")
	l.must(err)
	key, err := l.VerifierKey()
	l.must(err)
	if _, err := evidence.Verify(file, key); err != nil {
		t.Fatal(err)
	}
	rep, err := l.VerifyAudit(ctx)
	l.must(err)
	if !rep.OK() {
		t.Errorf("the audit has problems: %q", rep.Problems)
	}
}
