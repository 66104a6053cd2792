package docs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts are the strings of a JSON value, however deep.
func texts(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	}
	return out
}

// Who imports a flow gets what its tool can read, that asks for routes which there are, and
// with no secret of somebody's in it.
func TestIntegrations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("integrations/*.js*")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files of flows (%v)", len(files), err)
	}
	var doc struct {
		Paths map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(read(t, "docs/openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	var known []string
	for path := range doc.Paths {
		known = append(known, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "{}"))
	}
	known = append(known, "/v1/events/{}") // each source's own form, in no document of ours
	page := read(t, "docs/integrations/README.md")
	route := regexp.MustCompile(`/v1/[\w/-]*(\{\{[^}]*\}\}[\w/-]*)*`)
	expression := regexp.MustCompile(`\{\{[^}]*\}\}`)
	// A token, a webhook's secret, or a long text that looks random.
	secret := regexp.MustCompile(`tnr_\w|whsec_\w|Bearer [\w-]{8}|\b[0-9a-f]{40,}\b|[A-Za-z0-9+/]{43}=`)
	for _, file := range files {
		name := filepath.Base(file)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page, "("+name+")") {
			t.Errorf("the page doesn't tell of %s", name)
		}
		all := []string{string(raw)}
		if strings.HasSuffix(name, ".json") {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			all = texts(v)
		}
		n := 0
		for _, text := range all {
			if m := secret.FindString(text); m != "" {
				t.Errorf("%s holds what looks like a secret: %s", name, m)
			}
			for _, path := range route.FindAllString(text, -1) {
				n++
				path = expression.ReplaceAllString(path, "{}")
				if strings.HasSuffix(path, "/") {
					path += "{}" // code puts the name behind it
				}
				if !slices.Contains(known, path) {
					t.Errorf("%s asks for %s, which there isn't", name, path)
				}
			}
		}
		if n == 0 {
			t.Errorf("%s asks for nothing of Tenure's", name)
		}
	}
}
