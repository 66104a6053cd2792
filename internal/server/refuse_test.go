package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// TestUncodedErrorsStayInside: a fault's text goes to the log under an id, and
// the caller gets the id alone.
func TestUncodedErrorsStayInside(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	w := httptest.NewRecorder()
	refuse(w, httptest.NewRequest("POST", "/call/x", nil), log, errors.New("dial 10.0.0.7: refused"))
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	id, ok := strings.CutPrefix(p.Message, "internal error ")
	if w.Code != 500 || p.Code != tenure.Internal || !ok || strings.Contains(w.Body.String(), "10.0.0.7") {
		t.Errorf("the caller gets %d %s", w.Code, w.Body)
	}
	if s := logged.String(); !strings.Contains(s, id) || !strings.Contains(s, "10.0.0.7") {
		t.Errorf("logged %q, the id is %q", s, id)
	}
}
