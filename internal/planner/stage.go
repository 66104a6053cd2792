package planner

import (
	"fmt"

	"github.com/tenurehq/tenure"
)

// spec is what a blueprint says of a resource: of an upgrade also the revision that the
// tenant leaves; nil if neither has it.
func (c *compiler) spec(key string) *tenure.ResourceSpec {
	for _, bp := range []*tenure.Blueprint{c.in.Blueprint, c.in.Was} {
		if bp == nil {
			continue
		}
		for i := range bp.Resources {
			if bp.Resources[i].Key == key {
				return &bp.Resources[i]
			}
		}
	}
	return nil
}

// staged says whether a resource is a record that tells of the tenant's stages.
func (c *compiler) staged(r *tenure.PlannedResource) bool {
	s := c.spec(r.Key)
	return s != nil && len(s.Stages) > 0
}

// keeps says whether a record stays when its tenant has left.
func (c *compiler) keeps(key string) bool {
	s := c.spec(key)
	return s != nil && s.Keeps()
}

// says is what a record says at a stage; nil if nothing of its own.
func (c *compiler) says(r *tenure.PlannedResource, at tenure.TenantState) map[string]any {
	if c.in.Desired == nil {
		return nil
	}
	for _, env := range c.in.Desired.Environments {
		for i := range env.Resources {
			if env.Name == r.Environment && env.Resources[i].Key == r.Key {
				return env.Resources[i].Stages[at]
			}
		}
	}
	return nil
}

// writes adds, for each record that says something at a stage, the step that writes it. It
// comes after the tenant is at the stage, and nothing of the operation waits for it: a
// CRM that is down keeps no access open.
func (c *compiler) writes(at tenure.TenantState, needs ...string) {
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		set := c.says(r, at)
		if r.Retire || set == nil {
			continue
		}
		c.add(tenure.Step{
			Key: pathOf(r) + "/write/" + string(at), Stage: tenure.StageWriteBack, Action: tenure.ActWrite, Resource: r.ID, System: r.System, Environment: r.Environment,
			To: string(at), Set: set, Optional: true, Needs: some(needs), Summary: fmt.Sprintf("write to %s %s in %s that the tenant is %s", r.Type, r.Name, r.System, told(at)),
		})
	}
}

// told is a state in words.
func told(at tenure.TenantState) string {
	switch at {
	case tenure.TenantTransition:
		return "leaving, with full service until its access ends"
	case tenure.TenantTerminating:
		return "leaving, and its access is cut"
	case tenure.TenantAwaitingExpiry:
		return "awaiting the expiry of copies"
	}
	return string(at)
}

// records adds, at the end of a departure, the deletion of the records that tell of the
// tenant's stages. Those that stay get their last word instead, and lose the mark.
func (c *compiler) records(all map[tenure.ResourceID]*tenure.PlannedResource, groups []group, needs []string) (done []string) {
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if !c.staged(r) {
			continue
		}
		after := append(c.classGates(r, groups), needs...)
		for _, at := range tenure.RecordStages {
			if key := pathOf(r) + "/write/" + string(at); c.keys[key] { // one that came later would mark it again
				after = append(after, key)
			}
		}
		done = append(done, c.remove(r, all, after...))
	}
	return done
}

// asRecord makes the deletion of a record that stays one that writes its last word.
func (c *compiler) asRecord(r *tenure.PlannedResource, s *tenure.Step) {
	if r.Keep {
		s.Set = c.says(r, tenure.TenantClosed)
		s.Summary = fmt.Sprintf("leave %s %s in %s with its last word, and without the mark", r.Type, r.Name, r.System)
	}
}
