package planner

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tenurehq/tenure"
)

// dispose puts the data classes into the plan as they stand for this tenant, and what
// happens to each in each environment.
func (c *compiler) dispose() error {
	var environments []string
	for _, e := range c.in.Blueprint.Environments {
		environments = append(environments, e.Name)
	}
	var jurisdiction, contract string
	if c.in.Desired != nil {
		jurisdiction, contract = c.in.Desired.Jurisdiction, c.in.Desired.Contract
	}
	c.plan.Classes, c.plan.Dispositions = nil, nil
	for _, class := range c.in.Blueprint.DataClasses {
		decided, all, err := class.Decided(environments, jurisdiction, contract)
		if err != nil {
			return err
		}
		c.plan.Classes = append(c.plan.Classes, decided)
		c.plan.Dispositions = append(c.plan.Dispositions, all...)
	}
	c.plan.Pseudonyms = c.in.Blueprint.Pseudonyms
	return nil
}

// disposes is what happens to a class in a resource.
func (c *compiler) disposes(r *tenure.PlannedResource, class string) tenure.Disposition {
	return c.plan.Disposes(class, r.Environment)
}

// leaves says whether a group is the one in which a class's data goes from a resource.
func (c *compiler) leaves(r *tenure.PlannedResource, g group) bool {
	return slices.Contains(r.Classes, g.class) && c.plan.Stays(r, g.class) == g.end
}

// concerns says whether a group does anything with a resource's data.
func (c *compiler) concerns(r *tenure.PlannedResource, g group) bool {
	return c.leaves(r, g) || !g.end && c.pseudonymises(r, g.class)
}

func (c *compiler) pseudonymises(r *tenure.PlannedResource, class string) bool {
	return r.Layer != tenure.LayerBackup && slices.Contains(r.Classes, class) && c.disposes(r, class) == tenure.Pseudonymise
}

// concernsAny says whether a group does anything with any resource's data.
func (c *compiler) concernsAny(all map[tenure.ResourceID]*tenure.PlannedResource, g group) bool {
	for _, r := range all {
		if c.concerns(r, g) {
			return true
		}
	}
	return false
}

// places are the numbers of the groups that the resources are deleted in.
func (c *compiler) places(groups []group, all map[tenure.ResourceID]*tenure.PlannedResource) map[tenure.ResourceID]int {
	at := make(map[tenure.ResourceID]int, len(all))
	for _, r := range all {
		c.place(r, groups, all, at)
	}
	for changed := true; changed; { // what something that stays stands on stays with it
		changed = false
		for _, r := range all {
			for _, id := range r.Needs {
				if need := all[id]; need != nil && groups[at[r.ID]].end && at[id] < at[r.ID] {
					at[id], changed = at[r.ID], true
				}
			}
		}
	}
	return at
}

// place is the number of the group that a resource is deleted in: the last by which a
// class of its leaves; of one without a class the earliest of what it stands on.
func (c *compiler) place(r *tenure.PlannedResource, groups []group, all map[tenure.ResourceID]*tenure.PlannedResource, seen map[tenure.ResourceID]int) int {
	if n, ok := seen[r.ID]; ok {
		return n
	}
	last := 0
	for i, g := range groups {
		if !g.end {
			last = i
		}
	}
	seen[r.ID] = last // a cycle can't be: the blueprint names them
	n := last
	if len(r.Classes) > 0 {
		n = 0
		for i, g := range groups {
			if c.leaves(r, g) {
				n = i
			}
		}
	} else {
		for _, id := range r.Needs {
			if need := all[id]; need != nil {
				n = min(n, c.place(need, groups, all, seen))
			}
		}
	}
	seen[r.ID] = n
	return n
}

// ends are the gates at the ends of what stays in a resource.
func (c *compiler) ends(r *tenure.PlannedResource) (gates []string) {
	for _, class := range r.Classes {
		if g := (group{class: class, end: true}); c.plan.Stays(r, class) {
			gates = append(gates, g.key("clock"), g.key("noreturn"))
		}
	}
	return gates
}

// unsealed says whether a class's key isn't needed any more once a group has gone.
func (c *compiler) unsealed(g group, later []group) bool {
	sealed := func(r tenure.PlannedResource) bool {
		return slices.Contains(r.Classes, g.class) && c.disposes(&r, g.class) == tenure.CryptoErase
	}
	return slices.ContainsFunc(c.plan.Resources, sealed) && !slices.ContainsFunc(later, func(o group) bool { return o.class == g.class })
}

// pseudonymise adds the steps that put keyed names into the data of a group's class, and
// the keys that they take, once access is cut.
func (c *compiler) pseudonymise(g group, open []string, gate, erasing string) (done []string) {
	if g.end {
		return nil
	}
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if !c.pseudonymises(r, g.class) {
			continue
		}
		needs := []string{g.key("clock"), gate, erasing}
		done = append(done, c.add(tenure.Step{
			Key: pathOf(r) + "/pseudonymise/" + g.class, Stage: tenure.StageErasure, Action: tenure.ActPseudonymise, Class: g.class, Destructive: true, Resource: r.ID, System: r.System,
			Environment: r.Environment, Needs: append(needs, c.pseudonymKeys(open)...), Summary: fmt.Sprintf("pseudonymise %s in %s %s", g.class, r.Type, r.Name),
		}))
	}
	return done
}

// pseudonymKeys makes the blueprint's keys for pseudonyms, once.
func (c *compiler) pseudonymKeys(open []string) (made []string) {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Pseudonyms)) {
		key := "key/" + tenure.PseudonymKey + name
		if !c.keys[key] {
			c.add(tenure.Step{Key: key, Stage: tenure.StageKeys, Action: tenure.ActKeyCreate, To: tenure.PseudonymKey + name, Needs: slices.Clone(open), Summary: "make the key for the pseudonyms of " + name})
		}
		made = append(made, key)
	}
	return made
}

// forgetPseudonyms destroys the keys for pseudonyms once each one's own retention has
// ended and all that it is needed for is done.
func (c *compiler) forgetPseudonyms(needs []string) (done []string) {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Pseudonyms)) {
		purpose := tenure.PseudonymKey + name
		if !c.keys["key/"+purpose] {
			continue
		}
		clock := c.add(tenure.Step{Key: "clock/" + purpose, Stage: tenure.StageExpiry, Action: tenure.ActRetention, To: purpose, Needs: slices.Clone(needs), Summary: "retention of the key for the pseudonyms of " + name})
		done = append(done, c.add(tenure.Step{Key: "key/" + purpose + "/destroy", Stage: tenure.StageExpiry, Action: tenure.ActKeyDestroy, To: purpose, Destructive: true, Needs: []string{clock}, Summary: "destroy the key for the pseudonyms of " + name}))
	}
	return done
}
