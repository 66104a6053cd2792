// Package pocketbasetest gives tests a PocketBase of their own, set up as the example says,
// and hands on it.
package pocketbasetest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/examples"
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
	servertest.Caller         // its superuser
	Identity, Password string // of that
}

// Start starts one on a folder of the test's.
func Start(t testing.TB) *Server {
	t.Helper()
	program, dir, migrations := servertest.Program(t, module, version), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(migrations, "1_users.js"), []byte(examples.PocketBaseUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Identity: "tenure@platform.example", Password: "superuser-" + rand.Text()}
	if out, err := exec.Command(program, "superuser", "upsert", s.Identity, s.Password, "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("pocketbase superuser: %v: %s", err, out)
	}
	s.Server = servertest.Start(t, "pocketbase", "/api/health", func(address string) *exec.Cmd {
		return exec.Command(program, "serve", "--http", address, "--dir", dir, "--migrationsDir", migrations)
	})
	var in struct{ Token string }
	s.Base = s.URL
	s.Must(t, http.MethodPost, "/api/collections/_superusers/auth-with-password", map[string]any{"identity": s.Identity, "password": s.Password}, &in)
	s.Authorization = in.Token
	return s
}

// Records are the records of a collection, all of them.
func (s *Server) Records(t testing.TB, collection string) (out []map[string]any) {
	t.Helper()
	for page := 1; ; page++ {
		var in struct{ Items []map[string]any }
		s.Must(t, http.MethodGet, fmt.Sprintf("/api/collections/%s/records?perPage=500&sort=id&page=%d", collection, page), nil, &in)
		if out = append(out, in.Items...); len(in.Items) < 500 {
			return out
		}
	}
}

// Collections are the collections that PocketBase didn't come with, by name.
func (s *Server) Collections(t testing.TB) (out []map[string]any) {
	t.Helper()
	var in struct{ Items []map[string]any }
	s.Must(t, http.MethodGet, "/api/collections?perPage=500&sort=name", nil, &in)
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
