package oidcclient_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/oidcclient"
	"github.com/tenurehq/tenure/internal/oidctest"
)

// changed puts a proxy before the provider that may answer in its place, if refuse says
// that it does, and may change what it answers.
func (w *world) changed(refuse func(http.ResponseWriter, *http.Request) bool, change func(*http.Response) error) {
	w.t.Helper()
	to, err := url.Parse(w.at.Issuer)
	if err != nil {
		w.t.Fatal(err)
	}
	on := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }, ModifyResponse: change}
	front := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		if refuse == nil || !refuse(res, req) {
			on.ServeHTTP(res, req)
		}
	}))
	w.t.Cleanup(front.Close)
	w.at.Behind(w.t, strings.TrimPrefix(front.URL, "http://"))
}

// A cut whose sessions couldn't be ended isn't taken for done: it is seen as open, and the
// next call ends them.
func TestSessionsEndAtLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidctest.Options{})
	var fails, ended atomic.Int32
	w.changed(func(res http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/logout") {
			return false
		}
		if fails.Add(-1) >= 0 {
			res.WriteHeader(http.StatusForbidden)
			return true
		}
		ended.Add(1)
		return false
	}, nil)
	d := w.driver(nil)
	state := func(r connector.Ref) (is tenure.ResourceState) {
		t.Helper()
		if _, err := d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error { is = o.State; return nil }); err != nil {
			t.Fatal(err)
		}
		return is
	}
	for as, cut := range map[tenure.ResourceState]func(connector.Ref) (connector.Receipt, error){
		tenure.ResourceSuspended: func(r connector.Ref) (connector.Receipt, error) {
			return d.(connector.Suspender).Suspend(t.Context(), r)
		},
		tenure.ResourceRevoked: func(r connector.Ref) (connector.Receipt, error) { return d.(connector.Revoker).Revoke(t.Context(), r) },
	} {
		want := app(string(as))
		if _, _, err := d.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for round := range 2 {
			fails.Store(1)
			ended.Store(0)
			if _, err := cut(want.Ref); tenure.CodeOf(err) != tenure.Blocked {
				t.Errorf("%s: the logout fails: %v", as, err)
			}
			if got := state(want.Ref); got != tenure.ResourcePresent {
				t.Errorf("%s: while sessions live it is seen as %s", as, got)
			}
			rec, err := cut(want.Ref)
			if err != nil || rec.Facts["tokens may live until"] == "" || ended.Load() != 1 {
				t.Errorf("%s once more: %+v, %v, sessions ended %d times", as, rec, err, ended.Load())
			}
			if got := state(want.Ref); got != as {
				t.Errorf("%s: at last it is seen as %s", as, got)
			}
			if _, err := cut(want.Ref); err != nil || ended.Load() != 1 {
				t.Errorf("%s a third time: %v, sessions ended %d times", as, err, ended.Load())
			}
			if as == tenure.ResourceRevoked || round > 0 {
				break
			}
			if _, err := d.(connector.Suspender).Resume(t.Context(), want.Ref); err != nil {
				t.Fatal(err)
			}
		}
	}
	half := app("half revoked")
	if _, _, err := d.Ensure(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	fails.Store(1)
	if _, err := d.(connector.Revoker).Revoke(t.Context(), half.Ref); err == nil {
		t.Error("a revocation whose logout fails succeeds")
	}
	if _, err := d.(connector.Suspender).Resume(t.Context(), half.Ref); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("a revocation that isn't complete is resumed: %v", err)
	}
	if _, err := d.(connector.Suspender).Suspend(t.Context(), half.Ref); err != nil {
		t.Error(err)
	}
	if got := state(half.Ref); got != tenure.ResourceRevoked {
		t.Errorf("a suspension makes it %s", got)
	}
}

// A client that the provider made and gave no way to manage is deleted again where that can
// be, and counted where it can't: no receipt says that nothing was left.
func TestUnmanaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(map[string]any)
		left  int
	}{
		"no token":     {func(m map[string]any) { delete(m, "registration_access_token") }, 1},
		"elsewhere":    {func(m map[string]any) { m["registration_client_uri"] = "https://elsewhere.example/reg/1" }, 1},
		"no client id": {func(m map[string]any) { delete(m, "client_id") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, oidctest.Options{})
			var spoils atomic.Bool
			w.changed(nil, func(a *http.Response) error {
				if !spoils.Load() || a.StatusCode != http.StatusCreated {
					return nil
				}
				var m map[string]any
				if err := json.NewDecoder(a.Body).Decode(&m); err != nil {
					return err
				}
				c.spoil(m)
				raw, err := json.Marshal(m)
				a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
				a.Header.Set("Content-Length", strconv.Itoa(len(raw)))
				return err
			})
			d := w.driver(nil)
			want := app("unmanaged")
			spoils.Store(true)
			_, _, err := d.Ensure(t.Context(), want)
			if tenure.CodeOf(err) != tenure.Blocked {
				t.Fatalf("ensure: %v", err)
			}
			if _, idle := w.armed(want.Name); idle != c.left {
				t.Errorf("%d clients are left, and not %d", idle, c.left)
			}
			if told := strings.Contains(strings.Join(tenure.HintsOf(err), " "), "delete client"); told != (c.left > 0) {
				t.Errorf("the hints are %q", tenure.HintsOf(err))
			}
			rec, err := d.Delete(t.Context(), want.Ref)
			if said, _ := strconv.Atoi(rec.Facts["registrations without an answer"]); err != nil || said != c.left {
				t.Errorf("the receipt of the deletion: %+v, %v", rec, err)
			}
			fresh, err := oidcclient.Info().Open(t.Context(), connector.Config{
				System: "under-test", Options: w.options(), Secrets: w.secrets(), Marker: testMarker, Safe: w.safe.Of("ins_another"), Now: time.Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Close()
			before := len(w.clients())
			_, err = fresh.Plant(t.Context())
			if told := strings.Contains(strings.Join(tenure.HintsOf(err), " "), "delete client"); err == nil || len(w.clients()) != before+c.left || told != (c.left > 0) {
				t.Errorf("the sentinel: %v, hints %q, and %d clients are left", err, tenure.HintsOf(err), len(w.clients())-before)
			}
		})
	}
}

// A check at a provider that registers what can't be managed doesn't blame the token.
func TestCheckUnmanaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidctest.Options{})
	w.changed(func(res http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost || req.URL.Path != "/reg" {
			return false
		}
		res.Header().Set("Content-Type", "application/json")
		res.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(res, `{"client_id": "stray"}`)
		return true
	}, nil)
	d, err := oidcclient.Info().Open(t.Context(), connector.Config{System: "under-test", Options: w.options(), Secrets: w.secrets(), Marker: testMarker, Safe: w.safe.Of(testMarker.Installation), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := d.(connector.Checker).Check(t.Context(), nil)
	if err != nil || len(got.Rights) != 1 || got.Rights[0].State != connector.RightMissing || !strings.Contains(got.Rights[0].Fix, "RFC 7592") || !strings.Contains(got.Rights[0].Fix, "stray") {
		t.Errorf("the check says %+v, %v", got, err)
	}
}
