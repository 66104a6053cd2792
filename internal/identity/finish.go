package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tenurehq/tenure"
)

// Identity is a person, as the provider proved it. Issuer and Subject together
// name the person for good; an email address can pass to somebody else.
type Identity struct {
	Issuer   string
	Subject  string
	Email    string // verified by the provider
	Name     string // as the provider has it, printable; may be empty
	AMR      []string
	ACR      string
	Strong   bool      // AMR or ACR is one that the settings call strong
	AuthTime time.Time // when the person signed in at the provider; zero if it doesn't say
}

// Finish ends a sign-in with the parameters that the person's browser brought
// back. The provider takes a code once, so a second Finish fails.
//
// Errors: Unauthorized for an answer or a token that fails a check, Forbidden
// for a person whose email address isn't verified, Unavailable, to be tried
// again, for a provider that doesn't answer. None holds a code, a token or a
// secret.
func (p *Provider) Finish(ctx context.Context, f Flow, params url.Values) (Identity, error) {
	id, err := p.finish(ctx, f, params)
	if err != nil {
		return Identity{}, tenure.Errorf(tenure.CodeOf(err), "sign in: %w", err)
	}
	return id, nil
}

func (p *Provider) finish(ctx context.Context, f Flow, params url.Values) (Identity, error) {
	a, err := readAnswer(params)
	if err != nil {
		return Identity{}, err
	}
	if err := p.checkFlow(f, a); err != nil {
		return Identity{}, err
	}
	m, err := p.metadata(ctx)
	if err != nil {
		return Identity{}, err
	}
	switch {
	case a.issuer != "" && a.issuer != p.set.Issuer, a.issuer == "" && m.doc.NamesIssuer:
		return Identity{}, tenure.Errorf(tenure.Unauthorized, "the answer is another provider's").
			WithHint("the iss parameter isn't %s (RFC 9207)", p.set.Issuer)
	case a.failure != "":
		return Identity{}, p.refusal(f, a)
	case a.code == "":
		return Identity{}, tenure.Errorf(tenure.Unauthorized, "the provider's answer has no code")
	}
	token, err := p.exchange(ctx, m, f, a.code)
	if err != nil {
		return Identity{}, err
	}
	return p.identify(ctx, m, f, token)
}

// checkFlow says whether the answer is to this sign-in, and in time.
func (p *Provider) checkFlow(f Flow, a answer) error {
	state := f.State.Reveal()
	if state == "" || f.Nonce.IsZero() || f.Verifier.IsZero() || subtle.ConstantTimeCompare([]byte(state), []byte(a.state)) != 1 {
		return tenure.Errorf(tenure.Unauthorized, "the answer isn't to a sign-in that this browser began").WithHint("sign in again, in one browser window")
	}
	if !p.now().Before(f.ExpiresAt) {
		return tenure.Errorf(tenure.Unauthorized, "the sign-in took longer than %s", FlowLife).WithHint("sign in again")
	}
	return nil
}

// exchange gives the code for tokens. oauth2's own error quotes the provider's
// answer, so nothing of it is wrapped.
func (p *Provider) exchange(ctx context.Context, m *metadata, f Flow, code string) (*oauth2.Token, error) {
	token, err := p.oauth(m).Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(f.Verifier.Reveal()))
	if err == nil {
		return token, nil
	}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return nil, unreachable("exchange of the code", err)
	}
	switch status := refused.Response.StatusCode; {
	case status == 429 || status >= 500:
		return nil, unreachable("exchange of the code", err)
	case refused.ErrorCode == "invalid_client" || refused.ErrorCode == "unauthorized_client" || status == 401:
		return nil, tenure.Errorf(tenure.Unauthorized, "the provider doesn't take Tenure for its client").WithHint("check the client id and the client secret that Tenure is set to")
	case refused.ErrorCode == "invalid_grant":
		return nil, tenure.Errorf(tenure.Unauthorized, "the provider doesn't take the code: it was used, is too old, or is for another client").WithHint("sign in again")
	}
	return nil, tenure.Errorf(tenure.Unauthorized, "the provider refuses to give a token for the code").WithHint("sign in again")
}
