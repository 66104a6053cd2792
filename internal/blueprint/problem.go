package blueprint

import (
	"strings"

	"github.com/tenurehq/tenure"
)

// invalid is an Invalid error with a hint, if there is one.
func invalid(message, hint string) error {
	e := tenure.Errorf(tenure.Invalid, "%s", message)
	if hint != "" {
		e = e.WithHint("%s", hint)
	}
	return e
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
