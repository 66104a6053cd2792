package blueprint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/lookalike"
	"github.com/tenurehq/tenure/internal/source"
)

// maxExpressions bounds how many different expressions one blueprint has.
const maxExpressions = 2000

// checker gathers what is wrong and compiles what is right.
type checker struct {
	*Compiled
	src         *Source
	catalog     map[string]connector.Info
	dialect     *dialect
	found       source.Problems
	index       map[string]int // of a resource, by key
	expressions int
}

func check(bp tenure.Blueprint, src *Source, catalog []connector.Info) (*Compiled, error) {
	d, err := newDialect(&bp)
	if err != nil {
		return nil, err
	}
	k := &checker{
		Compiled: &Compiled{
			Blueprint: bp, infos: map[string]connector.Info{}, shapes: map[[2]string]*source.Shape{},
			texts: map[scope]map[string]*text{inEnvironment: {}, inOutput: {}, inTenant: {}, inStage: {}}, whens: map[string]*text{}, sqls: map[[2]string]*text{},
		},
		src: src, dialect: d, catalog: map[string]connector.Info{}, index: map[string]int{},
	}
	k.Blueprint.Resources = slices.Clone(bp.Resources)
	for _, info := range catalog {
		k.catalog[info.Name] = info
	}
	for i, r := range bp.Resources {
		k.index[r.Key] = i
	}
	k.checkParameters()
	k.checkSystems()
	k.checkClasses()
	for i := range k.Blueprint.Resources {
		k.checkResource(i)
	}
	k.checkProbes()
	k.checkOutputs()
	k.checkNotices()
	k.checkTasks()
	k.checkLease()
	k.checkArtifacts()
	k.checkVendors()
	k.checkOrder()
	k.checkNames()
	if err := k.found.Err(); err != nil {
		return nil, err
	}
	if err := k.seal(); err != nil {
		return nil, err
	}
	return k.Compiled, nil
}

// refuse notes a problem at a value.
func (k *checker) refuse(p source.Path, hint, format string, args ...any) {
	k.misfit(p, source.Misfit{Message: fmt.Sprintf(format, args...), Hint: hint})
}

// refuseInFile notes a problem that stops a file and no stored revision: one that was
// published before anybody looked for it goes on, so that its tenants can leave.
func (k *checker) refuseInFile(p source.Path, hint, format string, args ...any) {
	if k.src != nil {
		k.refuse(p, hint, format, args...)
	}
}

// misfit notes that something under p doesn't fit a schema. Beyond what a
// report shows nothing is worked out any more.
func (k *checker) misfit(p source.Path, m source.Misfit) {
	if p = p.With(m.At...); len(k.found) <= 2*source.MaxProblems {
		k.found = append(k.found, k.src.tree().Problem(p, m.Key, m.Message, m.Hint))
	}
}

// fault notes a problem within a text.
func (k *checker) fault(p source.Path, text string, f fault) {
	if len(k.found) <= 2*source.MaxProblems {
		k.found = append(k.found, k.src.tree().ProblemIn(p, text, f.offset, f.message, f.hint))
	}
}

// text compiles a text of a scope, once, and notes what is wrong with it.
func (k *checker) text(s scope, p source.Path, source string) *text {
	if t, ok := k.texts[s][source]; ok {
		return t
	}
	if k.expressions > maxExpressions {
		return nil
	}
	t, faults := k.dialect.compileText(s, source)
	if len(faults) == 0 {
		faults = k.dialect.checkMixed(t)
	}
	for _, f := range faults {
		k.fault(p, source, f)
	}
	if t == nil || len(faults) > 0 {
		return nil
	}
	k.texts[s][source] = t
	k.count(p, t)
	return t
}

// count refuses a text that makes the blueprint's expressions too many.
func (k *checker) count(p source.Path, t *text) {
	for _, part := range t.parts {
		if part.program != nil {
			k.expressions++
		}
	}
	if k.expressions > maxExpressions {
		k.refuse(p, "", "the blueprint has more than %d different expressions", maxExpressions)
	}
}

