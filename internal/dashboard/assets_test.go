package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/dashboard"
)

// TestAssets: whatever a page names is served, of the right type and for long,
// and nothing else is.
func TestAssets(t *testing.T) {
	t.Parallel()
	page := rendered(t, pages(t), samples(shapes[0])[0])
	found := regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(found) != 3 {
		t.Fatalf("a page names %d assets, want 3", len(found))
	}
	h := dashboard.Assets()
	get := func(method, path string) *http.Response {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Result()
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for _, m := range found {
		r := get(http.MethodGet, m[1])
		ext := m[1][strings.LastIndex(m[1], "."):]
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != types[ext] || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %s, cached %q", m[1], r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"))
		}
		if r := get(http.MethodPost, m[1]); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", m[1], r.StatusCode)
		}
	}
	for _, path := range []string{"/assets/app.css", "/assets/", "/assets/../assets.go", "/assets/app.000000000000.css"} {
		if r := get(http.MethodGet, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, r.StatusCode)
		}
	}
}

// TestAssetsStayHere: neither style nor script loads anything from elsewhere.
func TestAssetsStayHere(t *testing.T) {
	t.Parallel()
	page := rendered(t, pages(t), samples(shapes[0])[0])
	for _, m := range regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		w := httptest.NewRecorder()
		dashboard.Assets().ServeHTTP(w, httptest.NewRequest(http.MethodGet, m[1], nil))
		body := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		for _, never := range []string{"http://", "https://", "url(", "@import", "eval(", "innerHTML"} {
			if strings.Contains(body, never) {
				t.Errorf("%s holds %q", m[1], never)
			}
		}
	}
}
