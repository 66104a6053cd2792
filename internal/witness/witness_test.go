package witness_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/witness"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "tenure.test/log"

// log is an audit log in memory that can be checkpointed at any size.
type log struct {
	signer *audit.Signer
	tree   *audit.Tree
	hashes []tlog.Hash
}

func newLog(t testing.TB) *log {
	t.Helper()
	s, err := audit.NewSigner(origin, ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return &log{signer: s, tree: &audit.Tree{}}
}

func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

// grow appends n entries that begin with word, and returns the checkpoint.
func (l *log) grow(t testing.TB, n int, word string) []byte {
	t.Helper()
	for i := range n {
		b, next := l.tree.Prepare([][]byte{[]byte(fmt.Sprint(word, i))})
		for i := 0; i < len(b.Hashes); i += tlog.HashSize {
			l.hashes = append(l.hashes, tlog.Hash(b.Hashes[i:]))
		}
		l.tree = next
	}
	msg, err := audit.SignCheckpoint(audit.Checkpoint{Origin: origin, Size: l.tree.Size(), Root: l.tree.Root()}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func (l *log) prove(t testing.TB, old, new int64) tlog.TreeProof {
	t.Helper()
	p, err := audit.ProveConsistency(old, new, l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// server is an honest witness behind HTTP.
type server struct {
	mu     sync.Mutex
	latest []byte
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		if s.latest == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(s.latest)
		return
	}
	body, _ := io.ReadAll(r.Body)
	size, proof, msg, err := audit.ParseConsistency(body)
	next, err2 := audit.ParseCheckpoint(msg)
	if err != nil || err2 != nil {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	last := audit.Checkpoint{Origin: origin, Root: (&audit.Tree{}).Root()}
	if s.latest != nil {
		last, _ = audit.ParseCheckpoint(s.latest)
	}
	switch {
	case size != last.Size:
		http.Error(w, "conflict", http.StatusConflict)
	case audit.VerifyConsistency(last, next, proof) != nil:
		http.Error(w, "inconsistent", http.StatusUnprocessableEntity)
	default:
		s.latest = msg
	}
}

// each runs a test with both kinds of witness.
func each(t *testing.T, test func(t *testing.T, open func() witness.Witness)) {
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "witness")
		test(t, func() witness.Witness { return mustOpen(t, "file://"+path) })
	})
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(&server{})
		t.Cleanup(s.Close)
		test(t, func() witness.Witness { return mustOpen(t, s.URL) })
	})
}

func mustOpen(t *testing.T, spec string) witness.Witness {
	t.Helper()
	w, err := witness.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWitness: what a witness took it gives back after a restart, and it takes
// only what continues it.
func TestWitness(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() witness.Witness) {
		ctx := context.Background()
		w, l := open(), newLog(t)
		if _, err := w.Latest(ctx); tenure.CodeOf(err) != tenure.NotFound {
			t.Fatalf("before the first: %v", err)
		}
		first := l.grow(t, 3, "a")
		second := l.grow(t, 5, "b")
		if err := w.Publish(ctx, nil, first, nil); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a repeated call is fine
			if err := w.Publish(ctx, first, second, l.prove(t, 3, 8)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := open().Latest(ctx); err != nil || string(got) != string(second) {
			t.Fatalf("latest %q, %v", got, err)
		}
		third := l.grow(t, 1, "c")
		for name, try := range map[string]struct {
			old, new []byte
			proof    tlog.TreeProof
			want     tenure.Code
		}{
			"an older one to continue": {first, third, l.prove(t, 3, 9), tenure.Conflict},
			"nothing to continue":      {nil, third, nil, tenure.Conflict},
			"no proof":                 {second, third, nil, tenure.Blocked},
			"another proof":            {second, third, l.prove(t, 3, 8), tenure.Blocked},
			"another log":              {second, newLog(t).grow(t, 9, "z"), l.prove(t, 8, 9), tenure.Blocked},
			"a shorter log":            {second, first, nil, tenure.Blocked},
			"no checkpoint":            {second, []byte("x"), nil, tenure.Invalid},
			"a proof from nothing":     {nil, third, l.prove(t, 8, 9), tenure.Invalid},
		} {
			err := w.Publish(ctx, try.old, try.new, try.proof)
			if code := tenure.CodeOf(err); code != try.want && !(name == "a proof from nothing" && code == tenure.Conflict) {
				t.Errorf("%s: %v, want %s", name, err, try.want)
			}
		}
		if got, err := w.Latest(ctx); err != nil || string(got) != string(second) {
			t.Errorf("after all that the latest is %q, %v", got, err)
		}
		if err := w.Publish(ctx, second, third, l.prove(t, 8, 9)); err != nil {
			t.Error(err)
		}
	})
}

