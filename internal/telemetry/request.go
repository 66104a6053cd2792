package telemetry

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenurehq/tenure/internal/engine"
)

// unmatched is the route of a request that no pattern took.
const unmatched = "none"

// quiet are asked so often that their spans would hide the others.
var quiet = [...]string{"/healthz", "/readyz", "/metrics"}

// methods are those that are told apart; any text can be sent as one.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// Middleware counts and traces the requests to a handler that ends at an
// http.ServeMux: by the pattern that took them, never by path. A trace that the
// caller began goes on (W3C Trace Context), and an operation that the request
// starts keeps it.
func (t *Telemetry) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := t.o.Clock()
		method := "other"
		if slices.Contains(methods[:], r.Method) {
			method = r.Method
		}
		ctx, span := t.requestSpan(r, method)
		inner := r.WithContext(ctx)
		rec := &recorder{ResponseWriter: w}
		t.meters.inFlight.Inc()
		returned := false
		defer func() {
			t.meters.inFlight.Dec()
			r.Pattern = inner.Pattern
			route := pattern(inner)
			code := rec.code
			switch {
			case !returned:
				code = http.StatusInternalServerError // it panicked
			case code == 0:
				code = http.StatusOK
			}
			t.meters.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
			if !rec.stream {
				t.meters.requestTime.WithLabelValues(route, method).Observe(t.o.Clock().Sub(began).Seconds())
			}
			endRequest(span, method, route, code)
		}()
		next.ServeHTTP(rec, inner)
		returned = true
	})
}

func (t *Telemetry) requestSpan(r *http.Request, method string) (context.Context, trace.Span) {
	ctx := r.Context()
	if t.tracer == nil || slices.Contains(quiet[:], r.URL.Path) {
		return ctx, nil
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return engine.WithTrace(ctx, carrier["traceparent"]), span
}

func endRequest(span trace.Span, method, route string, code int) {
	if span == nil {
		return
	}
	span.SetName(method + " " + route)
	span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", code))
	if code >= 500 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// pattern is the path of the pattern that took a request, without its method.
func pattern(r *http.Request) string {
	p := r.Pattern
	if _, path, ok := strings.Cut(p, " "); ok {
		p = path
	}
	if p == "" {
		return unmatched
	}
	return p
}

// recorder remembers the status of an answer, and whether it is an event stream.
type recorder struct {
	http.ResponseWriter
	code   int
	stream bool
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 || r.code < 200 { // 1xx come before the answer
		r.code = code
		r.stream = strings.HasPrefix(r.Header().Get("Content-Type"), "text/event-stream")
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(b)
}

// Flush is for who asks for an http.Flusher.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
