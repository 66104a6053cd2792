package keystore

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"

	"github.com/tenurehq/tenure"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Local is a master key in a file: 32 random bytes, AES-256-GCM.
type Local struct{ aead *subtle.AESGCM }

const masterSize = 32

// NewLocal makes a master key in a new file with mode 0600. A file that is
// there is a Conflict: overwriting a master key destroys every key under it.
func NewLocal(path string) (*Local, error) {
	key := make([]byte, masterSize)
	_, _ = rand.Read(key)
	if err := createFile(path, key); err != nil {
		return nil, err
	}
	return newLocal(key)
}

// OpenLocal reads a master key. One that group or others can read or write is Blocked.
func OpenLocal(path string) (*Local, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, tenure.Errorf(tenure.NotFound, "open the master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, tenure.Errorf(tenure.Blocked, "the master key %s can be read by others (mode %04o)", filepath.Base(path), info.Mode().Perm()).
			WithHint("chmod 600 %s", path)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "open the master key: %w", err)
	}
	if len(key) != masterSize {
		return nil, tenure.Errorf(tenure.Invalid, "the master key has %d bytes, not %d", len(key), masterSize)
	}
	return newLocal(key)
}

func newLocal(key []byte) (*Local, error) {
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "use the master key: %w", err)
	}
	return &Local{a}, nil
}

// EncryptWithContext wraps a key.
func (l *Local) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return l.aead.Encrypt(plaintext, associatedData)
}

// DecryptWithContext unwraps a key.
func (l *Local) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return l.aead.Decrypt(ciphertext, associatedData)
}

var _ Wrapper = (*Local)(nil)
