package blueprint

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// Source is a blueprint file that was read: its meaning, and where in the file
// each part of it stands.
type Source struct {
	File      string
	Blueprint tenure.Blueprint

	file *source.File
}

// tree is the file's values with their places; nil where there is no file.
func (s *Source) tree() *source.File {
	if s == nil {
		return nil
	}
	return s.file
}

var fileKind = source.Kind{Noun: "blueprint", Begins: "apiVersion: " + apiVersion, Then: "kind: Blueprint"}

// Parse reads a blueprint from YAML 1.2. Keys that are unknown or given twice,
// values of the wrong type, blank names, periods that aren't ISO 8601 and
// everything else that the file's schema refuses are Invalid; the error wraps
// source.Problems. What a file may be is said at source.Read.
func Parse(src []byte, file string) (*Source, error) {
	f, found, err := source.Read(src, file, fileKind)
	if err != nil {
		return nil, err
	}
	s := &Source{File: file, file: f}
	if err := append(found, s.checkShape()...).Err(); err != nil {
		return nil, err
	}
	s.Blueprint, err = fromFile(f.Value())
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", file, err)
	}
	return s, nil
}

// Values reads parameters' values from YAML 1.2 or JSON, as strictly as Parse: what is
// given twice, and numbers that can't be kept as they are written, are Invalid.
func Values(src []byte, file string) (map[string]any, error) {
	f, found, err := source.Read(src, file, fileKind)
	if err == nil {
		err = found.Err()
	}
	if err != nil {
		return nil, err
	}
	values, ok := f.Value().(map[string]any)
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "%s doesn't map names to values", file)
	}
	return values, nil
}

// Where says where in the file a part of the blueprint stands, or the nearest part around
// it that the file has: file:line:column. Keys and indexes from the root lead to it.
func (s *Source) Where(steps ...string) string { return s.file.Where(steps...) }

// Has says whether the file has what keys and indexes lead to.
func (s *Source) Has(steps ...string) bool { return s.file.Has(steps...) }

// checkShape holds the file against its schema.
func (s *Source) checkShape() source.Problems {
	schema, err := fileSchema()
	if err != nil {
		return source.Problems{{File: s.File, Message: err.Error()}}
	}
	out := s.file.Check(schema)
	if values, ok := s.file.Value().(map[string]any); ok {
		out = append(out, s.duplicates(values)...)
	}
	return out
}

// duplicates finds entries of lists that go by a name and share it.
func (s *Source) duplicates(values map[string]any) source.Problems {
	var out source.Problems
	for list, key := range map[string]string{"resources": "key", "environments": "name", "probes": "name"} {
		items, _ := values[list].([]any)
		first := map[string]int{}
		for i, item := range items {
			entry, _ := item.(map[string]any)
			name, _ := entry[key].(string)
			at := source.Path{list}.Index(i).With(key)
			if line, twice := first[name]; twice && name != "" {
				out = append(out, s.file.Problem(at, false, "\""+source.Clip(name)+"\" is used twice; the first is on line "+strconv.Itoa(line), ""))
				continue
			}
			first[name] = s.file.Line(at)
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
		for stage, a := range bp.Resources[i].Stages {
			bp.Resources[i].Stages[stage], _ = plainNumbers(a).(map[string]any)
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
