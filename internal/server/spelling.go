package server

import (
	"reflect"
	"regexp"
	"time"
)

// A spelling says how a parameter's value is written, in one way alone: false and 0,
// not F and -00.
type spelling struct {
	means string // "true or false"
	right func(string) bool
}

var (
	decimal   = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	moment    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`)
	spellings = map[string]spelling{
		"bool": {"true or false", func(s string) bool { return s == "true" || s == "false" }},
		"int":  {"a whole number in plain digits, such as 50", decimal.MatchString},
		"time": {"a moment as RFC 3339 writes it, such as 2027-01-31T12:00:00Z", isMoment},
	}
)

// isMoment is stricter than Go, which takes one digit for an hour, and a comma.
func isMoment(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil && moment.MatchString(s)
}

// spellingOf is that of a parameter's field; a text is as it is.
func spellingOf(f reflect.StructField) spelling {
	switch {
	case f.Type == reflect.TypeFor[time.Time](), f.Tag.Get("format") == "date-time":
		return spellings["time"]
	case f.Type.Kind() == reflect.Bool:
		return spellings["bool"]
	case f.Type.Kind() == reflect.Int, f.Type.Kind() == reflect.Int64:
		return spellings["int"]
	}
	return spelling{}
}

func (s spelling) allows(text string) bool { return s.right == nil || s.right(text) }
