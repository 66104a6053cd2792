package lifecycle_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/secret"
)

// rotating is a site with a PostgreSQL system whose address is kept in a file.
type rotating struct {
	*site
	root string // the address of who makes accounts
	path string
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{root: postgrestest.Database(t), path: filepath.Join(t.TempDir(), "dsn")}
	place, _, err := secret.Parse("file:" + r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.site = newSite(t, func(o *lifecycle.Options) {
		o.Catalog = append(o.Catalog, postgres.Info())
		o.Settings["db"] = lifecycle.SystemSettings{Connector: "postgres", Kept: map[string]secret.Place{"dsn": place}}
	})
	return r
}

// account makes an account and gives its address.
func (r *rotating) account(password string) (name, dsn string) {
	r.t.Helper()
	name = "rot_" + postgrestest.Token()
	r.t.Cleanup(func() {
		postgrestest.Exec(r.t, r.root, `select pg_terminate_backend(pid) from pg_stat_activity where usename = '`+name+`'`)
		postgrestest.Exec(r.t, r.root, `drop owned by `+name+` cascade; drop role `+name)
	})
	postgrestest.Exec(r.t, r.root, `create role `+name+` superuser login password '`+password+`'`)
	return name, postgrestest.As(r.t, r.root, name, password)
}

// added is a system that is in use with an account whose password is first-password.
func (r *rotating) added(ctx context.Context) (name, dsn string, sys *connector.System) {
	r.t.Helper()
	name, dsn = r.account("first-password")
	r.keep(dsn)
	_, err := r.AddSystem(ctx, "db", false, "operator")
	r.must(err)
	sys, err = r.Engine.System("db")
	r.must(err)
	r.must(sys.Identify(ctx))
	return name, dsn, sys
}

func (r *rotating) keep(dsn string) {
	r.t.Helper()
	r.must(os.WriteFile(r.path+".new", []byte(dsn+"\n"), 0o600))
	r.must(os.Rename(r.path+".new", r.path))
}

// sessions counts an account's sessions, as the database sees them.
func (r *rotating) sessions(name string) int64 {
	return postgrestest.Value[int64](r.t, r.root, `select count(*) from pg_stat_activity where usename = $1`, name)
}

// found are the details of the open findings of a kind, for the system.
func (r *rotating) found(kind tenure.FindingKind, field string) (out []string) {
	r.t.Helper()
	all, err := r.Findings(context.Background(), "", true)
	r.must(err)
	for _, f := range all {
		if f.Kind == kind && f.Field == field {
			out = append(out, f.Detail)
		}
	}
	return out
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it isn't so after 20 seconds", what)
		}
	}
}

// working calls a system from several goroutines until stop is called, which gives how
// many calls there were. A call that fails fails the test.
func working(t *testing.T, sys *connector.System) (calls *atomic.Int64, stop func()) {
	t.Helper()
	calls = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, sure, err := sys.Observe(context.Background(), nil)
				if err != nil || sure != tenure.Verified {
					t.Errorf("a call while the credential changed: %s, %v", sure, err)
					return
				}
				trusted, err := sys.Discover(context.Background(), connector.Scope{}, func(connector.Observed) error { return nil })
				if err != nil || trusted != nil {
					t.Errorf("a call while the credential changed: %v, %v", trusted, err)
					return
				}
				calls.Add(2)
			}
		})
	}
	return calls, func() { cancel(); all.Wait() }
}

