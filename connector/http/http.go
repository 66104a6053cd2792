// Package http is the connector to a platform's own HTTP interface. It makes
// nothing and keeps nothing there: it has no resource types, and is there for
// its probes alone, which try what must work and what must be refused.
package http

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

const (
	wellKnown      = "/.well-known/tenure"
	defaultTimeout = "10s"
)

// Info is the connector.
func Info() connector.Info {
	const params = " Params: method (GET), path, body, header.NAME, expectStatus (such as 401,403), expectBody (a text that the answer holds)."
	return connector.Info{
		Name:    "http",
		Version: "1",
		Summary: "A platform's HTTP interface, for probes alone.",
		Options: []connector.Option{
			{Name: "base", Help: "The URL that every request stays under, such as https://api.example.com/v1.", Required: true},
			{Name: "fingerprintPath", Help: "Where the interface says which installation it is, as plain text of at most 200 bytes. Where it says nothing the base is the fingerprint, which can't tell one installation from another behind the same name.", Default: wellKnown},
			{Name: "timeout", Help: "How long one request may take.", Default: defaultTimeout},
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
	base, err := parseBase(c.Option("base"))
	if err != nil {
		return nil, err
	}
	d := &Driver{base: base}
	fingerprint := c.Option("fingerprintPath")
	if fingerprint == "" {
		fingerprint = wellKnown
	}
	if d.fingerprint, err = d.resolve(fingerprint); err != nil {
		return nil, err
	}
	text := c.Option("timeout")
	if text == "" {
		text = defaultTimeout
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 || timeout > 5*time.Minute {
		return nil, tenure.Errorf(tenure.Invalid, "option timeout is %q, which isn't a duration of at most 5m", text)
	}
	dialer := &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error { return tenure.CheckDial(address) }}
	d.client = &http.Client{
		Timeout: timeout,
		// A redirect is an answer like another: it is judged, never followed, so
		// no credential goes where it shouldn't.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would be another host
			DialContext:            dialer.DialContext,
			MaxResponseHeaderBytes: 1 << 20,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}
	return d, nil
}

func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "" || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, tenure.Errorf(tenure.Invalid, "option base isn't an absolute http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, tenure.Errorf(tenure.Invalid, "option base has a user, a query or a fragment")
	}
	if err := tenure.CheckHost(u.Hostname()); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "option base: %w", err)
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	return u, nil
}

// resolve puts a path under the base. Anything that could leave it is Invalid:
// another host, dot segments, backslashes, encoded separators.
func (d *Driver) resolve(p string) (*url.URL, error) {
	bad := func(why string) (*url.URL, error) {
		return nil, tenure.Errorf(tenure.Invalid, "path %q %s", p, why).WithHint("write it as /some/path, below the option base")
	}
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
		return bad("isn't a path on the host of the base")
	}
	u, err := url.Parse(p)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || u.Fragment != "" {
		return bad("isn't a path on the host of the base")
	}
	if lower := strings.ToLower(u.EscapedPath()); strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(u.Path, `\`) {
		return bad("has a backslash or an encoded separator")
	}
	if strings.ContainsFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return bad("has a query with characters that must be percent-encoded")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return bad("has a dot segment")
		}
	}
	out := *d.base
	out.Path, out.RawPath, out.RawQuery = d.base.Path+u.Path, "", u.RawQuery
	return &out, nil
}
