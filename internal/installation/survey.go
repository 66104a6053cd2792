package installation

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/survey"
)

// Sources reads the systems that a survey looks at, ordered by name, from a file that is
// written as systems.yaml is; paths in it that begin with ./ are beside it. Descriptions,
// programs and a vault's address are those of dir, where there is an installation. Names
// narrow it to these systems. One whose settings can't be right is Invalid.
func Sources(ctx context.Context, dir, file string, names []string) ([]survey.Source, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%w", err)
	}
	systems, err := readSystemsFile(file)
	if err != nil {
		return nil, err
	}
	known, err := Connectors(dir, nil)
	if err != nil {
		return nil, err
	}
	settings, err := readSettings(dir)
	if err != nil {
		return nil, err
	}
	from, err := settings.secrets(time.Now)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(systems))
	}
	var out []survey.Source
	for _, name := range names {
		set, ok := systems[name]
		if !ok {
			return nil, tenure.Errorf(tenure.NotFound, "%s has no system %q", filepath.Base(file), name)
		}
		if set.Err != nil {
			return nil, set.Err
		}
		i := slices.IndexFunc(known, func(i Connector) bool { return i.Name == set.Connector })
		if i < 0 {
			return nil, tenure.Errorf(tenure.Invalid, "system %q: there is no connector %q", name, set.Connector).WithHint("list the connectors: tenure connector list")
		}
		read, err := lifecycle.ReadOptions(ctx, name, known[i], set, from)
		if err != nil {
			return nil, err
		}
		out = append(out, survey.Source{Name: name, Info: known[i], Options: read.Options, Secrets: read.Secrets, Prices: set.Prices, Currency: set.Currency})
	}
	return out, nil
}
