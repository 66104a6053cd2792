package objects

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// idle says why no result would ever go from a prefix to a place of the platform's own:
// nothing under it is anonymised. "" if something may be, or if only an expression tells.
func idle(prefix string, classes any, may map[string][]tenure.Disposition) string {
	names, told := classesUnder(prefix, classes, may)
	var said []string
	for _, name := range names {
		for _, d := range may[name] {
			if d == tenure.Anonymise {
				return ""
			}
			said = append(said, name+" is to be "+d.Done())
		}
	}
	if !told || len(said) == 0 {
		return ""
	}
	return "nothing goes there: results are made where data is anonymised, and " + strings.Join(said, ", ")
}

// classesUnder are the data classes that objects under a prefix may have, by the attribute
// classes; told is false where only an expression says it. Keys may be cut by any separator.
func classesUnder(prefix string, attribute any, may map[string][]tenure.Disposition) (names []string, told bool) {
	places, _ := attribute.(map[string]any)
	if len(places) == 0 {
		return slices.Sorted(maps.Keys(may)), true
	}
	nearest := -1 // the longest place that the prefix is below
	for place := range places {
		below := strings.TrimPrefix(place, ".")
		rest, under := strings.CutPrefix(prefix, below)
		if under && (below == "" || rest == "" || strings.HasSuffix(below, "/") || rest[0] == '/') {
			nearest = max(nearest, len(below))
		}
	}
	for _, place := range slices.Sorted(maps.Keys(places)) {
		name, ok := places[place].(string)
		if !ok || strings.Contains(name+place, "${") {
			return nil, false
		}
		below := strings.TrimPrefix(place, ".")
		if strings.HasPrefix(below, prefix) || prefix == "." || strings.HasPrefix(prefix, below) && len(below) >= nearest {
			names = append(names, name)
		}
	}
	return names, true
}
