package source

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"github.com/tenurehq/tenure"
)

// Shape is a compiled JSON Schema with its own text, for messages.
type Shape struct {
	schema *jsonschema.Schema
	Doc    any // the schema itself
}

// ShapeURL is the address that a schema is compiled under; errors of CompileShape may name it.
const ShapeURL = "mem:schema.json"

// CompileShape compiles a schema. It follows no reference out of the schema,
// asserts formats, and knows the format "period". The error is the schema library's: a
// *jsonschema.SchemaValidationError for what is no JSON Schema 2020-12, see Misfits.
func CompileShape(doc any) (*Shape, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.RegisterFormat(&jsonschema.Format{Name: "period", Validate: func(v any) error {
		s, ok := v.(string)
		if !ok {
			return nil
		}
		_, err := tenure.ParsePeriod(s)
		return err
	}})
	c.UseLoader(noLoader{})
	if err := c.AddResource(ShapeURL, doc); err != nil {
		return nil, err
	}
	schema, err := c.Compile(ShapeURL)
	if err != nil {
		return nil, err
	}
	return &Shape{schema, doc}, nil
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the schema; a reference must stay within it", url)
}

// Misfit is one way in which a value doesn't fit a schema.
type Misfit struct {
	At      Path
	Key     bool // the place is the key, not the value
	Message string
	Hint    string
}

// Check lists how a JSON value doesn't fit; nothing if it does. What lies at or under a place
// for which open says true isn't known yet and fits; open may be nil.
func (s *Shape) Check(v any, open func(Path) bool) []Misfit {
	err := s.schema.Validate(v)
	var bad *jsonschema.ValidationError
	if !errors.As(err, &bad) {
		return nil
	}
	relocate(bad, v)
	return s.collect(bad, open)
}

// relocate finds where a name that doesn't fit stands: the library (v6.0.3) has other members written into the
// place that it gives. Its length is right.
func relocate(e *jsonschema.ValidationError, v any) {
	if k, is := e.ErrorKind.(*kind.PropertyNames); is {
		if all := bearers(v, len(e.InstanceLocation), k.Property, nil); len(all) > 0 && !slices.ContainsFunc(all, func(p []string) bool { return slices.Equal(p, e.InstanceLocation) }) {
			e.InstanceLocation = all[0]
		}
	}
	for _, c := range e.Causes {
		relocate(c, v)
	}
}

// bearers are the places of objects so deep in a value that have a member of this name, in the order of their names.
func bearers(v any, depth int, name string, at []string) (out [][]string) {
	switch v := v.(type) {
	case map[string]any:
		if depth == 0 {
			if _, has := v[name]; has {
				return [][]string{slices.Clone(at)}
			}
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, bearers(v[key], depth-1, name, append(slices.Clip(at), key))...)
		}
	case []any:
		for i := range v {
			if depth > 0 {
				out = append(out, bearers(v[i], depth-1, name, append(slices.Clip(at), strconv.Itoa(i)))...)
			}
		}
	}
	return out
}

// Misfits are the ways in which a value didn't fit a schema, as its validation says.
func Misfits(err *jsonschema.ValidationError) []Misfit { return (&Shape{}).collect(err, nil) }

func (s *Shape) collect(e *jsonschema.ValidationError, open func(Path) bool) []Misfit {
	if open != nil && open(e.InstanceLocation) {
		return nil
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		return s.alternatives(e, open)
	case *kind.OneOf:
		if len(k.Subschemas) == 0 {
			return s.alternatives(e, open)
		}
	case *kind.PropertyNames:
		at := Path(e.InstanceLocation).With(k.Property)
		var out []Misfit
		for _, c := range e.Causes {
			for _, m := range s.collect(c, nil) {
				out = append(out, Misfit{At: at, Key: true, Message: "the name " + m.Message, Hint: m.Hint})
			}
		}
		return out
	}
	if len(e.Causes) == 0 {
		return s.leaf(e)
	}
	var out []Misfit
	for _, c := range e.Causes {
		out = append(out, s.collect(c, open)...)
	}
	return out
}

// alternatives reports the alternative that comes nearest: the one that fails
// deepest in the value. One that only fails where nothing is known yet fits.
func (s *Shape) alternatives(e *jsonschema.ValidationError, open func(Path) bool) []Misfit {
	var best []Misfit
	depth := func(ms []Misfit) int { return len(ms[0].At)*100 - len(ms) }
	for _, c := range e.Causes {
		ms := s.collect(c, open)
		if len(ms) == 0 {
			return nil
		}
		if best == nil || depth(ms) > depth(best) {
			best = ms
		}
	}
	return best
}

