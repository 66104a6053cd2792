package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// grow adds entries to a service's log and signs its head.
func grow(t *testing.T, s *lifecycle.Service, n int) []byte {
	t.Helper()
	ctx := context.Background()
	err := s.Engine.DB.Write(ctx, func(tx *store.Tx) error {
		for i := range n {
			e, err := s.Entry(ctx, "test.entry", "ada", "", "", fmt.Sprint("thing ", i), nil)
			if err != nil {
				return err
			}
			if err := tx.Log(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, _, err := s.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func verifierOf(t *testing.T, s *lifecycle.Service) *audit.Verifier {
	t.Helper()
	key, err := s.VerifierKey()
	if err != nil {
		t.Fatal(err)
	}
	v, err := audit.ParseVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The log is read over the network as any client of C2SP tlog-tiles reads it.
func TestLogIsServedAsTiles(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	h := srv.LocalHandler()
	if status, _, _ := do(t, h, "GET", "/v1/log/checkpoint", "", nil); status != http.StatusNotFound {
		t.Errorf("without a checkpoint: %d", status)
	}
	first := grow(t, s, 300)
	grow(t, s, 421)
	for path, want := range map[string]struct {
		status int
		kind   string
		length int
		cache  string
	}{
		"checkpoint":            {200, "text/plain; charset=utf-8", 0, "private, no-cache"},
		"tile/0/000":            {200, "application/octet-stream", 8192, "private, max-age=31536000, immutable"},
		"tile/0/002.p/210":      {200, "application/octet-stream", 210 * 32, "private, max-age=31536000, immutable"},
		"tile/0/001.p/44":       {200, "application/octet-stream", 44 * 32, "private, max-age=31536000, immutable"},
		"tile/1/000.p/2":        {200, "application/octet-stream", 64, "private, max-age=31536000, immutable"},
		"tile/entries/000":      {200, "application/octet-stream", 0, "private, max-age=31536000, immutable"},
		"tile/entries/002.p/1":  {200, "application/octet-stream", 0, "private, max-age=31536000, immutable"},
		"tile/0/002.p/211":      {404, "application/problem+json", 0, "no-store"},
		"tile/0/003":            {404, "application/problem+json", 0, "no-store"},
		"tile/0/002.p/0":        {404, "application/problem+json", 0, "no-store"},
		"tile/0/002.p/256":      {404, "application/problem+json", 0, "no-store"},
		"tile/0/002.p/01":       {404, "application/problem+json", 0, "no-store"},
		"tile/00/000":           {404, "application/problem+json", 0, "no-store"},
		"tile/0/0":              {404, "application/problem+json", 0, "no-store"},
		"tile/0/x000/000":       {404, "application/problem+json", 0, "no-store"},
		"tile/0/x999/x999/999":  {404, "application/problem+json", 0, "no-store"},
		"tile/6/x999/x999/999":  {404, "application/problem+json", 0, "no-store"},
		"tile/63/000":           {404, "application/problem+json", 0, "no-store"},
		"tile/1/000":            {404, "application/problem+json", 0, "no-store"},
		"tile/-1/000":           {404, "application/problem+json", 0, "no-store"},
		"tile/entries/003.p/12": {404, "application/problem+json", 0, "no-store"},
	} {
		status, header, body := do(t, h, "GET", "/v1/log/"+path, "", nil)
		if status != want.status || header.Get("Content-Type") != want.kind || header.Get("Cache-Control") != want.cache || want.length > 0 && len(body) != want.length {
			t.Errorf("%s: %d %q %q, %d bytes", path, status, header.Get("Content-Type"), header.Get("Cache-Control"), len(body))
		}
	}
	v := verifierOf(t, s)
	c, err := audit.VerifyServed(t.Context(), as(t, srv, "ada").LogFiles(t.Context()), [][]byte{first}, v.Name(), v)
	if err != nil || c.Size < 721 {
		t.Errorf("%+v: %v", c, err)
	}
}

// liar stands between a server that serves a log and who checks it.
type liar func(path string, body []byte) []byte

func (l liar) before(t *testing.T, target http.Handler) *client.Client {
	t.Helper()
	real := httptest.NewServer(target)
	t.Cleanup(real.Close)
	to, err := url.Parse(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body = l(r.Request.URL.Path, body)
		if body == nil {
			r.StatusCode = http.StatusFound
			r.Header.Set("Location", "http://elsewhere.example/")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		return nil
	}
	h := httptest.NewServer(proxy)
	t.Cleanup(h.Close)
	c, err := client.New(h.URL, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableCompression: true}}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whoever serves a log can't tell an auditor another one than the witness has seen.
func TestLiesAboutTheLog(t *testing.T) {
	t.Parallel()
	s, other := newService(t), newService(t)
	seen := [][]byte{grow(t, s, 100), grow(t, s, 200)}
	older := seen[0]
	seen = append(seen, grow(t, s, 321))
	foreign := grow(t, other, 700)
	h := newServer(t, s).LocalHandler()
	v, w := verifierOf(t, s), verifierOf(t, other)
	on := func(part string, f func([]byte) []byte) liar {
		return func(path string, body []byte) []byte {
			if strings.Contains(path, part) {
				return f(body)
			}
			return body
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	}
	for _, c := range []struct {
		name string
		lie  liar
		by   note.Verifier
		says string
	}{
		{"none", on("nothing", nil), v, ""},
		{"a changed entry", on("entries/000", flip(40)), v, "at 101 entries it has another root"},
		{"a dropped entry", on("entries/000", func(b []byte) []byte { return b[2+int(b[0])<<8+int(b[1]):] }), v, "at 101 entries it has another root"},
		{"a changed late entry", on("entries/002", flip(2000)), v, "another root"},
		{"an entry too many", on("entries/000", func(b []byte) []byte { return append(bytes.Clone(b), 0, 1, 'x') }), v, "differs"},
		{"a cut bundle", on("entries/001", func(b []byte) []byte { return b[:len(b)/2] }), v, "ends within entry"},
		{"a cut tile", on("tile/0/000", func(b []byte) []byte { return b[:len(b)-32] }), v, "tile/0/000 differs"},
		{"a changed tile", on("tile/1/000.p/2", flip(3)), v, "tile/1/000.p/2 differs"},
		{"an endless tile", on("tile/0/001", func([]byte) []byte { return make([]byte, 1<<20) }), v, "longer than the 8192 bytes"},
		{"an endless head", on("checkpoint", func([]byte) []byte { return make([]byte, 1<<20) }), v, "longer than the 65536 bytes"},
		{"an endless bundle", on("entries/000", func([]byte) []byte { return make([]byte, 20<<20) }), v, "that it can have"},
		{"a head that is stale", on("checkpoint", func([]byte) []byte { return older }), v, "it is stale, or entries were dropped"},
		{"another log's head", on("checkpoint", func([]byte) []byte { return foreign }), v, "no verifiable signatures"},
		{"no head", on("checkpoint", func([]byte) []byte { return []byte("hello") }), v, "not a signed note"},
		{"a changed head", on("checkpoint", flip(30)), v, "checkpoint"},
		{"elsewhere", on("tile/0/000", func([]byte) []byte { return nil }), v, "leads elsewhere"},
		{"the key isn't the pinned one", on("nothing", nil), w, "checkpoint of the witness"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := audit.VerifyServed(t.Context(), c.lie.before(t, h).LogFiles(t.Context()), seen, v.Name(), c.by)
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if code := tenure.CodeOf(err); code != tenure.Invalid && code != tenure.Blocked || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("%s: %v doesn't say %q", code, err, c.says)
			}
		})
	}
}
