package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const (
	folderPrefix = "tenure-program-"
	largestFile  = 1 << 30
	abandoned    = time.Hour // how old a folder is that nobody's process uses any more
)

// folder is where one call's program runs: copies of its files, which were checked as they
// were made, and what it leaves. Nobody else may enter it.
type folder struct {
	path    string
	program string
	lock    *os.File
}

// prepare makes the folder. What was checked is what runs: the copies, not the files that
// they were made of. A file whose checksum differs is Blocked.
func (d *driver) prepare(ctx context.Context) (*folder, error) {
	path, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "there is no place for its copy: %w", err).Retryable()
	}
	f := &folder{path: path, program: d.Program.Path}
	if err := d.fill(ctx, f); err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

// fill copies the program and its files into the folder.
func (d *driver) fill(ctx context.Context, f *folder) (err error) {
	if f.lock, err = hold(f.path); err != nil {
		return tenure.Errorf(tenure.Unavailable, "the folder of its copy can't be used: %w", err).Retryable()
	}
	from := d.Program.Path
	if filepath.IsAbs(from) {
		f.program = filepath.Base(from)
	} else {
		from = filepath.Join(d.dir, from)
	}
	if err := duplicate(ctx, from, filepath.Join(f.path, f.program), d.Program.SHA256); err != nil {
		return err
	}
	for _, file := range d.Program.Files {
		if err := duplicate(ctx, filepath.Join(d.dir, file.Path), filepath.Join(f.path, file.Path), file.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// duplicate copies a file and checks the bytes that it copies.
func duplicate(ctx context.Context, from, to, want string) error {
	in, err := os.Open(from)
	if err != nil {
		return unreadable(from, err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return unreadable(from, err)
	}
	if !info.Mode().IsRegular() || info.Size() > largestFile {
		return tenure.Errorf(tenure.Blocked, "%s is no file of at most 1 GiB", from)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return tenure.Errorf(tenure.Unavailable, "its copy can't be written: %w", err).Retryable()
	}
	// A process that is being started meanwhile may hold the open file for a moment, and the
	// kernel runs no file that somebody could still write to: launch tries again then.
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "its copy can't be written: %w", err).Retryable()
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), io.LimitReader(contextReader{ctx, in}, largestFile))
	if err = errors.Join(err, out.Close()); err != nil {
		return tenure.Errorf(tenure.Unavailable, "its copy can't be written: %w", err).Retryable()
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return tenure.Errorf(tenure.Blocked, "%s isn't the file that the manifest names: its SHA-256 begins with %s, and should with %s", filepath.Base(from), got[:12], want[:12]).
			WithHint("look at what changed; if it is right, write %s into the manifest, and add its systems again", got)
	}
	return nil
}

func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return tenure.Errorf(tenure.Unavailable, "%s isn't there", path).Retryable()
	}
	return tenure.Errorf(tenure.Blocked, "%s can't be read: %w", path, err)
}

type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(b)
}

// remove takes the folder away, also where the program took rights off what lies in it.
func (f *folder) remove() {
	if err := os.RemoveAll(f.path); err != nil {
		_ = filepath.WalkDir(f.path, func(path string, e fs.DirEntry, err error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(path, 0o700)
			}
			return nil
		})
		_ = os.RemoveAll(f.path)
	}
	if f.lock != nil {
		_ = f.lock.Close()
	}
}

// sweep takes away the folders of processes that were killed.
func sweep(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), folderPrefix) || !e.IsDir() || !own(info) || now.Sub(info.ModTime()) < abandoned {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if lock, err := hold(path); err == nil {
			(&folder{path: path, lock: lock}).remove()
		}
	}
}
