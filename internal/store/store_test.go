package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// start is the business time at which every test begins.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// fixture is one store of a test's own.
type fixture struct {
	*store.DB
	t   *testing.T
	dsn string
}

// onBoth runs a test on SQLite and on PostgreSQL, each with a store of its own.
func onBoth(t *testing.T, test func(*testing.T, *fixture)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, openStore(t, filepath.Join(t.TempDir(), "tenure.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, openStore(t, postgrestest.Database(t)))
	})
}

func openStore(t *testing.T, dsn string) *fixture {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &fixture{DB: db, t: t, dsn: dsn}
}

// raw opens the database itself, as somebody would who goes round the program.
func (f *fixture) raw() *sql.DB {
	f.t.Helper()
	driver, dsn := "sqlite", "file:"+f.dsn+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	if f.Dialect == store.Postgres {
		driver, dsn = "pgx", f.dsn
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// write is Write that must succeed.
func (f *fixture) write(do func(*store.Tx) error) {
	f.t.Helper()
	f.must(f.Write(context.Background(), do))
}

// refused wants an error of a code that says all of the words.
func refused(t *testing.T, err error, code tenure.Code, words ...string) {
	t.Helper()
	if tenure.CodeOf(err) != code {
		t.Fatalf("got %v (%s), want a refusal with code %s", err, tenure.CodeOf(err), code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q doesn't say %q", err, w)
		}
	}
}

func newID[T interface {
	tenure.TenantID | tenure.OperationID | tenure.ResourceID | tenure.HoldID | tenure.FindingID
}]() T {
	return tenure.NewID[T](start)
}

// tenant stores a new tenant.
func (f *fixture) tenant(name string) store.TenantRow {
	f.t.Helper()
	row := store.TenantRow{Tenant: tenure.Tenant{ID: newID[tenure.TenantID](), Name: name, Parameters: []byte(`{}`), CreatedAt: start}}
	f.write(func(tx *store.Tx) error { return tx.CreateTenant(row) })
	return row
}

// request is an operation that isn't stored yet, of so many steps that touch
// something.
func request(tenant tenure.TenantID, kind tenure.OperationKind, steps int, touches ...tenure.ResourceID) store.NewOperation {
	op := store.NewOperation{
		Operation: tenure.Operation{
			ID: newID[tenure.OperationID](), Kind: kind, Tenant: tenant, State: tenure.OperationRunning, RequestedBy: "requester", CreatedAt: start,
		},
		Touches: touches, IsDestroyer: func(int) bool { return false },
	}
	for i := range steps {
		op.Steps = append(op.Steps, tenure.StepStatus{Operation: op.ID, Seq: i, Key: fmt.Sprint("step/", i)})
	}
	return op
}

// create stores an operation with a plan of its own.
func create(tx *store.Tx, op store.NewOperation) (tenure.OperationID, bool, error) {
	plan := &tenure.Plan{Format: tenure.PlanFormat, Kind: op.Kind, Tenant: op.Tenant, At: start, Reason: string(op.ID)}
	body, digest, err := plan.Encode()
	if err != nil {
		return "", false, err
	}
	op.Plan = digest
	if err := tx.SavePlan(digest, body, plan, op.RequestedBy); err != nil {
		return "", false, err
	}
	return tx.CreateOperation(op)
}

func (f *fixture) operation(op store.NewOperation) store.NewOperation {
	f.t.Helper()
	f.write(func(tx *store.Tx) error {
		_, created, err := create(tx, op)
		if err == nil && !created {
			err = fmt.Errorf("operation %s was there already", op.ID)
		}
		return err
	})
	return op
}

// resource stores one resource of a tenant's.
func (f *fixture) resource(tenant tenure.TenantID, typ, name string) tenure.Resource {
	f.t.Helper()
	r := tenure.Resource{
		ID: newID[tenure.ResourceID](), Tenant: tenant, Environment: "prod", Key: "thing", System: "main", Type: typ, Name: name,
		Layer: tenure.LayerTransactional, Desired: []byte(`{}`), UpdatedAt: start,
	}
	f.write(func(tx *store.Tx) error { return tx.SaveResource(r) })
	return r
}

func entry(kind, subject string) audit.Entry {
	return audit.Entry{Format: audit.Format, At: start, Kind: kind, Subject: subject}
}

// verified checks the whole log against its tree, and counts the entries that its writers appended.
func verified(t *testing.T, db *store.DB) int64 {
	t.Helper()
	ctx := context.Background()
	size, root, err := db.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(ctx, audit.Log{Size: size, Root: root, Records: db.Entries(ctx, 0), Nodes: db.Nodes(ctx)})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("the log doesn't verify: %+v", p)
	}
	for r, err := range db.Entries(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e, err := audit.Decode(r.Entry); err == nil && e.Kind == store.RowsEntry {
			size-- // what the committer adds itself
		}
	}
	return size
}

// other is a second process on the same PostgreSQL database. SQLite has one
// process, so there it is the same.
func (f *fixture) other() *store.DB {
	f.t.Helper()
	if f.Dialect == store.SQLite {
		return f.DB
	}
	return openStore(f.t, f.dsn).DB
}
