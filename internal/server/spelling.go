package server

import (
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"time"

	"github.com/tenurehq/tenure"
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

// spelled are the parameters of a route's queries and paths, with how each is written;
// a text is as it is.
type spelled struct{ query, path map[string]spelling }

func spelledIn(t reflect.Type) spelled {
	out := spelled{map[string]spelling{}, map[string]spelling{}}
	out.add(t)
	return out
}

func (s *spelled) add(t reflect.Type) {
	if t.Kind() != reflect.Struct {
		return
	}
	for f := range t.Fields() {
		if f.Anonymous {
			s.add(f.Type)
			continue
		}
		kind := ""
		switch {
		case f.Type == reflect.TypeFor[time.Time](), f.Tag.Get("format") == "date-time":
			kind = "time"
		case f.Type.Kind() == reflect.Bool:
			kind = "bool"
		case f.Type.Kind() == reflect.Int, f.Type.Kind() == reflect.Int64:
			kind = "int"
		}
		if name := f.Tag.Get("query"); name != "" {
			s.query[name] = spellings[kind]
		} else if name := f.Tag.Get("path"); name != "" {
			s.path[name] = spellings[kind]
		}
	}
}

// check refuses a value that isn't written as it should be, and an empty one: it
// would be a filter that says nothing. The value isn't repeated: it may be a secret.
func (s spelled) check(r *http.Request, query url.Values) error {
	for name, as := range s.query {
		given, said := query[name]
		switch {
		case !said:
		case given[0] == "":
			return tenure.Errorf(tenure.Invalid, "query.%s is empty", name).WithHint("leave it out, or give it a value")
		case as.right != nil && !as.right(given[0]):
			return tenure.Errorf(tenure.Invalid, "query.%s must be %s", name, as.means)
		}
	}
	for name, as := range s.path {
		if given := r.PathValue(name); as.right != nil && !as.right(given) {
			return tenure.Errorf(tenure.Invalid, "path.%s must be %s", name, as.means)
		}
	}
	return nil
}
