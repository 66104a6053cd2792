package oidcclient

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// endpoints are where the provider takes requests, as paths below its issuer.
type endpoints struct{ register, token, authorize, revoke string }

// configuration reads the provider's metadata (RFC 8414; OpenID Connect Discovery 1.0,
// section 4). It is read once for each Driver.
func (d *Driver) configuration(ctx context.Context) (endpoints, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at.register != "" {
		return d.at, nil
	}
	a, err := d.http.Send(ctx, rest.Request{Path: "/.well-known/openid-configuration"})
	if err != nil {
		return endpoints{}, err
	}
	m, err := object(a)
	if err != nil {
		return endpoints{}, err
	}
	if got := strings.TrimSuffix(m.text("issuer"), "/"); got != d.http.Base() {
		return endpoints{}, tenure.Errorf(tenure.Blocked, "the provider calls itself %q, and option issuer says %q", got, d.http.Base())
	}
	var at endpoints
	for name, into := range map[string]*string{"registration_endpoint": &at.register, "token_endpoint": &at.token, "authorization_endpoint": &at.authorize, "revocation_endpoint": &at.revoke} {
		text := m.text(name)
		if text == "" && name == "revocation_endpoint" {
			continue
		}
		if text == "" {
			return endpoints{}, tenure.Errorf(tenure.Blocked, "the provider has no %s", strings.ReplaceAll(name, "_", " ")).WithHint("switch dynamic client registration on (RFC 7591)")
		}
		if *into, err = d.http.Under(text); err != nil {
			return endpoints{}, err
		}
	}
	d.at = at
	return at, nil
}

// object is the JSON object of an answer that went well.
func object(a rest.Answer) (metadata, error) {
	if !a.OK() {
		return nil, a.Err()
	}
	v, err := a.JSON()
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, tenure.Errorf(tenure.Unavailable, "the provider's answer isn't an object").Retryable()
	}
	return m, nil
}

// registration is one client as it is kept: with what manages it.
type registration struct {
	Client string `json:"client"` // client_id
	Path   string `json:"path"`   // of its registration, below the issuer
	Token  string `json:"token"`  // the registration access token
	Secret string `json:"secret,omitempty"`
}

// hidden is what mustn't show in an error about the registration.
func (r registration) hidden() []tenure.Secret {
	return []tenure.Secret{tenure.NewSecret(r.Token), tenure.NewSecret(r.Secret)}
}

// take reads what the provider answered of a client: what it doesn't say anew stays.
func (d *Driver) take(m metadata, before registration) (registration, error) {
	r := before
	if id := m.text("client_id"); id != "" {
		r.Client = id
	}
	if token := m.text("registration_access_token"); token != "" {
		r.Token = token
	}
	if secret := m.text("client_secret"); secret != "" {
		r.Secret = secret
	}
	if uri := m.text("registration_client_uri"); uri != "" {
		path, err := d.http.Under(uri)
		if err != nil {
			return r, err
		}
		r.Path = path
	}
	if r.Client == "" || r.Token == "" || r.Path == "" {
		return r, tenure.Errorf(tenure.Blocked, "the provider gave no way to manage it").WithHint("switch registration management on (RFC 7592)")
	}
	return r, nil
}

// made is what came of asking for a registration.
type made struct {
	registration
	says metadata
	took bool // the provider answered that it registered the client
	left bool // it may have one that nothing manages: it isn't known, or couldn't be deleted
}

// register makes a client without power (RFC 7591, section 3.1). It isn't sent twice: who
// doesn't hear the answer doesn't know what was made. A client that couldn't be managed is
// Blocked. It is deleted again if what the provider gave is enough for that.
func (d *Driver) register(ctx context.Context, m metadata) (got made, err error) {
	at, err := d.configuration(ctx)
	if err != nil {
		return got, err
	}
	body, err := rest.Body(m)
	if err != nil {
		return got, err
	}
	a, err := d.http.As(d.initial).Send(ctx, rest.Request{Method: http.MethodPost, Path: at.register, Body: body})
	got.took = err == nil && a.OK()
	if err == nil {
		got.says, err = object(a)
	}
	if err != nil {
		got.left = got.took || tenure.CodeOf(err) == tenure.Unavailable
		return got, err
	}
	if got.registration, err = d.take(got.says, registration{}); err == nil {
		return got, nil
	}
	failed := tenure.Errorf(tenure.Blocked, "client %q was registered: %w", got.Client, err)
	if got.Token != "" && got.Path != "" {
		if was, err := d.remove(context.WithoutCancel(ctx), got.registration); was && err == nil {
			return got, failed
		}
	}
	got.left = true
	return got, failed.WithHint("delete client %s at the provider: Tenure can't", got.Client)
}

// fetch reads a registration (RFC 7592, section 2.1); nil if the provider doesn't let its
// token read it any more, which it does of a client that isn't there, too.
func (d *Driver) fetch(ctx context.Context, r registration) (metadata, error) {
	a, err := d.http.As(rest.Bearer(tenure.NewSecret(r.Token))).Send(ctx, rest.Request{Path: r.Path, Hidden: r.hidden()})
	if err != nil {
		return nil, err
	}
	if a.OK(http.StatusUnauthorized, http.StatusNotFound, http.StatusGone) {
		return nil, nil
	}
	return object(a)
}

