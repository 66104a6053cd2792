package descriptions_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/standin"
)

// opened is a system that a description describes, planted, as its callers see it.
func opened(t *testing.T, name string, options map[string]string, secrets map[string]string) *connector.System {
	t.Helper()
	hidden := map[string]tenure.Secret{}
	for key, value := range secrets {
		hidden[key] = tenure.NewSecret(value)
	}
	i := info(t, name)
	d, err := i.Open(t.Context(), connector.Config{System: "main", Options: options, Secrets: hidden, Now: time.Now,
		Marker: connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Now()), System: "main", Key: []byte("a key of this test alone")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	fingerprint, err := d.Plant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return connector.NewSystem("main", i, d, fingerprint, 4)
}

func wanted(typ, name string, classes ...string) connector.Desired {
	return connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Tenant: tenure.NewID[tenure.TenantID](time.Now()), Type: typ, Name: name, Classes: classes}}
}

// A service that asks to be left alone is, and what it was asked for is done once.
func TestRetryAfter(t *testing.T) {
	s := standin.HubSpot(t)
	sys := opened(t, "hubspot", map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{"token": s.Token})
	n, refused := 0, 0
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if n++; n%2 == 0 {
			return false
		}
		refused++
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	if _, _, v, err := sys.Ensure(t.Context(), wanted("company", "Acme")); err != nil || v != tenure.Verified {
		t.Errorf("ensure: %s, %v", v, err)
	}
	s.Before = nil
	if made := s.Objects("companies", nil); len(made) != 2 || refused == 0 { // with the sentinel
		t.Errorf("%d companies after %d refusals", len(made), refused)
	}
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	began := time.Now()
	_, _, err := sys.Observe(t.Context(), []connector.Ref{wanted("company", "Acme").Ref})
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || time.Since(began) > 10*time.Second {
		t.Errorf("an hour's wait: %v after %s", err, time.Since(began))
	}
}

// A token that ends is asked for again, once for all that were refused.
func TestTokenEnds(t *testing.T) {
	s := standin.Salesforce(t)
	sys := opened(t, "salesforce", map[string]string{"base": s.URL, "clientId": "client", "rate": "100000"}, map[string]string{"clientSecret": "secret-of-the-client"})
	asked := 0
	s.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/services/oauth2/token" {
			asked++
		} else if asked == 0 {
			s.Token = "another"
		}
		return false
	}
	if _, _, v, err := sys.Ensure(t.Context(), wanted("account", "Acme")); err != nil || v != tenure.Verified || asked != 1 {
		t.Errorf("ensure: %s, %v, %d tokens", v, err, asked)
	}
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		s.Token = "yet another"
		if r.URL.Path != "/services/oauth2/token" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	_, _, _, err := sys.Ensure(t.Context(), wanted("account", "Birch"))
	if tenure.CodeOf(err) != tenure.Blocked || strings.Contains(err.Error(), "secret-of-the-client") {
		t.Errorf("a credential that isn't taken any more: %v", err)
	}
}