// when compiles a condition, which is an expression by itself.
func (k *checker) when(p source.Path, source string) *text {
	if source == "" {
		return nil
	}
	if t, ok := k.whens[source]; ok {
		return t
	}
	if strings.HasPrefix(strings.TrimSpace(source), "${") {
		k.refuse(p, "leave ${ } out", "when is an expression by itself")
		return nil
	}
	t := &text{source: source, refs: newReferences()}
	compiled, faults := k.dialect.compile(inEnvironment, source, t.refs)
	for _, f := range faults {
		k.fault(p, source, f)
	}
	if len(faults) > 0 {
		return nil
	}
	if kind := compiled.typ.String(); kind != "bool" && kind != "dyn" {
		k.refuse(p, "", "when must give true or false, and gives %s", kind)
		return nil
	}
	t.parts = []part{compiled}
	k.whens[source] = t
	return t
}

func (k *checker) checkSystems() {
	for _, name := range source.Keys(k.Blueprint.Systems) {
		connectorName := k.Blueprint.Systems[name].Connector
		info, ok := k.catalog[connectorName]
		if !ok {
			k.refuse(source.Path{"systems", name, "connector"}, source.DidYouMean(connectorName, source.Keys(k.catalog)), "unknown connector %q", connectorName)
			continue
		}
		k.infos[name] = info
		k.checkRemnants(source.Path{"systems", name, "remnants"}, info, k.Blueprint.Systems[name].Remnants)
	}
}

func (k *checker) checkProbes() {
	for i, probe := range k.Blueprint.Probes {
		p := source.Path{"probes"}.Index(i)
		info, ok := k.system(p, probe.System)
		if ok && !slices.ContainsFunc(info.Probes, func(kind connector.ProbeKind) bool { return kind.Name == probe.Kind }) {
			var kinds []string
			for _, kind := range info.Probes {
				kinds = append(kinds, kind.Name)
			}
			k.refuse(p.With("kind"), source.DidYouMean(probe.Kind, kinds), "connector %s has no probe %q", info.Name, probe.Kind)
		}
		k.checkEnvironments(p, probe.Environments)
		when := k.when(p.With("when"), probe.When)
		in := k.environments(probe.Environments)
		if probe.Resource != "" {
			if _, ok := k.index[probe.Resource]; !ok {
				k.refuse(p.With("resource"), source.DidYouMean(probe.Resource, source.Keys(k.index)), "unknown resource %q", probe.Resource)
			}
		}
		user := user{p: p, what: "the probe", environments: in, condition: probe.When, when: when}
		if when != nil {
			k.checkReads(user, p.With("when"), when)
		}
		for _, name := range source.Keys(probe.Params) {
			at, t := p.With("params", name), (*text)(nil)
			if isSQL(info, probe.Kind, name) {
				t = k.sql(at, info, probe.Params[name])
			} else {
				t = k.text(inEnvironment, at, probe.Params[name])
			}
			if t != nil {
				k.checkReads(user, at, t)
			}
		}
	}
}

const onlyWhole = "a credential must be the whole of an output, since it is shown once"

func (k *checker) checkOutputs() {
	for _, name := range source.Keys(k.Blueprint.Outputs) {
		p, source := source.Path{"outputs", name}, k.Blueprint.Outputs[name]
		t := k.text(inOutput, p, source)
		if t == nil {
			continue
		}
		k.checkParams(p, t, nil)
		if !t.refs.calls["credential"] {
			continue
		}
		key, ok := credentialKey(t)
		switch i, known := k.index[key]; {
		case !ok:
			k.refuse(p, "write ${credential(resources.KEY)} and nothing else", onlyWhole)
		case known && !k.Type(k.Blueprint.Resources[i]).Credential:
			k.refuse(p, "", "resource %s has no credential: type %s makes none", key, k.Blueprint.Resources[i].Type)
		}
	}
}

func (k *checker) checkNotices() {
	for i, n := range k.Blueprint.Notices {
		p := source.Path{"notices"}.Index(i)
		check := func(p source.Path, from string) {
			if t := k.text(inTenant, p, from); t != nil {
				k.checkParams(p, t, nil)
			}
		}
		check(p.With("to"), n.To)
		for _, tag := range n.Text.Tags() {
			check(inText(p.With("text"), tag), n.Text[tag])
		}
	}
}

