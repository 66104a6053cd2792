package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

// PrincipalHeader says who asks, as percent-encoded UTF-8. It is honoured where
// the name may be asserted, at the installation's socket and in its process, and
// nowhere else.
const PrincipalHeader = "Tenure-Principal"

const (
	maxAnswer = 256 << 20                       // what is read of an answer
	callLimit = 10*time.Minute + 30*time.Second // what one call may take
)

// Client asks one server. Its methods may be called from any goroutine.
type Client struct {
	base  *url.URL
	token tenure.Secret
	as    string
	named bool // says who asks by name, without a credential
	http  *http.Client
	agent string
	tries int
}

// Option changes how a Client asks.
type Option func(*Client) error

// WithToken sends a bearer token (RFC 6750) with every call. It is refused for an
// address that isn't https, loopback ones aside: the token would travel in clear.
func WithToken(t tenure.Secret) Option {
	return func(c *Client) error { c.token = t; return nil }
}

// WithSocket asks the server at a Unix socket, where the name of who asks is
// asserted, not proven.
func WithSocket(path, as string) Option {
	return func(c *Client) error {
		short, err := ShortSocket(path)
		if err != nil {
			return err
		}
		c.as, c.named = as, true
		c.http = &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", short)
		}}}
		return nil
	}
}

// WithHandler asks a handler in this process; as is who asks.
func WithHandler(h http.Handler, as string) Option {
	return func(c *Client) error {
		c.as, c.named, c.tries = as, true, 1
		c.http = &http.Client{Transport: inProcess{h}}
		return nil
	}
}

// WithHTTPClient sends through a client of the caller's. Redirects aren't followed
// whatever it says, since they would carry the token along.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error { copied := *h; c.http = &copied; return nil }
}

// WithUserAgent names the program that asks; the default is "tenure-client".
func WithUserAgent(name string) Option {
	return func(c *Client) error { c.agent = name; return nil }
}

// New makes a client of the server at a base address, such as
// "https://tenure.example"; it calls nobody yet. An address that isn't http or
// https, or that has a user, a query or a fragment, is Invalid.
func New(base string, options ...Option) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, tenure.Errorf(tenure.Invalid, "that isn't a server's address").WithHint("write it like https://tenure.example")
	}
	c := &Client{base: u, agent: "tenure-client", tries: 3}
	for _, o := range options {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	if !c.token.IsZero() && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, tenure.Errorf(tenure.Invalid, "a token isn't sent to %s: it would travel in clear", u.Host).WithHint("use https")
	}
	if c.http == nil {
		c.http = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		}}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Dial makes a client of the server at a socket, as who the caller says to be.
// None there, or a dead one's leftover, is NotFound; one that can't be reached is
// Unavailable.
func Dial(ctx context.Context, socket, as string) (*Client, error) {
	short, err := ShortSocket(socket)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, tenure.Errorf(tenure.NotFound, "no server is running at %s", socket)
	case err != nil:
		return nil, tenure.Errorf(tenure.Unavailable, "server at %s: %w", socket, err).Retryable()
	}
	_ = conn.Close()
	return New("http://tenure", WithSocket(socket, as))
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxSocketPath is what a socket's address holds on every Unix, with the zero at
// its end (104 bytes on BSD, 108 on Linux).
const maxSocketPath = 103

// ShortSocket gives a path that fits into a socket's address: the path itself or,
// where that is too long, the way to it from the working directory. One that fits
// in neither form is Invalid.
func ShortSocket(path string) (string, error) {
	if len(path) <= maxSocketPath {
		return path, nil
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) <= maxSocketPath {
			return rel, nil
		}
	}
	return "", tenure.Errorf(tenure.Invalid, "the path %s is too long for a socket (%d bytes at the most)", path, maxSocketPath).WithHint("run the command nearer to the folder, or give the folder a shorter path")
}
