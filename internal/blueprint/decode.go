package blueprint

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/tenurehq/tenure"
)

// checkShape holds the file against its schema.
func (s *Source) checkShape() Problems {
	schema, err := fileSchema()
	if err != nil {
		return Problems{{File: s.File, Message: err.Error()}}
	}
	if !s.root.isMap {
		return Problems{s.problem(s.root.pos, nil, "a blueprint must be a mapping", "it begins with apiVersion: "+apiVersion)}
	}
	var out Problems
	for _, m := range schema.check(s.root.value(), nil) {
		out = append(out, s.problem(s.locate(m.at, m.key), m.at, m.message, m.hint))
	}
	return append(out, s.duplicates()...)
}

// duplicates finds entries of lists that go by a name and share it.
func (s *Source) duplicates() Problems {
	var out Problems
	for list, key := range map[string]string{"resources": "key", "environments": "name", "probes": "name"} {
		n := s.root.child(list)
		if n == nil {
			continue
		}
		first := map[string]int{}
		for i, item := range n.items {
			name := item.child(key)
			if name == nil {
				continue
			}
			text, _ := name.scalar.(string)
			if line, twice := first[text]; twice && text != "" {
				out = append(out, s.problem(name.pos, path{list}.index(i).with(key), "\""+clip(text)+"\" is used twice; the first is on line "+strconv.Itoa(line), ""))
				continue
			}
			first[text] = name.pos.line
		}
	}
	return out
}

// fromFile turns the file's value, which fits the schema, into a blueprint.
func fromFile(v any) (tenure.Blueprint, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return tenure.Blueprint{}, err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return tenure.Blueprint{}, err
	}
	delete(doc, "apiVersion")
	delete(doc, "kind")
	doc["parameters"] = fullParameters(doc["parameters"])
	if classes, ok := doc["dataClasses"].(map[string]any); ok {
		list := []any{}
		for _, name := range slices.Sorted(maps.Keys(classes)) {
			class, _ := classes[name].(map[string]any)
			class["name"] = name
			list = append(list, class)
		}
		doc["dataClasses"] = list
	}
	raw, err = json.Marshal(doc)
	if err != nil {
		return tenure.Blueprint{}, err
	}
	return fromJSON(raw)
}

// fullParameters is the parameters' schema with what may be left out.
func fullParameters(v any) map[string]any {
	out := map[string]any{}
	if m, ok := v.(map[string]any); ok {
		out = maps.Clone(m)
	}
	out["type"], out["additionalProperties"] = "object", false
	return out
}

// fromJSON reads a blueprint's JSON form; whole numbers stay whole.
func fromJSON(raw []byte) (tenure.Blueprint, error) {
	var bp tenure.Blueprint
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&bp); err != nil {
		return bp, err
	}
	bp.Parameters, _ = plainNumbers(bp.Parameters).(map[string]any)
	for i := range bp.Resources {
		if a := bp.Resources[i].Attributes; a != nil {
			bp.Resources[i].Attributes, _ = plainNumbers(a).(map[string]any)
		}
	}
	return bp, nil
}

// plainNumbers replaces json.Number by int64 where it is whole and fits, and
// by float64 otherwise.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return wholeOr(f)
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	}
	return v
}

// wholeOr is f as an int64 if it is whole and can be one exactly.
func wholeOr(f float64) any {
	if i := int64(f); f >= -1<<53 && f <= 1<<53 && float64(i) == f {
		return i
	}
	return f
}
