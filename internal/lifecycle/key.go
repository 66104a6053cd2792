package lifecycle

import (
	"context"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// Keys lists a tenant's keys with the copies that are known; a blank tenant lists
// those that are no tenant's.
func (s *Service) Keys(ctx context.Context, tenant string) ([]keystore.Status, error) {
	if tenant == "" {
		return s.o.Keys.List(ctx, "")
	}
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.o.Keys.List(ctx, t.ID)
}

// RegisterKeyCopy notes that a backup elsewhere holds a key until it expires; a
// zero time means that nobody knows. The key's erasure isn't verified before the
// copy was seen to be gone.
func (s *Service) RegisterKeyCopy(ctx context.Context, id keystore.KeyID, where string, expires time.Time, by string) error {
	if strings.TrimSpace(where) == "" {
		return tenure.Errorf(tenure.Invalid, "a copy needs the place where it is")
	}
	return s.keyCopy(ctx, "key.copy", id, where, by, func() error { return s.o.Keys.RegisterCopy(ctx, id, where, expires) })
}

// ForgetKeyCopy notes that somebody has seen that a copy is gone. That it should
// have expired is not enough.
func (s *Service) ForgetKeyCopy(ctx context.Context, id keystore.KeyID, where, by string) error {
	return s.keyCopy(ctx, "key.copy_gone", id, where, by, func() error { return s.o.Keys.ForgetCopy(ctx, id, where) })
}

func (s *Service) keyCopy(ctx context.Context, kind string, id keystore.KeyID, where, by string, change func() error) error {
	if err := person(by); err != nil {
		return err
	}
	k, err := s.o.Keys.Status(ctx, id)
	if err != nil {
		return err
	}
	e, err := s.entry(ctx, kind, by, k.Spec.Tenant, "", string(id), map[string]string{"where": tenure.Digest([]byte(where))})
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Log(e); err != nil {
			return err
		}
		if k.Spec.Tenant == "" {
			return nil
		}
		// What waits for the last copy looks again.
		return tx.RetryWaits(k.Spec.Tenant, s.Now())
	})
}
