// Package rest is what connectors to HTTP interfaces share: requests that stay under one
// base and within a rate, credentials that are renewed, Retry-After, pages, waiting for
// what a system does later, and errors that tell no secret.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// MaxBody is how many bytes of an answer are read: 16 MiB.
const MaxBody = 16 << 20

// patience bounds how long one request may wait in all for a system that asks to be left
// alone (Retry-After) before the engine is told to come back later.
const patience = 30 * time.Second

// Options are what a Client is made of.
type Options struct {
	Base    string        // absolute http or https URL, without user, query or fragment
	Timeout time.Duration // of one request; 0 is 30 s
	Rate    float64       // requests a second at most; 0 is no limit
	Burst   int           // how many may go at once after a pause; at least 1
	Auth    Auth          // nil sends no credential

	CA   string        // certificates (PEM) that the system's own must come from; "" is the machine's
	Cert tenure.Secret // certificate and key (PEM), for mutual TLS

	Header http.Header // sent with each request
	Hidden []tenure.Secret
}

// DefaultTimeout is the option timeout where it isn't given.
const DefaultTimeout = "10s"

// Timeout is the option timeout of a system.
func Timeout(c connector.Config) (time.Duration, error) {
	text := cmp.Or(c.Option("timeout"), DefaultTimeout)
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 || timeout > 5*time.Minute {
		return 0, tenure.Errorf(tenure.Invalid, "option timeout is %q, which isn't a duration of at most 5m", text)
	}
	return timeout, nil
}

// Client speaks to one system. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	http    *http.Client
	auth    Auth
	limit   *rate.Limiter
	header  http.Header
	veil    connector.Veil
	timeout time.Duration

	// Told is called after each request that was answered, with what may be told of it. It is
	// set before the first.
	Told func(method, path string, status int, took time.Duration)
}

// Open makes a client. It sends nothing.
func Open(o Options) (*Client, error) {
	base, err := ParseBase(o.Base)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	c := &Client{base: base, auth: o.Auth, header: o.Header, veil: connector.NewVeil(o.Hidden...), timeout: o.Timeout, limit: rate.NewLimiter(rate.Inf, 1)}
	if o.Rate > 0 {
		c.limit = rate.NewLimiter(rate.Limit(o.Rate), max(1, o.Burst))
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(o.CA)) {
			return nil, tenure.Errorf(tenure.Invalid, "the CA holds no certificate in PEM")
		}
	}
	if !o.Cert.IsZero() {
		pair, err := tls.X509KeyPair([]byte(o.Cert.Reveal()), []byte(o.Cert.Reveal()))
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "the client certificate isn't a certificate and its key in PEM, in one file")
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	dialer := &net.Dialer{Timeout: o.Timeout, Control: func(_, address string, _ syscall.RawConn) error { return tenure.CheckDial(address) }}
	c.http = &http.Client{
		Timeout: o.Timeout,
		// A redirect is an answer like another: it is judged, never followed, so
		// no credential goes where it shouldn't.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would be another host
			DialContext:            dialer.DialContext,
			TLSClientConfig:        conf,
			MaxResponseHeaderBytes: 1 << 20,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base is the URL that every request stays under.
func (c *Client) Base() string { return c.base.String() }

// ParseBase reads the URL that a system's requests stay under. What isn't an absolute
// http or https URL, or has a user, a query or a fragment, is Invalid.
func ParseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "" || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, tenure.Errorf(tenure.Invalid, "option base isn't an absolute http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, tenure.Errorf(tenure.Invalid, "option base has a user, a query or a fragment")
	}
	if err := tenure.CheckHost(u.Hostname()); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "option base: %w", err)
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	return u, nil
}

// Resolve puts a path, escaped as in a URL, under the base, as Resolve does.
func (c *Client) Resolve(path string) (*url.URL, error) { return Resolve(c.base, path) }

