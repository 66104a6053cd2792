// Package oidcclient is the connector to an OpenID provider that registers clients by
// itself: a client for each tenant and environment, by OAuth 2.0 Dynamic Client
// Registration (RFC 7591) and its management protocol (RFC 7592).
//
// The provider makes a client's id, its secret and the registration access token with
// which alone the client can be read and changed, and tells them once. They are kept in
// the connector.Safe. A provider of these protocols lists no clients, so what nothing is
// kept of isn't seen; therefore a client is registered without any power, what came back
// is kept, and only then does it get its grants.
package oidcclient

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// Info is the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "oidcclient",
		Version: "1",
		Tested:  connector.Live, How: "against oidc-provider 9.13",
		Summary: "Clients of an OpenID provider, by dynamic registration (RFC 7591, RFC 7592).",
		Rights:  "An initial access token, where the provider asks for one to register clients. Each client is managed with the registration access token that the provider gave for it.",
		Leaves:  "Tokens that resource servers check by themselves live until they end (option tokenLife says how long at most). A registration whose answer was lost, or that the provider gave no way to manage, stays at the provider, without a grant or a redirect address and with a secret that nobody kept; the receipt of the client's making and of its deletion counts them. What the provider logs stays.",
		Options: []connector.Option{
			{Name: "issuer", Help: "The provider's issuer, such as https://login.example.com. Its configuration is read from /.well-known/openid-configuration below it, and all its endpoints must be below it.", Required: true},
			{Name: "initialToken", Help: "The initial access token with which clients are registered (RFC 7591, section 3), if the provider asks for one.", Secret: true},
			{Name: "mark", Help: "The client's metadata field that bears the owner mark: software_id or client_uri. The provider has to keep it; adding the system tries it.", Default: "software_id"},
			{Name: "tokenLife", Help: "How long tokens live at most that resource servers check by themselves, as an ISO 8601 duration such as PT1H. The receipt of a cut says until when they may live."},
			{Name: "endSessions", Help: "A path below the issuer at which a POST ends a client's sessions and grants: {client_id} stands for the client's id. No standard has one, so that it is the provider's own."},
			{Name: "endSessionsToken", Help: "The bearer token for endSessions.", Secret: true},
			{Name: "ca", Help: "A file of certificates (PEM) that the provider's own must come from, as file:PATH. The machine's own where none is given."},
			{Name: "rate", Help: "Requests a second at most.", Default: defaultRate},
			{Name: "timeout", Help: "How long one request may take.", Default: rest.DefaultTimeout},
		},
		Types: []tenure.ResourceType{{
			Name: client, Summary: "A client of the provider. Its credential is a JSON object with client_id and, unless it is public, client_secret.",
			Layer:        tenure.LayerKey,
			Deletion:     "the registration is deleted (RFC 7592, section 2.3); its codes, refresh tokens and opaque access tokens end with it at the provider",
			Verification: "the registration is read with its own access token (RFC 7592, section 2.1). That is refused once the client is gone, and so is the client at the token endpoint: a client counts as absent only if both refuse it and the sentinel's registration can be read",
			Recovery:     tenure.Recovery{Declared: true, Says: "a deleted client can't be brought back: another one has another id and another secret"},
			Holds:        tenure.HoldsNothing,
			Credential:   true, Issued: true,
			Isolation:  []string{"redirectUris", "grants", "authMethod", "postLogoutRedirectUris"},
			Cost:       []tenure.CostTerm{{Metric: "one", Per: 1, Price: client}},
			Attributes: schema,
		}},
		Probes: []connector.ProbeKind{
			{Name: "reachable", Help: "The client's credential is taken at the token endpoint. A token that is given for it is revoked at once (RFC 7009).", Types: []string{client}},
			{Name: "isolation", Help: "The provider sends nobody to an address that isn't the client's, and the client's credential doesn't read another's registration.", Types: []string{client}},
		},
		Open:   open,
		Review: review,
	}
}

const (
	client      = "client"
	defaultRate = "50"
)

// settings are the options, read.
type settings struct {
	mark string
	life tenure.Period
	ends string
	end  rest.Auth // nil if ends asks for no token
}

func open(ctx context.Context, c connector.Config) (connector.Driver, error) {
	if c.Safe == nil {
		return nil, tenure.Errorf(tenure.Internal, "oidcclient was opened without a place to keep what the provider issues")
	}
	s := settings{mark: cmp.Or(c.Option("mark"), "software_id"), ends: c.Option("endSessions")}
	if s.mark != "software_id" && s.mark != "client_uri" {
		return nil, tenure.Errorf(tenure.Invalid, "option mark is %q, and has to be software_id or client_uri", s.mark)
	}
	if text := c.Option("tokenLife"); text != "" {
		life, err := tenure.ParsePeriod(text)
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "option tokenLife: %w", err)
		}
		s.life = life
	}
	if s.ends != "" {
		if _, err := rest.Resolve(&url.URL{Scheme: "https", Host: "issuer.example"}, strings.ReplaceAll(s.ends, "{client_id}", "x")); err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "option endSessions: %w", err)
		}
		if token := c.Secrets["endSessionsToken"]; !token.IsZero() {
			s.end = rest.Bearer(token)
		}
	}
	if c.Option("issuer") == "" {
		return nil, tenure.Errorf(tenure.Invalid, "option issuer is missing")
	}
	timeout, err := rest.Timeout(c)
	if err != nil {
		return nil, err
	}
	each, err := strconv.ParseFloat(cmp.Or(c.Option("rate"), defaultRate), 64)
	if err != nil || each <= 0 || each > 1e6 {
		return nil, tenure.Errorf(tenure.Invalid, "option rate is %q, which isn't a number of requests a second", c.Option("rate"))
	}
	http, err := rest.Open(rest.Options{
		Base: strings.TrimSuffix(c.Option("issuer"), "/"), Timeout: timeout, Rate: each, Burst: width, CA: c.Option("ca"),
		Hidden: slices.Collect(maps.Values(c.Secrets)),
	})
	if err != nil {
		return nil, err
	}
	d := &Driver{settings: s, http: http, marker: c.Marker, safe: c.Safe, now: c.Now}
	if d.now == nil {
		d.now = time.Now
	}
	if token := c.Secrets["initialToken"]; !token.IsZero() {
		d.initial = rest.Bearer(token)
	}
	return d, nil
}
