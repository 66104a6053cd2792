package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
)

func checkpointRoutes(s *Server) {
	route(s, client.ShowCheckpoint, Access{tenure.AuditRead, Anywhere}, showCheckpoint)
}

func showCheckpoint(ctx context.Context, c *Call, _ *client.None) (client.LogHead, error) {
	var out client.LogHead
	var err error
	if out.Entries, err = c.Service.Engine.DB.LogSize(ctx); err != nil {
		return out, err
	}
	note, err := c.Service.Engine.DB.LastCheckpoint(ctx)
	if err != nil || note == nil {
		return out, err
	}
	head, err := audit.ParseCheckpoint(note)
	out.Size, out.Note = head.Size, string(note)
	return out, err
}
