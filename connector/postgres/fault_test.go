package postgres

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// opened is a driver on a planted database of its own, behind a proxy.
func opened(t *testing.T) (*Driver, *world, *connector.System) {
	t.Helper()
	w := openWorld(t)
	w.proxy = postgrestest.NewProxy(t, postgrestest.With(t, w.proxy.DSN, func(u *url.URL) { u.RawQuery = "sslmode=disable" }))
	d := w.driver(t, w.proxy.DSN)
	fingerprint, err := d.Plant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d, w, connector.NewSystem("main-db", Info(), d, fingerprint, 4)
}

var testKey = []byte("a key that tests alone use, 32 B")

func (w *world) driver(t *testing.T, dsn string) *Driver {
	t.Helper()
	d, err := open(t.Context(), connector.Config{
		System: "main-db", Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)}, Options: map[string]string{"connections": "4"},
		Marker: connector.Marker{Installation: "ins_test", System: "main-db", Key: testKey}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d.(*Driver)
}

func desired(typ, name string, attributes map[string]any) connector.Desired {
	d := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: typ, Name: name, Attributes: attributes}}
	if typ == "role" {
		d.Credential = tenure.NewSecret("credential-of-" + name)
	}
	return d
}

// TestLostAnswers loses the connection before and after the server got what an
// ensure sends: the error says that a retry helps, and the retry makes it whole.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cut before the server has it", "answer lost after the commit"} {
		for _, typ := range []string{"schema", "role", "grant", "policy", "rows", "database"} {
			t.Run(typ+", "+kind, func(t *testing.T) {
				t.Parallel()
				_, w, system := opened(t)
				want, at := w.faultCase(t, typ)
				fired := w.proxy.CutAt(at)
				if kind == "answer lost after the commit" {
					fired = w.proxy.LoseAnswerTo(at)
				}
				_, _, _, err := system.Ensure(t.Context(), want)
				select {
				case <-fired:
				default:
					t.Fatalf("the fault never came: error %v", err)
				}
				if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
					t.Fatalf("got error %v (%s), want one that says that a retry helps", err, tenure.CodeOf(err))
				}
				if _, _, verdict, err := system.Ensure(t.Context(), want); err != nil || verdict != tenure.Verified {
					t.Errorf("the retry: verdict %q, error %v", verdict, err)
				}
				for done := typ != "rows"; !done; { // rows go by their class before the resource does
					e, err := system.Erase(t.Context(), want.Ref, connector.Batch{Run: "lost", Limit: 10})
					if err != nil {
						t.Fatalf("erase: %v", err)
					}
					done = e.Done
				}
				if _, verdict, err := system.Delete(t.Context(), want.Ref); err != nil || verdict != tenure.Verified {
					t.Errorf("delete: verdict %q, error %v", verdict, err)
				}
			})
		}
	}
}

// faultCase is a sample, and a text of the statement that makes it.
func (w *world) faultCase(t *testing.T, typ string) (connector.Desired, string) {
	t.Helper()
	role := w.token + "fault"
	if typ == "grant" || typ == "policy" {
		postgrestest.Exec(t, w.dsn, "create role "+quote(role))
	}
	switch typ {
	case "schema":
		return desired(typ, "lost", map[string]any{"ddl": "create table if not exists orders (id int)", "seed": "insert into orders values (1)"}), "create schema"
	case "role":
		return desired(typ, role, map[string]any{"login": true}), "create role"
	case "grant":
		return desired(typ, "lost", map[string]any{"role": role, "schema": "granted", "tables": []any{"a"}, "privileges": []any{"select"}}), "grant select"
	case "policy":
		return desired(typ, "lost", map[string]any{"role": role, "schema": "shared", "tables": []any{"orders"}, "column": "tenant", "key": "k"}), "create policy"
	case "rows":
		return desired(typ, "lost", map[string]any{"schema": "pool", "column": "tenant", "key": "k", "tables": map[string]any{"orders": "billing", "notes": "crm"},
			"seed": "insert into notes (tenant) values ('k')"}), "insert into notes"
	}
	return desired(typ, w.token+"lost", map[string]any{"ddl": "create table if not exists orders (id int)"}), "create database"
}

// TestStall lets the network go silent: the call ends with its deadline.
func TestStall(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	want := desired("schema", "stalled", nil)
	w.proxy.StallAt("create schema")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, _, err := system.Ensure(ctx, want)
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || time.Since(began) > 10*time.Second {
		t.Errorf("after %s: error %v (%s)", time.Since(began), err, tenure.CodeOf(err))
	}
	if _, _, verdict, err := system.Ensure(t.Context(), want); err != nil || verdict != tenure.Verified {
		t.Errorf("the retry: verdict %q, error %v", verdict, err)
	}
}

