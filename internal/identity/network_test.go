package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/identity"
)

// TestRedirectedElsewhere: nothing that Tenure asks or sends ends up at a host
// that the settings and the discovery document don't name.
func TestRedirectedElsewhere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/.well-known/openid-configuration", "/keys", "/token", "/userinfo"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			delete(h.claims, "email") // so that userinfo is asked
			var reached atomic.Int64
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached.Add(1)
				h.handles = nil
				h.serve(w, r)
			}))
			t.Cleanup(elsewhere.Close)
			h.handles[path] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL+path, http.StatusTemporaryRedirect)
			}
			_, err := h.signIn(t)
			refusedAs(t, err, tenure.Unavailable, "sends Tenure to another place")
			if n := reached.Load(); n != 0 {
				t.Errorf("%d requests went elsewhere", n)
			}
		})
	}
}

// TestTokenRequestStays: what carries the code isn't sent a second time, not even
// to another path of the same host.
func TestTokenRequestStays(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}
	h.handles["/elsewhere"] = func(http.ResponseWriter, *http.Request) { t.Error("the code went to another path") }
	_, err := h.signIn(t)
	refusedAs(t, err, tenure.Unavailable, "sends Tenure to another place")
}

// TestForgedKeyIDs: however many tokens with unknown keys come, the provider's
// key set is asked for a few times and then once in half a minute; people with
// good tokens still get in.
func TestForgedKeyIDs(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	rp := openAt(t, h.set, func() time.Time { return h.at })
	if _, err := h.signInAt(t, rp); err != nil {
		t.Fatal(err)
	}
	var last error
	for i := range 50 {
		h.header["kid"] = fmt.Sprint("forged", i)
		if _, last = h.signInAt(t, rp); last == nil {
			t.Fatal("a forged token got in")
		}
	}
	refusedAs(t, last, tenure.Unavailable, "too often")
	if n := h.keyAsked.Load(); n > 4 {
		t.Errorf("the key set was asked for %d times", n)
	}
	h.header["kid"] = "one"
	if _, err := h.signInAt(t, rp); err != nil {
		t.Errorf("a good token while forged ones come: %v", err)
	}
	before := h.keyAsked.Load()
	h.keys[0]["kid"], h.header["kid"] = "two", "two"
	h.at = h.at.Add(30 * time.Second)
	h.claims["exp"] = h.at.Add(time.Minute).Unix()
	if _, err := h.signInAt(t, rp); err != nil {
		t.Errorf("a rotated key half a minute later: %v", err)
	}
	if n := h.keyAsked.Load() - before; n != 1 {
		t.Errorf("the key set was asked for %d times more", n)
	}
}

// TestDiscoveryIsShared: people who come at once make one request, one who
// leaves doesn't take it from the others, a failure isn't remembered, and a
// document that can't be renewed still serves.
func TestDiscoveryIsShared(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	var asked atomic.Int64
	var down atomic.Bool
	release := make(chan struct{})
	h.handles["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		answerJSON(w, h.doc)
	}
	rp := openAt(t, h.set, func() time.Time { return h.at })
	for range 4 {
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, _, err := rp.Begin(short)
		cancel()
		refusedAs(t, err, tenure.Unavailable, "in time")
	}
	errs := make([]error, 8)
	var people sync.WaitGroup
	for i := range errs {
		people.Go(func() { _, _, errs[i] = rp.Begin(t.Context()) })
	}
	close(release)
	people.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("those who waited: %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the document was asked for %d times", n)
	}
	down.Store(true)
	h.at = h.at.Add(2 * time.Hour)
	if _, _, err := rp.Begin(t.Context()); err != nil {
		t.Errorf("a provider that is down for a moment after two hours: %v", err)
	}
	fresh := openAt(t, h.set, func() time.Time { return h.at })
	_, _, err := fresh.Begin(t.Context())
	refusedAs(t, err, tenure.Unavailable, "status 502")
	down.Store(false)
	begin(t, fresh)
}

