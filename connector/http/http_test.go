package http_test

import (
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/http"
)

const (
	production = "credential-of-production"
	staging    = "credential-of-test"
)

// platform is a small interface with a real door, whose lock can be broken.
type platform struct {
	*httptest.Server
	id       string
	requests atomic.Int64
	open     atomic.Bool // everyone is let in
	free     atomic.Bool // every feature is open
	mixed    atomic.Bool // test credentials open production
	broken   atomic.Bool // nothing is found
	noID     atomic.Bool
}

func start(t testing.TB) *platform {
	t.Helper()
	p := &platform{id: "installation-" + t.Name() + fmt.Sprint(time.Now().UnixNano())}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *platform) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	p.requests.Add(1)
	credential := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	known := p.open.Load() || credential == production || credential == staging && (p.mixed.Load() || !strings.HasPrefix(r.URL.Path, "/prod"))
	switch {
	case r.URL.Path == "/.well-known/tenure" && !p.noID.Load():
		_, _ = io.WriteString(w, p.id)
	case r.URL.Path == "/down":
		w.WriteHeader(503)
	case r.URL.Path == "/long":
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1))
	case r.URL.Path == "/page":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "not found")
	case r.URL.Path == "/hang":
		<-r.Context().Done()
	case r.URL.Path == "/away":
		nethttp.Redirect(w, r, "http://elsewhere.invalid/", nethttp.StatusFound)
	case r.URL.Path == "/near":
		nethttp.Redirect(w, r, "/healthz", nethttp.StatusFound)
	case r.URL.Path == "/echo":
		_, _ = fmt.Fprint(w, r.Method, " ", r.Header.Get("X-Kind"), " ")
		_, _ = io.Copy(w, r.Body)
	case p.broken.Load():
		w.WriteHeader(404)
	case r.URL.Path == "/healthz":
		_, _ = io.WriteString(w, "ready")
	case !known:
		w.WriteHeader(401)
	case strings.HasPrefix(r.URL.Path, "/features/") && !p.free.Load():
		w.WriteHeader(403)
	}
}

func driver(t testing.TB, options map[string]string) connector.Driver {
	t.Helper()
	d, err := http.Info().Open(context.Background(), connector.Config{Options: options, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t *testing.T) *connectortest.World {
		p := start(t)
		check := func(credential string, params map[string]string) func(testing.TB, connector.Driver) connector.Check {
			return func(testing.TB, connector.Driver) connector.Check {
				return connector.Check{Credential: tenure.NewSecret(credential), Params: params}
			}
		}
		set := func(b *atomic.Bool) func(testing.TB) { return func(testing.TB) { b.Store(true) } }
		type params = map[string]string
		return &connectortest.World{
			Info:    http.Info(),
			Options: map[string]string{"base": p.URL},
			Look:    func(testing.TB) string { return p.id },
			// There is no sentinel to lose and no type to lose it for.
			LoseSentinel: func(testing.TB) {},
			Probes: []connectortest.ProbeCase{
				{Kind: "http", Name: "healthy", Check: check("", params{"path": "/healthz", "expectBody": "ready"}), Misconfigure: set(&p.broken)},
				{Kind: "http", Name: "signed in", Check: check(production, params{"path": "/prod/apps", "auth": "credential", "expectStatus": "200, 204"}), Misconfigure: set(&p.broken)},
				{Kind: "http", Name: "refused", Check: check("", params{"path": "/apps", "expectStatus": "401,403"}), Misconfigure: set(&p.open)},
				{Kind: "reachable", Check: check("", params{"path": "/healthz"}), Misconfigure: set(&p.broken)},
				{Kind: "exposure", Name: "open", Check: check(production, params{"path": "/apps"}), Misconfigure: set(&p.open)},
				{Kind: "exposure", Name: "missing", Check: check("", params{"path": "/apps"}), Misconfigure: set(&p.broken)},
				{Kind: "entitlement", Check: check(production, params{"path": "/features/reports", "expectStatus": "403"}), Misconfigure: set(&p.free)},
				{Kind: "environment", Check: check(staging, params{"path": "/prod/apps"}), Misconfigure: set(&p.mixed)},
			},
		}
	})
}

