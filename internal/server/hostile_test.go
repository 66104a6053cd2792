package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// hostileValues are what nobody means: wrong types, huge, deep, odd letters.
func hostileValues() []string {
	return []string{
		`null`, `true`, `-1`, `1e308`, `9223372036854775808`, `0.1`, `""`, `" "`, `[]`, `{}`, `[[]]`, `{"$ref":"#"}`, `{"":""}`,
		`"` + strings.Repeat("x", 70_000) + `"`, strings.Repeat("[", 200) + strings.Repeat("]", 200), strings.Repeat(`{"a":`, 60) + `1` + strings.Repeat("}", 60),
		`"\u0000"`, `"\ud800"`, `"\u202e\u2066evil"`, `"` + strings.Repeat("\U0001F469\u200D", 50) + `"`, `"../../etc/passwd"`, `"'; drop table tenant; --"`, `"${7*7}{{7*7}}"`, `"<script>alert(1)</script>"`,
		`"a\r\nSet-Cookie: x=1"`, `"ten_01890a5d-ac96-774b-bcce-b302099a8057"`, `"9999-99-99T99:99:99Z"`, `"0000-01-01T00:00:00Z"`, `"+275760-09-13T00:00:00Z"`,
	}
}

// mutations are an example's body with each of its fields replaced, left out or
// doubled, and the whole of it replaced.
func mutations(t *testing.T, example json.RawMessage) []string {
	t.Helper()
	out := append(hostileValues(), ``, `{`, `{"a":1}{"b":2}`, `{"unknown-field": 1}`, "\xff\xfe", "\x00")
	var fields map[string]json.RawMessage
	if json.Unmarshal(example, &fields) != nil {
		return out
	}
	with := func(name, value string) string {
		var b strings.Builder
		b.WriteByte('{')
		for k, v := range fields {
			if k != name {
				fmt.Fprintf(&b, "%q:%s,", k, v)
			}
		}
		if value != "" {
			fmt.Fprintf(&b, "%q:%s,", name, value)
		}
		return strings.TrimSuffix(b.String(), ",") + "}"
	}
	for name := range fields {
		out = append(out, with(name, ""))
		for _, v := range hostileValues() {
			out = append(out, with(name, v))
		}
	}
	return append(out, with("\u0000", `1`), with("__proto__", `{"admin":true}`))
}

// hostileParts are what stands in a path or query where an id should.
var hostileParts = []string{"", ".", "..", "%2e%2e%2f", "..%2f..%2fetc%2fpasswd", "%00", "%ff", "a%0d%0aSet-Cookie:%20x", strings.Repeat("x", 9000), "ten_", "op_01890a5d", "null", "-1", "%F0%9F%91%A9", "%E2%80%AE", "'%20or%201=1--", "*", "sha256:", "latest%2fx"}

// TestHostileRequests sends every documented route what nobody means: no answer is
// a fault of ours, every refusal is a problem, and a refused request changes
// nothing.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s := newService(t)
	seen := plant(t, s, "alder", "gold", "ordinary")
	srv := newServerWith(t, s, governorOf(s))
	h := srv.LocalHandler()
	n := 0
	for _, d := range documentedRoutes(t, srv) {
		if d.ID == "audit.export" { // writes a folder that the caller names, at the socket alone
			continue
		}
		path := d.at(seen)
		if c, ok := d.Body.Content["application/json"]; ok {
			for _, body := range mutations(t, c.Example) {
				hostile(t, s, h, d, path, body)
				n++
			}
		}
		for _, part := range hostileParts {
			at := d.path
			for strings.Contains(at, "{") {
				i, j := strings.Index(at, "{"), strings.Index(at, "}")
				at = at[:i] + part + at[j+1:]
			}
			if at != d.path {
				hostile(t, s, h, d, at, "{}")
				n++
			}
			if d.verb == http.MethodGet {
				for _, q := range []string{"limit", "cursor", "state", "from", "tenant", "kind", "nobody-knows-this"} {
					hostile(t, s, h, d, path+"?"+q+"="+part, "")
					n++
				}
			}
		}
	}
	if n < 5000 {
		t.Errorf("only %d requests were made", n)
	}
}

// hostile makes one request in the name of who may everything.
func hostile(t *testing.T, s *lifecycle.Service, h http.Handler, d documented, path, body string) {
	t.Helper()
	target, err := url.ParseRequestURI(path)
	if err != nil {
		return // net/http's own server refuses it before any handler
	}
	before, err := s.Engine.DB.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req := httptest.NewRequest(d.verb, "http://tenure/", strings.NewReader(body)).WithContext(ctx)
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery, req.RequestURI = target.Path, target.RawPath, target.RawQuery, path
	req.Header.Set(client.PrincipalHeader, "tester")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(&head{w, cancel}, req) // a stream goes on until its caller goes
	if len(path) > 120 {
		path = path[:120]
	}
	if len(body) > 200 {
		body = body[:200]
	}
	if w.Code >= 500 {
		t.Errorf("%s %s %q: %d %s", d.verb, path, body, w.Code, w.Body)
	}
	if w.Code < 400 {
		return
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" && w.Code != http.StatusMethodNotAllowed && w.Code != http.StatusMovedPermanently {
		t.Errorf("%s %s %q: %d as %s", d.verb, path, body, w.Code, ct)
	}
	if after, err := s.Engine.DB.LogSize(t.Context()); err != nil || after != before {
		t.Errorf("%s %s %q was refused (%d) and logged %d changes (%v)", d.verb, path, body, w.Code, after-before, err)
	}
	if w.Header().Get("Set-Cookie") != "" || w.Header().Get("X") != "" {
		t.Errorf("%s %s: the answer's headers were written by the request: %v", d.verb, path, w.Header())
	}
}

// head goes as soon as an answer has begun.
type head struct {
	*httptest.ResponseRecorder
	leave func()
}

func (h *head) Write(b []byte) (int, error) { defer h.leave(); return h.ResponseRecorder.Write(b) }
func (h *head) Flush()                      { h.ResponseRecorder.Flush(); h.leave() }

// FuzzBodies goes on where the table ends: bytes of the fuzzer's own for any
// route's body.
func FuzzBodies(f *testing.F) {
	for _, v := range hostileValues() {
		f.Add(uint16(rand.N(500)), v)
	}
	f.Add(uint16(0), `{"kind": "onboard", "tenant": "acme", "blueprint": "small"}`)
	s := newService(f)
	seen := plant(f, s, "alder", "gold", "ordinary")
	srv := newServerWith(f, s, governorOf(s))
	var routes []documented
	for _, d := range documentedRoutes(f, srv) {
		if _, ok := d.Body.Content["application/json"]; ok && d.ID != "audit.export" {
			routes = append(routes, d)
		}
	}
	f.Fuzz(func(t *testing.T, n uint16, body string) {
		d := routes[int(n)%len(routes)]
		hostile(t, s, srv.LocalHandler(), d, d.at(seen), body)
	})
}
