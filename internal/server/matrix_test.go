package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// Words that stand on everything of the tenant that nobody of the other scope may
// know of.
const (
	hiddenName = "zz-hidden-birch"
	marker     = "MARKER-7F3A"
)

// planted is one tenant with one of each thing that a path can name.
type planted struct {
	tenant    tenure.TenantID
	name      string
	operation tenure.OperationID
	digest    string
	hold      tenure.HoldID
	finding   tenure.FindingID
	target    tenure.Target
}

func (p planted) words() []string {
	return []string{string(p.tenant), p.name, string(p.operation), string(p.hold), string(p.finding), strings.TrimPrefix(p.digest, "sha256:")}
}

// plant stores a tenant and its things as past work would have left them.
func plant(t testing.TB, s *lifecycle.Service, name, tier, mark string) planted {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	p := planted{
		tenant: tenure.NewID[tenure.TenantID](now), name: name, operation: tenure.NewID[tenure.OperationID](now), hold: tenure.NewID[tenure.HoldID](now), finding: tenure.NewID[tenure.FindingID](now),
	}
	p.target = tenure.Target{Tenant: p.tenant, Tier: tier, Labels: map[string]string{"team": tier}}
	plan := &tenure.Plan{Format: tenure.PlanFormat, Kind: tenure.Suspend, Tenant: p.tenant, Name: name, At: now, Reason: mark,
		Steps: []tenure.Step{{Key: "approve", Stage: tenure.StageApproval, Action: tenure.ActApproval, Summary: mark, Gate: &tenure.Gate{Approvals: 2}}}}
	body, digest, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p.digest = digest
	err = s.Engine.DB.Write(context.Background(), func(tx *store.Tx) error {
		row := store.TenantRow{Tenant: tenure.Tenant{ID: p.tenant, Name: name, Organization: mark + " Ltd", Contact: mark + "@example.com", Tier: tier, Labels: p.target.Labels, Parameters: []byte(`{"note":"` + mark + `"}`), CreatedAt: now}}
		if err := tx.CreateTenant(row); err != nil {
			return err
		}
		for _, to := range []tenure.TenantState{tenure.TenantValidating, tenure.TenantProvisioning, tenure.TenantActive} {
			now, err := tx.Tenant(string(p.tenant))
			if err == nil {
				err = tx.MoveTenant(p.tenant, now.State, to, now.CreatedAt)
			}
			if err != nil {
				return err
			}
		}
		if err := tx.SavePlan(digest, body, plan, "requester"); err != nil {
			return err
		}
		op := store.NewOperation{
			Operation:   tenure.Operation{ID: p.operation, Kind: tenure.Suspend, Tenant: p.tenant, Plan: digest, State: tenure.OperationRunning, RequestedBy: "requester", CreatedAt: now},
			Steps:       []tenure.StepStatus{{Operation: p.operation, Key: "approve"}},
			IsDestroyer: func(int) bool { return false },
		}
		if _, _, err := tx.CreateOperation(op); err != nil {
			return err
		}
		if err := tx.SaveHold(tenure.Hold{ID: p.hold, Matter: mark, Scope: tenure.HoldScope{Tenant: p.tenant}, Reason: mark, PlacedBy: "counsel", PlacedAt: now, EffectiveAt: now}); err != nil {
			return err
		}
		return tx.SaveFinding(tenure.Finding{ID: p.finding, Kind: tenure.FindingDrift, Severity: tenure.Critical, Tenant: p.tenant, System: "main", Name: mark, Detail: mark, SeenAt: now})
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// documented is what the OpenAPI document says of one route.
type documented struct {
	ID         string            `json:"operationId"`
	Permission tenure.Permission `json:"x-tenure-permission"`
	Reach      server.Reach      `json:"x-tenure-reach"`
	Body       struct {
		Content map[string]struct {
			Example json.RawMessage `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
	verb, path string
}

func documentedRoutes(t testing.TB, srv *server.Server) []documented {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(srv.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	var out []documented
	for path, verbs := range doc.Paths {
		for verb, raw := range verbs {
			var d documented
			if err := json.Unmarshal(raw, &d); err != nil {
				t.Fatal(err)
			}
			if d.verb, d.path = strings.ToUpper(verb), path; d.Reach != "" {
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b documented) int { return strings.Compare(a.path+a.verb, b.path+b.verb) })
	return out
}

// path fills in a route's parameters with one tenant's things.
func (d documented) at(p planted) string {
	r := strings.NewReplacer("{tenant}", string(p.tenant), "{operation}", string(p.operation), "{hold}", string(p.hold), "{finding}", string(p.finding), "{digest}", p.digest,
		"{certificate}", "latest", "{principal}", "victim", "{index}", "0")
	at := r.Replace(d.path)
	for strings.Contains(at, "{") { // what others name: an id of nothing
		i, j := strings.Index(at, "{"), strings.Index(at, "}")
		at = at[:i] + unknownID(at[i+1:j]) + at[j+1:]
	}
	return at
}

func unknownID(parameter string) string {
	const rest = "_01890a5d-ac96-774b-bcce-b302099a8057"
	prefix := map[string]string{"grant": "grt", "token": "tok", "session": "ses", "link": "lnk", "elevation": "elv", "campaign": "cmp", "agreement": "agr", "standing": "std", "delegation": "dlg", "event": "evt", "leave": "lve"}[parameter]
	if prefix == "" {
		return "nothing"
	}
	return prefix + rest
}

// isObject says whether a reach is that of one thing's tenant.
func isObject(r server.Reach) bool {
	return slices.Contains([]server.Reach{server.OfTenant, server.OfOperation, server.OfHold, server.OfFinding, server.OfPlan}, r)
}

// asker is one role over one scope, with a token of its own.
type asker struct {
	role  tenure.Role
	scope string // all, mine, other
	token string
}

func (a asker) String() string { return string(a.role) + " over " + a.scope }

// TestEveryRouteRoleAndScope asks every documented route as every role over every
// scope, of a tenant that the scope covers and of one that it doesn't: what isn't
// allowed is refused, and no answer tells of a tenant that the caller may not see.
func TestEveryRouteRoleAndScope(t *testing.T) {
	t.Parallel()
	s := newService(t)
	seen, hidden := plant(t, s, "alder", "gold", "ordinary"), plant(t, s, hiddenName, "team", marker)
	gov := governorOf(s)
	srv := newServerWith(t, s, gov)
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(web.Close)
	askers := peopleOf(t, gov)
	routes := documentedRoutes(t, srv)
	if len(routes) < 60 {
		t.Fatalf("the document has %d routes with a reach", len(routes))
	}
	if n := len(srv.Routes()); n != len(routes) {
		t.Errorf("the server has %d routes, the document %d", n, len(routes))
	}
	for _, d := range routes {
		t.Run(d.ID, func(t *testing.T) {
			t.Parallel()
			nobody := ask(t, web, d, d.at(seen), seen.target.Tier, "")
			if unasked := strings.Contains(nobody.body, "nobody is signed in"); unasked != (d.Reach != server.Public) || unasked && nobody.status != http.StatusUnauthorized {
				t.Errorf("without a credential: %d %s", nobody.status, nobody.body)
			}
			if d.ID == "me.signout" { // it would end the callers
				return
			}
			for _, a := range askers {
				for _, p := range []planted{seen, hidden} {
					got := ask(t, web, d, d.at(p), p.target.Tier, a.token)
					judge(t, d, a, p, got)
					if a.scope == "mine" {
						noWord(t, d, a, got, append(hidden.words(), marker), d.at(p))
					}
				}
			}
		})
	}
}

// peopleOf adds one person for each role and scope.
func peopleOf(t *testing.T, gov *governance.Governor) []asker {
	t.Helper()
	ctx, root := context.Background(), governance.Local("root")
	scopes := map[string]tenure.Scope{"all": {All: true}, "mine": {Tiers: []string{"gold"}}, "label": {Labels: []string{"team=gold"}}, "other": {Tiers: []string{"nobody-has-it"}}}
	if _, err := gov.AddPrincipal(ctx, store.Principal{Name: "victim", Kind: tenure.CallerPerson}, "root"); err != nil {
		t.Fatal(err)
	}
	var out []asker
	for _, role := range append(slices.Clone(tenure.Roles), "") {
		for name, scope := range scopes {
			who := fmt.Sprintf("%s-%s", role, name)
			p, err := gov.AddPrincipal(ctx, store.Principal{Name: who, Kind: tenure.CallerPerson}, "root")
			if err == nil && role != "" {
				_, err = gov.Grant(ctx, root, tenure.Grant{Principal: p.ID, Role: role, Scope: scope})
			}
			if err != nil {
				t.Fatal(err)
			}
			me := tenure.Caller{Principal: p.ID, Name: who, Kind: tenure.CallerPerson, Strong: true}
			_, text, err := gov.NewToken(ctx, me, who, store.Token{Name: "matrix", ExpiresAt: gov.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			if name == "label" {
				name = "mine"
			}
			out = append(out, asker{role, name, text.Reveal()})
		}
	}
	return out
}

type answered struct {
	status int
	body   string
}

// ask sends a documented request. Of a stream only the head is read.
func ask(t *testing.T, web *httptest.Server, d documented, path, tier, token string) answered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var body io.Reader
	if c, ok := d.Body.Content["application/json"]; ok {
		body = strings.NewReader(string(c.Example))
	}
	if d.ID == "tenant.labels" { // other ones would put the tenant into other scopes
		body = strings.NewReader(`{"labels": {"team": "` + tier + `"}}`)
	}
	req, err := http.NewRequestWithContext(ctx, d.verb, web.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := web.Client().Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", d.verb, path, err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return answered{status: resp.StatusCode}
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 500 {
		t.Errorf("%s %s answers %d: %s", d.verb, path, resp.StatusCode, b)
	}
	return answered{resp.StatusCode, string(b)}
}

// closer are the routes whose handler asks for more than the route does, and what.
var closer = map[string]string{
	"operation.claim":  "only who requested the operation claims its secrets",
	"standing.propose": "a rule for all tenants takes a grant over all",
	"operation.done":   "who steers says so, or who owns the task",
	"operation.skip":   "asking takes operation.steer, attesting operation.approve",
}

// judge compares an answer with what the roles' table and the scopes say.
func judge(t *testing.T, d documented, a asker, p planted, got answered) {
	t.Helper()
	refused := got.status == http.StatusForbidden || got.status == http.StatusUnauthorized
	may := d.Permission == "" || a.role.May(d.Permission)
	covers := a.role != "" && (a.scope == "all" || a.scope == "mine" && p.target.Tier == "gold")
	bad := func(want string) {
		t.Errorf("%s asks %s %s: %d, want %s: %s", a, d.verb, d.at(p), got.status, want, got.body)
	}
	switch {
	case d.Reach == server.Public: // a code that isn't good is refused, whoever brings it
	case d.Reach == server.Signed:
		if got.status == http.StatusUnauthorized {
			bad("an answer")
		}
	case d.Reach == server.Local:
		if got.status != http.StatusForbidden {
			bad("403")
		}
	case isObject(d.Reach) && !covers:
		if got.status != http.StatusNotFound {
			bad("404, as if it weren't there")
		}
	case isObject(d.Reach) && !may, d.Reach == server.Installation && (!may || a.scope != "all"):
		if got.status != http.StatusForbidden {
			bad("403")
		}
	case closer[d.ID] != "" && got.status == http.StatusForbidden:
	case isObject(d.Reach), d.Reach == server.Installation, d.Reach == server.Anywhere && may, d.Reach == server.List && may:
		if refused {
			bad("no refusal")
		}
	case !may && got.status/100 == 2:
		bad("a refusal")
	}
}

// noWord fails for an answer that tells of what the caller may not see; what they
// themselves asked for may be repeated.
func noWord(t *testing.T, d documented, a asker, got answered, words []string, asked string) {
	t.Helper()
	for _, w := range words {
		if w != "" && strings.Contains(got.body, w) && !strings.Contains(asked, w) {
			t.Errorf("%s asks %s %s and is told %q: %s", a, d.verb, asked, w, got.body)
		}
	}
}

func newServerWith(t testing.TB, s *lifecycle.Service, gov *governance.Governor) *server.Server {
	t.Helper()
	srv, err := server.New(server.Options{Service: s, Governor: gov, Rate: 1e6, Burst: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}
