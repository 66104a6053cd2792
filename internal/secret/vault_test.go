package secret_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/standin"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clock is a time that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func reader(t *testing.T, set secret.Settings, c *clock) *secret.Reader {
	t.Helper()
	v, err := secret.OpenVault(set, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewReader(v)
}

func read(t *testing.T, r *secret.Reader, text string) (secret.Value, error) {
	t.Helper()
	p, ok, err := secret.Parse(text)
	if err != nil || !ok || p.String() != text {
		t.Fatal(text, p, ok, err)
	}
	return r.Read(t.Context(), p)
}

func gives(t *testing.T, r *secret.Reader, text, want string) secret.Value {
	t.Helper()
	v, err := read(t, r, text)
	if err != nil || v.Reveal() != want {
		t.Fatalf("%s: %q, %v", text, v.Reveal(), err)
	}
	return v
}

// Both versions of the key-value store are read, with each way to sign in, and what is
// written anew is what is read next.
func TestVaultIsRead(t *testing.T) {
	t.Parallel()
	v := standin.StartVault(t, time.Now)
	v.Put(t, "secret/platform/main-db", map[string]string{"password": "first-of-two", "user": "tenure"})
	v.Put(t, "plain/hook", map[string]string{"key": "in version one"})
	c := &clock{}
	for name, set := range map[string]secret.Settings{
		"a token":    {Address: v.URL, Token: "file:" + file(t, v.NewToken(t, "secret/platform/", time.Hour))},
		"approle":    {Address: v.URL + "/", AppRole: &secret.AppRole{RoleID: v.RoleID, SecretID: "file:" + file(t, v.SecretID)}},
		"kubernetes": {Address: v.URL, Kubernetes: &secret.Kubernetes{Role: v.Role, JWTFile: file(t, v.JWT)}},
	} {
		r := reader(t, set, c)
		got := gives(t, r, "vault:secret/platform/main-db#password", "first-of-two")
		if since := time.Since(got.Since); since < 0 || since > time.Minute {
			t.Errorf("%s: written %s ago", name, since)
		}
		if name != "a token" {
			gives(t, r, "vault:plain/hook#key", "in version one")
		}
	}
	r := reader(t, secret.Settings{Address: v.URL, Token: "file:" + file(t, v.Token)}, c)
	gives(t, r, "vault:secret/platform/main-db#password", "first-of-two")
	v.Put(t, "secret/platform/main-db", map[string]string{"password": "second-of-two"})
	gives(t, r, "vault:secret/platform/main-db#password", "second-of-two")
}

// A token is renewed before it ends; one that was revoked, or that ended while nobody
// looked, is replaced without anybody's help.
func TestVaultSessionLasts(t *testing.T) {
	t.Parallel()
	v := standin.StartVault(t, time.Now)
	v.Put(t, "secret/db", map[string]string{"password": "the password"})
	c := &clock{}
	r := reader(t, secret.Settings{Address: v.URL, AppRole: &secret.AppRole{RoleID: v.RoleID, SecretID: "file:" + file(t, v.SecretID)}}, c)
	const place = "vault:secret/db#password"
	for range 3 {
		gives(t, r, place, "the password")
	}
	if n, m := v.Asked("auth/approle/login"), v.Asked("auth/token/renew-self"); n != 1 || m != 0 {
		t.Errorf("three reads signed in %d times and renewed %d times", n, m)
	}
	c.forward(31 * time.Minute)
	if err := r.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	gives(t, r, place, "the password")
	if n, m := v.Asked("auth/approle/login"), v.Asked("auth/token/renew-self"); n != 1 || m != 1 {
		t.Errorf("past half of the token's life: signed in %d times, renewed %d times", n, m)
	}
	v.Revoke()
	gives(t, r, place, "the password")
	if n := v.Asked("auth/approle/login"); n != 2 {
		t.Errorf("after a revocation: signed in %d times", n)
	}
}

// A sign-in that fails at half of a token's life stops no read while the token is good, and
// is told of; at the token's end it stops them.
func TestVaultSessionGoesOn(t *testing.T) {
	t.Parallel()
	c := &clock{}
	v := standin.StartVault(t, c.now)
	v.Put(t, "secret/db", map[string]string{"password": "the password"})
	var refuses atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if refuses.Load() && strings.HasSuffix(q.URL.Path, "/renew-self") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		to, _ := url.Parse(v.URL)
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, q)
	}))
	defer front.Close()
	id := file(t, v.SecretID)
	r := reader(t, secret.Settings{Address: front.URL, AppRole: &secret.AppRole{RoleID: v.RoleID, SecretID: "file:" + id}}, c)
	const place = "vault:secret/db#password"
	gives(t, r, place, "the password")
	refuses.Store(true)
	if err := os.WriteFile(id, []byte("used up"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.forward(31 * time.Minute)
	gives(t, r, place, "the password")
	if err := r.Keep(t.Context()); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "refuses to sign Tenure in") {
		t.Errorf("a sign-in that fails isn't told of: %v", err)
	}
	c.forward(30 * time.Minute)
	if _, err := read(t, r, place); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("after the token's end: %v", err)
	}
	if err := os.WriteFile(id, []byte(v.SecretID), 0o600); err != nil {
		t.Fatal(err)
	}
	gives(t, r, place, "the password")
}

