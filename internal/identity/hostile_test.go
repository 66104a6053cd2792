package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/identity"
)

const (
	hostileClient = "tenure"
	hostileSecret = "marked-client-secret"
	hostileCode   = "marked-code"
	hostileAccess = "marked-access-token"
)

// hostile is a provider that does what a test wants it to. Untouched, it signs
// Ada in as it should.
type hostile struct {
	*httptest.Server
	keyAsked atomic.Int64

	claims  map[string]any
	header  map[string]any
	sign    func(signed []byte) []byte
	doc     map[string]any
	keys    []map[string]any
	params  url.Values
	handles map[string]http.HandlerFunc // by path, instead of what it does else
	userinf map[string]any

	rsa *rsa.PrivateKey
	set identity.Settings
	at  time.Time
}

// at is when everything happens: a time far from the machine's shows that no
// check goes by the machine's clock.
func at() time.Time { return time.Date(2031, 3, 4, 5, 6, 7, 0, time.UTC) }

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{handles: map[string]http.HandlerFunc{}, at: at()}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	var err error
	if h.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	h.header = map[string]any{"alg": "RS256", "kid": "one"}
	h.sign = func(signed []byte) []byte { return rs256(t, h.rsa, signed) }
	h.keys = []map[string]any{rsaJWK("one", &h.rsa.PublicKey)}
	h.claims = map[string]any{
		"iss": h.URL, "aud": hostileClient, "sub": "ada", "exp": h.at.Add(time.Minute).Unix(), "iat": h.at.Unix(),
		"auth_time": h.at.Unix(), "email": "ada@example.com", "email_verified": true, "name": "Ada", "amr": []string{"mfa"},
	}
	h.doc = map[string]any{
		"issuer": h.URL, "authorization_endpoint": h.URL + "/authorize", "token_endpoint": h.URL + "/token", "jwks_uri": h.URL + "/keys",
		"userinfo_endpoint": h.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	}
	h.params = url.Values{"code": {hostileCode}}
	h.userinf = map[string]any{"sub": "ada", "email": "ada@example.com", "email_verified": true}
	h.set = identity.Settings{
		Issuer: h.URL, ClientID: hostileClient, ClientSecret: tenure.NewSecret(hostileSecret), RedirectURL: redirect, StrongAMR: []string{"mfa"},
	}
	return h
}

func (h *hostile) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/keys" {
		h.keyAsked.Add(1)
	}
	if handle := h.handles[r.URL.Path]; handle != nil {
		handle(w, r)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answerJSON(w, h.doc)
	case "/keys":
		answerJSON(w, map[string]any{"keys": h.keys})
	case "/token":
		answerJSON(w, map[string]any{"access_token": hostileAccess, "token_type": "Bearer", "id_token": h.idToken()})
	case "/userinfo":
		answerJSON(w, h.userinf)
	default:
		http.NotFound(w, r)
	}
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (h *hostile) idToken() string {
	header, _ := json.Marshal(h.header)
	payload, _ := json.Marshal(h.claims)
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(h.sign([]byte(signed)))
}

// signIn goes through a whole sign-in: the nonce of the request is what the
// claims hold, unless the test wants another.
func (h *hostile) signIn(t *testing.T) (identity.Identity, error) {
	t.Helper()
	return h.signInAt(t, openAt(t, h.set, func() time.Time { return h.at }))
}

