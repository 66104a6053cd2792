package blueprint

import (
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// checkClasses refuses what no clock and no disposition can be decided from, and rules
// that contradict each other whatever the dates are.
func (k *checker) checkClasses() {
	for _, class := range k.Blueprint.DataClasses {
		p := source.Path{"dataClasses", class.Name}
		k.checkDisposition(p, class, class.Disposition, class.End)
		if len(class.Retention) == 0 {
			k.refuse(p, "", "data class %s has no retention", class.Name)
		}
		k.checkRetention(p.With("retention"), class.Retention)
		k.checkRetention(p.With("end"), class.End)
		if class.Disposition.Stays() {
			k.checkEnd(p.With("end"), class.Name, class.Retention, class.End)
		}
		if stays := func(r tenure.DispositionRule) bool { return r.Disposition.Stays() }; len(class.End) > 0 && !class.Disposition.Stays() && !slices.ContainsFunc(class.Rules, stays) {
			k.refuseInFile(p.With("end"), "say under retention how long it is kept before, or let it stay: keep, pseudonymise", "nothing of %s stays until an end, as it is to be %s", class.Name, class.Disposition.Done())
		}
		k.checkRules(p.With("rules"), class)
	}
	for _, name := range source.Keys(k.Blueprint.Pseudonyms) {
		k.checkRetention(source.Path{"pseudonyms", name, "retention"}, k.Blueprint.Pseudonyms[name].Retention)
	}
	for field, from := range map[string]string{"jurisdiction": k.Blueprint.Jurisdiction, "contract": k.Blueprint.Contract} {
		if from == "" {
			continue
		}
		if t := k.text(inTenant, source.Path{field}, from); t != nil {
			k.checkParams(source.Path{field}, t, nil)
		}
	}
}

// checkDisposition refuses one that can't be carried out, and one that keeps data
// without an end.
func (k *checker) checkDisposition(p source.Path, class tenure.DataClass, d tenure.Disposition, end []tenure.RetentionRule) {
	switch {
	case d == tenure.Archive:
		k.refuse(p.With("disposition"), "use keep, with an end", "this release can't carry out %q", d)
	case d.Stays() && len(end) == 0:
		k.refuse(p.With("disposition"), "say under end when it goes", "%s leaves data of %s there, and nothing says until when: nothing is kept for ever", d, class.Name)
	case d == tenure.Pseudonymise && len(k.Blueprint.Pseudonyms) == 0:
		k.refuse(p.With("disposition"), "name a key, with its own retention, under pseudonyms", "%s is to be pseudonymised, and the blueprint has no key for that", class.Name)
	}
}

// checkEnd refuses an end of which every rule is over when a retention is, or before: nothing
// would stay. It refuses one that wants the data gone before a retention is over.
func (k *checker) checkEnd(p source.Path, class string, retention, end []tenure.RetentionRule) {
	for _, r := range retention {
		if r.Kind != tenure.KeepUntil || len(end) == 0 {
			continue
		}
		if i := slices.IndexFunc(end, func(e tenure.RetentionRule) bool { return e.Kind == tenure.GoneBy && over(e, r) }); i >= 0 {
			k.refuseInFile(p, "shorten the retention", "%q wants %s gone by %s from %s, and %q keeps it for %s from %s", end[i].Name, class, end[i].Period, end[i].From, r.Name, r.Period, r.From)
			continue
		}
		if slices.ContainsFunc(end, func(e tenure.RetentionRule) bool { return !over(e, r) && !alike(e, r) }) {
			continue
		}
		last := end[0]
		for _, e := range end {
			if over(last, e) {
				last = e
			}
		}
		k.refuseInFile(p, "give the end a longer period", "%q ends %s %s after %s, and %q keeps it for %s from %s", last.Name, class, last.Period, last.From, r.Name, r.Period, r.From)
	}
}

// over says that a rule's period ends before another's, whatever the dates are: both begin
// on one day, or it begins with the notice, which access isn't cut before.
func over(a, b tenure.RetentionRule) bool {
	first := a.From == b.From || a.From == tenure.FromNotice && b.From == tenure.FromTermination
	return first && compared(a, b) < 0
}

// alike says that two rules' periods end together, whatever the dates are.
func alike(a, b tenure.RetentionRule) bool { return a.From == b.From && compared(a, b) == 0 }

func compared(a, b tenure.RetentionRule) int {
	day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	return a.Period.After(day).Compare(b.Period.After(day))
}

func (k *checker) checkRetention(p source.Path, all []tenure.RetentionRule) {
	for i, rule := range all {
		if rule.Period.IsZero() {
			k.refuse(p.Index(i).With("period"), "at once is PT0S", "rule %q has no period", rule.Name)
		}
		k.checkRule(p.Index(i), rule, all)
	}
}

func (k *checker) checkRule(p source.Path, rule tenure.RetentionRule, all []tenure.RetentionRule) {
	for _, other := range all {
		if rule.Kind == tenure.KeepUntil && other.Kind == tenure.GoneBy && over(other, rule) {
			refuse := k.refuse
			if rule.From != other.From {
				refuse = k.refuseInFile
			}
			refuse(p, "shorten one of them", "rule %q keeps the data for %s from %s, but %q wants it gone by %s from %s", rule.Name, rule.Period, rule.From, other.Name, other.Period, other.From)
		}
	}
}

// checkRules refuses rules of which nothing says which is meant, and those that ask for
// what the blueprint doesn't tell.
func (k *checker) checkRules(p source.Path, class tenure.DataClass) {
	for i, r := range class.Rules {
		at := p.Index(i)
		end := class.End
		if len(r.End) > 0 {
			end = r.End
		}
		k.checkDisposition(at, class, r.Disposition, end)
		if len(r.End) > 0 && !r.Disposition.Stays() {
			k.refuseInFile(at.With("end"), "leave it out, or let it stay: keep, pseudonymise", "rule %q lets nothing of %s stay until an end, as it is to be %s", r.Name, class.Name, r.Disposition.Done())
		}
		if retention := class.Retention; r.Disposition.Stays() {
			if len(r.Retention) > 0 {
				retention = r.Retention
			}
			k.checkEnd(at, class.Name, retention, end)
		}
		k.checkRetention(at.With("retention"), r.Retention)
		k.checkRetention(at.With("end"), r.End)
		k.checkEnvironments(at, r.Environments)
		switch {
		case r.Conditions() == 0:
			k.refuse(at, "write it as the class's own disposition", "rule %q of %s holds everywhere", r.Name, class.Name)
		case len(r.Environments) > 0 && len(r.Retention)+len(r.End) > 0:
			k.refuse(at, "leave retention and end to the class, or to a rule without environments", "rule %q of %s has clocks of its own for some environments, and the clocks are the whole tenant's", r.Name, class.Name)
		case len(r.Jurisdictions) > 0 && k.Blueprint.Jurisdiction == "":
			k.refuse(at.With("jurisdictions"), "jurisdiction: ${params.country}", "the blueprint doesn't say whose jurisdiction a tenant is under")
		case len(r.Contracts) > 0 && k.Blueprint.Contract == "":
			k.refuse(at.With("contracts"), "contract: ${tenant.tier}", "the blueprint doesn't say what contract a tenant has")
		}
		for _, o := range class.Rules[:i] {
			if o.Name == r.Name {
				k.refuse(at.With("name"), "", "two rules of %s are called %q", class.Name, r.Name)
			}
			if !o.Meets(r) || o.Conditions() != r.Conditions() {
				continue
			}
			if o.Disposition != r.Disposition {
				k.refuse(at, "give one of them a condition more", "the rules %q and %q of %s can hold for one tenant, and want %s and %s", o.Name, r.Name, class.Name, o.Disposition, r.Disposition)
			} else if len(o.Retention) > 0 && len(r.Retention) > 0 || len(o.End) > 0 && len(r.End) > 0 {
				k.refuse(at, "give one of them a condition more", "the rules %q and %q of %s can hold for one tenant, and both have clocks", o.Name, r.Name, class.Name)
			}
		}
	}
}

// Changes are the dispositions that change rows which the classes may have in an
// environment, as maps by class: one for each that some class may have beside another.
func (c *Compiled) Changes(environment tenure.Environment) (out []map[string]tenure.Disposition) {
	for _, class := range c.Blueprint.DataClasses {
		n := 0
		for _, d := range dispositions(class, []tenure.Environment{environment}) {
			if !d.Changes() {
				continue
			}
			if n == len(out) {
				out = append(out, map[string]tenure.Disposition{})
			}
			out[n][class.Name] = d
			n++
		}
	}
	if out == nil {
		out = append(out, nil)
	}
	return out
}

// dispositions are those that each data class of a resource may have there.
func (k *checker) dispositions(r tenure.ResourceSpec) map[string][]tenure.Disposition {
	out := map[string][]tenure.Disposition{}
	for _, class := range k.Blueprint.DataClasses {
		if slices.Contains(r.Data, class.Name) {
			out[class.Name] = dispositions(class, k.environments(r.Environments))
		}
	}
	return out
}

// dispositions are those that a class may have in some of the environments.
func dispositions(class tenure.DataClass, environments []tenure.Environment) []tenure.Disposition {
	out := []tenure.Disposition{class.Disposition}
	for _, r := range class.Rules {
		for _, e := range environments {
			if len(r.Environments) == 0 || slices.Contains(r.Environments, e.Name) {
				out = append(out, r.Disposition)
				break
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
