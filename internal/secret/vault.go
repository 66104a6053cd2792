package secret

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

// Settings say how an OpenBao or a Vault is reached, and as whom. Exactly one of Token,
// AppRole and Kubernetes is given.
type Settings struct {
	Address    string      `yaml:"address"`    // https, or http on this machine
	Namespace  string      `yaml:"namespace"`  // "" is none
	CAFile     string      `yaml:"caFile"`     // certificates (PEM) that its own must come from; "": the machine's
	Token      string      `yaml:"token"`      // env:NAME or file:PATH
	AppRole    *AppRole    `yaml:"appRole"`    //
	Kubernetes *Kubernetes `yaml:"kubernetes"` //
}

// AppRole is a role of the auth method approle.
type AppRole struct {
	RoleID   string `yaml:"roleId"`
	SecretID string `yaml:"secretId"` // env:NAME or file:PATH
	Mount    string `yaml:"mount"`    // default approle
}

// Kubernetes is a role of the auth method kubernetes.
type Kubernetes struct {
	Role    string `yaml:"role"`
	JWTFile string `yaml:"jwtFile"` // default the service account's
	Mount   string `yaml:"mount"`   // default kubernetes
}

const (
	timeout   = 10 * time.Second
	maxAnswer = 1 << 20

	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

// Vault reads the key-value stores, version 1 and 2, of an OpenBao or a Vault, whose HTTP
// interfaces are the same there. It follows no redirect: a token is sent to the address
// that was named, and to no other.
type Vault struct {
	set    Settings
	base   string
	token  Place // of Settings.Token, or of AppRole.SecretID
	client *http.Client
	now    func() time.Time

	signing chan struct{} // of one: who signs in
	mu      sync.Mutex
	as      session
}

// session is a token, and how long it is good.
type session struct {
	token     tenure.Secret
	from      time.Time
	lives     time.Duration // 0: for good
	renewable bool
}

// due says whether half of its life is over.
func (s session) due(now time.Time) bool {
	return s.lives > 0 && !now.Before(s.from.Add(s.lives/2))
}

// OpenVault makes a reader of a vault. It asks nothing yet. Settings that can't be right
// are Invalid.
func OpenVault(set Settings, now func() time.Time) (*Vault, error) {
	v := &Vault{set: set, now: now, signing: make(chan struct{}, 1)}
	if err := v.address(); err != nil {
		return nil, err
	}
	if err := v.account(); err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: timeout, MaxIdleConns: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		DialContext: (&net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error { return tenure.CheckDial(address) }}).DialContext,
	}
	if set.CAFile != "" {
		pem, err := os.ReadFile(set.CAFile)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return nil, tenure.Errorf(tenure.Invalid, "vault: caFile %s holds no certificate that can be read", set.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	v.client = &http.Client{Timeout: timeout, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v, nil
}

func (v *Vault) address() error {
	u, err := url.Parse(v.set.Address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return tenure.Errorf(tenure.Invalid, "vault: address is not an https address without a user").WithHint("for example https://vault.example:8200")
	}
	local := u.Hostname() == "localhost"
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		local = ip.IsLoopback()
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return tenure.Errorf(tenure.Invalid, "vault: address is not https, and secrets would pass in clear").WithHint("http is for an address of this machine alone, such as an agent's")
	}
	v.base = strings.TrimRight(u.String(), "/") + "/v1/"
	return nil
}

func (v *Vault) account() error {
	given := 0
	kept := func(name, text string) error {
		p, ok, err := Parse(text)
		if err != nil || !ok || p.kind == "vault" {
			return tenure.Errorf(tenure.Invalid, "vault: %s stands in clear, or in the vault itself", name).WithHint("write env:NAME or file:PATH")
		}
		v.token = p
		return nil
	}
	if v.set.Token != "" {
		given++
		if err := kept("token", v.set.Token); err != nil {
			return err
		}
	}
	if a := v.set.AppRole; a != nil {
		given++
		if a.RoleID == "" {
			return tenure.Errorf(tenure.Invalid, "vault: appRole needs a roleId")
		}
		if err := kept("appRole.secretId", a.SecretID); err != nil {
			return err
		}
	}
	if k := v.set.Kubernetes; k != nil {
		given++
		if k.Role == "" {
			return tenure.Errorf(tenure.Invalid, "vault: kubernetes needs a role")
		}
	}
	if given != 1 {
		return tenure.Errorf(tenure.Invalid, "vault: give one of token, appRole and kubernetes")
	}
	return nil
}

// read reads a field. A token that was refused is replaced once: it may have ended or been
// revoked.
func (v *Vault) read(ctx context.Context, p Place) (Value, error) {
	as, err := v.session(ctx, session{})
	if err != nil {
		return Value{}, err
	}
	out, err := v.field(ctx, as, p)
	if tenure.CodeOf(err) != tenure.Forbidden {
		return out, err
	}
	if again, err := v.session(ctx, as); err == nil && again.token.Reveal() != as.token.Reveal() {
		if out, err = v.field(ctx, again, p); tenure.CodeOf(err) != tenure.Forbidden {
			return out, err
		}
	}
	return Value{}, tenure.Errorf(tenure.Blocked, "%s: the vault refuses to let Tenure read it", p).
		WithHint("its policy needs read on %s (version 2: MOUNT/data/PATH), and the token must not have ended", p.at)
}

// field reads one field with a session. What is refused is Forbidden.
func (v *Vault) field(ctx context.Context, as session, p Place) (Value, error) {
	mount, second, err := v.mount(ctx, as, p)
	if err != nil {
		return Value{}, err
	}
	path := p.at
	if second {
		path = mount + "data/" + strings.TrimPrefix(p.at, mount)
	}
	var answer struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	status, err := v.call(ctx, as, http.MethodGet, path, nil, &answer)
	if err != nil {
		return Value{}, err
	}
	fields := answer.Data
	var out Value
	if second && fields != nil {
		var meta struct {
			Created time.Time `json:"created_time"`
			Deleted string    `json:"deletion_time"`
			Gone    bool      `json:"destroyed"`
		}
		inner := fields
		fields = nil
		_ = json.Unmarshal(inner["data"], &fields)
		_ = json.Unmarshal(inner["metadata"], &meta)
		out.Since = meta.Created.UTC().Truncate(time.Microsecond)
		if fields == nil && (meta.Gone || meta.Deleted != "") {
			return Value{}, tenure.Errorf(tenure.Blocked, "%s: its latest version was deleted in the vault", p).WithHint("restore it, or write another version: vault kv put %s …", p.at)
		}
	}
	if status == http.StatusNotFound {
		return Value{}, tenure.Errorf(tenure.Blocked, "%s: there is no such secret in the vault", p).WithHint("see what is there: vault kv get %s", p.at)
	}
	raw, ok := fields[p.field]
	if !ok {
		return Value{}, tenure.Errorf(tenure.Blocked, "%s: the secret has no such field", p).WithHint("see which it has: vault kv get %s", p.at)
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || strings.TrimSpace(text) == "" {
		return Value{}, tenure.Errorf(tenure.Blocked, "%s: the field holds no text", p)
	}
	out.Secret = tenure.NewSecret(text)
	return out, nil
}

// mount is the part of a path that is the store's mount, and whether the store is of
// version 2: what the vault's own command line asks before it reads.
func (v *Vault) mount(ctx context.Context, as session, p Place) (path string, second bool, err error) {
	var answer struct {
		Data struct {
			Path    string            `json:"path"`
			Type    string            `json:"type"`
			Options map[string]string `json:"options"`
		} `json:"data"`
	}
	status, err := v.call(ctx, as, http.MethodGet, "sys/internal/ui/mounts/"+p.at, nil, &answer)
	switch {
	case err != nil:
		return "", false, err
	case status == http.StatusNotFound: // older than this question: version 1
		first, _, _ := strings.Cut(p.at, "/")
		return first + "/", false, nil
	}
	if t := answer.Data.Type; t != "" && t != "kv" && t != "generic" {
		return "", false, tenure.Errorf(tenure.Blocked, "%s: what is mounted there is %q, and no key-value store", p, t)
	}
	if !strings.HasPrefix(p.at, answer.Data.Path) || answer.Data.Path == "" {
		return "", false, tenure.Errorf(tenure.Blocked, "%s: the vault names another mount for it", p)
	}
	return answer.Data.Path, answer.Data.Options["version"] == "2", nil
}

// call makes a request. A status that isn't 2xx or 404 is an error, 403 Forbidden.
func (v *Vault) call(ctx context.Context, as session, method, path string, in, out any) (status int, err error) {
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return 0, tenure.Errorf(tenure.Internal, "a request to the vault: %w", err)
		}
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.base+strings.Join(segments, "/"), bytes.NewReader(body))
	if err != nil {
		return 0, tenure.Errorf(tenure.Invalid, "the vault's address can't be asked")
	}
	req.Header.Set("X-Vault-Request", "true")
	if !as.token.IsZero() {
		req.Header.Set("X-Vault-Token", as.token.Reveal())
	}
	if v.set.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.set.Namespace)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return 0, tenure.Errorf(tenure.Unavailable, "the vault at %s doesn't answer: %w", v.set.Address, err).Retryable()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(raw) > maxAnswer {
		return 0, tenure.Errorf(tenure.Unavailable, "the vault's answer can't be read whole").Retryable()
	}
	if resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusNotFound {
		if err := refusal(resp.StatusCode); resp.StatusCode != http.StatusForbidden || !unknown(raw) {
			return resp.StatusCode, err
		}
		return resp.StatusCode, tenure.Errorf(tenure.Forbidden, "the vault refuses the token: %w", errUnknownToken)
	}
	if out != nil && len(raw) > 0 {
		if err := json.Unmarshal(raw, out); err != nil {
			return 0, tenure.Errorf(tenure.Unavailable, "the vault's answer isn't what a vault answers").WithHint("check vault.address")
		}
	}
	return resp.StatusCode, nil
}

