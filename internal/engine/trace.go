package engine

import (
	"context"

	"github.com/tenurehq/tenure"
)

type traceKey struct{}

type operationKey struct{}

// OperationOf is the operation whose step a context is of; blank if it is of none.
func OperationOf(ctx context.Context) tenure.OperationID {
	id, _ := ctx.Value(operationKey{}).(tenure.OperationID)
	return id
}

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