// A blueprint's mistake must be told at once, and must never weaken a probe.
func TestRefusedParams(t *testing.T) {
	t.Parallel()
	p := start(t)
	d := driver(t, map[string]string{"base": p.URL + "/api/"}).(connector.Prober)
	type params = map[string]string
	for name, c := range map[string]connector.Check{
		"no path":              {Kind: "http"},
		"absolute":             {Kind: "http", Params: params{"path": "http://elsewhere.invalid/"}},
		"other host":           {Kind: "http", Params: params{"path": "//elsewhere.invalid/x"}},
		"relative":             {Kind: "http", Params: params{"path": "x"}},
		"at sign":              {Kind: "http", Params: params{"path": "@elsewhere.invalid/"}},
		"up":                   {Kind: "http", Params: params{"path": "/../admin"}},
		"encoded up":           {Kind: "http", Params: params{"path": "/%2e%2e/admin"}},
		"encoded slash":        {Kind: "http", Params: params{"path": "/..%2fadmin"}},
		"backslash":            {Kind: "http", Params: params{"path": `/\elsewhere.invalid`}},
		"raw query":            {Kind: "http", Params: params{"path": "/? HTTP/1.1"}},
		"method":               {Kind: "http", Params: params{"path": "/", "method": "TRACE"}},
		"long body":            {Kind: "http", Params: params{"path": "/", "body": strings.Repeat("x", 1<<20+1)}},
		"unknown":              {Kind: "http", Params: params{"path": "/", "expectstatus": "200"}},
		"clear credential":     {Kind: "http", Params: params{"path": "/", "header.authorization": "Bearer x"}},
		"host header":          {Kind: "http", Params: params{"path": "/", "header.Host": "elsewhere.invalid"}},
		"header injection":     {Kind: "http", Params: params{"path": "/", "header.X": "a\r\nHost: b"}},
		"header name":          {Kind: "http", Params: params{"path": "/", "header.X Y": "a"}},
		"status":               {Kind: "http", Params: params{"path": "/", "expectStatus": "ok"}},
		"server error":         {Kind: "http", Params: params{"path": "/", "expectStatus": "500"}},
		"auth":                 {Kind: "http", Params: params{"path": "/", "auth": "basic"}},
		"no credential":        {Kind: "http", Params: params{"path": "/", "auth": "credential"}},
		"exposure signed in":   {Kind: "exposure", Credential: tenure.NewSecret("c"), Params: params{"path": "/", "auth": "credential"}},
		"exposure let in":      {Kind: "exposure", Params: params{"path": "/", "expectStatus": "401,200"}},
		"entitlement open":     {Kind: "entitlement", Credential: tenure.NewSecret("c"), Params: params{"path": "/", "auth": "none"}},
		"entitlement unknown":  {Kind: "entitlement", Params: params{"path": "/"}},
		"entitlement let in":   {Kind: "entitlement", Credential: tenure.NewSecret("c"), Params: params{"path": "/", "expectStatus": "200"}},
		"environment let in":   {Kind: "environment", Credential: tenure.NewSecret("c"), Params: params{"path": "/", "expectStatus": "404"}},
		"environment unknown":  {Kind: "environment", Params: params{"path": "/"}},
		"reachable by refusal": {Kind: "reachable", Params: params{"path": "/", "expectStatus": "401"}},
	} {
		if o, err := d.Probe(t.Context(), c); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %+v, error %v (%s)", name, o, err, tenure.CodeOf(err))
		}
	}
	if n := p.requests.Load(); n != 0 {
		t.Errorf("%d requests went out", n)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	p := start(t)
	prober := driver(t, map[string]string{"base": p.URL}).(connector.Prober)
	type params = map[string]string
	for _, test := range []struct {
		name   string
		kind   string
		params params
		passed bool
	}{
		{"a redirect elsewhere isn't followed", "http", params{"path": "/away"}, false},
		{"a redirect is a status", "http", params{"path": "/near", "expectStatus": "302"}, true},
		{"a redirect isn't reachable", "reachable", params{"path": "/near"}, false},
		{"a long body", "http", params{"path": "/long"}, false},
		{"the body's text", "http", params{"path": "/healthz", "expectBody": "steady"}, false},
		{"method, header and body", "http", params{"path": "/echo", "method": "POST", "header.x-kind": "k", "body": "b", "expectBody": "POST k b"}, true},
		{"a query", "http", params{"path": "/healthz?x=1&y=%2F"}, true},
	} {
		o, err := prober.Probe(t.Context(), connector.Check{Kind: test.kind, Params: test.params})
		if err != nil || o.Passed != test.passed {
			t.Errorf("%s: %+v, error %v", test.name, o, err)
		}
	}
}

