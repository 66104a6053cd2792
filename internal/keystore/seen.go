package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenurehq/tenure"
)

// Seen is how far a log was when a key was last made or destroyed: a store whose log
// is shorter, or another, isn't the one that the keystore belongs beside.
type Seen struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// Follow has the keystore note where the log stands when a key is made or destroyed.
// A later call takes the place of an earlier one.
func (s *Store) Follow(head func(context.Context) (Seen, error)) {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.head = head
}

// Seen is what was noted last; zero for a keystore from before anything was.
func (s *Store) Seen() (Seen, error) {
	var out Seen
	b, err := os.ReadFile(s.seenPath())
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, fileError("read", s.seenPath(), err)
	}
	if err := json.Unmarshal(b, &out); err != nil || out.Size < 0 {
		return Seen{}, tenure.Errorf(tenure.Invalid, "keystore: %s can't be read", filepath.Base(s.seenPath()))
	}
	return out, nil
}

func (s *Store) seenPath() string { return filepath.Join(s.dir, "seen.json") }

// note writes down where the log stands. It isn't worth failing for, nor a sync: a note
// that is lost leaves the one before.
func (s *Store) note(ctx context.Context) {
	s.noting.Lock()
	defer s.noting.Unlock()
	if s.head == nil {
		return
	}
	now, err := s.head(ctx)
	if err != nil {
		return
	}
	if before, err := s.Seen(); err != nil || before.Size >= now.Size {
		return // a note that says more is evidence
	}
	b, err := json.Marshal(now)
	if err == nil && os.WriteFile(staging(s.seenPath()), append(b, '\n'), 0o600) == nil {
		_ = os.Rename(staging(s.seenPath()), s.seenPath())
	}
}
