package oidcclient

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// Probe is described at connector.Prober.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	switch c.Kind {
	case "reachable":
		return d.reachable(ctx, c)
	case "isolation":
		return d.isolation(ctx, c)
	}
	return connector.Outcome{}, tenure.Errorf(tenure.Invalid, "oidcclient has no probe %q", c.Kind)
}

// actAs reads the client's credential as it was handed over.
func actAs(c connector.Check) (credential, attributes, error) {
	a, err := read(c.Ref)
	if err != nil {
		return credential{}, a, err
	}
	var as credential
	if err := json.Unmarshal([]byte(c.Credential.Reveal()), &as); err != nil || as.ID == "" {
		return as, a, tenure.Errorf(tenure.Blocked, "client %q has no credential that could be tried", c.Ref.Name)
	}
	as.form = a.AuthMethod == "client_secret_post"
	return as, a, nil
}

// reachable passes if the token endpoint takes the client with one of its grants: with a
// token, or by refusing a code that is none (invalid_grant). One that may not ask is told
// unauthorized_client, one that isn't known invalid_client (RFC 6749, section 5.2).
func (d *Driver) reachable(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	as, a, err := actAs(c)
	if err != nil {
		return connector.Outcome{}, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"none"}, "redirect_uri": {"https://tenure.invalid/"}}
	if len(a.RedirectURIs) > 0 {
		form.Set("redirect_uri", a.RedirectURIs[0])
	}
	if slices.Contains(a.Grants, "client_credentials") {
		form = url.Values{"grant_type": {"client_credentials"}}
	}
	code, err := d.standing(ctx, as, form)
	switch {
	case err != nil:
		return connector.Outcome{}, err
	case code == "":
		return connector.Outcome{Passed: true, Detail: "the token endpoint gave a token for the credential, which was revoked again"}, nil
	case code == "invalid_grant":
		return connector.Outcome{Passed: true, Detail: "the token endpoint takes the credential, and refused a code that is none"}, nil
	}
	return connector.Outcome{Detail: "the token endpoint answers " + code}, nil
}

// elsewhere is a redirect address that is no client's.
const elsewhere = "https://tenure.invalid/back"

// strays says whether the provider sends people to an address that isn't the client's. It
// has to tell them instead (RFC 6749, section 4.1.2.1).
func (d *Driver) strays(ctx context.Context, client string) (bool, error) {
	at, err := d.configuration(ctx)
	if err != nil {
		return false, err
	}
	ask := url.Values{"client_id": {client}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {elsewhere}, "prompt": {"none"}, "state": {"tenure"}}
	a, err := d.http.Send(ctx, rest.Request{Path: at.authorize + "?" + ask.Encode()})
	if err != nil {
		return false, err
	}
	return strings.HasPrefix(a.Header.Get("Location"), elsewhere), nil
}

// isolation passes if the client's credential works, nobody is sent to an address that isn't
// the client's, and the credential doesn't read the sentinel's registration.
func (d *Driver) isolation(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	out, err := d.reachable(ctx, c)
	if err != nil || !out.Passed {
		return out, err
	}
	k, err := d.load(ctx, "")
	if err != nil {
		return connector.Outcome{}, err
	}
	if k.Now == nil {
		return connector.Outcome{}, tenure.Errorf(tenure.Blocked, "there is no sentinel: add the system first")
	}
	as, a, err := actAs(c)
	if err != nil {
		return connector.Outcome{}, err
	}
	if len(a.RedirectURIs) > 0 {
		switch strays, err := d.strays(ctx, as.ID); {
		case err != nil:
			return connector.Outcome{}, err
		case strays:
			return connector.Outcome{Detail: "the provider sends people to an address that isn't the client's"}, nil
		}
	}
	for _, token := range []string{as.Secret, as.ID} {
		if token == "" {
			continue
		}
		m, err := d.fetch(ctx, registration{Path: k.Now.Path, Token: token})
		if err != nil && tenure.CodeOf(err) != tenure.Blocked {
			return connector.Outcome{}, err
		}
		if m != nil {
			return connector.Outcome{Detail: "the client's credential reads another client's registration"}, nil
		}
	}
	return connector.Outcome{Passed: true, Detail: "the credential works, and people aren't sent elsewhere, and another client's registration is refused to it"}, nil
}

// Check is described at connector.Checker.
func (d *Driver) Check(ctx context.Context, _ []connector.Asked) (c connector.Checkup, err error) {
	c.Role = "what may register clients at " + d.http.Base()
	if _, err := d.configuration(ctx); err != nil {
		return c, err
	}
	// A registration that can't be right is refused for what it says, once the token is taken.
	got, err := d.register(ctx, metadata{"redirect_uris": "none", "grant_types": []string{"none"}})
	if err == nil {
		if _, err := d.remove(ctx, got.registration); err != nil {
			return c, err
		}
	}
	right := connector.Right{Name: "register clients", State: connector.RightHeld, For: "making tenants' clients"}
	switch code := tenure.CodeOf(err); {
	case code == tenure.Unavailable:
		return c, err
	case err != nil && got.took:
		right.State, right.Fix = connector.RightMissing, "have the provider give a registration access token and a registration_client_uri below the issuer (RFC 7592)"
		if got.left {
			right.Fix += ", and delete client " + got.Client + " there"
		}
	case code == tenure.Blocked:
		right.State, right.Fix = connector.RightMissing, "set the option initialToken to an initial access token of the provider"
	}
	c.Rights = append(c.Rights, right)
	c.Untold = "dynamic registration has no question for what an initial access token may do"
	if d.initial == nil && right.State == connector.RightHeld {
		c.Notes = append(c.Notes, "The provider lets anybody register clients. It should ask for an initial access token (RFC 7591, section 3).")
	}
	if d.ends == "" {
		c.Notes = append(c.Notes, "Sessions and tokens that were there before a cut end by themselves: the option endSessions isn't set.")
	}
	return c, nil
}
