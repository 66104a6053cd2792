package site_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/site"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/trigger"
)

const blueprintText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: small
version: "%s"
title: A small one
parameters:
  properties:
    seats: {type: integer, minimum: 1, default: 5}
environments:
  - {name: prod, kind: production}
systems:
  main: {connector: memory}
dataClasses:
  orders:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
resources:
  - key: store
    system: main
    type: store
    name: ${tenant.name}-${env.name}
    data: [orders]
    handover: true
  - key: admin
    system: main
    type: account
    name: ${tenant.name}-${env.name}-admin
    needs: [store]
outputs:
  user: ${resources.admin.name}
  password: ${credential(resources.admin)}
failure: compensate
approvals: {onboard: 1, offboard: 1}
offboarding:
  grace: P14D
  retrieval: P30D
  quarantine: P7D
`

// house is an installation with its dashboard on a loopback address, and people
// who sign in.
type house struct {
	t      *testing.T
	svc    *lifecycle.Service
	gov    *governance.Governor
	db     *store.DB
	dir    string
	world  *memory.World
	events *trigger.Intake
	clock  atomic.Int64
	at     *httptest.Server
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t, dir: t.TempDir(), world: memory.NewWorld("main")}
	h.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(h.clock.Load()).UTC() }
	keys, err := keystore.Init(ctx, filepath.Join(h.dir, "keys"), keystore.Options{Origin: "tenure-test", Now: now})
	h.must(err)
	h.db, err = store.Open(ctx, store.Options{DSN: filepath.Join(h.dir, "tenure.db")})
	h.must(err)
	t.Cleanup(func() { _ = h.db.Close() })
	h.svc, err = lifecycle.New(ctx, lifecycle.Options{
		DB: h.db, Keys: keys, Catalog: []connector.Info{memory.InfoOf(h.world)}, Installation: tenure.NewID[tenure.InstallationID](now()),
		Settings: map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}}, Folder: filepath.Join(h.dir, "handover"), Now: now, Owner: "test", URL: "https://tenure.example",
	})
	h.must(err)
	t.Cleanup(h.svc.Close)
	h.gov = governance.New(governance.Options{DB: h.db, Now: now, Entry: h.svc.Entry, Idle: 24 * 365 * time.Hour, SessionFor: 24 * 365 * time.Hour})
	h.svc.Govern(h.gov.Decide)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	pages, err := site.New(site.Options{Governor: h.gov, Service: h.svc, Log: log, Name: "the house", Leave: true})
	h.must(err)
	h.events, err = trigger.New(trigger.Options{DB: h.db, Service: h.svc, Sources: sources})
	h.must(err)
	srv, err := server.New(server.Options{Service: h.svc, Governor: h.gov, Events: h.events, Log: log, Dashboard: pages, Rate: 1e6, Burst: 1e6})
	h.must(err)
	h.events.Open(srv.Door())
	h.must(pages.Use(srv.Handler()))
	h.at = httptest.NewServer(srv.Handler())
	t.Cleanup(h.at.Close)
	_, err = h.svc.AddSystem(ctx, "main", false, "setup")
	h.must(err)
	h.publish("1.0")
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) publish(version string) {
	h.t.Helper()
	_, err := h.svc.SubmitBlueprint(context.Background(), fmt.Appendf(nil, blueprintText, version), "small.yaml", "author")
	h.must(err)
	_, err = h.svc.PublishBlueprint(context.Background(), "small@"+version, "reviewer")
	h.must(err)
}

func (h *house) settle() {
	h.t.Helper()
	_, err := h.svc.Engine.Settle(context.Background())
	h.must(err)
}

// pass moves the clock on and runs what comes due on the way.
func (h *house) pass(d time.Duration) {
	h.t.Helper()
	end := h.clock.Load() + d.Microseconds()
	for {
		next, err := h.svc.Engine.Settle(context.Background())
		h.must(err)
		if next.IsZero() || next.UnixMicro() > end {
			break
		}
		h.clock.Store(max(next.UnixMicro(), h.clock.Load()))
	}
	h.clock.Store(end)
	h.settle()
}

func (h *house) request(in lifecycle.Intent) store.OperationRow {
	h.t.Helper()
	_, op, err := h.svc.Request(context.Background(), in, "olga")
	h.must(err)
	h.settle()
	return op
}

func (h *house) sign(op tenure.OperationID, by ...string) {
	h.t.Helper()
	v, err := h.svc.Operation(context.Background(), op)
	h.must(err)
	for _, name := range by {
		_, err := h.svc.Approve(context.Background(), op, "", v.Plan, name, "")
		h.must(err)
	}
	h.settle()
}

// onboard makes a tenant active.
func (h *house) onboard(name, tier string) tenure.TenantID {
	h.t.Helper()
	op := h.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Organization: name + " org", Blueprint: "small", Tier: tier})
	h.sign(op.ID, "rita")
	t, err := h.svc.Tenant(context.Background(), name)
	h.must(err)
	if t.State != tenure.TenantActive {
		h.t.Fatalf("%s is %s", name, t.State)
	}
	return t.ID
}

var everything = tenure.Scope{All: true}

// person signs somebody in who has a role over a scope; "" is none.
func (h *house) person(name string, role tenure.Role, over tenure.Scope) *browser {
	h.t.Helper()
	ctx := context.Background()
	p, err := h.gov.AddPrincipal(ctx, store.Principal{Name: name, Kind: tenure.CallerPerson, Email: name + "@example.org"}, "setup")
	h.must(err)
	if role != "" {
		_, err = h.gov.Grant(ctx, governance.Local("setup"), tenure.Grant{Principal: p.ID, Role: role, Scope: over, Reason: "test"})
		h.must(err)
	}
	return h.signIn(p, true)
}

func (h *house) signIn(p store.Principal, strong bool) *browser {
	h.t.Helper()
	_, value, err := h.gov.NewSession(context.Background(), p, "test", "a browser", strong)
	h.must(err)
	b := h.stranger()
	b.session = value.Reveal()
	return b
}

// browser is one person's browser. It keeps cookies by hand, so that a test sees
// what was set, and follows no redirect.
type browser struct {
	h       *house
	session string
	flash   string
	site    string // Sec-Fetch-Site of its posts; "" is same-origin
	client  *http.Client
}

func (h *house) stranger() *browser {
	return &browser{h: h, client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

func (b *browser) do(r *http.Request) answer {
	b.h.t.Helper()
	if b.session != "" {
		r.AddCookie(&http.Cookie{Name: server.LoopbackCookie, Value: b.session})
	}
	if b.flash != "" {
		r.AddCookie(&http.Cookie{Name: "tenure-flash", Value: b.flash})
		b.flash = ""
	}
	resp, err := b.client.Do(r)
	b.h.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	b.h.must(err)
	for _, k := range resp.Cookies() {
		if k.Name == "tenure-flash" && k.MaxAge > 0 {
			b.flash = k.Value
		}
	}
	return answer{resp, string(raw)}
}

func (b *browser) get(path string) answer {
	b.h.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.h.at.URL+path, nil)
	b.h.must(err)
	return b.do(r)
}

func (b *browser) post(path string, kv ...string) answer {
	b.h.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		form.Add(kv[i], kv[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, b.h.at.URL+path, strings.NewReader(form.Encode()))
	b.h.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if b.site != "" {
		r.Header.Set("Sec-Fetch-Site", b.site)
	}
	return b.do(r)
}

// change posts a form and follows to the page that tells what it came to.
func (b *browser) change(path string, kv ...string) answer {
	b.h.t.Helper()
	a := b.post(path, kv...)
	if a.StatusCode != http.StatusSeeOther {
		b.h.t.Fatalf("POST %s answers %d: %s", path, a.StatusCode, text(a.body))
	}
	return b.get(a.Header.Get("Location"))
}

// text is a page's words without its tags, for messages of failing tests.
func text(page string) string {
	var out strings.Builder
	in := false
	for _, r := range page {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
			out.WriteByte(' ')
		case !in:
			out.WriteRune(r)
		}
	}
	words := strings.Join(strings.Fields(out.String()), " ")
	return words[:min(len(words), 2000)]
}

func (a answer) wants(t *testing.T, status int, words ...string) {
	t.Helper()
	where := a.Request.Method + " " + a.Request.URL.Path
	if a.StatusCode != status {
		t.Errorf("%s answers %d, want %d: %s", where, a.StatusCode, status, text(a.body))
		return
	}
	for _, w := range words {
		if !strings.Contains(a.body, w) {
			t.Errorf("%s doesn't say %q: %s", where, w, text(a.body))
		}
	}
}

func offboarding(tenant string) lifecycle.Intent {
	return lifecycle.Intent{Kind: tenure.Offboard, Tenant: tenant, Reason: "contract lapsed"}
}
