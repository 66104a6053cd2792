package rest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
)

// Auth puts a credential on requests.
type Auth interface {
	// Sign puts the credential on a request whose body is given, and names the credential
	// that it put there, "" where it can't be renewed.
	Sign(ctx context.Context, c *Client, req *http.Request, body []byte) (used string, err error)

	// Renew gets another credential after one was refused, and says whether there is one.
	Renew(ctx context.Context, c *Client, used string) (bool, error)
}

// fixed is a credential that nothing here can renew.
type fixed func(req *http.Request, body []byte)

func (f fixed) Sign(_ context.Context, _ *Client, req *http.Request, body []byte) (string, error) {
	f(req, body)
	return "", nil
}

func (fixed) Renew(context.Context, *Client, string) (bool, error) { return false, nil }

// Bearer sends a token (RFC 6750).
func Bearer(token tenure.Secret) Auth { return InHeader("Authorization", "Bearer ", token) }

// InHeader sends a secret in a header, after a prefix.
func InHeader(name, prefix string, secret tenure.Secret) Auth {
	return fixed(func(req *http.Request, _ []byte) { req.Header.Set(name, prefix+secret.Reveal()) })
}

// Basic sends a user and a password (RFC 7617).
func Basic(user string, password tenure.Secret) Auth {
	return fixed(func(req *http.Request, _ []byte) { req.SetBasicAuth(user, password.Reveal()) })
}

// Signature is an HMAC (RFC 2104) over what each request says.
type Signature struct {
	Key      tenure.Secret
	Hash     string   // sha256 or sha512
	Over     []string // what is signed, joined by newlines: method, path, query, body, bodyDigest (hex SHA-256), time
	Header   string   // that carries the signature
	Prefix   string   // before it
	Encoding string   // hex or base64
	Time     string   // the header that carries the time in seconds since 1970; "" sends none
	Now      func() time.Time
}

// Signed sends signatures. Words in Over that it doesn't know, and hashes and encodings,
// are Invalid.
func Signed(s Signature) (Auth, error) {
	hashes := map[string]func() hash.Hash{"sha256": sha256.New, "sha512": sha512.New}
	algorithm, ok := hashes[s.Hash]
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "a signature's hash is %q, neither sha256 nor sha512", s.Hash)
	}
	encode := map[string]func([]byte) string{"hex": hex.EncodeToString, "base64": base64.StdEncoding.EncodeToString}[s.Encoding]
	if encode == nil {
		return nil, tenure.Errorf(tenure.Invalid, "a signature's encoding is %q, neither hex nor base64", s.Encoding)
	}
	for _, word := range s.Over {
		if _, ok := signed(word, &http.Request{URL: &url.URL{}}, nil, ""); !ok {
			return nil, tenure.Errorf(tenure.Invalid, "a signature can't be over %q", word)
		}
	}
	return fixed(func(req *http.Request, body []byte) {
		now := strconv.FormatInt(s.Now().Unix(), 10)
		if s.Time != "" {
			req.Header.Set(s.Time, now)
		}
		parts := make([]string, len(s.Over))
		for i, word := range s.Over {
			parts[i], _ = signed(word, req, body, now)
		}
		mac := hmac.New(algorithm, []byte(s.Key.Reveal()))
		mac.Write([]byte(strings.Join(parts, "\n")))
		req.Header.Set(s.Header, s.Prefix+encode(mac.Sum(nil)))
	}), nil
}

func signed(word string, req *http.Request, body []byte, now string) (string, bool) {
	switch word {
	case "method":
		return req.Method, true
	case "path":
		return req.URL.EscapedPath(), true
	case "query":
		return req.URL.RawQuery, true
	case "body":
		return string(body), true
	case "bodyDigest":
		sum := sha256.Sum256(body)
		return hex.EncodeToString(sum[:]), true
	case "time":
		return now, true
	}
	return "", false
}

// Token is a credential that is asked for, sent as long as it is good, and asked for again.
type Token struct {
	// Ask is the request that gets one. It is sent without a credential.
	Ask func(now time.Time) (Request, error)
	// Read finds the token in the answer and how long it is good; 0 is until it is refused.
	Read func(body any) (token string, lives time.Duration, err error)

	// Via is the client that asks, where the token endpoint isn't under the base.
	Via *Client

	Header string // that carries it
	Prefix string // before it
	Now    func() time.Time

	mu   sync.Mutex
	held string
	ends time.Time
}

// ClientCredentials is the token of an OAuth 2.0 client (RFC 6749, 4.4), asked for at a path
// under the base.
func ClientCredentials(path, id string, secret tenure.Secret, scopes string, now func() time.Time) *Token {
	return &Token{
		Header: "Authorization", Prefix: "Bearer ", Now: now,
		Ask: func(time.Time) (Request, error) {
			form := url.Values{"grant_type": {"client_credentials"}}
			if scopes != "" {
				form.Set("scope", scopes)
			}
			h := http.Header{}
			h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret.Reveal()))))
			return Request{Method: http.MethodPost, Path: path, Header: h, Type: "application/x-www-form-urlencoded", Body: []byte(form.Encode()), Again: true}, nil
		},
		Read: func(body any) (string, time.Duration, error) {
			m, _ := body.(map[string]any)
			token, _ := m["access_token"].(string)
			lives, _ := m["expires_in"].(int64)
			if token == "" {
				return "", 0, tenure.Errorf(tenure.Blocked, "the token endpoint gave no access_token")
			}
			return token, time.Duration(lives) * time.Second, nil
		},
	}
}

// Sign is described at Auth.
func (t *Token) Sign(ctx context.Context, c *Client, req *http.Request, _ []byte) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// One that is about to end would be refused on its way.
	if t.held == "" || !t.ends.IsZero() && !t.Now().Before(t.ends.Add(-10*time.Second)) {
		if err := t.ask(ctx, c); err != nil {
			return "", err
		}
	}
	req.Header.Set(t.Header, t.Prefix+t.held)
	return t.held, nil
}

// Renew is described at Auth.
func (t *Token) Renew(ctx context.Context, c *Client, used string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != used { // somebody else renewed it meanwhile
		return true, nil
	}
	return true, t.ask(ctx, c)
}

func (t *Token) ask(ctx context.Context, c *Client) error {
	r, err := t.Ask(t.Now())
	if err != nil {
		return err
	}
	bare := c.As(nil)
	if t.Via != nil {
		bare = t.Via
	}
	a, err := bare.Send(ctx, r)
	if err != nil {
		return err
	}
	if !a.OK() {
		return tenure.Errorf(tenure.Blocked, "no token was given: %w", a.Err()).WithHint("the credential is wrong or has expired")
	}
	body, err := a.JSON()
	if err != nil {
		return err
	}
	token, lives, err := t.Read(body)
	if err != nil {
		return err
	}
	t.held, t.ends = token, time.Time{}
	if lives > 0 {
		t.ends = t.Now().Add(lives)
	}
	return nil
}

// Body is a value as a JSON body. It fails for what JSON can't hold.
func Body(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "a body can't be written as JSON: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
