package installation

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/all"
	"github.com/tenurehq/tenure/connector/http"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/secret"
)

// Connectors are those that an installation knows: those of this build, or given ones, and
// those that its folder descriptions describes (*.yaml). A description that can't be read
// and one whose name is taken are Invalid. A folder that isn't there has none.
func Connectors(dir string, given []Connector) ([]Connector, error) {
	out := slices.Clone(given)
	if given == nil {
		out = all.Catalog()
	}
	files, err := filepath.Glob(filepath.Join(dir, "descriptions", "*.yaml"))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the folder descriptions: %w", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, tenure.Errorf(tenure.Unavailable, "%s can't be read", file)
		}
		d, err := http.Parse(src, filepath.Join("descriptions", filepath.Base(file)))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(i Connector) bool { return i.Name == d.Name }) {
			return nil, tenure.Errorf(tenure.Invalid, "descriptions/%s describes %s, and there is a connector of that name already", filepath.Base(file), d.Name).WithHint("give it another name")
		}
		info := d.Info()
		info.Pinned = true
		out = append(out, info)
	}
	slices.SortStableFunc(out, func(a, b Connector) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// ReadOptions reads a system's options as they stand in the systems file: secrets and others
// apart. One that the connector doesn't know, that is missing, or that is a secret in clear is
// Invalid.
func ReadOptions(ctx context.Context, dir string, info Connector, given map[string]string) (options map[string]string, secrets map[string]tenure.Secret, err error) {
	settings, err := readSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	from, err := settings.secrets(time.Now)
	if err != nil {
		return nil, nil, err
	}
	set := lifecycle.SystemSettings{Options: map[string]string{}, Kept: map[string]secret.Place{}}
	for key, value := range given {
		if err := resolve(dir, info.Name, key, value, &set); err != nil {
			return nil, nil, err
		}
	}
	read, err := lifecycle.ReadOptions(ctx, info.Name, info, set, from)
	return read.Options, read.Secrets, err
}
