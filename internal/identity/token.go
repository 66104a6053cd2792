package identity

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tenurehq/tenure"
)

const (
	maxSubject = 255 // OpenID Connect Core 1.0 §2
	maxName    = 200
)

// claims are those that Tenure reads besides what go-oidc does.
type claims struct {
	AuthorizedParty string `json:"azp"`
	AuthTime        int64  `json:"auth_time"`
	NotBefore       int64  `json:"nbf"`
	AMR             texts  `json:"amr"`
	ACR             string `json:"acr"`
	person
}

// person are the claims that a provider may keep for its userinfo endpoint
// (OpenID Connect Core 1.0 §5.4).
type person struct {
	Email         string `json:"email"`
	EmailVerified any    `json:"email_verified"`
	Name          string `json:"name"`
}

// texts is a list of texts; some providers write a list of one without brackets.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	var all []string
	err := json.Unmarshal(b, &all)
	*t = all
	return err
}

// identify judges the ID token and says whose it is.
func (p *Provider) identify(ctx context.Context, m *metadata, f Flow, token *oauth2.Token) (Identity, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return Identity{}, tenure.Errorf(tenure.Unauthorized, "the provider gave no ID token")
	}
	verified, err := p.verify(ctx, m, raw)
	if err != nil {
		return Identity{}, err
	}
	var c claims
	if err := verified.Claims(&c); err != nil {
		return Identity{}, refused("its claims can't be read")
	}
	if err := p.check(verified, c, f, token); err != nil {
		return Identity{}, err
	}
	if c.Email == "" {
		if c.person, err = p.userinfo(ctx, m, token, verified.Subject, c.person); err != nil {
			return Identity{}, err
		}
	}
	if err := checkEmail(c.person); err != nil {
		return Identity{}, err
	}
	id := Identity{Issuer: p.set.Issuer, Subject: verified.Subject, Email: c.Email, Name: shown(c.Name), AMR: c.AMR, ACR: c.ACR}
	id.Strong = slices.ContainsFunc(c.AMR, func(m string) bool { return slices.Contains(p.set.StrongAMR, m) }) || slices.Contains(p.set.StrongACR, c.ACR)
	if c.AuthTime != 0 {
		id.AuthTime = time.Unix(c.AuthTime, 0).UTC()
	}
	return id, nil
}

// refused is the error for a token that fails a check; why quotes nothing of it.
func refused(why string) *tenure.Error {
	return tenure.Errorf(tenure.Unauthorized, "the provider's ID token is refused: %s", why).WithHint("sign in again; if it stays, compare the provider's client registration with Tenure's settings")
}

// verify checks signature, algorithm, issuer and audience. Times are check's,
// so that all have one leeway.
func (p *Provider) verify(ctx context.Context, m *metadata, raw string) (*oidc.IDToken, error) {
	keys := &watchedKeys{KeySet: m.keys}
	verifier := oidc.NewVerifier(p.set.Issuer, keys, &oidc.Config{ClientID: p.set.ClientID, SupportedSigningAlgs: algorithms, SkipExpiryCheck: true})
	token, err := verifier.Verify(ctx, raw)
	switch {
	case err == nil:
		return token, nil
	case keys.unreachable != nil:
		return nil, unreachable("fetching the provider's keys", keys.unreachable)
	case keys.failed:
		return nil, refused("none of the provider's keys has signed it")
	case keys.asked:
		return nil, refused("issuer, audience or claims are another's")
	}
	return nil, refused(fmt.Sprintf("it isn't signed with one of %s", strings.Join(algorithms, ", ")))
}

// watchedKeys tells a signature that is wrong from keys that can't be had: the
// verifier flattens both into text.
type watchedKeys struct {
	oidc.KeySet
	asked, failed bool
	unreachable   error
}

func (k *watchedKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	k.asked = true
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if err != nil {
		k.failed = true
		// Whatever was fetched comes wrapped; a signature that no key fits isn't.
		if errors.Unwrap(err) != nil {
			k.unreachable = err
		}
	}
	return payload, err
}

