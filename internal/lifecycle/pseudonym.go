package lifecycle

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/keystore"
)

// pseudonyms makes pseudonyms for a tenant under the keys that its blueprint names.
func (s *Service) pseudonyms(ctx context.Context, tenant tenure.TenantID) func(key, value string, reversible bool) ([]byte, error) {
	keys := map[string]*keystore.Pseudonyms{}
	return func(key, value string, reversible bool) ([]byte, error) {
		p := keys[key]
		if p == nil {
			var err error
			if p, err = s.o.Keys.Pseudonyms(ctx, keystore.PlannedKey(tenant, tenure.PseudonymKey+key).ID()); err != nil {
				return nil, err
			}
			keys[key] = p
		}
		if reversible {
			return p.Seal(value)
		}
		return p.Name(value), nil
	}
}
