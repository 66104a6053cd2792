// Package keystore keeps the tenants' keys in a folder apart from the store
// and from its backups, wrapped by a master key. To erase what was sealed under
// a key, the key is destroyed (cryptographic erase, NIST SP 800-88r2 §2.6), and
// every copy of it is tracked until the last is gone.
//
// The folder, all of it readable by its owner alone:
//
//	master.key               the local master key, unless it lives elsewhere
//	log.pub                  the verifier key of log and certificates
//	system/mac.key           wrapped: the key of the owner marks
//	system/signing.key       wrapped: the Ed25519 key of log and certificates
//	seen.json                how far the log was when that was last noted
//	keys/<group>/<id>.key    wrapped: a tink AES-256-GCM keyset
//	keys/<group>/<id>.json   its record: what for, known copies, tombstone
//
// One process at a time changes a keystore.
package keystore

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
)

// Wrapper encrypts keys under a master key that never leaves it. Local is the
// one here; tink's AEADWithContext of any KMS fits.
type Wrapper interface {
	EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}

// Options of a keystore. The zero value is a local keystore on this machine's clock.
type Options struct {
	Origin  string           // names the log and its signing key: one word, no plus sign; Init needs it
	Wrapper Wrapper          // nil: the local master key in master.key
	Now     func() time.Time // nil: time.Now
	Cached  int              // unwrapped keys kept in memory; 0: 16384, about 2 KiB each
}

// Store is an open keystore. Its methods may be called from any goroutine.
type Store struct {
	dir     string
	wrapper Wrapper
	now     func() time.Time

	locks [64]sync.Mutex // by key: whoever reads or changes a key's files

	head   func(ctx context.Context, before Seen) (Seen, error) // of the log; nil: nothing is noted
	noting sync.Mutex

	mu     sync.Mutex
	cache  map[KeyID]*handle
	cached int
}

// Init makes a keystore in dir, which must be absent or empty, with its master
// key, its owner-mark key and its signing key. One that exists is a Conflict.
func Init(ctx context.Context, dir string, o Options) (*Store, error) {
	if names, err := os.ReadDir(dir); err == nil && len(names) > 0 {
		return nil, tenure.Errorf(tenure.Conflict, "make a keystore: %s is not empty", dir)
	}
	for _, d := range []string{dir, filepath.Join(dir, "keys"), filepath.Join(dir, "system")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, tenure.Errorf(tenure.Unavailable, "make a keystore: %w", err)
		}
	}
	if o.Wrapper == nil {
		w, err := NewLocal(filepath.Join(dir, "master.key"))
		if err != nil {
			return nil, err
		}
		o.Wrapper = w
	}
	s := newStore(dir, o)
	if err := s.makeSystemKeys(ctx, o.Origin); err != nil {
		return nil, err
	}
	return s, nil
}

// Open opens the keystore in dir. An absent one is NotFound, a master key that
// anybody else can read is Blocked.
func Open(dir string, o Options) (*Store, error) {
	if _, err := os.Stat(filepath.Join(dir, verifierFile)); err != nil {
		return nil, tenure.Errorf(tenure.NotFound, "open the keystore: %w", err).
			WithHint("tenure init makes one")
	}
	if o.Wrapper == nil {
		w, err := OpenLocal(filepath.Join(dir, "master.key"))
		if err != nil {
			return nil, err
		}
		o.Wrapper = w
	}
	return newStore(dir, o), nil
}

func newStore(dir string, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cached <= 0 {
		o.Cached = 16384
	}
	return &Store{dir: dir, wrapper: o.Wrapper, now: o.Now, cached: o.Cached, cache: make(map[KeyID]*handle)}
}

// at is the present moment as records hold it.
func (s *Store) at() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
