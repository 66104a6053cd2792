// Package scimtest gives tests a SCIM 2.0 service provider of their own (RFC 7644): SCIMMY
// behind an HTTP server, in memory.
package scimtest

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/npmtest"
	"github.com/tenurehq/tenure/internal/servertest"
)

//go:embed testdata/server
var sources embed.FS

// Server is one running service provider.
type Server struct {
	*servertest.Server
	Token string
}

// Start starts one.
func Start(t testing.TB) *Server {
	t.Helper()
	files, err := fs.Sub(sources, "testdata/server")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		npmtest.Absent(t, "scimmy", "node isn't installed")
	}
	folder := npmtest.Install(t, "scimmy", files)
	s := &Server{Token: "token-" + rand.Text()}
	s.Server = servertest.Start(t, "scimmy", "/ready", func(address string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(address)
		cmd := exec.Command(node, filepath.Join(folder, "server.mjs"), port)
		cmd.Env = append(os.Environ(), "SCIM_TOKEN="+s.Token)
		return cmd
	})
	return s
}

// Do makes a request and gives the status and the answer.
func (s *Server) Do(t testing.TB, method, path string, body any) (int, []byte) {
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
	req.Header.Set("Content-Type", "application/scim+json")
	req.Header.Set("Authorization", "Bearer "+s.Token)
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

// Must makes a request and fails the test if it is refused.
func (s *Server) Must(t testing.TB, method, path string, body any) []byte {
	t.Helper()
	status, raw := s.Do(t, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: status %d: %s", method, path, status, raw)
	}
	return raw
}

// All are all users and groups, past the interface.
func (s *Server) All(t testing.TB) (users, groups []map[string]any) {
	t.Helper()
	var in struct{ Users, Groups []map[string]any }
	if err := json.Unmarshal(s.Must(t, http.MethodGet, "/all", nil), &in); err != nil {
		t.Fatal(err)
	}
	return in.Users, in.Groups
}

// Look writes down all that is there, so that what differs gives another text.
func (s *Server) Look(t testing.TB) string {
	t.Helper()
	users, groups := s.All(t)
	var lines []string
	for i, o := range append(users, groups...) {
		raw, _ := json.Marshal(o)
		lines = append(lines, fmt.Sprintf("%t %s", i < len(users), raw))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
