package s3_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/s3test"
	"github.com/tenurehq/tenure/internal/toxitest"
)

const shownSecret = "a secret key that nobody is shown"

// fronted is a stand-in with something before it that may answer in its place.
func fronted(t *testing.T, front func(w http.ResponseWriter, r *http.Request) bool) (standIn, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := standIn{StandIn: s3test.NewStandIn(t)}
	before := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !front(w, r) {
			s.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(before.Close)
	s.driver = drive(t, map[string]string{"endpoint": before.URL, "own": own, "names": "t-"}, map[string]tenure.Secret{"accessKey": tenure.NewSecret("access"), "secretKey": tenure.NewSecret(shownSecret)})
	_, err := s.driver.Plant(t.Context())
	must(t, err)
	return s, &asked
}

// told fails the test unless the error has the code and the words, and shows no secret and
// nothing of what was sent.
func told(t *testing.T, what string, err error, code tenure.Code, words ...string) {
	t.Helper()
	if err == nil || tenure.CodeOf(err) != code || tenure.CanRetry(err) != (code == tenure.Unavailable) {
		t.Errorf("%s: %v (%s, retry %t), want %s", what, err, tenure.CodeOf(err), tenure.CanRetry(err), code)
		return
	}
	text := err.Error() + " " + strings.Join(tenure.HintsOf(err), " ")
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s: %q doesn't say %q", what, text, word)
		}
	}
	for _, word := range []string{shownSecret, "<", "Signature", "http://", "XML"} {
		if strings.Contains(text, word) {
			t.Errorf("%s: %q shows %q", what, text, word)
		}
	}
}

// deletes says whether a request is a batch's deletion, list whether it asks for versions.
func deletes(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("delete") }
func list(r *http.Request) bool    { return r.Method == http.MethodGet && r.URL.Query().Has("versions") }

// What a server says when it is in trouble is told in plain words, after few requests, and
// nothing is lost or taken for gone.
func TestAnswersOfAServerInTrouble(t *testing.T) {
	t.Parallel()
	say := func(status int, code string, header ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s of %s</Message></Error>", code, code, shownSecret)
		}
	}
	page := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) }
	}
	for name, c := range map[string]struct {
		at    func(*http.Request) bool
		says  func(http.ResponseWriter)
		code  tenure.Code
		words []string
	}{
		"slow down":             {deletes, say(503, "SlowDown"), tenure.Unavailable, []string{"too busy"}},
		"slow down for an hour": {list, say(503, "SlowDown", "Retry-After", "3600"), tenure.Unavailable, []string{"left alone for another"}},
		"until a date":          {list, say(429, "TooManyRequests", "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), tenure.Unavailable, []string{"left alone for another"}},
		"a batch that fails":    {deletes, say(500, "InternalError"), tenure.Unavailable, []string{"InternalError"}},
		"a gateway's page":      {deletes, func(w http.ResponseWriter) { w.WriteHeader(502); _, _ = io.WriteString(w, "<html>Bad gateway</html>") }, tenure.Unavailable, []string{"502"}},
		"a page for a list":     {list, page("<html><body>sign in</body></html>"), tenure.Unavailable, []string{"isn't a list", "endpoint"}},
		"nothing for a list":    {list, page(""), tenure.Unavailable, []string{"isn't a list"}},
		"half a list":           {list, page(`<?xml version="1.0"?><ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>k0`), tenure.Unavailable, []string{"broke off"}},
		"half a batch's answer": {deletes, page(`<DeleteResult><Deleted><Key>k0`), tenure.Unavailable, []string{"broke off"}},
		"a clock apart":         {list, say(403, "RequestTimeTooSkewed"), tenure.Unavailable, []string{"clock"}},
		"another region":        {list, say(301, "PermanentRedirect", "Location", "http://127.0.0.1:1/"), tenure.Blocked, []string{"elsewhere", "region"}},
		"another host":          {list, say(307, "TemporaryRedirect", "Location", "http://127.0.0.1:1/"), tenure.Blocked, []string{"elsewhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			s, asked := fronted(t, func(w http.ResponseWriter, r *http.Request) bool {
				if broken.Load() && c.at(r) {
					c.says(w)
					return true
				}
				return false
			})
			r, other := s.make(t, "t-one"), s.make(t, "t-two")
			for i := range 5 {
				s.Put(r.Name, fmt.Sprintf("k%d", i), []byte("x"))
				s.Put(other.Name, fmt.Sprintf("k%d", i), []byte("x"))
			}
			broken.Store(true)
			began := asked.Load()
			_, err := erase(t.Context(), s.driver, r, "files", 10)
			told(t, "erase", err, c.code, c.words...)
			if n := asked.Load() - began; n > 12 {
				t.Errorf("%d requests were made", n)
			}
			if _, err := s.driver.Delete(t.Context(), r); err == nil {
				t.Error("a bucket that can't be emptied is deleted")
			}
			if n := len(s.Keys(r.Name)); n != 5 {
				t.Errorf("%d of 5 are left", n)
			}
			broken.Store(false)
			if strings.HasPrefix(name, "slow down for") || strings.HasPrefix(name, "until") {
				began := asked.Load()
				_, err := erase(t.Context(), s.driver, r, "files", 10)
				if told(t, "erase again", err, tenure.Unavailable, "left alone"); asked.Load() > began {
					t.Error("a server that asked to be left alone is asked")
				}
				return
			}
			if n, err := erase(t.Context(), s.driver, r, "files", 10); n != 5 || err != nil {
				t.Errorf("after it %d of 5 go: %v", n, err)
			}
			if n := len(s.Keys(other.Name)); n != 5 {
				t.Errorf("the neighbour has %d of 5", n)
			}
		})
	}
}

