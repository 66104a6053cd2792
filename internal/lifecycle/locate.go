package lifecycle

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/source"
)

// locator says where in a blueprint's file that stands which doesn't fit a system. A nil
// one knows of no file.
type locator struct {
	src *blueprint.Source
	c   *blueprint.Compiled
}

// locator is that of a revision, by the file that it was submitted as; nil if there is
// none, or if it isn't the revision's.
func (s *Service) locator(ctx context.Context, c *blueprint.Compiled) (*locator, error) {
	file, text, err := s.o.DB.BlueprintSource(ctx, c.Digest)
	if err != nil || text == nil {
		return nil, err
	}
	src, err := blueprint.Parse(text, file)
	if err != nil {
		return nil, nil
	}
	if same, err := blueprint.Check(src, s.o.Catalog); err != nil || same.Digest != c.Digest {
		return nil, nil
	}
	return &locator{src, c}, nil
}

// of begins a text on a resource with where the file declares what the text quotes, or
// the resource.
func (l *locator) of(resource, text string) string {
	if l == nil {
		return text
	}
	at := l.resource(resource)
	for _, quoted := range quotes.FindAllStringSubmatch(text, -1) {
		if found := names(l.attributes(resource), quoted[1]); found != nil {
			at = append(append(at, "attributes"), found...)
			break
		}
	}
	return l.src.Where(at...) + ": " + text
}

var quotes = regexp.MustCompile(`"([^"]+)"`)

// place begins a text on a place of a resource with where the file says what the place
// stands against.
func (l *locator) place(resource string, p connector.Place, changes map[string]tenure.Disposition, text string) string {
	if l == nil {
		return text
	}
	return l.src.Where(l.path(resource, p, changes)...) + ": " + text
}

func (l *locator) path(resource string, p connector.Place, changes map[string]tenure.Disposition) []string {
	root := append(l.resource(resource), "attributes")
	if at := append(slices.Clone(root), source.Steps(p.At)...); p.At != "" && l.src.Has(at[:len(root)+1]...) {
		return at
	}
	if p.Kind == connector.PlaceChange {
		if i := slices.IndexFunc(l.c.Blueprint.DataClasses, func(c tenure.DataClass) bool { return c.Name == p.Class }); i >= 0 {
			return blueprint.Disposes(l.c.Blueprint.DataClasses[i], func(d tenure.Disposition) bool { return d == changes[p.Class] })
		}
	}
	if found := names(l.attributes(resource), p.Name); found != nil {
		return append(root, found...)
	}
	if of, _, is := strings.Cut(p.Fix, ":"); is && l.src.Has(append(root, of)...) { // what would settle it goes there
		return append(root, of)
	}
	return l.resource(resource)
}

func (l *locator) attributes(resource string) map[string]any {
	for _, r := range l.c.Blueprint.Resources {
		if r.Key == resource {
			return r.Attributes
		}
	}
	return nil
}

// resource are the keys that lead to a resource of the file.
func (l *locator) resource(key string) []string {
	i := slices.IndexFunc(l.src.Blueprint.Resources, func(r tenure.ResourceSpec) bool { return r.Key == key })
	return []string{"resources", strconv.Itoa(max(i, 0))}
}

// names are the keys that lead to where attributes name a place: as it is called, without
// what stands before its first point, or without what stands after its last.
func names(attributes map[string]any, name string) []string {
	tries := []string{name}
	if _, rest, cut := strings.Cut(name, "."); cut {
		tries = append(tries, rest)
	}
	for _, of := range slices.Clone(tries) {
		if i := strings.LastIndex(of, "."); i > 0 {
			tries = append(tries, of[:i])
		}
	}
	for _, try := range tries {
		for _, of := range slices.Sorted(maps.Keys(attributes)) {
			switch v := attributes[of].(type) {
			case map[string]any:
				if _, is := v[try]; is {
					return []string{of, try}
				}
			case []any:
				if i := slices.Index(v, any(try)); i >= 0 {
					return []string{of, strconv.Itoa(i)}
				}
			case string:
				if v == try {
					return []string{of}
				}
			}
		}
	}
	return nil
}
