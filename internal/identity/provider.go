package identity

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tenurehq/tenure"
)

// metadataLife is how long a discovery document is believed. An older one still
// serves while the provider doesn't give a newer.
const metadataLife = time.Hour

// algorithms are the signatures that an ID token may have (RFC 7518 §3.1, RFC
// 8037): asymmetric ones alone, whatever the provider says that it supports.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// Provider is the OpenID provider that people sign in with. It is safe for use
// by several goroutines.
type Provider struct {
	set    Settings
	now    func() time.Time
	client *http.Client
	guard  *guard

	mu      sync.Mutex
	known   *metadata
	pending *discovery
}

// metadata is what one discovery document said, and the keys that it leads to.
type metadata struct {
	oidc  *oidc.Provider
	keys  oidc.KeySet
	doc   document
	style oauth2.AuthStyle
	until time.Time
}

// document is what Tenure reads of a discovery document (RFC 8414 §2).
type document struct {
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserinfoEndpoint      string   `json:"userinfo_endpoint"`
	KeysURI               string   `json:"jwks_uri"`
	ClientAuth            []string `json:"token_endpoint_auth_methods_supported"`
	NamesIssuer           bool     `json:"authorization_response_iss_parameter_supported"`
}

// discovery is one attempt that callers who come meanwhile wait for.
type discovery struct {
	done chan struct{}
	meta *metadata
	err  error
}

// Open makes a Provider from settings, without a request to anybody. Settings
// that can't be right are Invalid. Token times are compared with now.
func Open(s Settings, now func() time.Time) (*Provider, error) {
	s, err := s.normal()
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the settings of sign-in: %w", err)
	}
	p := &Provider{set: s, now: now}
	p.client, p.guard = newClient(s.Timeout, now)
	return p, nil
}

// Issuer is the provider's name, as it was set.
func (p *Provider) Issuer() string { return p.set.Issuer }

// metadata returns the provider's discovery document, from memory while it is
// fresh. A failure isn't kept: the next caller tries again.
func (p *Provider) metadata(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	if p.known != nil && p.now().Before(p.known.until) {
		defer p.mu.Unlock()
		return p.known, nil
	}
	d := p.pending
	if d == nil {
		d = &discovery{done: make(chan struct{})}
		p.pending = d
		// One caller who leaves mustn't fail those who still wait; the client's
		// timeout ends it.
		go p.discover(context.WithoutCancel(ctx), d)
	}
	p.mu.Unlock()
	select {
	case <-d.done:
		return d.meta, d.err
	case <-ctx.Done():
		return nil, unreachable("looking for the provider", ctx.Err())
	}
}

func (p *Provider) discover(ctx context.Context, d *discovery) {
	meta, err := p.fetch(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.known != nil && tenure.CodeOf(err) == tenure.Unavailable {
		meta, err = p.known, nil
	} else if err == nil {
		if p.known != nil && p.known.doc.KeysURI == meta.doc.KeysURI {
			meta.keys = p.known.keys
		}
		p.known = meta
		p.guard.limit(meta.doc.KeysURI)
	}
	d.meta, d.err = meta, err
	p.pending = nil
	close(d.done)
}

// fetch gets the discovery document and judges what it leads to.
func (p *Provider) fetch(ctx context.Context) (*metadata, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	found, err := oidc.NewProvider(ctx, p.set.Issuer)
	var other *oidc.IssuerMismatchError
	if errors.As(err, &other) {
		return nil, tenure.Errorf(tenure.Unauthorized, "the provider at %s says that it is %s", p.set.Issuer, quoted(other.Discovered)).
			WithHint("set the issuer to the provider's own name, to the letter")
	}
	m := &metadata{oidc: found, until: p.now().Add(metadataLife)}
	if err == nil {
		err = found.Claims(&m.doc)
	}
	if err != nil {
		return nil, unreachable("discovery", err)
	}
	if err := p.judge(m.doc); err != nil {
		return nil, err
	}
	if m.style, err = p.authStyle(m.doc); err != nil {
		return nil, err
	}
	// The key set outlives this request, so it takes nothing of its context.
	m.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), p.client), m.doc.KeysURI)
	return m, nil
}

// judge refuses a document that would lead the person's browser or Tenure's own
// requests to a place that such a provider has no business with.
func (p *Provider) judge(doc document) error {
	issuer, err := trustworthyURL("the issuer", p.set.Issuer)
	if err != nil {
		return err
	}
	endpoints := []struct{ name, url string }{
		{"authorization_endpoint", doc.AuthorizationEndpoint}, {"token_endpoint", doc.TokenEndpoint}, {"jwks_uri", doc.KeysURI},
	}
	if doc.UserinfoEndpoint != "" {
		endpoints = append(endpoints, struct{ name, url string }{"userinfo_endpoint", doc.UserinfoEndpoint})
	}
	for _, e := range endpoints {
		u, err := trustworthyURL("the provider's "+e.name, e.url)
		if err != nil {
			return tenure.Errorf(tenure.Unauthorized, "discovery: %w", err)
		}
		if issuer.Scheme == "https" && u.Scheme != "https" || nearby(u.Hostname()) && !loopback(issuer.Hostname()) {
			return tenure.Errorf(tenure.Unauthorized, "discovery: the provider's %s is inside this machine or its network link", e.name)
		}
	}
	return nil
}

// authStyle says how Tenure proves itself at the token endpoint (OpenID Connect
// Core 1.0 §9). It is never tried out: a try uses up the code.
func (p *Provider) authStyle(doc document) (oauth2.AuthStyle, error) {
	switch {
	case p.set.ClientSecret.IsZero():
		return oauth2.AuthStyleInParams, nil
	case len(doc.ClientAuth) == 0 || slices.Contains(doc.ClientAuth, "client_secret_basic"):
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(doc.ClientAuth, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	}
	return 0, tenure.Errorf(tenure.Unauthorized, "discovery: the provider takes no client secret").
		WithHint("Tenure speaks client_secret_basic, client_secret_post, and none for a public client")
}

func (p *Provider) oauth(m *metadata) *oauth2.Config {
	endpoint := m.oidc.Endpoint()
	endpoint.AuthStyle = m.style
	return &oauth2.Config{
		ClientID: p.set.ClientID, ClientSecret: p.set.ClientSecret.Reveal(),
		Endpoint: endpoint, RedirectURL: p.set.RedirectURL, Scopes: p.set.Scopes,
	}
}

// quoted is a text of the provider's, safe to show: printable ASCII without
// what means something to HTML or a terminal, and short.
func quoted(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune("<>&\"'`\\", r) {
			return -1
		}
		return r
	}, text)
	if len(text) > most {
		text = text[:most] + "…"
	}
	return `"` + text + `"`
}
