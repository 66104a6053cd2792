package descriptions_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

func info(t testing.TB, name string) connector.Info {
	t.Helper()
	for _, i := range descriptions.Infos() {
		if i.Name == name {
			return i
		}
	}
	t.Fatalf("there is no description %s", name)
	return connector.Info{}
}

func TestPocketBase(t *testing.T) { connectortest.Run(t, pocketBase) }

func pocketBase(t *testing.T) *connectortest.World {
	s := pocketbasetest.Start(t)
	proxy := toxitest.New(t, s.Address)
	p := pocket{s}
	return &connectortest.World{
		Info:         info(t, "pocketbase"),
		Dear:         true,
		Options:      map[string]string{"base": "http://" + proxy.Address, "identity": s.Identity, "users": "users"},
		Secrets:      map[string]tenure.Secret{"password": tenure.NewSecret(s.Password)},
		Look:         s.Look,
		LoseSentinel: func(t testing.TB) { s.Must(t, http.MethodDelete, "/api/collections/tenure_sentinel", nil, nil) },
		Outage:       func(t testing.TB) func() { proxy.Down(); return proxy.Heal },
		Cases:        []connectortest.Case{p.collection(), p.user()},
		Probes: []connectortest.ProbeCase{
			{Kind: "reachable", Check: func(t testing.TB, d connector.Driver) connector.Check {
				want := connector.Desired{Ref: connector.Ref{Resource: "res_probe", Tenant: "ten_probe", Type: "user", Name: "probe@acme.example"}, Credential: tenure.NewSecret("a-long-password")}
				if _, _, err := d.Ensure(t.Context(), want); err != nil {
					t.Fatal(err)
				}
				return connector.Check{Ref: want.Ref, Credential: want.Credential}
			}, Misconfigure: func(t testing.TB) {
				s.Must(t, http.MethodPatch, "/api/collections/users", map[string]any{"authRule": "suspended = true"}, nil)
			}},
			{Kind: "exposure", Check: func(t testing.TB, d connector.Driver) connector.Check {
				want := connector.Desired{Ref: connector.Ref{Resource: "res_probe", Tenant: "ten_probe", Type: "collection", Name: "acme_probe"}}
				if _, _, err := d.Ensure(t.Context(), want); err != nil {
					t.Fatal(err)
				}
				return connector.Check{Ref: want.Ref}
			}, Misconfigure: func(t testing.TB) {
				s.Must(t, http.MethodPatch, "/api/collections/acme_probe", map[string]any{"listRule": ""}, nil)
			}},
		},
	}
}

type pocket struct{ *pocketbasetest.Server }

func (p pocket) mark(t testing.TB, r connector.Ref) (id string) {
	t.Helper()
	for _, e := range p.Records(t, "tenure_marks") {
		if strings.HasSuffix(e["key"].(string), " "+r.Type+" "+r.Name) {
			return e["id"].(string)
		}
	}
	t.Fatalf("%s %s has no mark", r.Type, r.Name)
	return ""
}

func (p pocket) remark(t testing.TB, r connector.Ref, mark string) {
	t.Helper()
	id := p.mark(t, r)
	_, raw := p.Do(t, http.MethodGet, "/api/collections/tenure_marks/records/"+id, nil)
	_, of, _ := strings.Cut(string(raw), " of=")
	of, _, _ = strings.Cut(of, `"`)
	p.Must(t, http.MethodPatch, "/api/collections/tenure_marks/records/"+id, map[string]any{"mark": mark + " of=" + of}, nil)
}

func (p pocket) unmark(t testing.TB, r connector.Ref) {
	t.Helper()
	p.Must(t, http.MethodDelete, "/api/collections/tenure_marks/records/"+p.mark(t, r), nil, nil)
}

func (p pocket) collection() connectortest.Case {
	fields := []any{map[string]any{"name": "title", "type": "text"}, map[string]any{"name": "data_class", "type": "text"}}
	return connectortest.Case{
		Type: "collection",
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("acme_%d", n), Classes: []string{"orders", "people"},
				Attributes: map[string]any{"fields": fields, "listRule": "@request.auth.tenant = 'acme'"}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"fields": append(fields[:2:2], map[string]any{"name": "seats", "type": "number"}), "listRule": "@request.auth.tenant = 'other'"}
			return d
		},
		Invalid: []map[string]any{{"fields": "title"}, {"fields": []any{map[string]any{"name": "x", "type": "blob"}}}, {"nothing": 1}},
		Tamper: func(t testing.TB, r connector.Ref) {
			p.Must(t, http.MethodPatch, "/api/collections/"+r.Name, map[string]any{"listRule": ""}, nil)
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			p.Must(t, http.MethodPost, "/api/collections", map[string]any{"name": r.Name, "type": "base"}, nil)
		},
		Unlisted: true,
		Remark:   p.remark,
		Unmark:   p.unmark,
		Exists: func(t testing.TB, r connector.Ref) bool {
			status, _ := p.Do(t, http.MethodGet, "/api/collections/"+r.Name, nil)
			return status == http.StatusOK
		},
		Fill: func(t testing.TB, r connector.Ref, class string, n int) {
			for i := range n {
				p.Must(t, http.MethodPost, "/api/collections/"+r.Name+"/records", map[string]any{"title": fmt.Sprint("row ", i), "data_class": class}, nil)
			}
		},
		Count: func(t testing.TB, r connector.Ref, class string) (n int) {
			for _, e := range p.Records(t, r.Name) {
				if e["data_class"] == class {
					n++
				}
			}
			return n
		},
		Exported: func(_ testing.TB, data []byte) int { return strings.Count(string(data), "\n") - 1 },
		Without:  []string{"tally"},
	}
}

