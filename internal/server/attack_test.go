package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

var gold = tenure.Scope{Tiers: []string{"gold"}}

// bearer makes a person with a role over a scope, and the header of a token of a
// strong sign-in.
func bearer(t *testing.T, s *lifecycle.Service, name string, role tenure.Role, scope tenure.Scope) map[string]string {
	t.Helper()
	tokenOf(t, s, name, role, scope)
	return another(t, s, name, store.Token{})
}

// another is one more strong token of a person's, narrowed as the template says.
func another(t *testing.T, s *lifecycle.Service, name string, narrowed store.Token) map[string]string {
	t.Helper()
	p, err := s.Engine.DB.Principal(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	narrowed.Name, narrowed.ExpiresAt = "another", s.Now().Add(time.Hour)
	_, text, err := governorOf(s).NewToken(context.Background(), tenure.Caller{Principal: p.ID, Name: name, Kind: tenure.CallerPerson, Strong: true}, name, narrowed)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"Authorization": "Bearer " + text.Reveal()}
}

// unsaid reports words that an answer mustn't hold.
func unsaid(t *testing.T, what, answer string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(answer, w) {
			t.Errorf("%s tells of %s: %s", what, w, answer)
		}
	}
}

// TestTriggersDontTell: a trigger's key that another's tenant was made by gives
// nobody that tenant's operation, whichever way it is brought.
func TestTriggersDontTell(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	onboarding(t, olga, rita, "first")
	var in client.OperationRequest
	in.Body.Intent = client.Intent{Kind: tenure.Onboard, Tenant: "secret", Blueprint: "small", Parameters: map[string]any{"login": "a"}, Trigger: "crm-1"}
	hidden, err := client.RequestOperation.Call(ctx, olga, in)
	if err != nil {
		t.Fatal(err)
	}
	far := bearer(t, s, "far", tenure.Operator, gold)
	h := srv.Handler()
	intent := `{"kind":"onboard","tenant":"mine","tier":"gold","blueprint":"small","parameters":{"login":"a"}`
	code, _, body := do(t, h, "POST", "/v1/operations", intent+`,"trigger":"crm-1"}`, far)
	if code < 400 {
		t.Errorf("an intent under another's trigger: %d %s", code, body)
	}
	unsaid(t, "an intent", body, string(hidden.ID), string(hidden.Tenant), "secret")
	for _, own := range []string{"plan:sha256:1", "review:cmp_1:ten_1:revoke:1", "upgrade:ten_1:a:b:1"} {
		if code, _, body := do(t, h, "POST", "/v1/operations", intent+`,"trigger":"`+own+`"}`, far); code != http.StatusBadRequest {
			t.Errorf("a trigger of Tenure's own: %d %s", code, body)
		}
	}
	code, _, body = do(t, h, "POST", "/v1/plans", intent+`}`, far)
	var plan client.Plan
	if err := json.Unmarshal([]byte(body), &plan); err != nil || code != http.StatusCreated {
		t.Fatalf("%d %s %v", code, body, err)
	}
	code, _, body = do(t, h, "POST", "/v1/operations", `{"plan":"`+plan.Digest+`","trigger":"crm-1"}`, far)
	if code < 400 {
		t.Errorf("a stored plan under another's trigger: %d %s", code, body)
	}
	unsaid(t, "a stored plan", body, string(hidden.ID), string(hidden.Tenant), "secret")
}

