package site

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// TestFormsAreReadOneWay: what a form says arrives as it was written, or is refused.
func TestFormsAreReadOneWay(t *testing.T) {
	t.Parallel()
	var body blueprintBody
	schema := `{"parameters":{"properties":{"seats":{"type":"integer"},"rate":{"type":"number"},"name":{"type":"string"},"limits":{"type":"object"},"on":{"type":"boolean"}}}}`
	if err := json.Unmarshal([]byte(schema), &body); err != nil {
		t.Fatal(err)
	}
	read := func(name string, values ...string) (any, error) {
		var in client.Intent
		err := readParameters(&in, body, url.Values{"param." + name: values})
		return in.Parameters[name], err
	}
	for _, f := range [][]string{
		{"limits", `{"a":1,"a":2}`}, {"limits", `{"a":"\ud800"}`}, {"limits", `{} {}`}, {"seats", "9223372036854775808"}, {"seats", "5 6"}, {"rate", "1e400"}, {"rate", "NaN"},
		{"rate", "0.1000000000000000055511151231257827"}, {"name", "\xff"}, {"name", "a", "b"}, {"seats", "1", "2"}, {"on", "yes"}, {"on", "1"},
	} {
		if got, err := read(f[0], f[1:]...); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%q: %v, %v", f, got, err)
		}
	}
	for _, c := range []struct {
		name, raw string
		want      any
	}{{"seats", "9007199254740993", json.Number("9007199254740993")}, {"name", "007", "007"}, {"on", "true", true}, {"on", "", false}} {
		if got, err := read(c.name, c.raw); err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s=%s: %v, %v", c.name, c.raw, got, err)
		}
	}
}
