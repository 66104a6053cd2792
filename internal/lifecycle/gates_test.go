package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// classesText has three data classes in one resource of a type.
func classesText(typ string) string {
	return fmt.Sprintf(`
apiVersion: tenure.dev/v1
kind: Blueprint
name: classes-%[1]s
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  main: {connector: memory}
dataClasses:
  aa: {disposition: purge, retention: [{name: a, kind: keep_until, period: P10D, from: termination}]}
  bb: {disposition: purge, retention: [{name: b, kind: keep_until, period: P20D, from: termination}]}
  cc: {disposition: purge, retention: [{name: c, kind: keep_until, period: P30D, from: termination}]}
resources:
  - {key: data, system: main, type: %[1]s, name: "${tenant.name}-data", data: [aa, bb, cc]}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`, typ)
}

// classes onboards acme with rows of three classes in one resource, and starts its
// offboarding.
func (s *site) classes(typ string, n int) tenure.OperationID {
	s.t.Helper()
	s.publishText(classesText(typ))
	s.wantState(s.begin("acme", "classes-"+typ), tenure.OperationSucceeded)
	for i, class := range []string{"aa", "bb", "cc"} {
		rows := make([]string, n*(i+1))
		for j := range rows {
			rows[j] = fmt.Sprint(class, " ", j)
		}
		s.world.Fill(typ, "acme-data", class, rows...)
	}
	return s.leave("acme")
}

func (s *site) held(typ, class string) int {
	th, ok := s.world.Get(typ, "acme-data")
	if !ok {
		return -1
	}
	return len(th.Rows[class])
}

// confirmAt has two persons confirm one point of no return.
func (s *site) confirmAt(op tenure.OperationID, gate string) {
	s.t.Helper()
	for _, by := range []string{"reviewer", "counsel"} {
		_, err := s.Approve(context.Background(), op, gate, s.view(op).Plan, by, "")
		if err != nil && strings.Contains(err.Error(), "taken again") {
			s.settle()
			_, err = s.Approve(context.Background(), op, gate, s.view(op).Plan, by, "")
		}
		if err != nil {
			s.t.Fatalf("%s at %s: %v\n%s", by, gate, err, s.show(op))
		}
	}
	s.settle()
}

func (s *site) certified(op tenure.OperationID) *evidence.Departure {
	s.t.Helper()
	s.wantState(op, tenure.OperationSucceeded)
	file, err := s.Certificate(context.Background(), string(s.view(op).Tenant), "closing")
	s.must(err)
	key, err := s.VerifierKey()
	s.must(err)
	rep, err := evidence.Verify(file, key)
	s.must(err)
	s.audited()
	return &rep.Departure
}

// A class whose point of no return nobody confirmed must not go along with the
// others; and when it is confirmed late, the tenant still gets its certificate.
func TestGatePassedOver(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"rows", "store"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			op := s.classes(typ, 10)
			s.pass(45 * day)
			s.confirmAt(op, "noreturn/cc")
			s.confirmAt(op, "noreturn/aa")
			s.pass(60 * day)
			if got := s.held(typ, "bb"); got != 20 {
				t.Fatalf("%d rows of bb are left, and nobody confirmed that they go\n%s", got, s.show(op))
			}
			if got := s.held(typ, "aa"); got != 0 {
				t.Errorf("%d rows of aa are left, which two confirmed\n%s", got, s.show(op))
			}
			if v := s.view(op); !strings.Contains(v.Reason, "noreturn/bb") {
				t.Errorf("the next step isn't named: %s %q", v.State, v.Reason)
			}
			s.confirmAt(op, "noreturn/bb")
			s.pass(4 * day)
			if v := s.view(op); v.State != tenure.OperationSucceeded { // cc's word has lapsed since
				s.confirmAt(op, "noreturn/cc")
				s.pass(day)
			}
			if left := things(s.world, "acme"); len(left) > 0 {
				t.Errorf("left %q\n%s", left, s.show(op))
			}
			s.certified(op)
		})
	}
}

// What is gone stays gone in the inventory, whatever is confirmed after it.
func TestGoneNeverRegresses(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 3)
	s.pass(45 * day)
	for _, gate := range []string{"noreturn/cc", "noreturn/bb", "noreturn/aa"} {
		s.confirmAt(op, gate)
	}
	s.pass(time.Hour)
	s.certified(op)
	rows, err := s.db.Resources(context.Background(), s.view(op).Tenant, true)
	s.must(err)
	for _, r := range rows {
		if r.State != tenure.ResourceGone {
			t.Errorf("%s is %s after it was gone", r.Key, r.State)
		}
	}
}

