package servertest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// Recorder passes requests on to a server, and writes down what was asked.
type Recorder struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string
}

// Record starts a recorder before a server; it ends with the test.
func Record(t testing.TB, address string) *Recorder {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{}
	on := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, q.Method+" "+q.URL.RequestURI())
		r.mu.Unlock()
		on.ServeHTTP(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

// Asked is each request's method and target, in order.
func (r *Recorder) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}
