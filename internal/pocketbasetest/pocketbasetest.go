// Package pocketbasetest gives tests a PocketBase of their own, with an auth collection whose
// users can be suspended, and hands on it.
package pocketbasetest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/servertest"
)

// version is PocketBase's. Those from 0.40 on need a newer Go.
const (
	module  = "github.com/pocketbase/pocketbase/examples/base"
	version = "v0.39.9"
)

// Server is one running PocketBase.
type Server struct {
	*servertest.Server
	Identity, Password string // of its superuser

	token string
}

// Start starts one on a folder of the test's.
func Start(t testing.TB) *Server {
	t.Helper()
	program, dir := servertest.Program(t, module, version), t.TempDir()
	s := &Server{Identity: "tenure@platform.example", Password: "superuser-" + rand.Text()}
	if out, err := exec.Command(program, "superuser", "upsert", s.Identity, s.Password, "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("pocketbase superuser: %v: %s", err, out)
	}
	s.Server = servertest.Start(t, "pocketbase", "/api/health", func(address string) *exec.Cmd {
		return exec.Command(program, "serve", "--http", address, "--dir", dir)
	})
	var in struct{ Token string }
	s.must(t, http.MethodPost, "/api/collections/_superusers/auth-with-password", map[string]any{"identity": s.Identity, "password": s.Password}, &in)
	s.token = in.Token
	var users map[string]any
	s.must(t, http.MethodGet, "/api/collections/users", nil, &users)
	fields, _ := users["fields"].([]any)
	s.must(t, http.MethodPatch, "/api/collections/users", map[string]any{
		"authRule": "suspended = false",
		"fields":   append(fields, map[string]any{"name": "suspended", "type": "bool"}, map[string]any{"name": "tenant", "type": "text"}),
	}, nil)
	return s
}

// Do makes a request as the superuser, or with another token, and gives the status and the answer.
func (s *Server) Do(t testing.TB, token, method, path string, body any) (int, []byte) {
	t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, raw
}

// As makes a request as the superuser and gives the status and the answer.
func (s *Server) As(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	return s.Do(t, s.token, method, path, body)
}

func (s *Server) must(t testing.TB, method, path string, body, into any) {
	t.Helper()
	status, raw := s.As(t, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: status %d: %s", method, path, status, raw)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
}

// Must makes a request as the superuser and fails the test if it is refused.
func (s *Server) Must(t testing.TB, method, path string, body, into any) {
	t.Helper()
	s.must(t, method, path, body, into)
}

// Records are the records of a collection, all of them.
func (s *Server) Records(t testing.TB, collection string) (out []map[string]any) {
	t.Helper()
	for page := 1; ; page++ {
		var in struct{ Items []map[string]any }
		s.must(t, http.MethodGet, fmt.Sprintf("/api/collections/%s/records?perPage=500&sort=id&page=%d", collection, page), nil, &in)
		if out = append(out, in.Items...); len(in.Items) < 500 {
			return out
		}
	}
}

// Collections are the collections that PocketBase didn't come with, by name.
func (s *Server) Collections(t testing.TB) (out []map[string]any) {
	t.Helper()
	var in struct{ Items []map[string]any }
	s.must(t, http.MethodGet, "/api/collections?perPage=500&sort=name", nil, &in)
	return slices.DeleteFunc(in.Items, func(c map[string]any) bool { return c["system"] == true })
}

// Look writes down all that is there, so that what differs gives another text. Hidden fields
// that change by themselves are left out.
func (s *Server) Look(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, c := range s.Collections(t) {
		raw, _ := json.Marshal(c)
		fmt.Fprintf(&b, "%s\n", raw)
		for _, r := range s.Records(t, c["name"].(string)) {
			delete(r, "updated")
			raw, _ := json.Marshal(r)
			fmt.Fprintf(&b, "\t%s\n", raw)
		}
	}
	return b.String()
}