// TestFileCrash: a write cut short loses only itself.
func TestFileCrash(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := newLog(t)
	first, second := l.grow(t, 3, "a"), l.grow(t, 1, "b")
	proof := l.prove(t, 3, 4)
	path := filepath.Join(t.TempDir(), "witness")
	w := witness.NewFile(path)
	for _, err := range []error{w.Publish(ctx, nil, first, nil), w.Publish(ctx, first, second, proof)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(whole), "\n\n") != 2 {
		t.Errorf("the file isn't append-only: %q", whole)
	}
	firstEnd := strings.Index(string(whole), string(first)) + len(first)
	for n := firstEnd; n < len(whole); n += 7 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Latest(ctx); err != nil || string(got) != string(first) {
			t.Fatalf("cut at %d of %d: latest %q, %v", n, len(whole), got, err)
		}
		if err := w.Publish(ctx, first, second, proof); err != nil {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), err)
		}
		if again, err := os.ReadFile(path); err != nil || string(again) != string(whole) {
			t.Fatalf("cut at %d of %d: the file is %q, %v", n, len(whole), again, err)
		}
	}
	torn := string(whole[:firstEnd]) + "9999\n" + strings.Repeat("x", 999)
	if err := os.WriteFile(path, []byte(torn), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Publish(ctx, first, second, proof); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(whole) {
		t.Fatalf("after a long torn write the file is %q, %v", again, err)
	}
	if err := os.WriteFile(path, []byte("x\n"+string(whole)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Latest(ctx); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a damaged file: %v", err)
	}
	if err := w.Publish(ctx, nil, first, nil); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("publish into a damaged file: %v", err)
	}
}

// TestFileAway: a share that isn't mounted is no reason to begin anew.
func TestFileAway(t *testing.T) {
	t.Parallel()
	w := witness.NewFile(filepath.Join(t.TempDir(), "not", "mounted", "witness"))
	err := w.Publish(context.Background(), nil, newLog(t).grow(t, 1, "a"), nil)
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("published to nowhere: %v", err)
	}
}

// TestHTTPAnswers: nothing that a server answers is taken for what it isn't.
func TestHTTPAnswers(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	first := l.grow(t, 1, "a")
	for name, tt := range map[string]struct {
		handler         http.HandlerFunc
		latest, publish tenure.Code
		retry           bool
	}{
		"junk":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, tenure.Invalid, "", false},
		"endless":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, tenure.Invalid, tenure.Invalid, false},
		"down":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, tenure.Unavailable, tenure.Unavailable, true},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, tenure.Unavailable, tenure.Unavailable, false},
		"redirect":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", 302) }, tenure.Unavailable, tenure.Unavailable, false},
		"unproven":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) }, tenure.Unavailable, tenure.Blocked, false},
		"lost reply": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(409)
				return
			}
			_, _ = w.Write(first)
		}, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.handler)
			t.Cleanup(s.Close)
			w := mustOpen(t, s.URL)
			_, err := w.Latest(context.Background())
			if tenure.CodeOf(err) != tt.latest || tenure.CanRetry(err) != tt.retry {
				t.Errorf("latest: %v, want %q", err, tt.latest)
			}
			if err := w.Publish(context.Background(), nil, first, nil); tenure.CodeOf(err) != tt.publish {
				t.Errorf("publish: %v, want %q", err, tt.publish)
			}
		})
	}
}

// TestHTTPGone: a witness that hangs or is absent doesn't hold the log up for
// longer than its caller allows.
func TestHTTPGone(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(hung) })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := mustOpen(t, s.URL).Latest(ctx)
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("a witness that hangs: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"/mnt/w": "*witness.File", "w": "*witness.File", "file:///mnt/w": "*witness.File",
		"http://w.test": "*witness.HTTP", "https://w.test/log": "*witness.HTTP",
		"": "", "ftp://w.test": "", "file://mnt/w": "", "http://": "", "https://me:pw@w.test": "",
	} {
		w, err := witness.Open(spec)
		if got := fmt.Sprintf("%T", w); want != "" && (got != want || err != nil) || want == "" && tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("open %q: %s, %v; want %s", spec, got, err, want)
		}
	}
}