// TestHoldsByResource: a hold by a resource alone is of the resource's tenant, and
// one that the caller may not see is no other than one that isn't there.
func TestHoldsByResource(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	op := active(t, s, srv, "acme")
	rows, err := s.Engine.DB.Resources(ctx, op.Tenant, false)
	if err != nil || len(rows) == 0 {
		t.Fatal(len(rows), err)
	}
	far, near := bearer(t, s, "far", tenure.Legal, gold), bearer(t, s, "near", tenure.Legal, tenure.Scope{Tenants: []tenure.TenantID{op.Tenant}})
	place := func(id tenure.ResourceID, who map[string]string) (int, string) {
		code, _, body := do(t, srv.Handler(), "POST", "/v1/holds", fmt.Sprintf(`{"matter":"M-1","scope":{"resource":%q}}`, id), who)
		return code, body
	}
	none := tenure.NewID[tenure.ResourceID](s.Now())
	code, body := place(rows[0].ID, far)
	wantCode, want := place(none, far)
	p, q := parseProblem(t, body), parseProblem(t, want)
	if code != wantCode || strings.ReplaceAll(p.Detail, string(rows[0].ID), string(none)) != q.Detail {
		t.Errorf("hidden: %d %s; not there: %d %s", code, p.Detail, wantCode, q.Detail)
	}
	unsaid(t, "the refusal", body, string(op.Tenant), "acme")
	for _, blank := range []string{"class", "system", "environment", "table", "prefix", "resource", "tenant"} { // it would hold as if it weren't there
		scope := map[string]string{"tenant": string(op.Tenant)}
		scope[blank] = ""
		given, _ := json.Marshal(map[string]any{"matter": "M-1", "scope": scope})
		if code, _, body := do(t, srv.Handler(), "POST", "/v1/holds", string(given), near); code != http.StatusUnprocessableEntity && code != http.StatusBadRequest {
			t.Errorf("a hold whose %s is blank: %d %s", blank, code, body)
		}
	}
	for _, part := range []string{`"class":null`, `"table":null`, `"prefix":null`, `"rows":null`, `"rows":[]`, `"table":"orders","rows":[]`} {
		code, _, body := do(t, srv.Handler(), "POST", "/v1/holds", fmt.Sprintf(`{"matter":"M-1","scope":{"tenant":%q,%s}}`, op.Tenant, part), near)
		if p := parseProblem(t, body); code != http.StatusUnprocessableEntity && code != http.StatusBadRequest || !strings.Contains(p.Detail, "scope.") {
			t.Errorf("a hold with %s: %d %s", part, code, body)
		}
	}
	code, body = place(rows[0].ID, near)
	var h client.Hold
	if err := json.Unmarshal([]byte(body), &h); err != nil || code != http.StatusCreated || h.Scope.Tenant != string(op.Tenant) {
		t.Errorf("a hold on a resource of one's own reach: %d %s", code, body)
	}
}

