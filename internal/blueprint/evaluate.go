package blueprint

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// Input is one tenant, as expressions see it.
type Input struct {
	Tenant       tenure.TenantID
	Name         string
	Tier         string
	Organization string
	Installation tenure.InstallationID
	Params       map[string]any    // as given; defaults are applied
	Features     map[string]bool   // as requested
	Dates        map[string]string // days that are known, such as live: 2026-03-02
	// ResourceID gives the id of a resource; the same arguments give the same.
	ResourceID func(environment, key string) tenure.ResourceID
	// Leaving says that nothing will be made of it. What can't be right is left out, so
	// that nobody stops their own exit by a value that an older release took.
	Leaving bool
}

// Desired is what one tenant shall have.
type Desired struct {
	Environments []Environment         `json:"environments"`
	Params       map[string]any        `json:"params"`   // with defaults
	Features     map[string]bool       `json:"features"` // every declared one
	Notices      []tenure.NoticeSpec   `json:"notices,omitempty"`
	Artifacts    []tenure.ArtifactSpec `json:"artifacts,omitempty"` // handed over in the tenant's departure
	Jurisdiction string                `json:"jurisdiction,omitempty"`
	Contract     string                `json:"contract,omitempty"`
}

// Environment is one environment of a tenant. Its resources stand in the order
// in which they can be made.
type Environment struct {
	Name      string     `json:"name"`
	Kind      string     `json:"kind"`
	Resources []Resource `json:"resources"`
	Probes    []Probe    `json:"probes,omitempty"`
	// Outputs holds values as JSON has them; a one-time secret is
	// {"$credential": key}, see CredentialOf.
	Outputs map[string]any `json:"outputs,omitempty"`
}

// Resource is one thing that the tenant shall have in an environment.
type Resource struct {
	ID         tenure.ResourceID `json:"id"`
	Key        string            `json:"key"`
	System     string            `json:"system"`
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Layer      tenure.Layer      `json:"layer"`
	Attributes map[string]any    `json:"attributes,omitempty"`
	Needs      []string          `json:"needs,omitempty"` // keys in this environment
	Data       []string          `json:"data,omitempty"`
	Handover   bool              `json:"handover,omitempty"`
	Credential bool              `json:"credential,omitempty"` // its type makes one

	// Stages are the attributes that a record has at stages of the tenant's life, in full. A
	// day that isn't known yet stands there as Dated reads it.
	Stages map[tenure.TenantState]map[string]any `json:"stages,omitempty"`
}

// Probe is one check of the blueprint's own.
type Probe struct {
	Name     string            `json:"name"`
	System   string            `json:"system"`
	Kind     string            `json:"kind"`
	Resource string            `json:"resource,omitempty"` // key in this environment
	Params   map[string]string `json:"params,omitempty"`
}

// CredentialOf says which resource's credential an output's value stands for.
func CredentialOf(output any) (key string, ok bool) {
	m, _ := output.(map[string]any)
	key, ok = m[credentialMark].(string)
	return key, ok && len(m) == 1
}

// Evaluate works out what a tenant shall have. It is pure: the same input gives
// the same Desired, byte for byte in JSON. A resource whose condition is false
// is left out, with the probes that are about it and the outputs that read it.
// Parameters, names and attributes that can't be right are Invalid.
func (c *Compiled) Evaluate(in Input) (*Desired, error) {
	switch {
	case in.Tenant == "" || in.ResourceID == nil:
		return nil, tenure.Errorf(tenure.Internal, "an evaluation needs the tenant's id and those of its resources")
	default:
		if err := tenure.CheckTenantName(in.Name); err != nil {
			return nil, err
		}
	}
	params, err := c.Parameters(in.Params)
	if err != nil && in.Leaving {
		params, _ = conform(c.Blueprint.Parameters, c.filled(in.Params)).(map[string]any)
	} else if err != nil {
		return nil, err
	}
	features, err := c.Features(in.Tier, in.Features)
	if err != nil {
		return nil, err
	}
	e := &evaluation{Compiled: c, in: in, taken: map[[3]string]string{}}
	out := &Desired{Params: params, Features: features}
	shared := in.shared(params, features)
	for _, env := range c.Blueprint.Environments {
		out.Environments = append(out.Environments, e.environment(env, shared))
	}
	out.Notices = e.notices(shared)
	out.Artifacts = e.artifacts(shared)
	out.Jurisdiction = e.told("jurisdiction", e.Blueprint.Jurisdiction, shared)
	out.Contract = e.told("contract", e.Blueprint.Contract, shared)
	if err := e.found.Err(); err != nil && !in.Leaving {
		return nil, err
	}
	return out, nil
}

// shared is what every expression may read.
func (in Input) shared(params map[string]any, features map[string]bool) map[string]any {
	return map[string]any{
		"tenant":       map[string]any{"id": string(in.Tenant), "name": in.Name, "tier": in.Tier, "organization": in.Organization},
		"installation": map[string]any{"id": string(in.Installation)},
		"params":       params,
		"features":     anyMap(features),
	}
}

