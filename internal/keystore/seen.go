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

// Seen is how far a log was when the keystore last noted it: a store whose log is shorter,
// or another, isn't the one that the keystore belongs beside.
type Seen struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// Follow has the keystore note where the log stands when a key is made or destroyed, and
// whenever Note is called. The head that it is given continues what was noted before, or it
// fails. A later call takes the place of an earlier one.
func (s *Store) Follow(head func(ctx context.Context, before Seen) (Seen, error)) {
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

// Note writes down where the log stands, if it continues what was noted before. It isn't
// worth failing for, nor a sync: a note that is lost leaves the one before.
func (s *Store) Note(ctx context.Context) {
	s.noting.Lock()
	defer s.noting.Unlock()
	if s.head == nil {
		return
	}
	before, err := s.Seen()
	if err != nil {
		return // what says more is evidence
	}
	now, err := s.head(ctx, before)
	if err == nil && now.Size > before.Size {
		_ = s.saw(now)
	}
}

// Accept writes down where the log stands whatever was noted before: the log is another's
// copy, and that is right.
func (s *Store) Accept(ctx context.Context) error {
	s.noting.Lock()
	defer s.noting.Unlock()
	if s.head == nil {
		return nil
	}
	now, err := s.head(ctx, Seen{})
	if err != nil {
		return err
	}
	return s.saw(now)
}

func (s *Store) saw(now Seen) error {
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(staging(s.seenPath()), append(b, '\n'), 0o600); err != nil {
		return fileError("write", s.seenPath(), err)
	}
	if err := os.Rename(staging(s.seenPath()), s.seenPath()); err != nil {
		return fileError("write", s.seenPath(), err)
	}
	return nil
}
