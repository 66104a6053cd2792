package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// childDSN names the variable that makes the test binary a second process,
// which opens the store that it names and says what came of it.
const childDSN = "TENURE_STORE_TEST_CHILD"

// TestChild is that second process; by itself it does nothing.
func TestChild(t *testing.T) {
	dsn := os.Getenv(childDSN)
	if dsn == "" {
		return
	}
	db, err := store.Open(context.Background(), store.Options{DSN: dsn})
	if err == nil {
		_ = db.Close()
	}
	fmt.Printf("%s|%v|%s\n", tenure.CodeOf(err), err, strings.Join(tenure.HintsOf(err), "; "))
}

func second(t *testing.T, dsn string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDSN+"="+dsn, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the second process: %v\n%s", err, out)
	}
	return string(out)
}

// Two servers on one SQLite file would each believe themselves the one
// committer: the second must be told to go, and by whom.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	f := openStore(t, filepath.Join(t.TempDir(), "tenure.db"))
	got := second(t, f.dsn)
	for _, want := range []string{"conflict|", "open in another process", fmt.Sprintf("pid %d", os.Getpid()), "socket"} {
		if !strings.Contains(got, want) {
			t.Errorf("the second process was told %q, which doesn't say %q", got, want)
		}
	}
	f.must(f.Close())
	if got := second(t, f.dsn); !strings.HasPrefix(got, "|<nil>|") {
		t.Errorf("after the first has closed, the second still hears %q", got)
	}
}

// An older program that writes to a newer store would lose what it doesn't know.
func TestNewerStore(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		_, err := f.raw().ExecContext(t.Context(), `insert into tenure_migration (version_id, is_applied) values (9000, $1)`, true)
		f.must(err)
		f.must(f.Close())
		for _, o := range []store.Options{{DSN: f.dsn}, {DSN: f.dsn, ReadOnly: true}} {
			db, err := store.Open(t.Context(), o)
			if err == nil {
				_ = db.Close()
			}
			refused(t, err, tenure.Conflict, "format 9000", "newer")
		}
	})
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.db")
	_, err := store.Open(t.Context(), store.Options{DSN: missing, ReadOnly: true})
	refused(t, err, tenure.NotFound)
	if _, err := os.Stat(missing); err == nil {
		t.Error("a look at a store that isn't there has made one")
	}
	_, err = store.Open(t.Context(), store.Options{})
	refused(t, err, tenure.Invalid)
	_, err = store.Open(t.Context(), store.Options{DSN: "postgres://somebody:hunter2@127.0.0.1:1/none?sslmode=disable&connect_timeout=2"})
	refused(t, err, tenure.Unavailable)
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") {
		t.Errorf("the address's password is in the error: %v", err)
	}
}

// Commands that only look must work beside a running server, and never write.
func TestReadOnlyBesideWriter(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		look, err := store.Open(t.Context(), store.Options{DSN: f.dsn, ReadOnly: true})
		f.must(err)
		t.Cleanup(func() { _ = look.Close() })
		ten := f.tenant("acme")
		got, err := look.Tenant(t.Context(), "acme")
		f.must(err)
		if got.ID != ten.ID {
			t.Errorf("the reader sees %s, the writer stored %s", got.ID, ten.ID)
		}
		err = look.Write(t.Context(), func(*store.Tx) error { t.Error("a read-only store ran a write"); return nil })
		refused(t, err, tenure.Conflict, "reading only")
	})
}

// What was committed is there after the program has ended and started again.
func TestReopen(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		f.write(func(tx *store.Tx) error { return tx.Log(entry("test.one", "a")) })
		f.must(f.Close())
		refused(t, f.Write(t.Context(), func(*store.Tx) error { return nil }), tenure.Unavailable, "closed")
		again := openStore(t, f.dsn)
		if got, err := again.Tenant(t.Context(), string(ten.ID)); err != nil || got.State != tenure.TenantRequested {
			t.Errorf("after a restart: %v, %v", got.State, err)
		}
		again.write(func(tx *store.Tx) error { return tx.Log(entry("test.two", "b")) })
		if n := verified(t, again.DB); n != 2 {
			t.Errorf("the log has %d entries, want 2", n)
		}
	})
}

// A second migration of the same store, as each start does one, changes nothing.
func TestTwoProcessesStartAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		if f.Dialect == store.SQLite {
			f.must(f.Close())
			for range 3 {
				db, err := store.Open(t.Context(), store.Options{DSN: f.dsn})
				f.must(err)
				f.must(db.Close())
			}
			return
		}
		_, err := f.raw().ExecContext(t.Context(), `drop schema public cascade; create schema public`)
		f.must(err)
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() {
				db, err := store.Open(context.Background(), store.Options{DSN: f.dsn})
				if err == nil {
					err = db.Close()
				}
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Errorf("one of several that migrate at once: %v", err)
			}
		}
	})
}
