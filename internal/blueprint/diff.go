package blueprint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// Diff says what differs between two revisions, one line for each place, in a
// fixed order. Resource is the part of the blueprint, such as resources/db or
// dataClasses/orders; Field is the place in it; what isn't there is "".
func Diff(a, b *tenure.Blueprint) []tenure.Difference {
	from, to := flatten(a), flatten(b)
	all := map[[2]string]bool{}
	for k := range from {
		all[k] = true
	}
	for k := range to {
		all[k] = true
	}
	var out []tenure.Difference
	for _, k := range sortedPairs(all) {
		if from[k] != to[k] {
			out = append(out, tenure.Difference{Resource: k[0], Field: k[1], From: brief(from[k]), To: brief(to[k])})
		}
	}
	return out
}

// named are the lists whose entries go by a name, with the key that holds it.
var named = map[string]string{"resources": "key", "environments": "name", "probes": "name", "dataClasses": "name", "retention": "name", "end": "name", "rules": "name", "notices": "on"}

func flatten(bp *tenure.Blueprint) map[[2]string]string {
	out := map[[2]string]string{}
	if bp == nil {
		return out
	}
	raw, err := json.Marshal(bp)
	if err != nil {
		return out
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return out
	}
	for section, v := range doc {
		switch v := v.(type) {
		case map[string]any:
			for name, e := range v {
				flattenInto(out, section+"/"+name, "", e)
			}
		case []any:
			names := entryNames(section, v)
			for i, e := range v {
				flattenInto(out, section+"/"+names[i], "", e)
			}
		default:
			flattenInto(out, section, "", v)
		}
	}
	return out
}

// entryNames are how the entries of a list are called: by their name, or by
// their place; a number tells those of one name apart.
func entryNames(list string, entries []any) []string {
	out := make([]string, len(entries))
	seen := map[string]int{}
	for i, e := range entries {
		name := strconv.Itoa(i + 1)
		switch e := e.(type) {
		case map[string]any:
			if s, ok := e[named[list]].(string); ok {
				name = s
			}
		case string:
			name = e
		}
		if seen[name]++; seen[name] > 1 {
			name += " " + strconv.Itoa(seen[name])
		}
		out[i] = name
	}
	return out
}

func flattenInto(out map[[2]string]string, resource, field string, v any) {
	join := func(step string) string { return strings.TrimPrefix(field+"."+step, ".") }
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			flattenInto(out, resource, join(name), e)
		}
	case []any:
		last := field[strings.LastIndexByte(field, '.')+1:]
		names := entryNames(last, v)
		for i, e := range v {
			flattenInto(out, resource, join(names[i]), e)
		}
	case string:
		out[[2]string{resource, field}] = v
	default:
		out[[2]string{resource, field}] = fmt.Sprint(v)
	}
}

// brief shortens a long value and says how it can still be told apart.
func brief(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "⏎")
	if r := []rune(s); len(r) > 120 {
		return fmt.Sprintf("%s… (%d characters, %s)", string(r[:80]), len(r), tenure.Digest([]byte(s))[:19])
	}
	return s
}

// sortedPairs is a set of pairs in order.
func sortedPairs(m map[[2]string]bool) [][2]string {
	return slices.SortedFunc(maps.Keys(m), func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
}
