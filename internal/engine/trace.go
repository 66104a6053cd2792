package engine

import "context"

type traceKey struct{}

// WithTrace puts the trace of a request into its context, as a W3C traceparent: an
// operation that it starts keeps it, and its steps continue it, later and maybe in
// another process.
func WithTrace(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// TraceOf is what WithTrace put there; blank if nothing.
func TraceOf(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(string)
	return t
}
