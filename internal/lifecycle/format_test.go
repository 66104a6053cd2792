package lifecycle_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

var update = flag.Bool("update", false, "write testdata/stores/format3 anew; a landed format is never written again")

// kept is what a stored installation needs besides its folders.
type kept struct {
	Installation tenure.InstallationID `json:"installation"`
	Now          time.Time             `json:"now"`
	Leaving      tenure.OperationID    `json:"leaving"`
	Rows         map[string]int64      `json:"rows,omitempty"` // that the tenant had when it left, by class
}

// openKept opens an installation in a folder: the store, the keystore and the world
// that its one system is.
func openKept(t *testing.T, dir string, make bool, k *kept) *life {
	t.Helper()
	ctx := context.Background()
	l := &life{t: t}
	l.clock.Store(k.Now.UnixMicro())
	now := func() time.Time { return time.UnixMicro(l.clock.Load()).UTC() }
	var keys *keystore.Store
	var err error
	if make {
		keys, err = keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: now})
	} else {
		keys, err = keystore.Open(filepath.Join(dir, "keys"), keystore.Options{Now: now})
	}
	l.must(err)
	l.db, err = store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	l.must(err)
	t.Cleanup(func() { _ = l.db.Close() })
	info := memory.Info()
	open := info.Open
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		d, err := open(ctx, c)
		if err == nil {
			l.world = d.(*memory.Driver).World()
		}
		return d, err
	}
	l.Service, err = lifecycle.New(ctx, lifecycle.Options{
		DB: l.db, Keys: keys, Catalog: []connector.Info{info}, Installation: k.Installation,
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory", Options: map[string]string{"file": filepath.Join(dir, "world.json")}}},
		Folder:   filepath.Join(dir, "handover"), Now: now, Owner: "test",
	})
	l.must(err)
	t.Cleanup(l.Close)
	return l
}

// writeFormat writes an installation of today's format: one tenant onboarded, one
// whose first data class is erased, while the other's retention runs.
func writeFormat(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	k := &kept{Installation: tenure.NewID[tenure.InstallationID](at), Now: at}
	l := openKept(t, dir, true, k)
	_, err := l.AddSystem(context.Background(), "main", false, "operator")
	l.must(err)
	l.publish("1.0")
	l.onboard("stays")
	l.onboard("acme")
	l.fill("acme-prod", 300, 40)
	l.fill("acme-test", 30, 4)
	k.Rows = map[string]int64{"orders": 330, "invoices": 44}
	k.Leaving = l.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "contract lapsed"}, "operator")
	l.approve(k.Leaving, "reviewer")
	l.pass(60 * day)
	(&site{life: l, dir: dir}).confirm(k.Leaving)
	l.pass(time.Hour)
	if got := l.state("acme"); got != tenure.TenantErasing {
		t.Fatalf("acme is %s\n%s", got, l.show(k.Leaving))
	}
	k.Now = time.UnixMicro(l.clock.Load()).UTC()
	l.Close()
	l.must(l.db.Close())
	pack(t, filepath.Join(dir, "tenure.db"))
	l.must(os.Remove(filepath.Join(dir, "tenure.db.lock")))
	body, err := json.MarshalIndent(k, "", "  ")
	l.must(err)
	l.must(os.WriteFile(filepath.Join(dir, "kept.json"), append(body, '\n'), 0o600))
}

// pack replaces a file by its compressed form: a young store is mostly empty pages.
func pack(t *testing.T, path string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err = w.Write(body); err == nil {
		err = w.Close()
	}
	if err == nil {
		err = os.WriteFile(path+".gz", buf.Bytes(), 0o600)
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unpack(body []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// A store that an earlier format left behind, with an offboarding in its
// retention, is opened and finished by today's program, to the certificate.
func TestStoresOfEveryFormatAreFinished(t *testing.T) {
	t.Parallel()
	if *update {
		writeFormat(t, filepath.Join("testdata", "stores", "format3"))
	}
	formats, err := os.ReadDir(filepath.Join("testdata", "stores"))
	if err != nil || len(formats) == 0 {
		t.Fatalf("there are no stores of past formats: %v", err)
	}
	for _, f := range formats {
		t.Run(f.Name(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyKept(t, filepath.Join("testdata", "stores", f.Name()), dir)
			body, err := os.ReadFile(filepath.Join(dir, "kept.json"))
			if err != nil {
				t.Fatal(err)
			}
			k := &kept{}
			if err := json.Unmarshal(body, k); err != nil {
				t.Fatal(err)
			}
			l := openKept(t, dir, false, k)
			s := &site{life: l, dir: dir}
			s.audited()
			why, err := l.Explain(context.Background(), "acme")
			l.must(err)
			for _, r := range why {
				if l.state("acme") == tenure.TenantErasing && !r.UndoExpiresAt.IsZero() {
					t.Errorf("%s is said to be undoable until %s, past a point of no return", r.Resource, r.UndoExpiresAt)
				}
			}
			s.pass(50 * day)
			s.finish(k.Leaving)
			s.pass(400 * day)
			s.finish(k.Leaving)
			s.wantState(k.Leaving, tenure.OperationSucceeded)
			if left := things(l.world, "acme-"); len(left) > 0 {
				t.Errorf("left %q", left)
			}
			if got := l.state("stays"); got != tenure.TenantActive {
				t.Errorf("the neighbour is %s", got)
			}
			file, err := l.Certificate(context.Background(), string(s.view(k.Leaving).Tenant), "closing")
			l.must(err)
			key, err := l.VerifierKey()
			l.must(err)
			report, err := evidence.Verify(file, key)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range report.Departure.Classes {
				if want := k.Rows[c.Class]; c.Rows != want {
					t.Errorf("the certificate says that %d rows of %s went, not %d", c.Rows, c.Class, want)
				}
			}
			s.audited()
		})
	}
}

// copyKept copies a stored installation, with the rights that a keystore wants:
// a checkout gives none of them.
func copyKept(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if plain, packed := strings.CutSuffix(rel, ".gz"); packed {
			rel = plain
			if body, err = unpack(body); err != nil {
				return err
			}
		}
		return os.WriteFile(filepath.Join(to, rel), body, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