// check is the rest of OpenID Connect Core 1.0 §3.1.3.7.
func (p *Provider) check(t *oidc.IDToken, c claims, f Flow, token *oauth2.Token) error {
	now := p.now()
	late, soon := now.Add(-leeway), now.Add(leeway)
	authTime := time.Unix(c.AuthTime, 0)
	switch {
	case t.Subject == "" || len(t.Subject) > maxSubject || strings.ContainsFunc(t.Subject, func(r rune) bool { return r < ' ' || r > '~' }):
		return refused("it names no subject, or one that isn't at most 255 printable ASCII characters")
	case c.AuthorizedParty != "" && c.AuthorizedParty != p.set.ClientID:
		return refused("it was made for another client (azp)")
	case len(t.Audience) > 1 && c.AuthorizedParty == "":
		return refused("it is for several audiences and doesn't say which asked for it (azp)")
	case subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(f.Nonce.Reveal())) != 1:
		return refused("it isn't an answer to this sign-in (nonce)")
	case !t.Expiry.After(late):
		return refused("it has expired")
	case t.IssuedAt.IsZero() || t.IssuedAt.After(soon):
		return refused("it was issued at no time, or in the future; compare the clocks")
	case c.NotBefore != 0 && time.Unix(c.NotBefore, 0).After(soon):
		return refused("it isn't valid yet; compare the clocks")
	case c.AuthTime != 0 && authTime.After(soon):
		return refused("its time of sign-in is in the future; compare the clocks")
	case p.set.MaxAge > 0 && (c.AuthTime == 0 || authTime.Before(late.Add(-p.set.MaxAge))):
		return refused(fmt.Sprintf("the sign-in at the provider isn't from the last %s", p.set.MaxAge))
	case t.AccessTokenHash != "" && t.VerifyAccessToken(token.AccessToken) != nil:
		return refused("it came with another access token (at_hash)")
	}
	return nil
}

// userinfo asks the provider for what the ID token leaves out. The answer is
// believed for the same subject alone (OpenID Connect Core 1.0 §5.3.2).
func (p *Provider) userinfo(ctx context.Context, m *metadata, token *oauth2.Token, subject string, have person) (person, error) {
	if m.doc.UserinfoEndpoint == "" || token.AccessToken == "" {
		return have, nil
	}
	info, err := m.oidc.UserInfo(oidc.ClientContext(ctx, p.client), oauth2.StaticTokenSource(token))
	if err != nil {
		return have, unreachable("asking who signed in", err)
	}
	if info.Subject != subject {
		return have, tenure.Errorf(tenure.Unauthorized, "the provider's userinfo is about another person")
	}
	var found person
	if err := info.Claims(&found); err != nil {
		return have, tenure.Errorf(tenure.Unauthorized, "the provider's userinfo can't be read")
	}
	return found, nil
}

// checkEmail wants an address that the provider has seen the person answer
// from. The claim is a JSON boolean (OpenID Connect Core 1.0 §5.1); a text says
// that somebody typed it into an attribute.
func checkEmail(who person) error {
	if who.Email == "" {
		return tenure.Errorf(tenure.Forbidden, "the provider names no email address").WithHint("let the provider give Tenure the scope email")
	}
	if !tenure.IsMailAddress(who.Email) {
		return tenure.Errorf(tenure.Forbidden, "the provider's email address isn't one").WithHint("correct it there, then sign in again")
	}
	if verified, ok := who.EmailVerified.(bool); !ok || !verified {
		return tenure.Errorf(tenure.Forbidden, "the provider hasn't verified the email address").
			WithHint("verify it there, then sign in again").WithHint("the claim email_verified must be the boolean true")
	}
	return nil
}

// shown is a name without what isn't printable, cut to a length that fits.
func shown(name string) string {
	name = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)), " ")
	if r := []rune(name); len(r) > maxName {
		name = string(r[:maxName])
	}
	return name
}