// inText is where a text for a language stands; "" is the one for all.
func inText(p source.Path, tag string) source.Path {
	if tag == "" {
		return p
	}
	return p.With(tag)
}

// line refuses a text in a file that is no line of text.
func (k *checker) line(p source.Path, what, text string) {
	if _, err := tenure.NeedLine(what, text, 1<<16); err != nil {
		k.refuseInFile(p, "", "%s", err)
	}
}

func (k *checker) checkTasks() {
	for stage, list := range map[string][]tenure.TaskSpec{"onboarding": k.Blueprint.Onboarding.Tasks, "offboarding": k.Blueprint.Offboarding.Tasks} {
		for i, t := range list {
			k.line(source.Path{stage, "tasks"}.Index(i), "the task", t.Task)
			if err := tenure.CheckOwner(t.Owner); err != nil {
				k.refuse(source.Path{stage, "tasks"}.Index(i).With("owner"), "platform, security, contact, role:NAME, group:NAME or person:NAME", "nobody can be told of a task as %q", t.Owner)
			}
		}
	}
}

func (k *checker) checkLease() {
	l := k.Blueprint.Lease
	if l == nil {
		return
	}
	from := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	switch ask := l.Ask.After(from); {
	case ask.Before(from.Add(tenure.MinLeaseAnswer)):
		k.refuse(source.Path{"lease", "ask"}, "", "who is asked has a day at least to answer")
	case !ask.Before(l.Period.After(from)):
		k.refuse(source.Path{"lease", "ask"}, "", "the question comes before the lease begins: ask is shorter than period")
	}
}

// checkVendors refuses two companies of one name, and a date for an answer that is none.
func (k *checker) checkVendors() {
	from, seen := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), make(map[string]bool)
	alike := make(map[string]string)
	for i, v := range k.Blueprint.Offboarding.Vendors {
		p := source.Path{"offboarding", "vendors"}.Index(i)
		k.line(p.With("name"), "the company's name", v.Name)
		k.line(p.With("holds"), "what it holds", v.Holds)
		if !tenure.IsMailAddress(v.Email) {
			k.refuseInFile(p.With("email"), "", "it must be one plain mail address")
		}
		name := strings.ToLower(strings.Join(strings.Fields(v.Name), " "))
		if seen[name] {
			k.refuse(p.With("name"), "name each company once, and list what it holds in one text", "two vendors are named %q", v.Name)
		}
		seen[name] = true
		if looks := lookalike.Skeleton(v.Name); alike[looks] != "" && strings.ToLower(strings.Join(strings.Fields(alike[looks]), " ")) != name {
			k.refuseInFile(p.With("name"), "", "the vendors %q and %q look alike", alike[looks], v.Name)
		} else {
			alike[looks] = v.Name
		}
		if due := v.Due.After(from); due.Before(from.AddDate(0, 0, 1)) || due.After(from.AddDate(1, 0, 0)) {
			k.refuse(p.With("due"), "", "who is asked has between a day and a year to answer")
		}
	}
}

// system looks a resource's or a probe's system up.
func (k *checker) system(p source.Path, name string) (connector.Info, bool) {
	if _, declared := k.Blueprint.Systems[name]; !declared {
		k.refuse(p.With("system"), source.DidYouMean(name, source.Keys(k.Blueprint.Systems)), "unknown system %q", name)
		return connector.Info{}, false
	}
	info, ok := k.infos[name]
	return info, ok
}

// checkEnvironments refuses the names of environments that don't exist.
func (k *checker) checkEnvironments(p source.Path, names []string) {
	var known []string
	for _, e := range k.Blueprint.Environments {
		known = append(known, e.Name)
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			k.refuse(p.With("environments").Index(i), source.DidYouMean(name, known), "unknown environment %q", name)
		}
	}
}

// environments are those that a list names, or all.
func (c *Compiled) environments(names []string) []tenure.Environment {
	var out []tenure.Environment
	for _, e := range c.Blueprint.Environments {
		if len(names) == 0 || slices.Contains(names, e.Name) {
			out = append(out, e)
		}
	}
	return out
}
