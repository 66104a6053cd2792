package rest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

func open(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// No path leads off the base.
func TestResolve(t *testing.T) {
	base, err := ParseBase("https://api.example.com/v1/")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/things": "https://api.example.com/v1/things", "/things/a%20b?x=1%2F2": "https://api.example.com/v1/things/a%20b?x=1%2F2", "/a;b,c": "https://api.example.com/v1/a;b,c", "/%24x": "https://api.example.com/v1/%24x",
	} {
		if u, err := Resolve(base, path); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v, want %s", path, u, err, want)
		}
	}
	for _, path := range []string{"", "things", "//elsewhere.example/x", "https://elsewhere.example", "/../v2", "/a/../../x", "/a/%2e%2e/x", "/a%2fb", "/a%5Cb", `/a\b`, "/x#y", "/x?a b", "/./x"} {
		if u, err := Resolve(base, path); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q leads to %v, %v", path, u, err)
		}
	}
}

// What a system says, and what it does with requests that come again.
func TestSend(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_, _ = fmt.Fprintf(w, `{"said": %q, "esc": "a\u0007b"}`, r.Header.Get("Authorization")+r.Header.Get("X-Own"))
		case "/busy":
			if n == 1 {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(503)
			}
		case "/away":
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", MaxBody+1))
		case "/broken":
			w.WriteHeader(500)
		}
	}))
	defer srv.Close()
	c := open(t, Options{Base: srv.URL, Auth: Bearer(tenure.NewSecret("the-secret-token")), Hidden: []tenure.Secret{tenure.NewSecret("the-secret-token")}})
	for _, r := range []struct {
		Request
		asked int64
		code  tenure.Code // "" is an answer
		retry bool
	}{
		{Request{Path: "/busy"}, 2, "", false},
		{Request{Path: "/busy", Method: "POST", Body: []byte("{}")}, 1, tenure.Unavailable, true}, // it may have been done
		{Request{Path: "/busy", Method: "POST", Body: []byte("{}"), Again: true}, 2, "", false},
		{Request{Path: "/broken"}, 1, tenure.Unavailable, true},
		{Request{Path: "/long"}, 1, tenure.Invalid, false},
		{Request{Path: "/x/../y"}, 0, tenure.Invalid, false},
	} {
		asked.Store(0)
		_, err := c.Send(t.Context(), r.Request)
		if code := tenure.CodeOf(err); err != nil && code != r.code || err == nil && r.code != "" || asked.Load() != r.asked || tenure.CanRetry(err) != r.retry {
			t.Errorf("%s %s: %v after %d requests", r.Method, r.Path, err, asked.Load())
		}
	}
	a, err := c.Send(t.Context(), Request{Path: "/away"})
	if err != nil || a.Status != http.StatusFound || a.OK() || tenure.CodeOf(a.Err()) != tenure.Blocked {
		t.Errorf("a redirect: %+v, %v", a.Status, err)
	}
	a, err = c.Send(t.Context(), Request{Path: "/echo", Header: http.Header{"X-Own": {"another-secret"}}, Hidden: []tenure.Secret{tenure.NewSecret("another-secret")}})
	if err != nil || !strings.Contains(a.Err().Error(), "said") || strings.Contains(a.Err().Error(), "the-secret") || strings.Contains(a.Err().Error(), "another") || strings.ContainsRune(a.Err().Error(), 7) {
		t.Errorf("what a system repeats: %v, %v", a.Err(), err)
	}
}

// A token that a system repeats isn't told.
func TestTokenIsHidden(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token": "a-token-of-the-hour", "expires_in": 3600}`)
			return
		}
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"message": "don't know %s"}`, r.Header.Get("Authorization"))
	}))
	defer srv.Close()
	c := open(t, Options{Base: srv.URL, Auth: ClientCredentials("/token", "client", tenure.NewSecret("secret"), "", time.Now)})
	a, err := c.Send(t.Context(), Request{Path: "/x"})
	if err != nil || !strings.Contains(a.Err().Error(), "don't know") || strings.Contains(a.Err().Error(), "of-the-hour") {
		t.Errorf("%v, %v", a.Err(), err)
	}
}

// No part of a secret is told where a text is cut across one.
func TestCutSecret(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before, _ := strconv.Atoi(r.URL.Query().Get("before"))
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(400)
		_, _ = io.WriteString(w, strings.Repeat("x", before)+r.Header.Get("Authorization")+" and "+r.Header.Get("X-Own"))
	}))
	defer srv.Close()
	token, own := rand.Text()+rand.Text(), rand.Text()+rand.Text()
	c := open(t, Options{Base: srv.URL, Auth: Bearer(tenure.NewSecret(token)), Hidden: []tenure.Secret{tenure.NewSecret(token)}})
	for before := 180; before < 300; before += 7 {
		a, err := c.Send(t.Context(), Request{Path: fmt.Sprint("/?before=", before), Header: http.Header{"X-Own": {own}}, Hidden: []tenure.Secret{tenure.NewSecret(own)}})
		if err != nil {
			t.Fatal(err)
		}
		if said := a.Err().Error(); strings.Contains(said, token[:8]) || strings.Contains(said, own[:8]) {
			t.Fatalf("after %d characters: %s", before, said)
		}
	}
}

// Both sides show a certificate, and a system of another authority is none.
func TestMutualTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.StartTLS()
	defer srv.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tenure"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	a, err := open(t, Options{Base: srv.URL, CA: ca, Cert: tenure.NewSecret(pair)}).Send(t.Context(), Request{Path: "/"})
	if err != nil || string(a.Body) != "tenure" {
		t.Errorf("with both: %q, %v", a.Body, err)
	}
	for name, o := range map[string]Options{"without a certificate": {Base: srv.URL, CA: ca}, "of an authority that isn't known": {Base: srv.URL, Cert: tenure.NewSecret(pair)}} {
		if _, err := open(t, o).Send(t.Context(), Request{Path: "/"}); tenure.CodeOf(err) != tenure.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]Options{"half a pair": {Base: srv.URL, Cert: tenure.NewSecret(ca)}, "no authority": {Base: srv.URL, CA: "x"}, "a base with a password": {Base: "https://a:b@example.com"}, "no base": {}} {
		if _, err := Open(o); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Pointers lead where RFC 6901 says.
func TestAt(t *testing.T) {
	v := map[string]any{"a": []any{int64(1), map[string]any{"b/c": "x", "d~e": "y", "": "z"}}}
	for pointer, want := range map[string]any{"/a/0": int64(1), "/a/1/b~1c": "x", "/a/1/d~0e": "y", "/a/1/": "z"} {
		if got, ok := At(v, pointer); !ok || got != want {
			t.Errorf("%s: %v, %t", pointer, got, ok)
		}
	}
	for _, pointer := range []string{"a", "/b", "/a/2", "/a/01", "/a/-1", "/a/0/x"} {
		if got, ok := At(v, pointer); ok {
			t.Errorf("%s leads to %v", pointer, got)
		}
	}
}