// Rows that an application wrote after their class went are erased again, with
// fresh counts and confirmations; and the receipt counts both rounds.
func TestLateRowsReopenTheirClass(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 10)
	s.pass(15 * day)
	s.confirmAt(op, "noreturn/aa")
	s.world.Fill("rows", "acme-data", "aa", "late 1", "late 2")
	s.pass(20 * day)
	s.confirmAt(op, "noreturn/bb")
	s.confirmAt(op, "noreturn/cc")
	if got := s.held("rows", "aa"); got != 2 {
		t.Fatalf("%d late rows of aa are there, want 2, which nobody confirmed\n%s", got, s.show(op))
	}
	run := s.Engine.Own[tenure.ActCertify]
	s.Engine.Own[tenure.ActCertify] = failing // a closed tenant's receipts are forgotten
	s.confirmAt(op, "noreturn/aa")
	if rec := s.row(op, "prod/data/erase/aa").Receipt; !strings.Contains(rec, `"aa":12`) || !strings.Contains(rec, `"rounds":1`) {
		t.Errorf("the receipt doesn't count both rounds: %s", rec)
	}
	s.Engine.Own[tenure.ActCertify] = run
	_, err := s.Retry(context.Background(), op, "", "operator")
	s.must(err)
	s.settle()
	s.certified(op)
}

// An application that goes on writing doesn't keep persons confirming for ever.
func TestApplicationThatStillWrites(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 10)
	s.pass(35 * day)
	for _, gate := range []string{"noreturn/bb", "noreturn/cc"} {
		s.confirmAt(op, gate)
	}
	for range 4 {
		s.onDelete.Store(ptr(func(r connector.Ref) { s.world.Fill("rows", r.Name, "aa", "late") }))
		s.confirmAt(op, "noreturn/aa")
	}
	v := s.view(op)
	if v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "still writes to rows acme-data") {
		t.Fatalf("it isn't blocked with what is written to\n%s", s.show(op))
	}
	s.onDelete.Store(nil)
	_, err := s.Retry(context.Background(), op, "", "operator")
	s.must(err)
	s.settle()
	s.confirmAt(op, "noreturn/aa") // the last rows that it wrote
	s.pass(time.Hour)
	s.certified(op)
}

func failing(context.Context, *engine.Task) engine.Result {
	return engine.Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Blocked, "something isn't proven")}
}

func ptr[T any](v T) *T { return &v }

func (s *site) row(op tenure.OperationID, key string) store.StepRow {
	s.t.Helper()
	for _, r := range s.view(op).Steps {
		if r.Key == key {
			return r
		}
	}
	s.t.Fatalf("there is no step %s", key)
	return store.StepRow{}
}

// A trigger that takes the deletes and does nothing blocks at once, by name,
// instead of an endless loop.
func TestSwallowedDeleteBlocksAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 10)
	s.pass(15 * day)
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.Swallows = map[string]string{"aa": "keep_all"} })
	s.confirmAt(op, "noreturn/aa")
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "keep_all") {
		t.Fatalf("it isn't blocked with the trigger's name\n%s", s.show(op))
	}
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.Swallows = nil })
	_, err := s.Retry(context.Background(), op, "", "operator")
	s.must(err)
	s.settle()
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left after the trigger went\n%s", got, s.show(op))
	}
}

// A lock that lasts is named after five minutes, and is tried on.
func TestLockIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 10)
	s.pass(15 * day)
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.LockedBy = "pid 4711 (billing)" })
	s.confirmAt(op, "noreturn/aa")
	s.pass(4 * time.Minute)
	if v := s.view(op); strings.Contains(v.Reason, "billing") {
		t.Errorf("it is named after four minutes: %q", v.Reason)
	}
	s.pass(90 * time.Second)
	if v := s.view(op); v.State != tenure.OperationRunning || !strings.Contains(v.Reason, "pid 4711 (billing)") {
		t.Fatalf("after five minutes the lock isn't named: %s %q\n%s", v.State, v.Reason, s.show(op))
	}
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.LockedBy = "" })
	s.pass(10 * time.Minute)
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left after the lock went\n%s", got, s.show(op))
	}
}

