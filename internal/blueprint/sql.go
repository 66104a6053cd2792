package blueprint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// Unbound is an expression in an SQL text at a place where no value can be bound.
type Unbound struct {
	Path       string // such as $.resources[2].attributes.ddl
	Line       int    // of that text, from 1
	Expression string
	Message    string
	Hint       string
}

// isSQL says whether a probe's parameter is an SQL text.
func isSQL(info connector.Info, probe, param string) bool {
	return info.SQL != nil && slices.ContainsFunc(info.Probes, func(k connector.ProbeKind) bool { return k.Name == probe && slices.Contains(k.SQL, param) })
}

// sqlAttributes are the attributes of a type that are SQL texts, as its schema says.
func (c *Compiled) sqlAttributes(info connector.Info, typ string) []string {
	s := c.shapes[[2]string{info.Name, typ}]
	if s == nil || info.SQL == nil {
		return nil
	}
	schema, _ := s.Doc.(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	var out []string
	for _, name := range source.Keys(properties) {
		if property, _ := properties[name].(map[string]any); property[connector.SQLKeyword] == true {
			out = append(out, name)
		}
	}
	return out
}

// Rebind gives a resource as an inventory keeps it the SQL texts that it has by this
// revision: an older release wrote values into them as they were.
func (c *Compiled) Rebind(r Resource, kept map[string]any) {
	info := c.infos[r.System]
	for _, name := range c.sqlAttributes(info, r.Type) {
		if text, ok := r.Attributes[name].(string); ok && kept[name] != nil {
			kept[name] = text
		}
	}
}

// besideSQL are the attributes without those that are SQL texts.
func (c *Compiled) besideSQL(info connector.Info, typ string, attributes map[string]any) map[string]any {
	names := c.sqlAttributes(info, typ)
	if len(names) == 0 {
		return attributes
	}
	out := maps.Clone(attributes)
	for _, name := range names {
		if _, ok := out[name].(string); ok {
			delete(out, name)
		}
	}
	return out
}

// sql compiles an SQL text, once, and notes where an expression can't be bound: as a
// problem of a file, and of a stored revision as Unbound.
func (k *checker) sql(p source.Path, info connector.Info, source string) *text {
	id := [2]string{info.Name, source}
	t, known := k.sqls[id]
	if !known {
		if k.expressions > maxExpressions {
			return nil
		}
		compiled, faults := k.dialect.compileText(inEnvironment, source)
		for _, f := range faults {
			k.fault(p, source, f)
		}
		if len(faults) > 0 {
			return nil
		}
		t = compiled
		k.count(p, t)
		t.bind(info.SQL)
		k.sqls[id] = t
	}
	for _, r := range t.refused {
		at := t.hole(r.Hole)
		if k.src != nil {
			k.fault(p, source, fault{at.offset, r.Message, r.Hint})
			continue
		}
		k.Unbound = append(k.Unbound, Unbound{p.String(), 1 + strings.Count(source[:at.offset], "\n"), at.source, r.Message, r.Hint})
	}
	return t
}

// bind lets the system's SQL say what may stand at each of the text's expressions.
func (t *text) bind(sql connector.SQL) {
	var kinds []connector.ValueKind
	around := []string{""}
	for _, p := range t.parts {
		if p.program == nil {
			around[len(around)-1] += p.literal
			continue
		}
		kinds = append(kinds, valueKind(p.typ))
		around = append(around, "")
	}
	if len(kinds) > 0 {
		t.write, t.refused = sql(around, kinds)
	}
}

// hole is the expression of a number among the text's expressions.
func (t *text) hole(n int) part {
	for _, p := range t.parts {
		if p.program == nil {
			continue
		}
		if n == 0 {
			return p
		}
		n--
	}
	return part{}
}

func valueKind(t *cel.Type) connector.ValueKind {
	switch t.Kind() {
	case cel.StringKind:
		return connector.Text
	case cel.IntKind, cel.UintKind, cel.DoubleKind:
		return connector.Number
	case cel.BoolKind:
		return connector.Truth
	case cel.ListKind, cel.MapKind:
		return connector.List
	}
	return connector.Any
}

// bound evaluates an SQL text: each value is written as its place takes it.
func (t *text) bound(vars map[string]any) (any, error) {
	var values []any
	for _, p := range t.parts {
		if p.program == nil {
			continue
		}
		v, err := p.run(vars)
		if err != nil {
			return nil, fmt.Errorf("${%s} %w", source.Clip(p.source), err)
		}
		if own, ok := v.(string); ok && p.own {
			v = connector.OwnText(own)
		}
		values = append(values, v)
	}
	out, bad := t.write(values)
	if bad != nil {
		return nil, fmt.Errorf("${%s} %s", source.Clip(t.hole(bad.Hole).source), bad.Message)
	}
	if len(out) > maxResult {
		return nil, fmt.Errorf("the text grows over %d bytes", maxResult)
	}
	return out, nil
}

// sql adds the attributes that are SQL texts.
func (e *evaluation) sql(p source.Path, env tenure.Environment, spec tenure.ResourceSpec, into, vars map[string]any) {
	info := e.infos[spec.System]
	for _, name := range e.sqlAttributes(info, spec.Type) {
		source, ok := spec.Attributes[name].(string)
		if !ok {
			continue
		}
		v, err := e.sqls[[2]string{info.Name, source}].run(vars)
		if err != nil {
			e.refuse(p.With(name), "in %s: %s", env.Name, cause(err))
		}
		into[name] = v
	}
}
