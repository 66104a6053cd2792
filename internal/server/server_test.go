package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// newService is an installation with memory as its one system.
func newService(t testing.TB) *lifecycle.Service { return newServiceAt(t, time.Now) }

// newServiceAt is newService under a clock.
func newServiceAt(t testing.TB, now func() time.Time) *lifecycle.Service {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return serviceOn(t, db, keys, dir, now)
}

func serviceOn(t testing.TB, db *store.DB, keys *keystore.Store, dir string, now func() time.Time) *lifecycle.Service {
	t.Helper()
	s, err := lifecycle.New(context.Background(), lifecycle.Options{
		DB: db, Keys: keys, Catalog: []connector.Info{memory.InfoOf(memory.NewWorld("main"))}, Installation: "ins_01890a5d-ac96-774b-bcce-b302099a8057",
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}},
		Folder:   filepath.Join(dir, "handover"), Now: now, Owner: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func governorOf(s *lifecycle.Service) *governance.Governor {
	return governance.New(governance.Options{DB: s.Engine.DB, Now: s.Now, Entry: s.Entry})
}

func newServer(t testing.TB, s *lifecycle.Service) *server.Server {
	t.Helper()
	srv, err := server.New(server.Options{Service: s, Governor: governorOf(s), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// as asks a server in this process under a name.
func as(t *testing.T, srv *server.Server, name string) *client.Client {
	t.Helper()
	c, err := client.New("http://tenure", client.WithHandler(srv.LocalHandler(), name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// remote serves on the network and gives the address.
func remote(t *testing.T, srv *server.Server) *httptest.Server {
	t.Helper()
	h := httptest.NewServer(srv.Handler())
	t.Cleanup(h.Close)
	return h
}

// socketDir is a folder whose path is short enough for a socket.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tnr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// running serves until the test ends or stop is called.
func running(t *testing.T, srv *server.Server, at server.Listen) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, at, func(u string) { ready <- u }) }()
	select {
	case url = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return url, stop
}

func dial(t *testing.T, socket, by string) *client.Client {
	t.Helper()
	c, err := client.Dial(context.Background(), socket, by)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func addMain(t *testing.T, c *client.Client) client.System {
	t.Helper()
	var p client.AddSystemParams
	p.Body.Name = "main"
	sys, err := client.AddSystem.Call(context.Background(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// TestBothWaysAreTheSame: a call over the socket answers, refuses and records who
// asked exactly as one in the process does.
func TestBothWaysAreTheSame(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	srv := newServer(t, newService(t))
	socket := filepath.Join(socketDir(t), "s")
	running(t, srv, server.Listen{Socket: socket})
	const by = "Ó Súilleabháin, 第三; drop%0d%0aX: y"
	here, there := as(t, srv, by), dial(t, socket, by)
	if added := addMain(t, there); added.AddedBy != by {
		t.Errorf("added by %q, want %q", added.AddedBy, by)
	}
	for name, call := range map[string]func(*client.Client) (any, error){
		"systems": func(c *client.Client) (any, error) { return client.ListSystems.Call(ctx, c, client.None{}) },
		"log":     func(c *client.Client) (any, error) { return client.ReadLog.Call(ctx, c, client.LogFilter{}) },
		"verify":  func(c *client.Client) (any, error) { return client.VerifyAudit.Call(ctx, c, client.None{}) },
		"key":     func(c *client.Client) (any, error) { return client.VerifierKey.Call(ctx, c, client.None{}) },
		"me":      func(c *client.Client) (any, error) { return client.ShowMe.Call(ctx, c, client.None{}) },
		"nobody": func(c *client.Client) (any, error) {
			return client.ShowTenant.Call(ctx, c, client.TenantParams{Tenant: "nobody"})
		},
		"wrong id": func(c *client.Client) (any, error) {
			return client.ShowOperation.Call(ctx, c, client.OperationParams{Operation: "ten_01890a5d-ac96-774b-bcce-b302099a8057"})
		},
		"no operation": func(c *client.Client) (any, error) {
			return client.ShowOperation.Call(ctx, c, client.OperationParams{Operation: "op_01890a5d-ac96-774b-bcce-b302099a8057"})
		},
		"no system": func(c *client.Client) (any, error) {
			var p client.AddSystemParams
			p.Body.Name = "other"
			return client.AddSystem.Call(ctx, c, p)
		},
		"a scope for everyone by mistake": func(c *client.Client) (any, error) {
			return client.PlaceHold.Call(ctx, c, client.HoldParams{Body: client.NewHold{Matter: "m", Scope: client.HoldScope{Class: "orders"}}})
		},
		"a limit over the most": func(c *client.Client) (any, error) {
			return client.ReadLog.Call(ctx, c, client.LogFilter{Paging: client.Paging{Limit: 501}})
		},
	} {
		want, wantErr := call(here)
		got, gotErr := call(there)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: in the process (-) and over the socket (+):\n%s", name, d)
		}
		if d := cmp.Diff(problem(wantErr), problem(gotErr)); d != "" {
			t.Errorf("%s: in the process (-) and over the socket (+):\n%s", name, d)
		}
	}
}

func problem(err error) client.Problem {
	if err == nil {
		return client.Problem{}
	}
	return client.ProblemOf(err)
}

// TestReadsDontWrite: a GET works on a store that is open for reading alone, so it
// can be done beside a server; a certificate's file, which signs a checkpoint, and
// an entry's proof aside.
func TestReadsDontWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tenure.db")
	writer, err := store.Open(ctx, store.Options{DSN: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = writer.Close() })
	reader, err := store.Open(ctx, store.Options{DSN: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	addMain(t, as(t, newServer(t, serviceOn(t, writer, keys, dir, time.Now)), "a"))
	srv := newServer(t, serviceOn(t, reader, keys, dir, time.Now))
	h := srv.LocalHandler()
	seen := 0
	for _, r := range srv.Routes() {
		if r.Verb != http.MethodGet || r.Name == client.ShowEntry.Name || r.Name == client.WatchAll.Name {
			continue
		}
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, filled(r.Path), nil)
		req.Header.Set(client.PrincipalHeader, "a")
		h.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%s: %d %s", r.Name, w.Code, w.Body)
		}
		seen++
	}
	if seen < 20 {
		t.Errorf("only %d reads seen", seen)
	}
}

// do sends a request as it is written, and gives the status, the headers and the
// body.
func do(t *testing.T, h http.Handler, method, path, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, path, nil)
	} else {
		r = httptest.NewRequest(method, path, io.NopCloser(stringReader(body)))
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

// codeOf is the code of a problem's body.
func codeOf(t *testing.T, body string) (tenure.Code, string) {
	t.Helper()
	p := parseProblem(t, body)
	return p.Code, p.Detail
}
