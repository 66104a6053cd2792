package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/server"
)

// TestRequestLimit: one principal who asks too often is told to wait, and keeps
// nobody else out; who opened the folder isn't bounded.
func TestRequestLimit(t *testing.T) {
	t.Parallel()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) })
	srv, err := server.New(server.Options{Service: s, Governor: governorOf(s), Rate: 1, Burst: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	busy := tokenOf(t, s, "busy", tenure.Viewer, tenure.Scope{All: true}).Reveal()
	calm := tokenOf(t, s, "calm", tenure.Viewer, tenure.Scope{All: true}).Reveal()
	ask := func(token string) (int, string) {
		code, header, _ := do(t, srv.Handler(), "GET", "/v1/me", "", map[string]string{"Authorization": "Bearer " + token})
		return code, header.Get("Retry-After")
	}
	for i := range 3 {
		if code, _ := ask(busy); code != 200 {
			t.Fatalf("request %d: %d", i, code)
		}
	}
	if code, wait := ask(busy); code != 429 || wait == "" {
		t.Errorf("the fourth: %d, Retry-After %q", code, wait)
	}
	if code, _ := ask(calm); code != 200 {
		t.Errorf("another principal: %d", code)
	}
	for i := range 10 {
		if code, _, _ := do(t, srv.LocalHandler(), "GET", "/v1/me", "", map[string]string{client.PrincipalHeader: "olga"}); code != 200 {
			t.Fatalf("at the socket, request %d: %d", i, code)
		}
	}
}

// TestWrongCredentialsAreSlowed: who guesses is kept out for a while, also with a
// right token, and told nothing of which it was.
func TestWrongCredentialsAreSlowed(t *testing.T) {
	t.Parallel()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) })
	srv := newServer(t, s)
	limited := 0
	for i := range 40 {
		code, _, _ := do(t, srv.Handler(), "GET", "/v1/me", "", map[string]string{"Authorization": fmt.Sprintf("Bearer tnr_%d", i)})
		switch code {
		case 401:
		case 429:
			limited++
		default:
			t.Fatalf("guess %d: %d", i, code)
		}
	}
	if limited < 10 {
		t.Errorf("only %d of 40 guesses were slowed", limited)
	}
}

// TestCrossSite: another site can't make a browser that is signed in change
// anything.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	for name, c := range map[string]struct {
		method string
		header map[string]string
		want   int
	}{
		"by fetch metadata": {"POST", map[string]string{"Cookie": "tenure=x", "Sec-Fetch-Site": "cross-site"}, 403},
		"by origin":         {"POST", map[string]string{"Cookie": "tenure=x", "Origin": "https://evil.example"}, 403},
		"a sibling":         {"POST", map[string]string{"Cookie": "tenure=x", "Sec-Fetch-Site": "same-site"}, 403},
		"our own page":      {"POST", map[string]string{"Cookie": "tenure=x", "Sec-Fetch-Site": "same-origin"}, 401},
		"a read":            {"GET", map[string]string{"Cookie": "tenure=x", "Sec-Fetch-Site": "cross-site"}, 401},
		"with a token":      {"POST", map[string]string{"Authorization": "Bearer tnr_x", "Sec-Fetch-Site": "cross-site"}, 401},
	} {
		if code, _, body := do(t, srv.Handler(), c.method, "/v1/holds", "", c.header); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, body, c.want)
		}
	}
}

// TestPagesAreStable: what is made while somebody turns pages neither hides an
// item nor shows one twice.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	srv := newServer(t, newService(t))
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	want := map[tenure.OperationID]bool{}
	for i := range 5 {
		want[onboarding(t, olga, rita, fmt.Sprintf("tenant-%d", i)).ID] = true
	}
	seen := map[tenure.OperationID]int{}
	f := client.OperationFilter{Paging: client.Paging{Limit: 2}}
	for n := 0; ; n++ {
		page, err := client.ListOperations.Call(ctx, olga, f)
		if err != nil || len(page.Items) > 2 {
			t.Fatal(page, err)
		}
		for _, op := range page.Items {
			seen[op.ID]++
		}
		onboarding(t, olga, rita, fmt.Sprintf("late-%d", n)) // stands before the page
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("operation %s was shown %d times", id, seen[id])
		}
	}
	names := map[string]int{}
	for tenant, err := range client.All(ctx, olga, client.ListTenants, client.TenantFilter{Paging: client.Paging{Limit: 3}}) {
		if err != nil {
			t.Fatal(err)
		}
		if names[tenant.Name]++; len(names) == 4 {
			onboarding(t, olga, rita, "last") // stands after the page, and is seen
		}
	}
	if names["last"] != 1 || names["tenant-0"] != 1 || len(names) != 9 {
		t.Errorf("tenants %v", names)
	}
	if page, err := client.ListTenants.Call(ctx, olga, client.TenantFilter{State: tenure.TenantActive}); err != nil || len(page.Items) != 0 {
		t.Errorf("a state: %v, %v", page, err)
	}
	if page, err := client.ListTenants.Call(ctx, olga, client.TenantFilter{To: time.Unix(1, 0)}); err != nil || len(page.Items) != 0 {
		t.Errorf("a date: %v, %v", page, err)
	}
}
