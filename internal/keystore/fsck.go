package keystore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Problem is something in a keystore that should not be so.
type Problem struct {
	Key  KeyID  `json:"key,omitempty"`
	Text string `json:"text"`
}

// Fsck looks through the whole keystore: each key must have its record and
// each record its key, a destroyed key must have no file (one that a restored
// backup brought back is refused by AEAD, and named here), each key must
// unwrap, and nobody else may read any of it. destroyed are the keys that the
// audit log knows to be destroyed; one of them that is active here came back
// with a backup of the whole folder. It changes nothing. What another process is
// writing looks wrong for a moment, so that what is wrong is looked at twice, a second
// apart.
func (s *Store) Fsck(ctx context.Context, destroyed ...KeyID) ([]Problem, error) {
	found, err := s.look(ctx, destroyed)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
	}
	again, err := s.look(ctx, destroyed)
	return slices.DeleteFunc(again, func(p Problem) bool { return !slices.Contains(found, p) }), err
}

func (s *Store) look(ctx context.Context, destroyed []KeyID) ([]Problem, error) {
	var found []Problem
	add := func(id KeyID, text string) { found = append(found, Problem{Key: id, Text: text}) }
	root := filepath.Join(s.dir, "keys")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		if errors.Is(err, fs.ErrNotExist) && path != root { // it took its place, or was destroyed
			return nil
		}
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			add("", d.Name()+" can be read by others")
		}
		if d.IsDir() {
			return nil
		}
		ext := filepath.Ext(path)
		id := KeyID(strings.TrimSuffix(d.Name(), ext))
		group, idErr := id.parse()
		switch {
		case idErr != nil || filepath.Base(filepath.Dir(path)) != group || ext != ".key" && ext != ".json":
			add("", d.Name()+" is no file of a keystore")
		case ext == ".key":
			if text := s.checkKey(ctx, id); text != "" {
				add(id, text)
			}
		default:
			if text := s.checkRecord(id, slices.Contains(destroyed, id)); text != "" {
				add(id, text)
			}
		}
		return nil
	})
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "look through the keystore: %w", err)
	}
	return found, nil
}

func (s *Store) checkKey(ctx context.Context, id KeyID) string {
	defer s.lock(id)()
	r, err := s.readRecord(id)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return "the key has no record"
	case err == nil && !r.Destroyed.IsZero():
		return "the key was destroyed on " + r.Destroyed.Format("2006-01-02") + " and its file is back"
	}
	if _, err := s.open(ctx, id); err != nil {
		return err.Error()
	}
	return ""
}

func (s *Store) checkRecord(id KeyID, destroyed bool) string {
	defer s.lock(id)()
	r, err := s.readRecord(id)
	switch {
	case err != nil:
		return err.Error()
	case r.Destroyed.IsZero() && destroyed:
		return "the key was destroyed, and a backup of the keystore brought it back"
	case r.Destroyed.IsZero() && !s.keyFileExists(id):
		return "the key's file is gone"
	}
	return ""
}
