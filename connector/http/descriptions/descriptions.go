// Package descriptions has the systems with an HTTP interface that Tenure comes with, each
// described in a file of its own folder.
package descriptions

import (
	"embed"
	"io/fs"
	"path"
	"sync"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http"
)

//go:embed */description.yaml
var files embed.FS

// all are the descriptions, parsed once. One that can't be parsed is a fault of this build.
var all = sync.OnceValue(func() []*http.Description {
	names, err := fs.Glob(files, "*/description.yaml")
	if err != nil {
		panic(err)
	}
	out := make([]*http.Description, len(names))
	for i, name := range names {
		src, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		if out[i], err = http.Parse(src, path.Join("connector/http/descriptions", name)); err != nil {
			panic(err)
		}
	}
	return out
})

// Infos are the connectors that the descriptions make, in the order of their names.
func Infos() []connector.Info {
	out := make([]connector.Info, len(all()))
	for i, d := range all() {
		out[i] = d.Info()
	}
	return out
}

// Source is the file of the named one, to start another from; ok is false where there is none.
func Source(name string) (src []byte, ok bool) {
	src, err := files.ReadFile(path.Join(name, "description.yaml"))
	return src, err == nil
}