// Resolve puts a path, escaped as in a URL, under a base. Anything that could leave it is
// Invalid: another host, dot segments, backslashes, and encoded ones of these.
func Resolve(base *url.URL, path string) (*url.URL, error) {
	bad := func(why string) (*url.URL, error) {
		return nil, tenure.Errorf(tenure.Invalid, "path %q %s", path, why).WithHint("write it as /some/path, below the option base")
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return bad("isn't a path on the host of the base")
	}
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || u.Fragment != "" {
		return bad("isn't a path on the host of the base")
	}
	if strings.ContainsFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return bad("has a query with characters that must be percent-encoded")
	}
	if lower := strings.ToLower(u.EscapedPath()); strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(u.Path, `\`) {
		return bad("has a backslash or an encoded separator")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return bad("has a dot segment")
		}
	}
	out := *base
	out.RawQuery = u.RawQuery
	out.Path, out.RawPath = base.Path+u.Path, base.EscapedPath()+u.EscapedPath()
	return &out, nil
}

// Request is one request.
type Request struct {
	Method string // "" is GET
	Path   string // escaped, under the base, with its query if it has one
	Header http.Header
	Body   []byte
	Type   string // of the body; "" is application/json

	// Again says that sending it twice does no harm, so that it is sent again where no
	// answer came or the system was busy. GET, HEAD, PUT and DELETE always are
	// (RFC 9110, 9.2.2).
	Again bool

	// Hidden are secrets of this request alone, to be kept out of what is said of it.
	Hidden []tenure.Secret
}

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func (r Request) again() bool {
	return r.Again || slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}, r.method())
}

// Answer is an answer, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	says string // the request, and what the system said, without secrets
}

// JSON is the body as plain values: whole numbers that fit are int64. An empty body is nil.
func (a Answer) JSON() (any, error) {
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(a.Body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "%s: the answer isn't JSON", a.says).Retryable()
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, tenure.Errorf(tenure.Unavailable, "%s: the answer is more than one JSON value", a.says).Retryable()
	}
	return plain(v), nil
}

// plain replaces numbers by int64 where they are whole and fit, and by float64 otherwise.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = plain(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
	}
	return v
}

// OK says whether the status is one of these, or of 200 to 299 where none is given.
func (a Answer) OK(statuses ...int) bool {
	if len(statuses) == 0 {
		return a.Status >= 200 && a.Status < 300
	}
	return slices.Contains(statuses, a.Status)
}

// Err is what a status that wasn't wanted means. 401 and 403 are Blocked, as a person must
// look at the credential; 404 and 410 NotFound; 409 and 412 Conflict; 408, 423, 425 and 429
// Unavailable; what else the system refuses is Invalid.
func (a Answer) Err() error {
	code, hint := tenure.Invalid, ""
	switch a.Status {
	case http.StatusUnauthorized:
		code, hint = tenure.Blocked, "the credential is wrong or has expired"
	case http.StatusForbidden:
		code, hint = tenure.Blocked, "the account lacks a right: see the connector's page"
	case http.StatusNotFound, http.StatusGone:
		code = tenure.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		code = tenure.Conflict
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return tenure.Errorf(tenure.Unavailable, "%s", a.says).Retryable()
	}
	if a.Status < 400 {
		code = tenure.Blocked
	}
	e := tenure.Errorf(code, "%s", a.says)
	if hint != "" {
		e = e.WithHint("%s", hint)
	}
	return e
}

// Send makes one request, within the rate, and again where it was too early or where the
// credential had to be renewed. No connection, no whole answer in time and a status of 5xx
// are Unavailable and worth a retry, since what was asked for may or may not have happened.
// Every other status is an answer.
func (c *Client) Send(ctx context.Context, r Request) (Answer, error) {
	u, err := Resolve(c.base, r.Path)
	if err != nil {
		return Answer{}, err
	}
	return c.send(ctx, r, u)
}

func (c *Client) send(ctx context.Context, r Request, u *url.URL) (Answer, error) {
	veil := c.veil
	if len(r.Hidden) > 0 {
		own := connector.NewVeil(r.Hidden...)
		a, err := c.tries(ctx, r, u)
		a.says = own.Text(veil.Text(a.says))
		return a, own.Err(veil.Err(err))
	}
	a, err := c.tries(ctx, r, u)
	a.says = veil.Text(a.says)
	return a, veil.Err(err)
}

func (c *Client) tries(ctx context.Context, r Request, u *url.URL) (a Answer, err error) {
	renewed, left := false, patience
	var sent connector.Veil
	for attempt := 0; ; attempt++ {
		if err := c.limit.Wait(ctx); err != nil {
			return a, tenure.Errorf(tenure.Unavailable, "%s %s: %w", r.method(), u.Path, err).Retryable()
		}
		var used string
		a, used, err = c.once(ctx, r, u)
		if used != "" { // a system may repeat what it was sent, now or before
			sent = sent.And(connector.NewVeil(tenure.NewSecret(used)))
			a.says, err = sent.Text(a.says), sent.Err(err)
		}
		switch {
		case err != nil:
			return a, err
		case a.Status == http.StatusUnauthorized && c.auth != nil && !renewed:
			renewed = true
			again, err := c.auth.Renew(ctx, c, used)
			if err != nil {
				return a, err
			}
			if again {
				continue
			}
		case a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" && r.again():
			wait := retryAfter(a.Header, attempt)
			if wait > left {
				return a, tenure.Errorf(tenure.Unavailable, "%s: the system asks to be left alone for %s", a.says, wait.Round(time.Second)).Retryable()
			}
			left -= wait
			select {
			case <-time.After(wait):
				continue
			case <-ctx.Done():
				return a, tenure.Errorf(tenure.Unavailable, "%s: %w", a.says, context.Cause(ctx)).Retryable()
			}
		}
		if a.Status >= 500 {
			return a, tenure.Errorf(tenure.Unavailable, "%s", a.says).Retryable()
		}
		return a, nil
	}
}

// once makes one request and reads its answer whole. Used names the credential that it
// went with, so that of many that are refused at once one renews it.
func (c *Client) once(ctx context.Context, r Request, u *url.URL) (a Answer, used string, err error) {
	req, err := http.NewRequestWithContext(ctx, r.method(), u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return a, "", tenure.Errorf(tenure.Invalid, "%s %s can't be requested", r.method(), u.Path)
	}
	for _, h := range []http.Header{c.header, r.Header} {
		for name, values := range h {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	req.Header.Set("User-Agent", "tenure")
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if r.Body != nil && (r.Type != "" || req.Header.Get("Content-Type") == "") {
		req.Header.Set("Content-Type", cmp.Or(r.Type, "application/json"))
	}
	if c.auth != nil {
		if used, err = c.auth.Sign(ctx, c, req, r.Body); err != nil {
			return a, used, err
		}
	}
	began := time.Now()
	res, err := c.http.Do(req)
	if err == nil && c.Told != nil {
		c.Told(r.method(), c.veil.Text(u.Path), res.StatusCode, time.Since(began))
	}
	if err != nil {
		return a, used, unanswered(r.method(), u, err)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return a, used, unanswered(r.method(), u, err)
	}
	if len(raw) > MaxBody {
		return a, used, tenure.Errorf(tenure.Invalid, "%s %s: the answer is over %d MiB", r.method(), u.Path, MaxBody>>20).WithHint("let the system answer in pages")
	}
	a = Answer{Status: res.StatusCode, Header: res.Header, Body: raw}
	a.says = fmt.Sprintf("%s %s: status %d", r.method(), u.Path, a.Status)
	if a.Status >= 400 {
		// What is cut can't be recognised as a secret any more.
		hide := c.veil.And(connector.NewVeil(append(slices.Clone(r.Hidden), tenure.NewSecret(used))...))
		if told := reason(res.Header.Get("Content-Type"), hide.Text(string(raw))); told != "" {
			a.says += ", " + told
		}
	}
	return a, used, nil
}

// reason is what the system says of why it refuses: printable, and not much of it.
func reason(contentType, raw string) string {
	if !strings.Contains(contentType, "json") && !strings.HasPrefix(contentType, "text/plain") {
		return ""
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(raw, "?")), " ")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300]) + "…"
	}
	return text
}

// retryAfter is how long the system asks to be left alone (RFC 9110, 10.2.3), or a time
// that doubles where it doesn't say.
func retryAfter(h http.Header, attempt int) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return min(8*time.Second, 250*time.Millisecond<<min(attempt, 5))
}

// unanswered is a request without an answer. Its cause goes without the URL and the
// headers, which may hold what isn't for a log.
func unanswered(method string, u *url.URL, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if strings.Contains(err.Error(), "invalid header field value") {
		return tenure.Errorf(tenure.Invalid, "%s %s: a header or the credential has characters that no header can have", method, u.Path)
	}
	return tenure.Errorf(tenure.Unavailable, "%s %s: %w", method, u.Path, err).Retryable()
}

// As is the client with another credential, or with none: nil.
func (c *Client) As(auth Auth) *Client {
	other := *c
	other.auth = auth
	return &other
}
