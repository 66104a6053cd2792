package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
)

// pool keeps connections that are signed in. One is used by one call at a time.
type pool struct {
	address  string
	tls      *tls.Config // nil is no TLS
	start    bool        // TLS is turned on by StartTLS
	dn       string
	password string
	limit    time.Duration // of one request
	slots    chan struct{}

	mu   sync.Mutex
	idle []*connection
}

// connection is one connection. It holds the library's calls one by one: a field of the
// library's own type would have the linker keep everything that it can do, such as NTLM.
type connection struct {
	Search              func(*ldap.SearchRequest) (*ldap.SearchResult, error)
	Add                 func(*ldap.AddRequest) error
	Modify              func(*ldap.ModifyRequest) error
	Del                 func(*ldap.DelRequest) error
	PasswordModify      func(*ldap.PasswordModifyRequest) (*ldap.PasswordModifyResult, error)
	Bind                func(name, password string) error
	UnauthenticatedBind func(name string) error
	WhoAmI              func([]ldap.Control) (*ldap.WhoAmIResult, error)
	StartTLS            func(*tls.Config) error
	IsClosing           func() bool

	raw net.Conn // closing it stops whatever waits for an answer, which the library can't
	end func() error
}

func newConnection(raw, secured net.Conn) *connection {
	c := ldap.NewConn(secured, secured != raw)
	c.Start()
	return &connection{
		c.Search, c.Add, c.Modify, c.Del, c.PasswordModify, c.Bind, c.UnauthenticatedBind, c.WhoAmI, c.StartTLS, c.IsClosing, raw, c.Close,
	}
}

func (c *connection) shut() {
	_ = c.raw.Close()
	_ = c.end()
}

// close lets go of the idle connections.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.shut()
	}
}

// dial opens a connection on which nobody is signed in.
func (p *pool) dial(ctx context.Context) (*connection, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	secured := raw
	if p.tls != nil && !p.start {
		over := tls.Client(raw, p.tls)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		secured = over
	}
	c := newConnection(raw, secured)
	if p.start {
		stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
		err := c.StartTLS(p.tls)
		if !stop() {
			err = context.Cause(ctx)
		}
		if err != nil {
			c.shut()
			return nil, err
		}
	}
	return c, nil
}

// bind signs in on a connection of its own, which is the caller's to shut.
func (p *pool) bind(ctx context.Context, dn, password string) (c *connection, err error) {
	if c, err = p.dial(ctx); err != nil {
		return nil, err
	}
	err = p.during(ctx, c, func() error { return c.Bind(dn, password) })
	if err != nil {
		c.shut()
		return nil, err
	}
	return c, nil
}

// during runs one request on a connection, which is shut if the context ends or the
// request takes too long.
func (p *pool) during(ctx context.Context, c *connection, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	err := f()
	if !stop() && err != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p *pool) take(ctx context.Context) (c *connection, fresh bool, err error) {
	p.mu.Lock()
	for len(p.idle) > 0 && c == nil {
		c = p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.IsClosing() {
			c = nil
		}
	}
	p.mu.Unlock()
	if c != nil {
		return c, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	c, err = p.bind(ctx, p.dn, p.password)
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication) {
		err = tenure.Errorf(tenure.Forbidden, "the server refuses Tenure's account").WithHint("check the options bindDN and password, and whether the account is locked")
	}
	return c, true, err
}

// on runs f with a connection. Each request of f's goes through ask. A connection that was
// found to be dead is replaced once, as long as f says that nothing has come of it yet.
func (p *pool) on(ctx context.Context, f func(c *connection) (done bool, err error)) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		c, fresh, err := p.take(ctx)
		if err != nil {
			return err
		}
		done, err := f(c)
		if broken(err) || ctx.Err() != nil || c.IsClosing() {
			c.shut()
			if ctx.Err() == nil {
				p.close() // the others have ended with it, as a rule
			}
			if broken(err) && !fresh && !done && ctx.Err() == nil {
				continue
			}
			return err
		}
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
		return err
	}
}

// read runs one request that changes nothing.
func (p *pool) read(ctx context.Context, f func(c *connection) error) error {
	return p.on(ctx, func(c *connection) (bool, error) {
		return false, p.during(ctx, c, func() error { return f(c) })
	})
}

// write runs one request that may have been carried out though its answer was lost.
func (p *pool) write(ctx context.Context, f func(c *connection) error) error {
	return p.on(ctx, func(c *connection) (bool, error) {
		return true, p.during(ctx, c, func() error { return f(c) })
	})
}

// broken says whether a connection can't be used after an error.
func broken(err error) bool {
	if err == nil {
		return false
	}
	var answer *ldap.Error
	return !errors.As(err, &answer) || answer.ResultCode >= ldap.ErrorNetwork || answer.ResultCode == ldap.LDAPResultUnavailable
}
