package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// newService is an installation with memory as its one system.
func newService(t *testing.T) *lifecycle.Service {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := lifecycle.New(ctx, lifecycle.Options{
		DB: db, Keys: keys, Catalog: []connector.Info{memory.InfoOf(memory.NewWorld("main"))}, Installation: tenure.NewID[tenure.InstallationID](time.Now()),
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}},
		Folder:   filepath.Join(dir, "handover"), Now: time.Now, Owner: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
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

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// running serves until the test ends or stop is called.
func running(t *testing.T, s *lifecycle.Service, socket string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- server.Serve(ctx, s, socket, quiet(), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return stop
}

func dial(t *testing.T, socket, by string) *server.Client {
	t.Helper()
	c, err := server.Dial(context.Background(), socket, by)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestBothWaysAreTheSame: a call over the socket answers, refuses and records who
// asked exactly as one in the process does.
func TestBothWaysAreTheSame(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	socket := filepath.Join(socketDir(t), "s")
	running(t, s, socket)
	const by = "Ó Súilleabháin, 第三; drop\r\nX: y"
	local, remote := server.Local{Service: s, By: by}, dial(t, socket, by)

	added, err := server.AddSystem.Call(ctx, remote, server.AddSystemParams{Name: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if added.AddedBy != by {
		t.Errorf("added by %q, want %q", added.AddedBy, by)
	}
	for name, call := range map[string]func(server.Caller) (any, error){
		"systems": func(c server.Caller) (any, error) { return server.ListSystems.Call(ctx, c, server.None{}) },
		"log":     func(c server.Caller) (any, error) { return server.ReadLog.Call(ctx, c, server.LogParams{Limit: 10}) },
		"verify":  func(c server.Caller) (any, error) { return server.VerifyAudit.Call(ctx, c, server.None{}) },
		"key":     func(c server.Caller) (any, error) { return server.VerifierKey.Call(ctx, c, server.None{}) },
		"nobody": func(c server.Caller) (any, error) {
			return server.ShowTenant.Call(ctx, c, server.NameParams{Tenant: "nobody"})
		},
		"wrong id": func(c server.Caller) (any, error) {
			return server.ShowOperation.Call(ctx, c, server.IDParams{ID: "ten_01890a5d-ac96-774b-bcce-b302099a8057"})
		},
		"no system": func(c server.Caller) (any, error) {
			return server.AddSystem.Call(ctx, c, server.AddSystemParams{Name: "other"})
		},
		"a scope for everyone by mistake": func(c server.Caller) (any, error) {
			return server.PlaceHold.Call(ctx, c, server.HoldParams{Matter: "m", Scope: server.HoldScope{Class: "orders"}})
		},
		"no limit": func(c server.Caller) (any, error) { return server.ReadLog.Call(ctx, c, server.LogParams{}) },
	} {
		want, wantErr := call(local)
		got, gotErr := call(remote)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: in the process (-) and over the socket (+):\n%s", name, d)
		}
		if d := cmp.Diff(problem(wantErr), problem(gotErr)); d != "" {
			t.Errorf("%s: in the process (-) and over the socket (+):\n%s", name, d)
		}
	}
}

func problem(err error) server.Problem {
	if err == nil {
		return server.Problem{}
	}
	return server.ProblemOf(err)
}

// TestErrorsAreRebuilt: nothing of what a person needs is lost on the way.
func TestErrorsAreRebuilt(t *testing.T) {
	t.Parallel()
	in := tenure.Errorf(tenure.Unavailable, "system %s doesn't answer: %w", "main", io.ErrUnexpectedEOF).Retryable().WithHint("look at it").WithHint("and again")
	raw, err := json.Marshal(server.ProblemOf(in))
	if err != nil {
		t.Fatal(err)
	}
	var p server.Problem
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	out := p.Err()
	if tenure.CodeOf(out) != tenure.Unavailable || !tenure.CanRetry(out) || out.Error() != in.Error() || !cmp.Equal(tenure.HintsOf(out), tenure.HintsOf(in)) {
		t.Errorf("rebuilt as %#v", out)
	}
	if p := server.ProblemOf(errors.New("bare")); p.Code != tenure.Internal {
		t.Errorf("an error without a code is %s", p.Code)
	}
}

// TestRefusals: what isn't a proper call does nothing and says so.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	h := httptest.NewServer(server.Handler(s, quiet()))
	t.Cleanup(h.Close)
	long := `{"tenant":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, c := range []struct {
		name, method, path, body, by string
		status                       int
		says                         string
	}{
		{"unknown method", "POST", "/call/tenant.destroy", "{}", "a", 404, "no method"},
		{"unknown path", "GET", "/", "", "a", 404, "nothing at GET /"},
		{"get", "GET", "/call/tenant.list", "", "a", 404, "nothing at"},
		{"no json", "POST", "/call/tenant.show", "tenant", "a", 400, "parameters of tenant.show"},
		{"no body", "POST", "/call/tenant.show", "", "a", 400, "parameters of tenant.show"},
		{"unknown field", "POST", "/call/tenant.show", `{"tenent":"x"}`, "a", 400, "unknown field"},
		{"two values", "POST", "/call/tenant.show", `{"tenant":"x"} {}`, "a", 400, "something follows"},
		{"too long", "POST", "/call/tenant.show", long, "a", 400, "longer than 1048576 bytes"},
		{"bad principal", "POST", "/call/tenant.list", "{}", "%zz", 400, "percent-encoded"},
		{"nobody asks", "POST", "/call/system.add", `{"name":"main"}`, "", 401, "nobody is named"},
		{"negative", "POST", "/call/audit.log", `{"limit":1,"from":-1}`, "a", 400, "from 0 on"},
	} {
		req, err := http.NewRequest(c.method, h.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Tenure-Principal", c.by)
		resp, err := h.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var p server.Problem
		if err := json.Unmarshal(body, &p); err != nil {
			t.Errorf("%s: %q is no problem", c.name, body)
			continue
		}
		if resp.StatusCode != c.status || p.Code.Status() != c.status || !strings.Contains(p.Message, c.says) {
			t.Errorf("%s: %d %+v, want %d and %q", c.name, resp.StatusCode, p, c.status, c.says)
		}
	}
	if n, err := s.Engine.DB.LogSize(context.Background()); err != nil || n != 0 {
		t.Errorf("the log has %d entries (%v) after refusals alone", n, err)
	}
}

// TestSocket: only the owner may call; a live server isn't replaced, a dead one's
// leftover is; a file that is no socket stays.
func TestSocket(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	dir := socketDir(t)
	socket := filepath.Join(dir, "s")
	if _, err := server.Dial(ctx, socket, "a"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("no server: %v", err)
	}
	stop := running(t, s, socket)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
	if err := server.Serve(ctx, s, socket, quiet(), nil); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a second server: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close() // as a killed server leaves it
	if _, err := server.Dial(ctx, socket, "a"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a dead server: %v", err)
	}
	stop = running(t, s, socket)
	if _, err := server.ListSystems.Call(ctx, dial(t, socket, "a"), server.None{}); err != nil {
		t.Error(err)
	}
	_ = stop()

	if err := os.WriteFile(socket, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(ctx, s, socket, quiet(), nil); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a file in its place: %v", err)
	}
	if b, _ := os.ReadFile(socket); string(b) != "mine" {
		t.Errorf("the file is %q now", b)
	}
	if _, err := server.Dial(ctx, filepath.Join(dir, strings.Repeat("x", 120)), "a"); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a path too long for a socket: %v", err)
	}
}

// TestStopWaitsForCalls: a call that is under way when the server is told to stop
// still gets its answer.
func TestStopWaitsForCalls(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for range 3 { // a server that drops its calls may still be slow to do so
		stopDuringCall(t, s, filepath.Join(socketDir(t), "s"))
	}
}

func stopDuringCall(t *testing.T, s *lifecycle.Service, socket string) {
	t.Helper()
	stop := running(t, s, socket)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The head arrives, half of the body doesn't yet: the call is under way.
	if _, err := io.WriteString(conn, "POST /call/hold.list HTTP/1.1\r\nHost: t\r\nTenure-Principal: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(conn, head); err != nil { // the handler reads the body now
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for { // until no new call is taken
		c, err := net.Dial("unix", socket)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-ended:
		t.Fatalf("the server ended before its call: %v", err)
	default:
	}
	if _, err := io.WriteString(conn, "{}"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(answer, []byte("200 OK")) {
		t.Errorf("the call under way got %q, %v", answer, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestTable: names are unique, and each says whether it writes.
func TestTable(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	writes := 0
	for _, m := range server.Methods() {
		if seen[m.Name] || !strings.Contains(m.Name, ".") {
			t.Errorf("method %q", m.Name)
		}
		seen[m.Name] = true
		if m.Write {
			writes++
		}
	}
	if len(seen) < 30 || writes < 15 {
		t.Errorf("%d methods, %d that write", len(seen), writes)
	}
}

// TestReadsDontWrite: what the table calls a read works on a store that is open
// for reading alone, so it can be done beside a server.
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
	world := memory.InfoOf(memory.NewWorld("main"))
	service := func(db *store.DB) *lifecycle.Service {
		s, err := lifecycle.New(ctx, lifecycle.Options{
			DB: db, Keys: keys, Catalog: []connector.Info{world}, Installation: "ins_01890a5d-ac96-774b-bcce-b302099a8057",
			Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}}, Now: time.Now, Owner: "test",
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	if _, err := server.AddSystem.Call(ctx, server.Local{Service: service(writer), By: "a"}, server.AddSystemParams{Name: "main"}); err != nil {
		t.Fatal(err)
	}
	s := service(reader)
	h := server.Handler(s, quiet())
	for _, m := range server.Methods() {
		if m.Write {
			continue
		}
		params := map[string]string{"audit.log": `{"limit":5}`}[m.Name]
		if params == "" {
			params = "{}"
		}
		w := httptest.NewRecorder()
		req := httptest.NewRequest("POST", "/call/"+m.Name, strings.NewReader(params))
		req.Header.Set("Tenure-Principal", "a")
		h.ServeHTTP(w, req)
		if w.Code >= 500 || strings.Contains(w.Body.String(), "read") && strings.Contains(w.Body.String(), "only") {
			t.Errorf("%s: %d %s", m.Name, w.Code, w.Body)
		}
	}
}