func anyMap[V any](m map[string]V) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// evaluation gathers what is wrong over all environments.
type evaluation struct {
	*Compiled
	in    Input
	found source.Problems
	taken map[[3]string]string // system, type and name: who has it
}

func (e *evaluation) refuse(p source.Path, format string, args ...any) {
	e.found = append(e.found, source.Problem{Path: p.String(), Message: fmt.Sprintf(format, args...)})
}

func (e *evaluation) environment(env tenure.Environment, shared map[string]any) Environment {
	out := Environment{Name: env.Name, Kind: env.Kind, Resources: []Resource{}}
	made := map[string]any{}
	vars := maps.Clone(shared)
	vars["env"] = map[string]any{"name": env.Name, "kind": env.Kind}
	vars["resources"] = made
	for _, i := range e.order {
		spec := e.Blueprint.Resources[i]
		p := source.Path{"resources"}.Index(i)
		if !e.applies(env, spec.Environments) || !e.holds(p.With("when"), env, spec.When, vars) {
			continue
		}
		r, ok := e.resource(p, env, spec, vars)
		made[spec.Key] = map[string]any{"id": string(r.ID), "name": r.Name, "type": r.Type, "attributes": r.Attributes, "$key": r.Key}
		if !ok {
			continue
		}
		r.Needs = slices.DeleteFunc(slices.Clone(spec.Needs), func(n string) bool { return made[n] == nil })
		out.Resources = append(out.Resources, r)
	}
	out.Probes = e.probes(env, vars, made)
	out.Outputs = e.outputs(env, vars, made)
	return out
}

func (e *evaluation) applies(env tenure.Environment, names []string) bool {
	return len(names) == 0 || slices.Contains(names, env.Name)
}

// holds works a condition out.
func (e *evaluation) holds(p source.Path, env tenure.Environment, when string, vars map[string]any) bool {
	if when == "" {
		return true
	}
	v, err := e.whens[when].run(vars)
	if err != nil {
		e.refuse(p, "in %s: %s", env.Name, cause(err))
		return false
	}
	yes, ok := v.(bool)
	if !ok {
		e.refuse(p, "in %s: the condition gives %s, not true or false", env.Name, source.Quote(v))
	}
	return yes
}

// cause drops CEL's wrapping around the use of something that isn't set.
func cause(err error) string {
	var unset *unsetError
	if errors.As(err, &unset) {
		return unset.Error()
	}
	return err.Error()
}

func (e *evaluation) resource(p source.Path, env tenure.Environment, spec tenure.ResourceSpec, vars map[string]any) (Resource, bool) {
	t := e.Type(spec)
	r := Resource{
		ID: e.in.ResourceID(env.Name, spec.Key), Key: spec.Key, System: spec.System, Type: spec.Type, Layer: t.Layer,
		Data: spec.Data, Handover: spec.Handover, Credential: t.Credential,
	}
	before := len(e.found)
	name, err := e.texts[inEnvironment][spec.Name].run(vars)
	if err != nil {
		e.refuse(p.With("name"), "in %s: %s", env.Name, cause(err))
	} else {
		r.Name = e.name(p.With("name"), env, spec, name)
	}
	if spec.Attributes != nil {
		beside := e.besideSQL(e.infos[spec.System], spec.Type, spec.Attributes)
		r.Attributes, _ = e.value(p.With("attributes"), env, beside, vars).(map[string]any)
		e.sql(p.With("attributes"), env, spec, r.Attributes, vars)
	}
	if len(e.found) == before {
		e.checkAttributes(p.With("attributes"), env, spec, r.Attributes)
		r.Stages = e.stages(p, env, spec, vars)
	}
	return r, len(e.found) == before
}

// name refuses names that no system should be asked for.
func (e *evaluation) name(p source.Path, env tenure.Environment, spec tenure.ResourceSpec, v any) string {
	name, err := connector.InText(v)
	who := env.Name + "/" + spec.Key
	switch {
	case err != nil:
		e.refuse(p, "in %s: the name %v", env.Name, err)
	case strings.TrimSpace(name) == "":
		e.refuse(p, "in %s: the name is blank", env.Name)
	case name != strings.TrimSpace(name):
		e.refuse(p, "in %s: the name %s begins or ends with a space", env.Name, source.Quote(name))
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }):
		e.refuse(p, "in %s: the name %s holds a control character", env.Name, source.Quote(name))
	case len(name) > 255:
		e.refuse(p, "in %s: the name is %d bytes long, at most 255 are allowed", env.Name, len(name))
	default:
		id := [3]string{spec.System, spec.Type, name}
		if first, twice := e.taken[id]; twice {
			e.refuse(p, "%s and %s would have the same name %s in %s", first, who, source.Quote(name), spec.System)
		}
		e.taken[id] = who
	}
	return name
}

