// Package scimtest gives tests a SCIM 2.0 service provider of their own (RFC 7644): SCIMMY
// behind an HTTP server, in memory.
package scimtest

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
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
	servertest.Caller // that may do anything
	Token             string
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
	s.Caller = servertest.Caller{Base: s.URL, Authorization: "Bearer " + s.Token, Type: "application/scim+json"}
	return s
}

// All are all users and groups, past the interface.
func (s *Server) All(t testing.TB) (users, groups []map[string]any) {
	t.Helper()
	var in struct{ Users, Groups []map[string]any }
	s.Must(t, http.MethodGet, "/all", nil, &in)
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
