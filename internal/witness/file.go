package witness

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// File is a witness in a file elsewhere: a mounted share, write-once storage,
// another machine's disk. Checkpoints are appended, each after a line with its
// length in bytes, and synced; nothing is ever overwritten. What a crash left
// unfinished at its end is cut off by the next Publish.
type File struct {
	path string
	mu   sync.Mutex
}

// NewFile is the witness in the file at path, which Publish makes if need be.
func NewFile(path string) *File { return &File{path: path} }

// Exists says whether anything stands at the witness's path.
func (f *File) Exists() bool {
	_, err := os.Lstat(f.path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Latest reads the last checkpoint that is whole. Junk before it is Invalid.
func (f *File) Latest(context.Context) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, _, err := f.read()
	return last, err
}

// All reads every checkpoint that is whole, the oldest first.
func (f *File) All(context.Context) (all [][]byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err = f.each(func(c []byte) { all = append(all, c) })
	return all, err
}

// Publish appends new. See Witness.
func (f *File) Publish(_ context.Context, old, new []byte, proof tlog.TreeProof) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, end, err := f.read()
	if err != nil && tenure.CodeOf(err) != tenure.NotFound {
		return err
	}
	switch {
	case last != nil && bytes.Equal(last, new):
		return nil
	case !bytes.Equal(last, old):
		return tenure.Errorf(tenure.Conflict, "the witness has another latest checkpoint").WithHint("read it, and prove from there")
	}
	if err := continues(old, new, proof); err != nil {
		return err
	}
	return f.append(end, new)
}

func (f *File) append(end int64, new []byte) error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return writeError(err)
	}
	record := append([]byte(strconv.Itoa(len(new))+"\n"), new...)
	err = file.Truncate(end)
	if err == nil {
		_, err = file.WriteAt(record, end)
	}
	if err = errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(f.path))); err != nil {
		return writeError(err)
	}
	return nil
}

// read returns the last whole checkpoint and where it ends.
func (f *File) read() (last []byte, end int64, err error) { return f.each(func([]byte) {}) }

func (f *File) each(do func([]byte)) (last []byte, end int64, err error) {
	b, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, tenure.Errorf(tenure.Unavailable, "the witness's file: %w", err).Retryable()
	}
	for rest := b; len(rest) > 0; {
		head, body, ok := bytes.Cut(rest, []byte("\n"))
		n, err := strconv.Atoi(string(head))
		if !ok || len(body) < n {
			break // a write that a crash cut short
		}
		if err != nil || n <= 0 || n > audit.MaxCheckpoint {
			return nil, 0, tenure.Errorf(tenure.Invalid, "the witness's file %s is damaged at byte %d", filepath.Base(f.path), end)
		}
		last, rest = body[:n], body[n:]
		do(last)
		end += int64(len(head) + 1 + n)
	}
	if last == nil {
		return nil, 0, tenure.Errorf(tenure.NotFound, "the witness has no checkpoint yet")
	}
	if _, err := audit.ParseCheckpoint(last); err != nil {
		return nil, 0, tenure.Errorf(tenure.Invalid, "the witness's file %s: %w", filepath.Base(f.path), err)
	}
	return last, end, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeError(err error) error {
	return tenure.Errorf(tenure.Unavailable, "the witness's file: %w", err).Retryable()
}

var _ Witness = (*File)(nil)
