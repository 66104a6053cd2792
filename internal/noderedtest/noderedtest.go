// Package noderedtest gives tests a Node-RED of their own, whose editor asks for a password,
// and hands on its flows.
package noderedtest

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/npmtest"
	"github.com/tenurehq/tenure/internal/servertest"
)

//go:embed testdata/server
var sources embed.FS

// Server is one running Node-RED.
type Server struct {
	*servertest.Server
	servertest.Caller // the user of the editor
	User, Password    string
}

// settings are those of a Node-RED that asks who deploys, and no one who calls a flow.
const settings = `const bcrypt = require(%q);
module.exports = {
	flowFile: 'flows.json', credentialSecret: %q, uiHost: '127.0.0.1', telemetry: { enabled: false },
	adminAuth: { type: 'credentials', users: [{ username: %q, password: bcrypt.hashSync(%q, 4), permissions: '*' }] },
	logging: { console: { level: 'warn', metrics: false, audit: false } },
	editorTheme: { tours: false }, externalModules: { autoInstall: false, palette: { allowInstall: false } },
};
`

// Start starts one on a folder of the test's. Its flows see env, each "NAME=value", beside
// the test's own environment.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	files, err := fs.Sub(sources, "testdata/server")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		npmtest.Absent(t, "node-red", "node isn't installed")
	}
	installed, dir := npmtest.Install(t, "node-red", files), t.TempDir()
	s := &Server{User: "tenure", Password: "editor-" + rand.Text()}
	conf := fmt.Sprintf(settings, filepath.Join(installed, "node_modules", "bcryptjs"), "secret-"+rand.Text(), s.User, s.Password)
	if err := os.WriteFile(filepath.Join(dir, "settings.js"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Server = servertest.Start(t, "node-red", "/auth/login", func(address string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(address)
		cmd := exec.Command(node, filepath.Join(installed, "node_modules", "node-red", "red.js"), "--userDir", dir, "--settings", filepath.Join(dir, "settings.js"), "--port", port)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		return cmd
	})
	res, err := http.PostForm(s.URL+"/auth/token", url.Values{"client_id": {"node-red-admin"}, "grant_type": {"password"}, "scope": {"*"}, "username": {s.User}, "password": {s.Password}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var in struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&in); err != nil || in.Token == "" {
		t.Fatalf("node-red gave no token: status %d, %v", res.StatusCode, err)
	}
	s.Caller = servertest.Caller{Base: s.URL, Authorization: "Bearer " + in.Token}
	return s
}

// Deploy puts flows in place of all that is there, and waits until route, of one of their
// "http in" nodes, is served.
func (s *Server) Deploy(t testing.TB, flows []byte, route string) {
	t.Helper()
	s.Must(t, http.MethodPost, "/flows", json.RawMessage(flows), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for { // it starts them after it has answered
		if status, _ := s.Do(t, http.MethodPost, route, nil); status != http.StatusNotFound {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("node-red doesn't serve %s", route)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Flows is the whole configuration: tabs, nodes and all else.
func (s *Server) Flows(t testing.TB) (out []map[string]any) {
	t.Helper()
	s.Must(t, http.MethodGet, "/flows", nil, &out)
	return out
}

// Tab is the tab with a label; nil if there is none.
func (s *Server) Tab(t testing.TB, label string) map[string]any {
	t.Helper()
	for _, f := range s.Flows(t) {
		if f["type"] == "tab" && f["label"] == label {
			return f
		}
	}
	return nil
}

// Look writes down all that is there, so that what differs gives another text.
func (s *Server) Look(t testing.TB) string {
	t.Helper()
	var lines []string
	for _, f := range s.Flows(t) {
		raw, _ := json.Marshal(f)
		lines = append(lines, string(raw))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
