package filesystem

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// classesOf is the class mapping that counts for a ref: the one that it names,
// or the one that is recorded.
func classesOf(ref connector.Ref, p place) attributes {
	if a, err := parse(ref); err == nil && ref.Attributes != nil || p.rec == nil {
		return a
	}
	return p.rec.Attributes
}

// Erase unlinks files of a class in the order of their paths, and directories
// that this empties. The cursor is the last path; behind the last file another
// pass begins, and an erasure is done after a whole pass.
func (d *Driver) Erase(ctx context.Context, ref connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	if b.Limit < 1 {
		return e, tenure.Errorf(tenure.Invalid, "a batch needs a limit of at least 1")
	}
	after, err := url.PathUnescape(b.Cursor)
	if err != nil {
		return e, tenure.Errorf(tenure.Invalid, "the cursor %q isn't one of ours", b.Cursor)
	}
	e.Done = true
	err = d.onBucket(ctx, "erase", ref, nil, func(r *os.Root, p place) error {
		a := classesOf(ref, p)
		if err := connector.CheckPrefixes(b.Keep); err != nil {
			return err
		}
		if b.Disposition.Changes() {
			e, err = d.change(ctx, r, p, ref, a, b, after)
			return err
		}
		takes := func(name string) bool {
			class, _ := a.classOf(name, ref.Classes)
			return (b.Class == "" || class == b.Class) && !connector.KeptKey(b.Keep, name, class)
		}
		var gone census
		err := inTree(r, p, func(tree *os.Root) (err error) {
			_, device := links(p.info)
			gone, err = eraseFiles(ctx, tree, device, after, b.Limit, takes, &e.Cursor)
			return err
		})
		if gone.Objects > 0 && p.quarantined && p.rec.Quarantine != nil {
			p.rec.Quarantine.Objects -= gone.Objects
			p.rec.Quarantine.Bytes -= gone.Bytes
			err = errors.Join(err, d.keep(r, p.rec))
		}
		e.Counts = map[string]int64{"objects": gone.Objects}
		if e.Done = e.Cursor == "" && after == ""; e.Done && err == nil {
			e.Held, err = keptFiles(ctx, r, p, ref, b.Class, b.Keep)
		}
		return err
	})
	if err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}

// eraseFiles removes up to limit files behind a path. cursor is where it
// stopped, "" if it came to the end.
func eraseFiles(ctx context.Context, tree *os.Root, device uint64, after string, limit int, takes func(string) bool, cursor *string) (gone census, err error) {
	last := ""
	dirs := map[string]bool{}
	err = walk(ctx, tree, after, func(name string, info fs.FileInfo) error {
		if !takes(name) {
			return nil
		}
		if gone.Objects == int64(limit) {
			*cursor = url.PathEscape(last)
			return errEnough
		}
		if err := unmounted(device, name, info); err != nil {
			return err
		}
		if err := removeIfThere(tree, name); err != nil {
			return err
		}
		gone.Objects++
		gone.Bytes += info.Size()
		last, dirs[path.Dir(name)] = name, true
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return gone, errors.Join(err, prune(tree, dirs))
}

// prune removes the directories that are empty now, and those above them.
func prune(tree *os.Root, dirs map[string]bool) error {
	for dir := range dirs {
		emptied := dir
		for ; emptied != "." && tree.Remove(emptied) == nil; emptied = path.Dir(emptied) {
		}
		if err := syncDir(tree, emptied); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// DataMap counts the files under each prefix of a class. Files under none are
// gathered by their first path element and are uncovered.
func (d *Driver) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	ref := s.Ref
	if ref.Type != bucket {
		return m, tenure.Errorf(tenure.Invalid, "a %s can't be used with map", ref.Type)
	}
	defer d.turns.Take(ref.Type, ref.Name)()
	err = d.with(ctx, "map "+ref.Type, func(r *os.Root) (err error) {
		if m.Sighting, err = sight(r); err != nil || checkName(ref.Name) != nil {
			return err
		}
		if ref.Resource == "" {
			if len(s.Changes) == 0 {
				return nil
			}
			a, err := parse(ref)
			if err != nil {
				return err
			}
			m.Places, err = d.changePlaces(ctx, r, s, a, place{})
			return err
		}
		find := d.owned
		if s.Gone { // whoever put it there
			find = func(r *os.Root, ref connector.Ref) (place, error) { return d.find(r, ref.Type, ref.Name) }
		}
		p, err := find(r, ref)
		if err != nil || !p.found() {
			return err
		}
		if m.Places, err = d.mapFiles(ctx, r, p, ref); err != nil {
			return err
		}
		changes, err := d.changePlaces(ctx, r, s, classesOf(ref, p), p)
		m.Places = append(m.Places, changes...)
		return err
	})
	return m, err
}

func (d *Driver) mapFiles(ctx context.Context, r *os.Root, p place, ref connector.Ref) (out []connector.Place, err error) {
	a := classesOf(ref, p)
	byName := map[string]*connector.Place{}
	_, device := links(p.info)
	beside := outside{device: device, files: map[uint64]*shared{}}
	err = inTree(r, p, func(tree *os.Root) error {
		return walkDir(ctx, tree, ".", nil, func(name string, info fs.FileInfo) error {
			beside.file(name, info)
			class, prefix := a.classOf(name, ref.Classes)
			if class == "" && d.marker.IsProbe(strings.TrimPrefix(name, ".")) {
				return nil
			}
			if class == "" {
				prefix, _, _ = strings.Cut(name, "/")
			}
			at := byName[prefix]
			if at == nil {
				at = &connector.Place{Name: prefix, Class: class, Via: "path in the bucket"}
				byName[prefix] = at
			}
			at.Rows++
			at.Bytes += info.Size()
			return nil
		}, beside.dir(tree))
	})
	for _, p := range byName {
		if p.Class == "" {
			p.Blocks, p.Says, p.Fix = true, "no data class covers the files under "+p.Name, "name the prefix in the attribute classes"
		}
		out = append(out, *p)
	}
	out = append(out, beside.places()...)
	slices.SortStableFunc(out, func(a, b connector.Place) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
}

// Expire removes the copies that are due, if rotation is Tenure's, and lists
// those that are still there, due or not.
func (d *Driver) Expire(ctx context.Context, ref connector.Ref, now time.Time) (left []connector.Copy, err error) {
	if ref.Type != backups {
		return nil, tenure.Errorf(tenure.Invalid, "a %s can't be used with expire", ref.Type)
	}
	defer d.turns.Take(ref.Type, ref.Name)()
	err = d.with(ctx, "expire "+ref.Type, func(r *os.Root) error {
		p, err := d.owned(r, ref)
		if err != nil || !p.found() {
			return err
		}
		return inTree(r, p, func(tree *os.Root) error {
			left, err = expireCopies(ctx, tree, p.rec.Attributes, now)
			return err
		})
	})
	return left, err
}

func expireCopies(ctx context.Context, tree *os.Root, a attributes, now time.Time) (left []connector.Copy, err error) {
	dirs := map[string]bool{}
	err = walk(ctx, tree, "", func(name string, info fs.FileInfo) error {
		due := expiry(a, info.ModTime())
		if a.Rotate != "tenure" || due.After(now) {
			left = append(left, connector.Copy{Where: name, Expires: due, Bytes: info.Size()})
			return nil
		}
		dirs[path.Dir(name)] = true
		return removeIfThere(tree, name)
	})
	return left, errors.Join(err, prune(tree, dirs))
}
