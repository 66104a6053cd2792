package server

import (
	"context"

	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// AddSystemParams name a system of the systems file.
type AddSystemParams struct {
	Name    string `json:"name"`
	Replace bool   `json:"replace,omitempty"` // a person means it: the system was replaced
}

// AddSystem plants Tenure's sentinel in a system and records who it is.
var AddSystem = Method[AddSystemParams, store.System]{"system.add", true, func(ctx context.Context, s *lifecycle.Service, by string, p AddSystemParams) (store.System, error) {
	return s.AddSystem(ctx, p.Name, p.Replace, by)
}}

// ListSystems lists the added systems with a look at each.
var ListSystems = Method[None, []lifecycle.SystemStatus]{"system.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, _ None) ([]lifecycle.SystemStatus, error) {
	return s.Systems(ctx)
}}
