package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/server"
)

// tester may everything, at the socket.
var tester = map[string]string{client.PrincipalHeader: "tester"}

func with(header map[string]string, more ...string) map[string]string {
	out := map[string]string{}
	for k, v := range header {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

// TestBodiesReadOneWay: a body that two readers could read differently is refused by
// every route, at whatever depth, and under a key of idempotency too.
func TestBodiesReadOneWay(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	n := 0
	for _, d := range documentedRoutes(t, srv) {
		c, ok := d.Body.Content["application/json"]
		if !ok || d.ID == client.ExportLog.Name { // writes a folder that the caller names
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(c.Example, &fields); err != nil {
			t.Fatalf("%s: %v", d.ID, err)
		}
		whole := strings.TrimSpace(string(c.Example))
		rest := strings.TrimPrefix(whole, "{")
		if len(fields) > 0 {
			rest = "," + rest
		}
		bad := map[string]string{
			"twice below": `{"x":{"a":1,"a":2}` + rest, "half a pair": `{"x":"\ud800"` + rest, "half a pair in a name": `{"\udc00":1` + rest, "a NUL": `{"x":["\u0000"]` + rest, "no UTF-8": "{\"x\":\"\xff\"" + rest,
			"too large": `{"x":1e400` + rest, "not exact": `{"x":0.1000000000000000055511151231257827` + rest, "beyond 64 bits": `{"x":9223372036854775808` + rest,
			"trailing": whole + ` {}`, "trailing bracket": whole + `}`, "mark": "\ufeff" + whole,
		}
		for name, v := range fields {
			bad["twice "+name] = fmt.Sprintf(`{%q:%s`, name, v) + rest
			bad["escaped "+name] = fmt.Sprintf(`{"\u%04x%s":%s`, name[0], name[1:], v) + rest
			folded := strings.ToUpper(name)
			bad["folded "+name] = strings.Replace(whole, fmt.Sprintf("%q", name), fmt.Sprintf("%q", folded), 1)
			bad["folded beside "+name] = fmt.Sprintf(`{%q:%s`, folded, v) + rest
		}
		for what, body := range bad {
			for _, key := range []string{"", d.ID + "-" + what} {
				header := tester
				if key != "" {
					header = with(tester, "Idempotency-Key", url.QueryEscape(key))
				}
				code, _, answer := do(t, srv.LocalHandler(), d.verb, d.at(seen), body, header)
				if code != 400 && code != 404 && code != 403 { // what the path names may not be there
					t.Errorf("%s, %s: %d %.200s for %.120s", d.ID, what, code, answer, body)
				}
				if code == 400 && parseProblem(t, answer).Detail == "" {
					t.Errorf("%s, %s: it doesn't say why", d.ID, what)
				}
				n++
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d bodies were sent", n)
	}
}

// TestMediaTypes: a body is JSON in UTF-8, and says so in one way.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	for kind, want := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "Application/JSON;charset=UTF-8": 201,
		"application/jsonp": 415, "application/json; charset=latin1": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json; charset": 415, "": 415,
	} {
		code, _, body := do(t, srv.LocalHandler(), "POST", client.AddSystem.Path, `{"name":"main"}`, with(tester, "Content-Type", kind))
		if (code == 415) != (want == 415) || code == 415 && !strings.Contains(parseProblem(t, body).Detail, "must be JSON") {
			t.Errorf("%q: %d %s", kind, code, body)
		}
	}
	for _, kinds := range [][]string{nil, {"application/json", "text/plain"}} {
		r := httptest.NewRequest("POST", client.AddSystem.Path, strings.NewReader(`{"name":"main"}`))
		r.Header.Set(client.PrincipalHeader, "tester")
		r.Header["Content-Type"] = kinds
		w := httptest.NewRecorder()
		if srv.LocalHandler().ServeHTTP(w, r); w.Code != 415 {
			t.Errorf("%v: %d %s", kinds, w.Code, w.Body)
		}
	}
}

// TestQueriesReadOneWay: a query that is malformed, says a thing twice, or isn't UTF-8
// is refused by every route, and so are a path and a name that no store holds.
func TestQueriesReadOneWay(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	for _, d := range queryRoutes(t, srv) {
		for _, q := range []string{"limit=5&limit=6", "a=1;b=2", "limit=%zz", "nobody-knows=1", "LIMIT=5"} {
			if code, _, body := do(t, srv.LocalHandler(), "GET", d.at(seen)+"?"+q, "", tester); code != 400 && code != 404 { // what the path names may not be there
				t.Errorf("%s?%s: %d %.200s", d.ID, q, code, body)
			}
		}
		for _, p := range d.params {
			for _, v := range []string{"%ff", "%ed%a0%80", "a%00b"} {
				if code, _, body := do(t, srv.LocalHandler(), "GET", d.at(seen)+"?"+p.Name+"="+v, "", tester); code != 400 {
					t.Errorf("%s?%s=%s: %d %.200s", d.ID, p.Name, v, code, body)
				}
			}
		}
	}
	for path, want := range map[string]int{"0": 200, "01": 400, "00": 400, "+0": 400, "-0": 400, "0x0": 400} {
		if code, _, body := do(t, srv.LocalHandler(), "GET", "/v1/audit/entries/"+path, "", tester); code != want || code == 400 && !strings.Contains(body, "path.index") {
			t.Errorf("the entry %s: %d %s", path, code, body)
		}
	}
	for _, v := range []string{"%ff", "a%00b"} {
		if code, _, body := do(t, srv.LocalHandler(), "GET", "/v1/tenants/"+v, "", tester); code != 400 {
			t.Errorf("the tenant %s: %d %s", v, code, body)
		}
		if code, _, body := do(t, srv.LocalHandler(), "GET", "/v1/tenants", "", with(nil, client.PrincipalHeader, v)); code != 400 {
			t.Errorf("%s asks: %d %s", v, code, body)
		}
	}
}

type queryParam struct {
	Name   string `json:"name"`
	In     string `json:"in"`
	Schema struct {
		Type string `json:"type"`
		Enum []any  `json:"enum"`
	} `json:"schema"`
}

type queryRoute struct {
	documented
	params []queryParam
}

// queryRoutes are the routes that are read, save the streams, with what may stand in their queries.
func queryRoutes(t testing.TB, srv *server.Server) (out []queryRoute) {
	t.Helper()
	var doc struct {
		Paths map[string]struct {
			Get struct {
				Parameters []queryParam `json:"parameters"`
			} `json:"get"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(srv.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, d := range documentedRoutes(t, srv) {
		if d.verb != http.MethodGet || strings.HasSuffix(d.path, "/events") {
			continue
		}
		r := queryRoute{documented: d}
		for _, p := range doc.Paths[d.path].Get.Parameters {
			if p.In == "query" {
				r.params = append(r.params, p)
			}
		}
		out = append(out, r)
	}
	return out
}

// TestUnknownFilterValues: a filter's value that can't be met is a mistake of who asks,
// and not an empty list: a word that is none, a person, system or blueprint that isn't
// there.
func TestUnknownFilterValues(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	for _, d := range queryRoutes(t, srv) {
		for _, p := range d.params {
			// Tiers are words of blueprints, and a name to begin after needs nobody of it.
			words := slices.Contains([]string{"inbound.list type", "inbound.list subject", "inbound.list reference", "notice.preview language", "notice.preview to"}, d.ID+" "+p.Name) // of others
			if p.Name == "tier" || words || p.Schema.Type == "array" {
				continue
			}
			code, _, body := do(t, srv.LocalHandler(), "GET", d.at(seen)+"?"+p.Name+"=no-such-thing", "", tester)
			if p.Name == "tenant" && code != 404 {
				t.Errorf("%s?tenant=no-such-thing: %d %.200s", d.ID, code, body)
			}
			if code != 400 && (code != 404 || p.Name != "tenant" && !strings.Contains(d.path, "{")) { // a tenant that isn't there is 404 everywhere, as one that isn't for who asks
				t.Errorf("%s?%s=no-such-thing: %d %.200s", d.ID, p.Name, code, body)
			}
			if code == 404 && len(p.Schema.Enum) > 0 {
				t.Errorf("%s?%s: %d %.200s", d.ID, p.Name, code, body)
			}
			for _, v := range p.Schema.Enum {
				if code, _, body := do(t, srv.LocalHandler(), "GET", d.at(seen)+"?"+p.Name+"="+url.QueryEscape(fmt.Sprint(v)), "", tester); code == 400 {
					t.Errorf("%s?%s=%v is documented: %d %.200s", d.ID, p.Name, v, code, body)
				}
			}
		}
	}
}

// TestCursorsAreBound: a cursor goes on with the list that it came from, for who got it,
// under the same filter, and with nothing else.
func TestCursorsAreBound(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	plant(t, s, "birch", "gold", "ordinary")
	plant(t, s, "cedar", "gold", "ordinary")
	ask := func(path string, header map[string]string) (int, client.Page[json.RawMessage], string) {
		code, _, body := do(t, srv.LocalHandler(), "GET", path, "", header)
		var page client.Page[json.RawMessage]
		_ = json.Unmarshal([]byte(body), &page)
		return code, page, body
	}
	cursors := map[string]string{}
	for _, d := range queryRoutes(t, srv) {
		if !slices.ContainsFunc(d.params, func(p queryParam) bool { return p.Name == "cursor" }) {
			continue
		}
		_, page, _ := ask(d.at(seen)+"?limit=1", tester)
		if page.Next == "" {
			cursors[d.at(seen)] = ""
			continue
		}
		cursors[d.at(seen)] = page.Next
		code, second, body := ask(d.at(seen)+"?limit=2&cursor="+page.Next, tester)
		if code != 200 || len(second.Items) == 0 || bytes.Equal(second.Items[0], page.Items[0]) {
			t.Errorf("%s: the second page is %d %.200s", d.ID, code, body)
		}
		if code, _, body := ask(d.at(seen)+"?cursor="+page.Next, with(tester, client.PrincipalHeader, "another")); code != 400 {
			t.Errorf("%s: another's cursor is answered with %d %.200s", d.ID, code, body)
		}
		for i := range page.Next {
			forged := page.Next[:i] + string("AB"[btoi(page.Next[i] == 'A')]) + page.Next[i+1:]
			if code, _, body := ask(d.at(seen)+"?cursor="+forged, tester); code != 400 {
				t.Errorf("%s: a cursor that was changed at %d is answered with %d %.200s", d.ID, i, code, body)
				break
			}
		}
	}
	filters := map[string]string{"/v1/tenants": "tier=gold", "/v1/operations": "open=true", "/v1/holds": "released=true", "/v1/findings": "waived=true"}
	for path, filter := range filters {
		next := cursors[path]
		if next == "" {
			t.Errorf("%s has no second page", path)
			continue
		}
		if code, _, body := ask(path+"?"+filter+"&cursor="+next, tester); code != 400 {
			t.Errorf("%s: with another filter the cursor is answered with %d %.200s", path, code, body)
		}
		for other := range cursors {
			if other == path {
				continue
			}
			if code, _, body := ask(other+"?cursor="+next, tester); code != 400 && code != 404 {
				t.Errorf("the cursor of %s at %s: %d %.200s", path, other, code, body)
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestLastEventIDs: nobody has seen an event that hasn't happened.
func TestLastEventIDs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	op := onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	size, err := s.Engine.DB.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/events", "/v1/operations/" + string(op.ID) + "/events"} {
		for _, id := range []string{fmt.Sprint(size + 1000), "9223372036854775807", "9223372036854775808", "-1", "+1", "1.0", "x", "0x1"} {
			if code, _, body := do(t, srv.LocalHandler(), "GET", path, "", with(tester, "Last-Event-ID", id)); code != 400 {
				t.Errorf("%s after %s: %d %.200s", path, id, code, body)
			}
		}
	}
}

// TestVerbs: every path says what can be done with it, answers HEAD where it answers
// GET, and refuses everything else with 405.
func TestVerbs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	for _, path := range []string{"/v1", "/v1/", "/v1/nothing"} {
		for _, verb := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			code, header, _ := do(t, srv.LocalHandler(), verb, path, "", tester)
			if code != 404 || header.Get("Content-Type") != client.ProblemType || header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %v", verb, path, code, header)
			}
		}
		if code, _, _ := do(t, srv.Handler(), "GET", path, "", nil); code != 401 {
			t.Errorf("GET %s of a stranger: %d", path, code)
		}
	}
	verbs := map[string][]string{"/healthz": {"GET"}, "/readyz": {"GET"}, "/openapi.json": {"GET"}}
	for _, d := range documentedRoutes(t, srv) {
		verbs[d.at(seen)] = append(verbs[d.at(seen)], d.verb)
	}
	for path, has := range verbs {
		if slices.Contains(has, "GET") {
			has = append(has, "HEAD")
		}
		has = append(has, "OPTIONS")
		slices.Sort(has)
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			if slices.Contains(has, verb) && verb != "OPTIONS" && verb != "HEAD" {
				continue
			}
			code, header, body := do(t, srv.LocalHandler(), verb, path, "", tester)
			allow := strings.Split(header.Get("Allow"), ", ")
			slices.Sort(allow)
			switch {
			case verb == "OPTIONS":
				if code != 204 || body != "" || !slices.Equal(allow, has) {
					t.Errorf("OPTIONS %s: %d %q, Allow %v, want %v", path, code, body, allow, has)
				}
			case verb == "HEAD" && slices.Contains(has, "HEAD"):
				if strings.HasSuffix(path, "/events") {
					if code != 200 || header.Get("Content-Type") != "text/event-stream" || header.Get("ETag") != "" || header.Get("Content-Length") != "" || body != "" {
						t.Errorf("HEAD %s: %d %v %q", path, code, header, body)
					}
					continue
				}
				want, got, full := do(t, srv.LocalHandler(), "GET", path, "", tester)
				if code != want || strings.HasPrefix(path, "/v1/") && body != "" || header.Get("Content-Type") != got.Get("Content-Type") || (header.Get("ETag") == "") != (got.Get("ETag") == "") {
					t.Errorf("HEAD %s: %d %v %q; GET: %d %v", path, code, header, body, want, got)
				}
				// Between the two a moment may pass, which is written in more digits or fewer.
				if n, _ := strconv.Atoi(header.Get("Content-Length")); strings.HasPrefix(path, "/v1/") && max(n, len(full))-min(n, len(full)) > 64 {
					t.Errorf("HEAD %s says %d bytes, GET has %d", path, n, len(full))
				}
			case code != 405 || !slices.Equal(allow, has):
				t.Errorf("%s %s: %d, Allow %v, want %v", verb, path, code, allow, has)
			case verb != "HEAD" && (header.Get("Content-Type") != client.ProblemType || parseProblem(t, body).Status != 405):
				t.Errorf("%s %s: %v %s", verb, path, header, body)
			}
		}
	}
}

// TestUnchangedIsSaidBriefly: what is read has a tag, and who has it already gets 304
// and nothing; what holds a secret has none.
func TestUnchangedIsSaidBriefly(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	paths := []string{"/openapi.json"}
	for _, d := range queryRoutes(t, srv) {
		paths = append(paths, d.at(seen))
	}
	n := 0
	for _, path := range paths {
		code, header, _ := do(t, srv.LocalHandler(), "GET", path, "", tester)
		if code != 200 {
			continue
		}
		tag := header.Get("ETag")
		if tag == "" {
			t.Errorf("%s has no ETag", path)
			continue
		}
		again, header, body := do(t, srv.LocalHandler(), "GET", path, "", tester) // a moment later
		if again != 200 || header.Get("ETag") != tag {
			t.Errorf("%s: unasked, it changes: %.1500s", path, body)
			continue
		}
		n++
		for _, condition := range []string{tag, `"x", ` + tag, "W/" + strings.TrimPrefix(tag, "W/"), "*"} {
			code, header, body := do(t, srv.LocalHandler(), "GET", path, "", with(tester, "If-None-Match", condition))
			if code != 304 || body != "" || header.Get("ETag") != tag || header.Get("Content-Length") != "" {
				t.Errorf("%s, If-None-Match: %s: %d %v %.100s", path, condition, code, header, body)
			}
		}
		if code, header, body := do(t, srv.LocalHandler(), "GET", path, "", with(tester, "If-None-Match", `"x", W/"y"`)); code != 200 || header.Get("ETag") != tag || body == "" {
			t.Errorf("%s with another's tag: %d", path, code)
		}
	}
	if n < 25 {
		t.Errorf("only %d of %d answers were unchanged", n, len(paths))
	}
}

// TestAnswersArePacked: who takes gzip gets what is long in it, and the same; secrets
// and short answers go as they are.
func TestAnswersArePacked(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	for i := range 30 {
		plant(t, s, fmt.Sprintf("tenant-%d", i), "gold", "ordinary")
	}
	for _, path := range []string{"/v1/tenants", "/openapi.json"} {
		_, plain, body := do(t, srv.LocalHandler(), "GET", path, "", tester)
		for accept, packed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "*": true, "GZIP": true, "gzip;q=0": false, "br": false, "": false, "identity": false, "*;q=0": false, "gzip;q=0, *": false} {
			code, header, got := do(t, srv.LocalHandler(), "GET", path, "", with(tester, "Accept-Encoding", accept))
			if !strings.Contains(header.Get("Vary"), "Accept-Encoding") {
				t.Errorf("%s, Accept-Encoding %q: Vary %q", path, accept, header.Get("Vary"))
			}
			if have := header.Get("Content-Encoding") == "gzip"; code != 200 || have != packed {
				t.Errorf("%s, Accept-Encoding %q: %d %v", path, accept, code, header)
				continue
			}
			if packed {
				if len(got) >= len(body) {
					t.Errorf("%s: %d bytes packed, %d not", path, len(got), len(body))
				}
				z, err := gzip.NewReader(strings.NewReader(got))
				if err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				got = string(raw)
			}
			if got != body || header.Get("ETag") != plain.Get("ETag") {
				t.Errorf("%s, Accept-Encoding %q: another answer", path, accept)
			}
		}
	}
	if _, header, _ := do(t, srv.LocalHandler(), "GET", "/healthz", "", with(tester, "Accept-Encoding", "gzip")); header.Get("Content-Encoding") != "" {
		t.Error("a word is packed")
	}
	code, header, body := do(t, srv.LocalHandler(), "POST", client.StartDevice.Path, `{}`, with(tester, "Accept-Encoding", "gzip"))
	if header.Get("Content-Encoding") != "" || tenure.Code(body) == "" {
		t.Errorf("an answer with a secret is packed: %d %v", code, header)
	}
}
