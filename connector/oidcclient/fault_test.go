package oidcclient_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/oidcclient"
	"github.com/tenurehq/tenure/internal/oidctest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

var testMarker = connector.Marker{Installation: "ins_test", System: "under-test", Key: []byte("a key that these tests alone use")}

// driver opens the connector on a world, and plants its sentinel.
func (w *world) driver(change func(map[string]string)) connector.Driver {
	w.t.Helper()
	options := w.options()
	if change != nil {
		change(options)
	}
	d, err := oidcclient.Info().Open(w.t.Context(), connector.Config{
		System: "under-test", Options: options, Secrets: w.secrets(), Marker: testMarker, Safe: w.safe.Of(testMarker.Installation), Now: time.Now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = d.Close() })
	if _, err := d.Plant(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func app(name string) connector.Desired {
	return connector.Desired{Ref: connector.Ref{
		Resource: tenure.NewID[tenure.ResourceID](time.Now()), Tenant: "ten_1", Type: "client", Name: name,
		Attributes: map[string]any{"redirectUris": []any{"https://app.example/back"}},
	}}
}

// armed counts the clients of a name that have a grant, and idle those that have none.
func (w *world) armed(name string) (armed, idle int) {
	for _, c := range w.clients() {
		if grants, _ := c["grant_types"].([]any); c["client_name"] != name {
			continue
		} else if len(grants) > 0 {
			armed++
		} else {
			idle++
		}
	}
	return armed, idle
}

// Wherever the connection is cut, and whichever answer is lost: one client has power, and
// when it is deleted none has. What a lost answer leaves has no grant, nobody has its secret,
// and the receipt counts it.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidctest.Options{})
	proxy := toxitest.New(t, strings.TrimPrefix(w.at.Issuer, "http://"))
	w.at.Behind(t, proxy.Address)
	short := func(o map[string]string) { o["timeout"] = "2s" }
	w.driver(short)
	for kind, after := range map[string]func(int) func() bool{"lost": proxy.LoseAfter, "cut": proxy.CutAfter} {
		ended := false
		for n := 0; n < 30 && !ended; n++ {
			want := app(fmt.Sprintf("%s %d", kind, n))
			d := w.driver(short)
			stop := after(n)
			_, _, err := d.Ensure(t.Context(), want)
			ended = !stop()
			if err != nil && !tenure.CanRetry(err) {
				t.Errorf("%s after %d: ensure: %v, which no retry would help", kind, n, err)
			}
			_, rec, err := w.driver(short).Ensure(t.Context(), want)
			if err != nil {
				t.Fatalf("%s after %d: ensure once more: %v", kind, n, err)
			}
			armed, idle := w.armed(want.Name)
			said := rec.Facts["registrations without an answer"]
			if armed != 1 || idle > 1 || idle == 1 && said != "1" {
				t.Errorf("%s after %d: %d clients with power and %d without, receipt says %q", kind, n, armed, idle, said)
			}
			if w.token(w.safe.Issued(want.Resource).Credential) != "invalid_grant" {
				t.Errorf("%s after %d: the credential that is kept isn't taken", kind, n)
			}
			d = w.driver(short)
			stop = after(n)
			_, err = d.Delete(t.Context(), want.Ref)
			ended = !stop() && ended
			if err != nil && !tenure.CanRetry(err) {
				t.Errorf("%s after %d: delete: %v, which no retry would help", kind, n, err)
			}
			if _, err := w.driver(short).Delete(t.Context(), want.Ref); err != nil {
				t.Fatalf("%s after %d: delete once more: %v", kind, n, err)
			}
			if armed, _ := w.armed(want.Name); armed != 0 {
				t.Errorf("%s after %d: %d clients with power are left", kind, n, armed)
			}
		}
		if !ended {
			t.Errorf("%s: a client takes more packets than were tried", kind)
		}
	}
}

// The owner mark is read back from whichever field the provider keeps; from one that it
// drops nothing is taken on trust.
func TestMarkFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidctest.Options{})
	for _, field := range []string{"software_id", "client_uri"} {
		w.safe = &connectortest.Safe{}
		d := w.driver(func(o map[string]string) { o["mark"] = field })
		want := app("marked in " + field)
		o, _, err := d.Ensure(t.Context(), want)
		if err != nil || o.Owner != connector.Ours || o.Resource != want.Resource {
			t.Errorf("%s: %+v, %v", field, o, err)
		}
		w.change(want.Ref, map[string]any{field: nil})
		if _, err := d.Delete(t.Context(), want.Ref); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("%s: without its mark it is deleted: %v", field, err)
		}
	}
	drops := newWorld(t, oidctest.Options{Drops: true})
	d, err := oidcclient.Info().Open(t.Context(), connector.Config{
		System: "under-test", Options: drops.options(), Secrets: drops.secrets(), Marker: testMarker, Safe: drops.safe.Of(testMarker.Installation), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Plant(t.Context()); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a provider that drops the mark is added: %v", err)
	}
	if left := drops.clients(); len(left) > 0 {
		t.Errorf("the try leaves %v", left)
	}
}

