package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Endpoint is one thing that can be asked of a server. P are its parameters: a
// struct whose fields say by their tags path, query and header where they travel,
// and whose field Body, if there is one, is the request's JSON. R is the answer.
type Endpoint[P, R any] struct {
	Name    string // "tenant.list": unique, and the OpenAPI operationId
	Verb    string // GET, POST, PUT, PATCH or DELETE
	Path    string // "/v1/tenants/{tenant}"
	Summary string
	Example string // a request's body, JSON; documented, and sent by a test
	Once    bool   // the answer may carry a secret that is shown once
}

// None stands for no parameters, or no answer.
type None struct{}

// Call asks. Its errors are *tenure.Error. What may be asked again without harm (a
// GET, and a POST under its Idempotency-Key) is asked again up to twice when the
// connection breaks or the server says that a later try may succeed.
func (e *Endpoint[P, R]) Call(ctx context.Context, c *Client, p P) (out R, err error) {
	err = c.call(ctx, &endpoint{e.Name, e.Verb, e.Path}, p, &out)
	return out, err
}

// endpoint is what a call needs to know of an Endpoint, whatever its types: code
// that names these is compiled anew for each.
type endpoint struct{ name, verb, path string }

// call asks, and reads the answer into a pointer.
func (c *Client) call(ctx context.Context, e *endpoint, p, out any) error {
	body, err := c.send(ctx, e, p)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(out); err != nil {
		return tenure.Errorf(tenure.Internal, "answer of %s: %w", e.name, err).WithHint("the server may be of another version than this program")
	}
	return nil
}

func (c *Client) send(ctx context.Context, e *endpoint, p any) ([]byte, error) {
	r, err := bind(e.name, e.path, p)
	if err != nil {
		return nil, err
	}
	if e.verb == http.MethodPost && r.header.Get("Idempotency-Key") == "" {
		r.header.Set("Idempotency-Key", rand.Text())
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	again := e.verb == http.MethodGet || e.verb == http.MethodPost
	for try := 1; ; try++ {
		body, _, err := c.once(ctx, e.name, e.verb, r)
		if err == nil || !again || !tenure.CanRetry(err) || try >= c.tries || !pause(ctx, try) {
			return body, err
		}
	}
}

// pause waits before a further try; false if there is no time for one.
func pause(ctx context.Context, try int) bool {
	t := time.NewTimer(time.Duration(try*try) * 100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// request makes the HTTP request of a bound call.
func (c *Client) request(ctx context.Context, name, verb string, r *bound) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	at := c.base.String() + r.path
	if len(r.query) > 0 {
		at += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, verb, at, body)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "call %s: %w", name, err)
	}
	req.Header = r.header.Clone()
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", c.agent)
	if c.named {
		req.Header.Set(PrincipalHeader, url.PathEscape(c.as))
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	return req, nil
}

// once makes one try. A broken connection and a problem that says so can be tried
// again.
func (c *Client) once(ctx context.Context, name, verb string, r *bound) ([]byte, http.Header, error) {
	req, err := c.request(ctx, name, verb, r)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, tenure.Errorf(tenure.Unavailable, "call %s: %w", name, hideURL(err)).Retryable().WithHint("the server may have stopped; look whether the call was carried out before you repeat it")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, tenure.Errorf(tenure.Unavailable, "call %s: %w", name, err).Retryable()
	}
	switch {
	case len(body) > maxAnswer:
		return nil, nil, tenure.Errorf(tenure.Invalid, "the answer of %s is longer than %d bytes", name, maxAnswer).WithHint("narrow it, to one tenant say")
	case resp.StatusCode/100 != 2:
		return nil, nil, failure(name, resp, body)
	}
	return body, resp.Header, nil
}

// hideURL takes the address, which may name a person or a tenant, out of an error
// of net/http.
func hideURL(err error) error {
	if u, ok := err.(*url.Error); ok {
		return u.Err
	}
	return err
}

// blank says whether a text holds nothing.
func blank(s string) bool { return strings.TrimSpace(s) == "" }
