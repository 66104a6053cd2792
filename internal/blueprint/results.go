package blueprint

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// checkResults refuses a place for results in a transform of objects of which none is
// anonymised: nothing would ever go there.
func (k *checker) checkResults(p path, r tenure.ResourceSpec) {
	transforms, _ := r.Attributes["transforms"].(map[string]any)
	for _, prefix := range keysOf(transforms) {
		given, _ := transforms[prefix].(map[string]any)
		_, ofFiles := given["format"]
		if _, has := given["to"]; !has || !ofFiles {
			continue
		}
		names := classesUnder(r, prefix)
		anonymised := len(names) == 0
		var said []string
		for _, class := range k.Blueprint.DataClasses {
			if !slices.Contains(names, class.Name) {
				continue
			}
			for _, d := range dispositions(class, k.environments(r.Environments)) {
				anonymised = anonymised || d == tenure.Anonymise
				said = append(said, class.Name+" is to be "+d.Done())
			}
		}
		if !anonymised && len(said) > 0 {
			k.refuseInFile(p.with("attributes", "transforms", prefix, "to"), "leave to out, or have the class anonymised",
				"nothing goes there: results are made where data is anonymised, and %s", strings.Join(said, ", "))
		}
	}
}

// classesUnder are the data classes that objects under a prefix of transforms may have;
// none where only an expression says it.
func classesUnder(r tenure.ResourceSpec, prefix string) (names []string) {
	places, _ := r.Attributes["classes"].(map[string]any)
	if len(places) == 0 {
		return r.Data
	}
	nearest := -1 // the longest place that the prefix is below, whatever separates keys
	for _, place := range keysOf(places) {
		below := strings.TrimPrefix(place, ".")
		rest, under := strings.CutPrefix(prefix, below)
		if under && (below == "" || rest == "" || strings.HasSuffix(below, "/") || rest[0] == '/') {
			nearest = max(nearest, len(below))
		}
	}
	for _, place := range keysOf(places) {
		name, ok := places[place].(string)
		if !ok || hasExpression(name) || hasExpression(place) {
			return nil
		}
		below := strings.TrimPrefix(place, ".")
		if strings.HasPrefix(below, prefix) || prefix == "." || strings.HasPrefix(prefix, below) && len(below) >= nearest {
			names = append(names, name)
		}
	}
	return names
}
