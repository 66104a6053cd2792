package server

import (
	"context"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// showRecord is for who reads the log of the whole installation: what was written of
// one tenant may name others.
func showRecord(ctx context.Context, c *Call, p *client.TenantParams) (client.Record, error) {
	words, until, err := c.Service.Record(ctx, p.Tenant)
	return client.Record{ExpiresAt: until, Items: each(words, func(w store.Written) client.RecordItem {
		return client.RecordItem{Of: w.Table, ID: w.Row, Field: w.Column, Text: w.Text}
	})}, err
}
