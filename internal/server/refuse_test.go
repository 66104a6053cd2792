package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/server"
)

func stringReader(s string) io.Reader { return strings.NewReader(s) }

func parseProblem(t *testing.T, body string) client.Problem {
	t.Helper()
	var p client.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%q is no problem: %v", body, err)
	}
	return p
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// filled is a path whose parameters name what isn't there.
func filled(path string) string {
	const uuid = "_01890a5d-ac96-774b-bcce-b302099a8057"
	prefixes := map[string]string{
		"operation": "op", "hold": "hld", "finding": "fnd", "agreement": "agr", "elevation": "elv", "campaign": "cmp", "standing": "std", "event": "evt", "leave": "lve",
		"grant": "grt", "token": "tok", "session": "ses", "delegation": "dlg", "link": "lnk", "principal": "prn", "resource": "res",
	}
	return parameter.ReplaceAllStringFunc(path, func(p string) string {
		name := strings.Trim(p, "{}")
		switch {
		case prefixes[name] != "":
			return prefixes[name] + uuid
		case name == "index" || name == "seq":
			return "0"
		case name == "digest":
			return "sha256:" + strings.Repeat("0", 64)
		case name == "key":
			return "key_0011223344556677_00112233445566778899aabbccddeeff"
		}
		return "nobody"
	})
}

