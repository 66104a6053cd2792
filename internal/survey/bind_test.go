package survey_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/survey"
)

// A parameter is told by the narrowest name that a thing fits, by the key of rows, and never
// by a name with two unknowns; where two things differ a person is asked, and what would be
// adopted for neither is left out.
func TestBind(t *testing.T) {
	t.Parallel()
	b := &tenure.Blueprint{
		Name: "small", Version: "1", Environments: []tenure.Environment{{Name: "prod", Kind: "production"}},
		Parameters: map[string]any{"required": []any{"slug", "number", "login"}, "properties": map[string]any{
			"slug": map[string]any{"type": "string"}, "number": map[string]any{"type": "integer"}, "login": map[string]any{"type": "string"},
			"seats": map[string]any{"type": "integer", "default": 5}, "note": map[string]any{"type": "string"},
		}},
		Resources: []tenure.ResourceSpec{
			{Key: "data", System: "db", Type: "schema", Name: "t_${params.slug}"},
			{Key: "old", System: "db", Type: "schema", Name: "t_${ params.slug }_old"},
			{Key: "rows", System: "db", Type: "rows", Name: "rows-${params.slug}", Attributes: map[string]any{"key": "${params.number}"}},
			{Key: "both", System: "db", Type: "role", Name: "${params.slug}-${params.number}"},
			{Key: "said", System: "db", Type: "role", Name: "r_${string(params.number)}"},
		},
	}
	thing := func(typ, name string) survey.Thing {
		return survey.Thing{System: "db", Kind: "place", Type: typ, Word: typ, Name: name}
	}
	bind := func(name string, things ...survey.Thing) survey.Binding {
		t.Helper()
		out := survey.Bind(&survey.Report{Tenants: []survey.Tenant{{Name: name, Listed: []string{"crm"}, Things: things}}}, b)
		if len(out.Tenants) != 1 {
			t.Fatalf("%d bindings", len(out.Tenants))
		}
		return out.Tenants[0]
	}
	got := bind("Acme Ltd", thing("schema", "t_acme"), thing("schema", "t_acme_old"), thing("rows", "42"), thing("role", "acme-42"), thing("role", "r_42"))
	want := survey.Binding{
		Name: "acme-ltd", Organization: "Acme Ltd",
		Parameters: []survey.Parameter{{Name: "login", Value: "?", Why: "no name tells it"}, {Name: "number", Value: "42", Why: "rows 42 in db"}, {Name: "slug", Value: "acme", Why: "schema t_acme in db"}},
		Adopts:     []string{"schema t_acme in db as prod/data", "schema t_acme_old in db as prod/old", "rows 42 in db as prod/rows"},
		Missing:    []string{"prod/both: role ${params.slug}-${params.number} in db", "prod/said: role r_${string(params.number)} in db"},
		LeavesOut:  []string{"role acme-42 in db", "role r_42 in db"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got = bind("birch", thing("schema", "t_birch"), thing("schema", "t_beech"), thing("rows", "forty"))
	for _, p := range got.Parameters {
		if p.Value != survey.Unknown {
			t.Errorf("%s is told as %q: %s", p.Name, p.Value, p.Why)
		}
		if p.Name == "slug" && (!strings.Contains(p.Why, "t_birch") || !strings.Contains(p.Why, "t_beech")) {
			t.Errorf("what stands there isn't said: %q", p.Why)
		}
	}
	if len(got.LeavesOut) != 2 {
		t.Errorf("left out: %q", got.LeavesOut)
	}
	if got := bind("株式会社"); got.Name != survey.Unknown && tenure.CheckTenantName(got.Name) != nil {
		t.Errorf("a name that no tenant may have: %q", got.Name)
	}
}
