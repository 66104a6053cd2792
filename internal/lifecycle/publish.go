package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// fits compares a revision with the catalogs of the systems that have been added; there
// is no tenant yet, so no rows are counted. Places that would block a departure make
// it Blocked, each with the line to add. It returns in words what can't be erased and
// what couldn't be compared.
func (s *Service) fits(ctx context.Context, c *blueprint.Compiled) (says []string, err error) {
	said := func(format string, args ...any) { says = append(says, fmt.Sprintf(format, args...)) }
	desired, asked, err := s.placeholder(c)
	if err != nil {
		said("no store was compared with the systems, since that takes a tenant: %v", err)
		return says, nil
	}
	var all []tenure.Resource
	for _, env := range desired.Environments {
		for _, r := range env.Resources {
			row := tenure.Resource{Environment: env.Name, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name}
			if row.Desired, err = tenure.Canonical(r.Attributes); err != nil {
				return nil, err
			}
			all = append(all, row)
		}
	}
	var open []string
	looked := make(map[string]bool)
	for _, env := range desired.Environments {
		for _, r := range env.Resources {
			sys, err := s.system(ctx, r.System)
			if err != nil {
				if !looked[r.System] {
					said("system %s wasn't compared: %v", r.System, err)
				}
				looked[r.System] = true
				continue
			}
			row := tenure.Resource{Environment: env.Name, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name}
			v := surveyed{resource: row, system: sys}
			if _, ok := mapped(sys, row); !ok {
				continue
			}
			if p := asked[r.Key]; p != "" {
				said("%s depends on the parameter %s, and is compared when a tenant comes", v.path(), p)
				continue
			}
			ask := connector.Survey{Ref: connector.Ref{Environment: env.Name, Type: r.Type, Name: r.Name, Attributes: r.Attributes, Classes: r.Data}, Search: searchPlanned, Beside: beside(all, row)}
			v.Map, _, err = sys.DataMap(ctx, ask)
			switch code := tenure.CodeOf(err); {
			case code == tenure.Invalid:
				return says, tenure.Errorf(tenure.Invalid, "%s: %w", v.path(), err)
			case err != nil:
				said("%s wasn't compared: %v", v.path(), err)
				continue
			}
			for _, p := range v.Places {
				if p.Blocks {
					open = append(open, v.line(p))
				} else if p.Says != "" {
					said("%s", v.line(p))
				}
			}
			if v.Partial != "" {
				said("%s was compared in part: %s", v.path(), v.Partial)
			}
		}
	}
	if slices.Sort(open); len(open) > 0 {
		return says, tenure.Errorf(tenure.Blocked, "%s can't be published: %s", c.Ref().Name+" "+c.Ref().Version, strings.Join(slices.Compact(open), "; ")).
			WithHint("cover each, say that it is shared, or settle it in the system; then submit the next revision")
	}
	slices.Sort(says)
	return slices.Compact(says), nil
}

// placeholder evaluates a revision for a tenant that doesn't exist, and says by key
// which resources depend on a parameter without a default.
func (s *Service) placeholder(c *blueprint.Compiled) (*blueprint.Desired, map[string]string, error) {
	properties, _ := c.Blueprint.Parameters["properties"].(map[string]any)
	params := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		schema, _ := properties[name].(map[string]any)
		if _, ok := schema["default"]; !ok {
			params[name] = sample(schema)
		}
	}
	required := c.Blueprint.Parameters["required"]
	asked := make(map[string]string)
	for _, r := range c.Blueprint.Resources {
		text, _ := json.Marshal([]any{r.Name, r.Attributes, r.When})
		for name := range params {
			if strings.Contains(string(text), "params."+name) {
				asked[r.Key] = name
			}
		}
	}
	for name := range params {
		if list, _ := required.([]any); !slices.Contains(list, any(name)) {
			delete(params, name)
		}
	}
	now := s.Now()
	t := tenure.Tenant{ID: tenure.DeriveID[tenure.TenantID](now, "placeholder"), Name: "placeholder"}
	d, err := s.evaluate(c, t, params, nil, func(env, key string) tenure.ResourceID {
		return tenure.DeriveID[tenure.ResourceID](now, "placeholder", env, key)
	})
	return d, asked, err
}

// sample is a value that a parameter's schema takes, if it is a simple one. What
// depends on it isn't compared.
func sample(schema map[string]any) any {
	if list, _ := schema["enum"].([]any); len(list) > 0 {
		return list[0]
	}
	if v, ok := schema["const"]; ok {
		return v
	}
	switch schema["type"] {
	case "integer", "number":
		if v, ok := schema["minimum"]; ok {
			return v
		}
		return 1
	case "boolean":
		return false
	case "array":
		return []any{}
	case "object":
		return map[string]any{}
	}
	n := 1
	switch v := schema["minLength"].(type) {
	case float64:
		n = int(v)
	case int64:
		n = int(v)
	case uint64:
		n = int(v)
	case int:
		n = v
	case json.Number:
		i, _ := v.Int64()
		n = int(i)
	}
	return strings.Repeat("x", max(n, 1))
}
