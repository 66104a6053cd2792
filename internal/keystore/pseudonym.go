package keystore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/tenurehq/tenure"
	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Pseudonyms makes pseudonyms under one key. It is unwrapped with each use, so that it
// stops working when the key is destroyed.
type Pseudonyms struct {
	key tink.DeterministicAEAD // AES-SIV (RFC 5297) by tink
	mac []byte
}

// Pseudonyms returns what makes pseudonyms under a key that PlannedKey has named
// "pseudonym-". An unknown key is NotFound, a destroyed one Blocked.
func (s *Store) Pseudonyms(ctx context.Context, id KeyID) (*Pseudonyms, error) {
	k, err := s.open(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := daead.New(k)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "use key %s: %w", id, err)
	}
	mac, err := p.EncryptDeterministically([]byte("the key of HMAC-SHA-256 for pseudonyms"), []byte("tenure pseudonyms v1"))
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "use key %s: %w", id, err)
	}
	return &Pseudonyms{p, mac}, nil
}

// Name is the value's HMAC-SHA-256 (RFC 2104): nobody can turn it back, and only who has
// the key can make it again.
func (p *Pseudonyms) Name(value string) []byte {
	h := hmac.New(sha256.New, p.mac)
	h.Write([]byte(value))
	return h.Sum(nil)
}

// Seal is the value, encrypted so that the same value gives the same bytes.
func (p *Pseudonyms) Seal(value string) ([]byte, error) {
	return p.key.EncryptDeterministically([]byte(value), []byte("tenure pseudonym"))
}

// Open turns Seal's result back.
func (p *Pseudonyms) Open(sealed []byte) (string, error) {
	value, err := p.key.DecryptDeterministically(sealed, []byte("tenure pseudonym"))
	return string(value), err
}
