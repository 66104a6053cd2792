package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/server"
)

// limitsOf are the numbers in a row of the table under "Limits" in docs/api.md, which
// begins with what.
func limitsOf(t *testing.T, what string) (out []int) {
	t.Helper()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Limits\n")
	_, row, found := strings.Cut(table, "\n| "+what)
	if !found {
		t.Fatalf("docs/api.md has no limit of %q", what)
	}
	row, _, _ = strings.Cut(row, "\n")
	_, row, _ = strings.Cut(row, "|")
	for _, digits := range regexp.MustCompile(`[0-9][0-9,]*`).FindAllString(row, -1) {
		n, err := strconv.Atoi(strings.ReplaceAll(digits, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// TestDocumentedRates: as many requests as docs/api.md says are answered, one more is
// 429, and a second later as many again as it says.
func TestDocumentedRates(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		ask    func(h http.Handler, token string) int
		answer int
	}{
		"requests of one principal": {func(h http.Handler, token string) int {
			code, _, _ := do(t, h, "GET", "/v1/roles", "", map[string]string{"Authorization": "Bearer " + token})
			return code
		}, 200},
		"wrong credentials": {func(h http.Handler, _ string) int {
			code, _, _ := do(t, h, "GET", "/v1/roles", "", map[string]string{"Authorization": "Bearer tnr_none"})
			return code
		}, 401},
		"requests without a credential": {func(h http.Handler, _ string) int {
			code, _, _ := do(t, h, "POST", "/v1/device", `{"name":"laptop"}`, nil)
			return code
		}, 200},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			now := start
			s := newServiceAt(t, func() time.Time { return now })
			h := newServer(t, s).Handler()
			token := tokenOf(t, s, "busy", tenure.Viewer, tenure.Scope{All: true}).Reveal()
			limits := limitsOf(t, what)
			rate, burst := limits[0], limits[1]
			if what == "requests without a credential" { // an IPv6 network of 64 bits stands between
				burst = limits[3]
			}
			for _, most := range []int{burst, rate} {
				for i := range most {
					if code := c.ask(h, token); code/100 != c.answer/100 || code == 429 {
						t.Fatalf("request %d of %d: %d", i+1, most, code)
					}
				}
				if code := c.ask(h, token); code != 429 {
					t.Errorf("one more than %d: %d", most, code)
				}
				now = now.Add(time.Second)
			}
		})
	}
}

// TestDocumentedSizes: a body, its depth, headers and a key are taken up to what
// docs/api.md says, and refused beyond.
func TestDocumentedSizes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	limits := limitsOf(t, "a request's body")
	body, depth, headers := limits[0]<<20, limits[1], limits[2]<<10
	ask := func(text string) (int, string) {
		code, _, answer := do(t, srv.LocalHandler(), "POST", "/v1/decisions", text, tester)
		return code, answer
	}
	const small = `{"permission":"tenant.read"}`
	if code, answer := ask(small + strings.Repeat(" ", body-len(small))); code != 200 {
		t.Errorf("a body of %d bytes: %d %s", body, code, answer)
	}
	if code, answer := ask(small + strings.Repeat(" ", body-len(small)+1)); code != 400 || !strings.Contains(answer, "longer") {
		t.Errorf("a body of one byte more: %d %s", code, answer)
	}
	nested := func(n int) string {
		return strings.Repeat("[", n) + strings.Repeat("]", n)
	}
	if _, answer := ask(nested(depth)); strings.Contains(answer, "nested") {
		t.Errorf("%d deep: %s", depth, answer)
	}
	if code, answer := ask(nested(depth + 1)); code != 400 || !strings.Contains(answer, "nested") {
		t.Errorf("%d deep: %d %s", depth+1, code, answer)
	}
	for n, want := range map[int]bool{200: true, 201: false} {
		code, _, answer := do(t, srv.LocalHandler(), "POST", "/v1/decisions", small, with(tester, "Idempotency-Key", strings.Repeat("k", n)))
		if (code == 200) != want {
			t.Errorf("a key of %d: %d %s", n, code, answer)
		}
	}
	url, _ := running(t, srv, server.Listen{Socket: filepath.Join(socketDir(t), "s"), Address: "127.0.0.1:0"})
	for n, want := range map[int]int{1024: 401, headers: 401, headers + 1: 431, 2 * headers: 431} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		const head = "GET /v1/me HTTP/1.1\r\nHost: tenure\r\nX-Long: \r\n\r\n"
		long := strings.Repeat("a", n-len(head))
		if _, err := io.WriteString(conn, strings.Replace(head, "X-Long: ", "X-Long: "+long, 1)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if resp.StatusCode != want {
			t.Errorf("headers of %d bytes: %d", n, resp.StatusCode)
		}
	}
}

// TestDocumentedTimes: who doesn't send headers, or a body, is let go when docs/api.md
// says, and not before.
func TestDocumentedTimes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	url, _ := running(t, srv, server.Listen{Socket: filepath.Join(socketDir(t), "s"), Address: "127.0.0.1:0"})
	limits := limitsOf(t, "time")
	headers, body := limits[2], limits[3]
	for what, c := range map[string]struct {
		sent    string
		seconds int
	}{
		"headers": {"GET /v1/me HTTP/1.1\r\nHost: tenure\r\n", headers},
		"a body":  {"POST /v1/device HTTP/1.1\r\nHost: tenure\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{", body},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			begun := time.Now()
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			limit := time.Duration(c.seconds) * time.Second
			if err := conn.SetReadDeadline(begun.Add(limit + 20*time.Second)); err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, bufio.NewReader(conn))
			if took := time.Since(begun); err != nil || took < limit-time.Second/2 {
				t.Errorf("let go after %s, not %s: %v", took, limit, err)
			}
		})
	}
}
