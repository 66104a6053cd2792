package http

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// Driver is one interface.
type Driver struct {
	fingerprint string
	client      *rest.Client
}

var (
	_ connector.Driver = (*Driver)(nil)
	_ connector.Prober = (*Driver)(nil)
)

// Close lets go of idle connections.
func (d *Driver) Close() error {
	d.client.Close()
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
	a, err := d.client.Send(ctx, rest.Request{Path: d.fingerprint})
	if err != nil {
		return "", err
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	text := strings.TrimSpace(string(a.Body))
	if a.Status == http.StatusOK && kind == "text/plain" && text != "" && len(text) <= 200 &&
		utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "http " + text, nil
	}
	return "http " + d.client.Base(), nil
}