// value works out the texts in a value.
func (e *evaluation) value(p source.Path, env tenure.Environment, v any, vars map[string]any) any {
	switch v := v.(type) {
	case string:
		t, err := e.textIn(v)
		var out any
		if err == nil {
			out, err = t.run(vars)
		}
		if err != nil {
			e.refuse(p, "in %s: %s", env.Name, cause(err))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = e.value(p.Index(i), env, item, vars)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range source.Keys(v) {
			out[key] = e.value(p.With(key), env, v[key], vars)
		}
		return out
	}
	return v
}

// checkAttributes holds what the expressions gave against the type's schema
// and against what is exposed or unscoped.
func (e *evaluation) checkAttributes(p source.Path, env tenure.Environment, spec tenure.ResourceSpec, attributes map[string]any) {
	info := e.infos[spec.System]
	if attributes == nil {
		attributes = map[string]any{}
	}
	if s := e.shapes[[2]string{info.Name, spec.Type}]; s != nil {
		for _, m := range s.Check(attributes, nil) {
			e.refuse(append(p.With(), m.At...), "in %s: %s", env.Name, m.Message)
		}
	}
	if info.Review != nil {
		for _, reason := range info.Review(spec.Type, attributes) {
			e.refuse(p, "in %s: %s", env.Name, reason)
		}
	}
}

func (e *evaluation) probes(env tenure.Environment, vars, made map[string]any) []Probe {
	var out []Probe
	for i, spec := range e.Blueprint.Probes {
		p := source.Path{"probes"}.Index(i)
		if !e.applies(env, spec.Environments) || spec.Resource != "" && made[spec.Resource] == nil || !e.holds(p.With("when"), env, spec.When, vars) {
			continue
		}
		probe := Probe{Name: spec.Name, System: spec.System, Kind: spec.Kind, Resource: spec.Resource}
		if len(spec.Params) > 0 {
			probe.Params = map[string]string{}
		}
		before := len(e.found)
		for _, name := range source.Keys(spec.Params) {
			t, info := e.texts[inEnvironment][spec.Params[name]], e.infos[spec.System]
			if isSQL(info, spec.Kind, name) {
				t = e.sqls[[2]string{info.Name, spec.Params[name]}]
			}
			v, err := t.run(vars)
			if err == nil {
				probe.Params[name], err = connector.InText(v)
			}
			if err != nil {
				e.refuse(p.With("params", name), "in %s: %s", env.Name, cause(err))
			}
		}
		if len(e.found) == before {
			out = append(out, probe)
		}
	}
	return out
}

func (e *evaluation) outputs(env tenure.Environment, vars, made map[string]any) map[string]any {
	out := map[string]any{}
	for _, name := range source.Keys(e.Blueprint.Outputs) {
		t := e.texts[inOutput][e.Blueprint.Outputs[name]]
		if slices.ContainsFunc(t.resources(), func(key string) bool { return made[key] == nil && !t.refs.guarded["resources."+key] }) {
			continue
		}
		v, err := t.run(vars)
		if err != nil {
			e.refuse(source.Path{"outputs", name}, "in %s: %s", env.Name, cause(err))
		}
		out[name] = v
	}
	return out
}

// Told works out whose jurisdiction a tenant is under and what contract it has.
func (c *Compiled) Told(in Input) (jurisdiction, contract string, err error) {
	params, err := c.Parameters(in.Params)
	if err != nil {
		return "", "", err
	}
	features, err := c.Features(in.Tier, in.Features)
	if err != nil {
		return "", "", err
	}
	e := &evaluation{Compiled: c, in: in}
	shared := in.shared(params, features)
	jurisdiction, contract = e.told("jurisdiction", c.Blueprint.Jurisdiction, shared), e.told("contract", c.Blueprint.Contract, shared)
	return jurisdiction, contract, e.found.Err()
}

// told works out a text that says something of the whole tenant; "" stays "".
func (e *evaluation) told(field, from string, vars map[string]any) string {
	if from == "" {
		return ""
	}
	v, err := e.texts[inTenant][from].run(vars)
	if err != nil {
		e.refuse(source.Path{field}, "%s", cause(err))
		return ""
	}
	s, err := connector.InText(v)
	if err != nil {
		e.refuse(source.Path{field}, "%s", err)
	}
	return s
}

func (e *evaluation) notices(vars map[string]any) []tenure.NoticeSpec {
	var out []tenure.NoticeSpec
	for i, spec := range e.Blueprint.Notices {
		p := source.Path{"notices"}.Index(i)
		n, before := tenure.NoticeSpec{On: spec.On, Text: tenure.Text{}}, len(e.found)
		say := func(p source.Path, from string) (out string) {
			v, err := e.texts[inTenant][from].run(vars)
			if err == nil {
				out, err = connector.InText(v)
			}
			if err != nil {
				e.refuse(p, "%s", cause(err))
			} else if strings.TrimSpace(out) == "" {
				e.refuse(p, "it is blank")
			}
			return out
		}
		n.To = say(p.With("to"), spec.To)
		for _, tag := range spec.Text.Tags() {
			n.Text[tag] = say(inText(p.With("text"), tag), spec.Text[tag])
		}
		if len(e.found) == before {
			out = append(out, n)
		}
	}
	return out
}
