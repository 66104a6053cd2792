// Package nametest is a name server for tests of where a name may lead.
package nametest

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
)

// Server starts a name server on loopback that gives an IPv4 address for every name
// (RFC 1035), until the test ends: the first at the first question, and so on, the last
// one for good. What it returns is a [net.Resolver]'s Dial.
func Server(t testing.TB, ips ...netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12 + bytes.IndexByte(buf[12:n], 0) + 5 // the question, without what may follow
			q := append([]byte(nil), buf[:end]...)
			q[2], q[3] = 0x81, 0x80
			copy(q[6:12], make([]byte, 6))
			if q[end-3] == 1 { // an A record was asked for
				q[7] = 1
				q = append(q, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
				q = append(q, ips[0].AsSlice()...)
				if len(ips) > 1 {
					ips = ips[1:]
				}
			}
			_, _ = server.WriteTo(q, from)
		}
	}()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}
}
