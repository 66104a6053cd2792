package planner

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// untold ends what is said of an attribute that only Tenure's mark would hold.
const untold = "which can't be told without the mark of Tenure's"

// standing refuses to adopt what isn't there, isn't as desired, or isn't free, and names all
// of it. What a plan adopts it neither makes nor changes, so that nothing else would mend it.
func (c *compiler) standing() error {
	c.plan.Adopt, c.plan.OnFailure = true, tenure.Park
	var wrong []string
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if c.staged(r) { // it is written to, whatever it says
			c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: pathOf(r), Field: "record", To: r.Type + " " + r.Name + " in " + r.System + " is written to"})
			continue
		}
		r.New = false
		seen := c.in.Standing[r.ID]
		for _, w := range c.against(r, seen) {
			wrong = append(wrong, fmt.Sprintf("%s (%s %s in %s) %s", pathOf(r), r.Type, r.Name, r.System, w))
		}
		if len(wrong) > 0 {
			continue
		}
		c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: pathOf(r), Field: "mark", From: "none", To: r.Type + " " + r.Name + " in " + r.System + " is the tenant's"})
		if t, _ := c.in.Systems[r.System].Info.Type(r.Type); t.Credential {
			c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: pathOf(r), Field: "credential", To: "stays as it is: Tenure doesn't know it and issues none"})
		}
	}
	wrong = append(wrong, c.foreseen()...)
	for _, purpose := range c.keyPurposes() {
		if class, is := strings.CutPrefix(purpose, "class-"); is {
			wrong = append(wrong, "the data class "+class+" ends by cryptographic erasure, and what stands there isn't sealed with a key of Tenure's")
		}
	}
	if len(wrong) > 0 {
		err := tenure.Errorf(tenure.Conflict, "%s can't be adopted as it stands: %s", c.in.Tenant.Name, strings.Join(wrong, "; ")).
			WithHint("adopting changes nothing but marks: mend the parameters or the blueprint, or the things themselves, and plan again")
		if slices.ContainsFunc(wrong, func(w string) bool { return strings.HasSuffix(w, untold) }) {
			err = err.WithHint("leave out of the blueprint what can't be told, and bring it in with a change afterwards")
		}
		return withRemedies(err, c.in.Foreseen)
	}
	c.withoutOutputs()
	return nil
}

// against says what stands against adopting r; nothing if it can be adopted.
func (c *compiler) against(r *tenure.PlannedResource, seen Sight) (out []string) {
	sys := c.in.Systems[r.System]
	switch {
	case !sys.Can("adopt"):
		return []string{"is in a system whose connector can't adopt"}
	case !seen.Found && seen.Blurred:
		return []string{"wasn't seen, and the system wasn't seen whole"}
	case !seen.Found:
		return []string{"isn't there"}
	case seen.Owner == connector.Ours:
		return []string{"bears the mark of another resource of Tenure's, " + string(seen.Resource)}
	case seen.Owner != connector.Unmarked:
		return []string{"bears a mark already (" + string(seen.Owner) + ")"}
	case seen.State != "" && seen.State != tenure.ResourcePresent:
		out = append(out, "is "+string(seen.State))
	}
	have, want := object(seen.Attributes), object(seen.Normal)
	if len(have) == 0 && seen.Detail != "" { // nothing can be told of it
		return append(out, "isn't as it would be: "+seen.Detail)
	}
	if bytes.Equal(seen.Attributes, seen.Normal) {
		return out
	}
	names := slices.Collect(maps.Keys(have))
	names = slices.AppendSeq(names, maps.Keys(want))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		switch is, wanted := written(have, name), written(want, name); {
		case is == wanted:
		case slices.Contains(seen.Untold, name):
			out = append(out, fmt.Sprintf("would have %s %s, ", name, wanted)+untold)
		default:
			out = append(out, fmt.Sprintf("has %s %s, and would have %s", name, is, wanted))
		}
	}
	if len(out) == 0 {
		out = append(out, "reads back otherwise than desired")
	}
	return out
}

// foreseen names what a look at drift would find once the tenant is adopted. What stands
// in nobody's way, and is to be waived or accepted, the plan lists instead.
func (c *compiler) foreseen() (wrong []string) {
	all := byID(c.plan.Resources)
	for _, f := range c.in.Foreseen {
		at, where := "", "system "+f.System+": "
		if r := all[f.Resource]; r != nil {
			at, where = pathOf(r), fmt.Sprintf("%s (%s %s in %s): ", pathOf(r), r.Type, r.Name, r.System)
		}
		if AgainstAdopting(f) {
			wrong = append(wrong, where+f.Detail)
			continue
		}
		c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: at, Field: "finding", From: f.Detail, To: "is found by each look at drift until it is settled or waived"})
	}
	return wrong
}