// TestNothingSecretIsTold: a provider that repeats all it is sent, everywhere it
// can, doesn't get it into an error; nor does printing what Tenure holds.
func TestNothingSecretIsTold(t *testing.T) {
	t.Parallel()
	var sent sync.Map // what the provider was sent, by the test's name
	echo := func(r *http.Request) string {
		_ = r.ParseForm()
		_, secret, _ := r.BasicAuth()
		text := fmt.Sprint(r.PostForm.Get("code"), " ", r.PostForm.Get("code_verifier"), " ", secret, " ", r.Header.Get("Authorization"))
		sent.Store(r.PostForm.Get("code_verifier"), true)
		return text
	}
	oauthError := func(code string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": echo(r), "error_uri": echo(r)})
		}
	}
	for name, edit := range map[string]func(*hostile){
		"refused": func(h *hostile) { h.handles["/token"] = oauthError("invalid_grant", 400) },
		"client":  func(h *hostile) { h.handles["/token"] = oauthError("invalid_client", 401) },
		"own words": func(h *hostile) {
			h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) { oauthError(echo(r), 400)(w, r) }
		},
		"fault": func(h *hostile) { h.handles["/token"] = oauthError("server_error", 500) },
		"no JSON": func(h *hostile) {
			h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(echo(r))) }
		},
		"redirect": func(h *hostile) {
			h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/?"+url.QueryEscape(echo(r)), http.StatusTemporaryRedirect)
			}
		},
		"no HTTP": func(h *hostile) {
			h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) {
				text := echo(r)
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = conn.Write([]byte(text + "\r\n\r\n"))
				_ = conn.Close()
			}
		},
		"claims": func(h *hostile) {
			h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) {
				h.claims["iss"], h.claims["aud"], h.header["kid"] = echo(r), echo(r), "one"
				answerJSON(w, map[string]any{"access_token": hostileAccess, "token_type": "Bearer", "id_token": h.idToken()})
			}
		},
		"header": func(h *hostile) {
			h.handles["/token"] = func(w http.ResponseWriter, r *http.Request) {
				h.header["alg"], h.header["kid"] = echo(r), echo(r)
				answerJSON(w, map[string]any{"access_token": hostileAccess, "token_type": "Bearer", "id_token": h.idToken()})
			}
		},
		"userinfo": func(h *hostile) {
			delete(h.claims, "email")
			h.handles["/userinfo"] = func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, r.Header.Get("Authorization"), http.StatusForbidden)
			}
		},
		"description": func(h *hostile) {
			h.params = url.Values{"error": {hostileSecret}, "error_description": {hostileCode}, "code": {hostileCode}}
		},
		"description in pieces": func(h *hostile) {
			h.params = url.Values{"error": {"access_denied"}, "error_description": {"marked-<>client-'secret"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			edit(h)
			rp := openAt(t, h.set, func() time.Time { return h.at })
			_, f := begin(t, rp)
			h.claims["nonce"] = f.Nonce.Reveal()
			params := url.Values{"state": {f.State.Reveal()}}
			for k, v := range h.params {
				params[k] = v
			}
			_, err := rp.Finish(t.Context(), f, params)
			if err == nil {
				t.Fatal("it got in")
			}
			told := fmt.Sprintf("%v %+v %q", err, err, tenure.HintsOf(err))
			for e := err; e != nil; e = errors.Unwrap(e) {
				told += fmt.Sprintf(" %+v", e)
			}
			marshalled, _ := json.Marshal([]any{f, h.set})
			told += fmt.Sprintf("%+v %#v %+v %s", f, f, h.set, marshalled)
			for what, secret := range map[string]string{
				"client secret": hostileSecret, "code": hostileCode, "access token": hostileAccess,
				"state": f.State.Reveal(), "nonce": f.Nonce.Reveal(), "verifier": f.Verifier.Reveal(),
			} {
				if strings.Contains(told, secret) {
					t.Errorf("the %s is told: %s", what, told)
				}
			}
			if _, ok := sent.Load(f.Verifier.Reveal()); !ok && !strings.HasPrefix(name, "description") && name != "userinfo" {
				t.Error("the provider was never sent the verifier, so this shows nothing")
			}
		})
	}
}

// TestUnboundFlow: a flow that was never begun, or that lost a part on its way
// through a store, lets nobody in.
func TestUnboundFlow(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	rp := openAt(t, h.set, func() time.Time { return h.at })
	_, whole := begin(t, rp)
	for name, f := range map[string]identity.Flow{
		"zero":        {},
		"no state":    {Nonce: whole.Nonce, Verifier: whole.Verifier, ExpiresAt: whole.ExpiresAt},
		"no nonce":    {State: whole.State, Verifier: whole.Verifier, ExpiresAt: whole.ExpiresAt},
		"no verifier": {State: whole.State, Nonce: whole.Nonce, ExpiresAt: whole.ExpiresAt},
		"no expiry":   {State: whole.State, Nonce: whole.Nonce, Verifier: whole.Verifier},
	} {
		h.claims["nonce"] = f.Nonce.Reveal()
		_, err := rp.Finish(t.Context(), f, url.Values{"code": {hostileCode}, "state": {f.State.Reveal()}})
		if tenure.CodeOf(err) != tenure.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
}
