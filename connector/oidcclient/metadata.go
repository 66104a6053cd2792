package oidcclient

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

const schema = `{"type":"object","additionalProperties":false,"properties":{
"redirectUris":{"type":"array","items":{"type":"string"},"description":"Where the provider may send people back to, each compared as a whole."},
"postLogoutRedirectUris":{"type":"array","items":{"type":"string"},"description":"Where people may be sent after they signed out."},
"grants":{"type":"array","items":{"enum":["authorization_code","refresh_token","client_credentials","urn:ietf:params:oauth:grant-type:device_code"]},"description":"What the client may do at the token endpoint. The default is authorization_code and refresh_token where there are redirectUris, and client_credentials otherwise."},
"authMethod":{"enum":["client_secret_basic","client_secret_post","none"],"description":"How the client authenticates at the token endpoint. The default is client_secret_basic."},
"scope":{"type":"string","description":"The scopes that it may ask for, separated by blanks. Without it the provider decides."},
"backchannelLogoutUri":{"type":"string","description":"Where the provider tells of sessions that have ended (OpenID Connect Back-Channel Logout 1.0)."}}}`

// metadata is what is registered of a client, by the names of RFC 7591, section 2.
type metadata map[string]any

// attributes are a client's attributes with their defaults: what is compared.
type attributes struct {
	RedirectURIs      []string `json:"redirectUris,omitempty"`
	AfterLogout       []string `json:"postLogoutRedirectUris,omitempty"`
	Grants            []string `json:"grants"`
	AuthMethod        string   `json:"authMethod"`
	Scope             string   `json:"scope,omitempty"`
	BackchannelLogout string   `json:"backchannelLogoutUri,omitempty"`
}

func (a attributes) canonical() json.RawMessage {
	raw, _ := tenure.Canonical(a) // it has strings and lists of strings alone
	return raw
}

// read gives the attributes that a resource should have.
func read(r connector.Ref) (a attributes, err error) {
	bad := func(format string, args ...any) (attributes, error) {
		return a, tenure.Errorf(tenure.Invalid, "client %q: "+format, append([]any{r.Name}, args...)...)
	}
	if r.Type != client {
		return a, tenure.Errorf(tenure.Invalid, "oidcclient has no resource type %q", r.Type)
	}
	if why := connector.Misnamed(r.Name, 0); why != "" {
		return bad("the name %s", why)
	}
	raw, err := json.Marshal(r.Attributes)
	if err != nil {
		return bad("the attributes can't be read")
	}
	if len(r.Attributes) > 0 {
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&a); err != nil {
			return bad("the attributes aren't those of a client")
		}
	}
	for _, list := range []*[]string{&a.RedirectURIs, &a.AfterLogout, &a.Grants} {
		*list = slices.Compact(slices.Sorted(slices.Values(*list)))
	}
	for _, u := range slices.Concat(a.RedirectURIs, a.AfterLogout) {
		if why := wrongURI(u); why != "" {
			return bad("%q %s", u, why)
		}
	}
	for _, u := range []string{a.BackchannelLogout} {
		if why := wrongURI(u); u != "" && why != "" {
			return bad("%q %s", u, why)
		}
	}
	if len(a.Grants) == 0 {
		a.Grants = []string{"client_credentials"}
		if len(a.RedirectURIs) > 0 {
			a.Grants = []string{"authorization_code", "refresh_token"}
		}
	}
	known := []string{"authorization_code", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"}
	for _, g := range a.Grants {
		if !slices.Contains(known, g) {
			return bad("%q is no grant that is registered; implicit and password grants are refused (RFC 9700)", g)
		}
	}
	if a.AuthMethod == "" {
		a.AuthMethod = "client_secret_basic"
	}
	if !slices.Contains([]string{"client_secret_basic", "client_secret_post", "none"}, a.AuthMethod) {
		return bad("%q is no way to authenticate that is registered", a.AuthMethod)
	}
	switch {
	case slices.Contains(a.Grants, "authorization_code") && len(a.RedirectURIs) == 0:
		return bad("the grant authorization_code needs redirectUris")
	case !slices.Contains(a.Grants, "authorization_code") && len(a.RedirectURIs) > 0:
		return bad("redirectUris need the grant authorization_code")
	case slices.Contains(a.Grants, "client_credentials") && a.AuthMethod == "none":
		return bad("the grant client_credentials needs a client that authenticates")
	}
	a.Scope = words(a.Scope)
	return a, nil
}

