package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// stand is one place that Discover looks at.
type stand struct {
	name, path string
	aside      bool
}

// discover yields every file of the folder and of the quarantine. What can't be
// a database's file, and what was begun and never got a name, is yielded under
// its path in the folder, "./…", which is nobody's name.
func (k databases) Discover(ctx context.Context, _ *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	stands, err := k.stands()
	if err != nil {
		return false, err
	}
	whole := true
	for _, at := range stands {
		f, err := k.read(ctx, at.name, at.path, at.aside, andSchema)
		if errors.Is(err, fs.ErrPermission) || isBusy(extended(err)) {
			whole = false
			continue
		}
		if err != nil {
			return false, err
		}
		if f == nil || sc.Tenant != "" && f.note != nil && f.note.Get("tenant") != string(sc.Tenant) {
			continue
		}
		o, err := k.shown(f)
		if err != nil {
			return false, err
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return whole, nil
}

func (k databases) stands() ([]stand, error) {
	var out []stand
	for _, folder := range []string{".", newDir, quarantineDir} {
		entries, err := os.ReadDir(k.at(folder))
		if errors.Is(err, fs.ErrNotExist) {
			continue // which look has told
		}
		if err != nil {
			return nil, err
		}
		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.Name()
		}
		for _, entry := range names {
			at := stand{path: k.at(filepath.Join(folder, entry)), aside: folder == quarantineDir}
			name, is := strings.CutSuffix(entry, suffix)
			switch {
			case folder == "." && entry == ownDir, isSidecar(entry, names):
				continue
			case is && folder != newDir && checkName(name) == nil:
				at.name = name
			case loneSidecar(entry) != "" && folder != newDir:
				at.name = loneSidecar(entry)
				at.path = k.at(filepath.Join(folder, at.name+suffix))
			default:
				at.name = "./" + filepath.ToSlash(filepath.Join(folder, entry))
			}
			out = append(out, at)
		}
	}
	slices.SortFunc(out, func(a, b stand) int { return strings.Compare(a.name+"\x00"+a.path, b.name+"\x00"+b.path) })
	return slices.CompactFunc(out, func(a, b stand) bool { return a.path == b.path }), nil
}

// loneSidecar is the name of the database that a sidecar without one was of.
func loneSidecar(entry string) string {
	for _, s := range sidecars {
		if main, ok := strings.CutSuffix(entry, s); ok {
			if name, ok := strings.CutSuffix(main, suffix); ok && checkName(name) == nil {
				return name
			}
		}
	}
	return ""
}
