package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// HTTP is a witness behind one address. GET returns its latest checkpoint, or
// 404. POST takes the body of C2SP tlog-witness add-checkpoint and answers with
// its status codes: 200, 409 for another old size, 422 for a proof that fails.
type HTTP struct {
	address string
	client  *http.Client
}

const (
	timeout   = 10 * time.Second
	maxAnswer = audit.MaxCheckpoint
)

// NewHTTP is the witness at an address. A call takes at most ten seconds, and
// no redirect is followed; an address that is off limits (tenure.OffLimits) isn't
// dialled.
func NewHTTP(address string) *HTTP {
	dialer := &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error { return tenure.CheckDial(address) }}
	return &HTTP{address: address, client: &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: timeout, MaxIdleConns: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Latest asks for the latest checkpoint. See Witness.
func (h *HTTP) Latest(ctx context.Context) ([]byte, error) {
	status, body, err := h.call(ctx, http.MethodGet, nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, tenure.Errorf(tenure.NotFound, "the witness has no checkpoint yet")
	case status != http.StatusOK:
		return nil, unexpected(status)
	}
	if _, err := audit.ParseCheckpoint(body); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the witness's answer: %w", err)
	}
	return body, nil
}

// Publish hands the new checkpoint over. See Witness; it checks the proof
// itself first, so that no log is ever asked to be witnessed that doesn't grow.
func (h *HTTP) Publish(ctx context.Context, old, new []byte, proof tlog.TreeProof) error {
	if err := continues(old, new, proof); err != nil {
		return err
	}
	var size int64
	if old != nil {
		c, err := audit.ParseCheckpoint(old)
		if err != nil {
			return err
		}
		size = c.Size
	}
	status, _, err := h.call(ctx, http.MethodPost, audit.EncodeConsistency(size, proof, new))
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		return nil
	case status == http.StatusConflict:
		if latest, err := h.Latest(ctx); err == nil && bytes.Equal(latest, new) {
			return nil // an earlier call went through and its answer was lost
		}
		return tenure.Errorf(tenure.Conflict, "the witness has another latest checkpoint").WithHint("read it, and prove from there")
	case status == http.StatusUnprocessableEntity:
		return tenure.Errorf(tenure.Blocked, "the witness doesn't accept that the log continues what it has")
	}
	return unexpected(status)
}

func (h *HTTP) call(ctx context.Context, method string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, tenure.Errorf(tenure.Invalid, "the witness's address can't be asked")
	}
	if body != nil {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	resp, err := h.client.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // without the address, whose path or query may hold a key
		}
		return 0, nil, tenure.Errorf(tenure.Unavailable, "the witness doesn't answer: %w", err).Retryable()
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, tenure.Errorf(tenure.Unavailable, "the witness's answer: %w", err).Retryable()
	}
	if len(answer) > maxAnswer {
		return 0, nil, tenure.Errorf(tenure.Invalid, "the witness's answer is over %d bytes", maxAnswer)
	}
	return resp.StatusCode, answer, nil
}

func unexpected(status int) error {
	err := tenure.Errorf(tenure.Unavailable, "the witness answered %s", fmt.Sprint(status, " ", http.StatusText(status)))
	if status >= 500 || status == http.StatusTooManyRequests {
		return err.Retryable()
	}
	return err
}

var _ Witness = (*HTTP)(nil)
