package postgres

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

const shopDDL = "create table if not exists orders (id int generated always as identity primary key, v text); create table if not exists serials (id serial, v text); insert into orders (v) values ('one')"

// elevation is a login that is asked for, over a schema of two tenants' one.
func elevation(t *testing.T, w *world, access tenure.DirectAccess, refs ...connector.Ref) connector.Elevation {
	t.Helper()
	id := tenure.NewID[tenure.ElevationID](time.Now())
	e := connector.Elevation{ID: id, Login: connector.LoginName(id), Secret: tenure.NewSecret("elevated-" + postgrestest.Token()), Until: time.Now().Add(time.Hour), Access: access, Refs: refs}
	t.Cleanup(func() {
		if w.is(t, "select from pg_roles where rolname = %s", literal(e.Login)) {
			w.exec(t, "drop owned by %s cascade; drop role %[1]s", quote(e.Login))
		}
	})
	return e
}

// two are the schemas of two tenants.
func two(t *testing.T, system *connector.System) (mine, other connector.Ref) {
	t.Helper()
	for i, r := range []*connector.Ref{&mine, &other} {
		d := desired("schema", []string{"acme", "globex"}[i], map[string]any{"ddl": shopDDL})
		if _, _, _, err := system.Ensure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		*r = d.Ref
	}
	return mine, other
}