// What stands in the way is named before anybody confirms, and can't be skipped.
func TestCountStopsAtWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := s.classes("store", 10)
	s.world.Tamper("store", "acme-data", func(th *memory.Thing) {
		th.Places = []connector.Place{{Name: "platform.history", Kind: connector.PlaceCode, Blocks: true, Says: "trigger keep_history writes there", Fix: "tables: {platform.history: aa}"}}
	})
	s.pass(15 * day)
	if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(s.show(op), "platform.history") {
		t.Fatalf("it isn't blocked with what it found\n%s", s.show(op))
	}
	_, err := s.Approve(ctx, op, "noreturn/aa", s.view(op).Plan, "reviewer", "")
	wantCode(t, err, tenure.Conflict)
	_, err = s.Skip(ctx, op, "prod/data/count/aa", "in a hurry", "operator")
	wantCode(t, err, tenure.Forbidden, "prod/data/count/aa")
	s.world.Tamper("store", "acme-data", func(th *memory.Thing) { th.Places = nil })
	_, err = s.Retry(ctx, op, "", "operator")
	s.must(err)
	s.settle()
	if rec := s.row(op, "prod/data/count/aa").Receipt; !strings.Contains(rec, `"class":"aa"`) || !strings.Contains(rec, `"rows":10`) {
		t.Errorf("the count doesn't say what will go: %s", rec)
	}
}

// A certificate that can't be issued leaves the tenant open: no two persons may
// leave it out.
func TestCertificateCantBeSkipped(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	run := s.Engine.Own[tenure.ActCertify]
	s.Engine.Own[tenure.ActCertify] = failing
	op := s.classes("rows", 3)
	s.pass(45 * day)
	for _, gate := range []string{"noreturn/aa", "noreturn/bb", "noreturn/cc"} {
		s.confirmAt(op, gate)
	}
	s.wantState(op, tenure.OperationBlocked)
	_, err := s.Skip(ctx, op, "certificate/interim", "nobody reads it", "operator")
	wantCode(t, err, tenure.Forbidden, "stays open")
	if got := s.state("acme"); got == tenure.TenantClosed {
		t.Fatal("the tenant closed without a certificate")
	}
	s.Engine.Own[tenure.ActCertify] = run
	_, err = s.Retry(ctx, op, "", "operator")
	s.must(err)
	s.settle()
	s.certified(op)
}

// A tenant doesn't close without its certificates, though their steps count as skipped in
// the store.
func TestNoCloseOverASkippedCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.Engine.Own[tenure.ActCertify] = failing
	op := s.classes("rows", 3)
	s.pass(45 * day)
	for _, gate := range []string{"noreturn/aa", "noreturn/bb", "noreturn/cc"} {
		s.confirmAt(op, gate)
	}
	for _, key := range []string{"certificate/interim", "certificate/closing"} {
		row := s.row(op, key)
		s.must(s.db.Write(context.Background(), func(tx *store.Tx) error {
			if err := tx.SetStep(op, row.Seq, tenure.StepFailed, tenure.StepSkipped, s.Now()); err != nil {
				return err
			}
			return tx.Poke(op, s.Now())
		}))
		s.settle()
	}
	if got := s.state("acme"); got == tenure.TenantClosed {
		t.Fatalf("the tenant closed without a certificate\n%s", s.show(op))
	}
	if r := s.row(op, "closed"); !strings.Contains(r.Error, "certificate/interim was skipped") {
		t.Errorf("the close doesn't say what it lacks: %s", r.Error)
	}
}

// The plan of an earlier format, in which nothing but the last class's gate kept a
// store from going, finishes under today's rules.
func TestPlanOfFormat1KeepsTodaysRules(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"rows", "store"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			ctx := context.Background()
			s.publishText(classesText(typ))
			s.wantState(s.begin("acme", "classes-"+typ), tenure.OperationSucceeded)
			for i, class := range []string{"aa", "bb", "cc"} {
				rows := make([]string, 30*(i+1))
				s.world.Fill(typ, "acme-data", class, rows...)
			}
			s.Engine.BatchRows = 10
			in := lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}
			planned, err := s.Plan(ctx, in, "operator")
			s.must(err)
			old := format1(planned.Plan)
			body, digest, err := old.Encode()
			s.must(err)
			s.must(s.db.Write(ctx, func(tx *store.Tx) error { return tx.SavePlan(digest, body, old, "operator") }))
			started, err := s.Start(ctx, digest, in, "operator")
			s.must(err)
			op := started.ID
			s.settle()
			s.approve(op, "reviewer")
			s.pass(45 * day)
			s.confirmAt(op, "noreturn/aa")
			s.confirmAt(op, "noreturn/cc")
			s.pass(day)
			if got := s.held(typ, "bb"); got != 60 {
				t.Fatalf("%d rows of bb are left, and nobody confirmed that they go\n%s", got, s.show(op))
			}
			batches := s.world.Calls("erase")
			s.confirmAt(op, "noreturn/bb")
			s.pass(time.Hour)
			if left := things(s.world, "acme"); len(left) > 0 {
				t.Errorf("left %q\n%s", left, s.show(op))
			}
			if n := s.world.Calls("erase") - batches; typ == "rows" && n < 6+9 {
				t.Errorf("150 rows went in %d batches of 10", n)
			}
			s.certified(op)
		})
	}
}