func (s *Shape) leaf(e *jsonschema.ValidationError) []Misfit {
	at := Path(e.InstanceLocation)
	schema := s.lookup(e.SchemaURL)
	one := func(hint, format string, args ...any) []Misfit {
		return []Misfit{{At: at, Message: fmt.Sprintf(format, args...), Hint: hint}}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known, _ := schema["properties"].(map[string]any)
		var out []Misfit
		slices.Sort(k.Properties)
		for _, name := range k.Properties[:min(len(k.Properties), 2*MaxProblems)] {
			out = append(out, Misfit{at.With(name), true, fmt.Sprintf("unknown key %q", Clip(name)), DidYouMean(name, Keys(known))})
		}
		return out
	case *kind.Required:
		var out []Misfit
		for _, name := range k.Missing {
			out = append(out, Misfit{at.With(name), true, fmt.Sprintf("%q is missing", name), ""})
		}
		return out
	case *kind.Type:
		hint := ""
		if slices.Contains(k.Want, "string") && (k.Got == "number" || k.Got == "boolean" || k.Got == "integer") {
			hint = "put it in quotes"
		}
		if k.Got == "null" {
			return one("", "must not be empty")
		}
		return one(hint, "must be %s, not %s", Words(k.Want...), Words(k.Got))
	case *kind.Enum:
		names := texts(k.Want)
		return one(Nearest(fmt.Sprint(k.Got), names), "%s is not one of %s", Quote(k.Got), strings.Join(names, ", "))
	case *kind.Const:
		return one("", "must be %v", k.Want)
	case *kind.Format:
		if k.Want == "period" {
			return one(firstHint(k.Err), "%s", k.Err)
		}
		return one("", "%s is not a valid %s", Quote(k.Got), k.Want)
	case *kind.Pattern:
		says, _ := schema["x-says"].(string)
		if says == "" {
			says = "it must match " + k.Want
		}
		return one(says, "%s is not allowed", Quote(k.Got))
	case *kind.MinItems:
		return one("", "needs at least %s", count(k.Want, "item"))
	case *kind.MinProperties:
		return one("", "needs at least %s", count(k.Want, "entry"))
	case *kind.MinLength:
		if k.Got == 0 {
			return one("", "must not be blank")
		}
		return one("", "must have at least %s", count(k.Want, "character"))
	case *kind.MaxLength:
		return one("", "must have at most %s, and has %d", count(k.Want, "character"), k.Got)
	case *kind.Minimum:
		return one("", "must be at least %s", k.Want.RatString())
	case *kind.Maximum:
		return one("", "must be at most %s", k.Want.RatString())
	case *kind.UniqueItems:
		return one("", "items %d and %d are the same", k.Duplicates[0]+1, k.Duplicates[1]+1)
	}
	_, says, _ := strings.Cut(e.Error(), "': ")
	return one("", "%s", says)
}

// lookup is the part of the schema that a location names.
func (s *Shape) lookup(url string) map[string]any {
	_, pointer, _ := strings.Cut(url, "#")
	at := s.Doc
	for _, step := range Steps(pointer) {
		if m, ok := at.(map[string]any); ok && m[step] != nil {
			at = m[step]
		}
	}
	m, _ := at.(map[string]any)
	return m
}

// Words are what JSON's types are called in messages.
func Words(types ...string) string {
	words := map[string]string{
		"string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
		"null": "empty", "object": "a mapping", "array": "a list",
	}
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = words[t]
	}
	return strings.Join(out, " or ")
}

func texts(vs []any) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = fmt.Sprint(v)
	}
	return out
}

// Quote is a value as messages show it, clipped: a text in quotes, anything else as it is.
func Quote(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", Clip(s))
	}
	return Clip(fmt.Sprint(v))
}

func count(n int, word string) string {
	if n == 1 {
		return "one " + word
	}
	return fmt.Sprintf("%d %s", n, strings.TrimSuffix(word, "y")+map[bool]string{true: "ies", false: "s"}[strings.HasSuffix(word, "y")])
}

func firstHint(err error) string {
	if hints := tenure.HintsOf(err); len(hints) > 0 {
		return hints[0]
	}
	return ""
}
