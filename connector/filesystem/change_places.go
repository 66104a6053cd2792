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

// transformOf finds what becomes of a file: the transform of the longest prefix.
func (a attributes) transformOf(name string) (prefix string, t objects.Transform, ok bool) {
	return objects.Of(a.Transforms, func(p string) bool { return p == "." || name == p || strings.HasPrefix(name, p+"/") })
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
func (d *Driver) changePlaces(ctx context.Context, r *os.Root, s connector.Survey, a attributes, p place) (out []connector.Place, err error) {
	for _, class := range slices.Sorted(maps.Keys(s.Changes)) {
		disposition := s.Changes[class]
		if disposition != tenure.Anonymise && disposition != tenure.Pseudonymise {
			continue
		}
		refuse := func(name, says, fix string) {
			out = append(out, connector.Place{Name: name, Kind: connector.PlaceChange, Class: class, Via: "transforms", Blocks: true, Says: class + " is to be " + disposition.Done() + ": " + says, Fix: fix})
		}
		before := len(out)
		of := a.prefixes(class, s.Ref.Classes)
		for _, prefix := range of {
			if _, _, ok := a.transformOf(prefix); !ok {
				refuse(prefix, "transforms says nothing of the files under "+prefix, "transforms: {\""+prefix+"\": {format: …, fields: {…}}}")
			}
		}
		for _, prefix := range slices.Sorted(maps.Keys(a.Transforms)) {
			within := func(a, b string) bool { return b == "." || a == b || strings.HasPrefix(a, b+"/") }
			if !slices.ContainsFunc(of, func(p string) bool { return within(p, prefix) || within(prefix, p) }) {
				continue
			}
			t := a.Transforms[prefix]
			if says, fix := t.Against(disposition); says != "" {
				refuse(prefix, says, fix)
			} else if disposition == tenure.Anonymise {
				if _, _, err := resultsAt(r, t.To); tenure.CodeOf(err) == tenure.Blocked {
					refuse(t.To, err.Error(), strings.Join(tenure.HintsOf(err), "; "))
				} else if err != nil {
					return nil, err
				}
			}
		}
		if len(out) > before || !s.Prove || !p.found() {
			continue
		}
		w := rewriting{Driver: d, root: r, ref: s.Ref, a: a, batch: connector.Batch{Class: class, Disposition: disposition, Keep: s.Keep}}
		_, w.device = links(p.info)
		err := inTree(r, p, func(tree *os.Root) error {
			w.tree = tree
			return w.look(ctx, func(string, fs.FileInfo) error { return nil })
		})
		if tenure.CodeOf(err) == tenure.Blocked {
			refuse(class, err.Error(), strings.Join(tenure.HintsOf(err), "; "))
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}