// Who waits for another's sign-in waits no longer than its own context.
func TestVaultSignInWaits(t *testing.T) {
	t.Parallel()
	asked, stop := make(chan struct{}, 1), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-stop
	}))
	defer hangs.Close()
	defer close(stop)
	r := reader(t, secret.Settings{Address: hangs.URL, AppRole: &secret.AppRole{RoleID: "role", SecretID: "file:" + file(t, "id")}}, &clock{})
	p, _, err := secret.Parse("vault:secret/db#password")
	if err != nil {
		t.Fatal(err)
	}
	first, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = r.Read(first, p)
	}()
	<-asked
	second, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := r.Read(second, p); tenure.CodeOf(err) != tenure.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read that waits for a sign-in: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it waited %s", took)
	}
	end()
	<-done
}

// What the vault refuses, lacks or can't give is said plainly, with what to do, and no
// secret is in it.
func TestVaultRefuses(t *testing.T) {
	t.Parallel()
	v := standin.StartVault(t, time.Now)
	v.Put(t, "secret/mine/db", map[string]string{"password": "hidden-password"})
	v.Put(t, "secret/other/db", map[string]string{"password": "hidden-password"})
	v.Put(t, "secret/mine/gone", map[string]string{"password": "hidden-password"})
	v.Delete(t, "secret/mine/gone")
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, v.URL+q.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer moved.Close()
	mine := file(t, v.NewToken(t, "secret/mine/", 0))
	with := func(address string) secret.Settings { return secret.Settings{Address: address, Token: "file:" + mine} }
	approle := func(mount string) secret.Settings {
		return secret.Settings{Address: v.URL, AppRole: &secret.AppRole{RoleID: v.RoleID, SecretID: "file:" + file(t, "wrong-secret-id"), Mount: mount}}
	}
	for _, c := range []struct {
		name, place, says string
		set               secret.Settings
		code              tenure.Code
	}{
		{"no policy", "vault:secret/other/db#password", "refuses to let Tenure read it", with(v.URL), tenure.Blocked},
		{"no mount", "vault:nowhere/db#password", "refuses to let Tenure read it", with(v.URL), tenure.Blocked},
		{"no secret", "vault:secret/mine/none#password", "no such secret", with(v.URL), tenure.Blocked},
		{"no field", "vault:secret/mine/db#pasword", "no such field", with(v.URL), tenure.Blocked},
		{"deleted", "vault:secret/mine/gone#password", "latest version was deleted", with(v.URL), tenure.Blocked},
		{"a standby", "vault:secret/mine/db#password", "standby", with(moved.URL), tenure.Blocked},
		{"nobody", "vault:secret/mine/db#password", "doesn't answer", with("http://127.0.0.1:1"), tenure.Unavailable},
		{"a wrong secret id", "vault:secret/mine/db#password", "refuses to sign Tenure in at auth/approle", approle(""), tenure.Blocked},
		{"no policy default", "vault:secret/mine/db#password", "look itself up", secret.Settings{Address: v.URL, Token: "file:" + file(t, v.NewBareToken(t, "secret/mine/"))}, tenure.Blocked},
		{"a wrong token", "vault:secret/mine/db#password", "doesn't know the token", secret.Settings{Address: v.URL, Token: "file:" + file(t, "wrong-token")}, tenure.Blocked},
	} {
		_, err := read(t, reader(t, c.set, &clock{}), c.place)
		if tenure.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%s)", c.name, err, tenure.CodeOf(err))
			continue
		}
		for _, word := range []string{"hidden-password", "wrong-secret-id", "wrong-token", v.RoleID, v.Token} {
			if strings.Contains(err.Error()+strings.Join(tenure.HintsOf(err), " "), word) {
				t.Errorf("%s: the error tells a secret: %v", c.name, err)
			}
		}
	}
	v.Seal(t, true)
	r := reader(t, with(v.URL), &clock{})
	if _, err := read(t, r, "vault:secret/mine/db#password"); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("sealed: %v", err)
	}
	v.Seal(t, false)
	gives(t, r, "vault:secret/mine/db#password", "hidden-password")
}

// A vault whose answers would pass in clear, or whose token stands in the settings, isn't
// opened, and what is no place isn't read.
func TestVaultSettings(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]secret.Settings{
		"in clear":         {Address: "http://vault.example:8200", Token: "env:HOME"},
		"a user":           {Address: "https://me:you@vault.example", Token: "env:HOME"},
		"no address":       {Token: "env:HOME"},
		"a token in clear": {Address: "https://vault.example", Token: "hvs.abc"},
		"a token in it":    {Address: "https://vault.example", Token: "vault:secret/a#b"},
		"nobody":           {Address: "https://vault.example"},
		"two":              {Address: "https://vault.example", Token: "env:HOME", Kubernetes: &secret.Kubernetes{Role: "a"}},
		"no role":          {Address: "https://vault.example", Kubernetes: &secret.Kubernetes{}},
		"no roleId":        {Address: "https://vault.example", AppRole: &secret.AppRole{SecretID: "env:HOME"}},
		"no certificates":  {Address: "https://vault.example", Token: "env:HOME", CAFile: "/nowhere/ca.pem"},
	} {
		if _, err := secret.OpenVault(set, time.Now); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"vault:", "vault:secret#a", "vault:secret/a", "vault:secret/a#", "vault:/a#b", "vault:secret//a#b", "vault:secret/../a#b", "vault:secret/a?x#b"} {
		if _, _, err := secret.Parse(text); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "plain", "postgres://here", "./file", "Vault:a/b#c"} {
		if _, ok, err := secret.Parse(text); ok || err != nil {
			t.Errorf("%s: %t %v", text, ok, err)
		}
	}
	for _, text := range []string{"env:TENURE_NOT_SET_ANYWHERE", "file:/nowhere/at/all", "file:" + file(t, ""), "vault:secret/a#b"} {
		if _, err := read(t, secret.NewReader(nil), text); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", text, err)
		}
	}
}
