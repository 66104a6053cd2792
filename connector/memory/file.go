package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenurehq/tenure"
)

// keeper keeps a world in a file.
type keeper struct {
	path string
	seen os.FileInfo // the file as it was last read or written
	owed bool        // a change that isn't in the file yet
}

// kept is the file's content.
type kept struct {
	Format int     `json:"format"`
	State  state   `json:"state"`
	Things []Thing `json:"things"`
}

// keepIn makes the world the one of a file, if there is such a file, and keeps
// it there from its first change on.
func (w *World) keepIn(path string) error {
	w.keeper = &keeper{path: path}
	return w.reload()
}

// reload reads the file again if another opening has replaced it.
func (w *World) reload() error {
	k := w.keeper
	if k == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) && k.seen == nil {
		return nil
	}
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "world file: %w", err).Retryable()
	}
	if k.seen != nil && os.SameFile(k.seen, now) && k.seen.ModTime().Equal(now.ModTime()) {
		return nil
	}
	raw, err := os.ReadFile(k.path)
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "world file: %w", err).Retryable()
	}
	var in kept
	if err := json.Unmarshal(raw, &in); err != nil || in.Format != 1 {
		return tenure.Errorf(tenure.Invalid, "world file %s isn't a world of format 1", filepath.Base(k.path))
	}
	w.state, w.things, k.seen = in.State, map[key]*Thing{}, now
	for _, t := range in.Things {
		w.things[key{t.Type, t.Name}] = &t
	}
	return nil
}

// save writes the world if it has changed; the caller holds the lock. After a
// failure the next call that ends well writes it.
func (w *World) save(changed bool) error {
	k := w.keeper
	if k == nil {
		return nil
	}
	if k.owed = k.owed || changed; !k.owed {
		return nil
	}
	out := kept{Format: 1, State: w.state}
	for _, name := range w.sorted() {
		out.Things = append(out.Things, w.things[name].seen())
	}
	// Attributes must come back byte for byte.
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return tenure.Errorf(tenure.Internal, "world file: %w", err)
	}
	err := replace(k.path, raw.Bytes())
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "world file: %w", err).Retryable()
	}
	k.owed = false
	k.seen, err = os.Stat(k.path)
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "world file: %w", err).Retryable()
	}
	return nil
}

// replace puts data under path so that a crash leaves the old or the new file.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".world-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
