package connector

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
)

// Reader looks up one thing by the id that the system gave it, as it stands there: what other
// systems' events are about, such as a deal or a subscription. It needn't be a resource of
// Tenure's. The answer is the system's own JSON. Fields are those that are asked for by name,
// where the system gives no others. One that isn't there is NotFound. It changes nothing.
type Reader interface {
	Read(ctx context.Context, kind, id string, fields []string) (json.RawMessage, error)
}

// Read is described at Reader. A secret that Tenure has of the system doesn't stand in the answer.
func (s *System) Read(ctx context.Context, kind, id string, fields []string) (out json.RawMessage, err error) {
	err = capable(ctx, s, "read", func(d Reader) (err error) {
		out, err = d.Read(ctx, kind, id, fields)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !json.Valid(out) {
		return nil, tenure.Errorf(tenure.Unavailable, "system %s: the answer isn't JSON", s.Name).Retryable()
	}
	if clean := json.RawMessage(s.veil().Text(string(out))); json.Valid(clean) {
		return clean, nil
	}
	return nil, tenure.Errorf(tenure.Blocked, "system %s answered with a secret of its own", s.Name)
}
