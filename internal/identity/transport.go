package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/oauth2"

	"github.com/tenurehq/tenure"
)

const (
	maxBody      = 1 << 20
	maxRedirects = 3

	keyFetches    = 4 // key sets fetched at once before the limit holds
	keyFetchEvery = 30 * time.Second
)

var (
	errTooLarge  = errors.New("an answer is larger than 1 MiB")
	errElsewhere = errors.New("an answer sends Tenure to another place")
	errTooOften  = errors.New("the keys have been asked for too often")
)

// statusError is an answer that isn't 200 where nothing else is of use.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("it answers with status %d", int(s)) }

// newClient makes the one client that speaks to the provider. What it reads is
// bounded in time and size, and it isn't led to another host.
func newClient(timeout time.Duration, now func() time.Time) (*http.Client, *guard) {
	// What a name resolves to is judged as it is dialled: neither an issuer's name nor
	// an endpoint's leads to where clouds tell a machine its credentials.
	dialer := &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error { return tenure.CheckDial(address) }}
	base := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout: timeout, IdleConnTimeout: time.Minute, MaxIdleConns: 8,
	}
	g := &guard{base: base, now: now, left: keyFetches}
	return &http.Client{Transport: g, Timeout: timeout, CheckRedirect: stay}, g
}

// stay lets a GET be redirected within its own scheme, host and port. A POST
// carries the code and the client's secret, so it goes nowhere else.
func stay(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || len(via) > maxRedirects {
		return errElsewhere
	}
	return nil
}

// guard is the transport below the client: it reads each answer whole, up to
// the limit, so that no reader above it needs one of its own, and it doesn't
// let tokens with forged key ids hammer the provider.
type guard struct {
	base http.RoundTripper
	now  func() time.Time

	mu     sync.Mutex
	keys   string // the key set's URL
	left   int
	filled time.Time
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !g.allow(req.URL.String()) {
		return nil, errTooOften
	}
	resp, err := g.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	_ = resp.Body.Close()
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxBody:
		return nil, errTooLarge
	case req.Method == http.MethodGet && resp.StatusCode >= 400:
		return nil, statusError(resp.StatusCode)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// allow takes one fetch from the key set's bucket; other URLs have no limit.
func (g *guard) allow(target string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if target != g.keys {
		return true
	}
	if refill := int(g.now().Sub(g.filled) / keyFetchEvery); refill > 0 {
		g.left, g.filled = min(keyFetches, g.left+refill), g.now()
	}
	if g.left == 0 {
		return false
	}
	g.left--
	return true
}

func (g *guard) limit(keys string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys = keys
}

// unreachable is the error for a provider that doesn't answer as it should. It
// names the kind of failure alone: the text of the cause may quote the answer,
// and a hostile answer quotes what it was sent.
func unreachable(doing string, err error) error {
	return tenure.Errorf(tenure.Unavailable, "%s: the OpenID provider is of no use: %s", doing, kind(err)).
		WithHint("try again; if it stays, look at the provider and at the issuer that Tenure is set to").Retryable()
}

func kind(err error) string {
	var (
		status   statusError
		retrieve *oauth2.RetrieveError
		timeout  net.Error
		cert     *tls.CertificateVerificationError
		dns      *net.DNSError
		op       *net.OpError
	)
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errElsewhere), errors.Is(err, errTooOften):
		return firstOf(err, errTooLarge, errElsewhere, errTooOften).Error()
	case errors.As(err, &status):
		return status.Error()
	case errors.As(err, &retrieve) && retrieve.Response != nil:
		return statusError(retrieve.Response.StatusCode).Error()
	case errors.Is(err, context.Canceled):
		return "the caller didn't wait"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it doesn't answer in time"
	case errors.As(err, &cert):
		return "its certificate isn't trusted"
	case errors.As(err, &dns):
		return "its host has no address"
	case errors.As(err, &op), errors.Is(err, io.EOF): // also a kept connection that ended as the request was sent
		return "it can't be reached"
	}
	return "its answer can't be read"
}

func firstOf(err error, targets ...error) error {
	for _, t := range targets {
		if errors.Is(err, t) {
			return t
		}
	}
	return err
}
