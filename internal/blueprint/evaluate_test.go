package blueprint

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var update = flag.Bool("update", false, "write the golden files and the reference")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update writes it:\n%s", name, diff)
	}
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	d, err := compiled(t, shop(t)).Evaluate(input())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/shop.golden.json", append(got, '\n'))
}

// What a request makes of a blueprint is checked as the blueprint was: an
// expression is no way round a refusal.
func TestEvaluateRefuses(t *testing.T) {
	t.Parallel()
	text := func(name, schema string) string {
		return "    plan: {type: string, enum: [small, large]}\n    " + name + ": " + schema
	}
	tests := []struct {
		name   string
		edits  [][2]string
		params map[string]any
		want   []string
	}{
		{"a value beyond the type's bounds", nil, map[string]any{"seats": 600}, []string{
			"$.resources[1].attributes.limit: in prod: must be at most 1000", "$.resources[1].attributes.limit: in test: must be at most 1000",
		}},
		{"exposed by a parameter", [][2]string{{"    plan: {type: string, enum: [small, large]}", text("open", "{type: boolean}")}, {"limit: ${params.seats * 2}", "public: ${has(params.open) && params.open}"}}, map[string]any{"open": true}, []string{
			"$.resources[1].attributes: in prod: public is true: everybody could read it", "$.resources[1].attributes: in test: public is true: everybody could read it",
		}},
		{"a blank name", [][2]string{{"name: ${tenant.name}-${env.name}-reports", "name: '${env.name == \"prod\" ? \" \" : tenant.name}'"}}, nil, []string{
			"$.resources[2].name: in prod: the name is blank",
		}},
		{"a control character", [][2]string{{"    plan: {type: string, enum: [small, large]}", text("city", "{type: string, default: x}")}, {"name: ${tenant.name}-${env.name}-reports", "name: ${tenant.name}-${params.city}"}}, map[string]any{"city": "a\nb"}, []string{
			"$.resources[2].name: in prod: the name \"acme-a\\nb\" holds a control character",
		}},
		{"two with one name", [][2]string{{"name: ${tenant.name}-${env.name}-reports", "name: ${[tenant.name, env.name].join('-')}"}}, nil, []string{
			`$.resources[2].name: prod/store and prod/reports would have the same name "acme-prod" in db`,
		}},
		{"environments with one name", [][2]string{{"name: ${tenant.name}-${env.name}\n    data", "name: \"${tenant.name}-${env.kind == 'x' ? 'y' : 'z'}\"\n    data"}}, nil, []string{
			`$.resources[1].name: prod/store and test/store would have the same name "acme-z" in db`,
			`$.resources[0].name: prod/key and test/key would have the same name "acme-z-key" in db`,
		}},
		{"a division by zero", [][2]string{{"${params.seats * 2}", "${10 / (params.seats - 5)}"}}, nil, []string{
			"$.resources[1].attributes.limit: in prod: ${10 / (params.seats - 5)} can't be evaluated: division by zero",
			"$.resources[1].attributes.limit: in test: ${10 / (params.seats - 5)} can't be evaluated: division by zero",
		}},
		{"an expression that costs too much", [][2]string{{"${params.labels.map(k, k + \"=\" + string(params.labels[k]))}", "${[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, string(a*b*c*d)))))}"}}, nil, []string{
			"$.resources[1].attributes.words: in prod: ${[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,1…} can't be evaluated: operation cancelled: actual cost limit exceeded",
			"$.resources[1].attributes.words: in test: ${[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,1…} can't be evaluated: operation cancelled: actual cost limit exceeded",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			yaml := shop(t)
			for _, e := range tt.edits {
				yaml = edit(t, yaml, e[0], e[1])
			}
			in := input()
			maps.Copy(in.Params, tt.params)
			_, err := compiled(t, yaml).Evaluate(in)
			if diff := cmp.Diff(tt.want, messages(t, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// Names that no tenant may have, and tiers that lack a feature, don't get as
// far as an expression.
func TestEvaluateRefusesTheTenant(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	in := input()
	in.Name = "Acme; drop table"
	if _, err := c.Evaluate(in); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a bad name: %v", err)
	}
	in = input()
	in.Tier, in.Features = "silver", map[string]bool{"reports": true}
	if _, err := c.Evaluate(in); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a feature of another tier: %v", err)
	}
}

// The same input gives the same bytes, however the maps in it are walked, and
// whatever is in it the resources stand in the order of their needs.
func TestEvaluateIsPure(t *testing.T) {
	t.Parallel()
	c := compiled(t, shop(t))
	other := compiled(t, shop(t))
	rapid.Check(t, func(rt *rapid.T) {
		in := input()
		in.Name = rapid.StringMatching(`[a-z][a-z0-9]{0,20}`).Draw(rt, "name")
		in.Organization = rapid.String().Draw(rt, "organization")
		in.Tier = rapid.SampledFrom([]string{"gold", "silver"}).Draw(rt, "tier")
		labels := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}`), rapid.StringMatching(`[ -~]{0,20}`), 0, 20).Draw(rt, "labels")
		in.Params = map[string]any{"plan": "small", "seats": rapid.IntRange(1, 500).Draw(rt, "seats"), "labels": anyMap(labels)}
		if rapid.Bool().Draw(rt, "hook") {
			in.Params["webhook"] = "https://hook.test/x"
		}
		first, err := c.Evaluate(in)
		if err != nil {
			rt.Fatal(err)
		}
		want, err := tenure.Canonical(first)
		if err != nil {
			rt.Fatal(err)
		}
		for range 3 {
			again, err := other.Evaluate(in)
			if err != nil {
				rt.Fatal(err)
			}
			if got, _ := tenure.Canonical(again); string(got) != string(want) {
				rt.Fatalf("first %s\nthen %s", want, got)
			}
		}
		for _, env := range first.Environments {
			seen := map[string]bool{}
			for _, r := range env.Resources {
				for _, n := range r.Needs {
					if !seen[n] {
						rt.Fatalf("%s/%s stands before %s, which it needs", env.Name, r.Key, n)
					}
				}
				seen[r.Key] = true
			}
		}
	})
}

func TestCredentialOf(t *testing.T) {
	t.Parallel()
	d, err := compiled(t, shop(t)).Evaluate(input())
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := CredentialOf(d.Environments[0].Outputs["apiKey"]); !ok || key != "key" {
		t.Errorf("apiKey stands for the credential of %q, %v", key, ok)
	}
	if key, ok := CredentialOf(d.Environments[0].Outputs["url"]); ok {
		t.Errorf("url stands for the credential of %q", key)
	}
}
