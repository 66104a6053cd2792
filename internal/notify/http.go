package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

// poster posts to one address.
type poster struct {
	url    string
	host   string
	client *http.Client
}

// dialer connects to what may be connected to. The address is judged as it is dialled, after
// the name was resolved: a name that resolves to another address the second time gains nothing.
func dialer(timeout time.Duration, resolver *net.Resolver, local bool) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Resolver: resolver, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return refusedError{"it has no address"}
		}
		if why := tenure.OffLimits(at.Addr(), local); why != "" {
			return refusedError{why}
		}
		return nil
	}}
}

func newPoster(t Target) (*poster, error) {
	u, local, err := checkURL(t.URL)
	if err != nil {
		return nil, err
	}
	trust := t.Trust.Clone()
	if trust == nil {
		trust = &tls.Config{}
	}
	trust.MinVersion = tls.VersionTLS12
	// No proxy, or its address would be judged instead.
	return &poster{url: u.String(), host: u.Host, client: &http.Client{
		Timeout:       t.Timeout,
		Transport:     &http.Transport{DialContext: dialer(t.Timeout, t.resolver, local).DialContext, TLSClientConfig: trust, MaxIdleConns: 2, IdleConnTimeout: time.Minute, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// refusedError says why an address isn't dialled.
type refusedError struct{ why string }

func (e refusedError) Error() string { return "nothing is sent there: " + e.why }

// post sends one request; only an answer of 200 to 299 says that it has arrived. The answer is
// what the receiver says then, up to 16 KiB of it.
func (p *poster) post(ctx context.Context, m message) (answer []byte, f *failure) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(m.body))
	if err != nil {
		return nil, &failure{why: "the address can't be used"}
	}
	req.Header = m.header
	req.Header.Set("User-Agent", "tenure")
	res, err := p.client.Do(req)
	if err != nil {
		return nil, &failure{why: reason(err), receiver: true}
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ = io.ReadAll(io.LimitReader(res.Body, 16<<10)) // read, so that the connection can be used again
	why := "it answered " + strconv.Itoa(res.StatusCode)
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		return answer, nil
	case code >= 300 && code < 400:
		return nil, &failure{why: why + ", and redirects aren't followed", receiver: true}
	case code == http.StatusGone:
		return nil, &failure{why: why + ", which says that it wants nothing any more", receiver: true, gone: true}
	case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		return nil, &failure{why: why, receiver: true, after: retryAfter(res.Header)}
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound:
		return nil, &failure{why: why, receiver: true}
	}
	return nil, &failure{why: why}
}

// retryAfter is what a receiver asks for in seconds (RFC 9110 §10.2.3), an hour
// at most.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Hour)
}

// reason is an error of the network without the address, whose path may hold a
// secret.
func reason(err error) string {
	var refused refusedError
	var dns *net.DNSError
	var outer *url.Error
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &dns):
		return "its name can't be resolved"
	case errors.As(err, &outer) && outer.Timeout():
		return "it didn't answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses connections"
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return "its certificate isn't good"
	}
	return "the connection failed"
}
