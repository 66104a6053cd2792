package postgrestest

import (
	"net/url"
	"testing"

	"github.com/tenurehq/tenure/internal/toxitest"
)

// Proxy stands between a client and the test server, and does to their connections what
// networks do.
type Proxy struct {
	*toxitest.Proxy
	DSN string // the server's URL, through the proxy
}

// NewProxy starts a proxy to dsn that ends with the test.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	p := &Proxy{}
	p.DSN = With(t, dsn, func(u *url.URL) {
		p.Proxy = toxitest.New(t, u.Host)
		u.Host = p.Address
	})
	return p
}