func (p pocket) user() connectortest.Case {
	return connectortest.Case{
		Type: "user",
		New: func(_ testing.TB, n int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("user%d@acme.example", n), Attributes: map[string]any{"tenant": "acme"}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"tenant": "other"}
			return d
		},
		Invalid: []map[string]any{{"tenant": 1}, {"role": "x"}},
		Tamper: func(t testing.TB, r connector.Ref) {
			p.Must(t, http.MethodPatch, "/api/collections/users/records/"+p.id(t, r), map[string]any{"tenant": "birch"}, nil)
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			p.Must(t, http.MethodPost, "/api/collections/users/records", map[string]any{"email": r.Name, "password": "a-long-password", "passwordConfirm": "a-long-password"}, nil)
		},
		Unlisted: true,
		Remark:   p.remark,
		Unmark:   p.unmark,
		Exists:   func(t testing.TB, r connector.Ref) bool { return p.id(t, r) != "" },
		Works: func(t testing.TB, d connector.Desired) bool {
			status, _ := servertest.Caller{Base: p.URL}.Do(t, http.MethodPost, "/api/collections/users/auth-with-password", map[string]any{"identity": d.Name, "password": d.Credential.Reveal()})
			return status == http.StatusOK
		},
	}
}

func (p pocket) id(t testing.TB, r connector.Ref) string {
	t.Helper()
	for _, e := range p.Records(t, "users") {
		if e["email"] == r.Name {
			return e["id"].(string)
		}
	}
	return ""
}

// What was renamed past Tenure is known by its id, and what somebody makes under a name whose
// making was refused isn't Tenure's.
func TestPocketBaseNames(t *testing.T) {
	s := pocketbasetest.Start(t)
	sys := opened(t, "pocketbase", map[string]string{"base": s.URL, "identity": s.Identity, "users": "users"}, map[string]string{"password": s.Password})
	d := wanted("collection", "acme_orders", "orders")
	if _, _, _, err := sys.Ensure(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	s.Must(t, http.MethodPatch, "/api/collections/acme_orders", map[string]any{"name": "renamed"}, nil)
	seen, _, err := sys.Observe(t.Context(), []connector.Ref{d.Ref})
	if err != nil || !seen[0].Found || seen[0].Owner != connector.Ours || !strings.Contains(string(seen[0].Attributes), "renamed") {
		t.Errorf("renamed, it is seen as %+v, %v", seen[0], err)
	}
	if _, v, err := sys.Delete(t.Context(), d.Ref); err != nil || v != tenure.Verified {
		t.Errorf("the deletion: %s, %v", v, err)
	}
	if status, _ := s.Do(t, http.MethodGet, "/api/collections/renamed", nil); status != http.StatusNotFound {
		t.Errorf("it is still there: status %d", status)
	}
	refused := wanted("collection", "birch_orders", "orders")
	refused.Attributes = map[string]any{"listRule": "no rule at all ("}
	if _, _, _, err := sys.Ensure(t.Context(), refused); tenure.CodeOf(err) != tenure.Invalid {
		t.Fatalf("a rule that is none: %v", err)
	}
	s.Must(t, http.MethodPost, "/api/collections", map[string]any{"name": "birch_orders", "type": "base"}, nil)
	if _, _, err := sys.Delete(t.Context(), refused.Ref); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("the deletion of a stranger's: %v", err)
	}
	if status, _ := s.Do(t, http.MethodGet, "/api/collections/birch_orders", nil); status != http.StatusOK {
		t.Errorf("a stranger's collection is gone: status %d", status)
	}
}

// Collections are changed one after the other: of 240 that PocketBase is asked for 8 at a
// time, its cache can lose one, which is listed then while its records aren't found.
func TestCollectionsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := pocketbasetest.Start(t)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var changing, made atomic.Int32
	pass := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if collection := strings.Count(r.URL.Path, "/") < 4 && r.Method != http.MethodGet; collection && strings.HasPrefix(r.URL.Path, "/api/collections") {
			if made.Add(1); changing.Add(1) > 1 {
				t.Errorf("%s %s comes while another collection is being changed", r.Method, r.URL.Path)
			}
			defer changing.Add(-1)
		}
		pass.ServeHTTP(w, r)
	}))
	defer front.Close()
	sys := opened(t, "pocketbase", map[string]string{"base": front.URL, "identity": s.Identity, "users": "users"}, map[string]string{"password": s.Password})
	var making sync.WaitGroup
	for i := range 8 {
		making.Go(func() {
			d := wanted("collection", fmt.Sprintf("acme_orders_%d", i), "orders")
			if _, _, _, err := sys.Ensure(t.Context(), d); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if _, v, err := sys.Delete(t.Context(), d.Ref); err != nil || v != tenure.Verified {
					t.Errorf("the deletion: %s, %v", v, err)
				}
			}
		})
	}
	making.Wait()
	if made.Load() < 12 {
		t.Fatalf("%d changes were seen", made.Load())
	}
}
