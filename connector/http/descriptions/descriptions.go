// Package descriptions has the systems with an HTTP interface that Tenure comes with, each
// described in a file of its own folder.
package descriptions

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"path"
	"sync"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http"
)

//go:embed */description.yaml
var files embed.FS

// What the descriptions declare, derived from them by a test, so that a program that uses
// none of them reads no expressions.
//
//go:embed declared.json
var declared []byte

// Infos are the connectors that the descriptions make, in the order of their names. A
// description is read whole when a system is opened by it.
var Infos = sync.OnceValue(func() []connector.Info {
	var all []declaration
	if err := json.Unmarshal(declared, &all); err != nil {
		panic(err) // a fault of this build
	}
	out := make([]connector.Info, len(all))
	for i, one := range all {
		whole := sync.OnceValues(func() (connector.Info, error) {
			src, _ := Source(one.Name)
			d, err := http.Parse(src, path.Join("connector/http/descriptions", one.Name, "description.yaml"))
			if err != nil {
				return connector.Info{}, tenure.Errorf(tenure.Internal, "the description that Tenure comes with: %w", err)
			}
			return d.Info(), nil
		})
		out[i] = connector.Info{
			Name: one.Name, Version: one.Version, Summary: one.Summary, Tested: one.Tested, How: one.How, Rights: one.Rights, Leaves: one.Leaves,
			Options: one.Options, Types: one.Types, Probes: one.Probes, Reads: one.Reads,
			Open: func(ctx context.Context, c connector.Config) (connector.Driver, error) {
				info, err := whole()
				if err != nil {
					return nil, err
				}
				return info.Open(ctx, c)
			},
			Review: func(typ string, attributes map[string]any) []string {
				info, err := whole()
				if err != nil {
					return []string{err.Error()}
				}
				return info.Review(typ, attributes)
			},
		}
	}
	return out
})

// declaration is what of a connector.Info is data.
type declaration struct {
	Name, Version, Summary string
	Tested                 connector.Tested
	How, Rights, Leaves    string
	Options                []connector.Option
	Types                  []tenure.ResourceType
	Probes                 []connector.ProbeKind
	Reads                  []connector.ReadKind
}

// declare derives what the descriptions declare from them.
func declare() ([]byte, error) {
	names, err := fs.Glob(files, "*/description.yaml")
	if err != nil {
		return nil, err
	}
	var all []declaration
	for _, name := range names {
		src, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		d, err := http.Parse(src, path.Join("connector/http/descriptions", name))
		if err != nil {
			return nil, err
		}
		i := d.Info()
		all = append(all, declaration{i.Name, i.Version, i.Summary, i.Tested, i.How, i.Rights, i.Leaves, i.Options, i.Types, i.Probes, i.Reads})
	}
	raw, err := json.MarshalIndent(all, "", "\t")
	return append(raw, '\n'), err
}

// Source is the file of the named one, to start another from; ok is false where there is none.
func Source(name string) (src []byte, ok bool) {
	src, err := files.ReadFile(path.Join(name, "description.yaml"))
	return src, err == nil
}
