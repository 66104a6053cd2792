package blueprint

import (
	"fmt"

	"github.com/tenurehq/tenure"
)

// Disposes are the keys that lead to where a class's disposition is said: its own, or the
// first of its rules that has data become what wanted says of a disposition.
func Disposes(class tenure.DataClass, wanted func(tenure.Disposition) bool) []string {
	own := []string{"dataClasses", class.Name, "disposition"}
	if wanted(class.Disposition) {
		return own
	}
	for i, r := range class.Rules {
		if wanted(r.Disposition) {
			return []string{"dataClasses", class.Name, "rules", fmt.Sprint(i), "disposition"}
		}
	}
	return own
}
