package lifecycle

import (
	"github.com/tenurehq/tenure/internal/store"
)

// KeyedDigest is a value of a kind as it may be kept for good: without the installation's
// key nobody can try values against it.
func (s *Service) KeyedDigest(kind, value string) string { return s.knownDigest(kind, value) }

// OnePerson says whether two names are one pair of eyes: the same person, or machines of
// theirs.
func OnePerson(tx *store.Tx, a, b string) (bool, error) { return onePerson(tx, a, b) }
