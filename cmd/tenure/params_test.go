package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
)

var paramSchema = map[string]any{
	"seats": map[string]any{"type": "integer"}, "rate": map[string]any{"type": "number"}, "name": map[string]any{"type": "string"},
	"limits": map[string]any{"type": "object"}, "list": map[string]any{"type": "array"}, "on": map[string]any{"type": "boolean"},
}

// TestParamsAreReadOneWay: what --param says arrives as it was written, or is refused:
// nobody gets other seats than they asked for.
func TestParamsAreReadOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		`limits={"a":1,"a":2}`, `limits={"a":{"b":1,"b":2}}`, `list=["\ud800"]`, `limits={"\udc00":1}`, `rate=1e400`, `rate=0.1000000000000000055511151231257827`,
		`seats=9223372036854775808`, "name=\xff", "limits={\"a\":\"\xff\"}", `unknown={"a":1,"a":2}`,
	} {
		if got, err := parseParams([]string{p}, paramSchema); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q: %v, %v", p, got, err)
		}
	}
	got, err := parseParams([]string{`seats=5`, `rate=0.1`, `name={"a":1,"a":2}`, `limits={"a":1e3}`, `list=[9007199254740993]`, `on=true`}, paramSchema)
	want := map[string]any{
		"seats": json.Number("5"), "rate": json.Number("0.1"), "name": `{"a":1,"a":2}`, "limits": map[string]any{"a": json.Number("1e3")}, "list": []any{json.Number("9007199254740993")}, "on": true,
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
}

// TestParamFilesAreReadOneWay is the same for a file, YAML or JSON.
func TestParamFilesAreReadOneWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "params.yaml")
	read := func(text string) (map[string]any, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return (&app{}).readParameters(file)
	}
	for _, text := range []string{
		"seats: 1\nseats: 2\n", `{"seats": 1, "seats": 2}`, "limits: {a: 1, a: 2}", "seats: 1.0e+30", "seats: 9007199254740993", "seats: 9223372036854775808", "rate: .nan", "rate: .inf",
		"rate: 0.1000000000000000055511151231257827", "name: \xff", "- 1", "5", "seats: 1\n---\nseats: 2\n", "",
	} {
		if got, err := read(text); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	got, err := read("seats: 5\nrate: 0.1\nname: '007'\nlimits: {a: [1, true, null]}\n")
	want := map[string]any{"seats": int64(5), "rate": 0.1, "name": "007", "limits": map[string]any{"a": []any{int64(1), true, nil}}}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
}
