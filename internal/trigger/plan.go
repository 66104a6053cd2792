package trigger

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/expression"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/source"
)

// Plan is what a customer gets who has bought a product, in the blueprint's words.
type Plan struct {
	Title      string          `json:"title"`
	Tier       string          `json:"tier"`
	Features   map[string]bool `json:"features"`
	Parameters map[string]any  `json:"parameters"`
}

// bought puts what a customer has bought into an intent, in the place of nothing that the rule
// itself says. Several products add up: a feature that one of them gives is there. A feature
// that the table names, and none of them gives, is off. Unless why is "", the event is held
// for it: a product that the table doesn't know, or products that contradict each other.
func (m *Match) bought(from string, in *lifecycle.Intent) (why string, err error) {
	if from == "" {
		return "", nil
	}
	v, err := m.scope.value(from)
	switch {
	case err != nil && expression.Missing(err):
		return "the event doesn't say what was bought: " + err.Error(), nil
	case err != nil:
		return "", err
	}
	names, why := products(v)
	if why != "" {
		return why, nil
	}
	features, parameters := map[string]bool{}, map[string]any{}
	for _, p := range m.Set.Plans {
		for name := range p.Features {
			features[name] = false
		}
	}
	tier, tierOf := "", ""
	for _, name := range names {
		p, known := m.Set.Plans[name]
		if !known {
			return fmt.Sprintf("%q isn't among the plans of the rules %s: add it there, publish them, and have the event decided anew", source.Clip(name), m.Set.Name), nil
		}
		if p.Tier != "" && tier != "" && p.Tier != tier {
			return fmt.Sprintf("the plans %s and %s give two tiers, %s and %s", tierOf, name, tier, p.Tier), nil
		}
		if p.Tier != "" {
			tier, tierOf = p.Tier, name
		}
		for feature, on := range p.Features {
			features[feature] = features[feature] || on
		}
		for parameter, v := range p.Parameters {
			if had, twice := parameters[parameter]; twice && !reflect.DeepEqual(had, v) {
				return fmt.Sprintf("two of the plans %s give the parameter %s, and not the same", strings.Join(names, ", "), parameter), nil
			}
			parameters[parameter] = v
		}
	}
	maps.Copy(features, in.Features)
	maps.Copy(parameters, in.Parameters)
	if len(features) > 0 {
		in.Features = features
	}
	if len(parameters) > 0 {
		in.Parameters = parameters
	}
	if in.Tier == "" {
		in.Tier = tier
	}
	return "", nil
}

// products are the names that a text gave: one, or a list of them.
func products(v any) (out []string, why string) {
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	for _, e := range list {
		name, ok := e.(string)
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, "the event doesn't name what was bought"
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, "the event doesn't name what was bought"
	}
	slices.Sort(out)
	return out, ""
}

// gives says in words what an intent gives its tenant, as tests write it.
func gives(in lifecycle.Intent) string {
	var out []string
	if in.Tier != "" {
		out = append(out, "tier "+in.Tier)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Features)) {
		word := "without "
		if in.Features[name] {
			word = "feature "
		}
		out = append(out, word+name)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Parameters)) {
		text, err := tenure.Canonical(in.Parameters[name])
		if err != nil {
			text = fmt.Append(nil, in.Parameters[name])
		}
		out = append(out, name+" "+strings.Trim(string(text), `"`))
	}
	return strings.Join(out, ", ")
}
