package postgrestest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands between a client and the test server, on a loopback port, and
// does to their connections what networks do.
type Proxy struct {
	DSN string // the server's URL, through the proxy

	target string
	listen net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
	fault fault
	watch []byte
	fired chan struct{}
	spied []byte
	spies bool
}

type fault int

const (
	none  fault = iota
	cut         // close when the watched text is sent, before the server sees it
	lose        // let it through, then close when the answer comes
	stall       // keep both sides open and pass nothing on
	down        // refuse every connection
)

// NewProxy starts a proxy to dsn that ends with the test.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listen: l, conns: map[net.Conn]bool{}}
	p.DSN = With(t, dsn, func(u *url.URL) {
		p.target = u.Host
		u.Host = l.Addr().String()
	})
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.Down()
	})
	return p
}

// CutAt closes the first connection whose client sends the text; the server
// doesn't get it. The channel closes when that has happened.
func (p *Proxy) CutAt(text string) <-chan struct{} { return p.arm(cut, text) }

// LoseAnswerTo lets the text through and closes the connection once the server
// has answered, so that the client never learns what came of it.
func (p *Proxy) LoseAnswerTo(text string) <-chan struct{} { return p.arm(lose, text) }

// StallAt passes nothing on from the moment that a client sends the text.
func (p *Proxy) StallAt(text string) <-chan struct{} { return p.arm(stall, text) }

// Down closes every connection and refuses new ones.
func (p *Proxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = down
	for c := range p.conns {
		_ = c.Close()
	}
}

// Spy keeps all that clients send from now on; what it returns reads it.
func (p *Proxy) Spy() func() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spies = true
	return func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return string(p.spied)
	}
}

// Heal passes everything on again.
func (p *Proxy) Heal() { p.arm(none, "") }

func (p *Proxy) arm(f fault, text string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.watch, p.fired = f, []byte(text), make(chan struct{})
	return p.fired
}

// hit takes the armed fault if b holds the watched text; a fault fires once.
func (p *Proxy) hit(b []byte) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spies {
		p.spied = append(p.spied, b...)
	}
	if p.fault == none || p.fault == down || !bytes.Contains(b, p.watch) {
		return none
	}
	f := p.fault
	p.fault = none
	close(p.fired)
	return f
}

func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == down {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		if p.track(client) {
			go p.serve(client)
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.track(server) {
		_ = client.Close()
		return
	}
	shut := func() {
		_ = client.Close()
		_ = server.Close()
	}
	lost := make(chan struct{})
	go func() {
		defer shut()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			select {
			case <-lost: // the answer has come; it ends here
				return
			default:
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	defer shut()
	p.forward(client, server, lost)
}

// forward passes what the client sends on until a fault fires.
func (p *Proxy) forward(client, server net.Conn, lost chan struct{}) {
	buf := make([]byte, 256<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		switch p.hit(buf[:n]) {
		case cut:
			return
		case lose:
			close(lost)
		case stall:
			_, _ = io.Copy(io.Discard, client)
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}
