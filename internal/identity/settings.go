// Package identity says who somebody is, as an OpenID provider proves it: it is
// the relying party of OpenID Connect Core 1.0 for the authorization code flow
// with PKCE (RFC 7636). It keeps no session and stores nothing.
package identity

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const (
	// FlowLife is how long a sign-in that was begun may take.
	FlowLife = 10 * time.Minute

	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
	leeway         = time.Minute // how far the provider's clock may be off
)

// Settings say which OpenID provider people sign in with, and as which client
// of it Tenure asks.
type Settings struct {
	// Issuer is the provider's name, to the letter (OpenID Connect Discovery
	// 1.0 §3): https, or http on a loopback host.
	Issuer string
	// ClientID is the name that the provider knows Tenure by.
	ClientID string
	// ClientSecret is zero for a public client, which PKCE alone protects.
	ClientSecret tenure.Secret
	// RedirectURL is where the provider sends the person back to: https, or http
	// on a loopback host.
	RedirectURL string
	// Scopes are openid, profile and email unless set; openid is always asked for.
	Scopes []string
	// StrongAMR and StrongACR say what makes a sign-in strong: one of these
	// authentication methods (RFC 8176: mfa, hwk, otp, …) or one of these
	// context classes (OpenID Connect Core 1.0 §2). With neither, none is.
	StrongAMR []string
	StrongACR []string
	// MaxAge is how long ago the person may have signed in at the provider, in
	// whole seconds; zero doesn't ask.
	MaxAge time.Duration
	// Timeout ends one request to the provider; 10 s unless set, 1 min at most.
	Timeout time.Duration
}

// normal returns the settings with their defaults, or why they can't be right.
func (s Settings) normal() (Settings, error) {
	issuer, err := trustworthyURL("the issuer", s.Issuer)
	if err != nil {
		return s, err
	}
	if issuer.RawQuery != "" || issuer.ForceQuery {
		return s, tenure.Errorf(tenure.Invalid, "the issuer has a query")
	}
	if _, err := trustworthyURL("the redirect URL", s.RedirectURL); err != nil {
		return s, err
	}
	if s.ClientID == "" {
		return s, tenure.Errorf(tenure.Invalid, "sign-in needs a client id").WithHint("register Tenure as a client with the provider")
	}
	if s.MaxAge < 0 || s.MaxAge%time.Second != 0 {
		return s, tenure.Errorf(tenure.Invalid, "the age of a sign-in is %s; it is counted in whole seconds", s.MaxAge)
	}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	if s.Timeout < 0 || s.Timeout > maxTimeout {
		return s, tenure.Errorf(tenure.Invalid, "the timeout for the provider is %s; it is more than nothing and at most %s", s.Timeout, maxTimeout)
	}
	return s.withLists()
}

// withLists returns the settings with lists of their own, checked.
func (s Settings) withLists() (Settings, error) {
	s.Scopes, s.StrongAMR, s.StrongACR = slices.Clone(s.Scopes), slices.Clone(s.StrongAMR), slices.Clone(s.StrongACR)
	if len(s.Scopes) == 0 {
		s.Scopes = []string{"openid", "profile", "email"}
	}
	if !slices.Contains(s.Scopes, "openid") {
		s.Scopes = slices.Insert(s.Scopes, 0, "openid")
	}
	for name, list := range map[string][]string{"scope": s.Scopes, "amr": s.StrongAMR, "acr": s.StrongACR} {
		for _, v := range list {
			if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
				return s, tenure.Errorf(tenure.Invalid, "%q is no value of %s", v, name).WithHint("printable ASCII without spaces (RFC 6749 §3.3)")
			}
		}
	}
	return s, nil
}

// trustworthyURL reads an absolute URL that nobody on the way can change: https,
// or http that doesn't leave the machine.
func trustworthyURL(what, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "":
		return nil, tenure.Errorf(tenure.Invalid, "%s isn't an absolute URL", what)
	case u.User != nil:
		return nil, tenure.Errorf(tenure.Invalid, "%s holds a user or a password", what)
	case strings.Contains(text, "#"):
		return nil, tenure.Errorf(tenure.Invalid, "%s has a fragment", what)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, tenure.Errorf(tenure.Invalid, "%s isn't https", what).WithHint("http is for 127.0.0.1, [::1] and localhost alone")
	}
	if err := tenure.CheckHost(u.Hostname()); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", what, err)
	}
	return u, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// nearby says whether a host is this machine or its link by its very name. An
// outside provider has no reason to send Tenure there: that is where cloud
// metadata and unguarded services listen.
func nearby(host string) bool {
	ip := net.ParseIP(host)
	return loopback(host) || ip != nil && (ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast())
}
