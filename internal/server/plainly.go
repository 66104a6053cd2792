package server

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// wants says in plain words what huma expected where it found something else.
var wants = map[string]string{
	"expected string": "a text", "expected boolean": "true or false", "expected integer": "a whole number", "expected number": "a number",
	"expected array": "a list", "expected object": "an object",
	"expected string to be RFC 3339 date-time": "a moment as in RFC 3339, such as 2027-01-31T12:00:00Z",
}

var (
	missing = regexp.MustCompile(`^expected required property (.+) to be present$`)
	choice  = regexp.MustCompile(`^expected value to be one of "(.*)"$`)
	shaped  = regexp.MustCompile(`^expected string to be (.+)$`)
	bound   = regexp.MustCompile(`^expected (length|array length|number) (>=|<=) (.+)$`)
)

// plainly says what is wrong with a part of a request: what is expected there, and what
// is there instead. A text isn't repeated: it may be a secret.
func plainly(e *huma.ErrorDetail) string {
	at, m := e.Location, e.Message
	if want, known := wants[m]; known {
		return at + " must be " + want + instead(at, e.Value)
	}
	if what := missing.FindStringSubmatch(m); what != nil {
		return at + "." + what[1] + " is missing"
	}
	if of := choice.FindStringSubmatch(m); of != nil {
		return at + " must be one of " + of[1] + instead(at, e.Value)
	}
	if like := shaped.FindStringSubmatch(m); like != nil {
		return at + " must be " + like[1] + instead(at, e.Value)
	}
	if b := bound.FindStringSubmatch(m); b != nil {
		most := map[string]string{">=": "at least", "<=": "at most"}[b[2]]
		switch b[1] {
		case "length":
			return at + " must have " + most + " " + b[3] + " letters"
		case "array length":
			return at + " must have " + most + " " + b[3] + " items"
		}
		return at + " must be " + most + " " + b[3]
	}
	switch {
	case m == "request body is required":
		return "the request needs a body, in JSON"
	case m == "unexpected property":
		return "there is no " + at
	case at == "":
		return m
	}
	return at + ": " + m
}

// instead says of which sort a value of a body is; in queries and paths all are texts.
func instead(at string, v any) string {
	if !strings.HasPrefix(at, "body") {
		return ""
	}
	switch v := v.(type) {
	case nil:
		return ", and is null"
	case string:
		if v == "" {
			return ", and is empty"
		}
		return ", and is another text"
	case bool:
		return ", and is true or false"
	case float64, json.Number:
		return ", and is a number"
	case []any:
		return ", and is a list"
	case map[string]any:
		return ", and is an object"
	}
	return ""
}
