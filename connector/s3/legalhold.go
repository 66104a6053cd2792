package s3

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Keeper = (*Driver)(nil)

// Held is described at connector.Keeper: it counts versions, delete markers and unfinished
// uploads under a hold's prefix. A prefix under which there is nothing is no error.
func (d *Driver) Held(ctx context.Context, ref connector.Ref, keep []connector.Kept) (out []connector.Held, err error) {
	if err := connector.CheckPrefixes(keep); err != nil {
		return nil, err
	}
	if ref.Type == user {
		return nil, nil
	}
	a, err := d.parse(ref)
	if err != nil {
		return nil, err
	}
	err = with(ctx, "look at "+ref.Type, func() error {
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		out, err = d.kept(ctx, at, a, ref.Classes, "", keep)
		return err
	})
	return out, err
}

// kept counts what of a class, "" of every one, holds keep at a site.
func (d *Driver) kept(ctx context.Context, at site, a attributes, classes []string, class string, keep []connector.Kept) (out []connector.Held, err error) {
	for _, k := range keep {
		if k.Prefix == "" || k.Place != "" {
			continue
		}
		byName := map[string]*connector.Held{}
		for e, err := range d.stock(ctx, at.bucket, at.below+k.Prefix, "") {
			if err != nil {
				return nil, err
			}
			key := strings.TrimPrefix(e.key, at.below)
			of, below := a.classOf(key, classes)
			if class != "" && of != class || !k.HasKey(key, of) {
				continue
			}
			if of == "" {
				if before, _, ok := strings.Cut(key, "/"); ok {
					below = before + "/"
				}
			}
			name := cmp.Or(below, everyKey(a))
			if byName[name] == nil {
				byName[name] = &connector.Held{Hold: k.Hold, Place: name, Class: of}
			}
			byName[name].Rows++
		}
		for _, h := range byName {
			out = append(out, *h)
		}
	}
	slices.SortFunc(out, func(a, b connector.Held) int {
		return cmp.Or(cmp.Compare(a.Hold, b.Hold), cmp.Compare(a.Place, b.Place))
	})
	return out, nil
}
