package filesystem

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Cataloguer = (*Driver)(nil)

// How much of a folder is listed: a draft needs its shape alone.
const (
	mostFolders = 50
	mostEntries = 1000
)

// Catalogue is described at connector.Cataloguer: the folders where tenants' files are
// with the folders right in them, and other folders of the root, for their shape. No link
// is followed and no file is opened.
func (d *Driver) Catalogue(ctx context.Context) (c connector.Catalogue, err error) {
	err = d.with(ctx, "catalogue", func(r *os.Root) error {
		var roots []string
		for _, dir := range []string{bucket, "."} {
			below, err := folders(r, dir)
			if err != nil {
				return err
			}
			for _, name := range below {
				if dir == "." && (name == own || name == bucket || name == backups || name == document) {
					continue
				}
				roots = append(roots, path.Join(dir, name))
			}
		}
		for i, dir := range roots {
			if i == mostFolders {
				c.Says = append(c.Says, "only the first folders were looked at")
				break
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			below, err := folders(r, dir)
			if err != nil {
				return err
			}
			c.Stores = append(c.Stores, connector.StoreInfo{Type: bucket, Name: dir, Prefixes: below, Rest: ".", Classes: true})
			if !strings.HasPrefix(dir, bucket+"/") {
				c.Says = append(c.Says, dir+" isn't where a resource can be, which is "+bucket+"/NAME: only its shape was taken")
			}
		}
		return nil
	})
	return c, err
}

// folders are the folders right in a directory, by name. Names that aren't plain text
// are left out.
func folders(r *os.Root, dir string) (out []string, err error) {
	f, err := r.Open(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.ReadDir(mostEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, e := range all {
		if name := e.Name(); e.IsDir() && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}
