// Package examples_test holds the examples against the real connectors.
package examples_test

import (
	"os"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/filesystem"
	"github.com/tenurehq/tenure/connector/relational"
	"github.com/tenurehq/tenure/internal/blueprint"
)

func cat() []connector.Info {
	ty := func(n string, cred bool) tenure.ResourceType {
		return tenure.ResourceType{Name: n, Deletion: "x", Verification: "x", Recovery: tenure.Recovery{Declared: true}, Holds: tenure.HoldsNothing, Credential: cred}
	}
	d := func(n string) tenure.ResourceType { t := ty(n, false); t.Holds = tenure.HoldsData; return t }
	return []connector.Info{filesystem.Info(), {Name: "http", Probes: []connector.ProbeKind{{Name: "http"}}},
		{Name: "sqlite", Types: append(relational.RecordTypes(false), d("database"), d("rows"))},
		{Name: "postgres", Types: append(relational.RecordTypes(true), d("database"), d("schema"), ty("role", true), ty("grant", false), ty("policy", false), d("rows")), Probes: []connector.ProbeKind{{Name: "sql"}}},
	}
}

func TestExamples(t *testing.T) {
	for _, name := range []string{"lowcode", "postgres-saas"} {
		raw, err := os.ReadFile(name + "/blueprint.yaml")
		if err != nil {
			t.Fatal(err)
		}
		src, err := blueprint.Parse(raw, name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := blueprint.Check(src, cat())
		if err != nil {
			t.Fatal(err)
		}
		for _, tier := range []string{"", "enterprise"} {
			d, err := c.Evaluate(blueprint.Input{Tenant: "ten_1", Name: "acme", Tier: tier, Params: map[string]any{"adminLogin": "admin@acme.example"}, ResourceID: func(e, k string) tenure.ResourceID { return tenure.ResourceID(e + k) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range d.Environments {
				t.Log(name, e.Name, len(e.Resources), len(e.Probes), e.Outputs)
			}
		}
	}
}