// replace sets a client's metadata as a whole (RFC 7592, section 2.2).
func (d *Driver) replace(ctx context.Context, r registration, m metadata) (registration, error) {
	m["client_id"] = r.Client
	if r.Secret != "" {
		m["client_secret"] = r.Secret
	}
	body, err := rest.Body(m)
	if err != nil {
		return r, err
	}
	a, err := d.http.As(rest.Bearer(tenure.NewSecret(r.Token))).Send(ctx, rest.Request{Method: http.MethodPut, Path: r.Path, Body: body, Hidden: r.hidden()})
	if err != nil {
		return r, err
	}
	got, err := object(a)
	if err != nil {
		return r, err
	}
	return d.take(got, r)
}

// remove deletes a registration (RFC 7592, section 2.3) and says whether it was there.
func (d *Driver) remove(ctx context.Context, r registration) (bool, error) {
	a, err := d.http.As(rest.Bearer(tenure.NewSecret(r.Token))).Send(ctx, rest.Request{Method: http.MethodDelete, Path: r.Path, Hidden: r.hidden()})
	switch {
	case err != nil:
		return false, err
	case a.OK():
		return true, nil
	case a.OK(http.StatusUnauthorized, http.StatusNotFound, http.StatusGone):
		return false, nil
	}
	return false, a.Err()
}

// standing is how the token endpoint takes a client: its error code (RFC 6749, section 5.2),
// "" if it gave a token, which is revoked at once.
func (d *Driver) standing(ctx context.Context, c credential, form url.Values) (string, error) {
	at, err := d.configuration(ctx)
	if err != nil {
		return "", err
	}
	a, err := d.http.Send(ctx, c.request(at.token, form))
	if err != nil {
		return "", err
	}
	v, err := a.JSON()
	if err != nil {
		return "", err
	}
	m, _ := v.(map[string]any)
	if code := metadata(m).text("error"); code != "" {
		return code, nil
	}
	token := metadata(m).text("access_token")
	if !a.OK() || token == "" {
		return "", tenure.Errorf(tenure.Blocked, "the token endpoint answers neither with a token nor with an error: %w", a.Err())
	}
	if at.revoke != "" { // RFC 7009; one that isn't revoked ends by itself
		r := c.request(at.revoke, url.Values{"token": {token}})
		r.Hidden = append(r.Hidden, tenure.NewSecret(token))
		if _, err := d.http.Send(ctx, r); err != nil {
			return "", err
		}
	}
	return "", nil
}

// credential is what is handed over of a client.
type credential struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret,omitempty"`
	form   bool   // the secret goes in the form
}

func (r registration) credential(a attributes) credential {
	c := credential{ID: r.Client, Secret: r.Secret, form: a.AuthMethod == "client_secret_post"}
	if a.AuthMethod == "none" {
		c.Secret = ""
	}
	return c
}

func (c credential) text() tenure.Secret {
	raw, _ := json.Marshal(c)
	return tenure.NewSecret(string(raw))
}

// request is one of a client at an endpoint of its own (RFC 6749, section 2.3.1).
func (c credential) request(path string, form url.Values) rest.Request {
	r := rest.Request{Method: http.MethodPost, Path: path, Type: "application/x-www-form-urlencoded", Again: true, Hidden: []tenure.Secret{tenure.NewSecret(c.Secret)}}
	switch {
	case c.Secret == "":
		form.Set("client_id", c.ID)
	case c.form:
		form.Set("client_id", c.ID)
		form.Set("client_secret", c.Secret)
	default:
		r.Header = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+url.QueryEscape(c.Secret)))}}
	}
	r.Body = []byte(form.Encode())
	return r
}

// gone says whether the token endpoint doesn't know a client any more. The code that it is
// asked to redeem is none, so that a client that it knows is told invalid_grant, or that it
// may not ask.
func (d *Driver) gone(ctx context.Context, c credential) (bool, error) {
	code, err := d.standing(ctx, c, url.Values{"grant_type": {"authorization_code"}, "code": {"none"}, "redirect_uri": {"https://tenure.invalid/"}})
	return code == "invalid_client", err
}

// kept is what the Safe holds of a resource.
type kept struct {
	Name   string               `json:"name"`
	Tenant tenure.TenantID      `json:"tenant,omitempty"`
	Wanted attributes           `json:"wanted"`
	State  tenure.ResourceState `json:"state,omitempty"` // suspended or revoked, if Tenure takes it out of service
	Ended  bool                 `json:"ended,omitempty"` // its sessions were ended since State was set
	Now    *registration        `json:"now,omitempty"`
	Old    []registration       `json:"old,omitempty"`    // replaced, and not seen gone yet
	Issued int64                `json:"issued,omitempty"` // Unix time in microseconds at which Now was registered
	Asked  int                  `json:"asked,omitempty"`  // registrations that were asked for
	Heard  int                  `json:"heard,omitempty"`  // and of which the answer was heard
}

func (d *Driver) load(ctx context.Context, id tenure.ResourceID) (k kept, err error) {
	i, err := d.safe.Kept(ctx, id)
	if err != nil || i.IsZero() {
		return k, err
	}
	if err := json.Unmarshal([]byte(i.Note.Reveal()), &k); err != nil {
		return k, tenure.Errorf(tenure.Internal, "what is kept of %s can't be read", id)
	}
	return k, nil
}

func (d *Driver) save(ctx context.Context, r connector.Ref, k kept) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "what is kept of %s can't be written", r.Resource)
	}
	i := connector.Issued{Note: tenure.NewSecret(string(raw))}
	if k.Now != nil && r.Resource != "" {
		i.Credential = k.Now.credential(k.Wanted).text()
	}
	return d.safe.Keep(ctx, r, i)
}
