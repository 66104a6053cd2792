package servertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// Caller sends requests to a server in somebody's name.
type Caller struct {
	Base          string
	Authorization string // the header; "" sends none
	Type          string // of bodies; "" is application/json
}

// Do makes a request whose body is JSON, and gives the status and the answer.
func (c Caller) Do(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.Base+path, in)
	if err != nil {
		t.Fatal(err)
	}
	if c.Type == "" {
		c.Type = "application/json"
	}
	req.Header.Set("Content-Type", c.Type)
	if c.Authorization != "" {
		req.Header.Set("Authorization", c.Authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, raw
}

// Must makes a request, and fails the test if it is refused. Into, unless it is nil, takes
// the answer's JSON.
func (c Caller) Must(t testing.TB, method, path string, body, into any) {
	t.Helper()
	status, raw := c.Do(t, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: status %d: %s", method, path, status, raw)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, raw)
	}
}
