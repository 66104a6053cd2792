package server

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Call is one request under way, after it was admitted.
type Call struct {
	Caller   tenure.Caller
	Service  *lifecycle.Service
	Governor *governance.Governor
	Target   tenure.Target // of the object that the path names, if it is a tenant's
	Visible  store.Visible // the tenants over which the caller has the route's permission; of list, anywhere and body

	server  *Server
	x       *exchange
	access  Access
	checked time.Time // when it was last asked who the caller is and whether they may
}

// By names who asks, for the log and for separation of duties.
func (c *Call) By() string { return c.Caller.Name }

// Location says where what was made is (RFC 9110 §10.2.2).
func (c *Call) Location(path string) { c.x.header.Set("Location", path) }

// Version gives the answer an ETag, which If-Match is compared with.
func (c *Call) Version(n int64) { c.x.header.Set("ETag", etag(n)) }

// tag gives the answer the ETag of another one: of what matters in it.
func (c *Call) tag(answer any) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "an answer can't be written: %w", err)
	}
	c.x.header.Set("ETag", tagOf(raw))
	return nil
}

func etag(n int64) string { return `"` + strconv.FormatInt(n, 10) + `"` }

// Match refuses a change of another version than the caller has read (If-Match,
// RFC 9110 §13.1.1). A blank condition, and *, are always met.
func (c *Call) Match(condition string, version int64) error {
	for tag := range strings.SplitSeq(condition, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag(version) || condition == "" {
			return nil
		}
	}
	return &statusError{http.StatusPreconditionFailed, tenure.Errorf(tenure.Conflict, "it has changed since it was read").WithHint("read it again; its ETag is %s now", etag(version))}
}

// statusError is an error with another HTTP status than its code's.
type statusError struct {
	status int
	error
}

func (e *statusError) Unwrap() error { return e.error }

// Route is a route as the OpenAPI document tells of it.
type Route struct {
	Name, Verb, Path string
	Access           Access
	Once             bool // its answer may carry a secret that is shown once, and is never kept
}

// route registers an endpoint with who may use it and what answers it.
func route[P, R any](s *Server, e client.Endpoint[P, R], a Access, f func(ctx context.Context, c *Call, p *P) (R, error)) {
	op, rt := s.operation(e.Name, e.Verb, e.Path, e.Summary, e.Example, e.Once, a)
	status := s.answers(&op, reflect.TypeFor[R]())
	s.handle(&op, rt, reflect.TypeFor[P](), func(ctx context.Context, c *Call, p any) {
		out, err := f(ctx, c, p.(*P))
		c.x.answers(status, out, err)
	})
}

// handle registers what a route does with a request, whose input is of the type in; it gets a pointer to one.
func (s *Server) handle(op *huma.Operation, rt Route, in reflect.Type, f func(ctx context.Context, c *Call, p any)) {
	takes := inputOf(op, s.api.OpenAPI().Components.Schemas, in)
	s.api.OpenAPI().AddOperation(op)
	s.mux.HandleFunc(op.Method+" "+op.Path, s.around(rt, takes, func(ctx context.Context, c *Call) {
		p := reflect.New(in)
		if err := takes.read(p.Elem(), c.x.r, c.x.query, c.x.body); err != nil {
			c.x.fail(err)
			return
		}
		c.x.reached = true
		kept(p.Interface())
		f(ctx, c, p.Interface())
	}))
}

// answers describes what a route answers, the body of the type or nothing, and gives its status.
// Only the document needs the description.
func (s *Server) answers(op *huma.Operation, t reflect.Type) int {
	op.Responses = map[string]*huma.Response{}
	if t == reflect.TypeFor[client.None]() {
		op.DefaultStatus = http.StatusNoContent
		op.Responses["204"] = &huma.Response{Description: http.StatusText(http.StatusNoContent)}
		return op.DefaultStatus
	}
	op.DefaultStatus = cmp.Or(op.DefaultStatus, http.StatusOK)
	if !s.describing {
		return op.DefaultStatus
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(t, true, op.OperationID+"Answer")
	op.Responses = map[string]*huma.Response{strconv.Itoa(op.DefaultStatus): {
		Description: http.StatusText(op.DefaultStatus),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}}
	return op.DefaultStatus
}

// accepted is route for what goes on after the answer: 202.
func accepted[P, R any](s *Server, e client.Endpoint[P, R], a Access, f func(ctx context.Context, c *Call, p *P) (R, error)) {
	s.status[e.Name] = http.StatusAccepted
	route(s, e, a, f)
}

// created is route for what makes a thing: 201.
func created[P, R any](s *Server, e client.Endpoint[P, R], a Access, f func(ctx context.Context, c *Call, p *P) (R, error)) {
	s.status[e.Name] = http.StatusCreated
	route(s, e, a, f)
}

// stream registers an endpoint that answers with server-sent events until the
// caller goes, or the function returns.
func stream[P any](s *Server, e client.Endpoint[P, client.Stream], a Access, f func(ctx context.Context, c *Call, p *P, send *sender) error) {
	op, rt := s.operation(e.Name, e.Verb, e.Path, e.Summary, "", false, a)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Server-sent events; the id of each is the index of its audit entry",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
	}}
	s.streams[e.Name] = true
	s.handle(&op, rt, reflect.TypeFor[P](), func(ctx context.Context, c *Call, p any) {
		send := &sender{x: c.x}
		if err := f(ctx, c, p.(*P), send); err != nil && !send.begun {
			c.x.fail(err)
		}
	})
}

// operation describes a route for huma, and keeps it in the table, as which it gives it too.
func (s *Server) operation(name, verb, path, summary, example string, once bool, a Access) (huma.Operation, Route) {
	if err := a.check(name); err != nil && s.broken == nil {
		s.broken = err
	}
	rt := Route{name, verb, path, a, once}
	s.routes = append(s.routes, rt)
	noun, _, _ := strings.Cut(name, ".")
	op := huma.Operation{
		OperationID: name, Method: verb, Path: path, Summary: summary, Description: rt.describe(summary), Tags: []string{noun}, DefaultStatus: s.status[name],
		Extensions: map[string]any{"x-tenure-reach": string(a.Reach)},
	}
	if a.Permission != "" {
		op.Extensions["x-tenure-permission"] = string(a.Permission)
	}
	if once {
		op.Extensions["x-tenure-once"] = true
	}
	op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	if a.Reach == Public {
		op.Security = []map[string][]string{{}}
	}
	if verb == http.MethodPost {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Description: "the same key with the same request within 24 hours gives the first answer again",
			Schema: &huma.Schema{Type: huma.TypeString, MaxLength: ptr(200)},
		})
	}
	if example != "" {
		var v any
		if err := json.Unmarshal([]byte(example), &v); err != nil && s.broken == nil {
			s.broken = tenure.Errorf(tenure.Internal, "the example of %s: %w", name, err)
		}
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Example: v}}}
	}
	return op, rt
}

func ptr[T any](v T) *T { return &v }
