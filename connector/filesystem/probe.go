package filesystem

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Probe tries what must work or must be refused.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	var try func(context.Context, *os.Root, place) (connector.Outcome, error)
	switch c.Kind {
	case "reachable":
		try = d.reachable
	case "isolation":
		try = isolated
	case "exposure":
		try = exposed
	case "encryption":
		return encrypted(c.Encryption), nil
	default:
		return o, tenure.Errorf(tenure.Invalid, "filesystem has no probe %q", c.Kind)
	}
	if fieldsOf(c.Ref.Type) == "" || checkName(c.Ref.Name) != nil {
		return o, tenure.Errorf(tenure.Invalid, "probe %s needs a resource of this system", c.Kind)
	}
	defer d.turns.Take(c.Ref.Type, c.Ref.Name)()
	err = d.with(ctx, "probe "+c.Kind, func(r *os.Root) error {
		p, err := d.owned(r, c.Ref)
		if err != nil {
			return err
		}
		if !p.found() || p.quarantined {
			o.Detail = "it isn't there, or is in quarantine"
			return nil
		}
		o, err = try(ctx, r, p)
		return err
	})
	return o, err
}

func failed(format string, args ...any) (connector.Outcome, error) {
	return connector.Outcome{Detail: fmt.Sprintf(format, args...)}, nil
}

func passed(detail string) (connector.Outcome, error) {
	return connector.Outcome{Passed: true, Detail: detail}, nil
}

// reachable writes a file, reads it back and removes it.
func (d *Driver) reachable(_ context.Context, r *os.Root, p place) (connector.Outcome, error) {
	if p.rec.Type == document {
		if f, err := r.Open(p.path); err != nil {
			return failed("it can't be read: %v", errors.Unwrap(err))
		} else if err := f.Close(); err != nil {
			return connector.Outcome{}, err
		}
		return passed("it can be read")
	}
	if m := p.info.Mode().Perm(); m&0o700 != 0o700 {
		return failed("its owner lacks a permission: mode %04o", m)
	}
	tree, err := openTree(r, p)
	if err != nil {
		return connector.Outcome{}, err
	}
	name, text := "."+d.marker.ProbeName(), []byte(rand.Text())
	err = write(tree, name, text, 0o600)
	back, readErr := tree.ReadFile(name)
	err = errors.Join(err, readErr, removeIfThere(tree, name), tree.Close())
	if errors.Is(err, fs.ErrPermission) {
		return failed("a file can't be written into it")
	}
	if err != nil {
		return connector.Outcome{}, err
	}
	if !bytes.Equal(back, text) {
		return failed("a file that was written into it reads back otherwise")
	}
	return passed("a file was written, read back and removed")
}

// isolated looks for ways from the tree to what isn't the tenant's.
func isolated(ctx context.Context, r *os.Root, p place) (connector.Outcome, error) {
	if !p.info.IsDir() {
		return failed("it isn't a directory")
	}
	tree, err := openTree(r, p)
	if err != nil {
		return connector.Outcome{}, err
	}
	_, device := links(p.info)
	why, n := "", 0
	err = walkDir(ctx, tree, ".", nil, func(name string, info fs.FileInfo) error {
		n++
		if why = leak(tree, name, info, device); why != "" {
			return errEnough
		}
		return nil
	}, func(dir string) error {
		info, err := tree.Lstat(dir)
		if err != nil {
			return err
		}
		if _, other := links(info); other != device {
			why = "another file system is mounted in it"
			return errEnough
		}
		return nil
	})
	if err = errors.Join(err, tree.Close()); err != nil && !errors.Is(err, errEnough) {
		return connector.Outcome{}, err
	}
	if why != "" {
		return failed("%s", why)
	}
	return passed(fmt.Sprintf("%d entries, none leads out of it", n))
}

// leak says how an entry leads out of its tree, "" if it doesn't.
func leak(tree *os.Root, name string, info fs.FileInfo, device uint64) string {
	names, other := links(info)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := tree.Readlink(name)
		to := path.Join(path.Dir(name), target)
		if err != nil || path.IsAbs(target) || to == ".." || strings.HasPrefix(to, "../") {
			return "a symbolic link leads out of it"
		}
		if _, err := tree.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "a symbolic link leads out of it by way of another"
		}
	case info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0:
		return "a device, pipe or socket is in it"
	case names > 1:
		return "a hard link shares one of its files"
	case other != device:
		return "another file system is mounted in it"
	}
	return ""
}

// exposed reads the permissions of the thing and of the folders above it.
func exposed(_ context.Context, r *os.Root, p place) (connector.Outcome, error) {
	if m := p.info.Mode().Perm(); m&0o077 != 0 {
		return failed("others have permissions on it: mode %04o", m)
	}
	for dir, what := range map[string]string{".": "the root", path.Dir(p.path): "the folder of its type", own: "Tenure's own folder"} {
		info, err := r.Stat(dir)
		if err != nil {
			return connector.Outcome{}, err
		}
		if m := info.Mode(); m.Perm()&0o022 != 0 && m&fs.ModeSticky == 0 {
			return failed("others may put another in its place: %s has mode %04o", what, m.Perm())
		}
	}
	return passed("no other user has a permission on it")
}

func encrypted(want tenure.Encryption) connector.Outcome {
	if want.AtRest != "" || want.KeyOwner == "tenant" {
		return connector.Outcome{Detail: "a file system can't show whether or with whose key it is encrypted at rest"}
	}
	return connector.Outcome{Passed: true, Detail: "nothing is asked that a file system can't show; no data leaves the machine"}
}
