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

// transformOf finds what becomes of a key: the transform of the longest prefix.
func (a attributes) transformOf(key string) (prefix string, t objects.Transform, ok bool) {
	return objects.Of(a.Transforms, func(p string) bool { return strings.HasPrefix(key, p) })
}

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
		refuse := func(name, says, fix string) {
			out = append(out, connector.Place{Name: name, Kind: connector.PlaceChange, Class: class, Via: "transforms", Blocks: true, Says: class + " is to be " + disposition.Done() + ": " + says, Fix: fix})
		}
		before := len(out)
		for _, below := range a.under(class, s.Ref.Classes) {
			if _, _, ok := a.transformOf(below); !ok {
				refuse(everyIfBlank(below), "transforms says nothing of the objects under "+everyIfBlank(below), "transforms: {\""+below+"\": {format: …, fields: {…}}}")
			}
		}
		for _, prefix := range slices.Sorted(maps.Keys(a.Transforms)) {
			t := a.Transforms[prefix]
			if !slices.ContainsFunc(a.under(class, s.Ref.Classes), func(p string) bool { return strings.HasPrefix(p, prefix) || strings.HasPrefix(prefix, p) }) {
				continue
			}
			if says, fix := t.Against(disposition); says != "" {
				refuse(everyIfBlank(prefix), says, fix)
				continue
			}
			if disposition != tenure.Anonymise {
				continue
			}
			to, err := d.resultsAt(s.Ref, t.To)
			if err != nil {
				return nil, err
			}
			there, err := d.client.BucketExists(ctx, to.bucket)
			if err != nil {
				return nil, err
			}
			if !there {
				refuse(t.To, "the bucket "+to.bucket+" isn't there", "make it, or name another place")
			}
		}
		if len(out) > before || !read {
			continue
		}
		w := rewriting{piece: piece{Driver: d, site: at, batch: connector.Batch{Class: class, Disposition: disposition, Keep: s.Keep}}, ref: s.Ref, a: a}
		w.takes = w.classTakes(a, s.Ref, class)
		switch err := w.look(ctx, func(entry) error { return nil }); {
		case tenure.CodeOf(err) == tenure.Blocked:
			refuse(class, err.Error(), strings.Join(tenure.HintsOf(err), "; "))
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

func everyIfBlank(prefix string) string {
	if prefix == "" {
		return "(every key)"
	}
	return prefix
}

// classTakes says whether a key is of a class, and no hold keeps it.
func (w *piece) classTakes(a attributes, ref connector.Ref, class string) func(key string) bool {
	return func(key string) bool {
		key = strings.TrimPrefix(key, w.site.below)
		of, _ := a.classOf(key, ref.Classes)
		return (class == "" || of == class) && !connector.KeptKey(w.batch.Keep, key, of)
	}
}
