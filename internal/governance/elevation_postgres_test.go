package governance_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// A person claims direct access to a real server, works there, and is put out:
// at once by a revocation, and by a start after Tenure was down.
func TestElevationInPostgres(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := postgrestest.Database(t)
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(t.TempDir(), "tenure.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &ward{t: t, db: db, who: map[string]tenure.Caller{}}
	info := postgres.Info()
	opened := func() *connector.System {
		d, err := info.Open(ctx, connector.Config{
			System: "db", Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)}, Options: map[string]string{"connections": "2"}, Now: time.Now,
			Marker: connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "db", Key: []byte("a key that tests alone use, 32 B")},
		})
		w.must(err)
		t.Cleanup(func() { _ = d.Close() })
		fingerprint, err := d.Plant(ctx)
		w.must(err)
		return connector.NewSystem("db", info, d, fingerprint, 4)
	}
	sys := opened()
	start := func() *governance.Governor {
		return governance.New(governance.Options{
			DB: db, Now: time.Now, System: func(context.Context, string) (*connector.System, error) { return sys, nil },
			Entry: func(_ context.Context, kind, _ string, ten tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
				return audit.Entry{Format: audit.Format, At: time.Now().UTC().Truncate(time.Microsecond), Kind: kind, Tenant: ten, Operation: op, Subject: subject, Data: audit.Facts(facts)}, nil
			},
		})
	}
	g := start()
	now := g.Now()
	acme, schema := tenure.NewID[tenure.TenantID](now), tenure.NewID[tenure.ResourceID](now)
	ddl := `{"ddl":"create table if not exists orders (v text)"}`
	_, _, _, err = sys.Ensure(ctx, connector.Desired{Ref: connector.Ref{Resource: schema, Tenant: acme, Type: "schema", Name: "acme", Attributes: map[string]any{"ddl": "create table if not exists orders (v text)"}}})
	w.must(err)
	w.write(func(tx *store.Tx) error {
		if err := tx.SaveSystem(store.System{Name: "db", Connector: "postgres", Fingerprint: sys.Fingerprint, AddedBy: "ann", AddedAt: now}, false); err != nil {
			return err
		}
		if err := tx.CreateTenant(store.TenantRow{Tenant: tenure.Tenant{ID: acme, Name: "acme", Parameters: []byte(`{}`), CreatedAt: now}}); err != nil {
			return err
		}
		r := tenure.Resource{ID: schema, Tenant: acme, Environment: "prod", Key: "schema", System: "db", Type: "schema", Name: "acme", Desired: []byte(ddl), CreatedAt: now, UpdatedAt: now}
		if err := tx.SaveResource(r); err != nil {
			return err
		}
		_, err := tx.Exec(`update resource set state = 'present', verdict = verdict, expires_at = expires_at where id = $1`, string(schema))
		return err
	})
	for _, name := range []string{"ada", "bo"} {
		_, err := g.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson}, "root")
		w.must(err)
	}
	ada, bo := governance.Local("ada"), governance.Local("bo")
	claim := func(length string) (tenure.Elevation, *pgx.Conn) {
		t.Helper()
		p, err := tenure.ParsePeriod(length)
		w.must(err)
		e, err := g.RequestElevation(ctx, ada, governance.ElevationAsk{Role: tenure.Viewer, Scope: tenure.Scope{Tenants: []tenure.TenantID{"acme"}}, Reason: "a stuck migration", For: p, System: "db", Access: tenure.DirectWrite})
		w.must(err)
		e, err = g.ApproveElevation(ctx, bo, e.ID, e.Digest)
		w.must(err)
		e, login, err := g.ClaimElevation(ctx, ada, e.ID)
		w.must(err)
		t.Cleanup(func() { _ = sys.Unelevate(context.Background(), login.Name) })
		c, err := pgx.Connect(ctx, postgrestest.As(t, dsn, login.Name, login.Secret.Reveal()))
		w.must(err)
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		if _, err := c.Exec(ctx, "insert into orders values ('x')"); err != nil {
			t.Fatalf("the login can't work: %v", err)
		}
		return e, c
	}
	there := func(e tenure.Elevation) bool {
		return postgrestest.Value[bool](t, dsn, "select exists (select from pg_roles where rolname = $1)", e.Login)
	}

	e, c := claim("PT1H")
	e, err = g.RevokeElevation(ctx, bo, e.ID, "enough")
	w.must(err)
	if _, err := c.Exec(ctx, "select 1"); err == nil {
		t.Error("after the revocation the session's next query is answered")
	}
	if there(e) || e.LoginGoneAt.IsZero() {
		t.Error("the login is still there")
	}

	// The process dies, and is started again when the elevation is over.
	e, c = claim("PT1H")
	late := e.EndsAt.Add(time.Minute)
	g = start()
	w.must(g.TickElevations(ctx, now))
	if _, err := c.Exec(ctx, "select 1"); err != nil {
		t.Errorf("a start ended what is still active: %v", err)
	}
	w.must(g.TickElevations(ctx, late))
	if _, err := c.Exec(ctx, "select 1"); err == nil || there(e) {
		t.Error("what was overdue wasn't swept at the start")
	}
	row, err := db.Elevation(ctx, e.ID)
	if err != nil || row.State != tenure.ElevationEnded || !row.EndedAt.Equal(e.EndsAt) {
		t.Errorf("it is %s, ended at %s (%v)", row.State, row.EndedAt, err)
	}
	if n := postgrestest.Value[int64](t, dsn, "select count(*) from acme.orders"); n != 2 {
		t.Errorf("%d rows are left of what was written, want 2", n)
	}
}
