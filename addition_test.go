package tenure_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
)

// An addition that would be without effect is refused by what contradicts it; else a
// person reviews what nothing goes by.
func TestAdditionContradicts(t *testing.T) {
	t.Parallel()
	have := map[string]any{
		"tables": map[string]any{"notes": "orders"}, "triggers": map[string]any{}, "shared": []any{"countries"},
	}
	for want, c := range map[string]tenure.Addition{
		"":                        {Tables: map[string]string{"notes": "orders", "later": "letters"}, Triggers: map[string]string{"a.b": "ignore"}},
		"tables: {notes: orders}": {Tables: map[string]string{"notes": "letters"}},
	} {
		if got := c.Contradicts(have); got != want {
			t.Errorf("%+v contradicts %q, want %q", c, got, want)
		}
	}
	got := tenure.Addition{Triggers: map[string]string{"a.b": "ignore"}, Shared: []string{"countries", "units"}}.Into(have)
	want := map[string]any{
		"tables": map[string]any{"notes": "orders"}, "triggers": map[string]any{"a.b": "ignore"}, "shared": []any{"countries", "units"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}
