// Package http connects to systems with an HTTP interface. Parse makes a connector of a
// description: a file that says how the system's things are made, found, cut off and
// deleted. Info is the connector to a platform's own interface, which makes nothing there
// and has probes alone.
package http

import (
	"cmp"
	"context"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

const (
	wellKnown = "/.well-known/tenure"
)

// Info is the connector.
func Info() connector.Info {
	const params = " Params: method (GET), path, body, header.NAME, expectStatus (such as 401,403), expectBody (a text that the answer holds)."
	return connector.Info{
		Name:    "http",
		Version: "1",
		Tested:  connector.Live, How: "against an HTTP server, with each lock broken once",
		Summary: "A platform's HTTP interface, for probes alone.",
		Options: []connector.Option{
			{Name: "base", Help: "The URL that every request stays under, such as https://api.example.com/v1.", Required: true},
			{Name: "fingerprintPath", Help: "Where the interface says which installation it is, as plain text of at most 200 bytes. Where it says nothing the base is the fingerprint, which can't tell one installation from another behind the same name.", Default: wellKnown},
			{Name: "timeout", Help: "How long one request may take.", Default: rest.DefaultTimeout},
		},
		Probes: []connector.ProbeKind{
			{Name: "http", Help: "A request is answered as expected. With auth: credential the resource's own credential is sent as a bearer token; expectStatus is 200 unless it is given." + params},
			{Name: "reachable", Help: "A request is answered with a status of 200 to 299." + params},
			{Name: "exposure", Help: "A request without a credential is refused with 401 or 403." + params},
			{Name: "entitlement", Help: "A request for a feature that the tenant isn't entitled to is refused with 402, 403 or 404, although its credential is sent." + params},
			{Name: "environment", Help: "A request to production with the test environment's credential is refused with 401 or 403." + params},
		},
		Open:   open,
		Review: func(string, map[string]any) []string { return nil },
	}
}

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	timeout, err := rest.Timeout(c)
	if err != nil {
		return nil, err
	}
	d := &Driver{fingerprint: cmp.Or(c.Option("fingerprintPath"), wellKnown)}
	if d.client, err = rest.Open(rest.Options{Base: c.Option("base"), Timeout: timeout}); err != nil {
		return nil, err
	}
	_, err = d.client.Resolve(d.fingerprint)
	return d, err
}
