package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// bounded is a property or parameter with the bounds that the document gives it.
type bounded struct {
	Type        string   `json:"type"`
	Enum        []any    `json:"enum"`
	Pattern     string   `json:"pattern"`
	Description string   `json:"description"`
	MinLength   int      `json:"minLength"`
	MaxLength   int      `json:"maxLength"`
	MinItems    int      `json:"minItems"`
	MaxItems    int      `json:"maxItems"`
	Minimum     *float64 `json:"minimum"`
	Maximum     *float64 `json:"maximum"`
}

// tooMuch is how a refusal speaks of a bound.
var tooMuch = regexp.MustCompile(`length|bytes|too long|at most|at least|items|letters|<= |>= `)

// TestBoundsOfBodies: each field of each request takes as much as the document says,
// and not one more.
func TestBoundsOfBodies(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	schemas := boundsOf(t, srv.OpenAPI())
	n := 0
	for _, d := range documentedRoutes(t, srv) {
		c, ok := d.Body.Content["application/json"]
		if !ok {
			continue
		}
		example := map[string]json.RawMessage{}
		if err := json.Unmarshal(c.Example, &example); err != nil {
			t.Fatal(err)
		}
		for field, b := range schemas[d.ID] {
			try := func(value any) (int, string) {
				with, _ := json.Marshal(value)
				body := map[string]json.RawMessage{field: with}
				for name, v := range example {
					if name != field {
						body[name] = v
					}
				}
				text, _ := json.Marshal(body)
				code, _, answer := do(t, srv.LocalHandler(), d.verb, d.at(seen), string(text), tester)
				return code, answer
			}
			check := func(what string, value any, good bool) {
				n++
				code, answer := try(value)
				if code == http.StatusNotFound { // what the path names isn't there
					return
				}
				why := ""
				if code == http.StatusBadRequest {
					why = parseProblem(t, answer).Detail
				}
				named := strings.Contains(why, "body."+field) || tooMuch.MatchString(why)
				if good && named || !good && !named {
					t.Errorf("%s: %s is %s: %d %.300s", d.ID, field, what, code, answer)
				}
			}
			if len(b.Enum) > 0 {
				continue
			}
			if b.MaxLength > 0 {
				check(fmt.Sprintf("%d letters", b.MaxLength), strings.Repeat("a", b.MaxLength), true)
				wide := b.MaxLength
				if strings.Contains(b.Description, "bytes at most") {
					wide /= 2
				}
				check(fmt.Sprintf("%d letters of two bytes", wide), strings.Repeat("é", wide), true)
				check(fmt.Sprintf("%d letters", b.MaxLength+1), strings.Repeat("a", b.MaxLength+1), false)
			}
			if b.MinLength > 0 {
				check("too short", strings.Repeat("a", b.MinLength-1), false)
			}
			if b.Maximum != nil {
				check("the most", *b.Maximum, true)
				check("more than the most", *b.Maximum+1, false)
			}
			if b.Minimum != nil {
				check("the least", *b.Minimum, true)
				check("less than the least", *b.Minimum-1, false)
			}
			if b.MaxItems > 0 {
				var list []json.RawMessage
				if json.Unmarshal(example[field], &list) == nil && len(list) > 0 {
					many := make([]json.RawMessage, b.MaxItems+1)
					for i := range many {
						many[i] = list[0]
					}
					check("too many", many, false)
				}
			}
			if b.MinItems > 0 {
				check("none", []any{}, false)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d bounds were tried", n)
	}
}

// TestBoundsOfQueries is the same for what stands in queries.
func TestBoundsOfQueries(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	seen := plant(t, s, "alder", "gold", "ordinary")
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Schema   bounded
			}
		}
	}
	if err := json.Unmarshal(srv.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range queryRoutes(t, srv) {
		for _, p := range doc.Paths[d.path]["get"].Parameters {
			if p.In != "query" || len(p.Schema.Enum) > 0 {
				continue
			}
			check := func(value any, good bool) {
				n++
				code, _, answer := do(t, srv.LocalHandler(), "GET", fmt.Sprintf("%s?%s=%v", d.at(seen), p.Name, value), "", tester)
				if refused := code == 400 && strings.Contains(answer, "query."+p.Name); refused == good && code != 404 {
					t.Errorf("%s?%s=%.80v: %d %.300s", d.ID, p.Name, value, code, answer)
				}
			}
			if p.Schema.MaxLength > 0 {
				check(strings.Repeat("a", p.Schema.MaxLength+1), false)
				if p.Schema.Pattern == "" {
					check(strings.Repeat("a", p.Schema.MaxLength), true)
				}
			}
			if p.Schema.Maximum != nil {
				check(int64(*p.Schema.Maximum), true)
				check(int64(*p.Schema.Maximum)+1, false)
			}
			if p.Schema.Minimum != nil {
				check(int64(*p.Schema.Minimum), true)
				check(int64(*p.Schema.Minimum)-1, false)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d bounds were tried", n)
	}
}

// boundsOf are the fields of each route's body, by the route's name.
func boundsOf(t *testing.T, document []byte) map[string]map[string]bounded {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]bounded `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bounded{}
	for _, verbs := range doc.Paths {
		for _, op := range verbs {
			ref := op.RequestBody.Content["application/json"].Schema.Ref
			out[op.OperationID] = doc.Components.Schemas[ref[strings.LastIndex(ref, "/")+1:]].Properties
		}
	}
	return out
}
