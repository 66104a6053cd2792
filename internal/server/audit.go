package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// VerifyAudit checks the whole log, the store against it, and the witness.
var VerifyAudit = Method[None, *lifecycle.AuditReport]{"audit.verify", false, func(ctx context.Context, s *lifecycle.Service, _ string, _ None) (*lifecycle.AuditReport, error) {
	return s.VerifyAudit(ctx)
}}

// LogParams say which entries to read.
type LogParams struct {
	From   int64  `json:"from,omitempty"`
	Limit  int    `json:"limit"` // 1 to 10,000
	Tenant string `json:"tenant,omitempty"`
}

// ReadLog lists entries from an index on.
var ReadLog = Method[LogParams, []lifecycle.LogEntry]{"audit.log", false, func(ctx context.Context, s *lifecycle.Service, _ string, p LogParams) ([]lifecycle.LogEntry, error) {
	if p.Limit < 1 || p.Limit > 10_000 || p.From < 0 {
		return nil, tenure.Errorf(tenure.Invalid, "entries are read from 0 on, 1 to 10,000 at a time")
	}
	return s.Log(ctx, p.From, p.Limit, p.Tenant)
}}

// Checkpoint is a signed head of the log (C2SP tlog-checkpoint).
type Checkpoint struct {
	Size int64  `json:"size"`
	Note string `json:"note"`
}

// MakeCheckpoint signs the log's head, keeps it, and hands it to the witness.
var MakeCheckpoint = Method[None, Checkpoint]{"audit.checkpoint", true, func(ctx context.Context, s *lifecycle.Service, _ string, _ None) (Checkpoint, error) {
	note, size, err := s.Checkpoint(ctx)
	return Checkpoint{size, string(note)}, err
}}

// FolderParams name a folder by its absolute path on the server's machine.
type FolderParams struct {
	Dir string `json:"dir"`
}

// Exported says how many entries were written.
type Exported struct {
	Entries int64  `json:"entries"`
	Dir     string `json:"dir"`
}

// ExportLog writes the log as C2SP tlog-tiles.
var ExportLog = Method[FolderParams, Exported]{"audit.export", true, func(ctx context.Context, s *lifecycle.Service, _ string, p FolderParams) (Exported, error) {
	n, err := s.ExportLog(ctx, p.Dir)
	return Exported{n, p.Dir}, err
}}