// What is answered with yes and not done is no success.
func TestLies(t *testing.T) {
	s := standin.HubSpot(t)
	sys := opened(t, "hubspot", map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{"token": s.Token})
	d := wanted("company", "Acme", "people")
	if _, _, _, err := sys.Ensure(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	id := s.Objects("companies", func(o map[string]any) bool { return o["properties"].(map[string]any)["name"] == "Acme" })[0]["id"]
	s.Add("contacts", map[string]any{"properties": map[string]any{"associatedcompanyid": id, "tenure_data_class": "people"}})
	lie := func(method, path string) {
		s.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != method || !strings.Contains(r.URL.Path, path) {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
			return true
		}
	}
	lie(http.MethodPost, "gdpr-delete")
	if e, err := sys.Erase(t.Context(), d.Ref, connector.Batch{Class: "people", Limit: 10}); tenure.CodeOf(err) != tenure.Blocked || e.Done {
		t.Errorf("an erasure that isn't: %+v, %v", e, err)
	}
	s.Before = nil
	if e, err := sys.Erase(t.Context(), d.Ref, connector.Batch{Class: "people", Limit: 10}); err != nil || !e.Done {
		t.Errorf("the erasure: %+v, %v", e, err)
	}
	lie(http.MethodDelete, "companies")
	if _, v, err := sys.Delete(t.Context(), d.Ref); err != nil || v != tenure.Failed {
		t.Errorf("a deletion that isn't: %s, %v", v, err)
	}
	s.Before = nil
	if _, v, err := sys.Delete(t.Context(), d.Ref); err != nil || v != tenure.Verified {
		t.Errorf("the deletion: %s, %v", v, err)
	}
}

// Absence counts for nothing where less is shown than there is, or what is shown can't be read.
func TestLackOfSight(t *testing.T) {
	s := standin.HubSpot(t)
	sys := opened(t, "hubspot", map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{"token": s.Token})
	absent := []connector.Ref{wanted("deal", "1234567").Ref}
	if _, v, err := sys.Observe(t.Context(), absent); err != nil || v != tenure.Verified {
		t.Fatalf("a whole look: %s, %v", v, err)
	}
	for name, c := range map[string]struct {
		status int
		kind   string
		body   string
	}{
		"fewer than there are": {200, "application/json", `{"results": [], "total": 3}`},
		"a page for people":    {200, "text/html", "<html>Sign in</html>"},
		"no list":              {200, "application/json", `{"results": {"id": 1}}`},
		"cut off":              {200, "application/json", `{"results": [`},
		"forbidden":            {403, "application/json", `{"message": "missing scopes"}`},
		"elsewhere":            {302, "", ""},
		"without ids":          {200, "application/json", `{"results": [{"properties": {}}]}`},
	} {
		s.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "deals/search") {
				return false
			}
			w.Header().Set("Content-Type", c.kind)
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
			return true
		}
		if _, v, err := sys.Observe(t.Context(), absent); err == nil && v != tenure.Unknown {
			t.Errorf("%s: absence is %s", name, v)
		}
	}
}

