package keystore

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

const (
	verifierFile = "log.pub"
	macName      = "mac"
	signingName  = "signing"
)

// makeSystemKeys writes the verifier last: a keystore without it isn't one.
func (s *Store) makeSystemKeys(ctx context.Context, origin string) error {
	mac := make([]byte, 32)
	_, _ = rand.Read(mac)
	if err := s.putSystemKey(ctx, macName, mac); err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "make the signing key: %w", err)
	}
	signer, err := audit.NewSigner(origin, private)
	if err != nil {
		return err
	}
	if err := s.putSystemKey(ctx, signingName, private.Seed()); err != nil {
		return err
	}
	return createFile(filepath.Join(s.dir, verifierFile), []byte(signer.Verifier().String()+"\n"))
}

func (s *Store) systemPath(name string) string {
	return filepath.Join(s.dir, "system", name+".key")
}

func (s *Store) putSystemKey(ctx context.Context, name string, key []byte) error {
	wrapped, err := s.wrapper.EncryptWithContext(ctx, key, wrapContext("system "+name))
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "wrap the %s key: %w", name, err)
	}
	return createFile(s.systemPath(name), wrapped)
}

func (s *Store) systemKey(ctx context.Context, name string) ([]byte, error) {
	wrapped, err := os.ReadFile(s.systemPath(name))
	if err != nil {
		return nil, fileError("read", s.systemPath(name), err)
	}
	key, err := s.wrapper.DecryptWithContext(ctx, wrapped, wrapContext("system "+name))
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "unwrap the %s key: %w", name, err)
	}
	if len(key) != 32 {
		return nil, tenure.Errorf(tenure.Internal, "the %s key has %d bytes", name, len(key))
	}
	return key, nil
}

// MACKey is the installation's key for owner marks: 32 bytes for HMAC-SHA-256.
func (s *Store) MACKey(ctx context.Context) (tenure.Secret, error) {
	key, err := s.systemKey(ctx, macName)
	if err != nil {
		return tenure.Secret{}, err
	}
	return tenure.NewSecret(string(key)), nil
}

// Signer is the key that signs checkpoints and certificates. That it fits the
// published verifier key is checked each time; where it doesn't it is Blocked.
func (s *Store) Signer(ctx context.Context) (*audit.Signer, error) {
	verifier, err := s.Verifier()
	if err != nil {
		return nil, err
	}
	seed, err := s.systemKey(ctx, signingName)
	if err != nil {
		return nil, err
	}
	signer, err := audit.NewSigner(verifier.Name(), ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, err
	}
	if signer.Verifier().String() != verifier.String() {
		return nil, tenure.Errorf(tenure.Blocked, "the signing key isn't that of %s", verifierFile)
	}
	return signer, nil
}

// Verifier is the public half of Signer, as log.pub has it.
func (s *Store) Verifier() (*audit.Verifier, error) {
	path := filepath.Join(s.dir, verifierFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError("read", path, err)
	}
	return audit.ParseVerifier(strings.TrimSpace(string(b)))
}
