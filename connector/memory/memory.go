// Package memory is the reference connector: a system of a platform's usual
// things that lives in this process. It is the yardstick of the conformance
// suite, the place where faults are injected, and the target of benchmarks.
package memory

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Info is the connector. Each opening has a fresh World of its own, or the one
// that its option "file" keeps.
func Info() connector.Info {
	return info(func(c connector.Config) (*World, error) {
		w := NewWorld(c.Option("world"))
		if path := c.Option("file"); path != "" {
			return w, w.keepIn(path)
		}
		return w, nil
	})
}

// InfoOf is the connector to one given World, which tests look into, tamper
// with and inject faults into.
func InfoOf(w *World) connector.Info {
	return info(func(connector.Config) (*World, error) { return w, nil })
}

func info(world func(connector.Config) (*World, error)) connector.Info {
	return connector.Info{
		Name:    "memory",
		Version: "1",
		Tested:  connector.Live, How: "it is the system itself",
		Summary: "A system in Tenure's own process: for trials, tests and benchmarks.",
		Options: []connector.Option{
			{Name: "world", Help: "A word that begins the system's fingerprint; every opening is a world of its own, whatever the word."},
			{Name: "file", Help: "Where the world is kept as JSON, so that it survives a restart. It is replaced atomically after each change; one process at a time may use it."},
		},
		Types: types(),
		Probes: []connector.ProbeKind{
			{Name: "reachable", Help: "The credential opens its tenant's environment; a thing without one is there and in service.", Types: []string{"api_key", "account", "store"}},
			{Name: "isolation", Help: "The credential is refused at the sentinel neighbour.", Types: []string{"api_key", "account"}},
			{Name: "environment", Help: "The credential is refused at the environment of the second resource.", Types: []string{"api_key", "account"}},
			{Name: "entitlement", Help: "The credential is refused a feature that the tenant isn't entitled to. Params: feature."},
			{Name: "exposure", Help: "A caller without a credential is refused.", Types: []string{"store"}},
		},
		Open: func(_ context.Context, c connector.Config) (connector.Driver, error) {
			w, err := world(c)
			if err != nil {
				return nil, err
			}
			return &Driver{world: w, marker: c.Marker}, nil
		},
		Review: review,
	}
}

const (
	readBack  = "read back from the world's own table, in the pass that sees the sentinel and the fingerprint"
	goneAtOne = "the entry is removed from the world; nothing of it stays"
)

func types() []tenure.ResourceType {
	once := tenure.Recovery{Declared: true, Says: "can't be undone; a new one is issued instead"}
	plain := func(name, summary string, layer tenure.Layer, credential bool, attributes string) tenure.ResourceType {
		return tenure.ResourceType{
			Name: name, Summary: summary, Layer: layer, Credential: credential,
			Deletion: goneAtOne, Verification: readBack, Recovery: once, Holds: tenure.HoldsNothing, Attributes: attributes,
			Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: name}},
		}
	}
	store := plain("store", "Rows of data in classes.", tenure.LayerTransactional, false, schema(`"public":{"type":"boolean","default":false,"description":"Anyone may read it."},"region":{"type":"string"}`, ""))
	store.Holds, store.Whole = tenure.HoldsData, true
	store.Recovery = tenure.Recovery{Declared: true, Quarantine: true, Says: "set aside with its rows, out of reach, until it is deleted; brought back whole"}
	store.Cost = append(store.Cost, tenure.CostTerm{Metric: "bytes", Per: 1 << 30, Price: "gibibyte"})
	rows := plain("rows", "A tenant's share of rows that stand among others'.", tenure.LayerTransactional, false, schema(`"region":{"type":"string"}`, ""))
	rows.Holds = tenure.HoldsData
	rows.Deletion = "its rows are erased class by class; then the mark goes, and nothing of it stays"
	backup := plain("backup", "A series of copies, each of which expires.", tenure.LayerBackup, false, schema(`"keep":{"type":"string","description":"How long a copy is kept, as an ISO 8601 period."},"of":{"type":"string","description":"What it is a copy of."}`, `"keep"`))
	backup.Holds, backup.Copies = tenure.HoldsData, true
	backup.Recovery = tenure.Recovery{Declared: true, Says: "copies stay until they expire; after that nothing can be undone"}
	record := plain("record", "What others keep too, such as a deal: it may stay when its tenant leaves.", tenure.LayerConfiguration, false,
		schema(`"status":{"type":"string"},"environment":{"type":"string"},"date":{"type":"string","format":"date"},"note":{"type":"string"}`, ""))
	record.Record = true
	return []tenure.ResourceType{
		plain("api_key", "A key that a tenant's programs call with.", tenure.LayerKey, true, schema(`"scopes":{"type":"array","items":{"type":"string"}}`, "")),
		plain("session", "A signed-in session.", tenure.LayerSession, false, schema(`"account":{"type":"string"}`, "")),
		plain("account", "An account that signs in.", tenure.LayerAccount, true, schema(`"email":{"type":"string"},"roles":{"type":"array","items":{"type":"string"}}`, "")),
		plain("integration", "A hook that sends a tenant's events elsewhere.", tenure.LayerIntegration, false, schema(`"events":{"type":"array","items":{"type":"string"}},"url":{"type":"string"}`, "")),
		store,
		rows,
		plain("cache", "A copy of data for speed, with no rows of its own.", tenure.LayerAncillary, false, schema(`"entries":{"type":"integer","minimum":0}`, "")),
		backup,
		record,
		plain("setting", "One value, such as an entitlement or a policy.", tenure.LayerConfiguration, false,
			schema(`"feature":{"type":"string","description":"The feature that a true value entitles to."},"value":{"type":["string","number","boolean"]}`, `"value"`)),
	}
}

func schema(properties, required string) string {
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"properties":{` + properties + `},"required":[` + required + `]}`
}

// review names what is open to everyone or has more rights than one tenant needs.
func review(typ string, attributes map[string]any) []string {
	var reasons []string
	if v, ok := attributes["public"].(bool); ok && v {
		reasons = append(reasons, "public: anyone may read it")
	}
	for _, list := range []string{"scopes", "roles", "events"} {
		values, _ := attributes[list].([]any)
		for _, v := range values {
			if s, ok := v.(string); ok && (s == "*" || strings.HasSuffix(s, ":*") || s == "platform-admin") {
				reasons = append(reasons, list+": "+s+" reaches beyond one tenant's needs")
			}
		}
	}
	if u, ok := attributes["url"].(string); ok && typ == "integration" && strings.HasPrefix(u, "http://") {
		reasons = append(reasons, "url: events would travel unencrypted")
	}
	return reasons
}
