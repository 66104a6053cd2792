package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

// principalHeader says who asks, as percent-encoded UTF-8. The socket's file mode
// says which user of the machine may assert it.
const principalHeader = "Tenure-Principal"

// maxAnswer bounds what a client reads.
const maxAnswer = 256 << 20

// Client asks the server that listens at a socket.
type Client struct {
	By   string // who asks; asserted, not proven
	http *http.Client
}

// Dial makes a client of the server at a socket. None there, or a dead one's
// leftover, is NotFound; one that can't be reached is Unavailable.
func Dial(ctx context.Context, socket, by string) (*Client, error) {
	path, err := shortPath(socket)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	c, err := dial(ctx, "", "")
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, tenure.Errorf(tenure.NotFound, "no server is running at %s", socket)
	case err != nil:
		return nil, tenure.Errorf(tenure.Unavailable, "server at %s: %w", socket, err).Retryable()
	}
	_ = c.Close()
	return &Client{By: by, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}, Timeout: callLimit + 30*time.Second}}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) call(ctx context.Context, method string, params []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tenure/call/"+url.PathEscape(method), bytes.NewReader(params))
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "call %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(principalHeader, url.PathEscape(c.By))
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "call %s: %w", method, err).Retryable().WithHint("the server may have stopped; look whether the call was carried out before you repeat it")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "call %s: %w", method, err).Retryable()
	}
	if len(body) > maxAnswer {
		return nil, tenure.Errorf(tenure.Invalid, "the answer of %s is longer than %d bytes", method, maxAnswer).WithHint("narrow it, to one tenant say")
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		return nil, tenure.Errorf(tenure.Unavailable, "call %s: the server answered %s", method, resp.Status)
	}
	return nil, p.Err()
}
