package descriptions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/standin"
)

const (
	stripeMock        = "github.com/stripe/stripe-mock"
	stripeMockVersion = "v0.203.0"
)

// exchange is a request that a description sent, and what the stand-in answered.
type exchange struct {
	method, path string
	header       http.Header
	body         []byte
	status       int
	answer       any
}

// TestStripeShapes holds the description and the stand-in against Stripe's published
// interface: each request that a tenant's whole life sends is one that stripe-mock, which
// knows every parameter, takes too, and what the stand-in answers has fields of the names
// and types that Stripe's objects have.
func TestStripeShapes(t *testing.T) {
	t.Parallel()
	s := standin.Stripe(t)
	var mu sync.Mutex
	var sent []exchange
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		again, _ := http.NewRequestWithContext(r.Context(), r.Method, s.URL+r.URL.RequestURI(), bytes.NewReader(body))
		again.Header = r.Header.Clone()
		res, err := http.DefaultTransport.RoundTrip(again)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		raw, _ := io.ReadAll(res.Body)
		e := exchange{method: r.Method, path: r.URL.RequestURI(), header: r.Header.Clone(), body: body, status: res.StatusCode}
		_ = json.Unmarshal(raw, &e.answer)
		mu.Lock()
		sent = append(sent, e)
		mu.Unlock()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(raw)
	}))
	defer front.Close()
	sys := opened(t, "stripe", map[string]string{"base": front.URL, "rate": "100000", "redact": "yes"}, map[string]string{"key": s.Token})
	customer, plan := wanted("customer", "Acme"), wanted("subscription", "Acme/gold")
	customer.Attributes = map[string]any{"email": "bills@acme.example", "description": "the tenant"}
	plan.Attributes = map[string]any{"price": "price_gold", "quantity": 3}
	if _, _, _, err := sys.Ensure(t.Context(), customer); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := sys.Ensure(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	customer.Attributes["description"], plan.Attributes["quantity"] = "changed", 4
	if _, _, _, err := sys.Ensure(t.Context(), customer); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := sys.Ensure(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	owner := s.Objects("customers", func(o map[string]any) bool { return o["name"] == "Acme" })[0]["id"]
	s.Add("invoices", map[string]any{"customer": owner, "status": "open"})
	if _, v, err := sys.Delete(t.Context(), plan.Ref); err != nil || v != tenure.Verified {
		t.Fatalf("delete of the subscription: %s, %v", v, err)
	}
	if _, v, err := sys.Delete(t.Context(), customer.Ref); err != nil || v != tenure.Verified {
		t.Fatalf("delete: %s, %v", v, err)
	}

	program := servertest.Program(t, stripeMock, stripeMockVersion)
	mock := servertest.Start(t, "stripe-mock", "/v1/customers", func(address string) *exec.Cmd {
		return exec.Command(program, "-http-addr", address)
	})
	seen := map[string]bool{}
	for _, e := range sent {
		what := e.method + " " + id.ReplaceAllString(strings.SplitN(e.path, "?", 2)[0], "/{id}") + " " + keysOf(e.body)
		if seen[what] {
			continue
		}
		seen[what] = true
		t.Run(what, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), e.method, mock.URL+e.path, bytes.NewReader(e.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = e.header
			req.Header.Set("Authorization", "Bearer sk_test_123") // stripe-mock takes keys of this shape alone
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			raw, _ := io.ReadAll(res.Body)
			if preview := strings.HasPrefix(e.path, "/v1/privacy/"); preview {
				if res.StatusCode != http.StatusNotFound {
					t.Errorf("stripe-mock knows redaction jobs now, with %d: hold them against it too", res.StatusCode)
				}
				return
			}
			if res.StatusCode != http.StatusOK {
				t.Fatalf("stripe-mock answers %d: %s", res.StatusCode, raw)
			}
			var theirs any
			if err := json.Unmarshal(raw, &theirs); err != nil {
				t.Fatal(err)
			}
			if e.status == http.StatusOK {
				for _, miss := range unlike("", e.answer, theirs) {
					t.Errorf("the stand-in's answer: %s", miss)
				}
			}
		})
	}
	t.Logf("%d kinds of requests: %s", len(seen), slices.Sorted(maps.Keys(seen)))
}

var id = regexp.MustCompile(`/[0-9]+`) // of the stand-in's objects

// keysOf are the parameters of a form.
func keysOf(form []byte) string {
	var out []string
	for pair := range bytes.SplitSeq(form, []byte("&")) {
		key, _, _ := bytes.Cut(pair, []byte("="))
		out = append(out, string(key))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// unlike says where ours has a field that theirs lacks, or of another type. Of a list the
// first element stands for all; metadata is free; null is of any type.
func unlike(at string, ours, theirs any) (out []string) {
	switch o := ours.(type) {
	case map[string]any:
		of, ok := theirs.(map[string]any)
		if !ok {
			if theirs == nil {
				return nil
			}
			return []string{fmt.Sprintf("%s is an object, and %T at Stripe", at, theirs)}
		}
		if strings.HasSuffix(at, "/metadata") {
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(o)) {
			if _, ok := of[key]; !ok {
				out = append(out, at+"/"+key+" is no field of Stripe's")
				continue
			}
			out = append(out, unlike(at+"/"+key, o[key], of[key])...)
		}
	case []any:
		of, ok := theirs.([]any)
		if !ok {
			return []string{at + " is a list, and not at Stripe"}
		}
		if len(o) > 0 && len(of) > 0 {
			out = append(out, unlike(at+"/0", o[0], of[0])...)
		}
	case nil:
	default:
		if theirs != nil && fmt.Sprintf("%T", ours) != fmt.Sprintf("%T", theirs) {
			out = append(out, fmt.Sprintf("%s is %T, and %T at Stripe", at, ours, theirs))
		}
	}
	return out
}
