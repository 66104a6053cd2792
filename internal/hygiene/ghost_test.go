package hygiene_test

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/scimtest"
)

// real is a look at a real system in the place of the one in memory.
func real(t *testing.T, info connector.Info, options map[string]string, secrets map[string]tenure.Secret) *look {
	t.Helper()
	ctx := context.Background()
	l := newLook(t, filepath.Join(t.TempDir(), "tenure.db"))
	d, err := info.Open(ctx, connector.Config{System: "main", Options: options, Secrets: secrets, Marker: l.marker, Now: l.Now})
	l.must(err)
	t.Cleanup(func() { _ = d.Close() })
	fingerprint, err := d.Plant(ctx)
	l.must(err)
	l.sys = connector.NewSystem("main", info, d, fingerprint, 0)
	return l
}

// swept are what a sweep says of accounts.
func (l *look) swept(tenant tenure.TenantID) (got []string, all []tenure.Finding, sum hygiene.Summary) {
	l.t.Helper()
	sum, err := l.Sweep(context.Background(), l.sys, tenant, func(f tenure.Finding) error {
		got = append(got, string(f.Kind)+" "+f.Name+" "+string(f.Confidence))
		all = append(all, f)
		return nil
	})
	l.must(err)
	slices.Sort(got)
	return got, all, sum
}

// On a real SCIM provider, users that somebody made beside Tenure are found once their
// tenant has left; its neighbours' are left alone, and so is the provider.
func TestGhostsInSCIM(t *testing.T) {
	t.Parallel()
	srv := scimtest.Start(t)
	i := slices.IndexFunc(descriptions.Infos(), func(i connector.Info) bool { return i.Name == "scim" })
	l := real(t, descriptions.Infos()[i], map[string]string{"base": srv.URL + "/scim/v2", "rate": "100000"}, map[string]tenure.Secret{"token": tenure.NewSecret(srv.Token)})
	left := l.party("acme", tenure.TenantRetained, tenure.KnownBy{Domains: []string{"acme.example"}, ExternalIDs: []string{"crm-0001"}})
	l.tenant = l.party("acme-2", tenure.TenantActive, tenure.KnownBy{Domains: []string{"acme.example.org"}})
	l.make("user", map[string]any{"email": "admin@acme.example.org"}, "acme-2-admin")
	l.tenant = left
	ours := l.make("user", nil, "acme-admin")
	l.stands(ours[0], tenure.ResourceRevoked) // and somebody switched it on again
	hand := func(name string, more map[string]any) {
		body := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name, "active": true}
		for k, v := range more {
			body[k] = v
		}
		srv.Must(t, http.MethodPost, "/scim/v2/Users", body, nil)
	}
	mails := func(list ...string) map[string]any {
		var out []map[string]any
		for _, m := range list {
			out = append(out, map[string]any{"value": m})
		}
		return map[string]any{"emails": out}
	}
	hand("a-crm", map[string]any{"externalId": "crm-0001"})
	hand("b-mail", mails("private@gmail.com", "Jane+ops@ACME.example"))
	hand("jane@acme.example", nil)
	hand("svc-acme", nil)
	hand("off", map[string]any{"externalId": "crm-0001", "active": false})
	hand("n-org", mails("jane@acme.example.org"))
	hand("n-sub", mails("jane@eu.acme.example"))
	hand("acme-2-jane", nil)
	before := srv.Look(t)
	want := []string{
		"ghost_user a-crm strong", "ghost_user acme-admin certain", "ghost_user b-mail likely", "ghost_user jane@acme.example likely", "ghost_user svc-acme possible",
	}
	got, all, sum := l.swept("")
	same(t, got, want)
	if !sum.Trusted || sum.Accounts != 10 {
		t.Errorf("%+v", sum)
	}
	if srv.Look(t) != before {
		t.Error("a sweep changed the provider")
	}
	// The steps are exact: a person who does them as they are written settles it.
	for _, f := range all {
		if f.Name != "a-crm" {
			continue
		}
		for _, step := range f.Steps {
			verb, rest, _ := strings.Cut(step, " ")
			path, _, _ := strings.Cut(rest, " ")
			if verb == http.MethodDelete {
				srv.Must(t, verb, "/scim/v2"+path, nil, nil)
			}
		}
	}
	got, _, _ = l.swept("")
	same(t, got, want[1:])
}

