package oidcclient_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/oidcclient"
	"github.com/tenurehq/tenure/internal/oidctest"
	"github.com/tenurehq/tenure/internal/servertest"
)

func TestConformance(t *testing.T) { connectortest.Run(t, open) }

// world is a provider, and hands on it that don't go through the connector.
type world struct {
	t    testing.TB
	at   *oidctest.Provider
	safe *connectortest.Safe
}

func newWorld(t testing.TB, o oidctest.Options) *world {
	t.Helper()
	o.Registers, o.RedirectURLs = true, []string{"https://app.example/back"}
	return &world{t: t, at: oidctest.Start(t, o), safe: &connectortest.Safe{}}
}

func (w *world) options() map[string]string {
	return map[string]string{"issuer": w.at.Issuer, "rate": "1000", "endSessions": "/admin/clients/{client_id}/logout", "tokenLife": "PT1H"}
}

func (w *world) secrets() map[string]tenure.Secret {
	return map[string]tenure.Secret{"initialToken": w.at.Initial, "endSessionsToken": w.at.Admin}
}

// do sends a request with a bearer token, and gives the status and the body.
func (w *world) do(method, path, token string, body any) (int, []byte) {
	w.t.Helper()
	return servertest.Caller{Base: w.at.Issuer, Authorization: "Bearer " + token}.Do(w.t, method, path, body)
}

// clients are all that are registered, by their ids.
func (w *world) clients() map[string]map[string]any {
	w.t.Helper()
	out := map[string]map[string]any{}
	for _, c := range w.at.Clients(w.t) {
		out[c["client_id"].(string)] = c
	}
	return out
}

// handle is what the connector keeps to manage a client, as a thief of the safe would read it.
type handle struct {
	Now *struct{ Client, Path, Token, Secret string }
}

func (w *world) handle(i connector.Issued) (h handle) {
	w.t.Helper()
	if i.IsZero() {
		return h
	}
	if err := json.Unmarshal([]byte(i.Note.Reveal()), &h); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// change replaces some of a client's metadata.
func (w *world) change(r connector.Ref, with map[string]any) {
	w.t.Helper()
	h := w.handle(w.safe.Issued(r.Resource))
	is := w.clients()[h.Now.Client]
	body := map[string]any{}
	for _, name := range []string{"client_id", "client_secret", "client_name", "software_id", "redirect_uris", "grant_types", "response_types", "post_logout_redirect_uris", "token_endpoint_auth_method", "scope"} {
		if v, ok := is[name]; ok {
			body[name] = v
		}
	}
	maps.Copy(body, with)
	if status, raw := w.do(http.MethodPut, h.Now.Path, h.Now.Token, body); status != http.StatusOK {
		w.t.Fatalf("change: %d %s", status, raw)
	}
}

// token asks the token endpoint for a token that a code that is none can't give, and gives
// the error.
func (w *world) token(credential tenure.Secret) string {
	w.t.Helper()
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(credential.Reveal()), &c); err != nil {
		w.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"none"}, "redirect_uri": {"https://a.example/back"}}
	if c.Secret == "" {
		form.Set("client_id", c.ID)
	}
	req, err := http.NewRequest(http.MethodPost, w.at.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Secret != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+url.QueryEscape(c.Secret))))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var said struct {
		Error string `json:"error"`
	}
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
		w.t.Fatal(err)
	}
	return said.Error
}

func open(t *testing.T) *connectortest.World {
	w := newWorld(t, oidctest.Options{})
	of := func(t testing.TB) *world { return &world{t: t, at: w.at, safe: w.safe} }
	sample := func(name string) connector.Desired {
		return connector.Desired{Ref: connector.Ref{Type: "client", Name: name, Attributes: map[string]any{
			"redirectUris": []any{"https://b.example/back", "https://a.example/back"}, "scope": "openid  offline_access",
		}}}
	}
	client := connectortest.Case{
		Type: "client", Unshared: true,
		New: func(_ testing.TB, n int) connector.Desired { return sample(fmt.Sprintf("app-%d", n)) },
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"redirectUris": []any{"https://c.example/back"}, "grants": []any{"authorization_code"}, "authMethod": "none"}
			return d
		},
		Invalid: []map[string]any{
			{"redirectUris": []any{"http://evil.example/back"}},
			{"redirectUris": []any{"https://a.example/*"}},
			{"redirectUris": []any{"https://a.example/back#here"}},
			{"redirectUris": []any{"javascript:alert(1)"}},
			{"redirectUris": "https://a.example/back"},
			{"grants": []any{"implicit"}, "redirectUris": []any{"https://a.example/back"}},
			{"grants": []any{"password"}},
			{"grants": []any{"authorization_code"}},
			{"grants": []any{"client_credentials"}, "authMethod": "none"},
			{"authMethod": "private_key_jwt"}, // which Tenure couldn't try
			{"redirect_uris": []any{"https://a.example/back"}},
		},
		Tamper: func(t testing.TB, r connector.Ref) {
			of(t).change(r, map[string]any{"redirect_uris": []string{"https://a.example/back", "https://thief.example/back"}})
		},
		Remark: func(t testing.TB, r connector.Ref, mark string) { of(t).change(r, map[string]any{"software_id": mark}) },
		Exists: func(t testing.TB, r connector.Ref) bool {
			w := of(t)
			h := w.handle(w.safe.Issued(r.Resource))
			return h.Now != nil && w.clients()[h.Now.Client] != nil
		},
		Works: func(t testing.TB, d connector.Desired) bool {
			w := of(t)
			c := d.Credential
			if c.IsZero() {
				c = w.safe.Issued(d.Resource).Credential
			}
			return w.token(c) == "invalid_grant"
		},
	}
	check := func(t testing.TB, d connector.Driver) connector.Check {
		want := sample("probed")
		want.Tenant, want.Resource = "ten_1", "res_probed"
		if _, _, err := d.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		return connector.Check{Ref: want.Ref, Credential: w.safe.Issued("res_probed").Credential}
	}
	spoil := func(t testing.TB) {
		of(t).change(connector.Ref{Resource: "res_probed"}, map[string]any{"grant_types": []string{}, "response_types": []string{}})
	}
	return &connectortest.World{
		Info: oidcclient.Info(), Options: w.options(), Secrets: w.secrets(), Safe: w.safe,
		Cases: []connectortest.Case{client},
		Probes: []connectortest.ProbeCase{
			{Kind: "reachable", Check: check, Misconfigure: spoil},
			{Kind: "isolation", Check: check, Misconfigure: spoil},
			{Kind: "isolation", Name: "another address", Check: check, Misconfigure: func(t testing.TB) {
				of(t).change(connector.Ref{Resource: "res_probed"}, map[string]any{"redirect_uris": []string{"https://a.example/back", "https://tenure.invalid/back"}})
			}},
		},
		Look: func(t testing.TB) string {
			all := of(t).clients()
			var b strings.Builder
			for _, id := range slices.Sorted(maps.Keys(all)) {
				raw, _ := json.Marshal(all[id])
				fmt.Fprintf(&b, "%s\n", raw)
			}
			return b.String()
		},
		LoseSentinel: func(t testing.TB) {
			w := of(t)
			for _, i := range w.safe.Sentinel() {
				w.do(http.MethodDelete, "/admin/clients/"+w.handle(i).Now.Client, w.at.Admin.Reveal(), nil)
			}
		},
	}
}
