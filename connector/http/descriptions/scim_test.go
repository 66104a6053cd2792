package descriptions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

func TestSCIM(t *testing.T) { connectortest.Run(t, scimProvider) }

func scimProvider(t *testing.T) *connectortest.World {
	s := scimtest.Start(t)
	proxy := toxitest.New(t, s.Address)
	p := provider{s}
	return &connectortest.World{
		Info:    info(t, "scim"),
		Dear:    true,
		Options: map[string]string{"base": "http://" + proxy.Address + "/scim/v2", "rate": "100000"},
		Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(s.Token)},
		Look:    s.Look,
		LoseSentinel: func(t testing.TB) {
			s.Must(t, http.MethodDelete, "/scim/v2/Groups/"+p.id(t, "group", "tenure-sentinel"), nil, nil)
		},
		Outage: func(t testing.TB) func() { proxy.Down(); return proxy.Heal },
		Cases:  []connectortest.Case{p.user(), p.group()},
	}
}

type provider struct{ *scimtest.Server }

func (p provider) id(t testing.TB, typ, name string) string {
	t.Helper()
	users, groups := p.All(t)
	for _, u := range users {
		if typ == "user" && u["userName"] == name {
			return u["id"].(string)
		}
	}
	for _, g := range groups {
		if typ == "group" && g["displayName"] == name {
			return g["id"].(string)
		}
	}
	return ""
}

func (p provider) patch(t testing.TB, r connector.Ref, operations ...map[string]any) {
	t.Helper()
	path := map[string]string{"user": "/scim/v2/Users/", "group": "/scim/v2/Groups/"}[r.Type]
	p.Must(t, http.MethodPatch, path+p.id(t, r.Type, r.Name), map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": operations}, nil)
}

func (p provider) hands(c connectortest.Case) connectortest.Case {
	c.Unlisted = true
	c.Remark = func(t testing.TB, r connector.Ref, mark string) {
		p.patch(t, r, map[string]any{"op": "replace", "path": "externalId", "value": mark})
	}
	c.Unmark = func(t testing.TB, r connector.Ref) {
		p.patch(t, r, map[string]any{"op": "remove", "path": "externalId"})
	}
	c.Exists = func(t testing.TB, r connector.Ref) bool { return p.id(t, r.Type, r.Name) != "" }
	return c
}

func (p provider) user() connectortest.Case {
	return p.hands(connectortest.Case{
		Type: "user",
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("user%d@acme.example", n), Attributes: map[string]any{"displayName": "Of Acme", "email": fmt.Sprintf("u%d@acme.example", n)}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"displayName": "Of Acme, changed"}
			return d
		},
		Invalid: []map[string]any{{"displayName": 1}, {"phone": "1"}},
		Tamper: func(t testing.TB, r connector.Ref) {
			p.patch(t, r, map[string]any{"op": "replace", "path": "displayName", "value": "Tampered"})
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			p.Must(t, http.MethodPost, "/scim/v2/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": r.Name}, nil)
		},
		Works: func(t testing.TB, d connector.Desired) bool { // as whoever asks the provider sees it
			users, _ := p.All(t)
			for _, u := range users {
				if u["userName"] == d.Name {
					return u["active"] == true && (u["password"] == nil || u["password"] == d.Credential.Reveal())
				}
			}
			return false
		},
	})
}

func (p provider) group() connectortest.Case {
	return p.hands(connectortest.Case{
		Type: "group",
		New: func(t testing.TB, n int) connector.Desired {
			var members []any
			for i := range 3 {
				name := fmt.Sprintf("member%d", i)
				if p.id(t, "user", name) == "" {
					p.Must(t, http.MethodPost, "/scim/v2/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name}, nil)
				}
				members = append(members, name)
			}
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("acme %d", n), Attributes: map[string]any{"members": members}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"members": []any{"member1"}}
			return d
		},
		Invalid: []map[string]any{{"members": "member1"}, {"members": []any{1}}},
		Tamper: func(t testing.TB, r connector.Ref) {
			p.patch(t, r, map[string]any{"op": "remove", "path": "members"})
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			p.Must(t, http.MethodPost, "/scim/v2/Groups", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": r.Name}, nil)
		},
	})
}

// A group of thousands is read and repaired whole, and who was put into it past Tenure shows.
func TestLargeGroup(t *testing.T) {
	s := scimtest.Start(t)
	sys := opened(t, "scim", map[string]string{"base": s.URL + "/scim/v2", "rate": "100000"}, map[string]string{"token": s.Token})
	var members []any
	for n := range 1500 {
		name := fmt.Sprintf("user%04d", n)
		s.Must(t, http.MethodPost, "/scim/v2/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name}, nil)
		members = append(members, name)
	}
	d := wanted("group", "everybody")
	d.Attributes = map[string]any{"members": members[:1499]}
	began := time.Now()
	if _, _, v, err := sys.Ensure(t.Context(), d); err != nil || v != tenure.Verified {
		t.Fatalf("ensure: %s, %v", v, err)
	}
	t.Logf("a group of %d in %s", len(members)-1, time.Since(began))
	p := provider{s}
	p.patch(t, d.Ref, map[string]any{"op": "add", "path": "members", "value": []any{map[string]any{"value": p.id(t, "user", "user1499")}}})
	seen, _, err := sys.Observe(t.Context(), []connector.Ref{d.Ref})
	if err != nil || !strings.Contains(string(seen[0].Attributes), `"user1499"`) {
		t.Errorf("a stranger in the group isn't seen: %v", err)
	}
	if _, rec, v, err := sys.Ensure(t.Context(), d); err != nil || v != tenure.Verified || !rec.Changed {
		t.Errorf("the repair: %s, %v, changed %t", v, err, rec.Changed)
	}
}
