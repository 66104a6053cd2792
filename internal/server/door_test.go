package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// from asks as somebody who isn't known, from an address.
func from(srv *server.Server, address, method, path, body string) int {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = address
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	srv.Handler().ServeHTTP(w, r)
	return w.Code
}

// TestStrangersAreLimited: whoever isn't known can't fill the store with sign-ins that
// begin, from one address or from many, and a flood keeps nobody out who is known.
func TestStrangersAreLimited(t *testing.T) {
	t.Parallel()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) })
	srv := newServer(t, s)
	known := tokenOf(t, s, "ada", tenure.Viewer, tenure.Scope{All: true}).Reveal()

	count := func(n int, address func(int) string) (in int) {
		for i := range n {
			switch code := from(srv, address(i), "POST", client.StartDevice.Path, "{}"); code {
			case 200, 201:
				in++
			case 429:
			default:
				t.Fatalf("begin %d: %d", i, code)
			}
		}
		return in
	}
	if n := count(100, func(int) string { return "198.51.100.7:4000" }); n > 40 {
		t.Errorf("one address began %d of 100", n)
	}
	if n := count(100, func(i int) string { return fmt.Sprintf("[2001:db8:1:2::%x]:4000", i+1) }); n > 40 {
		t.Errorf("one network of 64 bits began %d of 100", n)
	}
	if n := count(1000, func(i int) string { return fmt.Sprintf("10.0.%d.%d:4000", i/250, i%250) }); n > 200 {
		t.Errorf("many addresses began %d of 1,000", n)
	}
	if code := from(srv, "203.0.113.9:4000", "POST", client.Bootstrap.Path, `{"code": "boot_x", "name": "eve", "email": "e@example.com"}`); code != 401 {
		t.Errorf("after a flood of one kind another kind is answered with %d", code)
	}
	if code, _, _ := do(t, srv.Handler(), "GET", "/v1/me", "", map[string]string{"Authorization": "Bearer " + known}); code != 200 {
		t.Errorf("after a flood of strangers who is known is answered with %d", code)
	}
}

// TestStrangersPagesAreLimited: pages that open by a link, or for everybody, can't be tried without end.
func TestStrangersPagesAreLimited(t *testing.T) {
	t.Parallel()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) })
	for _, path := range []string{lifecycle.VendorPath + "x", lifecycle.LeavePath, lifecycle.LeavePath + "/x", lifecycle.LeasePath + "x", server.LeaverPath + "x"} {
		srv, err := server.New(server.Options{Service: s, Governor: governorOf(s), Dashboard: http.NotFoundHandler()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.Close)
		in := 0
		for range 100 {
			if from(srv, "198.51.100.7:4000", "GET", path, "") == http.StatusNotFound {
				in++
			}
		}
		if in == 0 || in > 40 {
			t.Errorf("%s answers one address %d times of 100", path, in)
		}
	}
}

// TestRefusalsLeaveEvents: guessing and probing are seen by who watches over access,
// with how often, and a name that a stranger gives puts no finding on its owner.
func TestRefusalsLeaveEvents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) })
	srv := newServer(t, s)
	op := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	ada := map[string]string{"Authorization": "Bearer " + tokenOf(t, s, "ada", tenure.Viewer, tenure.Scope{All: true}).Reveal()}
	for i := range 40 {
		do(t, srv.Handler(), "GET", "/v1/me", "", map[string]string{"Authorization": fmt.Sprintf("Bearer tnr_%d", i)})
	}
	for range 10 {
		from(srv, "203.0.113.9:4000", "POST", client.Bootstrap.Path, `{"code": "boot_x", "name": "ada", "email": "a@example.com"}`)
	}
	for range 3 {
		if code, _, body := do(t, srv.Handler(), "POST", "/v1/operations/"+string(op.ID)+"/approve", `{"digest": "`+op.Plan+`"}`, ada); code != 403 {
			t.Fatalf("a viewer approves: %d %s", code, body)
		}
	}
	list, err := client.ListAccessEvents.Call(ctx, as(t, srv, "root"), client.AccessEventFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		kind, who, address string
		count              int
	}
	got := make(map[string]seen)
	for _, e := range list {
		if e.Count > 0 {
			if _, twice := got[e.Route]; twice {
				t.Errorf("two events at %s", e.Route)
			}
			got[e.Route] = seen{e.Kind, e.Principal, e.Address, e.Count}
		}
	}
	for route, want := range map[string]seen{
		"GET /v1/me": {"signin.refused", "", "192.0.2.1", 40}, "POST " + client.Bootstrap.Path: {"signin.refused", "", "203.0.113.9", 10},
		"POST /v1/operations/{operation}/approve": {"refused", "ada", "", 3},
	} {
		if got[route] != want {
			t.Errorf("at %s: %+v, want %+v (of %+v)", route, got[route], want, got)
		}
	}
	g := governorOf(s)
	if err := g.Watcher().Tick(ctx, s.Now()); err != nil {
		t.Fatal(err)
	}
	found, err := client.UpTo(ctx, as(t, srv, "root"), client.ListFindings, client.FindingFilter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	sprayed := false
	for _, f := range found {
		sprayed = sprayed || f.Type == "signin.sprayed" && f.Name == ""
		if f.Name == "ada" {
			t.Errorf("a stranger's word put a finding on ada: %+v", f)
		}
	}
	if !sprayed {
		t.Errorf("nobody is told of 50 refused credentials: %+v", found)
	}
}

// TestStreamsLeaveRoom: one principal can't take all event streams.
func TestStreamsLeaveRoom(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	web := remote(t, srv)
	open := func(token string) (int, func()) {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		req, _ := http.NewRequestWithContext(ctx, "GET", web.URL+"/v1/events", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res.StatusCode, cancel
	}
	greedy := tokenOf(t, s, "greedy", tenure.Viewer, tenure.Scope{All: true}).Reveal()
	second := strings.TrimPrefix(another(t, s, "greedy", store.Token{})["Authorization"], "Bearer ")
	other := tokenOf(t, s, "other", tenure.Viewer, tenure.Scope{All: true}).Reveal()
	var first func()
	for i := range 50 {
		token := greedy
		if i%2 == 1 {
			token = second
		}
		code, leave := open(token)
		if code != 200 {
			t.Fatalf("stream %d: %d", i, code)
		}
		if i == 0 {
			first = leave
		}
	}
	for _, token := range []string{greedy, second} {
		if code, _ := open(token); code != 429 {
			t.Errorf("stream 51 of one principal: %d", code)
		}
	}
	if code, _ := open(other); code != 200 {
		t.Errorf("another's first stream: %d", code)
	}
	first()
	deadline := time.Now().Add(20 * time.Second)
	for srv.Listeners() > 50 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if code, _ := open(greedy); code != 200 {
		t.Errorf("after one has ended: %d", code)
	}
}
