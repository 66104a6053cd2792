package blueprint

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// checkResource holds one resource against its type.
func (k *checker) checkResource(i int) {
	r := &k.Blueprint.Resources[i]
	p := source.Path{"resources"}.Index(i)
	info, ok := k.system(p, r.System)
	var t tenure.ResourceType
	if ok {
		if t, ok = info.Type(r.Type); !ok {
			var names []string
			for _, t := range info.Types {
				names = append(names, t.Name)
			}
			k.refuse(p.With("type"), source.DidYouMean(r.Type, names), "connector %s has no type %q", info.Name, r.Type)
		}
	}
	if ok {
		k.checkDeclared(p, t)
		k.checkShapeOf(p, info, t, r.Attributes)
		if info.Review != nil {
			for _, reason := range info.Review(r.Type, r.Attributes) {
				k.refuse(p.With("attributes"), "", "%s", reason)
			}
		}
		if info.Check != nil {
			for _, fault := range info.Check(r.Type, r.Attributes, k.dispositions(*r)) {
				k.refuseInFile(p.With("attributes").With(fault.At...), "", "%s", fault.Says)
			}
		}
		k.checkData(p, *r, t)
		k.checkRotation(p, *r, t)
		if len(t.Dispositions) > 0 {
			k.checkPseudonyms(p, *r)
		}
	}
	k.checkEnvironments(p, r.Environments)
	k.checkResourceTexts(p, r, info)
}

// leastRotation is how long a credential must be good for at least.
const leastRotation = time.Hour

// checkRotation refuses a rotation of what has no credential, and one that would never end.
func (k *checker) checkRotation(p source.Path, r tenure.ResourceSpec, t tenure.ResourceType) {
	var from time.Time
	switch {
	case r.Rotate.IsZero():
	case !t.Credential:
		k.refuse(p.With("rotate"), "", "%s has no credential that could be rotated", r.Type)
	case r.Rotate.After(from).Sub(from) < leastRotation:
		k.refuse(p.With("rotate"), "", "a credential that is due for rotation within an hour would always be overdue")
	}
}

// checkDeclared refuses a type that doesn't say how it leaves.
func (k *checker) checkDeclared(p source.Path, t tenure.ResourceType) {
	refuse := func(what string) {
		k.refuse(p.With("type"), "a tenant that has it couldn't be proven gone", "type %s doesn't declare %s", t.Name, what)
	}
	if strings.TrimSpace(t.Deletion) == "" {
		refuse("what deletion means")
	}
	if strings.TrimSpace(t.Verification) == "" {
		refuse("how presence and absence are verified")
	}
	if !t.Recovery.Declared {
		refuse("whether it can be recovered")
	}
}

// checkShapeOf holds the attributes' structure against the type's schema; what
// an expression will give is held against it when it is known.
func (k *checker) checkShapeOf(p source.Path, info connector.Info, t tenure.ResourceType, attributes map[string]any) {
	s, err := k.shapeOf(info, t)
	if err != nil {
		k.refuse(p.With("type"), "", "the schema of type %s is broken: %v", t.Name, err)
		return
	}
	if s == nil {
		return
	}
	if attributes == nil {
		attributes = map[string]any{}
	}
	for _, m := range s.Check(attributes, func(at source.Path) bool { return isOpen(attributes, at) }) {
		k.misfit(p.With("attributes"), m)
	}
}

func (k *checker) shapeOf(info connector.Info, t tenure.ResourceType) (*source.Shape, error) {
	id := [2]string{info.Name, t.Name}
	if s, ok := k.shapes[id]; ok || strings.TrimSpace(t.Attributes) == "" {
		return s, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(t.Attributes)))
	if err != nil {
		return nil, err
	}
	s, err := source.CompileShape(doc)
	if err == nil {
		k.shapes[id] = s
	}
	return s, err
}

// isOpen says whether the value at a place is a text with an expression.
func isOpen(v any, at source.Path) bool {
	for _, step := range at {
		v = childOf(v, step)
	}
	s, ok := v.(string)
	return ok && source.HasExpression(s)
}

func childOf(v any, step string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[step]
	case []any:
		for i, e := range v {
			if step == (source.Path{}).Index(i)[0] {
				return e
			}
		}
	}
	return nil
}

// checkData refuses data without a class, and classes that nobody declared.
func (k *checker) checkData(p source.Path, r tenure.ResourceSpec, t tenure.ResourceType) {
	switch {
	case t.Holds == tenure.HoldsData && len(r.Data) == 0:
		k.refuse(p, "name the data classes that it holds under data", "%s may hold data and has no data class", r.Type)
	case t.Holds != tenure.HoldsData && len(r.Data) > 0:
		k.refuse(p.With("data"), "", "%s holds no data that a data class could cover", r.Type)
	}
	var classes []string
	for _, c := range k.Blueprint.DataClasses {
		classes = append(classes, c.Name)
	}
	for i, name := range r.Data {
		if !slices.Contains(classes, name) {
			k.refuse(p.With("data").Index(i), source.DidYouMean(name, classes), "unknown data class %q", name)
		}
	}
	k.checkCarriedOut(p, r, t)
	for _, attribute := range []string{"tables", "classes"} {
		places, _ := r.Attributes[attribute].(map[string]any)
		for _, place := range source.Keys(places) {
			name, ok := places[place].(string)
			if at := p.With("attributes", attribute, place); !ok || source.HasExpression(name) {
				continue
			} else if !slices.Contains(classes, name) {
				k.refuse(at, source.DidYouMean(name, classes), "unknown data class %q", name)
			} else if !slices.Contains(r.Data, name) {
				k.refuse(at, "add it to data", "data class %s isn't among the resource's", name)
			}
		}
	}
}

