package server

import (
	"context"
	"time"

	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// ListKeys lists a tenant's keys with the copies that are known; a blank tenant
// lists those that are no tenant's.
var ListKeys = Method[NameParams, []keystore.Status]{"key.list", false, func(ctx context.Context, s *lifecycle.Service, _ string, p NameParams) ([]keystore.Status, error) {
	return s.Keys(ctx, p.Tenant)
}}

// KeyCopyParams name a copy of a key by the place where it is.
type KeyCopyParams struct {
	Key     keystore.KeyID `json:"key"`
	Where   string         `json:"where"`
	Expires time.Time      `json:"expires,omitzero"` // zero: nobody knows
}

// AddKeyCopy notes that a backup elsewhere holds a key.
var AddKeyCopy = Method[KeyCopyParams, None]{"key.copy", true, func(ctx context.Context, s *lifecycle.Service, by string, p KeyCopyParams) (None, error) {
	return None{}, s.RegisterKeyCopy(ctx, p.Key, p.Where, p.Expires, by)
}}

// DropKeyCopy notes that somebody has seen that a copy is gone.
var DropKeyCopy = Method[KeyCopyParams, None]{"key.copy_gone", true, func(ctx context.Context, s *lifecycle.Service, by string, p KeyCopyParams) (None, error) {
	return None{}, s.ForgetKeyCopy(ctx, p.Key, p.Where, by)
}}