// TestCampaignsOfManyTenants: a reviewer hears of no tenant in the campaign's scope
// that they may not see, and what they may not see any more is no longer shown.
func TestCampaignsOfManyTenants(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	a, b := active(t, s, srv, "acme"), active(t, s, srv, "bolt")
	ann := bearer(t, s, "ann", tenure.SecurityOfficer, tenure.Scope{All: true})
	bearer(t, s, "cleo", tenure.SecurityOfficer, tenure.Scope{All: true})
	bob := bearer(t, s, "bob", tenure.Viewer, tenure.Scope{Tenants: []tenure.TenantID{a.Tenant}})
	h := srv.Handler()
	body, _ := json.Marshal(client.NewCampaign{
		Name: "spring", Covers: []tenure.ReviewKind{tenure.ReviewAccount}, Scope: tenure.Scope{Tenants: []tenure.TenantID{a.Tenant, b.Tenant}},
		Reviewers: []string{"bob", "cleo"}, Silence: tenure.ReviewKeep, DueAt: s.Now().Add(time.Hour),
	})
	code, _, out := do(t, h, "POST", "/v1/reviews", string(body), ann)
	var c client.Campaign
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != http.StatusCreated {
		t.Fatalf("%d %s", code, out)
	}
	items := "/v1/reviews/" + string(c.ID) + "/items"
	for _, path := range []string{"/v1/reviews", "/v1/reviews/" + string(c.ID), items} {
		code, _, out := do(t, h, "GET", path, "", bob)
		if code != http.StatusOK || !strings.Contains(out, string(c.ID)) {
			t.Errorf("%s: %d %s", path, code, out)
		}
		unsaid(t, path, out, string(b.Tenant), "bolt")
	}
	g, p := governorOf(s), principalOf(t, s, "bob")
	grants, err := g.Grants(ctx, "bob", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.RevokeGrant(ctx, governance.Local("test"), grants[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Grant(ctx, governance.Local("test"), tenure.Grant{Principal: p.ID, Role: tenure.Viewer, Scope: gold, Reason: "moved"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/reviews", "/v1/reviews/" + string(c.ID), items} {
		_, _, out := do(t, h, "GET", path, "", bob)
		unsaid(t, path+" after the move", out, string(a.Tenant), string(b.Tenant), "acme", `"open":1`)
	}
}

func principalOf(t *testing.T, s *lifecycle.Service, name string) store.Principal {
	t.Helper()
	p, err := s.Engine.DB.Principal(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMovesDontTell: the refusal of a move names no scope that the asker doesn't
// manage.
func TestMovesDontTell(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	p := plant(t, s, "acme", "silver", "hidden")
	bearer(t, s, "dan", tenure.Viewer, tenure.Scope{Tenants: []tenure.TenantID{p.tenant}})
	far := bearer(t, s, "far", tenure.Admin, gold)
	code, _, body := do(t, srv.Handler(), "POST", "/v1/moves", `{"principal":"dan","reason":"new desk","to":[{"role":"viewer","scope":{"tiers":["gold"]}}]}`, far)
	if code != http.StatusForbidden {
		t.Errorf("a move beyond one's reach: %d %s", code, body)
	}
	unsaid(t, "the refusal", body, p.words()...)
}

// TestReplaysAskAgain: an answer under its Idempotency-Key is given again only to
// who may still have it: not after a grant has ended, nor to a narrower token.
func TestReplaysAskAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	p := plant(t, s, "acme", "silver", "hidden")
	near := bearer(t, s, "near", tenure.Operator, tenure.Scope{Tiers: []string{"silver"}})
	narrow := another(t, s, "near", store.Token{Limit: gold})
	g := governorOf(s)
	grants, err := g.Grants(ctx, "near", false)
	if err != nil {
		t.Fatal(err)
	}
	h := srv.Handler()
	keyed := func(who map[string]string) map[string]string {
		return map[string]string{"Authorization": who["Authorization"], "Idempotency-Key": "once"}
	}
	ask := `{"role":"operator","scope":{"tenants":["acme"]},"reason":"ticket 4711","duration":"PT1H"}`
	code, _, first := do(t, h, "POST", "/v1/elevations", ask, keyed(near))
	if code != http.StatusCreated || !strings.Contains(first, string(p.tenant)) {
		t.Fatalf("%d %s", code, first)
	}
	if code, _, again := do(t, h, "POST", "/v1/elevations", ask, keyed(near)); code != http.StatusCreated || again != first {
		t.Errorf("the same again: %d %s", code, again)
	}
	_, _, body := do(t, h, "POST", "/v1/elevations", ask, keyed(narrow))
	unsaid(t, "a narrower token", body, string(p.tenant))
	if _, err := g.Grant(ctx, governance.Local("test"), tenure.Grant{Principal: principalOf(t, s, "near").ID, Role: tenure.Operator, Scope: gold, Reason: "moved"}); err != nil {
		t.Fatal(err)
	}
	if err := g.RevokeGrant(ctx, governance.Local("test"), grants[0].ID); err != nil {
		t.Fatal(err)
	}
	_, _, body = do(t, h, "POST", "/v1/elevations", ask, keyed(near))
	unsaid(t, "a caller whose grant has ended", body, string(p.tenant))
}

// denying are policies that deny one permission to everybody.
type denying tenure.Permission

func (d denying) Denies(_ tenure.Caller, p tenure.Permission, _ tenure.Target, _ time.Time) []string {
	if p == tenure.Permission(d) {
		return []string{"policy never"}
	}
	return nil
}

// TestPoliciesBindWhatIsNoTenants: a policy that forbids what changes no tenant, but
// the installation, is asked too, by the API and in the inbox.
func TestPoliciesBindWhatIsNoTenants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		deny         tenure.Permission
		role         tenure.Role
		method, path string
		body         string
	}{
		{tenure.BlueprintPublish, tenure.SecurityOfficer, "POST", "/v1/blueprints/small@1.0/publish", ""},
		{tenure.BlueprintWrite, tenure.BlueprintAuthor, "POST", "/v1/blueprints", client.SubmitBlueprint.Example},
		{tenure.SystemManage, tenure.Admin, "POST", "/v1/systems", `{"name":"main"}`},
		{tenure.OperationApprove, tenure.Approver, "POST", "/v1/delegations", `{"to":"olga","scope":{"all":true},"reason":"away","expiresAt":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`},
		{tenure.StandingPropose, tenure.Operator, "POST", "/v1/standing-approvals", client.ProposeStanding.Example},
	} {
		t.Run(string(c.deny), func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			gov := governance.New(governance.Options{DB: s.Engine.DB, Now: s.Now, Entry: s.Entry, Policies: denying(c.deny)})
			s.Govern(gov.Decide)
			srv, err := server.New(server.Options{Service: s, Governor: gov, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(srv.Close)
			who := bearer(t, s, "who", c.role, tenure.Scope{All: true})
			code, _, body := do(t, srv.Handler(), c.method, c.path, c.body, who)
			if code != http.StatusForbidden || !strings.Contains(body, "policy never") {
				t.Errorf("%s %s: %d %s", c.method, c.path, code, body)
			}
		})
	}
}

// TestTokensEndWithWhatMadeThem: a token makes none that outlives it, or a leaked
// one would never end.
func TestTokensEndWithWhatMadeThem(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	who := bearer(t, s, "who", tenure.Operator, gold)
	later, _ := s.Now().Add(48 * time.Hour).MarshalText()
	code, _, body := do(t, srv.Handler(), "POST", "/v1/tokens", fmt.Sprintf(`{"name":"more","expiresAt":%q}`, later), who)
	if code != http.StatusForbidden {
		t.Errorf("a token of an hour made one of two days: %d %s", code, body)
	}
}

// TestNarrowTokensRevokeWithinTheirLimit: a token that is only for some tenants ends
// no grant over others.
func TestNarrowTokensRevokeWithinTheirLimit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	bearer(t, s, "ann", tenure.Admin, tenure.Scope{All: true})
	bearer(t, s, "dan", tenure.Viewer, tenure.Scope{Tiers: []string{"silver"}})
	grants, err := governorOf(s).Grants(ctx, "dan", false)
	if err != nil {
		t.Fatal(err)
	}
	code, _, body := do(t, srv.Handler(), "DELETE", "/v1/grants/"+string(grants[0].ID), "", another(t, s, "ann", store.Token{Limit: gold}))
	if code != http.StatusNotFound {
		t.Errorf("%d %s", code, body)
	}
	if grants, err = governorOf(s).Grants(ctx, "dan", false); err != nil || len(grants) != 1 {
		t.Errorf("the grant has ended: %v, %v", grants, err)
	}
}

// TestSystemsAreTheInstallations: who manages a few tenants doesn't replace what all
// of them stand on.
func TestSystemsAreTheInstallations(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	code, _, body := do(t, srv.Handler(), "POST", "/v1/systems", `{"name":"main","replace":true}`, bearer(t, s, "far", tenure.Admin, gold))
	if code != http.StatusForbidden {
		t.Errorf("%d %s", code, body)
	}
}

// listening opens a stream, and gives what it has said once it has ended.
func listening(t *testing.T, srv *server.Server, path string, who map[string]string) (ended <-chan string) {
	t.Helper()
	begun, out := make(chan struct{}), make(chan string, 1)
	go func() {
		w := &streamed{header: http.Header{}, begun: begun}
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		for k, v := range who {
			r.Header.Set(k, v)
		}
		srv.Handler().ServeHTTP(w, r)
		out <- w.text.String()
	}()
	<-begun
	return out
}

// TestStreamsEndWithTheirCallers: an open stream tells nothing after the caller's
// token, session or grants have ended, or the tenant left their scope, and ends.
func TestStreamsEndWithTheirCallers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	root := governance.Local("test")
	silver := tenure.Scope{Tiers: []string{"silver"}}
	for what, end := range map[string]func(*testing.T, *lifecycle.Service, *governance.Governor, func(time.Duration)) error{
		"the grant is revoked": func(t *testing.T, s *lifecycle.Service, g *governance.Governor, _ func(time.Duration)) error {
			grants, err := g.Grants(ctx, "near", false)
			if err == nil {
				err = g.RevokeGrant(ctx, root, grants[0].ID)
			}
			return err
		},
		"the grant expires": func(t *testing.T, s *lifecycle.Service, g *governance.Governor, pass func(time.Duration)) error {
			pass(40 * time.Minute)
			return nil
		},
		"the token is revoked": func(t *testing.T, s *lifecycle.Service, g *governance.Governor, _ func(time.Duration)) error {
			list, err := g.Tokens(ctx, root, "near")
			for _, v := range list {
				if err == nil {
					err = g.RevokeToken(ctx, root, v.ID)
				}
			}
			return err
		},
		"the token expires": func(t *testing.T, s *lifecycle.Service, g *governance.Governor, pass func(time.Duration)) error {
			pass(2 * time.Hour)
			return nil
		},
		"the principal is disabled": func(t *testing.T, s *lifecycle.Service, g *governance.Governor, _ func(time.Duration)) error {
			_, err := g.DisablePrincipal(ctx, "near", true, 0, "test")
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
			s := newServiceAt(t, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
			pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
			srv, g := newServer(t, s), governorOf(s)
			p := plant(t, s, "acme", "silver", "hidden")
			tokenOf(t, s, "near", tenure.Viewer, gold)
			who := principalOf(t, s, "near")
			grants, err := g.Grants(ctx, "near", false)
			if err == nil {
				err = g.RevokeGrant(ctx, root, grants[0].ID)
			}
			if err == nil {
				_, err = g.Grant(ctx, root, tenure.Grant{Principal: who.ID, Role: tenure.Viewer, Scope: silver, Reason: "test", ExpiresAt: s.Now().Add(30 * time.Minute)})
			}
			if err != nil {
				t.Fatal(err)
			}
			near := another(t, s, "near", store.Token{})
			wide := listening(t, srv, "/v1/events", near)
			one := listening(t, srv, "/v1/operations/"+string(p.operation)+"/events", near)
			say := func(kind string) {
				t.Helper()
				e, err := s.Entry(ctx, kind, "test", p.tenant, p.operation, string(p.operation), nil)
				if err == nil {
					err = s.Engine.DB.Write(ctx, func(tx *store.Tx) error { return tx.Log(e) })
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			say("step.before")
			if err := end(t, s, g, pass); err != nil {
				t.Fatal(err)
			}
			say("step.after")
			for name, stream := range map[string]<-chan string{"of everything": wide, "of an operation": one} {
				select {
				case said := <-stream:
					unsaid(t, "the stream "+name, said, "step.after")
				case <-time.After(30 * time.Second):
					t.Errorf("the stream %s is open still", name)
				}
			}
		})
	}
}

// TestStreamsNarrowWithTheirCallers: who keeps a grant over one tier and loses
// another hears on of the one alone.
func TestStreamsNarrowWithTheirCallers(t *testing.T) {
	t.Parallel()
	ctx, root := context.Background(), governance.Local("test")
	s := newService(t)
	srv, g := newServer(t, s), governorOf(s)
	lost, kept := plant(t, s, "acme", "silver", "hidden"), plant(t, s, "bolt", "gold", "seen")
	near := bearer(t, s, "near", tenure.Viewer, gold)
	gr, err := g.Grant(ctx, root, tenure.Grant{Principal: principalOf(t, s, "near").ID, Role: tenure.Viewer, Scope: tenure.Scope{Tiers: []string{"silver"}}, Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(remote(t, srv).URL, client.WithToken(tenure.NewSecret(strings.TrimPrefix(near["Authorization"], "Bearer "))))
	if err != nil {
		t.Fatal(err)
	}
	size, err := s.Engine.DB.LogSize(ctx)
	if err != nil {
		t.Fatal(err)
	}
	say := func(kind string, p planted) {
		e, err := s.Entry(ctx, kind, "test", p.tenant, p.operation, string(p.operation), nil)
		if err == nil {
			err = s.Engine.DB.Write(ctx, func(tx *store.Tx) error { return tx.Log(e) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	say("step.before", lost)
	var heard []string
	for e, err := range c.AllEvents(ctx, "", size-1) {
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, e.Entry)
		if e.Entry == "step.kept" {
			break
		}
		if err := g.RevokeGrant(ctx, root, gr.ID); err != nil {
			t.Fatal(err)
		}
		say("step.after", lost)
		say("step.kept", kept)
	}
	if got := strings.Join(heard, " "); got != "step.before step.kept" {
		t.Errorf("heard %s", got)
	}
}

// TestUpgradesByBreakGlassDestroyNothing: a mass upgrade that makes data leave isn't
// begun by who came by break-glass alone.
func TestUpgradesByBreakGlassDestroyNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	op := active(t, s, srv, "acme")
	var src client.SourceParams
	if err := json.Unmarshal([]byte(client.SubmitBlueprint.Example), &src.Body); err != nil {
		t.Fatal(err)
	}
	next := strings.NewReplacer(`version: "1.0"`, `version: "2.0"`, `key: store`, `key: archive`, `needs: [store]`, `needs: [archive]`).Replace(src.Body.Source)
	src.Body.Source = next
	if _, err := client.SubmitBlueprint.Call(ctx, as(t, srv, "olga"), src); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PublishBlueprint.Call(ctx, as(t, srv, "rita"), client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: "small@2.0"}}); err != nil {
		t.Fatal(err)
	}
	glass := bearer(t, s, "glass", tenure.Viewer, tenure.Scope{All: true})
	err := s.Engine.DB.Write(ctx, func(tx *store.Tx) error {
		now := s.Now()
		return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](now), Principal: principalOf(t, s, "glass").ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, By: "glass", At: now, ExpiresAt: now.Add(time.Hour), BreakGlass: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	own := bearer(t, s, "own", tenure.Operator, tenure.Scope{All: true})
	code, _, body := do(t, srv.Handler(), "POST", "/v1/plans", `{"kind":"upgrade","tenant":"acme","blueprint":"small@2.0"}`, own)
	var plan client.Plan
	if err := json.Unmarshal([]byte(body), &plan); err != nil || code != http.StatusCreated || !strings.Contains(string(plan.Body), `"destructive":`) {
		t.Fatalf("the upgrade destroys nothing: %d %s", code, body)
	}
	code, _, body = do(t, srv.Handler(), "POST", "/v1/blueprints/small@2.0/upgrades", fmt.Sprintf(`{"tenants":[%q]}`, op.Tenant), glass)
	if code != http.StatusForbidden || !strings.Contains(body, "break-glass") {
		t.Errorf("%d %s", code, body)
	}
}
