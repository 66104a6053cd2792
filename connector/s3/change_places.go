package s3

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// resultsAt is the place of the platform's own that results go to.
func (d *Driver) resultsAt(ref connector.Ref, to string) (site, error) {
	name, below, ok := strings.Cut(to, "/")
	at := base{name, below}
	bad := func(format string, args ...any) (site, error) {
		return site{}, tenure.Errorf(tenure.Invalid, "to is %q: %w", to, tenure.Errorf(tenure.Invalid, format, args...))
	}
	switch {
	case !ok || below != "" && !strings.HasSuffix(below, "/") || strings.Contains("/"+below, "//") || checkKey(below) != nil:
		return bad("it isn't BUCKET/ or BUCKET/PREFIX/")
	case checkBucket(name) != nil:
		return bad("%s can't be a bucket's name", name)
	case name == d.own:
		return bad("the bucket is Tenure's own")
	case ref.Type == bucket && name == ref.Name, d.names != "" && strings.HasPrefix(name, d.names):
		return bad("the bucket is a tenant's")
	}
	for _, b := range d.shared {
		if strings.HasPrefix(at.String(), b.String()) || strings.HasPrefix(b.String(), at.String()) {
			return bad("tenants' prefixes are at %s", b)
		}
	}
	return site{name, below}, nil
}

// changePlaces says what stands against rewriting objects. With read, all of them are
// read.
func (d *Driver) changePlaces(ctx context.Context, s connector.Survey, a attributes, at site, read bool) (out []connector.Place, err error) {
	for _, class := range slices.Sorted(maps.Keys(s.Changes)) {
		disposition := s.Changes[class]
		if disposition != tenure.Anonymise && disposition != tenure.Pseudonymise {
			continue
		}
		p := objects.ClassChange{Class: class, Disposition: disposition, Prefixes: a.under(class, s.Ref.Classes), All: a.Transforms}
		p.Holds = func(prefix, name string) bool { return strings.HasPrefix(name, prefix) }
		p.To = func(place string) error { return d.takesResults(ctx, s.Ref, place) }
		against, err := p.Against()
		if err == nil && len(against) == 0 && read {
			w := rewriting{piece: piece{Driver: d, site: at, batch: connector.Batch{Class: class, Disposition: disposition, Keep: s.Keep}}, ref: s.Ref, a: a}
			w.takes = w.classTakes(a, s.Ref, class)
			against, err = p.RefusalOf(class, objects.NewChanger(&w, w.batch, a.Transforms, d.marker.Seal, "").Inspect(ctx, func(entry) error { return nil }))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, against...)
	}
	return out, nil
}

// takesResults is Blocked if results can't go to a place.
func (d *Driver) takesResults(ctx context.Context, ref connector.Ref, place string) error {
	to, err := d.resultsAt(ref, place)
	if err != nil {
		return err
	}
	there, err := d.client().BucketExists(ctx, to.bucket)
	if err == nil && !there {
		err = tenure.Errorf(tenure.Blocked, "the bucket %s isn't there", to.bucket).WithHint("make it, or name another place")
	}
	return err
}

// classTakes says whether a key is of a class, and no hold keeps it.
func (w *piece) classTakes(a attributes, ref connector.Ref, class string) func(key string) bool {
	return func(key string) bool {
		key = strings.TrimPrefix(key, w.site.below)
		of, _ := a.classOf(key, ref.Classes)
		return (class == "" || of == class) && !connector.KeptKey(w.batch.Keep, key, of)
	}
}
