package filesystem

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Keeper = (*Driver)(nil)

// Held is described at connector.Keeper: it counts the files whose paths begin with a
// hold's prefix. A prefix under which there is nothing is no error.
func (d *Driver) Held(ctx context.Context, ref connector.Ref, keep []connector.Kept) (out []connector.Held, err error) {
	if err := connector.CheckPrefixes(keep); err != nil {
		return nil, err
	}
	err = d.onBucket(ctx, "hold a part of", ref, nil, func(r *os.Root, p place) error {
		out, err = keptFiles(ctx, r, p, ref, "", keep)
		return err
	})
	return out, err
}

// keptFiles counts what of a class, "" of every one, holds keep.
func keptFiles(ctx context.Context, r *os.Root, p place, ref connector.Ref, class string, keep []connector.Kept) (out []connector.Held, err error) {
	if len(keep) == 0 {
		return nil, nil
	}
	a := classesOf(ref, p)
	err = inTree(r, p, func(tree *os.Root) error {
		return walk(ctx, tree, "", func(name string, _ fs.FileInfo) error {
			of, prefix := a.classOf(name, ref.Classes)
			if class != "" && of != class {
				return nil
			}
			if of == "" {
				prefix, _, _ = strings.Cut(name, "/")
			}
			for _, k := range keep {
				if !k.HasKey(name, of) {
					continue
				}
				i := slices.IndexFunc(out, func(h connector.Held) bool { return h.Hold == k.Hold && h.Place == prefix })
				if i < 0 {
					i = len(out)
					out = append(out, connector.Held{Hold: k.Hold, Place: prefix, Class: of})
				}
				out[i].Rows++
			}
			return nil
		})
	})
	slices.SortFunc(out, func(a, b connector.Held) int {
		return cmp.Or(cmp.Compare(a.Hold, b.Hold), cmp.Compare(a.Place, b.Place))
	})
	return out, err
}