// A short Retry-After is waited for, and the call goes on.
func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	var at atomic.Pointer[time.Time]
	s, _ := fronted(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !deletes(r) {
			return false
		}
		now := time.Now()
		if at.CompareAndSwap(nil, &now) {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(503)
			return true
		}
		if wait := now.Sub(*at.Load()); wait < 1900*time.Millisecond {
			t.Errorf("it is asked again after %s", wait)
		}
		return false
	})
	r := s.make(t, "t-one")
	s.Put(r.Name, "k", []byte("x"))
	if n, err := erase(t.Context(), s.driver, r, "files", 10); n != 1 || err != nil {
		t.Errorf("%d of 1 go: %v", n, err)
	}
}

// A server that lists objects where versions are asked for knows none: all objects go.
func TestServerThatIgnoresVersions(t *testing.T) {
	t.Parallel()
	s, _ := fronted(t, func(w http.ResponseWriter, r *http.Request) bool {
		if list(r) {
			q := r.URL.Query()
			q.Del("versions")
			q.Set("list-type", "2")
			r.URL.RawQuery = q.Encode()
		}
		return false
	})
	r := ensure(t, s.driver, "bucket", "t-one", map[string]any{}, "files")
	for i := range 25 {
		s.Put(r.Name, fmt.Sprintf("k%02d", i), []byte("x"))
	}
	m, err := s.driver.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	must(t, err)
	if len(m.Places) == 0 || m.Places[0].Rows != 25 {
		t.Errorf("25 objects are mapped as %+v", m.Places)
	}
	n, err := erase(t.Context(), s.driver, r, "files", 10)
	if n != 25 || err != nil || len(s.Keys(r.Name)) > 0 {
		t.Errorf("%d of 25 go, %q are left: %v", n, s.Keys(r.Name), err)
	}
}

// A list that says it isn't whole, and doesn't say how to go on, is no reason to go round
// for ever, and none to take what is there for all.
func TestListsWithoutAMarker(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	s, asked := fronted(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !broken.Load() || !list(r) {
			return false
		}
		_, _ = io.WriteString(w, `<ListVersionsResult><IsTruncated>true</IsTruncated><Version><Key>k0</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-02T03:04:05Z</LastModified><Size>1</Size></Version></ListVersionsResult>`)
		return true
	})
	r := ensure(t, s.driver, "bucket", "t-one", map[string]any{}, "files")
	for i := range 3 {
		s.Put(r.Name, fmt.Sprintf("k%d", i), []byte("x"))
	}
	broken.Store(true)
	began := asked.Load()
	_, err := s.driver.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	told(t, "map", err, tenure.Unavailable, "doesn't get on")
	if n := asked.Load() - began; n > 100 {
		t.Errorf("%d requests are made for one list", n)
	}
	_, err = erase(t.Context(), s.driver, r, "files", 10)
	told(t, "erase", err, tenure.Unavailable, "doesn't get on")
	broken.Store(false)
	if _, err := erase(t.Context(), s.driver, r, "files", 10); err != nil || len(s.Keys(r.Name)) > 0 {
		t.Errorf("after it %q are left: %v", s.Keys(r.Name), err)
	}
}

// tenanted is a bucket and a prefix of a tenant's with content, beside a neighbour's, on
// the real server behind a bad network.
type tenanted struct {
	world
	proxy *toxitest.Proxy
	d     connector.Driver
}

func behind(t *testing.T) tenanted {
	t.Helper()
	w := newWorld(t)
	x := tenanted{world: w, proxy: toxitest.New(t, w.Address)}
	options := w.options()
	options["endpoint"] = "http://" + x.proxy.Address
	x.d = drive(t, options, w.secrets())
	_, err := x.d.Plant(t.Context())
	must(t, err)
	return x
}