// On a real PostgreSQL: roles that log in, by whom ever they were made, beside a neighbour
// whose name begins alike and groups that nobody logs in by.
func TestGhostsInPostgreSQL(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	l := real(t, postgres.Info(), nil, map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)})
	token := "t" + postgrestest.Token() // roles are the whole server's
	left := l.party(token, tenure.TenantRetained, tenure.KnownBy{})
	l.tenant = l.party(token+"-2", tenure.TenantActive, tenure.KnownBy{})
	l.make("role", map[string]any{"login": true}, token+"_2_app")
	l.tenant = left
	ours := l.make("role", map[string]any{"login": true}, token+"_app")
	l.stands(ours[0], tenure.ResourceRevoked)
	quote := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	roles := map[string]string{
		token + "_report": "login", token + "-Ops": "login password 'x'", token + `_"quoted"`: "login", token + "_group": "nologin",
		token + "_2_report": "login", token + "s": "login", "x" + token: "login",
	}
	for name, with := range roles {
		postgrestest.Exec(t, dsn, "create role "+quote(name)+" "+with)
	}
	t.Cleanup(func() {
		for _, name := range append([]string{token + "_app", token + "_2_app"}, slices.Sorted(func(yield func(string) bool) {
			for name := range roles {
				if !yield(name) {
					return
				}
			}
		})...) {
			postgrestest.Exec(t, dsn, "drop role if exists "+quote(name))
		}
	})
	got, all, sum := l.swept(left)
	want := []string{"ghost_user " + token + "-Ops possible", "ghost_user " + token + `_"quoted" possible`, "ghost_user " + token + "_app certain", "ghost_user " + token + "_report possible"}
	slices.Sort(want)
	same(t, got, want)
	if !sum.Trusted {
		t.Errorf("%+v", sum)
	}
	for _, f := range all { // as they are written
		for _, step := range f.Steps {
			_, after, described := strings.Cut(step, ": ")
			if !described {
				after = step
			}
			postgrestest.Exec(t, dsn, after)
		}
	}
	got, _, _ = l.swept(left)
	same(t, got, []string{"ghost_user " + token + "_app certain"})
}

// A user that somebody gave another name is drift, which says the name, and no copy of itself
// that a sweep has somebody delete; a repair gives it its name back.
func TestRenamedIsDrift(t *testing.T) {
	t.Parallel()
	srv := scimtest.Start(t)
	i := slices.IndexFunc(descriptions.Infos(), func(i connector.Info) bool { return i.Name == "scim" })
	l := real(t, descriptions.Infos()[i], map[string]string{"base": srv.URL + "/scim/v2", "rate": "100000"}, map[string]tenure.Secret{"token": tenure.NewSecret(srv.Token)})
	l.tenant = l.party("acme", tenure.TenantActive, tenure.KnownBy{})
	attributes := map[string]any{"email": "admin@acme.example"}
	id := l.make("user", attributes, "acme-admin")[0]
	users, _ := srv.All(t)
	srv.Must(t, http.MethodPatch, "/scim/v2/Users/"+users[0]["id"].(string), map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{map[string]any{"op": "replace", "path": "userName", "value": "acme-boss"}},
	}, nil)
	l.sys = connector.NewSystem("main", l.sys.Info, l.sys.Driver(), l.sys.Fingerprint, 1) // no look waits for another
	var found []tenure.Finding
	take := func(f tenure.Finding) error { found = append(found, f); return nil }
	_, err := l.Drift(context.Background(), l.sys, l.tenant, take)
	l.must(err)
	if len(found) != 1 || found[0].Kind != tenure.FindingDrift || found[0].Name != "acme-admin" || !strings.Contains(found[0].Got, "acme-boss") {
		t.Errorf("drift says %+v", found)
	}
	if got, all, _ := l.swept(""); len(got) > 0 {
		t.Errorf("a sweep says %+v", all)
	}
	_, _, v, err := l.sys.Ensure(context.Background(), connector.Desired{Ref: connector.Ref{Resource: id, Tenant: l.tenant, Environment: "prod", Type: "user", Name: "acme-admin", Attributes: attributes}, Credential: tenure.NewSecret("s acme-admin")})
	if l.must(err); v != tenure.Verified {
		t.Errorf("the repair is %s", v)
	}
	if users, _ = srv.All(t); len(users) != 1 || users[0]["userName"] != "acme-admin" {
		t.Errorf("after it was made again there are %v", users)
	}
}
