package docs_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// An address that a page tells people to call is one that the server answers.
func TestRoutesInPages(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(read(t, "docs/openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Paths["/v1/events/{source}"] = map[string]any{"post": nil, "options": nil} // each source's own form, in no document of ours
	known := func(verb, path string) bool {
		asked := strings.Split(path, "/")
		for template, verbs := range doc.Paths {
			parts := strings.Split(template, "/")
			fits := len(parts) == len(asked)
			for i := range parts {
				fits = fits && (parts[i] == asked[i] || strings.HasPrefix(parts[i], "{") && asked[i] != "")
			}
			if _, has := verbs[strings.ToLower(verb)]; fits && (verb == "" || has) {
				return true
			}
		}
		return false
	}
	route := regexp.MustCompile(`(?:(GET|POST|PUT|PATCH|DELETE) )?(?:https?://[\w.:]+)?(/v1/[\w/{}…-]+)`)
	n := 0
	for _, page := range pages(t) {
		if strings.HasPrefix(page, "docs/cli/") || strings.HasPrefix(page, "examples/") {
			continue
		}
		for _, m := range route.FindAllStringSubmatch(read(t, page), -1) {
			n++
			if !known(m[1], m[2]) {
				t.Errorf("%s: there is no route %s", page, strings.TrimSpace(m[1]+" "+m[2]))
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d routes found in the pages", n)
	}
	for path, want := range map[string]bool{"/v1/tenants": true, "/v1/tenants/acme": true, "/v1/tenant": false, "/v1/tenants/": false, "/v1/tenants/acme/nothing": false} {
		if known("GET", path) != want {
			t.Errorf("GET %s: %v", path, !want)
		}
	}
}
