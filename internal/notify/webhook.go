package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
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
	"github.com/tenurehq/tenure/internal/store"
)

// Headers of a notice.
const (
	SignatureHeader = "Tenure-Signature" // t=UNIX SECONDS,v1=HEX of HMAC-SHA256 over "t.body" under the shared secret
	KeyHeader       = "Idempotency-Key"  // the notice's id: what comes twice is one
)

// Webhook is where notices are posted.
type Webhook struct {
	URL     string        // https; http for this machine alone
	Secret  tenure.Secret // shared with the receiver, at least 16 bytes
	Timeout time.Duration // of one notice; 0 is 10 s

	// Trust says by whom a receiver's certificate may be signed; nil is the system's
	// list.
	Trust *tls.Config

	resolver *net.Resolver // nil: the system's
}

// minSecret is how short a shared secret may be.
const minSecret = 16

type poster struct {
	url    string
	host   string
	secret tenure.Secret
	client *http.Client
}

// Body is what is posted.
type Body struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Recipient string    `json:"recipient"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"createdAt"`
}

func newPoster(w Webhook) (*poster, error) {
	u, local, err := checkURL(w.URL)
	if err != nil {
		return nil, err
	}
	if len(w.Secret.Reveal()) < minSecret {
		return nil, tenure.Errorf(tenure.Invalid, "notify: the webhook's secret has fewer than %d bytes", minSecret).WithHint("make one: openssl rand -hex 32")
	}
	if w.Timeout <= 0 {
		w.Timeout = 10 * time.Second
	}
	trust := w.Trust.Clone()
	if trust == nil {
		trust = &tls.Config{}
	}
	trust.MinVersion = tls.VersionTLS12
	// The address is judged as it is dialled, after the name was resolved: a name
	// that resolves to another address the second time gains nothing. No proxy, or
	// its address would be judged instead.
	dial := &net.Dialer{Timeout: w.Timeout, Resolver: w.resolver, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return refusedError{"it has no address"}
		}
		if why := tenure.OffLimits(at.Addr(), local); why != "" {
			return refusedError{why}
		}
		return nil
	}}
	return &poster{url: u.String(), host: u.Host, secret: w.Secret, client: &http.Client{
		Timeout:       w.Timeout,
		Transport:     &http.Transport{DialContext: dial.DialContext, TLSClientConfig: trust, MaxIdleConns: 2, IdleConnTimeout: time.Minute, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// refusedError says why an address isn't dialled.
type refusedError struct{ why string }

func (e refusedError) Error() string { return "nothing is sent there: " + e.why }

// failure is why a notice didn't arrive. Its words hold neither the receiver's
// answer nor the address's path, where secrets may be.
type failure struct {
	why     string
	receive bool          // it is the receiver that doesn't work: another notice would fare no better
	after   time.Duration // when the receiver wants to be asked again
}

func (f *failure) Error() string { return f.why }

// post sends a notice; only an answer of 200 to 299 says that it has arrived.
func (p *poster) post(ctx context.Context, n store.Notice, now time.Time) *failure {
	body, err := json.Marshal(Body{ID: n.ID, Tenant: string(n.Tenant), Operation: string(n.Operation), Recipient: n.Recipient, Text: n.Body, CreatedAt: n.CreatedAt})
	if err != nil {
		return &failure{why: "it can't be written down"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return &failure{why: "the address can't be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tenure")
	req.Header.Set(KeyHeader, n.ID)
	req.Header.Set(SignatureHeader, sign(p.secret, now, body))
	res, err := p.client.Do(req)
	if err != nil {
		return &failure{why: reason(err), receive: true}
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 16<<10)) // so that the connection can be used again
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return &failure{why: "it answered " + res.Status[:3] + ", and redirects aren't followed", receive: true}
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout:
		return &failure{why: "it answered " + res.Status[:3], receive: true, after: retryAfter(res.Header)}
	}
	return &failure{why: "it answered " + strconv.Itoa(res.StatusCode)}
}

// sign is the value of SignatureHeader.
func sign(secret tenure.Secret, now time.Time, body []byte) string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
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
