package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// within says whether a path is a prefix's, or below it.
func within(prefix, name string) bool {
	return prefix == "." || name == prefix || strings.HasPrefix(name, prefix+"/")
}

// checkTo accepts a place of the platform's own below the root.
func checkTo(to string) error {
	first, _, _ := strings.Cut(to, "/")
	if to != path.Clean(to) || !fs.ValidPath(to) || to == "." || strings.HasPrefix(to, ".") || strings.Contains(to, "/.") || fieldsOf(first) != "" {
		return tenure.Errorf(tenure.Invalid, "to is %q, which isn't a folder of the platform's own below the root, such as results/visits", to)
	}
	return nil
}

// resultsAt finds the folder that results go to. It must be there, and no link leads to
// it.
func (d *rewriting) resultsAt(to string) (string, fs.FileMode, error) { return resultsAt(d.root, to) }

func resultsAt(r *os.Root, to string) (string, fs.FileMode, error) {
	if err := checkTo(to); err != nil {
		return "", 0, err
	}
	at, m := ".", fs.FileMode(0)
	for part := range strings.SplitSeq(to, "/") {
		at = path.Join(at, part)
		info, err := r.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			return "", 0, tenure.Errorf(tenure.Blocked, "the folder %s isn't there", to).WithHint("make it, with the permissions that its results should have")
		}
		if err != nil {
			return "", 0, err
		}
		m = info.Mode().Perm()
	}
	return at, m, nil
}

// prefixes are those of a class.
func (a attributes) prefixes(class string, classes []string) (out []string) {
	for p, c := range a.Classes {
		if c == class {
			out = append(out, p)
		}
	}
	if len(a.Classes) == 0 && len(classes) == 1 && classes[0] == class {
		out = []string{"."}
	}
	slices.Sort(out)
	return out
}

// changePlaces says what stands against rewriting files. With a place that is there, all
// of them are read.
func (d *Driver) changePlaces(ctx context.Context, r *os.Root, s connector.Survey, a attributes, at place) (out []connector.Place, err error) {
	for _, class := range slices.Sorted(maps.Keys(s.Changes)) {
		disposition := s.Changes[class]
		if disposition != tenure.Anonymise && disposition != tenure.Pseudonymise {
			continue
		}
		p := objects.ClassChange{Class: class, Disposition: disposition, Prefixes: a.prefixes(class, s.Ref.Classes), All: a.Transforms, Holds: within}
		p.To = func(place string) error {
			_, _, err := resultsAt(r, place)
			return err
		}
		against, err := p.Against()
		if err == nil && len(against) == 0 && s.Prove && at.found() {
			w := rewriting{Driver: d, root: r, ref: s.Ref, a: a, batch: connector.Batch{Class: class, Disposition: disposition, Keep: s.Keep}}
			_, w.device = links(at.info)
			against, err = p.RefusalOf(class, inTree(r, at, func(tree *os.Root) error {
				w.tree = tree
				return objects.NewChanger(&w, w.batch, a.Transforms, d.marker.Seal, "").Inspect(ctx, func(listed) error { return nil })
			}))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, against...)
	}
	return out, nil
}
