package toxitest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echo answers each line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, p *Proxy) client {
	t.Helper()
	c, err := net.Dial("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return client{c, bufio.NewReader(c)}
}

// says sends a line, and says whether it comes back.
func (c client) says(line string) bool {
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return false
	}
	got, err := c.in.ReadString('\n')
	return err == nil && got == line+"\n"
}

// A fault that doesn't come, or hits another connection, would make tests say nothing.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := New(t, echo(t))
	a, b := dial(t, p), dial(t, p)
	if !a.says("one") || !b.says("one") {
		t.Fatal("nothing passes")
	}
	for name, f := range map[string]func() (stop func() bool){
		"cut":  func() func() bool { return p.CutAfter(2) },
		"lose": func() func() bool { return p.LoseAfter(2) },
	} {
		c := dial(t, p)
		stop := f()
		if !c.says("one") || c.says("two") || !stop() || !b.says("three") {
			t.Errorf("%s: it isn't the second packet of one connection", name)
		}
	}
	fired := p.CutAt("needle")
	if !b.says("hay") || a.says("a needle") {
		t.Error("a cut at a text comes elsewhere")
	}
	<-fired
	stop := p.DownAfter(1)
	if b.says("x") || dial(t, p).says("y") || !stop() || !dial(t, p).says("z") {
		t.Error("down isn't down, or stays")
	}
	heal := p.Answers(t, "limit_data", map[string]any{"bytes": 6})
	if c := dial(t, p); !c.says("12345") || c.says("7") {
		t.Error("toxiproxy's own toxics don't pass")
	}
	heal()
	if !dial(t, p).says(strings.Repeat("x", 1000)) {
		t.Error("a toxic that is taken away stays")
	}
}
