package identity

import (
	"context"
	"crypto/rand"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tenurehq/tenure"
)

// Flow is one sign-in under way. It belongs to the browser that began it: who
// keeps it binds it there (a cookie), and forgets it once Finish was called.
// Marshalling one gives no secret away, so a store reveals each by name.
type Flow struct {
	State     tenure.Secret // comes back with the person (RFC 6749 §10.12)
	Nonce     tenure.Secret // comes back in the ID token (OpenID Connect Core 1.0 §3.1.2.1)
	Verifier  tenure.Secret // PKCE's code verifier (RFC 7636 §4.1)
	ExpiresAt time.Time
}

// Begin starts a sign-in: the person's browser goes to the URL, and Finish
// wants the flow back. It asks for a fresh sign-in where MaxAge is set, and for
// the strong context classes where there are any.
//
// Errors: Unavailable, to be tried again, for a provider that doesn't answer;
// Unauthorized for one that isn't whom it should be.
func (p *Provider) Begin(ctx context.Context) (authURL string, f Flow, err error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return "", Flow{}, tenure.Errorf(tenure.CodeOf(err), "begin a sign-in: %w", err)
	}
	verifier := oauth2.GenerateVerifier()
	f = Flow{
		State: tenure.NewSecret(rand.Text()), Nonce: tenure.NewSecret(rand.Text()), Verifier: tenure.NewSecret(verifier),
		ExpiresAt: p.now().Add(FlowLife),
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier), oidc.Nonce(f.Nonce.Reveal())}
	if p.set.MaxAge > 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.FormatInt(int64(p.set.MaxAge/time.Second), 10)))
	}
	if len(p.set.StrongACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(p.set.StrongACR, " ")))
	}
	return p.oauth(m).AuthCodeURL(f.State.Reveal(), options...), f, nil
}

// answer is what the provider sent back with the person's browser.
type answer struct{ state, code, issuer, failure, description string }

// readAnswer takes each parameter once: a second one of a name means that two
// readers could see two answers (RFC 6749 §3.1).
func readAnswer(params url.Values) (answer, error) {
	var a answer
	for name, to := range map[string]*string{
		"state": &a.state, "code": &a.code, "iss": &a.issuer, "error": &a.failure, "error_description": &a.description,
	} {
		values := params[name]
		if len(values) > 1 {
			return a, tenure.Errorf(tenure.Unauthorized, "the provider's answer has more than one %s", name)
		}
		if len(values) == 1 {
			*to = values[0]
		}
	}
	return a, nil
}

// failures are what RFC 6749 §4.1.2.1 and OpenID Connect Core 1.0 §3.1.2.6 have a
// provider answer with instead of a code.
var failures = map[string]string{
	"access_denied":              "the sign-in was refused there",
	"account_selection_required": "no account was chosen there",
	"consent_required":           "the person hasn't agreed there",
	"interaction_required":       "it needs to ask the person",
	"invalid_request":            "it doesn't take Tenure's request",
	"invalid_scope":              "it doesn't know a scope that Tenure asks for",
	"login_required":             "the person hasn't signed in there",
	"server_error":               "it has a fault of its own",
	"temporarily_unavailable":    "it is overloaded or being worked on",
	"unauthorized_client":        "it doesn't let Tenure sign people in",
	"unsupported_response_type":  "it doesn't do the authorization code flow",
}

// refusal is the error for such an answer. The provider's own words are shown
// without what HTML reads, and not at all where they repeat something secret.
func (p *Provider) refusal(f Flow, a answer) error {
	why, known := failures[a.failure]
	if !known {
		why = "it answers with " + quoted(a.failure)
		if p.repeats(f, a, a.failure) {
			why = "it answers with an error that has no name"
		}
	}
	if a.description != "" && !p.repeats(f, a, a.description) {
		why += ": " + quoted(a.description)
	}
	err := tenure.Errorf(tenure.Unauthorized, "the provider signs nobody in: %s", why)
	if a.failure == "server_error" || a.failure == "temporarily_unavailable" {
		err = tenure.Errorf(tenure.Unavailable, "the provider signs nobody in: %s", why).Retryable()
	}
	return err.WithHint("sign in again, or ask whoever looks after the provider")
}

// repeats says whether a text holds something that isn't for show. Removing
// characters can't put it together again, since these have none of those.
func (p *Provider) repeats(f Flow, a answer, text string) bool {
	clean := quoted(text)
	for _, secret := range []string{f.State.Reveal(), f.Nonce.Reveal(), f.Verifier.Reveal(), p.set.ClientSecret.Reveal(), a.code} {
		if secret != "" && (strings.Contains(text, secret) || strings.Contains(clean, secret)) {
			return true
		}
	}
	return false
}