// format1 is a plan as the planner of format 1 made it: the last class goes with
// the deletion, which waits for the clocks and the last class's gate alone.
func format1(p *tenure.Plan) *tenure.Plan {
	out := *p
	out.Format, out.Steps = 1, nil
	for _, s := range p.Steps {
		switch s.Action {
		case tenure.ActErase:
			if s.Class == "cc" {
				continue
			}
			s.Needs = []string{"noreturn/" + s.Class, "erasing"}
		case tenure.ActDelete:
			s.Needs = []string{"clock/aa", "clock/bb", "clock/cc", "erasing", "noreturn/cc"}
		case tenure.ActCount:
			s.Action, s.Class = tenure.ActObserve, ""
		case tenure.ActNoReturn:
			s.Class = ""
		case tenure.ActMove:
			if strings.HasPrefix(s.Key, "erasing/") {
				continue
			}
		case tenure.ActReclaim, tenure.ActSweep:
			var needs []string
			for _, n := range s.Needs {
				if !strings.HasPrefix(n, "erasing/") && !strings.HasSuffix(n, "/erase/cc") && !strings.HasPrefix(n, "noreturn/") {
					needs = append(needs, n)
				}
			}
			s.Needs = needs
		}
		out.Steps = append(out.Steps, s)
	}
	return &out
}

// A class that backups alone hold has nothing to count; its point of no return can
// be confirmed however late, and one person's word doesn't wait for another's for
// ever.
func TestPointOfNoReturnWithoutCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.publishText(strings.NewReplacer("{key: data, system: main, type: backup", "{key: data, system: main, type: backup, attributes: {keep: P90D}").Replace(classesText("backup")))
	s.wantState(s.begin("acme", "classes-backup"), tenure.OperationSucceeded)
	op := s.leave("acme")
	s.pass(40 * day)
	sign := func(gate, by string) {
		t.Helper()
		_, err := s.Approve(ctx, op, gate, s.view(op).Plan, by, "")
		s.must(err)
		s.settle()
	}
	sign("noreturn/aa", "reviewer")
	s.pass(4 * day)
	sign("noreturn/aa", "counsel")
	if r := s.row(op, "noreturn/aa"); r.State != tenure.StepPending {
		t.Fatal("a word that is four days old was counted")
	}
	sign("noreturn/aa", "reviewer")
	s.confirmAt(op, "noreturn/bb")
	s.confirmAt(op, "noreturn/cc")
	s.pass(100 * day)
	s.certified(op)
}

// A server that is told to stop ends its erasure after the batch in flight, and the
// next one goes on from there.
func TestStopBetweenBatches(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.Engine.BatchRows = 10
	op := s.classes("rows", 100)
	s.pass(15 * day)
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.LockedBy = "somebody" })
	s.confirmAt(op, "noreturn/aa")
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.LockedBy = "" })
	s.clock.Add(time.Minute.Microseconds())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	batches := 0
	hook := func(connector.Ref) {
		if batches++; batches == 3 {
			stop()
		}
	}
	s.onErase.Store(&hook)
	_, err := s.Engine.Advance(ctx, op)
	s.must(err)
	if got := s.held("rows", "aa"); got != 70 {
		t.Fatalf("%d rows of aa are left after the server was told to stop in the third batch of 10, want 70\n%s", got, s.show(op))
	}
	s.settle()
	if got := s.held("rows", "aa"); got != 0 {
		t.Errorf("%d rows of aa are left after the next server went on\n%s", got, s.show(op))
	}
	s.audited()
}