// checkCarriedOut refuses dispositions that the resource's type can't carry out.
func (k *checker) checkCarriedOut(p source.Path, r tenure.ResourceSpec, t tenure.ResourceType) {
	for _, class := range k.Blueprint.DataClasses {
		i := slices.Index(r.Data, class.Name)
		if i < 0 || t.Layer == tenure.LayerBackup {
			continue
		}
		for _, d := range dispositions(class, k.environments(r.Environments)) {
			if d.Changes() && !slices.Contains(t.Dispositions, d) {
				hint := "give the data another class"
				if t.Whole {
					hint = "it is dropped with its tenant: put the data into a shared table first, or keep it"
				}
				k.refuse(p.With("data").Index(i), hint, "%s is to be %s, and a %s can't be", class.Name, d.Done(), r.Type)
			}
		}
	}
}

// checkResourceTexts compiles what a resource says in expressions, and adds
// the resources that it reads to its needs.
func (k *checker) checkResourceTexts(p source.Path, r *tenure.ResourceSpec, info connector.Info) {
	when := k.when(p.With("when"), r.When)
	u := user{p: p, what: "resource " + r.Key, environments: k.environments(r.Environments), condition: r.When, when: when}
	needs := slices.Clone(r.Needs)
	for i, need := range r.Needs {
		if _, ok := k.index[need]; !ok {
			k.refuse(p.With("needs").Index(i), source.DidYouMean(need, source.Keys(k.index)), "unknown resource %q", need)
		}
	}
	use := func(p source.Path, t *text) {
		if t == nil {
			return
		}
		k.checkReads(u, p, t)
		needs = append(needs, t.resources()...)
	}
	use(p.With("when"), when)
	use(p.With("name"), k.text(inEnvironment, p.With("name"), r.Name))
	for _, name := range k.sqlAttributes(info, r.Type) {
		if s, ok := r.Attributes[name].(string); ok {
			use(p.With("attributes", name), k.sql(p.With("attributes", name), info, s))
		}
	}
	attributes := k.besideSQL(info, r.Type, r.Attributes)
	k.eachText(p.With("attributes"), attributes, func(p source.Path, s string) { use(p, k.text(inEnvironment, p, s)) })
	if t, ok := info.Type(r.Type); ok {
		k.checkStages(p, r, t, use)
	}
	slices.Sort(needs)
	r.Needs = slices.Compact(needs)
}

// eachText walks the texts in a value, in the order of keys.
func (k *checker) eachText(p source.Path, v any, f func(source.Path, string)) {
	switch v := v.(type) {
	case string:
		f(p, v)
	case []any:
		for i, e := range v {
			k.eachText(p.Index(i), e, f)
		}
	case map[string]any:
		for _, key := range source.Keys(v) {
			if source.HasExpression(key) {
				k.refuse(p.With(key), "", "a key can't hold an expression")
			}
			k.eachText(p.With(key), v[key], f)
		}
	}
}

// user is what reads resources and parameters, and under which condition.
type user struct {
	p            source.Path
	what         string
	environments []tenure.Environment
	condition    string
	when         *text
}

// checkReads refuses to read what may not be there.
func (k *checker) checkReads(u user, p source.Path, t *text) {
	k.checkParams(p, t, u.when)
	for _, key := range t.resources() {
		i, ok := k.index[key]
		if !ok || guards("resources."+key, t, u.when) {
			continue
		}
		read := k.Blueprint.Resources[i]
		has := k.environments(read.Environments)
		for _, e := range u.environments {
			if !slices.Contains(has, e) {
				k.refuse(p, "limit both to the same environments, or ask has(resources."+key+")", "%s is in environment %s, and %s isn't", u.what, e.Name, key)
				break
			}
		}
		if read.When != "" && read.When != u.condition {
			k.refuse(p, "give this the same when, or ask has(resources."+key+")", "resource %s is left out where its condition is false", key)
		}
	}
}

// checkParams refuses to read a parameter that a request may leave out.
func (k *checker) checkParams(p source.Path, t, when *text) {
	properties, _ := k.Blueprint.Parameters["properties"].(map[string]any)
	required, _ := k.Blueprint.Parameters["required"].([]any)
	for _, name := range source.Keys(t.refs.fields["params"]) {
		schema, _ := properties[name].(map[string]any)
		if _, has := schema["default"]; has || schema == nil || slices.Contains(required, any(name)) || guards("params."+name, t, when) {
			continue
		}
		k.refuse(p, "require it, give it a default, or ask has(params."+name+")", "parameter %s may be left out of a request", name)
	}
}

// guards says whether a text, or the condition that it stands under, asks
// has(name).
func guards(name string, t, when *text) bool {
	return t.refs.guarded[name] || when != nil && when.refs.guarded[name]
}

// credentialKey is the resource whose credential a text hands over.
func credentialKey(t *text) (string, bool) {
	if !t.whole() {
		return "", false
	}
	m := regexp.MustCompile(`^\s*credential\(\s*resources\.(\w+)\s*\)\s*$`).FindStringSubmatch(t.parts[0].source)
	if m == nil {
		return "", false
	}
	return m[1], true
}
