package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

func scanSystem(ctx context.Context, c *Call, p *client.ScanParams) (client.SystemScan, error) {
	out, err := c.Service.ScanSystem(ctx, p.System, connector.Sampling{Tables: p.Tables, Rows: p.Rows, For: time.Duration(p.For) * time.Second})
	return client.SystemScan{
		System: p.System, Partial: out.Partial, Says: out.Says,
		Columns: each(out.Columns, func(s lifecycle.ScannedColumn) client.ScannedColumn {
			return client.ScannedColumn{Table: s.Table, Column: s.Column, Path: s.Path, Type: s.Type, Class: string(s.Class), Personal: s.Personal,
				Confidence: s.Confidence, Reason: s.Reason, Values: s.Values, Unread: s.Unread, Samples: s.Samples}
		}),
	}, err
}

func scaffoldBlueprint(ctx context.Context, c *Call, p *client.ScaffoldParams) (client.Scaffold, error) {
	out, err := c.Service.ScaffoldBlueprint(ctx, p.System, p.Column, p.Name)
	return client.Scaffold{System: p.System, Source: string(out.Source), Tables: out.Tables, Shared: out.Shared, Links: out.Links, Untied: out.Untied, Open: out.Open, Blocks: out.Blocks}, err
}
