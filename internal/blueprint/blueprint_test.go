package blueprint

import (
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// catalog is two connectors that do nothing and declare everything, and types
// that leave one thing out each.
func catalog() []connector.Info {
	declared := tenure.ResourceType{
		Deletion: "the row goes", Verification: "it is read back", Recovery: tenure.Recovery{Declared: true}, Holds: tenure.HoldsNothing,
	}
	typ := func(name string, change func(*tenure.ResourceType)) tenure.ResourceType {
		t := declared
		t.Name, t.Layer = name, tenure.LayerConfiguration
		change(&t)
		return t
	}
	const store = `{"type": "object", "additionalProperties": false, "properties": {
		"limit": {"type": "integer", "minimum": 1, "maximum": 1000},
		"note": {"type": "string"},
		"ddl": {"type": "string"},
		"public": {"type": "boolean"},
		"words": {"type": "array", "items": {"type": "string"}},
		"tables": {"type": "object", "additionalProperties": {"type": "string"}},
		"mode": {"enum": ["fast", "safe"]},
		"size": {"oneOf": [{"type": "integer"}, {"type": "object", "required": ["from"], "additionalProperties": false, "properties": {"from": {"type": "integer"}}}]}
	}}`
	return []connector.Info{
		{
			Name: "fake", Version: "1",
			Remnants: []connector.RemnantInfo{{Kind: tenure.RemnantRows, Help: "dead rows", Clean: "vacuum"}, {Kind: tenure.RemnantLog, Help: "the log"}},
			Types: []tenure.ResourceType{
				typ("store", func(t *tenure.ResourceType) {
					t.Holds, t.Attributes, t.Layer = tenure.HoldsData, store, tenure.LayerTransactional
				}),
				typ("api_key", func(t *tenure.ResourceType) {
					t.Credential, t.Layer = true, tenure.LayerKey
					t.Attributes = `{"type": "object", "additionalProperties": false, "required": ["store"], "properties": {"store": {"type": "string", "pattern": "^res_"}}}`
				}),
				typ("hook", func(t *tenure.ResourceType) {}),
				typ("undeletable", func(t *tenure.ResourceType) { t.Deletion = " " }),
				typ("unseen", func(t *tenure.ResourceType) { t.Verification = "" }),
				typ("unrecovered", func(t *tenure.ResourceType) { t.Recovery = tenure.Recovery{} }),
			},
			Review: func(_ string, a map[string]any) []string {
				if a["public"] == true {
					return []string{"public is true: everybody could read it"}
				}
				return nil
			},
		},
		{Name: "fakeweb", Version: "1", Probes: []connector.ProbeKind{{Name: "http"}, {Name: "reachable"}}},
	}
}

func shop(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compiled(t testing.TB, yaml string) *Compiled {
	t.Helper()
	src, err := Parse([]byte(yaml), "shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Check(src, catalog())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func input() Input {
	return Input{
		Tenant: "ten_01890a5d-ac96-774b-bcce-b302099a8057", Name: "acme", Tier: "gold", Organization: "Acme Ltd",
		Installation: "ins_01890a5d-ac96-774b-bcce-b302099a8057",
		Params:       map[string]any{"plan": "small"},
		ResourceID: func(env, key string) tenure.ResourceID {
			return tenure.DeriveID[tenure.ResourceID](epoch, env, key)
		},
	}
}

// edit replaces a part of the shop, which must be there.
func edit(t testing.TB, yaml, old, new string) string {
	t.Helper()
	if !strings.Contains(yaml, old) {
		t.Fatalf("the shop has no %q", old)
	}
	return strings.Replace(yaml, old, new, 1)
}
