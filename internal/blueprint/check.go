package blueprint

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// maxExpressions bounds how many different expressions one blueprint has.
const maxExpressions = 2000

// checker gathers what is wrong and compiles what is right.
type checker struct {
	*Compiled
	src         *Source
	catalog     map[string]connector.Info
	dialect     *dialect
	found       Problems
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
			Blueprint: bp, infos: map[string]connector.Info{}, shapes: map[[2]string]*shape{},
			texts: map[scope]map[string]*text{inEnvironment: {}, inOutput: {}, inTenant: {}}, whens: map[string]*text{}, sqls: map[[2]string]*text{},
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
	k.checkOrder()
	k.checkNames()
	if err := k.found.err(); err != nil {
		return nil, err
	}
	if err := k.seal(); err != nil {
		return nil, err
	}
	return k.Compiled, nil
}

// refuse notes a problem at a value.
func (k *checker) refuse(p path, hint, format string, args ...any) {
	k.misfit(p, misfit{message: fmt.Sprintf(format, args...), hint: hint})
}

// refuseInFile notes a problem that stops a file and no stored revision: one that was
// published before anybody looked for it goes on, so that its tenants can leave.
func (k *checker) refuseInFile(p path, hint, format string, args ...any) {
	if k.src != nil {
		k.refuse(p, hint, format, args...)
	}
}

// misfit notes that something under p doesn't fit a schema. Beyond what a
// report shows nothing is worked out any more.
func (k *checker) misfit(p path, m misfit) {
	if p = p.with(m.at...); len(k.found) <= 2*maxProblems {
		k.found = append(k.found, k.src.problem(k.src.locate(p, m.key), p, m.message, m.hint))
	}
}

// fault notes a problem within a text.
func (k *checker) fault(p path, source string, f fault) {
	if len(k.found) <= 2*maxProblems {
		k.found = append(k.found, k.src.problem(k.src.within(p, source, f.offset), p, f.message, f.hint))
	}
}

// within is the place of a byte of the text that stands at p. It looks for the
// text's line in the file, since quoting and indentation move it.
func (s *Source) within(p path, text string, offset int) position {
	pos := s.locate(p, false)
	if s == nil || s.lines == nil {
		return pos
	}
	offset = min(offset, len(text))
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	for n := pos.line; n <= min(len(s.lines), pos.line+strings.Count(text, "\n")+1); n++ {
		from := 0
		if n == pos.line {
			from = len(string([]rune(s.lines[n-1])[:min(pos.column-1, utf8.RuneCountInString(s.lines[n-1]))]))
		}
		if i := strings.Index(s.lines[n-1][from:], line); i >= 0 && line != "" {
			return position{n, utf8.RuneCountInString(s.lines[n-1][:from+i]) + utf8.RuneCountInString(text[start:offset]) + 1}
		}
	}
	return pos
}

// text compiles a text of a scope, once, and notes what is wrong with it.
func (k *checker) text(s scope, p path, source string) *text {
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
func (k *checker) count(p path, t *text) {
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
func (k *checker) when(p path, source string) *text {
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
	for _, name := range keysOf(k.Blueprint.Systems) {
		connectorName := k.Blueprint.Systems[name].Connector
		info, ok := k.catalog[connectorName]
		if !ok {
			k.refuse(path{"systems", name, "connector"}, didYouMean(connectorName, keysOf(k.catalog)), "unknown connector %q", connectorName)
			continue
		}
		k.infos[name] = info
		k.checkRemnants(path{"systems", name, "remnants"}, info, k.Blueprint.Systems[name].Remnants)
	}
}

func (k *checker) checkProbes() {
	for i, probe := range k.Blueprint.Probes {
		p := path{"probes"}.index(i)
		info, ok := k.system(p, probe.System)
		if ok && !slices.ContainsFunc(info.Probes, func(kind connector.ProbeKind) bool { return kind.Name == probe.Kind }) {
			var kinds []string
			for _, kind := range info.Probes {
				kinds = append(kinds, kind.Name)
			}
			k.refuse(p.with("kind"), didYouMean(probe.Kind, kinds), "connector %s has no probe %q", info.Name, probe.Kind)
		}
		k.checkEnvironments(p, probe.Environments)
		when := k.when(p.with("when"), probe.When)
		in := k.environments(probe.Environments)
		if probe.Resource != "" {
			if _, ok := k.index[probe.Resource]; !ok {
				k.refuse(p.with("resource"), didYouMean(probe.Resource, keysOf(k.index)), "unknown resource %q", probe.Resource)
			}
		}
		user := user{p: p, what: "the probe", environments: in, condition: probe.When, when: when}
		if when != nil {
			k.checkReads(user, p.with("when"), when)
		}
		for _, name := range keysOf(probe.Params) {
			at, t := p.with("params", name), (*text)(nil)
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
	for _, name := range keysOf(k.Blueprint.Outputs) {
		p, source := path{"outputs", name}, k.Blueprint.Outputs[name]
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
		p := path{"notices"}.index(i)
		for _, f := range [][2]string{{"to", n.To}, {"text", n.Text}} {
			if t := k.text(inTenant, p.with(f[0]), f[1]); t != nil {
				k.checkParams(p.with(f[0]), t, nil)
			}
		}
	}
}

// system looks a resource's or a probe's system up.
func (k *checker) system(p path, name string) (connector.Info, bool) {
	if _, declared := k.Blueprint.Systems[name]; !declared {
		k.refuse(p.with("system"), didYouMean(name, keysOf(k.Blueprint.Systems)), "unknown system %q", name)
		return connector.Info{}, false
	}
	info, ok := k.infos[name]
	return info, ok
}

// checkEnvironments refuses the names of environments that don't exist.
func (k *checker) checkEnvironments(p path, names []string) {
	var known []string
	for _, e := range k.Blueprint.Environments {
		known = append(known, e.Name)
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			k.refuse(p.with("environments").index(i), didYouMean(name, known), "unknown environment %q", name)
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
