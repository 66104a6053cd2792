package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
)

// TestBind: every parameter travels where its tag says, and what names nothing
// doesn't travel as another path.
func TestBind(t *testing.T) {
	t.Parallel()
	type params struct {
		TenantParams
		Paging
		Open    bool      `query:"open"`
		From    time.Time `query:"from"`
		IfMatch string    `header:"If-Match"`
		Body    struct {
			N json.Number `json:"n"`
		}
	}
	p := params{TenantParams: TenantParams{"a/b c?"}, Paging: Paging{Limit: 7}, Open: true, From: time.Unix(1, 500).UTC(), IfMatch: `"3"`}
	p.Body.N = "12345678901234567890"
	b, err := bind("x", "/v1/tenants/{tenant}/y", p)
	if err != nil {
		t.Fatal(err)
	}
	if b.path != "/v1/tenants/a%2Fb%20c%3F/y" || b.query.Encode() != "from=1970-01-01T00%3A00%3A01.0000005Z&limit=7&open=true" || b.header.Get("If-Match") != `"3"` || string(b.body) != `{"n":12345678901234567890}` {
		t.Errorf("%+v %s", b, b.body)
	}
	for name, want := range map[string]tenure.Code{"": tenure.Invalid, "  ": tenure.Invalid, ".": tenure.NotFound, "..": tenure.NotFound} {
		if _, err := bind("x", "/v1/tenants/{tenant}", TenantParams{name}); tenure.CodeOf(err) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestErrorsAreRebuilt: nothing of what a person needs is lost on the way.
func TestErrorsAreRebuilt(t *testing.T) {
	t.Parallel()
	in := tenure.Errorf(tenure.Unavailable, "system %s doesn't answer: %w", "main", io.ErrUnexpectedEOF).Retryable().WithHint("look at it").WithHint("and again")
	raw, err := json.Marshal(ProblemOf(in))
	if err != nil {
		t.Fatal(err)
	}
	var p Problem
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	out := p.Err()
	if tenure.CodeOf(out) != tenure.Unavailable || !tenure.CanRetry(out) || out.Error() != in.Error() || !cmp.Equal(tenure.HintsOf(out), tenure.HintsOf(in)) || p.Status != 503 || p.Type != "about:blank" {
		t.Errorf("rebuilt as %#v", out)
	}
	if p := ProblemOf(io.EOF); p.Code != tenure.Internal || p.Status != 500 {
		t.Errorf("an error without a code is %+v", p)
	}
}

// serve answers with a function, over the network.
func serve(t *testing.T, h http.HandlerFunc, options ...Option) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRetries: a POST is sent again under the same key when the server says that a
// later try may succeed, and what was refused for good isn't.
func TestRetries(t *testing.T) {
	t.Parallel()
	var keys []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) < 3 {
			w.Header().Set("Content-Type", ProblemType)
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"code":"unavailable","detail":"later","retry":true}`)
			return
		}
		_, _ = io.WriteString(w, `{"gate":"approve"}`)
	})
	var p GateParams
	p.Operation = "op_x"
	got, err := ApproveOperation.Call(context.Background(), c, p)
	if err != nil || got.Gate != "approve" || len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] {
		t.Errorf("%v, %v, keys %q", got, err, keys)
	}

	var tries atomic.Int32
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		w.Header().Set("Content-Type", ProblemType)
		w.WriteHeader(422)
		_, _ = io.WriteString(w, `{"code":"blocked","detail":"a hold stands","hints":["release it"]}`)
	})
	_, err = ApproveOperation.Call(context.Background(), c, p)
	if tenure.CodeOf(err) != tenure.Blocked || tries.Load() != 1 || len(tenure.HintsOf(err)) != 1 {
		t.Errorf("%v after %d tries", err, tries.Load())
	}
}

// TestForeignAnswers: what isn't Tenure's is told as such, and never followed with
// the token.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	token := tenure.NewSecret("tnr_marked")
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for name, h := range map[string]http.HandlerFunc{
		"a page":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = io.WriteString(w, "<html>") },
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"no json":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		_, err := ShowMe.Call(context.Background(), serve(t, h, WithToken(token)), None{})
		if err == nil || strings.Contains(fmt.Sprint(err, tenure.HintsOf(err)), "tnr_marked") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	for _, base := range []string{"http://tenure.example", "http://10.1.2.3:8420"} {
		if _, err := New(base, WithToken(token)); tenure.CodeOf(err) != tenure.Invalid || strings.Contains(err.Error(), "tnr_marked") {
			t.Errorf("%s: %v", base, err)
		}
	}
	for _, base := range []string{"", "tenure.example", "ftp://x", "https://u:p@x", "https://x/?a=b", "https://x/#f"} {
		if _, err := New(base); tenure.CodeOf(err) != tenure.Invalid || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// TestEventsComeBack: a stream that breaks goes on after the last event, and ends
// with end.
func TestEventsComeBack(t *testing.T) {
	t.Parallel()
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		event := func(id int, kind string) {
			_, _ = fmt.Fprintf(w, ": comment\nid: %d\nevent: %s\ndata: {\"id\":%d,\"kind\":%q}\n\n", id, kind, id, kind)
		}
		if len(asked) == 1 {
			event(4, "step")
			event(5, "step")
			_, _ = io.WriteString(w, "id: 6\ndata: {\"id\":6") // cut off
			return
		}
		event(6, "step")
		event(6, "end")
	})
	var got []string
	for e, err := range c.Events(context.Background(), "op_x", 3) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(e.ID, e.Kind))
	}
	if d := cmp.Diff([]string{"4step", "5step", "6step", "6end"}, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"3", "5"}, asked); d != "" {
		t.Error(d)
	}
}

// TestPages: All turns every page, and UpTo stops where it is told to.
func TestPages(t *testing.T) {
	t.Parallel()
	const n = 1234
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		from, limit := 0, 50
		_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &from)
		_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		page := Page[Hold]{}
		for i := from; i < min(n, from+limit); i++ {
			page.Items = append(page.Items, Hold{Matter: fmt.Sprint(i)})
		}
		if from+limit < n {
			page.Next = fmt.Sprint(from + limit)
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	seen := 0
	for h, err := range All(context.Background(), c, ListHolds, HoldFilter{}) {
		if err != nil || h.Matter != fmt.Sprint(seen) {
			t.Fatalf("item %d is %q, %v", seen, h.Matter, err)
		}
		seen++
	}
	if seen != n {
		t.Errorf("%d of %d", seen, n)
	}
	for limit, want := range map[int]int{0: n, 1: 1, 500: 500, 501: 501, 9999: n} {
		got, err := UpTo(context.Background(), c, ListHolds, HoldFilter{}, limit)
		if err != nil || len(got) != want {
			t.Errorf("up to %d: %d, %v", limit, len(got), err)
		}
	}
}
