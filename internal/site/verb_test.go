package site_test

import (
	"net/http"
	"testing"
)

// TestVerbs: a page says what it takes, and refuses everything else.
func TestVerbs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, c := range []struct {
		verb, path string
		code       int
		allow      string
	}{
		{"DELETE", "/tenants", 405, "GET, HEAD, OPTIONS"}, {"OPTIONS", "/tenants", 204, "GET, HEAD, OPTIONS"}, {"PUT", "/sign-in", 405, "GET, HEAD, OPTIONS"},
		{"GET", "/signout", 405, "POST, OPTIONS"}, {"OPTIONS", "/signout", 204, "POST, OPTIONS"}, {"DELETE", "/nowhere", 404, ""}, {"HEAD", "/sign-in", 200, ""},
		{"DELETE", "/openapi.json", 405, "GET, HEAD, OPTIONS"}, {"POST", "/healthz", 405, "GET, HEAD, OPTIONS"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.verb, h.at.URL+c.path, nil)
		h.must(err)
		answer, err := http.DefaultClient.Do(r)
		h.must(err)
		_ = answer.Body.Close()
		if answer.StatusCode != c.code || answer.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.verb, c.path, answer.StatusCode, answer.Header.Get("Allow"), c.code, c.allow)
		}
	}
}
