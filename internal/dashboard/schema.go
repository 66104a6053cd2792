package dashboard

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// parameterPrefix marks a form's values that are a blueprint's parameters.
const parameterPrefix = "p."

// ParameterFields makes form fields of a blueprint's parameter schema (JSON
// Schema, type object, one level deep). Required ones come first, then by name.
// What a form can't ask for simply (objects, lists of anything but an enum) is
// asked for as JSON. Values and errors are by parameter; both may be nil.
func ParameterFields(schema map[string]any, values map[string]string, errors map[string]string) []Field {
	properties, _ := schema["properties"].(map[string]any)
	required := texts(schema["required"])
	var out []Field
	for name, raw := range properties {
		property, _ := raw.(map[string]any)
		f := Field{Name: parameterPrefix + name, Label: orElse(text(property["title"]), name), Hint: text(property["description"]), Required: slices.Contains(required, name), Error: errors[name]}
		value, given := values[name]
		if !given && property["default"] != nil {
			value = plainText(property["default"])
		}
		out = append(out, shapeField(f, property, value))
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Required != out[j].Required {
			return out[i].Required
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// shapeField chooses the input for one property.
func shapeField(f Field, property map[string]any, value string) Field {
	f.Value = value
	if choices := list(property["enum"]); len(choices) > 0 {
		f.Kind = FieldChoice
		if !f.Required {
			f.Options = append(f.Options, Option{Label: "–"})
		}
		for _, c := range choices {
			f.Options = append(f.Options, Option{Value: plainText(c), Label: plainText(c), On: plainText(c) == value})
		}
		return f
	}
	switch text(property["type"]) {
	case "boolean":
		// A box that isn't ticked is an answer too, so none can be demanded.
		f.Kind, f.Required = FieldCheck, false
	case "integer", "number":
		f.Kind = FieldNumber
	case "string":
		f.Pattern = text(property["pattern"])
		switch text(property["format"]) {
		case "date":
			f.Kind = FieldDate
		case "email":
			f.Kind = FieldEmail
		}
	case "array":
		items, _ := property["items"].(map[string]any)
		choices := list(items["enum"])
		if len(choices) == 0 {
			return asJSON(f)
		}
		f.Kind = FieldMany
		on := strings.Split(value, ",")
		for _, c := range choices {
			f.Options = append(f.Options, Option{Value: plainText(c), Label: plainText(c), On: slices.Contains(on, plainText(c))})
		}
	default:
		return asJSON(f)
	}
	return f
}

func asJSON(f Field) Field {
	f.Kind = FieldLong
	f.Hint = strings.TrimSpace(f.Hint + " As JSON.")
	return f
}

// Parameters reads what ParameterFields asked for back into a JSON object. What
// was left empty is left out, so that the schema's defaults hold. A value that
// isn't of its type is Invalid and is named in the second result, by parameter;
// whether the whole is right is for the blueprint to say.
func Parameters(schema map[string]any, form url.Values) (map[string]any, map[string]string, error) {
	properties, _ := schema["properties"].(map[string]any)
	out, wrong := make(map[string]any), make(map[string]string)
	for name, raw := range properties {
		property, _ := raw.(map[string]any)
		value, given, problem := parameter(property, form[parameterPrefix+name])
		switch {
		case problem != "":
			wrong[name] = problem
		case given:
			out[name] = value
		}
	}
	if len(wrong) > 0 {
		names := make([]string, 0, len(wrong))
		for name := range wrong {
			names = append(names, name)
		}
		sort.Strings(names)
		return nil, wrong, tenure.Errorf(tenure.Invalid, "these parameters can't be right: %s", strings.Join(names, ", "))
	}
	return out, nil, nil
}

func parameter(property map[string]any, sent []string) (value any, given bool, problem string) {
	first := ""
	if len(sent) > 0 {
		first = strings.TrimSpace(sent[0])
	}
	kind := text(property["type"])
	items, _ := property["items"].(map[string]any)
	switch {
	case kind == "boolean":
		return first == "true", true, ""
	case kind == "array" && len(list(items["enum"])) > 0:
		var chosen []any
		for _, s := range sent {
			chosen = append(chosen, s)
		}
		return chosen, len(chosen) > 0, ""
	case first == "":
		return nil, false, ""
	case kind == "integer":
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return nil, false, "a whole number is wanted"
		}
		return n, true, ""
	case kind == "number":
		n, err := strconv.ParseFloat(first, 64)
		if err != nil {
			return nil, false, "a number is wanted"
		}
		return n, true, ""
	case kind == "string":
		return first, true, ""
	}
	var v any
	if err := json.Unmarshal([]byte(first), &v); err != nil {
		return nil, false, "JSON is wanted"
	}
	return v, true, ""
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func texts(v any) []string {
	if l, ok := v.([]string); ok {
		return l
	}
	var out []string
	for _, e := range list(v) {
		out = append(out, text(e))
	}
	return out
}

// plainText is a JSON value as a form holds it.
func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, plainText(e))
		}
		return strings.Join(parts, ",")
	case map[string]any:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
	return fmt.Sprint(v)
}
