package http

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// Read is described at connector.Reader.
func (d *described) Read(ctx context.Context, kind, id string, fields []string) (json.RawMessage, error) {
	i := slices.IndexFunc(d.Reads, func(r readSpec) bool { return r.Name == kind })
	if i < 0 {
		return nil, tenure.Errorf(tenure.Invalid, "%s can't look up a %q", d.Name, source.Clip(kind))
	}
	list := make([]any, len(fields))
	for n, f := range fields {
		list[n] = f
	}
	body, found, err := d.fetch(ctx, d.Reads[i].getSpec, d.options.with("id", id, "fields", list, "omit", omitted, "status", int64(0), "headers", nil, "body", nil))
	if err != nil {
		return nil, err
	}
	if !found || body == nil {
		return nil, tenure.Errorf(tenure.NotFound, "%s has no %s %q", d.Name, kind, source.Clip(id))
	}
	out, err := json.Marshal(body)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "%s: an answer can't be written: %w", d.Name, err)
	}
	return out, nil
}
