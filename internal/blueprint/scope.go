package blueprint

import (
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// scope says which names an expression may use.
type scope int

const (
	inEnvironment scope = iota // tenant, params, env, features, resources, installation
	inOutput                   // the same and credential()
	inTenant                   // tenant, params, features, installation
	inStage                    // as inEnvironment, and dates
)

// dialect is the declared environment that a blueprint's expressions are
// checked and run in.
type dialect struct {
	objects map[string]map[string]*cel.Type // the fields of each object type
	vars    map[string]*cel.Type
	envs    map[scope]*cel.Env
}

// What one expression may be and may spend. The cost is CEL's own measure.
const (
	maxExpression = 2000
	maxCost       = 100_000
	maxMemory     = 1 << 20
	maxResult     = 256 << 10
)

// credentialMark is the key of the value that stands for a one-time secret in
// an output: {"$credential": "<resource key>"}.
const credentialMark = "$credential"

func newDialect(bp *tenure.Blueprint) (*dialect, error) {
	l := &dialect{objects: map[string]map[string]*cel.Type{}, envs: map[scope]*cel.Env{}}
	str := cel.StringType
	l.object("tenant", map[string]*cel.Type{"id": str, "name": str, "tier": str, "organization": str})
	l.object("env", map[string]*cel.Type{"name": str, "kind": str})
	l.object("installation", map[string]*cel.Type{"id": str})
	features := map[string]*cel.Type{}
	for name := range bp.Features {
		features[name] = cel.BoolType
	}
	l.object("features", features)
	resources := map[string]*cel.Type{}
	for _, r := range bp.Resources {
		resources[r.Key] = l.object("resources."+r.Key, map[string]*cel.Type{
			"id": str, "name": str, "type": str, "attributes": cel.MapType(str, cel.DynType),
		})
	}
	l.object("resources", resources)
	l.schemaType("params", bp.Parameters, bp.Parameters)
	l.vars = map[string]*cel.Type{}
	for _, name := range []string{"tenant", "params", "env", "features", "resources", "installation"} {
		l.vars[name] = cel.ObjectType(objectPrefix + name)
	}
	days := map[string]*cel.Type{}
	for name := range dates {
		days[name] = cel.OpaqueType("date") // no function takes it: it may be known only when it is written
	}
	l.vars["dates"] = l.object("dates", days)
	for _, s := range []scope{inEnvironment, inOutput, inTenant, inStage} {
		registry, err := types.NewRegistry()
		if err != nil {
			return nil, tenure.Errorf(tenure.Internal, "declare the names of expressions: %w", err)
		}
		if l.envs[s], err = cel.NewEnv(l.options(s, registry)...); err != nil {
			return nil, tenure.Errorf(tenure.Internal, "declare the names of expressions: %w", err)
		}
	}
	return l, nil
}

func (l *dialect) options(s scope, registry *types.Registry) []cel.EnvOption {
	opts := []cel.EnvOption{
		cel.CustomTypeProvider(&objectTypes{registry, l.objects}),
		cel.CustomTypeAdapter(sortedAdapter{registry}),
		ext.Strings(),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(40),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
		cel.RegexProgramSizeLimit(500),
	}
	for _, name := range l.names(s) {
		opts = append(opts, cel.Variable(name, l.vars[name]))
	}
	if s == inOutput {
		opts = append(opts, cel.Function("credential", cel.Overload("credential_of_resource",
			[]*cel.Type{cel.DynType}, cel.MapType(cel.StringType, cel.StringType), cel.UnaryBinding(credentialOf))))
	}
	return opts
}

func (l *dialect) names(s scope) []string {
	names := source.Keys(l.vars)
	if s != inStage {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "dates" })
	}
	if s == inTenant {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "env" || n == "resources" })
	}
	return names
}

// credentialOf gives the mark that stands for a resource's credential.
func credentialOf(v ref.Val) ref.Val {
	m, ok := v.(traits.Mapper)
	if !ok {
		return types.NewErr("credential() takes a resource")
	}
	key, ok := m.Find(types.String("$key"))
	if !ok {
		return types.NewErr("credential() takes a resource")
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, map[ref.Val]ref.Val{types.String(credentialMark): key})
}

// objectPrefix keeps the names of object types apart from what an expression
// can write: resources.db is a value, never a type.
const objectPrefix = "the "

func (l *dialect) object(name string, fields map[string]*cel.Type) *cel.Type {
	l.objects[objectPrefix+name] = fields
	return cel.ObjectType(objectPrefix + name)
}

// schemaType is the type that a JSON Schema gives, under the name that an
// object of it gets; dyn where the schema leaves it open.
func (l *dialect) schemaType(name string, schema, root map[string]any) *cel.Type {
	if _, refers := schema["$ref"]; refers {
		return cel.DynType
	}
	switch schema["type"] {
	case "string":
		return cel.StringType
	case "integer":
		return cel.IntType
	case "number":
		return cel.DoubleType
	case "boolean":
		return cel.BoolType
	case "array":
		if items, ok := schema["items"].(map[string]any); ok && schema["prefixItems"] == nil {
			return cel.ListType(l.schemaType(name+"[]", items, root))
		}
		return cel.ListType(cel.DynType)
	case "object":
		properties, _ := schema["properties"].(map[string]any)
		if schema["additionalProperties"] != false {
			return cel.MapType(cel.StringType, cel.DynType)
		}
		fields := map[string]*cel.Type{}
		for k, v := range properties {
			sub, _ := v.(map[string]any)
			fields[k] = l.schemaType(name+"."+k, sub, root)
		}
		return l.object(name, fields)
	}
	if s, ok := schema["const"].(string); ok && s != "" {
		return cel.StringType
	}
	if list, ok := schema["enum"].([]any); ok && len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return !ok }) {
		return cel.StringType
	}
	return cel.DynType
}

// objectTypes adds the dialect's object types to a provider; their values are
// map[string]any.
type objectTypes struct {
	types.Provider
	objects map[string]map[string]*cel.Type
}

func (o *objectTypes) FindStructType(name string) (*types.Type, bool) {
	if _, ok := o.objects[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return o.Provider.FindStructType(name)
}

func (o *objectTypes) FindStructFieldNames(name string) ([]string, bool) {
	if fields, ok := o.objects[name]; ok {
		return slices.Sorted(maps.Keys(fields)), true
	}
	return o.Provider.FindStructFieldNames(name)
}

func (o *objectTypes) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	fields, ok := o.objects[name]
	if !ok {
		return o.Provider.FindStructFieldType(name, field)
	}
	t, ok := fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  t,
		IsSet: func(target any) bool { m, _ := target.(map[string]any); return m[field] != nil },
		GetFrom: func(target any) (any, error) {
			m, _ := target.(map[string]any)
			if v, ok := m[field]; ok {
				return v, nil
			}
			return nil, &unsetError{strings.TrimPrefix(name, objectPrefix) + "." + field}
		},
	}, true
}

// unsetError is the use of something that this tenant doesn't have here.
type unsetError struct{ name string }

func (e *unsetError) Error() string { return e.name + " isn't set" }

// NewValue refuses to make an object in an expression.
func (o *objectTypes) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("%s can't be made in an expression", name)
}
