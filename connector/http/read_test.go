package http_test

import (
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/http"
)

const reads = `reads:
  - {name: deal, help: A deal., path: "/deals/${id}", query: {properties: "${fields.size() > 0 ? fields.join(',') : omit}"}, item: /deal}
types:
`

// A thing is looked up by its id in one segment of a path, with the fields that are asked for; one that
// isn't there is told from one that may not be read, and a secret that the system repeats is hidden.
func TestRead(t *testing.T) {
	s := newThings(t)
	sys := opened(t, strings.NewReplacer("AUTH", "{kind: bearer, secret: secret}", "LIST", whole, "types:\n", reads).Replace(small), map[string]string{"base": s.URL + "/api"}, map[string]tenure.Secret{"secret": tenure.NewSecret("the-secret-of-this-test")})
	var asked []string
	s.Config.Handler = nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		asked = append(asked, r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		switch r.URL.Path {
		case "/api/deals/17":
			fmt.Fprintf(w, `{"deal":{"seats":9,"note":"we sent %s"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		case "/api/deals/18":
			w.WriteHeader(nethttp.StatusForbidden)
		case "/api/deals/19":
			fmt.Fprint(w, `{"deal":null}`)
		default:
			if strings.HasPrefix(r.URL.Path, "/api/deals") {
				w.WriteHeader(nethttp.StatusNotFound)
				return
			}
			s.ServeHTTP(w, r)
		}
	})
	sys.Hide(tenure.NewSecret("the-secret-of-this-test"))
	if !sys.Can("read") {
		t.Error("it says that it can't read")
	}
	raw, err := sys.Read(t.Context(), "deal", "17", []string{"seats", "note"})
	var deal struct {
		Seats int
		Note  string
	}
	if err != nil || json.Unmarshal(raw, &deal) != nil || deal.Seats != 9 {
		t.Fatalf("%s, %v", raw, err)
	}
	if strings.Contains(deal.Note, "the-secret") {
		t.Errorf("the system's own secret stands in what was read: %s", raw)
	}
	for id, want := range map[string]tenure.Code{"18": tenure.Blocked, "19": tenure.NotFound, "20": tenure.NotFound, "..": tenure.Invalid, "a/b": tenure.Invalid, "": tenure.Invalid} {
		if raw, err := sys.Read(t.Context(), "deal", id, nil); tenure.CodeOf(err) != want {
			t.Errorf("%q: %s, %v, want %s", id, raw, err, want)
		}
	}
	if _, err := sys.Read(t.Context(), "deal", "a b?c#d", nil); tenure.CodeOf(err) != tenure.NotFound {
		t.Error(err)
	}
	if _, err := sys.Read(t.Context(), "order", "17", nil); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("what can't be looked up: %v", err)
	}
	for _, want := range []string{"/api/deals/17?properties=seats%2Cnote", "/api/deals/18?", "/api/deals/a%20b%3Fc%23d?"} {
		if !slices.Contains(asked, want) {
			t.Errorf("%q wasn't asked for, but %q", want, asked)
		}
	}
	plain := opened(t, strings.NewReplacer("AUTH", "{kind: none}", "LIST", whole).Replace(small), map[string]string{"base": newThings(t).URL + "/api"}, nil)
	if _, err := plain.Read(t.Context(), "deal", "17", nil); plain.Can("read") || tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a system without reads: %v", err)
	}
}

// What a description says of its reads is checked with it.
func TestReadsAreChecked(t *testing.T) {
	for from, want := range map[string]string{
		`path: "/deals/${id}"`: "the request doesn't say which one is asked for",
		`help: A deal.`:        "looking something up changes nothing",
		`item: /deal`:          "credential",
		`name: deal`:           "two of them are called deal",
	} {
		to := map[string]string{`path: "/deals/${id}"`: "path: /deals", `help: A deal.`: "help: A deal., method: DELETE", `item: /deal`: `header: {X-A: "${credential}"}`, `name: deal`: "name: deal, help: h, path: \"/a/${id}\"}\n  - {name: deal"}[from]
		src := strings.Replace(reads, from, to, 1)
		if from == `path: "/deals/${id}"` {
			src = strings.Replace(src, ` query: {properties: "${fields.size() > 0 ? fields.join(',') : omit}"},`, "", 1)
		}
		_, err := http.Parse([]byte(strings.NewReplacer("AUTH", "{kind: none}", "LIST", whole, "types:\n", src).Replace(small)), "description.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", to, err, want)
		}
	}
}
