package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// openTree opens a thing's own directory, so that no path leads out of it. It
// must be the very directory that was found: a symbolic link put in its place
// is Conflict.
func openTree(r *os.Root, p place) (*os.Root, error) {
	if !p.info.IsDir() {
		return nil, tenure.Errorf(tenure.Conflict, "%s isn't a directory", p.path)
	}
	tree, err := r.OpenRoot(p.path)
	if err != nil {
		return nil, err
	}
	info, err := tree.Stat(".")
	if err == nil && !os.SameFile(info, p.info) {
		err = tenure.Errorf(tenure.Conflict, "%s was exchanged while it was opened", p.path)
	}
	if err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// inTree runs f on a thing's tree. One in quarantine is given the owner's
// permissions for that time; the folder around it stays closed to others.
func inTree(r *os.Root, p place, f func(*os.Root) error) (err error) {
	if p.quarantined {
		if err := r.Chmod(p.path, 0o700); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Chmod(p.path, 0)) }()
	}
	tree, err := openTree(r, p)
	if err != nil {
		return err
	}
	return errors.Join(f(tree), tree.Close())
}

// errEnough ends a walk early.
var errEnough = errors.New("enough")

// walk calls f for everything but directories in a tree, in the order of the
// paths' elements. Symbolic links are given as such and never followed. It
// starts behind the path after, if that isn't blank.
func walk(ctx context.Context, tree *os.Root, after string, f func(p string, info fs.FileInfo) error) error {
	return walkDir(ctx, tree, ".", split(after), f, nil)
}

func split(p string) []string {
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

func walkDir(ctx context.Context, tree *os.Root, dir string, after []string, f func(string, fs.FileInfo) error, left func(dir string) error) error {
	entries, err := list(tree, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var rest []string
		if len(after) > 0 {
			if c := strings.Compare(e.Name(), after[0]); c < 0 || c == 0 && len(after) == 1 && !e.IsDir() {
				continue
			} else if c == 0 {
				rest = after[1:]
			}
		}
		p := path.Join(dir, e.Name())
		if e.IsDir() {
			err = walkDir(ctx, tree, p, rest, f, left)
			if err == nil && left != nil {
				err = left(p)
			}
		} else if info, ierr := tree.Lstat(p); ierr == nil {
			err = f(p, info)
		} else if !errors.Is(ierr, fs.ErrNotExist) {
			err = ierr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func list(tree *os.Root, dir string) ([]fs.DirEntry, error) {
	f, err := tree.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a named pipe
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, errors.Join(err, f.Close())
}

// measure counts a tree and, for backups, lists its copies with their dates.
func measure(ctx context.Context, r *os.Root, p place, a attributes) (metrics map[string]int64, copies []connector.Copy, err error) {
	var c census
	err = inTree(r, p, func(tree *os.Root) error {
		return walk(ctx, tree, "", func(name string, info fs.FileInfo) error {
			c.Objects++
			c.Bytes += info.Size()
			if p.rec.Type == backups {
				copies = append(copies, connector.Copy{Where: name, Expires: expiry(a, info.ModTime()), Bytes: info.Size()})
			}
			return nil
		})
	})
	return map[string]int64{"objects": c.Objects, "bytes": c.Bytes}, copies, err
}

func expiry(a attributes, changed time.Time) time.Time { return a.Keep.After(changed) }

// removeTree removes a document, or a tree file by file, and says how many
// there were.
func removeTree(ctx context.Context, r *os.Root, p place) (n int64, err error) {
	if !p.info.IsDir() {
		return 1, errors.Join(r.Remove(p.path), syncDir(r, path.Dir(p.path)))
	}
	if err := r.Chmod(p.path, 0o700); err != nil {
		return 0, err
	}
	tree, err := openTree(r, p)
	if err != nil {
		return 0, err
	}
	_, device := links(p.info)
	err = walkDir(ctx, tree, ".", nil, func(name string, info fs.FileInfo) error {
		if err := unmounted(device, name, info); err != nil {
			return err
		}
		n++
		return removeIfThere(tree, name)
	}, tree.Remove)
	if err = errors.Join(err, tree.Close()); err != nil {
		return n, err
	}
	return n, errors.Join(r.Remove(p.path), syncDir(r, path.Dir(p.path)))
}