func (h *hostile) signInAt(t *testing.T, rp *identity.Provider) (identity.Identity, error) {
	t.Helper()
	_, f, err := rp.Begin(t.Context())
	if err != nil {
		return identity.Identity{}, err
	}
	if nonce, edited := h.claims["nonce"]; !edited || nonce == "fresh" {
		h.claims["nonce"] = f.Nonce.Reveal()
		defer func() { h.claims["nonce"] = "fresh" }()
	}
	params := url.Values{"state": {f.State.Reveal()}}
	for k, v := range h.params {
		params[k] = v
	}
	return rp.Finish(t.Context(), f, params)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rs256(t *testing.T, key *rsa.PrivateKey, signed []byte) []byte {
	sum := sha256.Sum256(signed)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return sig
}

func rsaJWK(kid string, key *rsa.PublicKey) map[string]any {
	return map[string]any{"kty": "RSA", "use": "sig", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
}

// hs256WithPublicKey signs with what everybody knows, as if it were a secret.
func hs256WithPublicKey(h *hostile) {
	h.header["alg"] = "HS256"
	h.sign = func(signed []byte) []byte {
		mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(&h.rsa.PublicKey))
		mac.Write(signed)
		return mac.Sum(nil)
	}
}

// TestHostile: each row is one way in which a provider, or somebody who writes in
// its name, tries to get in as Ada.
func TestHostile(t *testing.T) {
	t.Parallel()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, v any) func(*hostile) { return func(h *hostile) { h.claims[name] = v } }
	without := func(name string) func(*hostile) { return func(h *hostile) { delete(h.claims, name) } }
	param := func(name string, v ...string) func(*hostile) { return func(h *hostile) { h.params[name] = v } }
	age := func(v any) func(*hostile) {
		return func(h *hostile) { h.set.MaxAge, h.claims["auth_time"] = time.Hour, v }
	}
	instead := func(path string, handle http.HandlerFunc) func(*hostile) {
		return func(h *hostile) { h.handles[path] = handle }
	}
	status := func(path string, code int) func(*hostile) {
		return instead(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	huge := func(path string) func(*hostile) {
		return instead(path, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"x":"`))
			_, _ = w.Write(bytes.Repeat([]byte("x"), 2<<20))
			_, _ = w.Write([]byte(`"}`))
		})
	}
	silent := func(path string) func(*hostile) {
		return func(h *hostile) {
			h.set.Timeout = 100 * time.Millisecond
			h.handles[path] = func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // else the server doesn't see that the client left
				<-r.Context().Done()
			}
		}
	}
	const discovery = "/.well-known/openid-configuration"
	for name, tt := range map[string]struct {
		edit func(*hostile)
		code tenure.Code
		why  string
	}{
		"wrong issuer":              {claim("iss", "https://other.example"), tenure.Unauthorized, "issuer, audience"},
		"issuer with a slash more":  {func(h *hostile) { h.claims["iss"] = h.URL + "/" }, tenure.Unauthorized, "issuer, audience"},
		"wrong audience":            {claim("aud", "another"), tenure.Unauthorized, "issuer, audience"},
		"no audience":               {without("aud"), tenure.Unauthorized, "issuer, audience"},
		"audiences without azp":     {claim("aud", []string{hostileClient, "another"}), tenure.Unauthorized, "azp"},
		"azp of another":            {claim("azp", "another"), tenure.Unauthorized, "azp"},
		"wrong nonce":               {claim("nonce", "another"), tenure.Unauthorized, "nonce"},
		"missing nonce":             {claim("nonce", ""), tenure.Unauthorized, "nonce"},
		"expired":                   {claim("exp", at().Add(-time.Minute).Unix()), tenure.Unauthorized, "expired"},
		"no expiry":                 {without("exp"), tenure.Unauthorized, "expired"},
		"issued in the future":      {claim("iat", at().Add(61*time.Second).Unix()), tenure.Unauthorized, "in the future"},
		"issued at no time":         {without("iat"), tenure.Unauthorized, "at no time"},
		"not valid yet":             {claim("nbf", at().Add(2*time.Minute).Unix()), tenure.Unauthorized, "valid yet"},
		"signed in tomorrow":        {claim("auth_time", at().Add(time.Hour).Unix()), tenure.Unauthorized, "time of sign-in"},
		"sign-in too old":           {age(at().Add(-62 * time.Minute).Unix()), tenure.Unauthorized, "from the last"},
		"sign-in without its time":  {age(nil), tenure.Unauthorized, "from the last"},
		"missing sub":               {without("sub"), tenure.Unauthorized, "subject"},
		"sub with a line break":     {claim("sub", "ada\n"), tenure.Unauthorized, "subject"},
		"at_hash of another":        {claim("at_hash", b64(make([]byte, 16))), tenure.Unauthorized, "at_hash"},
		"alg none":                  {func(h *hostile) { h.header["alg"] = "none"; h.sign = func([]byte) []byte { return nil } }, tenure.Unauthorized, "isn't signed with one of"},
		"HS256 with the public key": {hs256WithPublicKey, tenure.Unauthorized, "isn't signed with one of"},
		"RS512":                     {func(h *hostile) { h.header["alg"] = "RS512" }, tenure.Unauthorized, "isn't signed with one of"},
		"unknown kid":               {func(h *hostile) { h.header["kid"] = "two" }, tenure.Unauthorized, "none of the provider's keys"},
		"another's signature":       {func(h *hostile) { h.sign = func(b []byte) []byte { return rs256(t, stranger, b) } }, tenure.Unauthorized, "none of the provider's keys"},
		"another's, without a kid": {func(h *hostile) {
			delete(h.header, "kid")
			h.sign = func(b []byte) []byte { return rs256(t, stranger, b) }
		}, tenure.Unauthorized, "none of the provider's keys"},
		"key in the header": {func(h *hostile) {
			h.header["jwk"] = rsaJWK("one", &stranger.PublicKey)
			h.sign = func(b []byte) []byte { return rs256(t, stranger, b) }
		}, tenure.Unauthorized, "none of the provider's keys"},
		"changed after signing": {func(h *hostile) { h.sign = func([]byte) []byte { return rs256(t, h.rsa, []byte("e30.e30")) } }, tenure.Unauthorized, "none of the provider's keys"},
		"no ID token": {instead("/token", func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, map[string]any{"access_token": "x", "token_type": "Bearer"})
		}), tenure.Unauthorized, "no ID token"},
		"email not verified":         {claim("email_verified", false), tenure.Forbidden, "hasn't verified"},
		"email_verified as a text":   {claim("email_verified", "true"), tenure.Forbidden, "hasn't verified"},
		"email_verified: false text": {claim("email_verified", "false"), tenure.Forbidden, "hasn't verified"},
		"email_verified left out":    {without("email_verified"), tenure.Forbidden, "hasn't verified"},
		"email with a name":          {claim("email", "Ada <ada@example.com>"), tenure.Forbidden, "isn't one"},
		"no email anywhere":          {func(h *hostile) { delete(h.claims, "email"); delete(h.userinf, "email") }, tenure.Forbidden, "names no email"},
		"userinfo about another":     {func(h *hostile) { delete(h.claims, "email"); h.userinf["sub"] = "bob" }, tenure.Unauthorized, "another person"},
		"userinfo not verified":      {func(h *hostile) { delete(h.claims, "email"); h.userinf["email_verified"] = "true" }, tenure.Forbidden, "hasn't verified"},

		"state of another":       {param("state", "another"), tenure.Unauthorized, "this browser began"},
		"empty state":            {param("state", ""), tenure.Unauthorized, "this browser began"},
		"two codes":              {param("code", "a", "b"), tenure.Unauthorized, "more than one code"},
		"no code":                {param("code"), tenure.Unauthorized, "no code"},
		"iss of another":         {param("iss", "https://other.example"), tenure.Unauthorized, "another provider's"},
		"iss promised, not sent": {func(h *hostile) { h.doc["authorization_response_iss_parameter_supported"] = true }, tenure.Unauthorized, "another provider's"},
		"error":                  {param("error", "access_denied"), tenure.Unauthorized, "refused there"},
		"error with a script": {func(h *hostile) {
			h.params["error"] = []string{"<script>"}
			h.params["error_description"] = []string{"<b>\x1b[1m hi"}
		}, tenure.Unauthorized, `"script": "b[1m hi"`},
		"error, for a while": {param("error", "temporarily_unavailable"), tenure.Unavailable, "overloaded"},

		"document of another issuer":   {func(h *hostile) { h.doc["issuer"] = "https://other.example" }, tenure.Unauthorized, "https://other.example"},
		"endpoint over plain http":     {func(h *hostile) { h.doc["token_endpoint"] = "http://other.example/token" }, tenure.Unauthorized, "isn't https"},
		"endpoint that is a file":      {func(h *hostile) { h.doc["jwks_uri"] = "file:///etc/passwd" }, tenure.Unauthorized, "isn't an absolute URL"},
		"endpoint with a password":     {func(h *hostile) { h.doc["token_endpoint"] = "https://a:b@other.example/" }, tenure.Unauthorized, "holds a user"},
		"no authorization endpoint":    {func(h *hostile) { delete(h.doc, "authorization_endpoint") }, tenure.Unauthorized, "isn't an absolute URL"},
		"takes private_key_jwt alone":  {func(h *hostile) { h.doc["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} }, tenure.Unauthorized, "takes no client secret"},
		"document too large":           {huge(discovery), tenure.Unavailable, "larger than 1 MiB"},
		"document that is none":        {instead(discovery, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), tenure.Unavailable, "can't be read"},
		"document missing":             {status(discovery, 404), tenure.Unavailable, "status 404"},
		"document that doesn't come":   {silent(discovery), tenure.Unavailable, "in time"},
		"token that doesn't come":      {silent("/token"), tenure.Unavailable, "in time"},
		"token too large":              {huge("/token"), tenure.Unavailable, "larger than 1 MiB"},
		"token endpoint with a fault":  {status("/token", 500), tenure.Unavailable, "status 500"},
		"token endpoint says too many": {status("/token", 429), tenure.Unavailable, "status 429"},
		"token endpoint says no":       {status("/token", 400), tenure.Unauthorized, "refuses"},
		"keys too large":               {huge("/keys"), tenure.Unavailable, "larger than 1 MiB"},
		"keys that don't come":         {silent("/keys"), tenure.Unavailable, "in time"},
		"keys with a fault":            {status("/keys", 500), tenure.Unavailable, "status 500"},
		"keys that are none":           {instead("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")) }), tenure.Unavailable, "can't be read"},
		"userinfo with a fault":        {func(h *hostile) { delete(h.claims, "email"); status("/userinfo", 500)(h) }, tenure.Unavailable, "status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			tt.edit(h)
			got, err := h.signIn(t)
			if err == nil {
				t.Fatalf("%+v got in", got)
			}
			refusedAs(t, err, tt.code, tt.why)
			if tt.code == tenure.Unavailable != tenure.CanRetry(err) {
				t.Errorf("%v: a retry helps: %v", err, tenure.CanRetry(err))
			}
			if got.Subject != "" || got.Strong {
				t.Errorf("the refused sign-in tells of %+v", got)
			}
		})
	}
}

