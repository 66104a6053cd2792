package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// A schema of the document, as far as requests go by it.
type requestSchema struct {
	Type       any                      `json:"type"`
	Ref        string                   `json:"$ref"`
	Format     string                   `json:"format"`
	Enum       []any                    `json:"enum"`
	Properties map[string]requestSchema `json:"properties"`
	Required   []string                 `json:"required"`
	Items      *requestSchema           `json:"items"`
}

// kind is the schema's type; a null beside it doesn't count.
func (s requestSchema) kind() string {
	if list, ok := s.Type.([]any); ok {
		return fmt.Sprint(list[0])
	}
	return fmt.Sprint(s.Type)
}

// wrongFor are values of each sort that the kind of a schema isn't.
var wrongFor = map[string][]string{
	"string": {`1`, `true`, `[]`, `{}`, `["a"]`}, "boolean": {`"true"`, `1`, `0`, `[]`}, "array": {`{}`, `"a"`, `1`}, "object": {`[]`, `"a"`, `1`, `true`},
	"integer": {`"1"`, `1.5`, `true`, `[1]`, `1e400`, `9223372036854775808`, `1.0`, `1e1`}, "number": {`"1"`, `true`},
}

type requestRoute struct {
	documented
	Parameters  []queryParam `json:"parameters"`
	RequestBody struct {
		Required bool `json:"required"`
		Content  map[string]struct {
			Schema  requestSchema   `json:"schema"`
			Example json.RawMessage `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
}

// TestRequestsAreReadAsDocumented: for each route, a request that the document doesn't have is refused, and the refusal
// is said in words of the request: no parameter and no field that it doesn't name does anything or is passed over, and no
// value of another type is taken for one of its own.
func TestRequestsAreReadAsDocumented(t *testing.T) {
	t.Parallel()
	s := newService(t)
	seen := plant(t, s, "alder", "gold", "ordinary")
	srv := newServerWith(t, s, governorOf(s))
	var doc struct {
		Paths      map[string]map[string]requestRoute `json:"paths"`
		Components struct {
			Schemas map[string]requestSchema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(srv.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	refused := func(d documented, query, body string) {
		t.Helper()
		n++
		target := d.at(seen)
		if query != "" {
			target += "?" + query
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, d.verb, target, strings.NewReader(body))
		r.Header.Set("Tenure-Principal", "tester")
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		srv.LocalHandler().ServeHTTP(&head{w, cancel}, r)                                                         // a stream goes on until its caller goes
		if w.Code == http.StatusNotFound || w.Code == http.StatusForbidden || w.Code == http.StatusUnauthorized { // nobody gets as far as what is sent
			return
		}
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s %s %.300s: %d %.300s", d.verb, target, body, w.Code, w.Body)
		}
		for _, ours := range []string{"Go ", "json:", "unmarshal", "reflect"} {
			if strings.Contains(w.Body.String(), ours) {
				t.Errorf("%s %s %.300s is refused as %.300s", d.verb, target, body, w.Body)
			}
		}
	}
	for _, d := range documentedRoutes(t, srv) {
		r := doc.Paths[d.path][strings.ToLower(d.verb)]
		content, takes := r.RequestBody.Content["application/json"]
		good := string(content.Example)
		for _, query := range []string{"nobody=1", "Limit=1", "limit%5B%5D=1", "=", "%00=1", "%ff=1", "a;b", "a=1&a=1"} {
			refused(d, query, good)
		}
		for _, p := range r.Parameters {
			if p.In != "query" {
				continue
			}
			values := []string{"", "%00", "%ff", "1&" + p.Name + "=1"}
			switch p.Schema.Type {
			case "integer":
				values = append(values, "x", "1.0", "1e1", "+1", "01", "%201", "9223372036854775808", "0x1")
			case "boolean":
				values = append(values, "1", "0", "TRUE", "t", "x")
			}
			for _, v := range values {
				refused(d, p.Name+"="+v, good)
			}
			refused(d, p.Name, good)
			refused(d, strings.ToUpper(p.Name)+"=1", good)
		}
		if !takes {
			for _, body := range []string{`{"force":true}`, `[]`, `"a"`, `1`, `{`} {
				refused(d, "", body)
			}
			continue
		}
		n += refusesBodies(d, content.Schema, doc.Components.Schemas, content.Example, r.RequestBody.Required, refused)
	}
	if n < 5000 {
		t.Errorf("only %d requests were made", n)
	}
}

// refusesBodies sends a route its example with one fault each.
func refusesBodies(d documented, schema requestSchema, schemas map[string]requestSchema, example json.RawMessage, needed bool, refused func(documented, string, string)) (n int) {
	named := func(s requestSchema) requestSchema {
		if s.Ref != "" {
			return schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
		}
		return s
	}
	schema = named(schema)
	fields := map[string]json.RawMessage{}
	_ = json.Unmarshal(example, &fields)
	with := func(name, value string) string {
		out := []string{fmt.Sprintf("%q:%s", name, value)}
		for k, v := range fields {
			if k != name {
				out = append(out, fmt.Sprintf("%q:%s", k, v))
			}
		}
		return "{" + strings.Join(out, ",") + "}"
	}
	for _, body := range []string{`null`, `[]`, `"a"`, `1`, `true`, `{"a":1,"a":1}`, strings.Repeat("[", 100), with("nobodyKnows", "1"), with("__proto__", "{}"), "\"\xff\"", `{"\u0000":1}`, `{} {}`} {
		refused(d, "", body)
	}
	if needed {
		refused(d, "", "")
	}
	for name, f := range schema.Properties {
		refused(d, "", with(strings.ToUpper(name[:1])+name[1:], "1"))
		if slices.Contains(schema.Required, name) {
			rest := map[string]json.RawMessage{}
			for k, v := range fields {
				if k != name {
					rest[k] = v
				}
			}
			text, _ := json.Marshal(rest)
			refused(d, "", string(text))
		}
		f = named(f)
		for _, v := range wrongFor[f.kind()] {
			refused(d, "", with(name, v))
		}
		if f.kind() == "object" && len(f.Properties) > 0 {
			refused(d, "", with(name, `{"nobodyKnows":1}`))
		}
		if f.Items != nil {
			for _, v := range wrongFor[named(*f.Items).kind()] {
				refused(d, "", with(name, "["+v+"]"))
			}
		}
		if len(f.Enum) > 0 {
			refused(d, "", with(name, `"nobodyKnows"`))
		}
	}
	return len(schema.Properties)
}
