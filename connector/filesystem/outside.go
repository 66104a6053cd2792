package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// openFile opens what a walk came upon for reading. It doesn't wait for who writes to a
// named pipe that has taken a file's place, and says ok only of the very file.
func openFile(tree *os.Root, name string, seen fs.FileInfo) (f *os.File, ok bool, err error) {
	f, err = tree.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || !os.SameFile(info, seen) {
		return nil, false, errors.Join(err, f.Close())
	}
	return f, true, nil
}

// borrowed says whether a file is another user's who has a name for it elsewhere, so
// that whoever may write to the directory could have linked it in.
func borrowed(tree *os.Root, name string, info fs.FileInfo) (bool, error) {
	if names, _ := links(info); names < 2 {
		return false, nil
	}
	dir, err := tree.Lstat(path.Dir(name))
	return err == nil && !sameOwner(info, dir), err
}

// outside gathers what in a tree isn't the tree's alone: files with names beside it,
// and other file systems.
type outside struct {
	device uint64
	files  map[uint64]*shared // by inode
	mounts []string
}

type shared struct {
	first  string
	unseen int64 // names
}

func (o *outside) file(name string, info fs.FileInfo) {
	names, device := links(info)
	if device != o.device || names < 2 || info.IsDir() {
		return
	}
	at := o.files[inode(info)]
	if at == nil {
		at = &shared{name, int64(names)}
		o.files[inode(info)] = at
	}
	at.unseen--
}

// dir looks at a directory of the tree when a walk has left it.
func (o *outside) dir(tree *os.Root) func(string) error {
	return func(dir string) error {
		info, err := tree.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, here := links(info); here == o.device {
			return nil
		}
		above, err := tree.Lstat(path.Dir(dir))
		if err != nil {
			return err
		}
		if _, there := links(above); there == o.device { // and not a directory of what is mounted
			o.mounts = append(o.mounts, dir)
		}
		return nil
	}
}

// places tells of what stands against an erasure.
func (o *outside) places() (out []connector.Place) {
	n, first := int64(0), ""
	for _, s := range o.files {
		if s.unseen > 0 {
			n++
			if first == "" || s.first < first {
				first = s.first
			}
		}
	}
	if n > 0 {
		out = append(out, connector.Place{
			Name: first, Kind: connector.PlaceShared, Via: "hard link", Rows: n, Blocks: true,
			Says: fmt.Sprintf("%d files have names outside of the bucket too, under which their content stays; the first is %q", n, first),
			Fix:  "find the other names with find -xdev -samefile, and remove them or make them copies",
		})
	}
	for _, m := range o.mounts {
		out = append(out, connector.Place{
			Name: m, Kind: connector.PlaceDependent, Via: "mount", Blocks: true,
			Says: fmt.Sprintf("another file system is mounted at %q; what it holds isn't erased with the bucket", m), Fix: "unmount it, and see what it holds",
		})
	}
	return out
}

// unmounted refuses a file that stands in another file system than its tree: what was
// mounted there isn't the tree's to remove.
func unmounted(device uint64, name string, info fs.FileInfo) error {
	if _, other := links(info); other != device {
		return tenure.Errorf(tenure.Blocked, "another file system is mounted at or above %q", name).WithHint("unmount it: what it holds isn't the bucket's")
	}
	return nil
}