// A thing that somebody renamed, or whose parent somebody renamed, isn't taken for gone, and
// a repair gives it its name back.
func TestRenamed(t *testing.T) {
	s := standin.Make(t)
	sys := opened(t, "make", map[string]string{"base": s.URL + "/api/v2", "organization": "7", "rate": "100000"}, map[string]string{"token": s.Token})
	team, hook := wanted("team", "acme"), wanted("webhook", "acme/in")
	for _, d := range []connector.Desired{team, hook} {
		if _, _, _, err := sys.Ensure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	mark := func(table, own string) string {
		_, mark, _ := strings.Cut(s.Objects(table, in(own))[0]["name"].(string), " ")
		return mark
	}
	teamMark, hookMark := mark("teams", "acme"), mark("hooks", "in")
	s.Change("teams", in("acme"), func(o map[string]any) { o["name"] = "acme-old " + teamMark })
	s.Change("hooks", in("in"), func(o map[string]any) { o["name"] = "renamed " + hookMark })
	seen, _, err := sys.Observe(t.Context(), []connector.Ref{team.Ref, hook.Ref})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range seen {
		if !o.Found || o.Owner != connector.Ours || !strings.Contains(string(o.Attributes), "renamedTo") {
			t.Errorf("renamed, it is seen as %+v", o)
		}
	}
	for _, d := range []connector.Desired{team, hook} {
		if _, _, v, err := sys.Ensure(t.Context(), d); err != nil || v != tenure.Verified {
			t.Errorf("the repair of %s: %s, %v", d.Name, v, err)
		}
	}
	s.Change("hooks", in("in"), func(o map[string]any) { o["name"] = "renamed " + hookMark })
	if _, v, err := sys.Delete(t.Context(), hook.Ref); err != nil || v != tenure.Verified || len(s.Objects("hooks", nil)) != 0 {
		t.Errorf("the deletion of what was renamed: %s, %v", v, err)
	}
}

// A check says what the account may see, and which right it lacks.
func TestCheckup(t *testing.T) {
	s := standin.HubSpot(t)
	sys := opened(t, "hubspot", map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{"token": s.Token})
	states := func(asked []connector.Asked) map[string]connector.RightState {
		t.Helper()
		c, ok, err := sys.Check(t.Context(), asked)
		if err != nil || !ok || c.Role == "" || len(c.Notes) == 0 {
			t.Fatalf("check: %+v, %t, %v", c, ok, err)
		}
		out := map[string]connector.RightState{}
		for _, r := range c.Rights {
			out[r.Name] = r.State
			if r.State != connector.RightHeld && !strings.Contains(r.Fix, "crm.objects.deals.read") {
				t.Errorf("%s: what would mend it isn't told: %q", r.Name, r.Fix)
			}
		}
		return out
	}
	if got := states(nil); got["list each deal"] != connector.RightHeld || got["list each company"] != connector.RightHeld {
		t.Errorf("with every right: %v", got)
	}
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/deals/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	if got := states(nil); got["list each deal"] != connector.RightMissing || got["list each company"] != connector.RightHeld {
		t.Errorf("without the right to deals: %v", got)
	}
	if got := states([]connector.Asked{{Key: "crm", Type: "company"}}); got["list each deal"] != connector.RightOptional {
		t.Errorf("a blueprint without deals: %v", got)
	}
	s.Before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	if _, _, err := sys.Check(t.Context(), nil); tenure.CodeOf(err) != tenure.Unavailable {
		t.Errorf("a system that is down: %v", err)
	}
}

// A mark that was copied to another thing, whole or in part, neither keeps its resource from
// being changed or deleted nor has the other thing deleted.
func TestCopiedMark(t *testing.T) {
	s := standin.HubSpot(t)
	sys := opened(t, "hubspot", map[string]string{"base": s.URL, "rate": "100000"}, map[string]string{"token": s.Token})
	acme, birch := wanted("company", "Acme"), wanted("company", "Birch")
	for _, d := range []connector.Desired{acme, birch} {
		if _, _, _, err := sys.Ensure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	properties := func(o map[string]any) map[string]any { return o["properties"].(map[string]any) }
	named := func(name string) func(map[string]any) bool {
		return func(o map[string]any) bool { return properties(o)["name"] == name }
	}
	full := properties(s.Objects("companies", named("Acme"))[0])["tenure_mark"].(string)
	bare, _, cut := strings.Cut(full, " ")
	if !cut {
		t.Fatalf("the note says no more than the mark: %s", full)
	}
	for name, copied := range map[string]string{"whole": full, "the mark alone": bare} {
		s.Add("companies", map[string]any{"properties": map[string]any{"name": "Stranger, " + name, "tenure_mark": copied}})
	}
	acme.Attributes = map[string]any{"status": "leaving"}
	if _, _, v, err := sys.Ensure(t.Context(), acme); err != nil || v != tenure.Verified {
		t.Errorf("a change: %s, %v", v, err)
	}
	for range 2 {
		if _, v, err := sys.Delete(t.Context(), acme.Ref); err != nil || v != tenure.Verified {
			t.Errorf("the deletion: %s, %v", v, err)
		}
	}
	seen, absent, err := sys.Observe(t.Context(), []connector.Ref{acme.Ref})
	if err != nil || seen[0].Found || absent != tenure.Verified {
		t.Errorf("what is gone: %+v, %s, %v", seen[0], absent, err)
	}
	if left := s.Objects("companies", nil); len(left) != 4 { // the sentinel, the neighbour, two strangers
		t.Errorf("%d companies are left", len(left))
	}
	s.Change("companies", named("Birch"), func(o map[string]any) { properties(o)["name"] = "Birch and Sons" })
	if _, _, v, err := sys.Ensure(t.Context(), birch); err != nil || v != tenure.Verified || len(s.Objects("companies", named("Birch"))) != 1 {
		t.Errorf("the repair of what was renamed: %s, %v", v, err)
	}
}
