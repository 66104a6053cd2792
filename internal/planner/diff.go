package planner

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tenurehq/tenure"
)

func object(raw []byte) map[string]any {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// fieldDiff compares two objects field by field.
func fieldDiff(resource string, from, to []byte) []tenure.Difference {
	a, b := object(from), object(to)
	names := make(map[string]bool, len(a)+len(b))
	for k := range a {
		names[k] = true
	}
	for k := range b {
		names[k] = true
	}
	var out []tenure.Difference
	for _, k := range slices.Sorted(maps.Keys(names)) {
		x, y := show(a[k]), show(b[k])
		if x != y {
			out = append(out, tenure.Difference{Resource: resource, Field: k, From: x, To: y})
		}
	}
	return out
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := tenure.Canonical(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