// A provider that gives another registration access token with each change is followed; one
// whose token was lost is told of, and never taken for gone.
func TestLostToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidctest.Options{Rotates: true})
	d := w.driver(nil)
	want := app("rotated")
	for range 2 {
		if _, _, err := d.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.(connector.Suspender).Suspend(t.Context(), want.Ref); err != nil {
		t.Fatal(err)
	}
	if _, err := d.(connector.Suspender).Resume(t.Context(), want.Ref); err != nil {
		t.Fatal(err)
	}
	w.change(want.Ref, nil) // somebody else changes it, and Tenure doesn't hear of the new token
	sight, err := d.Observe(t.Context(), []connector.Ref{want.Ref}, func(connector.Observed) error { return nil })
	if err != nil || sight.Complete || !sight.Sentinel {
		t.Errorf("a client whose token was lost: %+v, %v", sight, err)
	}
	if _, err := d.Delete(t.Context(), want.Ref); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("delete of a client whose token was lost: %v", err)
	}
	w.do(http.MethodDelete, "/admin/clients/"+w.handle(w.safe.Issued(want.Resource)).Now.Client, w.at.Admin.Reveal(), nil)
	if _, err := d.Delete(t.Context(), want.Ref); err != nil {
		t.Errorf("delete after somebody deleted it: %v", err)
	}
}

// A cut ends the sessions that people have with the tenant's application: the application is
// told by back channel, a refresh token is refused, and a neighbour's session goes on.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	told := make(chan string, 4)
	application := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		_ = req.ParseForm()
		told <- req.URL.Path + " " + req.PostForm.Get("logout_token")
	}))
	defer application.Close()
	w := newWorld(t, oidctest.Options{People: []oidctest.Person{{ID: "one", Name: "One", Email: "one@acme.example"}}})
	d := w.driver(nil)
	leaver, stayer := app("leaver"), app("stayer")
	for _, c := range []*connector.Desired{&leaver, &stayer} {
		c.Attributes["scope"], c.Attributes["backchannelLogoutUri"] = "openid", application.URL+"/"+c.Name
		c.Attributes["grants"] = []any{"authorization_code", "refresh_token"}
		if _, _, err := d.Ensure(t.Context(), *c); err != nil {
			t.Fatal(err)
		}
	}
	mine, others := w.signIn(leaver), w.signIn(stayer)
	if mine = w.refresh(leaver, mine); mine == "" {
		t.Fatal("the refresh token isn't taken before the cut")
	}
	rec, err := d.(connector.Revoker).Revoke(t.Context(), leaver.Ref)
	if err != nil || rec.Facts["tokens may live until"] == "" {
		t.Fatalf("revoke: %+v, %v", rec, err)
	}
	select {
	case message := <-told:
		if path, token, _ := strings.Cut(message, " "); path != "/leaver" || strings.Count(token, ".") != 2 {
			t.Errorf("the application was told %q", message)
		}
	case <-time.After(10 * time.Second):
		t.Error("the application wasn't told that its session ended")
	}
	if w.refresh(leaver, mine) != "" {
		t.Error("the refresh token is taken after the cut")
	}
	if w.refresh(stayer, others) == "" {
		t.Error("the neighbour's refresh token is refused")
	}
}

// signIn signs a person in to a client, and gives the refresh token.
func (w *world) signIn(d connector.Desired) string {
	w.t.Helper()
	const verifier = "a-verifier-that-is-long-enough-for-the-specification"
	sum := sha256.Sum256([]byte(verifier))
	form := url.Values{
		"client_id": {w.handle(w.safe.Issued(d.Resource)).Now.Client}, "response_type": {"code"}, "redirect_uri": {"https://app.example/back"},
		"scope": {"openid"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	got := w.at.SignIn(w.t, w.at.Issuer+"/auth?"+form.Encode(), "one")
	if got.Get("code") == "" {
		w.t.Fatalf("%s: the provider sends back %v", d.Name, got)
	}
	return w.exchange(d, url.Values{"grant_type": {"authorization_code"}, "code": {got.Get("code")}, "redirect_uri": {"https://app.example/back"}, "code_verifier": {verifier}})
}

func (w *world) refresh(d connector.Desired, token string) string {
	return w.exchange(d, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// exchange gives the refresh token that the token endpoint answers with, "" if it refuses.
func (w *world) exchange(d connector.Desired, form url.Values) string {
	w.t.Helper()
	h := w.handle(w.safe.Issued(d.Resource))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.at.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(url.QueryEscape(h.Now.Client), url.QueryEscape(h.Now.Secret))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var said map[string]any
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
		w.t.Fatal(err)
	}
	token, _ := said["refresh_token"].(string)
	if token == "" {
		w.t.Logf("%s: the token endpoint says %v", d.Name, said)
	}
	return token
}

// A check says whether clients can be registered, registers none, and tells of a provider
// that lets anybody do it.
func TestCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidctest.Options{})
	for given, state := range map[string]connector.RightState{"right": connector.RightHeld, "wrong": connector.RightMissing} {
		secrets := w.secrets()
		if given == "wrong" {
			secrets["initialToken"] = tenure.NewSecret("another-token")
		}
		d, err := oidcclient.Info().Open(t.Context(), connector.Config{System: "under-test", Options: w.options(), Secrets: secrets, Marker: testMarker, Safe: w.safe.Of(testMarker.Installation), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.(connector.Checker).Check(t.Context(), nil)
		if err != nil || len(got.Rights) != 1 || got.Rights[0].State != state {
			t.Errorf("with the %s token: %+v, %v", given, got, err)
		}
		_ = d.Close()
	}
	if left := w.clients(); len(left) > 0 {
		t.Errorf("the check leaves %v", left)
	}
}
