package blueprint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// dates are the days that the texts of a stage may read, each with the stages that know it.
var dates = map[string][]tenure.TenantState{
	"live":       tenure.RecordStages,
	"suspended":  {tenure.TenantSuspended},
	"accessEnds": tenure.RecordStages[2:],
	"erased":     tenure.RecordStages[2:],
	"closed":     {tenure.TenantClosed},
}

// dateText is what stands in a plan for a day that is known only when the record is written.
func dateText(name string) string { return "${dates." + name + "}" }

// Dated is v with the days, by their names, in the place of the texts that stand for them.
func Dated(v any, days map[string]string) any {
	switch v := v.(type) {
	case string:
		for name, day := range days {
			v = strings.ReplaceAll(v, dateText(name), day)
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Dated(e, days)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = Dated(e, days)
		}
		return out
	}
	return v
}

// staged are the attributes that a record has at a stage, before expressions are worked out.
func staged(r tenure.ResourceSpec, at tenure.TenantState) map[string]any {
	out := maps.Clone(r.Attributes)
	if out == nil {
		out = map[string]any{}
	}
	for name, v := range r.Stages[at] {
		if v == nil {
			delete(out, name)
			continue
		}
		out[name] = v
	}
	return out
}

// stagesOf are the stages at which a record is written to: those that it has an entry for,
// and active, so that it says so again after any other.
func stagesOf(r tenure.ResourceSpec) (out []tenure.TenantState) {
	for _, at := range tenure.RecordStages {
		if r.Stages[at] != nil || at == tenure.TenantActive && len(r.Stages) > 0 {
			out = append(out, at)
		}
	}
	return out
}

// checkStages holds what a record says at each stage against its type.
func (k *checker) checkStages(p source.Path, r *tenure.ResourceSpec, t tenure.ResourceType, use func(source.Path, *text)) {
	if len(r.Stages) == 0 {
		return
	}
	if p = p.With("stages"); !t.Record {
		k.refuse(p, "only records that others keep too have stages, such as a deal or an account in a CRM", "%s isn't such a record", r.Type)
		return
	}
	shape := k.shapes[[2]string{k.infos[r.System].Name, t.Name}]
	for _, at := range stagesOf(*r) {
		in := p.With(string(at))
		k.eachText(in, r.Stages[at], func(p source.Path, s string) {
			t := k.text(inStage, p, s)
			if use(p, t); t == nil {
				return
			}
			for _, name := range source.Keys(t.refs.fields["dates"]) {
				if !slices.Contains(dates[name], at) {
					k.refuse(p, "", "dates.%s isn't known while the tenant is %s", name, at)
				}
			}
		})
		all := staged(*r, at)
		if shape == nil {
			continue
		}
		for _, m := range shape.Check(all, func(at source.Path) bool { return isOpen(all, at) }) {
			k.misfit(in, m)
		}
	}
}

// stages works out what a record says at each stage. A day that isn't known yet is left to
// whoever writes it.
func (e *evaluation) stages(p source.Path, env tenure.Environment, spec tenure.ResourceSpec, vars map[string]any) map[tenure.TenantState]map[string]any {
	if len(spec.Stages) == 0 {
		return nil
	}
	days := map[string]any{}
	sample := map[string]string{}
	for name := range dates {
		days[name], sample[name] = dateText(name), "2000-01-01"
		if day := e.in.Dates[name]; day != "" {
			days[name] = day
		}
	}
	vars = maps.Clone(vars)
	vars["dates"] = days
	out := map[tenure.TenantState]map[string]any{}
	for _, at := range stagesOf(spec) {
		before := len(e.found)
		all, _ := e.value(p.With("stages", string(at)), env, staged(spec, at), vars).(map[string]any)
		if len(e.found) == before {
			checked, _ := Dated(all, sample).(map[string]any)
			e.checkAttributes(p.With("stages", string(at)), env, spec, checked)
		}
		if len(e.found) == before {
			out[at] = all
		}
	}
	return out
}

// textIn is the compiled text of an attribute.
func (e *evaluation) textIn(s string) (*text, error) {
	if t := e.texts[inEnvironment][s]; t != nil {
		return t, nil
	}
	if t := e.texts[inStage][s]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%s wasn't compiled", source.Quote(s))
}