// A system's credential changes again and again while calls are under way, and none of
// them fails: those that had begun end on the old account, which has no session left
// then, and later ones use the new.
func TestRotationWithoutDowntime(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	ctx := context.Background()
	old, dsn := r.account("first-password")
	r.keep(dsn)
	_, err := r.AddSystem(ctx, "db", false, "operator")
	r.must(err)
	sys, err := r.Engine.System("db")
	r.must(err)
	_, _, err = sys.Observe(ctx, nil)
	r.must(err)
	r.must(r.TickCredentials(ctx, r.Now())) // what it has is known
	calls, stop := working(t, sys)
	for round := range 4 {
		before := calls.Load()
		name, dsn := r.account("next-password")
		r.keep(dsn)
		if round%2 == 0 {
			changed, err := r.RotateSystem(ctx, "db", "ada")
			if err != nil || !changed {
				t.Fatal(changed, err)
			}
		} else {
			r.clock.Add(int64(2 * time.Minute / time.Microsecond))
			r.must(r.TickCredentials(ctx, r.Now()))
		}
		eventually(t, "no session of the old account is left", func() bool { return r.sessions(old) == 0 })
		eventually(t, "calls go on", func() bool { return calls.Load() > before+20 || t.Failed() })
		if r.sessions(name) == 0 {
			t.Error("the new account has no session")
		}
		old = name
	}
	stop()
	t.Logf("%d calls over 4 rotations", calls.Load())
	n := 0
	for e, err := range r.db.Entries(ctx, 0) {
		r.must(err)
		if n += strings.Count(string(e.Entry), `"system.rotate"`); strings.Contains(string(e.Entry), "-password") {
			t.Errorf("the log tells a secret: %s", e.Entry)
		}
	}
	if n != 4 {
		t.Errorf("the log has %d rotations", n)
	}
}

// A password that the system itself changed is read again at once when it is refused, and
// the call that was refused is made again: nobody sees it.
func TestRotationAfterRefusal(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	ctx := context.Background()
	name, dsn, sys := r.added(ctx)

	r.keep(strings.Replace(dsn, "first-password", "second-password", 1))
	postgrestest.Exec(t, r.root, `alter role `+name+` password 'second-password'`)
	// Its sessions end, as they do when the server is restarted: the next call must sign in.
	postgrestest.Exec(t, r.root, `select pg_terminate_backend(pid) from pg_stat_activity where usename = '`+name+`'`)
	eventually(t, "it is used with the new password", func() bool {
		_, sure, err := sys.Observe(ctx, nil)
		if tenure.CodeOf(err) == tenure.Unauthorized {
			t.Fatal("a call that was refused isn't made again: ", err)
		}
		return err == nil && sure == tenure.Verified
	})
	if conn, err := pgx.Connect(ctx, dsn); err == nil {
		_ = conn.Close(ctx)
		t.Error("the database still takes the old password: the test shows nothing")
	}
}

// A new credential that is refused, or that leads to another database, isn't taken over:
// the old one goes on, a finding says so, and it goes away once the new one works. Neither
// it nor the error tells the secret.
func TestRotationRefused(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	ctx := context.Background()
	name, dsn, sys := r.added(ctx)
	_, stop := working(t, sys)
	defer stop()
	elsewhere := postgrestest.Database(t)
	for what, bad := range map[string]string{
		"a wrong password":    strings.Replace(dsn, "first-password", "mistyped-password", 1),
		"another database":    elsewhere,
		"a server that isn't": postgrestest.With(t, dsn, func(u *url.URL) { u.Host = "127.0.0.1:1" }),
		"no address":          "mistyped-password",
	} {
		r.keep(bad)
		changed, err := r.RotateSystem(ctx, "db", "ada")
		if err == nil || changed || tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("%s: changed %t, %v", what, changed, err)
		}
		found := r.found(tenure.FindingCredential, "new credential")
		if len(found) != 1 || strings.Contains(found[0]+err.Error(), "mistyped-password") {
			t.Errorf("%s: findings %q, error %v", what, found, err)
		}
		if r.sessions(name) == 0 {
			t.Errorf("%s: the old account has no session", what)
		}
	}
	r.must(os.Remove(r.path))
	if _, err := r.RotateSystem(ctx, "db", "ada"); err == nil || len(r.found(tenure.FindingCredential, "source")) != 1 {
		t.Errorf("without a file: %v", err)
	}
	next, dsn := r.account("next-password")
	r.keep(dsn)
	if changed, err := r.RotateSystem(ctx, "db", "ada"); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if found := append(r.found(tenure.FindingCredential, "new credential"), r.found(tenure.FindingCredential, "source")...); len(found) != 0 {
		t.Errorf("once it works: %q", found)
	}
	if r.sessions(next) == 0 {
		t.Error("the new account has no session")
	}
}
