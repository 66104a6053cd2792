package relational

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// SharedTables are the tables that resources cover by name and that don't go with a store
// of the tenant's own, as they may be called: one with a dot in its name may be another
// schema's. Home is where the bare names of rows stand whose attributes say no schema.
func SharedTables(refs []connector.Ref, home string) (out []TableName) {
	add := func(schema, name string) {
		if n := (TableName{Schema: schema, Name: name}); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, r := range refs {
		var a struct {
			Schema string         `json:"schema"`
			Table  string         `json:"table"` // of a record
			Tables map[string]any `json:"tables"`
		}
		raw, err := json.Marshal(r.Attributes)
		if err != nil || json.Unmarshal(raw, &a) != nil {
			continue // what can't be read was never erased
		}
		if a.Tables == nil {
			a.Tables = map[string]any{}
		}
		if a.Table != "" {
			a.Tables[a.Table] = nil
		}
		for name := range a.Tables {
			if a.Table != "" || r.Type == "rows" {
				add(cmp.Or(a.Schema, home), name)
			}
			if first, rest, dotted := strings.Cut(name, "."); dotted {
				add(first, rest)
			}
		}
	}
	slices.SortFunc(out, func(a, b TableName) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// SharedPairs are SharedTables as an SQL list of (schema, name); "" is none.
func SharedPairs(refs []connector.Ref, home string, literal func(string) string) string {
	var out []string
	for _, n := range SharedTables(refs, home) {
		out = append(out, "("+literal(n.Schema)+", "+literal(n.Name)+")")
	}
	return strings.Join(out, ", ")
}
