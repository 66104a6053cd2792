package connector

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Loses is Conflict if a record that others keep would lose attributes by being taken: what
// it has, and isn't to have.
func Loses(typ, name string, has, gets map[string]any) error {
	var lost []string
	for _, attribute := range slices.Sorted(maps.Keys(has)) {
		if v := has[attribute]; v != nil && v != "" && gets[attribute] == nil {
			lost = append(lost, attribute)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return tenure.Errorf(tenure.Conflict, "%s %q is there already and would lose %s", typ, name, strings.Join(lost, ", ")).
		WithHint("say in the blueprint what it is to have, or empty it there")
}
