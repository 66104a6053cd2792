package blueprint

import (
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// checkRemnants refuses what the system's connector can't do about what is physically left,
// and a kind of which two things are said, or nothing.
func (k *checker) checkRemnants(p path, info connector.Info, all []tenure.RemnantSpec) {
	for i, spec := range all {
		at := p.index(i)
		said := 0
		for _, is := range []bool{spec.Clean, !spec.Expires.IsZero(), spec.Attest != nil} {
			if is {
				said++
			}
		}
		known, ok := info.Remnant(spec.Kind)
		var kinds []string
		for _, r := range info.Remnants {
			kinds = append(kinds, string(r.Kind))
		}
		switch {
		case !ok:
			k.refuse(at.with("kind"), didYouMean(string(spec.Kind), kinds), "connector %s has no remnants of kind %q", info.Name, spec.Kind)
		case said != 1:
			k.refuse(at, "", "%s needs exactly one of clean, expires and attest", spec.Kind)
		case spec.Clean && known.Clean == "":
			k.refuse(at.with("clean"), "give expires where it has a date, or attest", "connector %s can do nothing about %s", info.Name, spec.Kind)
		case slices.ContainsFunc(all[:i], func(o tenure.RemnantSpec) bool { return o.Kind == spec.Kind }):
			k.refuse(at.with("kind"), "", "%s is listed twice", spec.Kind)
		}
	}
}
