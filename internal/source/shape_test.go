package source_test

import (
	"fmt"
	"testing"

	"github.com/tenurehq/tenure/internal/source"
)

// A name that doesn't fit is refused where it stands, whatever stands beside it.
func TestNamesAreRefusedWhereTheyStand(t *testing.T) {
	t.Parallel()
	names := map[string]any{"type": "object", "propertyNames": map[string]any{"pattern": "^[a-z]+$"}, "additionalProperties": map[string]any{"type": "object"}}
	shape, err := source.CompileShape(map[string]any{"type": "object", "properties": map[string]any{
		"a": map[string]any{"type": "string"}, "systems": names, "within": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{"deep": names, "x": names}}}, "z": names,
	}})
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]any{"B_1": map[string]any{}, "good": map[string]any{}}
	for place, v := range map[string]any{
		"$.systems.B_1":        map[string]any{"a": "x", "systems": bad, "z": map[string]any{"good": map[string]any{}}},
		"$.z.B_1":              map[string]any{"a": "x", "systems": map[string]any{"b": map[string]any{}}, "z": bad},
		"$.within[1].deep.B_1": map[string]any{"within": []any{map[string]any{}, map[string]any{"deep": bad, "x": map[string]any{"b": map[string]any{}}}}},
	} {
		for range 50 { // the library goes through members in any order
			got := shape.Check(v, nil)
			if len(got) != 1 || !got[0].Key || got[0].At.String() != place {
				t.Fatalf("%s is refused as %s", place, fmt.Sprint(got))
			}
		}
	}
}
