// Package toxitest puts a bad network between a test and a real server: toxiproxy's own
// toxics (slow, narrow, cut after so many bytes), and faults at a statement or at the n-th
// packet, which it has no words for.
package toxitest

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Proxy stands between clients and a server, on a loopback port. One fault is armed at a
// time, and comes once.
type Proxy struct {
	Address string // where clients reach it, 127.0.0.1:PORT

	proxy *toxiproxy.Proxy

	mu     sync.Mutex
	down   chan struct{} // closed while nothing passes
	fault  fault
	text   []byte // what a packet must hold
	left   int    // packets until the fault, where no text says which
	fired  chan struct{}
	latest *link
	spies  bool
	spied  []byte
}

// fault is what becomes of a packet and its connection.
type fault int

const (
	none  fault = iota
	cut         // the connection ends before the server has the packet
	lose        // the server has it, and the connection ends when the answer comes
	stall       // both sides stay open, and nothing more passes to the server
	gone        // as cut, and nothing passes from then on
)

// link is what the two directions of one connection have in common.
type link struct{ lost chan struct{} }

var register = sync.OnceFunc(func() {
	toxics.Register("sent", new(sent))
	toxics.Register("answered", new(answered))
})

// New starts a proxy to a server, as host:port, that ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	register()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &Proxy{proxy: toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", target), down: make(chan struct{})}
	for kind, direction := range map[string]string{"sent": "upstream", "answered": "downstream"} {
		w, err := p.add(kind, kind, direction, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch own := w.Toxic.(type) {
		case *sent:
			own.p = p
		case *answered:
			own.p = p
		}
	}
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	p.Address = p.proxy.Listen
	t.Cleanup(func() {
		p.Down()
		p.proxy.Stop()
	})
	return p
}

func (p *Proxy) add(name, kind, direction string, attributes map[string]any) (*toxics.ToxicWrapper, error) {
	raw, err := json.Marshal(map[string]any{"name": name, "type": kind, "stream": direction, "attributes": attributes})
	if err != nil {
		return nil, err
	}
	return p.proxy.Toxics.AddToxicJson(bytes.NewReader(raw))
}

// Answers adds one of toxiproxy's toxics to what the server sends: latency, bandwidth,
// limit_data, timeout, slicer, reset_peer. What it returns takes it away; connections that
// it has broken stay broken.
func (p *Proxy) Answers(t testing.TB, kind string, attributes map[string]any) (heal func()) {
	t.Helper()
	if _, err := p.add("own", kind, "downstream", attributes); err != nil {
		t.Fatalf("toxic %s: %v", kind, err)
	}
	return func() { _ = p.proxy.Toxics.RemoveToxic(context.Background(), "own") }
}

// CutAt closes the first connection whose client sends the text; the server doesn't get
// it. The channel closes when that has happened.
func (p *Proxy) CutAt(text string) <-chan struct{} { return p.arm(cut, text, 0) }

// LoseAnswerTo lets the text through and closes the connection once the server has
// answered, so that the client never learns what came of it.
func (p *Proxy) LoseAnswerTo(text string) <-chan struct{} { return p.arm(lose, text, 0) }

// StallAt passes nothing on from the moment that a client sends the text.
func (p *Proxy) StallAt(text string) <-chan struct{} { return p.arm(stall, text, 0) }

// CutAfter is CutAt for the n-th packet of clients' from now on. What it returns calls
// that off, and says whether it came to it.
func (p *Proxy) CutAfter(n int) (stop func() bool) { return p.after(cut, n) }

// LoseAfter is LoseAnswerTo for the n-th packet.
func (p *Proxy) LoseAfter(n int) (stop func() bool) { return p.after(lose, n) }

// DownAfter is CutAfter, and nothing passes from then on until stop is called.
func (p *Proxy) DownAfter(n int) (stop func() bool) { return p.after(gone, n) }

func (p *Proxy) after(f fault, n int) (stop func() bool) {
	fired := p.arm(f, "", n)
	return func() bool {
		p.Heal()
		select {
		case <-fired:
			return true
		default:
			return false
		}
	}
}

// Down closes every connection, and each new one at once.
func (p *Proxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut()
}

func (p *Proxy) shut() {
	select {
	case <-p.down:
	default:
		close(p.down)
	}
}

// Heal passes everything on again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = none
	select {
	case <-p.down:
		p.down = make(chan struct{})
	default:
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

func (p *Proxy) arm(f fault, text string, n int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.text, p.left, p.fired = f, []byte(text), n, make(chan struct{})
	return p.fired
}

// hit takes the armed fault if the packet is the one that it is for.
func (p *Proxy) hit(packet []byte) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spies {
		p.spied = append(p.spied, packet...)
	}
	switch {
	case p.fault == none:
		return none
	case p.left > 1:
		p.left--
		return none
	case !bytes.Contains(packet, p.text):
		return none
	}
	f := p.fault
	p.fault = none
	close(p.fired)
	if f == gone {
		p.shut()
	}
	return f
}

func (p *Proxy) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

// sent is what a client's packets pass through, answered what the server's do. toxiproxy
// makes the state of a connection's two directions one after the other.
type (
	sent     struct{ p *Proxy }
	answered struct{ p *Proxy }
)

// NewState is described at toxics.StatefulToxic.
func (s *sent) NewState() any {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.latest = &link{lost: make(chan struct{})}
	return s.p.latest
}

// NewState is described at toxics.StatefulToxic.
func (a *answered) NewState() any {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.p.latest
}

// Pipe is described at toxics.Toxic.
func (s *sent) Pipe(stub *toxics.ToxicStub) {
	own, _ := stub.State.(*link)
	forward(stub, s.p.ended(), func(data []byte) (over bool) {
		switch s.p.hit(data) {
		case cut, gone:
			end(stub)
			return true
		case lose:
			close(own.lost)
		case stall:
			drain(stub.Input)
			stub.Close()
			return true
		}
		return false
	})
}

// Pipe is described at toxics.Toxic.
func (a *answered) Pipe(stub *toxics.ToxicStub) {
	own, _ := stub.State.(*link)
	forward(stub, a.p.ended(), func([]byte) (over bool) {
		select {
		case <-own.lost: // the answer has come; it ends here
			end(stub)
			return true
		default:
			return false
		}
	})
}

// forward passes on what comes, until the proxy is down, nothing comes any more, or before
// a packet at which the connection is over.
func forward(stub *toxics.ToxicStub, down <-chan struct{}, over func(data []byte) bool) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case <-down:
			end(stub)
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if over(c.Data) {
				return
			}
			stub.Output <- c
		}
	}
}

// end closes a direction of a connection, and with it the other.
func end(stub *toxics.ToxicStub) {
	go drain(stub.Input)
	stub.Close()
}

func drain(in <-chan *stream.StreamChunk) {
	for c := range in {
		if c == nil {
			return
		}
	}
}
