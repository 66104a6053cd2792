package tenure

import (
	"maps"
	"slices"
)

// Coverage is an addition, for one tenant alone, to what its blueprint says of a
// store that holds its data: tables with their data classes, and how their rows are
// found. It only adds: where the blueprint says something of a name, that stays.
type Coverage struct {
	Tables  map[string]string `json:"tables,omitempty"`  // name: data class
	Columns map[string]string `json:"columns,omitempty"` // table: its tenant column
	Links   map[string]string `json:"links,omitempty"`   // table.column: follow, detach or block
	Derived map[string]string `json:"derived,omitempty"` // view: refresh
	Shared  []string          `json:"shared,omitempty"`  // tables that belong to no tenant
	Aliases []string          `json:"aliases,omitempty"` // other names of the tenant column
}

// Empty says that it adds nothing.
func (c Coverage) Empty() bool {
	return len(c.Tables)+len(c.Columns)+len(c.Links)+len(c.Derived)+len(c.Shared)+len(c.Aliases) == 0
}

// Into returns a resource's attributes with the addition, and leaves the given ones
// unchanged.
func (c Coverage) Into(attributes map[string]any) map[string]any {
	out := maps.Clone(attributes)
	if out == nil {
		out = make(map[string]any)
	}
	for key, added := range map[string]map[string]string{"tables": c.Tables, "columns": c.Columns, "links": c.Links, "derived": c.Derived} {
		if len(added) == 0 {
			continue
		}
		merged := make(map[string]any, len(added))
		for k, v := range added {
			merged[k] = v
		}
		have, _ := out[key].(map[string]any)
		maps.Copy(merged, have)
		out[key] = merged
	}
	for key, added := range map[string][]string{"shared": c.Shared, "aliases": c.Aliases} {
		if len(added) == 0 {
			continue
		}
		have, _ := out[key].([]any)
		merged := slices.Clone(have)
		for _, name := range added {
			if !slices.Contains(merged, any(name)) {
				merged = append(merged, name)
			}
		}
		out[key] = merged
	}
	return out
}
