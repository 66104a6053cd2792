package crash

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// What an engine that was given up for dead brings back late is refused: another
// has the step by then, and its word alone counts, whether it has ended or not.
func TestALateResultIsRefused(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "tenure.db") },
		"postgres": func(t *testing.T) string { return postgrestest.Database(t) },
	} {
		for order, lateFirst := range map[string]bool{"before the other ends": true, "after the other ended": false} {
			t.Run(name+"/"+order, func(t *testing.T) { t.Parallel(); testLate(t, dsn(t), lateFirst) })
		}
	}
}

// worker is an engine whose one step ends when the test says so.
type worker struct {
	engine.Engine
	began, end chan struct{}
	ended      chan error
	answer     engine.Answer
}

func newWorker(t *testing.T, dsn, name string, db *store.DB, state tenure.ResourceState) *worker {
	t.Helper()
	if db == nil || db.Dialect == store.Postgres { // another machine's
		var err error
		db, err = store.Open(context.Background(), store.Options{DSN: dsn})
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
	}
	w := &worker{began: make(chan struct{}), end: make(chan struct{}), ended: make(chan error, 1)}
	w.DB, w.Owner, w.Now, w.Lease = db, name, time.Now, time.Hour
	w.Own = map[tenure.Action]engine.Runner{tenure.ActTeardown: func(_ context.Context, t *engine.Task) engine.Result {
		close(w.began)
		<-w.end
		return engine.Result{
			Verdict: tenure.Verified, Receipt: map[string]string{"by": name},
			Resources: []store.ResourceWrite{{ID: t.Plan.Resources[0].ID, State: state, Verdict: tenure.Verified}},
		}
	}}
	return w
}

func (w *worker) start(id tenure.OperationID) {
	go func() {
		var err error
		w.answer, err = w.Advance(context.Background(), id)
		w.ended <- err
	}()
}

// finish lets the step end and waits for the Advance.
func (w *worker) finish(t *testing.T) {
	t.Helper()
	close(w.end)
	must(t, <-w.ended)
}

func testLate(t *testing.T, dsn string, lateFirst bool) {
	ctx := context.Background()
	late := newWorker(t, dsn, "late", nil, tenure.ResourceUnknown)
	other := newWorker(t, dsn, "other", late.DB, tenure.ResourcePresent)
	id, resource := oneStep(t, late.DB)
	late.start(id)
	<-late.began
	must(t, late.DB.Renew(ctx, id, 0, 1, -time.Second)) // as when nobody renews it any more
	other.start(id)
	<-other.began
	if lateFirst {
		late.finish(t)
		if late.answer.Kind != engine.Event {
			t.Errorf("the late one is told %q, and the other is still at work", late.answer.Kind)
		}
		steps, err := late.DB.Steps(ctx, id)
		must(t, err)
		if s := steps[0]; s.State != tenure.StepRunning || s.Owner != "other" || s.Token != 2 {
			t.Errorf("after the late answer the step is %s by %s under token %d", s.State, s.Owner, s.Token)
		}
		other.finish(t)
	} else {
		other.finish(t)
		late.finish(t)
		if late.answer.Kind != engine.Done {
			t.Errorf("the late one is told %q, and all is done", late.answer.Kind)
		}
	}
	checkLate(t, late.DB, id, resource)
}

func checkLate(t *testing.T, db *store.DB, id tenure.OperationID, resource tenure.ResourceID) {
	t.Helper()
	ctx := context.Background()
	op, err := db.Operation(ctx, id)
	must(t, err)
	steps, err := db.Steps(ctx, id)
	must(t, err)
	if op.State != tenure.OperationSucceeded || steps[0].State != tenure.StepDone || steps[0].Receipt != `{"by":"other"}` {
		t.Errorf("the operation is %s, its step %s with receipt %s", op.State, steps[0].State, steps[0].Receipt)
	}
	r, err := db.Resource(ctx, resource)
	must(t, err)
	if r.State != tenure.ResourcePresent {
		t.Errorf("the inventory has the late one's word: %s", r.State)
	}
	results := 0
	for rec, err := range db.Entries(ctx, 0) {
		must(t, err)
		if strings.Contains(string(rec.Entry), `"step.result"`) {
			results++
		}
	}
	if results != 1 {
		t.Errorf("the log has %d results of one step", results)
	}
	size, root, err := db.Root(ctx)
	must(t, err)
	rep, err := audit.Verify(ctx, audit.Log{Size: size, Root: root, Records: db.Entries(ctx, 0), Nodes: db.Nodes(ctx)})
	must(t, err)
	must(t, rep.Err())
}

// oneStep stores an operation of one step on one resource.
func oneStep(t *testing.T, db *store.DB) (tenure.OperationID, tenure.ResourceID) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	tenant, id, resource := tenure.NewID[tenure.TenantID](now), tenure.NewID[tenure.OperationID](now), tenure.NewID[tenure.ResourceID](now)
	p := &tenure.Plan{
		Format: 1, Kind: tenure.Change, Tenant: tenant, Name: "acme", At: now, OnFailure: tenure.Park,
		Resources: []tenure.PlannedResource{{ID: resource, Key: "thing", System: "main", Type: "store", Name: "thing"}},
		Steps:     []tenure.Step{{Key: "look", Action: tenure.ActTeardown, Resource: resource}},
	}
	body, digest, err := p.Encode()
	must(t, err)
	must(t, db.Write(context.Background(), func(tx *store.Tx) error {
		if err := tx.CreateTenant(store.TenantRow{Tenant: tenure.Tenant{ID: tenant, Name: "acme", Parameters: []byte("{}"), CreatedAt: now}}); err != nil {
			return err
		}
		if err := tx.SaveResource(tenure.Resource{ID: resource, Tenant: tenant, Key: "thing", System: "main", Type: "store", Name: "thing", Desired: []byte("{}"), UpdatedAt: now}); err != nil {
			return err
		}
		if err := tx.SavePlan(digest, body, p, "operator"); err != nil {
			return err
		}
		_, _, err := tx.CreateOperation(store.NewOperation{
			Operation:   tenure.Operation{ID: id, Kind: p.Kind, Tenant: tenant, Plan: digest, State: tenure.OperationRunning, RequestedBy: "operator", CreatedAt: now},
			Steps:       []tenure.StepStatus{{Operation: id, Key: "look"}},
			Touches:     []tenure.ResourceID{resource},
			IsDestroyer: func(int) bool { return false },
		})
		return err
	}))
	return id, resource
}
