package planner

import (
	"slices"

	"github.com/tenurehq/tenure"
)

// revoke takes off things that give access, by name: approval by somebody other
// than who asks, the cut in layers, and probes that it holds. Each stays in the
// inventory as revoked, under its key: no change, repair or reinstatement brings
// it back, and the offboarding deletes it.
func (c *compiler) revoke() error {
	if _, err := c.planned(); err != nil {
		return err
	}
	states := make(map[tenure.ResourceID]tenure.ResourceState)
	for _, r := range c.in.Inventory {
		states[r.ID] = r.State
	}
	kept := c.plan.Resources[:0]
	for _, r := range c.plan.Resources {
		if !c.in.Revoke[r.ID] {
			continue
		}
		sys, err := c.system(r.System)
		switch {
		case err != nil:
			return err
		case !r.Layer.IsAccess():
			return tenure.Errorf(tenure.Invalid, "%s is %s in the layer %s: only what gives access is revoked", pathOf(&r), r.Type, r.Layer).
				WithHint("to take something else away, publish a revision without it and upgrade")
		case !sys.Can("revoke"):
			return tenure.Errorf(tenure.Invalid, "system %s (%s) can't revoke %s", r.System, sys.Info.Name, pathOf(&r)).
				WithHint("publish a revision without it and upgrade")
		case states[r.ID] == tenure.ResourceRevoked, states[r.ID] == tenure.ResourcePlanned:
			continue
		}
		kept = append(kept, r)
	}
	if c.plan.Resources = slices.Clip(kept); len(kept) == 0 {
		return tenure.Errorf(tenure.Conflict, "there is nothing to do: what was named of %s gives no access any more", c.in.Tenant.Name)
	}
	c.plan.Destructive = 1 // a revocation is always approved
	gate := c.approve()
	c.plan.Destructive = 0
	c.proven(c.cut(tenure.ActRevoke, "revoke", gate), gate)
	return nil
}

// off says whether a thing was taken off for good. While the tenant goes on,
// nothing else is revoked; once its access was cut everything is, and the caller
// says which were off before that.
func (c *compiler) off(id tenure.ResourceID) bool {
	if c.in.Kind == tenure.Reinstate {
		return c.in.Off[id]
	}
	return slices.ContainsFunc(c.in.Inventory, func(r tenure.Resource) bool { return r.ID == id && r.State == tenure.ResourceRevoked })
}

// offAgain revokes again what gives access though it was taken off: a repair
// never makes it anew.
func (c *compiler) offAgain(r *tenure.PlannedResource, gate string) []string {
	if sys := c.in.Systems[r.System]; sys == nil || !sys.Can("revoke") {
		return nil
	}
	return []string{c.add(tenure.Step{
		Key: pathOf(r) + "/revoke", Stage: tenure.StageCut, Action: tenure.ActRevoke, Resource: r.ID, System: r.System, Environment: r.Environment,
		Needs: some([]string{gate}), Summary: "revoke " + r.Type + " " + r.Name + " again",
	})}
}
