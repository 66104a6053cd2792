package planner

import (
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// reissued adds, for each credential that the plan issues anew, the probes that the new one
// works and that the old one is refused, where its system can tell, and hands the new ones
// over. What is off stays off, so that nothing can be tried there.
func (c *compiler) reissued() {
	var done []string
	fresh := make(map[[2]string]bool) // environment and key
	on := c.in.Tenant.State == tenure.TenantActive || c.in.Tenant.State == tenure.TenantTransition
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		sys := c.in.Systems[r.System]
		ensured := pathOf(r) + "/ensure"
		if sys == nil || !c.keys[ensured] {
			continue
		}
		if t, _ := sys.Info.Type(r.Type); !t.Credential {
			continue
		}
		fresh[[2]string{r.Environment, r.Key}] = true
		seen := pathOf(r) + "/observe"
		done = append(done, seen)
		present := slices.ContainsFunc(c.in.Inventory, func(have tenure.Resource) bool {
			return have.ID == r.ID && have.State == tenure.ResourcePresent
		})
		if on && present {
			done = append(done, c.tried(r, seen)...)
		}
	}
	c.plan.Outputs = make(map[string]map[string]any)
	if c.in.Desired == nil {
		return
	}
	for _, env := range c.in.Desired.Environments {
		for name, v := range env.Outputs {
			if key, ok := blueprint.CredentialOf(v); ok && fresh[[2]string{env.Name, key}] {
				if c.plan.Outputs[env.Name] == nil {
					c.plan.Outputs[env.Name] = make(map[string]any)
				}
				c.plan.Outputs[env.Name][name] = v
			}
		}
	}
	c.outputs(done...)
}

// tried adds the probes of one credential that was issued anew.
func (c *compiler) tried(r *tenure.PlannedResource, needs ...string) (keys []string) {
	add := func(key, system string, p tenure.Probe, needs ...string) string {
		key = c.add(tenure.Step{Key: "verify/" + key, Stage: tenure.StageVerify, Action: tenure.ActProbe, System: system, Resource: r.ID, Environment: r.Environment, Needs: needs, Probe: &p, Summary: "probe: " + p.Name})
		keys = append(keys, key)
		return key
	}
	if sys := c.in.Systems[r.System]; sys.Can("probe") {
		for _, k := range sys.Info.Probes {
			if (k.Name == "reachable" || k.Name == "isolation") && slices.Contains(k.Types, r.Type) {
				add(pathOf(r)+"/"+k.Name, r.System, tenure.Probe{Name: k.Name + " of " + pathOf(r), Kind: k.Name}, needs...)
			}
		}
		for _, k := range sys.Info.Probes {
			if k.Name == "reachable" && slices.Contains(k.Types, r.Type) { // the new one works: that the old one is refused is no dead system's word
				add(pathOf(r)+"/replaced", r.System, tenure.Probe{Name: "the old credential of " + pathOf(r) + " is refused", Kind: k.Name, Refused: true, Replaced: true}, slices.Clone(keys)...)
			}
		}
	}
	for _, e := range c.in.Desired.Environments {
		for _, p := range e.Probes {
			if e.Name != r.Environment || p.Resource != r.Key || !letsIn(p) {
				continue
			}
			let := add(path(e.Name, "blueprint/"+p.Name), p.System, tenure.Probe{Name: p.Name, Kind: p.Kind, Params: p.Params}, needs...)
			if p.System != r.System {
				add(path(e.Name, "blueprint/"+p.Name+"/replaced"), p.System, tenure.Probe{Name: p.Name + ", with the old credential, is refused", Kind: p.Kind, Params: p.Params, Refused: true, Replaced: true}, let)
			}
		}
	}
	return keys
}
