package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// TestUncodedErrorsStayInside: a fault's text goes to the log under an id, and the
// caller gets the id alone.
func TestUncodedErrorsStayInside(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	s := &Server{o: Options{Log: slog.New(slog.NewJSONHandler(&logged, nil))}}
	w := httptest.NewRecorder()
	s.outermost(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, errors.New("dial 10.0.0.7: refused"))
	})).ServeHTTP(w, httptest.NewRequest("POST", "/v1/x", nil))
	var p client.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	id, ok := strings.CutPrefix(p.Detail, "internal error ")
	if w.Code != 500 || p.Code != tenure.Internal || !ok || strings.Contains(w.Body.String(), "10.0.0.7") || w.Header().Get("Tenure-Request-Id") != id {
		t.Errorf("the caller gets %d %s", w.Code, w.Body)
	}
	if s := logged.String(); !strings.Contains(s, id) || !strings.Contains(s, "10.0.0.7") {
		t.Errorf("logged %q, the id is %q", s, id)
	}
}

// TestRoutesSayWhoMay: a route that doesn't keeps the server from starting.
func TestRoutesSayWhoMay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a  Access
		ok bool
	}{
		"nothing":                     {Access{}, false},
		"a permission over nothing":   {Access{Permission: tenure.TenantRead}, false},
		"a reach without permission":  {Access{Reach: OfTenant}, false},
		"a reach that there isn't":    {Access{tenure.TenantRead, "everywhere"}, false},
		"public with a permission":    {Access{tenure.TenantRead, Public}, false},
		"public":                      {Access{Reach: Public}, true},
		"over the tenant of the path": {Access{tenure.TenantRead, OfTenant}, true},
	} {
		if err := c.a.check("x"); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
