package installation

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/secret"
)

// secrets reads what the settings keep elsewhere.
func (s Settings) secrets(now func() time.Time) (*secret.Reader, error) {
	if s.Vault == nil {
		return secret.NewReader(nil), nil
	}
	v, err := secret.OpenVault(*s.Vault, now)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: %w", err)
	}
	return secret.NewReader(v), nil
}

// indirect reads a value from where it is kept, if it says so; a text that is no place is
// given back as it is.
func indirect(ctx context.Context, from *secret.Reader, value string) (read string, ok bool, err error) {
	place, ok, err := secret.Parse(value)
	if err != nil || !ok {
		return value, false, err
	}
	v, err := from.Read(ctx, place)
	return v.Reveal(), true, err
}
