package server

import (
	"context"

	"github.com/tenurehq/tenure"
)

type callerKey struct{}

// As marks what is asked within ctx in this process as a caller's, whom Caller has
// identified already: the dashboard asks the API in their name. Nothing of it
// travels with a request from outside.
func As(ctx context.Context, c tenure.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}
