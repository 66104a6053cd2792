package descriptions_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/standin"
)

// strange is a system that somebody keeps by hand, in which nothing of Tenure's is.
type strange struct {
	name    string
	url     string // of the server
	path    string // of the base below it
	options map[string]string
	secrets map[string]tenure.Secret
	look    func(testing.TB) string
	posts   []string // what is asked that isn't a GET
	want    []string // with TYPE:NAME for IDs
	says    []string // what each begins with
}

func strangers(t *testing.T) []strange {
	secret := func(name, value string) map[string]tenure.Secret {
		return map[string]tenure.Secret{name: tenure.NewSecret(value)}
	}
	var out []strange

	b := pocketbasetest.Start(t)
	for _, name := range []string{"acme_orders", "globex"} {
		b.Must(t, http.MethodPost, "/api/collections", map[string]any{"name": name, "type": "base"}, nil)
	}
	b.Must(t, http.MethodPost, "/api/collections/users/records", map[string]any{"email": "anna@acme.example", "password": "a-long-password", "passwordConfirm": "a-long-password"}, nil)
	out = append(out, strange{
		name: "pocketbase", url: b.URL, options: map[string]string{"identity": b.Identity, "users": "users"}, secrets: secret("password", b.Password), look: b.Look,
		posts: []string{"POST /api/collections/_superusers/auth-with-password"},
		want: []string{
			`place collection:acme_orders "acme_orders" type=collection word=collection`,
			`place collection:globex "globex" type=collection word=collection`,
			`account user:anna@acme.example "anna@acme.example" type=user word=user mails=anna@acme.example made=<some>`,
		},
	})

	n := noderedtest.Start(t)
	n.Must(t, http.MethodPost, "/flow", map[string]any{"label": "acme \"sync\"\n名", "nodes": []any{}}, nil)
	out = append(out, strange{
		name: "nodered", url: n.URL, options: map[string]string{"user": n.User}, secrets: secret("password", n.Password), look: n.Look,
		posts: []string{"POST /auth/token"},
		want:  []string{"job flow:acme \"sync\"\n名 \"acme \\\"sync\\\"\\n名\" type=flow word=flow bears=unmarked"},
	})

	s := scimtest.Start(t)
	var anna struct{ ID string }
	s.Must(t, http.MethodPost, "/scim/v2/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "anna", "displayName": "Anna A.", "externalId": "ext-1",
		"emails": []any{map[string]any{"value": "anna@acme.example"}}}, &anna)
	s.Must(t, http.MethodPost, "/scim/v2/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "gone", "active": false}, nil)
	s.Must(t, http.MethodPost, "/scim/v2/Groups", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": "Acme Ltd", "members": []any{map[string]any{"value": anna.ID}}}, nil)
	out = append(out, strange{
		name: "scim", url: s.URL, path: "/scim/v2", options: map[string]string{"rate": "100000"}, secrets: secret("token", s.Token), look: s.Look,
		want: []string{
			`group group:Acme Ltd "Acme Ltd" type=group word=group bears=unmarked`,
			`account user:anna "anna" type=user word=user called=Anna A. mails=anna@acme.example external=ext-1 reaches=group:Acme Ltd bears=unmarked`,
			`account user:gone "gone" type=user word=user disabled=yes bears=unmarked`,
		},
	})

	st := standin.Stripe(t)
	acme := st.Add("customers", map[string]any{"name": "Acme", "email": "bills@acme.example"})
	st.Add("subscriptions", map[string]any{"customer": acme, "status": "active", "created": 1700000000, "metadata": map[string]any{"tenure_name": "pro"}})
	out = append(out, strange{
		name: "stripe", url: st.URL, options: map[string]string{"rate": "100000", "redact": "no"}, secrets: secret("key", st.Token), look: st.Look,
		want: []string{
			`record customer:Acme "Acme" type=customer word=customer mails=bills@acme.example bears=unmarked`,
			`record subscription:Acme/pro "Acme/pro" type=subscription word=subscription in=customer:Acme called=pro mails=bills@acme.example external=` + acme + ` made=<some> bears=unmarked`,
		},
	})

	h := standin.HubSpot(t)
	h.Add("companies", map[string]any{"properties": map[string]any{"name": "Acme", "domain": "acme.example"}})
	out = append(out, strange{
		name: "hubspot", url: h.URL, options: map[string]string{"rate": "100000"}, secrets: secret("token", h.Token), look: h.Look,
		posts: []string{"POST /crm/v3/objects/deals/search"},
		want:  []string{`record company:Acme "Acme" type=company word=company mails=acme.example bears=unmarked`},
	})

	f := standin.Salesforce(t)
	f.Add("Account", map[string]any{"Name": "Acme", "Website": "https://www.acme.example/home"})
	out = append(out, strange{
		name: "salesforce", url: f.URL, options: map[string]string{"rate": "100000", "clientId": "client"}, secrets: secret("clientSecret", "secret-of-the-client"), look: f.Look,
		posts: []string{"POST /services/oauth2/token"},
		want:  []string{`record account:Acme "Acme" type=account word=account mails=acme.example bears=unmarked`},
	})

	m := standin.Make(t)
	team := m.Add("teams", map[string]any{"name": "acme", "organizationId": "7"})
	m.Add("teams", map[string]any{"name": "globex", "organizationId": "7"})
	m.Add("scenarios", map[string]any{"name": "sync", "teamId": team, "isActive": true})
	m.Add("hooks", map[string]any{"name": "in", "teamId": team, "enabled": false})
	out = append(out, strange{
		name: "make", url: m.URL, path: "/api/v2", options: map[string]string{"rate": "100000", "organization": "7"}, secrets: secret("token", m.Token), look: m.Look,
		want: []string{
			`place team:acme "acme" type=team word=team bears=unmarked`,
			`place team:globex "globex" type=team word=team bears=unmarked`,
			`job scenario:acme/sync "acme/sync" type=scenario word=scenario in=team:acme called=sync bears=unmarked`,
			`job webhook:acme/in "acme/in" type=webhook word=webhook in=team:acme called=in disabled=yes bears=unmarked`,
		},
	})
	return out
}

func (s strange) open(t *testing.T, base string) connector.Driver {
	t.Helper()
	s.options["base"] = base + s.path
	d, err := info(t, s.name).Open(t.Context(), connector.Config{System: "main", Options: s.options, Secrets: s.secrets, Now: time.Now, Marker: connector.Marker{Installation: "ins_1", System: "main", Key: []byte("key")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

var head = regexp.MustCompile(`(?s)^\w+ (\w+):(.+?) "`)

// named has the name of a thing in place of its ID.
func named(lines []string) []string {
	all := strings.Join(lines, "\x00")
	for _, l := range lines {
		if m := head.FindStringSubmatch(l); m != nil {
			name, _, _ := strings.Cut(l[len(m[0]):], `" type=`)
			name = strings.NewReplacer(`\"`, `"`, `\n`, "\n").Replace(name)
			for _, end := range []string{" ", "\x00"} {
				all = strings.ReplaceAll(all+"\x00", m[1]+":"+m[2]+end, m[1]+":"+name+end)
				all = strings.TrimSuffix(all, "\x00")
			}
		}
	}
	return strings.Split(all, "\x00")
}

// A system that Tenure never saw is told as it stands, by the requests that list alone, and
// stays so; with few calls it is told in part, and that is said.
func TestTrace(t *testing.T) {
	t.Parallel()
	for _, s := range strangers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			before := s.look(t)
			proxy := servertest.Record(t, s.url)
			whole := connector.NewBudget(1000)
			got, told := connectortest.Traced(t, s.open(t, proxy.URL), connector.Tracing{Calls: whole}, true)
			if after := s.look(t); before != after {
				t.Errorf("the look changed the system:\n%s", cmp.Diff(before, after))
			}
			signing := 0
			for _, asked := range proxy.Asked() {
				if !strings.HasPrefix(asked, "GET ") && !slices.Contains(s.posts, asked) {
					t.Errorf("the look asked %s", asked)
				}
				if strings.Contains(asked, "auth") {
					signing++
				}
			}
			if n := len(proxy.Asked()) - signing; n != whole.Spent() {
				t.Errorf("%d requests were made, and %d counted", n, whole.Spent())
			}
			if diff := cmp.Diff(s.want, named(got)); diff != "" || len(told.Says) != len(s.says) || told.Fingerprint != "" {
				t.Errorf("%s\n%+v", diff, told)
			}
			for calls := range whole.Spent() {
				budget := connector.NewBudget(calls)
				some, told := connectortest.Traced(t, s.open(t, s.url), connector.Tracing{Calls: budget}, true)
				if len(some) > len(got) || !strings.Contains(strings.Join(told.Says, "; "), "calls were used up") {
					t.Errorf("%d of %d calls: %d of %d told, %q", calls, whole.Spent(), len(some), len(got), told.Says)
				}
			}
		})
	}
}

// A type that may not be read is named, and the others are told; a system that tells nothing
// at all is an error.
func TestTraceOfPart(t *testing.T) {
	t.Parallel()
	m := standin.Make(t)
	team := m.Add("teams", map[string]any{"name": "acme", "organizationId": "7"})
	m.Add("scenarios", map[string]any{"name": "sync", "teamId": team, "isActive": true})
	refused := "/api/v2/hooks"
	m.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, refused) {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	s := strange{name: "make", path: "/api/v2", options: map[string]string{"rate": "100000", "organization": "7"}, secrets: map[string]tenure.Secret{"token": tenure.NewSecret(m.Token)}}
	got, told := connectortest.Traced(t, s.open(t, m.URL), connector.Tracing{}, true)
	if len(got) != 2 || len(told.Says) != 1 || !strings.HasPrefix(told.Says[0], "type webhook wasn't listed in 1 of what it lies in: ") {
		t.Errorf("%q %q", got, told.Says)
	}
	refused = "nothing"
	d := s.open(t, m.URL)
	fingerprint, err := d.Plant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, told = connectortest.Traced(t, d, connector.Tracing{}, true); len(got) != 2 || told.Fingerprint != fingerprint || len(told.Says) > 0 {
		t.Errorf("with Tenure's sentinel: %q %+v", got, told)
	}
	refused = "/"
	if _, err := s.open(t, m.URL).(connector.Tracer).Trace(t.Context(), connector.Tracing{}, func(connector.Trace) error { return nil }); err == nil {
		t.Error("of a system that tells nothing no error is given")
	}
}

// What a blueprint would have to say of a thing is told with it.
func TestTraceAttributes(t *testing.T) {
	t.Parallel()
	b := pocketbasetest.Start(t)
	b.Must(t, http.MethodPost, "/api/collections", map[string]any{"name": "acme_orders", "type": "base", "listRule": "@request.auth.id != ''"}, nil)
	s := strange{name: "pocketbase", options: map[string]string{"identity": b.Identity, "users": "users"}, secrets: map[string]tenure.Secret{"password": tenure.NewSecret(b.Password)}}
	told := map[string]map[string]any{}
	if _, err := s.open(t, b.URL).(connector.Tracer).Trace(t.Context(), connector.Tracing{}, func(one connector.Trace) error {
		told[one.Type+" "+one.Name] = one.Attributes
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := tenure.Canonical(told["collection acme_orders"])
	if err != nil || !strings.Contains(string(got), `"listRule":"@request.auth.id != ''"`) {
		t.Errorf("the collection is told with %s (%v)", got, err)
	}
}
