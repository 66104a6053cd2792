package http

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Driver is one interface.
type Driver struct {
	base        *url.URL
	fingerprint *url.URL
	client      *http.Client
}

var (
	_ connector.Driver = (*Driver)(nil)
	_ connector.Prober = (*Driver)(nil)
)

// Close lets go of idle connections.
func (d *Driver) Close() error {
	d.client.CloseIdleConnections()
	return nil
}

func none(r connector.Ref) error {
	return tenure.Errorf(tenure.Invalid, "http has no resource type %q: it is there for probes alone", r.Type)
}

// Plant plants nothing; it asks who the system is.
func (d *Driver) Plant(ctx context.Context) (string, error) { return d.identify(ctx) }

// Normalise refuses: there are no resources.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	return nil, none(want.Ref)
}

// Ensure refuses: there are no resources.
func (d *Driver) Ensure(_ context.Context, want connector.Desired) (o connector.Observed, r connector.Receipt, err error) {
	return o, r, none(want.Ref)
}

// Observe says who the system is. It can't look for resources.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, _ func(connector.Observed) error) (connector.Sighting, error) {
	if len(refs) > 0 {
		return connector.Sighting{}, none(refs[0])
	}
	fingerprint, err := d.identify(ctx)
	if err != nil {
		return connector.Sighting{}, err
	}
	return connector.Sighting{Fingerprint: fingerprint, Sentinel: true, Complete: true}, nil
}

// Delete refuses: there are no resources.
func (d *Driver) Delete(_ context.Context, r connector.Ref) (connector.Receipt, error) {
	return connector.Receipt{}, none(r)
}

// Discover finds nothing, since nothing is made here.
func (d *Driver) Discover(ctx context.Context, _ connector.Scope, _ func(connector.Observed) error) (connector.Sighting, error) {
	return d.Observe(ctx, nil, nil)
}

// identify asks for the fingerprint. An interface that serves none under the
// path is known by its base.
func (d *Driver) identify(ctx context.Context) (string, error) {
	a, err := d.send(ctx, http.MethodGet, d.fingerprint, "", nil, tenure.Secret{})
	if err != nil {
		return "", err
	}
	kind, _, _ := mime.ParseMediaType(a.contentType)
	text := strings.TrimSpace(a.body)
	if a.status == http.StatusOK && kind == "text/plain" && text != "" && len(text) <= 200 &&
		utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "http " + text, nil
	}
	return "http " + d.base.String(), nil
}

// answer is a response, read whole.
type answer struct {
	status      int
	contentType string
	body        string
	long        bool // the body was over maxBody and is cut off
}

const maxBody = 1 << 20

// send makes one request. No connection, no answer in time and a status of 5xx
// are Unavailable, as nothing can be told from them.
func (d *Driver) send(ctx context.Context, method string, u *url.URL, body string, header http.Header, credential tenure.Secret) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return a, tenure.Errorf(tenure.Invalid, "%s %s can't be requested", method, u.Path)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "tenure")
	if !credential.IsZero() {
		req.Header.Set("Authorization", "Bearer "+credential.Reveal())
	}
	res, err := d.client.Do(req)
	if err != nil {
		return a, unanswered(method, u, err)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return a, unanswered(method, u, err)
	}
	if res.StatusCode >= 500 {
		return a, tenure.Errorf(tenure.Unavailable, "%s %s: status %d", method, u.Path, res.StatusCode).Retryable()
	}
	a = answer{status: res.StatusCode, contentType: res.Header.Get("Content-Type"), body: string(raw)}
	if len(raw) > maxBody {
		a.body, a.long = a.body[:maxBody], true
	}
	return a, nil
}

// unanswered is a request without an answer. Its cause goes without the URL and
// the headers, which may hold what isn't for a log.
func unanswered(method string, u *url.URL, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if strings.Contains(err.Error(), "invalid header field value") {
		return tenure.Errorf(tenure.Invalid, "%s %s: a header or the credential has characters that no header can have", method, u.Path)
	}
	return tenure.Errorf(tenure.Unavailable, "%s %s: %w", method, u.Path, err).Retryable()
}