// TestWrongDatabase points a recorded system at another database, and at a copy
// of its own that lacks the sentinel: nothing is absent there for sure.
func TestWrongDatabase(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	there := desired("schema", "kept", map[string]any{"ddl": "create table if not exists orders (id int)"})
	if _, _, _, err := system.Ensure(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	other := openWorld(t)
	planted := other.driver(t, other.dsn)
	if _, err := planted.Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	distrusts(t, connector.NewSystem("main-db", Info(), planted, system.Fingerprint, 4), there.Ref)

	// The same database, with what Tenure keeps there emptied or dropped.
	for _, loss := range []string{"delete from tenure.sentinel", "drop schema tenure cascade"} {
		postgrestest.Exec(t, w.dsn, "drop schema if exists kept cascade; "+loss)
		distrusts(t, system, there.Ref)
	}
}

func distrusts(t *testing.T, system *connector.System, r connector.Ref) {
	t.Helper()
	seen, absent, err := system.Observe(t.Context(), []connector.Ref{r})
	if err != nil || seen[0].Found || absent != tenure.Unknown {
		t.Errorf("observe: %+v, absence %q, error %v; want unknown", seen, absent, err)
	}
	if trusted, err := system.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil }); err != nil || trusted == nil {
		t.Errorf("discover is trusted: %v, error %v", trusted, err)
	}
}

// TestFewerRights runs as a role that is no superuser: it can do its work with
// what the guide asks for, and rows that row security hides aren't "absent".
func TestFewerRights(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	plain := w.token + "plain"
	db := postgrestest.Value[string](t, w.dsn, "select current_database()")
	w.exec(t, "create role %s login createrole password 'plain-secret'; grant create on database %s to %[1]s", quote(plain), quote(db))
	d := w.driver(t, postgrestest.As(t, w.dsn, plain, "plain-secret"))
	fingerprint, err := d.Plant(t.Context())
	if err != nil {
		t.Fatalf("plant: %v", err)
	}
	system := connector.NewSystem("main-db", Info(), d, fingerprint, 4)
	for _, want := range []connector.Desired{
		desired("role", w.token+"limited", map[string]any{"login": true}),
		desired("schema", "limited", map[string]any{"ddl": "create table if not exists orders (id int)"}),
		desired("grant", "limited", map[string]any{"role": w.token + "limited", "schema": "limited", "tables": []any{"orders"}, "privileges": []any{"select"}}),
	} {
		if _, _, verdict, err := system.Ensure(t.Context(), want); err != nil || verdict != tenure.Verified {
			t.Errorf("ensure %s: verdict %q, error %v", want.Type, verdict, err)
		}
		if _, rec, _, err := system.Ensure(t.Context(), want); err != nil || rec.Changed {
			t.Errorf("second ensure %s: changed %t, error %v", want.Type, rec.Changed, err)
		}
	}
	w.exec(t, "insert into shared.orders values ('hidden', 1); grant usage on schema shared to %s; grant all on shared.orders to %[1]s", quote(plain))
	hidden := connector.Ref{Type: "rows", Name: "hidden", Attributes: map[string]any{"schema": "shared", "column": "tenant", "key": "hidden", "tables": map[string]any{}}}
	if _, absent, err := system.Observe(t.Context(), []connector.Ref{hidden}); err != nil || absent != tenure.Unknown {
		t.Errorf("rows behind row security: absence %q, error %v; want unknown", absent, err)
	}
	_, _, _, err = system.Ensure(t.Context(), desired("database", w.token+"denied", nil))
	if tenure.CodeOf(err) != tenure.Forbidden || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("create database without the right: %v (%s), want forbidden with a hint", err, tenure.CodeOf(err))
	}
}

// TestSessionsEnd keeps a tenant's session open across a suspension.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	want := desired("role", w.token+"busy", map[string]any{"login": true})
	if _, _, _, err := system.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, postgrestest.As(t, w.dsn, want.Name, want.Credential.Reveal()))
	if _, verdict, err := system.Suspend(t.Context(), want.Ref); err != nil || verdict != tenure.Verified {
		t.Fatalf("suspend: verdict %q, error %v", verdict, err)
	}
	if _, err := conn.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the suspended role's session goes on")
	}
	if stored := postgrestest.Value[string](t, w.dsn, "select rolpassword from pg_authid where rolname = $1", want.Name); !matches(stored, want.Credential) {
		t.Error("a suspension changed the password")
	}
}
