package dashboard

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/tenurehq/tenure"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Pages renders every page. It is made once, is never changed and may be used by
// many at once.
type Pages struct {
	pages map[string]func() (*template.Template, error) // each read at its first use: a server at rest holds none
}

// New reads what the embedded templates share. An error is a fault of the build.
func New() (*Pages, error) {
	names, err := assetNames()
	if err != nil {
		return nil, err
	}
	shared, err := template.New("").Funcs(functions(names)).ParseFS(templateFiles, "templates/_*.html")
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "read the shared templates: %w", err)
	}
	all, err := fs.Glob(templateFiles, "templates/[a-z]*.html")
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "list the templates: %w", err)
	}
	p := &Pages{pages: make(map[string]func() (*template.Template, error), len(all))}
	for _, file := range all {
		p.pages[strings.TrimSuffix(path.Base(file), ".html")] = sync.OnceValues(func() (*template.Template, error) {
			t, err := shared.Clone()
			if err == nil {
				t, err = t.ParseFS(templateFiles, file)
			}
			if err != nil {
				return nil, tenure.Errorf(tenure.Internal, "read %s: %w", file, err)
			}
			return t, nil
		})
	}
	return p, nil
}

// page is what a template sees.
type page struct {
	Frame
	V any
}

// render writes a whole page or nothing: a template that fails halfway must not
// leave half an answer with status 200.
func (p *Pages) render(w io.Writer, name, layout string, frame Frame, view any) error {
	read, ok := p.pages[name]
	if !ok {
		return tenure.Errorf(tenure.Internal, "there is no page %q", name)
	}
	t, err := read()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, layout, page{frame, view}); err != nil {
		return tenure.Errorf(tenure.Internal, "render page %s: %w", name, err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// The layouts: with the navigation, and without it for who isn't signed in.
const (
	framed = "framed"
	plain  = "plain"
)
