package dashboard_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
)

var schema = map[string]any{
	"type": "object", "required": []any{"domain"},
	"properties": map[string]any{
		"domain":   map[string]any{"type": "string", "title": "Domain", "pattern": "[a-z.]+"},
		"seats":    map[string]any{"type": "integer", "default": 20, "description": "How many people."},
		"region":   map[string]any{"type": "string", "enum": []any{"eu", "us"}},
		"sso":      map[string]any{"type": "boolean"},
		"features": map[string]any{"type": "array", "items": map[string]any{"enum": []any{"api", "audit"}}, "default": []any{"api"}},
		"limits":   map[string]any{"type": "object"},
	},
}

// TestParameterFields: a blueprint's parameters are asked for by what they are.
func TestParameterFields(t *testing.T) {
	t.Parallel()
	got := dashboard.ParameterFields(schema, map[string]string{"region": "us"}, map[string]string{"domain": "taken"})
	want := []dashboard.Field{
		{Name: "p.domain", Label: "Domain", Required: true, Pattern: "[a-z.]+", Error: "taken"},
		{Name: "p.features", Label: "features", Kind: dashboard.FieldMany, Value: "api", Options: []dashboard.Option{{Value: "api", Label: "api", On: true}, {Value: "audit", Label: "audit"}}},
		{Name: "p.limits", Label: "limits", Kind: dashboard.FieldLong, Hint: "As JSON."},
		{Name: "p.region", Label: "region", Kind: dashboard.FieldChoice, Value: "us", Options: []dashboard.Option{{Label: "–"}, {Value: "eu", Label: "eu"}, {Value: "us", Label: "us", On: true}}},
		{Name: "p.seats", Label: "seats", Kind: dashboard.FieldNumber, Value: "20", Hint: "How many people."},
		{Name: "p.sso", Label: "sso", Kind: dashboard.FieldCheck},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestParameters: what was typed comes back as its type, and what can't be is named.
func TestParameters(t *testing.T) {
	t.Parallel()
	got, _, err := dashboard.Parameters(schema, url.Values{"p.domain": {" acme.example "}, "p.seats": {"7"}, "p.region": {""}, "p.features": {"api", "audit"}, "p.limits": {`{"a": 1}`}, "p.unknown": {"x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"domain": "acme.example", "seats": int64(7), "sso": false, "features": []any{"api", "audit"}, "limits": map[string]any{"a": 1.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, wrong, err := dashboard.Parameters(schema, url.Values{"p.seats": {"many"}, "p.limits": {"{"}})
	if tenure.CodeOf(err) != tenure.Invalid || len(wrong) != 2 || wrong["seats"] == "" {
		t.Errorf("err %v, wrong %v", err, wrong)
	}
}