// errUnknownToken is why a token is refused that isn't known, or has ended.
var errUnknownToken = errors.New("it doesn't know it")

// unknown says whether a 403 names the token itself, and not a right that it lacks: "invalid
// token" in OpenBao and Vault, "bad token" in Vaults before 1.13.
func unknown(raw []byte) bool {
	return bytes.Contains(raw, []byte("invalid token")) || bytes.Contains(raw, []byte("bad token"))
}

// refusal is what a status means. What the vault says besides isn't repeated: it may quote
// what it was sent.
func refusal(status int) error {
	switch {
	case status == http.StatusForbidden:
		return tenure.Errorf(tenure.Forbidden, "the vault refuses the token")
	case status == http.StatusBadRequest || status == http.StatusUnauthorized:
		return tenure.Errorf(tenure.Blocked, "the vault refuses the request (%d)", status)
	case status/100 == 3:
		return tenure.Errorf(tenure.Blocked, "the vault at this address is a standby that sends elsewhere").WithHint("name the active node's address, or let standbys forward requests")
	case status == http.StatusServiceUnavailable:
		return tenure.Errorf(tenure.Unavailable, "the vault is sealed, or no node is active").WithHint("unseal it; systems that are open go on").Retryable()
	}
	return tenure.Errorf(tenure.Unavailable, "the vault answered %s", fmt.Sprint(status, " ", http.StatusText(status))).Retryable()
}
