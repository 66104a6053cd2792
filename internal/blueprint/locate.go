package blueprint

import (
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
)

// Where says where in the file a part of the blueprint stands, or the nearest part around
// it that the file has: file:line:column. Keys and indexes from the root lead to it.
func (s *Source) Where(steps ...string) string {
	pos := s.locate(steps, true)
	return fmt.Sprintf("%s:%d:%d", s.File, pos.line, pos.column)
}

// Has says whether the file has what keys and indexes lead to.
func (s *Source) Has(steps ...string) bool {
	_, exact := s.root.find(steps)
	return exact
}

// Steps are the keys and indexes of a JSON pointer (RFC 6901).
func Steps(pointer string) []string {
	if pointer == "" {
		return nil
	}
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, step := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	return steps
}

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
