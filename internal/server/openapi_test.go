package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/server"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

const document = "../../docs/openapi.json"

// TestDocument keeps docs/openapi.json in step with the routes.
func TestDocument(t *testing.T) {
	t.Parallel()
	want := newServer(t, newService(t)).OpenAPI()
	if len(want) == 0 {
		t.Fatal("no document can be made: does describe.go name every noun?")
	}
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./internal/server -update", err)
	}
	if !bytes.Equal(want, have) {
		t.Errorf("docs/openapi.json is out of date; write it with: go test ./internal/server -update\n%.4000s", cmp.Diff(string(have), string(want)))
	}
}

// described is a route as the document tells of it.
type described struct {
	OperationID string `json:"operationId"`
	Summary     string `json:"summary"`
	Reach       string `json:"x-tenure-reach"`
	Permission  string `json:"x-tenure-permission"`
	RequestBody struct {
		Content map[string]struct {
			Example json.RawMessage `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses  map[string]any `json:"responses"`
	Parameters []struct {
		Name string `json:"name"`
	} `json:"parameters"`
	verb, path string
}

func routesOf(t *testing.T, srv *server.Server) []described {
	t.Helper()
	var doc struct {
		OpenAPI string                          `json:"openapi"`
		Paths   map[string]map[string]described `json:"paths"`
	}
	if err := json.Unmarshal(srv.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("the document is of OpenAPI %s", doc.OpenAPI)
	}
	var out []described
	for path, verbs := range doc.Paths {
		for verb, d := range verbs {
			d.verb, d.path = strings.ToUpper(verb), path
			out = append(out, d)
		}
	}
	return out
}

// TestDocumentSaysEnough: who may use a route, what it does, an example of its
// body, and the key that makes a POST safe to repeat.
func TestDocumentSaysEnough(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	list := routesOf(t, srv)
	if len(list) != len(srv.Routes()) || len(list) < 40 {
		t.Errorf("%d routes in the document, %d in the table", len(list), len(srv.Routes()))
	}
	for _, d := range list {
		if d.Summary == "" || d.Reach == "" || strings.HasSuffix(d.Summary, ".") {
			t.Errorf("%s: summary %q, reach %q", d.OperationID, d.Summary, d.Reach)
		}
		if body, ok := d.RequestBody.Content["application/json"]; ok && len(body.Example) == 0 {
			t.Errorf("%s has a body and no example", d.OperationID)
		}
		keyed := false
		for _, p := range d.Parameters {
			keyed = keyed || p.Name == "Idempotency-Key"
		}
		if keyed != (d.verb == "POST") {
			t.Errorf("%s: Idempotency-Key is documented: %v", d.OperationID, keyed)
		}
		if d.Reach != string(server.Public) && d.Responses["401"] == nil {
			t.Errorf("%s doesn't say that it answers 401", d.OperationID)
		}
	}
}

// TestExamples sends every documented example to the server, and reads what is there
// to read: each is understood, and answered as the document says.
func TestExamples(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) }) // the examples name dates
	srv := newServer(t, s)
	paths := map[string]string{}
	// These are understood, and hang on a person who is signed in, which nobody is at
	// the socket, on a date, or on a blueprint with a lease.
	hang := map[string]bool{"elevation.request": true, "breakglass.use": true, "token.make": true, "review.start": true, "standing.propose": true, client.SetLease.Name: true}
	// What the others need is made first, by the examples too.
	first := []string{client.AddSystem.Name, client.SubmitBlueprint.Name, client.MakePlan.Name, client.RequestOperation.Name}
	good := map[string]bool{client.PlaceHold.Name: true, client.LookAt.Name: true}
	for _, n := range first {
		good[n] = true
	}
	seen := 0
	send := func(d described) {
		example := d.RequestBody.Content["application/json"].Example
		if example == nil || d.OperationID == client.ExportLog.Name { // it names a folder of some machine
			return
		}
		seen++
		path := d.path
		for name, value := range paths {
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		}
		code, _, body := do(t, srv.LocalHandler(), d.verb, filled(path), string(example), map[string]string{client.PrincipalHeader: "olga"})
		if d.Responses[strconv.Itoa(code)] == nil || code == 400 && !hang[d.OperationID] || code >= 500 || good[d.OperationID] && code/100 != 2 {
			t.Errorf("%s %s: %d %s", d.verb, path, code, body)
		}
		if d.OperationID == client.SubmitBlueprint.Name {
			if _, err := client.PublishBlueprint.Call(ctx, as(t, srv, "rita"), client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: "small@1.0"}}); err != nil {
				t.Error(err)
			}
		}
		var made struct {
			ID string `json:"id"`
		}
		if d.OperationID == client.RequestOperation.Name && json.Unmarshal([]byte(body), &made) == nil {
			paths["operation"], paths["tenant"] = made.ID, "acme"
		}
	}
	all := map[string]described{}
	for _, d := range routesOf(t, srv) {
		all[d.OperationID] = d
	}
	for _, name := range first {
		send(all[name])
		delete(all, name)
	}
	for _, d := range all {
		if d.verb != "GET" || strings.HasSuffix(d.path, "/events") {
			continue
		}
		path := d.path
		for name, value := range paths {
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		}
		if code, _, body := do(t, srv.LocalHandler(), d.verb, filled(path), "", map[string]string{client.PrincipalHeader: "olga"}); d.Responses[strconv.Itoa(code)] == nil {
			t.Errorf("%s answers %d, which isn't documented: %s", d.OperationID, code, body)
		}
	}
	for _, d := range all {
		send(d)
	}
	if seen < 15 {
		t.Errorf("only %d examples were sent", seen)
	}
}

// TestNobodyGetsIn: without a credential, and with one that nobody has, every route
// answers 401 as a problem, and nothing of what it would say.
func TestNobodyGetsIn(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	for _, r := range srv.Routes() {
		if r.Access.Reach == server.Public {
			continue
		}
		for _, header := range []map[string]string{
			{}, {"Authorization": "Bearer tnr_wrong"}, {"Authorization": "Basic b2xnYTpvbGdh"}, {"Cookie": "tenure=x; __Host-tenure=y"}, {client.PrincipalHeader: "olga"},
		} {
			code, got, body := do(t, srv.Handler(), r.Verb, filled(r.Path), "", header)
			if p := parseProblem(t, body); code != 401 || p.Status != 401 || !strings.HasPrefix(got.Get("WWW-Authenticate"), "Bearer") {
				if code == 429 {
					continue // too many wrong ones from one address: as good a refusal
				}
				t.Errorf("%s %v: %d %s", r.Name, header, code, body)
			}
		}
	}
	if code, _, _ := do(t, srv.Handler(), "GET", "/v1/nothing", "", nil); code != 401 {
		t.Errorf("a path that there isn't: %d", code)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/openapi.json": 200, "/metrics": 404, "/": 404} {
		if code, _, body := do(t, srv.Handler(), "GET", path, "", nil); code != want {
			t.Errorf("%s: %d %.100s", path, code, body)
		}
	}
}