// words are the words of a scope in one order, so that two ways to write it compare equal.
func words(scope string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(strings.Fields(scope)))), " ")
}

// wrongURI says what is wrong with an address that people or messages are sent to: a whole
// https address, or http on loopback (RFC 9700, section 2.1; RFC 8252, section 7.3).
func wrongURI(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" && u.Path == "":
		return "isn't a whole address"
	case u.Fragment != "" || strings.Contains(text, "#"):
		return "has a fragment"
	case u.User != nil:
		return "has a user"
	case strings.Contains(text, "*"):
		return "has a wildcard"
	case u.Scheme == "https" && u.Host != "":
		return ""
	case u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	case strings.Contains(u.Scheme, "."): // an app's own scheme (RFC 8252, section 7.1)
		return ""
	}
	return "is neither https, nor http on loopback, nor an app's own scheme such as com.example.app:/back"
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// registered is the metadata that brings a client to its attributes. Without power it has
// no grant and no redirect address.
func (d *Driver) registered(name, mark string, a attributes, power bool) metadata {
	m := metadata{
		"client_name": name, "redirect_uris": []string{}, "grant_types": []string{}, "response_types": []string{},
		"post_logout_redirect_uris": []string{}, "token_endpoint_auth_method": a.AuthMethod,
	}
	d.bear(m, mark)
	if !power && a.AuthMethod == "none" {
		m["token_endpoint_auth_method"] = "client_secret_basic" // nobody has the secret of a lost answer
	}
	for name, value := range map[string]string{"scope": a.Scope, "backchannel_logout_uri": a.BackchannelLogout} {
		if value != "" {
			m[name] = value
		}
	}
	if !power {
		return m
	}
	m["redirect_uris"], m["grant_types"], m["post_logout_redirect_uris"] = append([]string{}, a.RedirectURIs...), a.Grants, append([]string{}, a.AfterLogout...)
	if slices.Contains(a.Grants, "authorization_code") {
		m["response_types"] = []string{"code"}
	}
	return m
}

// markAddress precedes the owner mark where it has to be an address, which leads nowhere.
const markAddress = "https://tenure.invalid/"

// bear puts the owner mark where the provider keeps it.
func (d *Driver) bear(m metadata, mark string) {
	if d.mark == "client_uri" {
		mark = markAddress + mark
	}
	m[d.mark] = mark
}

// borne is the owner mark that a registration bears.
func (d *Driver) borne(m metadata) string { return strings.TrimPrefix(m.text(d.mark), markAddress) }

// list is a field that holds texts, in order.
func (m metadata) list(name string) []string {
	all, _ := m[name].([]any)
	out := make([]string, 0, len(all))
	for _, v := range all {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

func (m metadata) text(name string) string { s, _ := m[name].(string); return s }

// observed are the attributes that a registration shows. Scopes count where they were asked
// for: a provider fills in its own otherwise.
func (m metadata) observed(wanted attributes) attributes {
	a := attributes{
		RedirectURIs: m.list("redirect_uris"), AfterLogout: m.list("post_logout_redirect_uris"), Grants: m.list("grant_types"),
		AuthMethod: m.text("token_endpoint_auth_method"), BackchannelLogout: m.text("backchannel_logout_uri"),
	}
	if wanted.Scope != "" {
		a.Scope = words(m.text("scope"))
	}
	return a
}

// review says what in the attributes is open to more than a tenant's own.
func review(typ string, attributes map[string]any) (out []string) {
	if typ != client {
		return nil
	}
	if method, _ := attributes["authMethod"].(string); method == "none" {
		out = append(out, "a public client has no secret: whoever knows its id can begin a sign-in in its name")
	}
	list, _ := attributes["redirectUris"].([]any)
	for _, v := range list {
		text, _ := v.(string)
		if u, err := url.Parse(text); err == nil && u.Scheme == "http" && loopback(u.Hostname()) {
			out = append(out, "a redirect address on loopback lets any program of that machine take the code")
		}
		if strings.Contains(text, "*") {
			out = append(out, "a redirect address with a wildcard takes in addresses that aren't the tenant's")
		}
	}
	return out
}
