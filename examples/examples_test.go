// Package examples_test holds the examples against the connectors.
package examples_test

import (
	"os"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/all"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// A newcomer who publishes an example isn't refused, and a tenant of each tier
// gets what its tier has.
func TestExamples(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, tier       string
		prod, test       int // resources
		prodCheck, tests int // probes
	}{
		{"lowcode", "team", 14, 14, 7, 8},
		{"lowcode", "enterprise", 14, 14, 6, 7},
		{"postgres-saas", "team", 12, 11, 4, 5},
		{"postgres-saas", "enterprise", 14, 13, 4, 5},
		{"s3-documents", "team", 3, 0, 0, 0},
		{"lowcode-pocketbase", "team", 5, 5, 0, 0},
		{"existing-platform", "team", 3, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.tier, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(tt.name + "/blueprint.yaml")
			if err != nil {
				t.Fatal(err)
			}
			src, err := blueprint.Parse(raw, tt.name+"/blueprint.yaml")
			if err != nil {
				t.Fatal(err)
			}
			c, err := blueprint.Check(src, all.Catalog())
			if err != nil {
				t.Fatal(err)
			}
			in := blueprint.Input{
				Tenant: "ten_01890a5d-ac96-774b-bcce-b302099a8057", Name: "acme", Tier: tt.tier, Organization: "Acme Ltd",
				Params:     map[string]any{},
				Features:   map[string]bool{},
				ResourceID: func(env, key string) tenure.ResourceID { return tenure.ResourceID("res_" + env + key) },
			}
			switch tt.name {
			case "s3-documents":
			case "existing-platform":
				in.Params["slug"] = "acme"
			case "lowcode-pocketbase":
				in.Params["adminMail"] = "admin@acme.example"
			default:
				in.Params["adminLogin"] = "admin@acme.example"
			}
			if tt.name == "lowcode" && tt.tier == "enterprise" {
				in.Features["sso"] = true
			}
			d, err := c.Evaluate(in)
			if err != nil {
				t.Fatal(err)
			}
			prod, test := d.Environments[0], blueprint.Environment{}
			if len(d.Environments) > 1 {
				test = d.Environments[1]
			}
			if got := [4]int{len(prod.Resources), len(test.Resources), len(prod.Probes), len(test.Probes)}; got != [4]int{tt.prod, tt.test, tt.prodCheck, tt.tests} {
				t.Errorf("resources and probes of prod and test: %v", got)
			}
		})
	}
}
