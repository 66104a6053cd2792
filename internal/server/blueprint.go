package server

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Blueprint is a stored revision; Body, its canonical form, is there when one is
// shown.
type Blueprint struct {
	store.Blueprint
	Body json.RawMessage `json:"body,omitempty"`
}

// SourceParams are a blueprint file.
type SourceParams struct {
	File   string `json:"file"` // its name, for messages
	Source string `json:"source"`
}

// RefParams name a revision: its digest, name@version, or name alone for the
// latest published one.
type RefParams struct {
	Ref string `json:"ref"`
}

// PairParams name two revisions.
type PairParams struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// SubmitBlueprint stores a revision as a draft.
var SubmitBlueprint = Method[SourceParams, Blueprint]{"blueprint.submit", true, func(ctx context.Context, s *lifecycle.Service, by string, p SourceParams) (Blueprint, error) {
	b, err := s.SubmitBlueprint(ctx, []byte(p.Source), p.File, by)
	return Blueprint{Blueprint: b}, err
}}

// PublishBlueprint makes a draft available; it takes another person than its author.
var PublishBlueprint = Method[RefParams, Blueprint]{"blueprint.publish", true, func(ctx context.Context, s *lifecycle.Service, by string, p RefParams) (Blueprint, error) {
	b, err := s.PublishBlueprint(ctx, p.Ref, by)
	return Blueprint{Blueprint: b}, err
}}

// ListBlueprints lists every revision.
var ListBlueprints = Method[None, []Blueprint]{"blueprint.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, _ None) ([]Blueprint, error) {
	list, err := s.Blueprints(ctx)
	out := make([]Blueprint, len(list))
	for i, b := range list {
		out[i].Blueprint = b
	}
	return out, err
}}

// ShowBlueprint gives one revision whole.
var ShowBlueprint = Method[RefParams, Blueprint]{"blueprint.show", false, func(ctx context.Context, s *lifecycle.Service, _ string, p RefParams) (Blueprint, error) {
	b, err := s.Blueprint(ctx, p.Ref)
	return Blueprint{b, b.Body}, err
}}

// DiffBlueprints says in what two revisions differ.
var DiffBlueprints = Method[PairParams, []tenure.Difference]{"blueprint.diff", false, func(ctx context.Context, s *lifecycle.Service, _ string, p PairParams) ([]tenure.Difference, error) {
	return s.DiffBlueprints(ctx, p.From, p.To)
}}
