package identity_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/identity"
	"github.com/tenurehq/tenure/internal/oidctest"
)

const redirect = "http://127.0.0.1:9/sign-in/callback"

var people = []oidctest.Person{
	{ID: "ada", Name: "Ada", Email: "ada@example.com", AMR: []string{"pwd", "mfa"}},
	{ID: "bob", Name: "Bob", Email: "bob@example.com", AMR: []string{"pwd"}},
	{ID: "cyd", Name: "Cyd", Email: "cyd@example.com", Unverified: true, AMR: []string{"pwd", "mfa"}},
	{ID: "dee", Name: "Dee", Email: "dee@example.com", ACR: "urn:example:gold"},
	{ID: "eve", Name: "Eve", Email: "eve@example.com", ACR: "urn:example:tin"},
}

func start(t *testing.T, edit func(*oidctest.Options)) *oidctest.Provider {
	t.Helper()
	o := oidctest.Options{RedirectURLs: []string{redirect}, People: people, ACRValues: []string{"urn:example:gold", "urn:example:tin"}}
	if edit != nil {
		edit(&o)
	}
	return oidctest.Start(t, o)
}

// open is Tenure as the provider's client c.
func open(t *testing.T, p *oidctest.Provider, c oidctest.Client, edit func(*identity.Settings)) *identity.Provider {
	t.Helper()
	s := identity.Settings{Issuer: p.Issuer, ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: redirect, StrongAMR: []string{"mfa", "hwk"}}
	if edit != nil {
		edit(&s)
	}
	return openAt(t, s, time.Now)
}