// TestTolerated: what is within the leeway, or only unusual, keeps nobody out.
func TestTolerated(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*hostile){
		"as it should be":          func(*hostile) {},
		"expired within a minute":  func(h *hostile) { h.claims["exp"] = at().Add(-59 * time.Second).Unix() },
		"issued in a minute":       func(h *hostile) { h.claims["iat"] = at().Add(time.Minute).Unix() },
		"audiences with azp":       func(h *hostile) { h.claims["aud"], h.claims["azp"] = []string{"another", hostileClient}, hostileClient },
		"amr as a text":            func(h *hostile) { h.claims["amr"] = "mfa" },
		"client_secret_post":       func(h *hostile) { h.doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} },
		"iss as it should be":      func(h *hostile) { h.params["iss"] = []string{h.URL} },
		"name to be cleaned":       func(h *hostile) { h.claims["name"] = " A\x00d\u202ea\n" },
		"redirect to the own host": func(h *hostile) { h.redirectKeys() },
		"at_hash as it should be": func(h *hostile) {
			sum := sha256.Sum256([]byte(hostileAccess))
			h.claims["at_hash"] = b64(sum[:16])
		},
		"PS256": func(h *hostile) {
			h.header["alg"] = "PS256"
			h.sign = func(b []byte) []byte {
				sum := sha256.Sum256(b)
				sig, _ := rsa.SignPSS(rand.Reader, h.rsa, crypto.SHA256, sum[:], nil)
				return sig
			}
		},
		"ES256": func(h *hostile) {
			h.header["alg"] = "ES256"
			h.keys = []map[string]any{{"kty": "EC", "crv": "P-256", "kid": "one", "x": b64(ec.X.FillBytes(make([]byte, 32))), "y": b64(ec.Y.FillBytes(make([]byte, 32)))}}
			h.sign = func(b []byte) []byte {
				sum := sha256.Sum256(b)
				r, s, _ := ecdsa.Sign(rand.Reader, ec, sum[:])
				return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
			}
		},
		"EdDSA": func(h *hostile) {
			h.header["alg"] = "EdDSA"
			h.keys = []map[string]any{{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": b64(pub)}}
			h.sign = func(b []byte) []byte { return ed25519.Sign(priv, b) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			edit(h)
			got, err := h.signIn(t)
			if err != nil {
				t.Fatalf("%v %q", err, tenure.HintsOf(err))
			}
			if got.Subject != "ada" || got.Email != "ada@example.com" || !got.Strong || got.Issuer != h.URL {
				t.Errorf("identity %+v", got)
			}
			if name == "name to be cleaned" && got.Name != "Ada" {
				t.Errorf("name %q", got.Name)
			}
		})
	}
}

func (h *hostile) redirectKeys() {
	h.handles["/keys"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/moved", http.StatusFound) }
	h.handles["/moved"] = func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]any{"keys": h.keys}) }
}