// AgainstAdopting says whether a finding that an adoption would bring stands against it.
func AgainstAdopting(f tenure.Finding) bool {
	return f.Kind != tenure.FindingUncovered || f.Severity == tenure.High || f.Severity == tenure.Critical
}

// withRemedies says what settles findings that stand against an adoption.
func withRemedies(err *tenure.Error, all []tenure.Finding) *tenure.Error {
	rights := false
	for _, f := range all {
		if !AgainstAdopting(f) {
			continue
		}
		if f.Kind == tenure.FindingExposure && !rights {
			rights = true
			err = err.WithHint("declare a right that is to stay in the blueprint: a grant resource for the role that has it, such as the application's")
		}
		for _, step := range f.Steps {
			word := "or take it away: "
			switch f.Kind {
			case tenure.FindingDrift:
				word = "take the setting away: "
			case tenure.FindingUncovered:
				word = "cover it in the blueprint, or settle it: "
			}
			err = err.WithHint("%s", word+step)
		}
	}
	return err
}

// written is an attribute as JSON, which tells a number from a text.
func written(all map[string]any, name string) string {
	v, is := all[name]
	if !is {
		return "nothing"
	}
	b, err := tenure.Canonical(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// withoutOutputs takes out of the hand-over the credentials that aren't issued.
func (c *compiler) withoutOutputs() {
	for env, values := range c.plan.Outputs {
		kept := make(map[string]any)
		for name, v := range values {
			if _, is := blueprint.CredentialOf(v); !is {
				kept[name] = v
			}
		}
		if c.plan.Outputs[env] = kept; len(kept) == 0 {
			delete(c.plan.Outputs, env)
		}
	}
}

// lookAgain adds the step that looks once more for what a plan that adopts was refused for,
// right before the first mark.
func (c *compiler) lookAgain(needs []string) string {
	return c.add(tenure.Step{
		Key: "look", Stage: tenure.StageProvision, Action: tenure.ActLook, Needs: some(needs),
		Summary: "see that there are no rights and settings at what is adopted that nothing declares, and no places that no data class covers",
	})
}

// takeOver adds the step that marks what stands there, after what it stands on.
func (c *compiler) takeOver(r *tenure.PlannedResource, needs []string) string {
	all := byID(c.plan.Resources)
	for _, id := range r.Needs {
		if n := all[id]; n != nil {
			if key := pathOf(n) + "/adopt"; c.keys[key] {
				needs = append(needs, key)
			}
		}
	}
	return c.add(tenure.Step{
		Key: pathOf(r) + "/adopt", Stage: tenure.StageProvision, Action: tenure.ActAdopt, Resource: r.ID, System: r.System, Environment: r.Environment, To: string(tenure.ResourcePresent),
		Needs: some(needs), Summary: fmt.Sprintf("mark %s %s in %s, which stands there, as the tenant's, and change nothing else", r.Type, r.Name, r.System),
	})
}

// seen adds, for each thing that the plan adopts, the step that it is as it should be.
func (c *compiler) seen() (keys []string) {
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if !c.keys[pathOf(r)+"/adopt"] {
			continue
		}
		keys = append(keys, c.add(tenure.Step{
			Key: pathOf(r) + "/observe", Stage: tenure.StageVerify, Action: tenure.ActObserve, Resource: r.ID, System: r.System, Environment: r.Environment,
			Needs: []string{pathOf(r) + "/adopt"}, Summary: "see that " + r.Name + " is the tenant's",
		}))
	}
	return keys
}

// untried says whether a probe of r is left out, as it would show a credential that Tenure
// doesn't hold, and has the plan say so.
func (c *compiler) untried(r *tenure.PlannedResource, probe string) bool {
	t, _ := c.in.Systems[r.System].Info.Type(r.Type)
	if !t.Credential || !c.in.Adopt && !c.in.Unheld[r.ID] {
		return false
	}
	d := tenure.Difference{Resource: pathOf(r), Field: "probe", From: probe, To: "left out: Tenure doesn't hold the credential; it is tried once a repair has issued one (--reissue)"}
	if !slices.Contains(c.plan.Diff, d) {
		c.plan.Diff = append(c.plan.Diff, d)
	}
	return true
}