// Silence and failures of the server are no proof of a refusal.
func TestNoAnswerIsNoPass(t *testing.T) {
	t.Parallel()
	p := start(t)
	gone := httptest.NewServer(p)
	gone.Close()
	cut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cut.Close() })
	go func() {
		for {
			c, err := cut.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 100))
			_ = c.Close()
		}
	}()
	for name, at := range map[string][2]string{
		"5xx": {p.URL, "/down"}, "late": {p.URL, "/hang"}, "nobody listens": {gone.URL, "/"}, "cut off": {"http://" + cut.Addr().String(), "/"},
	} {
		d := driver(t, map[string]string{"base": at[0], "timeout": "300ms"}).(connector.Prober)
		o, err := d.Probe(t.Context(), connector.Check{Kind: "environment", Credential: tenure.NewSecret("the-credential"), Params: map[string]string{"path": at[1] + "?key=in-the-query"}})
		if o.Passed || tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
			t.Errorf("%s: %+v, error %v", name, o, err)
		}
		if err != nil && (strings.Contains(err.Error(), "the-credential") || strings.Contains(err.Error(), "in-the-query")) {
			t.Errorf("%s: the error says too much: %v", name, err)
		}
	}
	d := driver(t, map[string]string{"base": p.URL}).(connector.Prober)
	_, err = d.Probe(t.Context(), connector.Check{Kind: "environment", Credential: tenure.NewSecret("bro\nken"), Params: map[string]string{"path": "/"}})
	if tenure.CodeOf(err) != tenure.Invalid || strings.Contains(err.Error(), "ken") {
		t.Errorf("a credential that no header can have: %v", err)
	}
}

// A page that is served for every path mustn't be taken for a fingerprint.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	p := start(t)
	d := driver(t, map[string]string{"base": p.URL})
	if f, err := d.Plant(t.Context()); f != "http "+p.id || err != nil {
		t.Errorf("fingerprint %q, error %v", f, err)
	}
	p.noID.Store(true)
	if f, err := d.Plant(t.Context()); f != "http "+p.URL || err != nil {
		t.Errorf("fingerprint without one %q, error %v", f, err)
	}
	for _, path := range []string{"/long", "/away", "/page"} {
		d := driver(t, map[string]string{"base": p.URL, "fingerprintPath": path})
		if f, err := d.Plant(t.Context()); f != "http "+p.URL || err != nil {
			t.Errorf("fingerprint at %s: %q, error %v", path, f, err)
		}
	}
	if _, err := driver(t, map[string]string{"base": p.URL, "fingerprintPath": "/down"}).Plant(t.Context()); tenure.CodeOf(err) != tenure.Unavailable {
		t.Errorf("a server that is down: %v", err)
	}
}

// Nobody must believe that this connector has made or removed something.
func TestNoResources(t *testing.T) {
	t.Parallel()
	d := driver(t, map[string]string{"base": start(t).URL})
	r := connector.Ref{Type: "page", Name: "p"}
	_, normalise := d.Normalise(connector.Desired{Ref: r})
	_, _, ensure := d.Ensure(t.Context(), connector.Desired{Ref: r})
	_, observe := d.Observe(t.Context(), []connector.Ref{r}, nil)
	_, remove := d.Delete(t.Context(), r)
	for call, err := range map[string]error{"normalise": normalise, "ensure": ensure, "observe": observe, "delete": remove} {
		if tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]map[string]string{
		"no base": {}, "no host": {"base": "/x"}, "scheme": {"base": "ftp://h/"}, "user": {"base": "http://u:p@h/"}, "query": {"base": "http://h/?q"},
		"timeout": {"base": "http://h/", "timeout": "0"}, "long timeout": {"base": "http://h/", "timeout": "1h"}, "path": {"base": "http://h/", "fingerprintPath": "//x/"},
	} {
		if _, err := http.Info().Open(t.Context(), connector.Config{Options: options}); tenure.CodeOf(err) != tenure.Invalid || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPath fails if a request could leave the base.
func FuzzPath(f *testing.F) {
	var last atomic.Pointer[string]
	s := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) { last.Store(&r.RequestURI) }))
	f.Cleanup(s.Close)
	d := driver(f, map[string]string{"base": s.URL + "/base"}).(connector.Prober)
	for _, p := range []string{"/x", "/../x", "//h/x", "/%2e%2e/x", "/a/..;/x", "/\\h", "/?u=http://h/", "/%", "/ü#f", "/a b", "/? "} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		last.Store(nil)
		_, err := d.Probe(t.Context(), connector.Check{Kind: "http", Params: map[string]string{"path": path}})
		if got := last.Load(); got != nil && (!strings.HasPrefix(*got, "/base/") || strings.Contains(*got, "/../")) {
			t.Errorf("path %q was requested as %q", path, *got)
		} else if got == nil && err == nil {
			t.Errorf("path %q passed without a request", path)
		}
	})
}