func openAt(t *testing.T, s identity.Settings, now func() time.Time) *identity.Provider {
	t.Helper()
	rp, err := identity.Open(s, now)
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

func begin(t *testing.T, rp *identity.Provider) (string, identity.Flow) {
	t.Helper()
	authURL, f, err := rp.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return authURL, f
}

func signIn(t *testing.T, p *oidctest.Provider, rp *identity.Provider, who string) (identity.Identity, error) {
	t.Helper()
	authURL, f := begin(t, rp)
	return rp.Finish(t.Context(), f, p.SignIn(t, authURL, who))
}

// refusedAs fails the test unless err has the code and says something of why.
func refusedAs(t *testing.T, err error, code tenure.Code, why string) {
	t.Helper()
	if tenure.CodeOf(err) != code {
		t.Fatalf("error %v (%s); want %s", err, tenure.CodeOf(err), code)
	}
	if !strings.Contains(err.Error(), why) {
		t.Errorf("error %q doesn't say %q", err, why)
	}
	if len(tenure.HintsOf(err)) == 0 && code != tenure.Unauthorized {
		t.Errorf("error %q leaves the person without a hint", err)
	}
}

// TestSignIn: people whom a real provider knows get in as themselves, as strong
// as they signed in and no stronger.
func TestSignIn(t *testing.T) {
	t.Parallel()
	fat := start(t, nil)
	thin := start(t, func(o *oidctest.Options) { o.Thin, o.Ed25519 = true, true })
	gold := func(s *identity.Settings) { s.StrongACR = []string{"urn:example:gold"} }
	for name, tt := range map[string]struct {
		at   *oidctest.Provider
		as   func(*oidctest.Provider) oidctest.Client
		edit func(*identity.Settings)
		who  string
		want identity.Identity
	}{
		"strong by amr":         {at: fat, who: "ada", want: identity.Identity{Subject: "ada", Email: "ada@example.com", Name: "Ada", AMR: []string{"pwd", "mfa"}, Strong: true}},
		"weak amr":              {at: fat, who: "bob", want: identity.Identity{Subject: "bob", Email: "bob@example.com", Name: "Bob", AMR: []string{"pwd"}}},
		"nothing is strong":     {at: fat, who: "ada", edit: func(s *identity.Settings) { s.StrongAMR = nil }, want: identity.Identity{Subject: "ada", Email: "ada@example.com", Name: "Ada", AMR: []string{"pwd", "mfa"}}},
		"strong by acr":         {at: fat, who: "dee", edit: gold, want: identity.Identity{Subject: "dee", Email: "dee@example.com", Name: "Dee", ACR: "urn:example:gold", Strong: true}},
		"weak acr":              {at: fat, who: "eve", edit: gold, want: identity.Identity{Subject: "eve", Email: "eve@example.com", Name: "Eve", ACR: "urn:example:tin"}},
		"public client":         {at: fat, who: "ada", as: func(p *oidctest.Provider) oidctest.Client { return p.Public }, want: identity.Identity{Subject: "ada", Email: "ada@example.com", Name: "Ada", AMR: []string{"pwd", "mfa"}, Strong: true}},
		"fresh sign-in":         {at: fat, who: "bob", edit: func(s *identity.Settings) { s.MaxAge = time.Hour }, want: identity.Identity{Subject: "bob", Email: "bob@example.com", Name: "Bob", AMR: []string{"pwd"}}},
		"userinfo, and Ed25519": {at: thin, who: "bob", want: identity.Identity{Subject: "bob", Email: "bob@example.com", Name: "Bob", AMR: []string{"pwd"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := tt.at.Client
			if tt.as != nil {
				client = tt.as(tt.at)
			}
			began := time.Now()
			got, err := signIn(t, tt.at, open(t, tt.at, client, tt.edit), tt.who)
			if err != nil {
				t.Fatalf("%v %q", err, tenure.HintsOf(err))
			}
			if got.AuthTime.Before(began.Add(-2*time.Second)) || got.AuthTime.After(time.Now()) {
				t.Errorf("signed in at %s; it was between %s and now", got.AuthTime, began)
			}
			got.AuthTime, tt.want.Issuer = time.Time{}, tt.at.Issuer
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPKCE: the browser's URL carries the challenge, and the code is worth
// nothing to who has another verifier.
func TestPKCE(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	rp := open(t, p, p.Client, nil)
	authURL, f := begin(t, rp)
	u, err := url.Parse(authURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("state") != f.State.Reveal() || q.Get("nonce") != f.Nonce.Reveal() {
		t.Errorf("the URL %s lacks PKCE, state or nonce", authURL)
	}
	if strings.Contains(authURL, f.Verifier.Reveal()) {
		t.Error("the verifier is in the URL")
	}
	_, other := begin(t, rp)
	other.State, other.Nonce = f.State, f.Nonce
	_, err = rp.Finish(t.Context(), other, p.SignIn(t, authURL, "ada"))
	refusedAs(t, err, tenure.Unauthorized, "doesn't take the code")
}

// TestSignInRefused: what a real provider or its answer speaks against doesn't
// let anybody in.
func TestSignInRefused(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	rp := open(t, p, p.Client, nil)

	t.Run("replayed code", func(t *testing.T) {
		t.Parallel()
		authURL, f := begin(t, rp)
		params := p.SignIn(t, authURL, "ada")
		if _, err := rp.Finish(t.Context(), f, params); err != nil {
			t.Fatal(err)
		}
		_, err := rp.Finish(t.Context(), f, params)
		refusedAs(t, err, tenure.Unauthorized, "doesn't take the code")
	})
	t.Run("another client's code", func(t *testing.T) {
		t.Parallel()
		authURL, f := begin(t, open(t, p, p.Other, nil))
		_, err := rp.Finish(t.Context(), f, p.SignIn(t, authURL, "ada"))
		refusedAs(t, err, tenure.Unauthorized, "doesn't take the code")
	})
	t.Run("wrong client secret", func(t *testing.T) {
		t.Parallel()
		_, err := signIn(t, p, open(t, p, oidctest.Client{ID: p.Client.ID, Secret: tenure.NewSecret("wrong")}, nil), "ada")
		refusedAs(t, err, tenure.Unauthorized, "doesn't take Tenure for its client")
	})
	t.Run("expired flow", func(t *testing.T) {
		t.Parallel()
		now := time.Now()
		late := openAt(t, identity.Settings{Issuer: p.Issuer, ClientID: p.Client.ID, ClientSecret: p.Client.Secret, RedirectURL: redirect}, func() time.Time { return now })
		authURL, f := begin(t, late)
		params := p.SignIn(t, authURL, "ada")
		now = f.ExpiresAt
		_, err := late.Finish(t.Context(), f, params)
		refusedAs(t, err, tenure.Unauthorized, "took longer than")
	})
	t.Run("unverified email", func(t *testing.T) {
		t.Parallel()
		_, err := signIn(t, p, rp, "cyd")
		refusedAs(t, err, tenure.Forbidden, "hasn't verified the email address")
	})
	t.Run("sign-in cancelled there", func(t *testing.T) {
		t.Parallel()
		_, err := signIn(t, p, rp, "nobody")
		refusedAs(t, err, tenure.Unauthorized, `refused there: "nobody was chosen"`)
	})
	t.Run("another browser's answer", func(t *testing.T) {
		t.Parallel()
		authURL, _ := begin(t, rp)
		_, mine := begin(t, rp)
		_, err := rp.Finish(t.Context(), mine, p.SignIn(t, authURL, "ada"))
		refusedAs(t, err, tenure.Unauthorized, "this browser began")
	})
	t.Run("another provider's answer", func(t *testing.T) {
		t.Parallel()
		authURL, f := begin(t, rp)
		params := p.SignIn(t, authURL, "ada")
		if params.Get("iss") != p.Issuer {
			t.Fatalf("the provider names itself %q (RFC 9207)", params.Get("iss"))
		}
		params.Del("iss")
		_, err := rp.Finish(t.Context(), f, params)
		refusedAs(t, err, tenure.Unauthorized, "another provider's")
	})
}

// TestRotatedKeys: people still get in after the provider changed its signing key.
func TestRotatedKeys(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	rp := open(t, p, p.Client, nil)
	for range 3 {
		if _, err := signIn(t, p, rp, "ada"); err != nil {
			t.Fatal(err)
		}
		p.Rotate(t)
	}
	if _, err := signIn(t, p, rp, "ada"); err != nil {
		t.Fatal(err)
	}
}

// TestProviderDown: a provider that is gone is said to be so, at Begin and at
// Finish, and a retry is worth it.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	rp := open(t, p, p.Client, nil)
	authURL, f := begin(t, rp)
	params := p.SignIn(t, authURL, "ada")
	p.Stop()
	_, err := rp.Finish(t.Context(), f, params)
	refusedAs(t, err, tenure.Unavailable, "can't be reached")
	if !tenure.CanRetry(err) {
		t.Errorf("%v isn't retryable", err)
	}
	_, _, err = open(t, p, p.Client, nil).Begin(t.Context())
	refusedAs(t, err, tenure.Unavailable, "can't be reached")
	if !tenure.CanRetry(err) {
		t.Errorf("%v isn't retryable", err)
	}
}
