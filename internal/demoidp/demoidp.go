// Package demoidp is the OpenID provider of the demo, and of the demo alone. It
// proves nothing: whoever opens its page picks whom to be, without a password,
// and its ID tokens claim two factors that nobody has shown. It is served on
// loopback, with a key that is made at start.
package demoidp

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	codeLife  = time.Minute
	tokenLife = 5 * time.Minute
	maxBody   = 64 << 10
)

// Person is somebody whom a visitor may be. The email address is the subject.
type Person struct {
	Name  string
	Email string
	Roles string // what the page says about the person, in plain words
}

// Provider is the demo's OpenID provider, for one public client (no secret, PKCE
// required).
type Provider struct {
	people      []Person
	clientID    string
	redirectURL string
	now         func() time.Time
	public      ed25519.PublicKey
	key         ed25519.PrivateKey
	kid         string

	mu     sync.Mutex
	issuer string
	codes  map[string]grant
}

// grant is what a code stands for until it is used, or a minute has passed.
type grant struct {
	person           Person
	nonce, challenge string
	at               time.Time
}

// New makes a provider that sends its people back to redirectURL. Its codes and
// tokens live for minutes of now, so that is a clock of ordinary speed.
func New(people []Person, clientID, redirectURL string, now func() time.Time) *Provider {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails: crypto/rand ends the program instead
	key := ed25519.NewKeyFromSeed(seed)
	return &Provider{
		people: slices.Clone(people), clientID: clientID, redirectURL: redirectURL, now: now,
		key: key, public: key.Public().(ed25519.PublicKey), kid: rand.Text(), codes: map[string]grant{},
	}
}

// SetIssuer says where Handler is served: "http://127.0.0.1:PORT". It comes
// before the first request.
func (p *Provider) SetIssuer(issuer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issuer = issuer
}

// Issuer is where Handler is served.
func (p *Provider) Issuer() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issuer
}

// Handler serves discovery, keys, the page on which a visitor picks a person,
// and the token endpoint.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.page)
	mux.HandleFunc("POST /authorize", p.choose)
	mux.HandleFunc("GET /style.css", style)
	mux.HandleFunc("POST /token", p.token)
	return http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(mux, maxBody))
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := p.Issuer()
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         issuer,
		"authorization_endpoint":                         issuer + "/authorize",
		"token_endpoint":                                 issuer + "/token",
		"jwks_uri":                                       issuer + "/keys",
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"authorization_code"},
		"subject_types_supported":                        []string{"public"},
		"scopes_supported":                               []string{"openid", "profile", "email"},
		"id_token_signing_alg_values_supported":          []string{"EdDSA"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"none"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{
		{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": p.kid, "x": b64(p.public)},
	}})
}

// token gives an ID token for a code (RFC 6749 §4.1.3, RFC 7636 §4.6). A code is
// forgotten as it is looked at, so a wrong try uses it up too.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	p.mu.Lock()
	g, known := p.codes[code]
	delete(p.codes, code)
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case r.PostFormValue("grant_type") != "authorization_code":
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
	case r.PostFormValue("client_id") != p.clientID:
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case !known, r.PostFormValue("redirect_uri") != p.redirectURL, p.now().Sub(g.at) >= codeLife,
		subtle.ConstantTimeCompare([]byte(b64(challenge[:])), []byte(g.challenge)) != 1:
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
	default:
		writeJSON(w, http.StatusOK, map[string]any{
			"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(tokenLife / time.Second), "id_token": p.idToken(g),
		})
	}
}

func (p *Provider) idToken(g grant) string {
	now := p.now()
	header, _ := json.Marshal(map[string]string{"alg": "EdDSA", "typ": "JWT", "kid": p.kid})
	claims, _ := json.Marshal(map[string]any{
		"iss": p.Issuer(), "aud": p.clientID, "azp": p.clientID, "sub": g.person.Email, "nonce": g.nonce,
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "auth_time": g.at.Unix(), "amr": []string{"pwd", "mfa"},
		"name": g.person.Name, "email": g.person.Email, "email_verified": true,
	})
	signed := b64(header) + "." + b64(claims)
	return signed + "." + b64(ed25519.Sign(p.key, []byte(signed)))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
