package blueprint

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// checkParameters compiles the parameters' schema and refuses what JSON Schema
// would let pass in silence: keywords that don't exist, required names that
// nobody declared, defaults that don't fit, and credentials.
func (k *checker) checkParameters() {
	p := source.Path{"parameters"}
	schema := k.Blueprint.Parameters
	properties, _ := schema["properties"].(map[string]any)
	s, err := source.CompileShape(copyJSON(schema))
	if err != nil {
		k.refuseSchema(p, err)
	} else {
		k.params = s
	}
	k.checkKeywords(p, schema)
	required, _ := schema["required"].([]any)
	for i, name := range required {
		if _, ok := properties[fmt.Sprint(name)]; !ok {
			k.refuse(p.With("required").Index(i), source.DidYouMean(fmt.Sprint(name), source.Keys(properties)), "unknown parameter %q", name)
		}
	}
	for _, name := range source.Keys(properties) {
		property, _ := properties[name].(map[string]any)
		k.checkDefault(p.With("properties", name, "default"), name, property)
	}
}

func (k *checker) refuseSchema(p source.Path, err error) {
	var bad *jsonschema.SchemaValidationError
	var why *jsonschema.ValidationError
	if errors.As(err, &bad) && errors.As(bad.Err, &why) {
		for _, m := range source.Misfits(why) {
			k.misfit(p, m)
		}
		return
	}
	k.refuse(p, "", "this isn't a JSON Schema: %s", strings.ReplaceAll(err.Error(), source.ShapeURL, ""))
}

// keywords are those of JSON Schema 2020-12 that a parameter may use.
var keywords = strings.Fields(`$ref $defs $comment type enum const title description default examples deprecated
	multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern format
	items prefixItems maxItems minItems uniqueItems contains minContains maxContains
	properties patternProperties additionalProperties propertyNames required dependentRequired maxProperties minProperties
	allOf anyOf oneOf not if then else`)

// checkKeywords refuses keywords that JSON Schema would ignore.
func (k *checker) checkKeywords(p source.Path, schema map[string]any) {
	for _, key := range source.Keys(schema) {
		at := p.With(key)
		if !slices.Contains(keywords, key) {
			k.misfit(at, source.Misfit{Key: true, Message: fmt.Sprintf("unknown keyword %q", source.Clip(key)), Hint: source.DidYouMean(key, keywords)})
			continue
		}
		switch v := schema[key].(type) {
		case map[string]any:
			switch key {
			case "properties", "patternProperties", "$defs":
				for _, name := range source.Keys(v) {
					if sub, ok := v[name].(map[string]any); ok {
						k.checkKeywords(at.With(name), sub)
					}
				}
			case "items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else":
				k.checkKeywords(at, v)
			}
		case []any:
			if key == "allOf" || key == "anyOf" || key == "oneOf" || key == "prefixItems" {
				for i, e := range v {
					if sub, ok := e.(map[string]any); ok {
						k.checkKeywords(at.Index(i), sub)
					}
				}
			}
		}
	}
}

func (k *checker) checkDefault(p source.Path, name string, property map[string]any) {
	value, ok := property["default"]
	if !ok {
		return
	}
	if looksSecret(name, value) {
		problem := k.src.tree().Problem(p, false, fmt.Sprintf("the default of %s looks like a credential; parameters are stored and shown in clear", name), "let Tenure make the credential, or name where it is kept")
		problem.Excerpt = "" // it would show what must not be shown
		k.found = append(k.found, problem)
		return
	}
	if k.params == nil {
		return
	}
	for _, m := range k.params.Check(map[string]any{name: copyJSON(value)}, nil) {
		if len(m.At) > 0 && m.At[0] == name {
			k.refuse(p, m.Hint, "the default doesn't fit: %s", m.Message)
		}
	}
}

var secretName = regexp.MustCompile(`(?i)(passw(or)?d|passphrase|secret|token|api_?key|private_?key|access_?key|credential)`)

// looksSecret says whether a default is likely to be a credential by its name; Read has
// found those that one knows by their form.
func looksSecret(name string, value any) bool {
	s, ok := value.(string)
	return ok && s != "" && secretName.MatchString(name)
}