// TestRefusals: what isn't a proper call does nothing and says so, as a problem
// with the status of its code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	long := `{"name":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, c := range []struct {
		name, method, path, body, by string
		status                       int
		says                         string
	}{
		{"unknown path", "GET", "/v1/nothing", "", "a", 404, "nothing at GET /v1/nothing"},
		{"elsewhere", "GET", "/elsewhere", "", "a", 404, "nothing at GET /elsewhere"},
		{"another verb", "DELETE", "/v1/tenants", "", "a", 405, "doesn't take DELETE"},
		{"no json", "POST", "/v1/systems", "main", "a", 400, "the JSON isn't right"},
		{"no body", "POST", "/v1/systems", "", "a", 400, "the request needs a body, in JSON"},
		{"unknown field", "POST", "/v1/systems", `{"name":"x","nmae":"y"}`, "a", 400, "there is no body.nmae"},
		{"missing field", "POST", "/v1/systems", `{}`, "a", 400, "body.name is missing"},
		{"wrong type", "POST", "/v1/systems", `{"name":7}`, "a", 400, "body.name must be a text, and is a number"},
		{"null for a text", "POST", "/v1/systems", `{"name":null}`, "a", 400, "body.name must be a text, and is null"},
		{"a text for a list", "POST", "/v1/agreements", `{"tenant":"acme","kind":"sharing","parties":"Post","classes":["orders"],"purpose":"x","expiresAt":"2099-01-01T00:00:00Z"}`, "a", 400, "body.parties must be a list, and is another text"},
		{"no moment", "POST", "/v1/clock/confirm", `{"at":"yesterday"}`, "a", 400, "body.at must be a moment as in RFC 3339, such as 2027-01-31T12:00:00Z"},
		{"no such word", "POST", "/v1/looks", `{"kind":"hard"}`, "a", 400, "body.kind must be one of drift, sweep"},
		{"an empty digest", "POST", "/v1/elevations/elv_01890a5d-ac96-774b-bcce-b302099a8057/approve", `{"digest":""}`, "a", 400, "body.digest must be a digest: sha256: and 64 hexadecimal digits, and is empty"},
		{"an empty optional digest", "POST", "/v1/moves/sha256:00/approve", `{"digest":""}`, "a", 400, "body.digest must be a digest: sha256: and 64 hexadecimal digits, and is empty"},
		{"no digest", "POST", "/v1/moves/sha256:00/approve", `{"digest":"yes"}`, "a", 400, "body.digest must be a digest"},
		{"two values", "POST", "/v1/systems", `{"name":"x"} {}`, "a", 400, "after top-level value"},
		{"unknown query", "GET", "/v1/tenants?stat=active", "", "a", 400, "query.stat"},
		{"wrong query", "GET", "/v1/tenants?limit=many", "", "a", 400, "query.limit"},
		{"limit", "GET", "/v1/tenants?limit=501", "", "a", 400, "query.limit"},
		{"foreign cursor", "GET", "/v1/tenants?cursor=%21", "", "a", 400, "cursor"},
		{"too long", "POST", "/v1/systems", long, "a", 400, "longer than 1048576 bytes"},
		{"too deep", "POST", "/v1/systems", `{"name":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "a", 400, "deeper than 32"},
		{"bad principal", "GET", "/v1/tenants", "", "%zz", 400, "percent-encoded"},
		{"nobody asks", "POST", "/v1/systems", `{"name":"main"}`, "", 401, "nobody is named"},
		{"negative", "GET", "/v1/audit/entries?index=-1", "", "a", 400, "query.index"},
		{"relative folder", "POST", "/v1/audit/export", `{"dir":"../x"}`, "a", 400, "absolute"},
		{"no kind", "POST", "/v1/plans", `{"tenant":"x"}`, "a", 400, "no operation of kind"},
		{"a plan and more", "POST", "/v1/operations", `{"plan":"sha256:00000000","tier":"gold"}`, "a", 400, "exactly as it is"},
		{"wrong id", "GET", "/v1/operations/ten_01890a5d-ac96-774b-bcce-b302099a8057", "", "a", 400, "of a tenant, not of an operation"},
		{"no certificate", "GET", "/v1/tenants/nobody/certificates/latest", "", "a", 404, `no tenant "nobody"`},
	} {
		code, header, body := do(t, srv.LocalHandler(), c.method, c.path, c.body, map[string]string{client.PrincipalHeader: c.by})
		p := parseProblem(t, body)
		if code != c.status || p.Code.Status() != c.status && c.status != 405 || p.Status != c.status || !strings.Contains(p.Detail, c.says) || header.Get("Content-Type") != client.ProblemType {
			t.Errorf("%s: %d %s %+v, want %d and %q", c.name, code, header.Get("Content-Type"), p, c.status, c.says)
		}
	}
	if n, err := s.Engine.DB.LogSize(context.Background()); err != nil || n > 1 { // which parts it covers
		t.Errorf("the log has %d entries (%v) after refusals alone", n, err)
	}
}

// TestReadiness: why the server isn't ready is for the log alone.
func TestReadiness(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	s := newService(t)
	srv, err := server.New(server.Options{Service: s, Governor: governorOf(s), Log: slog.New(slog.NewJSONHandler(&logged, nil)), Ready: func(context.Context) error {
		return tenure.Errorf(tenure.Unavailable, "dial 10.0.0.7: refused")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	code, _, body := do(t, srv.Handler(), "GET", "/readyz", "", nil)
	if code != 503 || strings.Contains(body, "10.0.0.7") || !strings.Contains(logged.String(), "10.0.0.7") {
		t.Errorf("readyz: %d %q, logged %q", code, body, logged.String())
	}
}

// TestSocket: only the owner may call; a live server isn't replaced, a dead one's
// leftover is; a file that is no socket stays; a taken address is said.
func TestSocket(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	dir := socketDir(t)
	socket := filepath.Join(dir, "s")
	if _, err := client.Dial(ctx, socket, "a"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("no server: %v", err)
	}
	url, stop := running(t, srv, server.Listen{Socket: socket, Address: "127.0.0.1:0"})
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
	if err := newServer(t, s).Serve(ctx, server.Listen{Socket: socket}, nil); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a second server: %v", err)
	}
	taken := server.Listen{Socket: filepath.Join(dir, "other"), Address: strings.TrimPrefix(url, "http://")}
	if err := newServer(t, s).Serve(ctx, taken, nil); tenure.CodeOf(err) != tenure.Conflict || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("an address that is taken: %v", err)
	}
	// On the network nobody is believed who says a name.
	resp, err := http.Get(url + "/v1/tenants")
	if err != nil || resp.StatusCode != 401 {
		t.Fatalf("without a credential: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
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
	if _, err := client.Dial(ctx, socket, "a"); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a dead server: %v", err)
	}
	_, stop = running(t, newServer(t, s), server.Listen{Socket: socket})
	if _, err := client.ListSystems.Call(ctx, dial(t, socket, "a"), client.None{}); err != nil {
		t.Error(err)
	}
	_ = stop()

	if err := os.WriteFile(socket, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newServer(t, s).Serve(ctx, server.Listen{Socket: socket}, nil); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a file in its place: %v", err)
	}
	if b, _ := os.ReadFile(socket); string(b) != "mine" {
		t.Errorf("the file is %q now", b)
	}
	if _, err := client.Dial(ctx, filepath.Join(dir, strings.Repeat("x", 120)), "a"); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a path too long for a socket: %v", err)
	}
}

// TestStopWaitsForCalls: a call that is under way when the server is told to stop
// still gets its answer.
func TestStopWaitsForCalls(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for range 3 { // a server that drops its calls may still be slow to do so
		stopDuringCall(t, newServer(t, s), filepath.Join(socketDir(t), "s"))
	}
}

func stopDuringCall(t *testing.T, srv *server.Server, socket string) {
	t.Helper()
	_, stop := running(t, srv, server.Listen{Socket: socket})
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The head arrives, half of the body doesn't yet: the call is under way.
	if _, err := io.WriteString(conn, "POST /v1/looks HTTP/1.1\r\nHost: t\r\nTenure-Principal: a\r\nContent-Type: application/json\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n"); err != nil {
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
	if _, err := io.WriteString(conn, `{"kind":"drift"}`); err != nil {
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
