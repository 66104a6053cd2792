package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// describe makes the API's document ready: huma's, with our problems in the place of
// its own.
func (s *Server) describe() {
	doc := s.api.OpenAPI()
	doc.Info.Description = "The control plane for a tenant's whole life on multi-tenant platforms. Who may use a route stands in x-tenure-permission and x-tenure-reach."
	doc.Info.License = &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"}
	doc.Info.Contact = &huma.Contact{Name: "Tenure", URL: "https://github.com/tenurehq/tenure"}
	doc.Servers = []*huma.Server{{URL: "/", Description: "The server that this document comes from"}}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer"},
		"session": {Type: "apiKey", In: "cookie", Name: SessionCookie},
	}
	problem := doc.Components.Schemas.Schema(reflect.TypeFor[client.Problem](), true, "Problem")
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				problems(op, problem)
				for _, p := range op.Parameters {
					if p.Schema != nil {
						p.Schema.PatternDescription = "" // huma's own, and in the refusals by now
					}
				}
			}
		}
	}
	for _, schema := range doc.Components.Schemas.Map() {
		for _, p := range schema.Properties {
			p.PatternDescription = ""
		}
	}
}

// openAPI writes the document, of routes that are registered once more for it: to describe what
// they answer takes as long as the rest of a server's start, and few ask for it.
func (s *Server) openAPI() ([]byte, error) {
	d := &Server{o: s.o, mux: http.NewServeMux(), status: map[string]int{}, streams: map[string]bool{}, describing: true}
	if err := d.register(); err != nil {
		return nil, err
	}
	d.describe()
	doc := d.api.OpenAPI()
	tags, err := d.tags()
	if err != nil {
		return nil, err
	}
	doc.Tags = tags
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return slices.Clone(out.Bytes()), nil // without the room that the buffer grew by
}

// problems documents the refusals of a route by the one table of codes.
func problems(op *huma.Operation, schema *huma.Schema) {
	codes := []tenure.Code{tenure.Invalid, tenure.Internal, tenure.Unavailable}
	if op.Extensions["x-tenure-reach"] != string(Public) || op.Method != http.MethodGet { // a wrong code is a wrong credential
		codes = append(codes, tenure.Unauthorized, tenure.Forbidden)
	}
	if strings.Contains(op.Path, "{") || op.Method == http.MethodPost || op.OperationID == client.LogCheckpoint.Name {
		codes = append(codes, tenure.NotFound)
	}
	if op.Method != http.MethodGet || strings.Contains(op.Path, "{") { // what a thing says may need a state that it hasn't
		codes = append(codes, tenure.Conflict, tenure.Blocked)
	}
	said := map[int]string{http.StatusTooManyRequests: "too many requests; see Retry-After"}
	for _, c := range codes {
		said[c.Status()] = strings.ReplaceAll(string(c), "_", " ")
	}
	for _, p := range op.Parameters {
		if p.Name == "If-Match" {
			said[http.StatusPreconditionFailed] = "it has changed since it was read"
		}
	}
	if op.RequestBody != nil {
		said[http.StatusUnsupportedMediaType] = "the body isn't said to be JSON"
	}
	for status, why := range said {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: why, Content: map[string]*huma.MediaType{client.ProblemType: {Schema: schema}}}
	}
}