// WithoutSecrets refuses values in which a credential of a known form stands: parameters are
// stored and shown in clear. It is Invalid, and names the parameter.
func WithoutSecrets(params map[string]any) error {
	var found source.Problems
	eachLeaf(nil, params, func(p source.Path, v any) {
		text, _ := v.(string)
		if kind, _, _ := tenure.KnownSecret(text); kind != "" {
			found = append(found, source.Problem{Message: "parameter " + strings.TrimPrefix(p.String(), "$.") + " looks like " + kind + "; parameters are stored and shown in clear",
				Hint: "give Tenure the name of a place where it stands, or let Tenure make it; and replace this one"})
		}
	})
	return found.Err()
}

// Parameters holds what a request gives against the schema and applies the
// defaults. What is missing, blank though required, of the wrong type or not
// declared is Invalid, and each is named.
func (c *Compiled) Parameters(given map[string]any) (map[string]any, error) {
	schema := c.Blueprint.Parameters
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	var found source.Problems
	eachLeaf(nil, given, func(p source.Path, v any) {
		if why := source.Misnumbered(v); why != "" {
			found = append(found, source.Problem{Message: "parameter " + strings.TrimPrefix(p.String(), "$.") + ": " + why})
		}
	})
	values := c.filled(given)
	for _, name := range source.Keys(values) {
		if _, ok := properties[name]; !ok {
			found = append(found, source.Problem{Message: fmt.Sprintf("unknown parameter %q", source.Clip(name)), Hint: source.DidYouMean(name, source.Keys(properties))})
			delete(values, name)
		} else if s, ok := values[name].(string); ok && strings.TrimSpace(s) == "" && slices.Contains(required, any(name)) {
			found = append(found, source.Problem{Message: fmt.Sprintf("parameter %s is blank", name)})
			delete(values, name)
		}
	}
	for _, m := range c.params.Check(values, nil) {
		name := "parameter " + strings.TrimPrefix(strings.TrimPrefix(m.At.String(), "$"), ".")
		if strings.HasSuffix(m.Message, " is missing") {
			if len(m.At) == 1 && given != nil && isBlank(given[m.At[0]]) {
				continue // told as blank
			}
			found = append(found, source.Problem{Message: name + " is missing"})
			continue
		}
		found = append(found, source.Problem{Message: name + ": " + m.Message, Hint: m.Hint})
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	out, _ := conform(schema, values).(map[string]any)
	return out, nil
}

// filled are the given values with the defaults.
func (c *Compiled) filled(given map[string]any) map[string]any {
	values, _ := copyJSON(given).(map[string]any)
	if values == nil {
		values = map[string]any{}
	}
	applyDefaults(c.Blueprint.Parameters, values)
	return values
}

func isBlank(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == ""
}

// applyDefaults fills in what isn't given, in the objects that are.
func applyDefaults(schema, values map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		property, _ := p.(map[string]any)
		v, given := values[name]
		if d, ok := property["default"]; ok && !given {
			values[name] = copyJSON(d)
		}
		if sub, ok := v.(map[string]any); ok {
			applyDefaults(property, sub)
		}
	}
}

// copyJSON is a deep copy of a JSON value with plain numbers; structs and typed
// maps become what they are in JSON.
func copyJSON(v any) any {
	switch v := v.(type) {
	case nil, string, bool, int64:
		return v
	case float64:
		return wholeOr(v)
	case int:
		return int64(v)
	case json.Number:
		return plainNumbers(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copyJSON(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copyJSON(e)
		}
		return out
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var out any
	_ = json.Unmarshal(raw, &out)
	return copyJSON(out)
}

// conform gives numbers the type that their schema says: what is declared as a
// number is a float64 even where it is whole.
func conform(schema map[string]any, v any) any {
	switch v := v.(type) {
	case int64:
		if schema["type"] == "number" {
			return float64(v)
		}
	case float64:
		if schema["type"] == "integer" && v == math.Trunc(v) {
			return int64(v)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		out := maps.Clone(v)
		for name, e := range v {
			property, _ := properties[name].(map[string]any)
			out[name] = conform(property, e)
		}
		return out
	case []any:
		items, _ := schema["items"].(map[string]any)
		out := slices.Clone(v)
		for i, e := range v {
			out[i] = conform(items, e)
		}
		return out
	}
	return v
}
