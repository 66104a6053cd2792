package lifecycle

import (
	"encoding/json"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// placeholder evaluates a revision for a tenant that there isn't. By key it says
// which resources depend on a parameter without a default in more than their name
// and their tenant key, which a catalog isn't asked for. Spelled says in a text what the
// blueprint says where the text has that tenant's name or ids.
func (s *Service) placeholder(c *blueprint.Compiled) (d *blueprint.Desired, asked map[string]string, spelled func(string) string, err error) {
	properties, _ := c.Blueprint.Parameters["properties"].(map[string]any)
	required, _ := c.Blueprint.Parameters["required"].([]any)
	resources, _ := json.Marshal(c.Blueprint.Resources)
	params := make(map[string]any)
	asked = make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		schema, _ := properties[name].(map[string]any)
		if _, ok := schema["default"]; ok || !slices.Contains(required, any(name)) && !strings.Contains(string(resources), "params."+name) {
			continue
		}
		params[name] = sample(schema)
		for _, r := range c.Blueprint.Resources {
			attributes := maps.Clone(r.Attributes)
			delete(attributes, "key")
			if text, _ := json.Marshal([]any{attributes, r.When}); strings.Contains(string(text), "params."+name) {
				asked[r.Key] = name
			}
		}
	}
	now := s.Now()
	t := tenure.Tenant{ID: tenure.DeriveID[tenure.TenantID](now, stand), Name: stand}
	stands := map[string]string{string(t.ID): "${tenant.id}", stand: "${tenant.name}"}
	d, err = s.evaluate(c, t, tenure.Onboard, params, nil, nil, func(env, key string) tenure.ResourceID {
		id := tenure.DeriveID[tenure.ResourceID](now, stand, env, key)
		stands[string(id)] = "${resources." + key + ".id}"
		return id
	})
	return d, asked, func(text string) string {
		for _, was := range slices.Sorted(maps.Keys(stands)) {
			text = regexp.MustCompile("(?i)"+regexp.QuoteMeta(was)).ReplaceAllLiteralString(text, stands[was])
		}
		return text
	}, err
}

// stand is the name of the tenant that there isn't: one word, which no text has by chance.
const stand = "tenantxname"

// sample is a value that a parameter's schema takes, if it is a simple one.
func sample(schema map[string]any) any {
	for _, of := range []string{"examples", "enum"} {
		if list, _ := schema[of].([]any); len(list) > 0 {
			return list[0]
		}
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
		if items, ok := schema["items"].(map[string]any); ok {
			return []any{sample(items)}
		}
		return []any{}
	case "object":
		return map[string]any{}
	}
	short := max(number(schema["minLength"]), 1)
	format, _ := schema["format"].(string)
	pattern, ok := schema["pattern"].(string)
	if text := formatted(format); text != "" {
		if fits, err := regexp.MatchString(pattern, text); fits && err == nil {
			return text
		}
	}
	if ok {
		if re, err := syntax.Parse(pattern, syntax.Perl); err == nil {
			text := ""
			for n := 0; n <= short && len(text) < short; n++ {
				text = matching(re, n)
			}
			return text
		}
	}
	return strings.Repeat("x", short)
}

// formatted is a text of one of JSON Schema's formats (2020-12, validation, §7.3),
// "" if it isn't known.
func formatted(format string) string {
	switch format {
	case "uuid":
		return "00000000-0000-4000-8000-000000000000"
	case "email", "idn-email":
		return "x@x.example"
	case "hostname", "idn-hostname":
		return "x.example"
	case "uri", "uri-reference", "iri", "iri-reference":
		return "https://x.example"
	case "date":
		return "2000-01-01"
	case "time":
		return "00:00:00Z"
	case "date-time":
		return "2000-01-01T00:00:00Z"
	case "duration":
		return "P1D"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	}
	return ""
}

// matching is a text that an expression matches, with n of what it may repeat.
func matching(re *syntax.Regexp, n int) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for _, r := range "x0X-" {
			for i := 0; i < len(re.Rune); i += 2 {
				if re.Rune[i] <= r && r <= re.Rune[i+1] {
					return string(r)
				}
			}
		}
		return string(re.Rune[:1])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpStar:
		return strings.Repeat(matching(re.Sub[0], n), n)
	case syntax.OpPlus:
		return strings.Repeat(matching(re.Sub[0], n), max(n, 1))
	case syntax.OpRepeat:
		if n = max(n, re.Min); re.Max >= 0 {
			n = min(n, re.Max)
		}
		return strings.Repeat(matching(re.Sub[0], n), n)
	case syntax.OpCapture, syntax.OpAlternate:
		return matching(re.Sub[0], n)
	case syntax.OpConcat:
		var out strings.Builder
		for _, sub := range re.Sub {
			out.WriteString(matching(sub, n))
		}
		return out.String()
	}
	return ""
}

// number reads a whole number of a schema, 0 if there is none.
func number(v any) (n int) {
	text, _ := json.Marshal(v)
	_ = json.Unmarshal(text, &n)
	return n
}