func (w *world) signIn(t *testing.T, e connector.Elevation, database string) *pgx.Conn {
	t.Helper()
	conf, err := pgx.ParseConfig(postgrestest.As(t, w.dsn, e.Login, e.Secret.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if database != "" {
		conf.Database = database
	}
	c, err := pgx.ConnectConfig(t.Context(), conf)
	if err != nil {
		t.Fatalf("sign in as %s: %v", e.Login, err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// allowed runs each statement in a transaction of its own that is rolled back,
// and lists those that the server let through. The holder of a login may switch
// read-only off, so that isn't what keeps them from writing.
func allowed(t *testing.T, c *pgx.Conn, statements []string) (out []string) {
	t.Helper()
	for _, sql := range statements {
		tx, err := c.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadWrite})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), sql); err == nil {
			out = append(out, sql)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestElevatedLoginMay signs in with the logins and tries everything: read reads,
// write also inserts and updates, and neither destroys or sees a neighbour.
func TestElevatedLoginMay(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	mine, _ := two(t, system)
	statements := []string{
		"select * from acme.orders", "insert into acme.orders (v) values ('x')", "insert into acme.serials (v) values ('x')", "update acme.orders set v = 'y'",
		"delete from acme.orders", "truncate acme.orders", "drop table acme.orders", "alter table acme.orders add column x int", "create table acme.new (x int)",
		"drop schema acme cascade", "select setval('acme.serials_id_seq', 1)", "create schema mine", "create role another", "alter role current_user valid until 'infinity'",
		"select * from globex.orders", "select * from shared.orders", "insert into granted.a values (1)", "select * from tenure.mark", "set role " + quote(w.platform), "select pg_read_file('/etc/passwd')",
	}
	for access, want := range map[tenure.DirectAccess][]string{tenure.DirectRead: statements[:1], tenure.DirectWrite: statements[:4]} {
		e := elevation(t, w, access, mine)
		if err := system.Elevate(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		c := w.signIn(t, e, "")
		if got := allowed(t, c, statements); !slices.Equal(got, want) {
			t.Errorf("with access %s the server lets through %q, want %q", access, got, want)
		}
		if access == tenure.DirectRead {
			if _, err := c.Exec(t.Context(), "insert into orders (v) values ('x')"); err == nil {
				t.Error("reading inserts")
			}
		}
		if err := system.Unelevate(t.Context(), e.Login); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnelevateEndsTheSession is revocation at once: the next query of a session
// that is open fails, and the role is gone.
func TestUnelevateEndsTheSession(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	mine, _ := two(t, system)
	e := elevation(t, w, tenure.DirectWrite, mine)
	if err := system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	c := w.signIn(t, e, "")
	if _, err := c.Exec(t.Context(), "insert into orders (v) values ('kept')"); err != nil {
		t.Fatal(err)
	}
	if err := system.Unelevate(t.Context(), e.Login); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the session goes on after the login was ended")
	}
	if w.is(t, "select from pg_roles where rolname = %s", literal(e.Login)) {
		t.Error("the role is still there")
	}
	if n := w.number(t, "select count(*)::int from acme.orders where v = 'kept'"); n != 1 {
		t.Errorf("%d rows are left of what the login wrote, want 1", n)
	}
	if w.is(t, "select from pg_stat_activity where application_name = %s", literal(guardName(e.Login))) {
		t.Error("the guard of a login that is gone is still up")
	}
}

// TestElevatedLoginEndsWithoutTenure closes the driver, as if Tenure were down:
// at the end the server itself ends the session, and nobody signs in. The next
// driver finds the login by its mark and sweeps it.
func TestElevatedLoginEndsWithoutTenure(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	mine, _ := two(t, system)
	e := elevation(t, w, tenure.DirectRead, mine)
	e.Until = time.Now().Add(3 * time.Second)
	if err := system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	c := w.signIn(t, e, "")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	ended := time.Now().Add(time.Minute)
	for {
		if _, err := c.Exec(t.Context(), "select pg_sleep(0.05)"); err != nil {
			break
		}
		if time.Now().After(ended) {
			t.Fatal("the session outlived its elevation by a minute, with Tenure down")
		}
	}
	if early := time.Until(e.Until); early > 0 {
		t.Errorf("the session ended %s early", early)
	}
	if conn, err := pgx.Connect(t.Context(), postgrestest.As(t, w.dsn, e.Login, e.Secret.Reveal())); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the login signs in after its end")
	}
	again := w.driver(t, w.proxy.DSN)
	list, err := again.Elevations(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != e.ID || list[0].Open || list[0].Sessions != 0 {
		t.Fatalf("found are %+v, error %v; want the closed login", list, err)
	}
	if err := again.Unelevate(t.Context(), list[0].Login); err != nil {
		t.Fatal(err)
	}
	if w.is(t, "select from pg_roles where rolname = %s", literal(e.Login)) {
		t.Error("the login wasn't swept")
	}
}

// TestElevatedIntoDatabases opens a login for a tenant's own database.
func TestElevatedIntoDatabases(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	own := desired("database", w.token+"acme", map[string]any{"ddl": shopDDL})
	neighbour := desired("database", w.token+"globex", map[string]any{"ddl": shopDDL})
	for _, d := range []connector.Desired{own, neighbour} {
		if _, _, _, err := system.Ensure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	e := elevation(t, w, tenure.DirectRead, own.Ref)
	if err := system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	c := w.signIn(t, e, own.Name)
	if got := allowed(t, c, []string{"select * from public.orders", "update public.orders set v = ''"}); len(got) != 1 {
		t.Errorf("the server lets through %q, want the reading alone", got)
	}
	if conn, err := pgx.Connect(t.Context(), postgrestest.As(t, dsnOf(t, w, neighbour.Name), e.Login, e.Secret.Reveal())); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the login gets into a neighbour's database")
	}
	if err := system.Unelevate(t.Context(), e.Login); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the session goes on")
	}
	if w.is(t, "select from pg_roles where rolname = %s", literal(e.Login)) {
		t.Error("the role is still there")
	}
}

// TestElevationRefused: what can't be opened safely isn't opened at all, and a
// stranger's role is left alone.
func TestElevationRefused(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	mine, _ := two(t, system)
	w.exec(t, "create role %s", quote("t_elev_"+w.token))
	t.Cleanup(func() { w.exec(t, "drop role %s", quote("t_elev_"+w.token)) })
	theirs := elevation(t, w, tenure.DirectRead, mine)
	theirs.Login = "t_elev_" + w.token
	rows := elevation(t, w, tenure.DirectRead, connector.Ref{Type: "rows", Name: "pooled"})
	gone := mine
	gone.Name = "initech"
	absent := elevation(t, w, tenure.DirectRead, gone)
	platform := elevation(t, w, tenure.DirectRead, mine)
	platform.Login = w.platform
	for what, c := range map[string]struct {
		e    connector.Elevation
		code tenure.Code
	}{
		"a role that isn't ours": {theirs, tenure.Conflict}, "rows in shared tables": {rows, tenure.Blocked}, "what isn't there": {absent, tenure.Blocked}, "another role's name": {platform, tenure.Invalid},
	} {
		if err := system.Elevate(t.Context(), c.e); tenure.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", what, err, c.code)
		}
	}
	for _, login := range []string{theirs.Login, w.platform} {
		if err := system.Unelevate(t.Context(), login); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("ending %s: %v, want a conflict", login, err)
		}
		if !w.is(t, "select from pg_roles where rolname = %s", literal(login)) {
			t.Errorf("%s is gone", login)
		}
	}
	w.exec(t, "create function acme.wipe() returns void language sql security definer as 'delete from acme.orders'")
	unsafe := elevation(t, w, tenure.DirectRead, mine)
	if err := system.Elevate(t.Context(), unsafe); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a function that deletes for everybody: %v, want blocked", err)
	}
	if w.is(t, "select from pg_roles where rolname = %s", literal(unsafe.Login)) {
		t.Error("a refused login is there")
	}
}

// TestElevateWithoutSuperuser: a platform's role with createrole is enough.
func TestElevateWithoutSuperuser(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	mine, _ := two(t, system)
	w.exec(t, "grant pg_monitor to %s; alter role %[1]s nosuperuser createrole", quote(w.platform))
	t.Cleanup(func() { w.exec(t, "alter role %s superuser", quote(w.platform)) })
	e := elevation(t, w, tenure.DirectRead, mine)
	if err := system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	c := w.signIn(t, e, "")
	if got := allowed(t, c, []string{"select * from acme.orders"}); len(got) != 1 {
		t.Error("the login can't read")
	}
	if err := system.Unelevate(t.Context(), e.Login); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the session goes on")
	}
}

// TestUnelevateEndsWhatIsPrepared: a prepared transaction outlives its session, and would
// keep what the login wrote open, and the tenant from leaving, with nobody left to end it.
func TestUnelevateEndsWhatIsPrepared(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	e := elevation(t, n.world, tenure.DirectWrite, n.refs["acme schema"], n.refs["acme database"])
	postgrestest.Exec(t, n.databaseDSN(n.token+"acme_db"), n.fill(`create table public.bare (i int); alter table public.bare owner to "ACME"`))
	if err := n.system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for db, sql := range map[string]string{"": "insert into acme.orders values (7, 'late')", n.token + "acme_db": "insert into public.bare values (7)"} {
		if _, err := n.signIn(t, e, db).Exec(t.Context(), "begin; "+sql+"; prepare transaction 'it''s "+e.Login+db+"'"); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.system.Unelevate(t.Context(), e.Login); err != nil {
		t.Fatal(err)
	}
	if left := n.number(t, "select count(*)::int from pg_prepared_xacts where gid like '%"+e.Login+"%'"); left > 0 {
		t.Errorf("%d transactions of the login are still prepared", left)
		n.exec(t, "rollback prepared %s", literal("it's "+e.Login))
		postgrestest.Exec(t, n.databaseDSN(n.token+"acme_db"), "rollback prepared "+literal("it's "+e.Login+n.token+"acme_db"))
	}
	if rows := n.number(t, "select count(*)::int from acme.orders where note = 'late'"); rows > 0 {
		t.Error("what wasn't committed is there")
	}
	for _, typ := range []string{"grant", "policy", "database", "schema", "role"} {
		if _, verdict, err := n.system.Delete(t.Context(), n.refs["acme "+typ]); err != nil || verdict != tenure.Verified {
			t.Errorf("the tenant's %s: %s, %v", typ, verdict, err)
		}
	}
}

// TestUnelevateSaysWhatKeepsTheRole: rights that somebody above Tenure gave the login
// outlive it, and whoever is to take them back is told which.
func TestUnelevateSaysWhatKeepsTheRole(t *testing.T) {
	t.Parallel()
	n := neighboursAs(t, true)
	e := elevation(t, n.world, tenure.DirectRead, n.refs["acme schema"])
	if err := n.system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	n.exec(t, "grant select on lookup.colours to %s", quote(e.Login))
	err := n.system.Unelevate(t.Context(), e.Login)
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "lookup.colours") || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("the login's end says %v", err)
	}
	if c, err := pgx.Connect(t.Context(), postgrestest.As(t, n.dsn, e.Login, e.Secret.Reveal())); err == nil {
		_ = c.Close(t.Context())
		t.Error("it still signs in")
	}
	n.exec(t, "drop owned by %s", quote(e.Login))
	if err := n.system.Unelevate(t.Context(), e.Login); err != nil {
		t.Errorf("then: %v", err)
	}
}

// TestElevatedSecretNeverTravels looks at what goes to the server.
func TestElevatedSecretNeverTravels(t *testing.T) {
	t.Parallel()
	_, w, system := opened(t)
	mine, _ := two(t, system)
	e := elevation(t, w, tenure.DirectRead, mine)
	seen := w.proxy.Spy()
	if err := system.Elevate(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if text := seen(); len(text) == 0 || containsSecret(text, e.Secret) {
		t.Errorf("of %d bytes that were sent some are the secret", len(text))
	}
}

func containsSecret(text string, s tenure.Secret) bool { return strings.Contains(text, s.Reveal()) }

func dsnOf(t *testing.T, w *world, database string) string {
	return postgrestest.With(t, w.dsn, func(u *url.URL) { u.Path = "/" + database })
}
