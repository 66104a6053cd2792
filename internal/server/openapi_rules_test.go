package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/npmtest"
	"github.com/tenurehq/tenure/internal/server"
)

// TestDocumentKeepsOthersRules: the document passes the rules that Redocly recommends
// and Spectral's for OpenAPI, with no exception and down to hints.
func TestDocumentKeepsOthersRules(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		npmtest.Absent(t, "node", "it isn't installed")
	}
	folder := npmtest.Install(t, "openapi-rules", os.DirFS("testdata/openapi"))
	dir := t.TempDir()
	doc := filepath.Join(dir, "openapi.json")
	if err := os.WriteFile(doc, newServer(t, newService(t)).OpenAPI(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"redocly":  {"@redocly/cli/bin/cli.js", "lint", "--extends=recommended", "--format=json", doc},
		"spectral": {"@stoplight/spectral-cli/dist/index.js", "lint", "--ruleset", filepath.Join(folder, "spectral.yaml"), "--fail-severity=hint", doc},
	} {
		args[0] = filepath.Join(folder, "node_modules", filepath.FromSlash(args[0]))
		cmd := exec.CommandContext(t.Context(), node, args...)
		cmd.Dir = dir // no settings of anybody's
		cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		var found struct {
			Problems []any `json:"problems"`
		}
		if name == "redocly" && (json.Unmarshal(out, &found) != nil || len(found.Problems) > 0) || err != nil { // it ends well after warnings
			t.Errorf("%s: %v\n%.4000s\n%.1000s", name, err, out, said.Bytes())
		}
	}
}

// TestNoListIsNull: in the document no list may be null, and none is in any answer of a
// filled or an empty installation.
func TestNoListIsNull(t *testing.T) {
	t.Parallel()
	var doc any
	srv := newServer(t, newService(t))
	if err := json.Unmarshal(srv.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	arrays := 0
	walk(doc, func(node map[string]any) {
		switch kind := node["type"].(type) {
		case []any:
			t.Errorf("a type is %v: %v", kind, node)
		case string:
			if kind == "array" {
				arrays++
			}
		}
	})
	if arrays < 50 {
		t.Errorf("only %d arrays were seen", arrays)
	}
	nothing := planted{tenant: "acme", operation: "op_01890a5d-ac96-774b-bcce-b302099a8057", hold: "hld_01890a5d-ac96-774b-bcce-b302099a8057", finding: "fnd_01890a5d-ac96-774b-bcce-b302099a8057", digest: tenure.Digest(nil)}
	noNulls(t, srv, nothing, 20)

	s := newService(t)
	full := newServer(t, s)
	onboarding(t, as(t, full, "olga"), as(t, full, "rita"), "acme")
	settle(t, s)
	noNulls(t, full, plant(t, s, "alder", "gold", "ordinary"), 35)
}

// noNulls reads everything that there is to read, and all that an example asks for, and
// takes offence at each null.
func noNulls(t *testing.T, srv *server.Server, seen planted, atLeast int) {
	t.Helper()
	n := 0
	for _, d := range documentedRoutes(t, srv) {
		if d.verb != http.MethodGet || strings.HasSuffix(d.path, "/events") {
			continue
		}
		code, header, body := do(t, srv.LocalHandler(), d.verb, d.at(seen), "", tester)
		if code/100 != 2 || !strings.Contains(header.Get("Content-Type"), "json") {
			continue
		}
		n++
		var answer any
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Errorf("%s: %v", d.ID, err)
		}
		if answer == nil {
			t.Errorf("%s answers null", d.ID)
		}
		walk(answer, func(node map[string]any) {
			for name, v := range node {
				if v == nil {
					t.Errorf("%s: %s is null in %.300s", d.ID, name, body)
				}
			}
		})
	}
	if n < atLeast {
		t.Errorf("only %d answers were read", n)
	}
}

func walk(v any, see func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		see(v)
		for _, below := range v {
			walk(below, see)
		}
	case []any:
		for _, below := range v {
			walk(below, see)
		}
	}
}
