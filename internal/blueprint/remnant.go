package blueprint

import (
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// checkRemnants refuses what the system's connector can't do about what is physically left,
// and kinds of which two things are said, or nothing.
func (k *checker) checkRemnants(p source.Path, info connector.Info, all []tenure.RemnantSpec) {
	if len(all) == 0 {
		return
	}
	var kinds []string
	for _, r := range info.Remnants {
		kinds = append(kinds, string(r.Kind))
	}
	seen := map[tenure.RemnantKind]bool{}
	for i, spec := range all {
		at := p.Index(i)
		said := 0
		for _, is := range []bool{spec.Clean, !spec.Expires.IsZero(), spec.Attest != nil} {
			if is {
				said++
			}
		}
		if said != 1 {
			k.refuse(at, "", "it needs exactly one of clean, expires and attest")
		}
		if e := spec.Expires; !e.IsZero() && !e.After(time.Unix(0, 0)).After(time.Unix(0, 0)) {
			k.refuseInFile(at.With("expires"), "give the longest time that it may be there", "what is left after %s was never left", e)
		}
		for j, kind := range spec.Kinds {
			at := at.With("kinds").Index(j)
			known, ok := info.Remnant(kind)
			switch {
			case !ok:
				k.refuse(at, source.DidYouMean(string(kind), kinds), "connector %s has no remnants of kind %q", info.Name, kind)
			case spec.Clean && known.Clean == "":
				k.refuse(at, "give expires where it has a date, or attest", "connector %s can do nothing about %s", info.Name, kind)
			case seen[kind]:
				k.refuse(at, "", "%s is listed twice", kind)
			}
			seen[kind] = true
		}
	}
	if left := slices.DeleteFunc(kinds, func(kind string) bool { return seen[tenure.RemnantKind(kind)] }); len(left) > 0 {
		k.refuse(p, "give each clean, expires or attest", "nothing says what becomes of %s", strings.Join(left, ", "))
	}
}
