package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// suffix ends the files' names; sidecars are what SQLite puts beside a file.
const suffix = ".db"

var sidecars = [...]string{"-wal", "-shm", "-journal"}

// maxName keeps a name with its suffix and a sidecar's within 255 bytes.
const maxName = 200

// checkName accepts a name that can be a file's on every system.
func checkName(name string) error {
	if err := relational.CheckName("database", name, maxName); err != nil {
		return err
	}
	if strings.ContainsAny(name, `/\`) || name[0] == '.' || name[0] == '-' {
		return tenure.Errorf(tenure.Invalid, "database %q can't be a file's name: no slash, and no dot or hyphen at its beginning", name)
	}
	return nil
}

// file is what stands where a database's file should.
type file struct {
	name  string
	path  string
	aside bool // in quarantine
	mode  fs.FileMode
	owner string // a stranger whose file it is
	size  int64
	note  *relational.Note // nil: it bears none
	odd   string           // why it is no database of ours, in words

	shape   shape // where the depth asks for it; of what bears no note, where it asks for all
	metrics map[string]int64
}

// depth is how much of a file is read.
type depth int

const (
	justMark  depth = iota
	andSchema       // and its shape
	andRows         // and how many rows it holds
)

// aside is where a database is while it is quarantined.
func (d *Driver) aside(name string) string { return d.at(filepath.Join(quarantineDir, name+suffix)) }

// read looks at one path; nil if nothing is there. A symbolic link isn't
// followed, nor is a file opened that has one beside it.
func (d *Driver) read(ctx context.Context, name, path string, aside bool, to depth) (*file, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	f := &file{name: name, path: path, aside: aside}
	for _, s := range sidecars {
		side, err := os.Lstat(path + s)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info == nil:
			f.odd = "a journal without its database"
		case !side.Mode().IsRegular():
			f.odd = "a file whose " + s[1:] + " is no regular file"
		case links(side) > 1: // SQLite would read what another file's process writes there
			f.odd = "a file whose " + s[1:] + " has other names on the file system"
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.odd == "":
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		f.odd = "a symbolic link"
	case !info.Mode().IsRegular():
		f.odd = "no regular file"
	case links(info) > 1 && !d.moving(name, path, info):
		f.odd = "a file that has other names on the file system"
	}
	f.mode, f.size, f.owner = info.Mode().Perm(), info.Size(), stranger(info)
	if f.odd != "" {
		return f, nil
	}
	if f.note, err = d.readMark(path); err != nil {
		return nil, err
	}
	return f, d.readInside(ctx, f, to)
}

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// stranger names the user whose file it is, "" if that is the one that Tenure runs as:
// an owner may always change the permissions.
func stranger(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Sprintf("uid %d", st.Uid)
	}
	return ""
}

// moving says that a file has two names because Tenure was cut off while it gave it
// the second.
func (d *Driver) moving(name, path string, info fs.FileInfo) bool {
	places := []string{d.at(name + suffix), d.aside(name)}
	entries, err := os.ReadDir(d.at(newDir))
	for _, e := range entries {
		places = append(places, d.at(filepath.Join(newDir, e.Name())))
	}
	names := 0
	for _, p := range places {
		if other, gone := os.Lstat(p); gone == nil && os.SameFile(info, other) {
			names++
		}
	}
	return err == nil && (names == 2 && links(info) == 2 || filepath.Dir(path) == d.at(newDir))
}

// readInside sees that the file is a database, and reads of one that is ours, or a copy
// of ours, what to asks for; of another its shape, if to asks for all.
func (d *Driver) readInside(ctx context.Context, f *file, to depth) error {
	err := d.on(ctx, f.path, reading, func(s *session) error {
		return s.snapshot(ctx, func() error {
			if _, err := s.value(ctx, "select name from sqlite_schema limit 1"); err != nil {
				return err
			}
			if f.note == nil {
				of, err := d.copied(ctx, s, f.name)
				if f.note = of; err != nil || of == nil && to < andRows {
					return err
				}
			}
			var err error
			if to >= andSchema {
				f.shape, err = shapeOf(ctx, s)
			}
			if err == nil && to >= andRows && f.note != nil {
				f.metrics, err = measure(ctx, s, f)
			}
			return err
		})
	})
	if errors.Is(err, errEndless) { // the mark may have been read before
		f.odd = err.Error()
		return nil
	}
	switch result(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT:
		f.odd = fmt.Sprintf("no sound SQLite database (%.200s)", plain(err))
		return nil
	case sqlite3.SQLITE_CANTOPEN:
		// Only here, where SQLite holds nothing: closing a file gives up the
		// locks that the whole process has on it (fcntl(2)).
		file, denied := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0) // whatever stands there by now
		if denied != nil {
			return denied
		}
		return errors.Join(err, file.Close())
	}
	return err
}

// find looks at the two places of a database. Where both are taken it is the one
// that bears the resource's mark, else the one under its own name.
func (d *Driver) find(ctx context.Context, name string, id tenure.ResourceID, to depth) (*file, error) {
	if err := d.mounted(); err != nil {
		return nil, err
	}
	live, err := d.read(ctx, name, d.at(name+suffix), false, to)
	if err != nil {
		return nil, err
	}
	aside, err := d.read(ctx, name, d.aside(name), true, to)
	if err != nil || aside == nil || aside.odd == "a journal without its database" && live != nil {
		return live, err
	}
	if live != nil && (d.owner(aside) != id || d.owner(live) == id) {
		return live, nil
	}
	return aside, nil
}

// mounted is Unavailable while the folder is away: what isn't found in it then
// may well be there.
func (d *Driver) mounted() error {
	if _, err := os.Stat(d.at(ownDir)); errors.Is(err, fs.ErrNotExist) {
		return tenure.Errorf(tenure.Unavailable, "the folder of the tenants' files isn't there, or was never added").Retryable().WithHint("mount it, or correct the option dir")
	}
	return nil
}

// owner is the resource that a mark of ours names.
func (d *Driver) owner(f *file) tenure.ResourceID {
	if f == nil || f.note == nil {
		return ""
	}
	id, _ := f.note.Read(d.marker, "database")
	return id
}

// owned finds r's file: nil if there is none, Conflict if it isn't r's own.
func (d *Driver) owned(ctx context.Context, r connector.Ref) (*file, error) {
	f, err := d.find(ctx, r.Name, r.Resource, justMark)
	if err != nil || f == nil {
		return nil, err
	}
	return f, d.claim(f, r)
}

func (d *Driver) claim(f *file, r connector.Ref) error {
	if f.note == nil {
		if f.odd != "" {
			return tenure.Errorf(tenure.Conflict, "database %q: what is there is %s", r.Name, f.odd).WithHint("take it away by hand, or choose another name; nothing was changed")
		}
		return relational.Claim(d.marker, relational.Note{}, r)
	}
	return relational.Claim(d.marker, *f.note, r)
}

// move gives a file another name so that it lasts and nothing is replaced. A
// crash between its two steps leaves both names, and the next call goes on.
func move(from, to string) error {
	if err := os.Link(from, to); errors.Is(err, fs.ErrExist) {
		a, errA := os.Lstat(from)
		b, errB := os.Lstat(to)
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		if !os.SameFile(a, b) {
			return tenure.Errorf(tenure.Conflict, "%q is taken by another file", strings.TrimSuffix(filepath.Base(to), suffix))
		}
	} else if err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(to)), os.Remove(from), syncDir(filepath.Dir(from)))
}

// exclusively runs f while no other process has the file open: its write-ahead
// log is folded in and switched off, which SQLite does only then, and the file
// is locked. A file too broken to be locked is left to f.
func (d *Driver) exclusively(ctx context.Context, f *file, do func() error) error {
	if f.aside {
		if err := os.Chmod(f.path, 0o600); err != nil {
			return err
		}
	}
	done := false
	err := d.on(ctx, f.path, writing, func(s *session) error {
		mode, err := s.value(ctx, "pragma journal_mode = delete")
		if err == nil && mode != "delete" {
			err = tenure.Errorf(tenure.Unavailable, "database %q is open elsewhere", f.name).Retryable()
		}
		if err != nil {
			return err
		}
		return s.within(ctx, "begin exclusive", "rollback", func() error { done = true; return do() })
	})
	switch r := result(err); {
	case !done && (r == sqlite3.SQLITE_CORRUPT || r == sqlite3.SQLITE_NOTADB):
		return do()
	case r == sqlite3.SQLITE_BUSY || r == sqlite3.SQLITE_LOCKED:
		return tenure.Errorf(tenure.Unavailable, "database %q is open elsewhere: %w", f.name, err).Retryable().WithHint("let the platform close its connections to it")
	}
	return err
}

// unlink removes a file with all that SQLite keeps beside it.
func unlink(path string) error {
	for _, p := range []string{path + sidecars[2], path + sidecars[0], path + sidecars[1], path} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

// begun lists the files that were begun for a resource and never got a name.
func (d *Driver) begun(id tenure.ResourceID) ([]string, error) {
	entries, err := os.ReadDir(d.at(newDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), string(id)+".") {
			out = append(out, d.at(filepath.Join(newDir, e.Name())))
		}
	}
	return out, err
}

// dropBegun removes them.
func (d *Driver) dropBegun(id tenure.ResourceID) (bool, error) {
	files, err := d.begun(id)
	for _, f := range files {
		err = errors.Join(err, d.unlinkMarked(f))
	}
	return len(files) > 0, err
}

// isSidecar says whether a name in a folder belongs to one of the others.
func isSidecar(name string, all []string) bool {
	for _, s := range sidecars {
		if main, ok := strings.CutSuffix(name, s); ok && strings.HasSuffix(main, suffix) && slices.Contains(all, main) {
			return true
		}
	}
	return false
}
