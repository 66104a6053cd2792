package planner

import (
	"fmt"

	"github.com/tenurehq/tenure"
)

// layers are the layers of access in the order in which they are cut.
var layers = []tenure.Layer{tenure.LayerKey, tenure.LayerSession, tenure.LayerAccount, tenure.LayerIntegration}

// suspend takes access off in layers and keeps everything.
func (c *compiler) suspend() error {
	if _, err := c.planned(); err != nil {
		return err
	}
	gate := c.approve()
	done := c.cut(tenure.ActSuspend, "suspend", gate)
	if len(done) == 0 {
		done = some([]string{gate})
	}
	suspended := c.move("suspended", tenure.StageCut, tenure.TenantSuspended, done...)
	c.writes(tenure.TenantSuspended, suspended)
	c.notices("suspended", tenure.StageCut, suspended)
	return nil
}

// cut adds one step for each thing that gives access, layer by layer within each
// system: one dead system doesn't keep the access to another alive.
func (c *compiler) cut(action tenure.Action, word string, needs ...string) []string {
	var all []string
	last := make(map[string][]string) // by system: the layer before
	for _, layer := range layers {
		now := make(map[string][]string)
		for i := range c.plan.Resources {
			r := &c.plan.Resources[i]
			if r.Layer != layer || action == tenure.ActSuspend && c.off(r.ID) {
				continue
			}
			act := action
			sys := c.in.Systems[r.System]
			if sys != nil && act == tenure.ActRevoke && !sys.Can("revoke") {
				act = tenure.ActSuspend
			}
			if sys == nil || !sys.Can(string(act)) {
				continue
			}
			key := c.add(tenure.Step{
				Key: pathOf(r) + "/" + word, Stage: tenure.StageCut, Action: act, Resource: r.ID, System: r.System, Environment: r.Environment,
				Needs: some(append(append([]string{}, needs...), last[r.System]...)), Summary: fmt.Sprintf("%s %s %s in %s (layer %s)", word, r.Type, r.Name, r.System, r.Layer),
			})
			now[r.System] = append(now[r.System], key)
			all = append(all, key)
		}
		for system, keys := range now {
			last[system] = keys
		}
	}
	return all
}

// resume puts access on again, in the opposite order, and probes that it works.
func (c *compiler) resume() error {
	if _, err := c.planned(); err != nil {
		return err
	}
	gate := c.approve()
	active := c.move("active", tenure.StageRestore, tenure.TenantActive, append(c.restore(tenure.ActResume, "resume", false, gate), gate)...)
	c.writes(tenure.TenantActive, active)
	c.notices("resumed", tenure.StageRestore, active)
	return nil
}

// restore adds the steps that bring access back, highest layer first.
func (c *compiler) restore(action tenure.Action, word string, reissue bool, needs ...string) []string {
	var all, last []string
	for i := len(layers) - 1; i >= 0; i-- {
		var now []string
		for j := range c.plan.Resources {
			r := &c.plan.Resources[j]
			if sys := c.in.Systems[r.System]; r.Layer != layers[i] || sys == nil || action == tenure.ActResume && !sys.Can("suspend") || c.off(r.ID) {
				continue
			}
			now = append(now, c.add(tenure.Step{
				Key: pathOf(r) + "/" + word, Stage: tenure.StageRestore, Action: action, Resource: r.ID, System: r.System, Environment: r.Environment, Reissue: reissue,
				Needs: some(append(append([]string{}, needs...), last...)), Summary: fmt.Sprintf("%s %s %s in %s", word, r.Type, r.Name, r.System),
			}))
		}
		if len(now) > 0 {
			last = now
		}
		all = append(all, now...)
	}
	return all
}

// reinstate brings a leaving tenant back before its point of no return: stores
// out of quarantine, access with new credentials, every probe again.
func (c *compiler) reinstate() error {
	if _, err := c.planned(); err != nil {
		return err
	}
	c.plan.Parameters = object(c.in.Tenant.Parameters)
	if c.in.Desired != nil {
		c.plan.Outputs = make(map[string]map[string]any)
		for _, env := range c.in.Desired.Environments {
			if len(env.Outputs) > 0 {
				c.plan.Outputs[env.Name] = env.Outputs
			}
		}
	}
	states := make(map[tenure.ResourceID]tenure.ResourceState)
	for _, r := range c.in.Inventory {
		states[r.ID] = r.State
	}
	gate := c.approve()
	back := some([]string{gate})
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		switch at := states[r.ID]; {
		case at == tenure.ResourceErasing, at == tenure.ResourceGone:
			return tenure.Errorf(tenure.Blocked, "%s is past its point of no return", pathOf(r))
		case at == tenure.ResourceQuarantined, c.in.Tenant.State == tenure.TenantRetained && c.canQuarantine(r):
			// A quarantine that failed, or was cancelled on its way, may have been carried out.
			back = append(back, c.add(tenure.Step{Key: pathOf(r) + "/unquarantine", Stage: tenure.StageRestore, Action: tenure.ActUnquarantine, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: some([]string{gate}), Summary: "bring " + r.Type + " " + r.Name + " out of quarantine"}))
		case at == tenure.ResourceSuspended && !c.off(r.ID): // it gave notice while it was suspended
			back = append(back, c.add(tenure.Step{Key: pathOf(r) + "/resume", Stage: tenure.StageRestore, Action: tenure.ActResume, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: some([]string{gate}), Summary: fmt.Sprintf("resume %s %s in %s", r.Type, r.Name, r.System)}))
		}
	}
	var made []string
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if c.off(r.ID) {
			continue
		}
		made = append(made, c.ensure(r, tenure.StageRestore, "restore", back))
		c.plan.Steps[len(c.plan.Steps)-1].Reissue = r.Layer.IsAccess() && states[r.ID] == tenure.ResourceRevoked
	}
	probes := made
	if c.in.Desired != nil {
		probes = append(c.probes(made), made...)
	}
	active := c.move("active", tenure.StageRestore, tenure.TenantActive, probes...)
	c.outputs(active)
	c.writes(tenure.TenantActive, active)
	c.notices("resumed", tenure.StageRestore, active)
	return nil
}
