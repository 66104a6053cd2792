package proposal_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/proposal"
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
	bind := func(name string, things ...survey.Thing) proposal.Binding {
		t.Helper()
		out := proposal.Bind(&survey.Report{Tenants: []survey.Tenant{{Name: name, Listed: []string{"crm"}, Things: things}}}, b)
		if len(out.Tenants) != 1 {
			t.Fatalf("%d bindings", len(out.Tenants))
		}
		return out.Tenants[0]
	}
	got := bind("Acme Ltd", thing("schema", "t_acme"), thing("schema", "t_acme_old"), thing("rows", "42"), thing("role", "acme-42"), thing("role", "r_42"))
	want := proposal.Binding{
		Name: "acme-ltd", Organization: "Acme Ltd",
		Parameters: []proposal.Parameter{{Name: "login", Value: "?", Why: "nothing in the survey tells it"}, {Name: "number", Value: "42", Why: "rows 42 in db"}, {Name: "slug", Value: "acme", Why: "schema t_acme in db"}},
		Adopts:     []string{"schema t_acme in db as prod/data", "schema t_acme_old in db as prod/old", "rows 42 in db as prod/rows"},
		Missing:    []string{"prod/both: role ${params.slug}-${params.number} in db", "prod/said: role r_${string(params.number)} in db"},
		LeavesOut:  []string{"role acme-42 in db", "role r_42 in db"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got = bind("birch", thing("schema", "t_birch"), thing("schema", "t_beech"), thing("rows", "forty"))
	for _, p := range got.Parameters {
		if p.Value != proposal.Unknown {
			t.Errorf("%s is told as %q: %s", p.Name, p.Value, p.Why)
		}
		if p.Name == "slug" && (!strings.Contains(p.Why, "t_birch") || !strings.Contains(p.Why, "t_beech")) {
			t.Errorf("what stands there isn't said: %q", p.Why)
		}
	}
	if len(got.LeavesOut) != 2 {
		t.Errorf("left out: %q", got.LeavesOut)
	}
	if got := bind("株式会社"); got.Name != proposal.Unknown && tenure.CheckTenantName(got.Name) != nil {
		t.Errorf("a name that no tenant may have: %q", got.Name)
	}
}

// What is adopted along with rows or with what it is inside isn't left out; other rows are
// named with their table. A tenant without a thing that the blueprint needs doesn't fit it,
// if the survey would have told the thing. A slug comes from the lists where no thing tells it.
func TestBindFits(t *testing.T) {
	t.Parallel()
	b := &tenure.Blueprint{
		Name: "small", Version: "1", Environments: []tenure.Environment{{Name: "prod", Kind: "production"}},
		Parameters: map[string]any{"required": []any{"slug", "name", "number"}, "properties": map[string]any{"slug": map[string]any{"type": "string"}, "name": map[string]any{"type": "string"}, "number": map[string]any{"type": "integer"}}},
		Resources: []tenure.ResourceSpec{
			{Key: "rows", System: "db", Type: "rows", Name: "rows-${params.number}", Attributes: map[string]any{"key": "${params.number}", "tables": map[string]any{"orders": "trade", "sales.notes": "trade"}}},
			{Key: "files", System: "files", Type: "folder", Name: "f-${params.number}"},
			{Key: "may", System: "db", Type: "grant", Name: "may-${params.number}"},
			{Key: "extra", System: "files", Type: "folder", Name: "x-${params.number}", When: "params.extra"},
		},
	}
	rows := func(key, table string) survey.Thing {
		return survey.Thing{System: "db", Kind: "rows", Type: "rows", Word: "rows", Name: key, In: "table " + table}
	}
	folder := survey.Thing{System: "files", Kind: "place", Type: "folder", Word: "folder", Name: "f-5"}
	tenants := []survey.Tenant{
		{Name: "Acme Ltd", Also: []string{"5", "acme", "0f8fad5b-d9cb-469f-a165-70867728950e"}, Listed: []string{"crm"}, Things: []survey.Thing{
			rows("5", "orders"), rows("5", "notes"), rows("5", "visits"), folder, {System: "db", Kind: "account", Word: "row", Name: "ann", In: "table orders"},
			{System: "files", Kind: "place", Word: "file", Name: "a.txt", In: "folder f-5"},
		}},
		{Name: "birch", Listed: []string{"crm"}, Things: []survey.Thing{rows("6", "orders")}},
		{Name: "cedar", Listed: []string{"crm"}, Things: []survey.Thing{rows("7", "orders"), {System: "files", Kind: "place", Type: "folder", Word: "folder", Name: "f-8"}}},
	}
	got := proposal.Bind(&survey.Report{Tenants: tenants}, b)
	if len(got.Tenants) != 3 {
		t.Fatalf("%+v", got)
	}
	if got.Tenants[2].Unfit != "" {
		t.Errorf("unfit: %q; a person decides between 7 and 8, and everything is there", got.Tenants[2].Unfit)
	}
	want := proposal.Binding{
		Name: "acme-ltd", Organization: "Acme Ltd",
		Parameters: []proposal.Parameter{{Name: "name", Value: "Acme Ltd", Why: "the customer list calls it so"}, {Name: "number", Value: "5", Why: "rows 5 in table orders in db"}, {Name: "slug", Value: "acme", Why: "the customer list"}},
		Adopts:     []string{"rows 5 in table orders in db as prod/rows", "folder f-5 in files as prod/files"},
		Missing:    []string{"prod/may: grant may-${params.number} in db", "prod/extra: folder x-${params.number} in files"},
		LeavesOut:  []string{"rows 5 in table visits in db"},
	}
	if d := cmp.Diff(want, got.Tenants[0]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got.Tenants[1].Unfit != "the blueprint needs prod/files: folder f-${params.number} in files" {
		t.Errorf("unfit: %q", got.Tenants[1].Unfit)
	}
	part := proposal.Bind(&survey.Report{Tenants: tenants, Systems: []survey.System{{Name: "files", Says: []string{"not read"}}}}, b)
	if part.Tenants[1].Unfit != "" {
		t.Errorf("what wasn't read may exist: %q", part.Tenants[1].Unfit)
	}
}
