package blueprint

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	tests := []struct {
		name  string
		given map[string]any
		want  map[string]any
		bad   []string
	}{
		{name: "defaults", given: map[string]any{"plan": "small"}, want: map[string]any{
			"plan": "small", "seats": int64(5), "quota": 1.5, "labels": map[string]any{"a": "one", "b": "two"},
		}},
		{name: "numbers from JSON", given: map[string]any{"plan": "large", "seats": float64(7), "quota": json.Number("2"), "labels": map[string]any{}}, want: map[string]any{
			"plan": "large", "seats": int64(7), "quota": float64(2), "labels": map[string]any{},
		}},
		{name: "nothing", bad: []string{"parameter plan is missing"}},
		{name: "blank", given: map[string]any{"plan": "  "}, bad: []string{"parameter plan is blank"}},
		{name: "null", given: map[string]any{"plan": nil}, bad: []string{"parameter plan: must not be empty"}},
		{name: "wrong type", given: map[string]any{"plan": "small", "seats": "7"}, bad: []string{"parameter seats: must be a whole number, not a text"}},
		{name: "fraction", given: map[string]any{"plan": "small", "seats": 7.5}, bad: []string{"parameter seats: must be a whole number, not a number"}},
		{name: "out of range", given: map[string]any{"plan": "small", "seats": 0}, bad: []string{"parameter seats: must be at least 1"}},
		{name: "not one of them", given: map[string]any{"plan": "smal"}, bad: []string{`parameter plan: "smal" is not one of small, large; did you mean small?`}},
		{name: "not declared", given: map[string]any{"plan": "small", "seets": 5}, bad: []string{`unknown parameter "seets"; did you mean seats?`}},
		{name: "format", given: map[string]any{"plan": "small", "webhook": "not a uri"}, bad: []string{`parameter webhook: "not a uri" is not a valid uri`}},
		{name: "everything at once", given: map[string]any{"seets": 5, "seats": -1}, bad: []string{`unknown parameter "seets"; did you mean seats?`, "parameter plan is missing", "parameter seats: must be at least 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Parameters(tt.given)
			if diff := cmp.Diff(tt.bad, messages(t, err)); diff != "" {
				t.Fatalf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
		})
	}
}

// messages are what an Invalid error tells; none for no error.
func messages(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var ps source.Problems
	if !errors.As(err, &ps) || tenure.CodeOf(err) != tenure.Invalid {
		t.Fatalf("not an invalid error with problems: %v", err)
	}
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return out
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	tests := []struct {
		tier string
		ask  map[string]bool
		want map[string]bool
		code tenure.Code
	}{
		{tier: "gold", want: map[string]bool{"reports": true, "mail": false}},
		{tier: "silver", want: map[string]bool{"reports": false, "mail": false}},
		{tier: "gold", ask: map[string]bool{"reports": false, "mail": true}, want: map[string]bool{"reports": false, "mail": true}},
		{tier: "silver", ask: map[string]bool{"reports": false}, want: map[string]bool{"reports": false, "mail": false}},
		{tier: "silver", ask: map[string]bool{"reports": true}, code: tenure.Blocked},
		{tier: "gold", ask: map[string]bool{"report": false}, code: tenure.Invalid},
	}
	for _, tt := range tests {
		got, err := c.Features(tt.tier, tt.ask)
		if code := tenure.CodeOf(err); code != tt.code {
			t.Errorf("%s %v: %v, want code %q", tt.tier, tt.ask, err, tt.code)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", tt.tier, tt.ask, diff)
		}
	}
}
