package tenure

import (
	"fmt"
	"maps"
	"slices"
)

// Addition is an addition, for one tenant alone, to what its blueprint says of a
// store that holds its data: tables with their data classes, and how their rows are
// found. It only adds: where the blueprint says something of a name, that stays.
type Addition struct {
	Tables   map[string]string `json:"tables,omitempty"`   // name: data class
	Columns  map[string]string `json:"columns,omitempty"`  // table: its tenant column
	Links    map[string]string `json:"links,omitempty"`    // table.column: follow, detach or block
	Derived  map[string]string `json:"derived,omitempty"`  // view: refresh
	Triggers map[string]string `json:"triggers,omitempty"` // table.trigger: ignore
	Shared   []string          `json:"shared,omitempty"`   // tables that belong to no tenant
	Aliases  []string          `json:"aliases,omitempty"`  // other names of the tenant column
}

// Empty says that it adds nothing.
func (c Addition) Empty() bool {
	return len(c.Tables)+len(c.Columns)+len(c.Links)+len(c.Derived)+len(c.Triggers)+len(c.Shared)+len(c.Aliases) == 0
}

// maps are the attributes that an addition adds to by name.
func (c Addition) maps() map[string]map[string]string {
	return map[string]map[string]string{"tables": c.Tables, "columns": c.Columns, "links": c.Links, "derived": c.Derived, "triggers": c.Triggers}
}

// Contradicts names what the attributes say otherwise of a name that the addition
// adds, such as "tables: {notes: orders}"; blank if nothing. There it has no effect.
func (c Addition) Contradicts(attributes map[string]any) string {
	all := c.maps()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		have, _ := attributes[key].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(all[key])) {
			if was, ok := have[name]; ok && was != any(all[key][name]) {
				return fmt.Sprintf("%s: {%s: %v}", key, name, was)
			}
		}
	}
	return ""
}

// Into returns a resource's attributes with the addition, and leaves the given ones
// unchanged.
func (c Addition) Into(attributes map[string]any) map[string]any {
	out := maps.Clone(attributes)
	if out == nil {
		out = make(map[string]any)
	}
	for key, added := range c.maps() {
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
