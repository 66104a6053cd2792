package server_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure/client"
)

// TestGeneratedClient: a client that oapi-codegen makes of the document, with everything
// that it can make (models, client, and a strict server), compiles, passes go vet, and
// takes a tenant from its onboarding to its certificate.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/generated")); err != nil {
		t.Fatal(err)
	}
	var days atomic.Int64
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC).AddDate(0, 0, int(days.Load())) })
	srv := newServer(t, s)
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), srv.OpenAPI(), 0o600); err != nil {
		t.Fatal(err)
	}
	inDir := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "BLUEPRINT="+client.SubmitBlueprint.Example)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%.4000s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	inDir("go", "tool", "oapi-codegen", "-config", "generate.yaml", "openapi.json")
	inDir("go", "vet", ".")
	inDir("go", "build", "-o", "story", ".")

	local := srv.LocalHandler()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/progress") { // who looks finds that a day's work is done
			days.Add(1)
			if _, err := s.Engine.Settle(r.Context()); err != nil {
				t.Error(err)
			}
		}
		local.ServeHTTP(w, r)
	}))
	defer h.Close()
	if said := inDir(filepath.Join(dir, "story"), h.URL); said != "certified\n" {
		t.Errorf("the story ends with %q", said)
	}
}
