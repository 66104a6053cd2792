package departure

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/tenurehq/tenure/internal/postgrestest"
)

// counter stands between Tenure and the server, counts what Tenure sends once it
// is armed, and calls back at the n-th.
type counter struct {
	mu   sync.Mutex
	left int
	then func()
}

func (c *counter) arm(n int, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.then = n, then
}

func (c *counter) sent() {
	c.mu.Lock()
	var then func()
	if c.then != nil {
		if c.left--; c.left <= 0 {
			then, c.then = c.then, nil
		}
	}
	c.mu.Unlock()
	if then != nil {
		then()
	}
}

// newCounter listens on a port of its own for what is sent to an address.
func newCounter(t *testing.T, target string) (c *counter, at string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	c = &counter{}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(client, target)
		}
	}()
	return c, l.Addr().String()
}

func between(t *testing.T, dsn string) (c *counter, via string) {
	t.Helper()
	via = postgrestest.With(t, dsn, func(u *url.URL) { c, u.Host = newCounter(t, u.Host) })
	return c, via
}

func (c *counter) serve(client net.Conn, target string) {
	defer client.Close()
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(client, up)
		_ = client.Close()
	}()
	buf := make([]byte, 256<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if _, err := up.Write(buf[:n]); err != nil {
			return
		}
		c.sent()
	}
}
