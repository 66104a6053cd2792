package installation

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/all"
	"github.com/tenurehq/tenure/connector/exec"
	"github.com/tenurehq/tenure/connector/http"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/secret"
)

// Connectors are those that an installation knows: those of this build, or given ones, those
// that its folder descriptions describes (*.yaml), and those whose programs its folder programs
// names (NAME.yaml). A description that can't be read and one whose name is taken are Invalid;
// such a manifest of a program makes a connector of its name that is Broken. A folder that
// isn't there has none.
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
	if out, err = programs(dir, out); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Connector) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// programs adds the connectors of the folder programs. No program is read.
func programs(dir string, out []Connector) ([]Connector, error) {
	files, err := filepath.Glob(filepath.Join(dir, "programs", "*.yaml"))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the folder programs: %w", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		info, err := program(file, name)
		i := slices.IndexFunc(out, func(i Connector) bool { return i.Name == name })
		if i >= 0 { // which of the two a system means, nobody can say
			out[i] = broken(name, tenure.Errorf(tenure.Invalid, "programs/%s.yaml has the name of another connector", name).WithHint("give it another name"))
			continue
		}
		if err != nil {
			info = broken(name, err)
		}
		out = append(out, info)
	}
	return out, nil
}

func program(file, name string) (Connector, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return Connector{}, tenure.Errorf(tenure.Unavailable, "programs/%s.yaml can't be read", name)
	}
	info, err := exec.Load(src, file)
	if err == nil && info.Name != name {
		err = tenure.Errorf(tenure.Invalid, "programs/%s.yaml is the manifest of %s", name, info.Name).WithHint("a manifest has the name of its file")
	}
	return info, err
}

// broken is a connector that can't be used.
func broken(name string, why error) Connector {
	return Connector{
		Name: name, Summary: "It can't be used: its manifest is wrong.", Tested: connector.Unverified, How: "never", Pinned: true, Broken: why,
		Open:   func(context.Context, connector.Config) (connector.Driver, error) { return nil, why },
		Review: func(string, map[string]any) []string { return nil },
	}
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