// An answer that comes too slowly, or breaks off within its text, is an error of the
// moment, in time.
func TestSlowAndShortAnswers(t *testing.T) {
	t.Parallel()
	x := behind(t)
	r := ensure(t, x.d, "bucket", "t-slow", map[string]any{"versioning": true}, "files")
	for i := range 30 {
		put(t, x.root, r.Name, fmt.Sprintf("k%02d", i), "x")
	}
	before := x.listed(t, r.Name)
	for _, c := range []struct {
		kind string
		with map[string]any
		word string
	}{
		{"latency", map[string]any{"latency": 5000}, "in time"},
		{"timeout", map[string]any{"timeout": 0}, ""}, // that is, nothing comes
		{"limit_data", map[string]any{"bytes": 900}, ""},
		{"reset_peer", map[string]any{"timeout": 0}, ""},
	} {
		heal := x.proxy.Answers(t, c.kind, c.with)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		began := time.Now()
		_, err := x.d.(connector.Mapper).DataMap(ctx, connector.Survey{Ref: r})
		told(t, c.kind, err, tenure.Unavailable, c.word)
		if _, err := x.d.Delete(ctx, r); err == nil {
			t.Errorf("%s: a bucket that can't be listed is deleted", c.kind)
		}
		cancel()
		heal()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: it takes %s", c.kind, took)
		}
		x.proxy.Down() // what a toxic has stopped is over
		x.proxy.Heal()
	}
	if after := x.listed(t, r.Name); !slices.Equal(before, after) {
		t.Errorf("there are %d of %d", len(after), len(before))
	}
	if n, err := erase(t.Context(), x.d, r, "files", 100); n != 30 || err != nil {
		t.Errorf("%d of 30 go: %v", n, err)
	}
}

// TestEveryRequestIsCut lets the network go at one request after the other of a departure,
// or loses one answer after the other: what is gone on with leaves nothing of the tenant
// and all of the neighbour.
func TestEveryRequestIsCut(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"down", "answer lost"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			x := behind(t)
			neighbour := ensure(t, x.d, "bucket", "t-birch", map[string]any{"versioning": true}, "files")
			for _, key := range []string{"k", "l", "l"} {
				put(t, x.root, neighbour.Name, key, "birch")
				put(t, x.root, shared, "tenants/birch/"+key, "birch")
			}
			before := slices.Concat(x.listed(t, neighbour.Name), x.listed(t, shared))
			arm, cuts := x.proxy.DownAfter, 0
			if kind != "down" {
				arm = x.proxy.LoseAfter
			}
			for n := 1; ; n++ {
				if os.Getenv("TENURE_EVERY") == "" {
					n += n / 2
				}
				bucket, below := x.leaver(t, n)
				fired := false
				for _, step := range []func() error{
					func() error {
						_, err := x.d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: bucket})
						return err
					},
					func() error { _, err := x.d.(connector.Exporter).Export(t.Context(), below, io.Discard); return err },
					func() error { _, err := x.d.(connector.Quarantiner).Quarantine(t.Context(), bucket); return err },
					func() error { _, err := erase(t.Context(), x.d, bucket, "files", 2); return err },
					func() error { _, err := erase(t.Context(), x.d, below, "files", 2); return err },
					func() error { _, err := x.d.Delete(t.Context(), below); return err },
					func() error { _, err := x.d.Delete(t.Context(), bucket); return err },
				} {
					stop := arm(n)
					err := step()
					if stop() {
						fired = true
					}
					if err == nil {
						continue
					}
					cuts++
					told(t, fmt.Sprintf("request %d", n), err, tenure.Unavailable)
					if err := step(); err != nil {
						t.Fatalf("request %d: it can't be gone on with: %v", n, err)
					}
				}
				if after := slices.Concat(x.listed(t, neighbour.Name), x.listed(t, shared)); !slices.Equal(before, after) {
					t.Fatalf("request %d: others have %q, and had %q", n, after, before)
				}
				if there, err := x.root.BucketExists(t.Context(), bucket.Name); there || err != nil {
					t.Fatalf("request %d: the bucket is there: %t, %v", n, there, err)
				}
				if !fired {
					break
				}
			}
			if kind == "down" && cuts < 10 {
				t.Errorf("%d calls alone were cut", cuts)
			}
			t.Logf("%d calls were cut and gone on with", cuts)
		})
	}
}

func (x tenanted) leaver(t *testing.T, n int) (bucket, below connector.Ref) {
	t.Helper()
	bucket = ensure(t, x.d, "bucket", fmt.Sprintf("t-acme-%d", n), map[string]any{"versioning": true}, "files")
	below = ensure(t, x.d, "prefix", base+fmt.Sprintf("acme-%d", n), nil, "files")
	for _, key := range []string{"a", "b", "b"} {
		put(t, x.root, bucket.Name, key, "acme")
		put(t, x.root, shared, fmt.Sprintf("tenants/acme-%d/%s", n, key), "acme")
	}
	return bucket, below
}
