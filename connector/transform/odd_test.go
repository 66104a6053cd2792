package transform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

func ruleOf(t *testing.T, text string) (r transform.Rule) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// TestFitsLooksInside: a rule in a rule does what it says, or is refused.
func TestFitsLooksInside(t *testing.T) {
	for _, text := range []string{
		`{"each": {"each": "permute"}}`,
		`{"members": {"a": {"each": "permute"}}}`,
		`{"members": {"a": {"members": {"b": "permute"}}}}`,
		`{"each": {"members": {"b": "permute"}}}`,
		`{"each": {"members": {"a..b": "keep"}}}`,
		`{"members": {"a": "keep", "a.b": "clear"}}`,
		`{"members": {"a[]": "keep", "a[].b": "clear"}}`,
		`{"members": {"a": {"each": "keep"}, "a[]": "clear"}}`,
	} {
		if err := ruleOf(t, text).Fits(transform.Field{Kind: transform.JSON}); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v, want it Invalid", text, err)
		}
	}
	for _, text := range []string{
		`{"members": {"a": "keep", "ab": "clear", "c[].a": "keep", "c[].b": "clear"}}`,
		`{"each": {"members": {"a": {"each": "clear"}}}}`,
	} {
		if err := ruleOf(t, text).Fits(transform.Field{Kind: transform.JSON}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestNobodyStopsItsExit: whatever a value is, what it becomes fits where null can't be.
func TestNobodyStopsItsExit(t *testing.T) {
	values := []any{"", "word", "1e999999999", "-1e-999999999", "0x1p999999999", "infinity", "NaN", "0044-03-15 BC", "0000-00-00", "10.0.0.1/99", strings.Repeat("9", 3000), json.Number("1e400"), json.Number("-0"), true,
		map[string]any{"hex": "00ff"}, []any{[]any{nil}}, map[string]any{}}
	kinds := []transform.Kind{transform.Text, transform.Integer, transform.Decimal, transform.Date, transform.Moment, transform.Address, transform.JSON, transform.List, transform.Any}
	for _, text := range []string{`"clear"`, `"year"`, `"month"`, `"network"`, `{"prefix": 2}`, `{"bucket": 10}`, `{"members": {"a": "keep"}}`, `{"each": "clear"}`} {
		r := ruleOf(t, text)
		for _, k := range kinds {
			f := transform.Field{Kind: k, Required: true}
			if r.Fits(f) != nil {
				continue
			}
			for _, v := range values {
				if out, err := r.Apply(v, f, nil); err != nil || out == nil {
					t.Errorf("%s of %v in %s is %v (%v)", text, v, k, out, err)
				}
			}
		}
	}
}

// MariaDB's type for UUIDs refuses those of version 8 whose ninth byte is 0x80: no
// pseudonym is one.
func TestNamesThatMariaDBRefuses(t *testing.T) {
	t.Parallel()
	r := transform.Rule{Word: transform.Name, Key: "people"}
	zero := func(string, string, bool) ([]byte, error) { return make([]byte, 32), nil }
	if got, err := r.Apply("a", transform.Field{Kind: transform.UUID}, zero); got != "00000000-0000-8000-8100-000000000000" || err != nil {
		t.Errorf("it is %v, %v", got, err)
	}
}
