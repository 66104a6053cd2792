package relational

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// Vantage is what one of a tenant's stores says of the tables to which a trigger on
// the table of a record may copy it. Every table but "*" is named with its schema.
type Vantage struct {
	Tenancy
	Coverage
}

// Vantages are those of a record: of each of the tenant's stores of the given types
// beside it, and first that of nobody, from which no table is covered. The row is
// found as the store's rows are if the record puts the store's key into a column.
func Vantages(r connector.Ref, beside []connector.Ref, home string, types ...string) []Vantage {
	var own struct {
		Key, Values map[string]any
		Triggers    map[string]string
	}
	if text, err := json.Marshal(r.Attributes); err != nil || json.Unmarshal(text, &own) != nil {
		return nil
	}
	table := RecordTable(r, home)
	out := []Vantage{{Tenancy{Home: table.Schema}, Coverage{Triggers: own.Triggers}}}
	for _, b := range beside {
		var a struct {
			Schema, Column, Key string
			Coverage
		}
		if text, err := json.Marshal(b.Attributes); err != nil || !slices.Contains(types, b.Type) || json.Unmarshal(text, &a) != nil {
			continue
		}
		v := Vantage{Tenancy{Home: table.Schema, Column: a.Column, Key: a.Key}, Coverage{Aliases: a.Aliases, Triggers: own.Triggers}}
		if b.Type == "schema" {
			a.Schema = b.Name
			v.Own = func(n TableName) bool { return n.Schema == b.Name }
		}
		full := func(name string) string {
			if name == Every || a.Schema == "" || strings.Contains(name, ".") {
				return name
			}
			return a.Schema + "." + name
		}
		v.Tables, v.Columns = renamed(a.Tables, full), renamed(a.Columns, full)
		for _, name := range a.Shared {
			v.Shared = append(v.Shared, full(name))
		}
		v.Columns[table.String()] = columnOf(a.Key, own.Key, own.Values)
		out = append(out, v)
	}
	return out
}

// columnOf is the first column that has the key; "" if none has.
func columnOf(key string, values ...map[string]any) string {
	for _, m := range values {
		for _, c := range slices.Sorted(maps.Keys(m)) {
			if key != "" && text(m[c]) == key {
				return c
			}
		}
	}
	return ""
}

// Standing are the places of the triggers that stand from every vantage, each by
// its name; of those from several, in the words of the last in which another class
// covers what the first doesn't know.
func Standing(all [][]connector.Place) []connector.Place {
	if len(all) == 0 {
		return nil
	}
	out := slices.DeleteFunc(slices.Clone(all[0]), func(p connector.Place) bool { return !p.Blocks })
	for _, seen := range all[1:] {
		out = slices.DeleteFunc(out, func(p connector.Place) bool {
			return !slices.ContainsFunc(seen, func(o connector.Place) bool { return o.Blocks && o.Name == p.Name })
		})
	}
	for i, p := range out {
		for _, seen := range all[1:] {
			at := slices.IndexFunc(seen, func(o connector.Place) bool { return o.Blocks && o.Name == p.Name })
			if !strings.Contains(seen[at].Says, "no data class covers") {
				out[i] = seen[at]
			}
		}
		if rest, ok := strings.CutPrefix(out[i].Fix, "tables:"); ok {
			out[i].Fix = "in the tenant's resource of type rows: tables:" + rest
		}
	}
	return out
}
