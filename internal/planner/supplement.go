package planner

import (
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
)

// supplement takes away what came back after a tenant has closed: approval, fresh
// counts, a point of no return for each class, erasure and deletion, a last
// reconciliation, and a certificate that names the closing one. The tenant's state
// stays closed.
func (c *compiler) supplement() error {
	all, err := c.planned()
	if err != nil {
		return err
	}
	for _, class := range c.in.Blueprint.DataClasses {
		class.Disposition, class.Rules = tenure.Purge, nil // what came back has nothing to stay for
		c.plan.Classes = append(c.plan.Classes, class)
	}
	c.plan.Destructive = 1 // it is always approved
	gate := c.approve()
	c.plan.Destructive = 0
	cutAt := c.plan.At
	if at, ok := c.in.Anchors[tenure.FromTermination]; ok {
		cutAt = at // the classes go in the order in which they went before
	}
	groups, err := c.groups(all, cutAt)
	if err != nil {
		return err
	}
	done := []string{gate}
	gates := make(map[string]string)
	for i, g := range groups {
		rs := c.holding(g, i == len(groups)-1)
		if len(rs) == 0 {
			continue
		}
		gates[g.class] = c.pointOfNoReturn(g.label(), rs, g, []string{gate}, nil)
		for _, r := range rs {
			if c.erasesApart(r, g.class, false) {
				done = append(done, c.erase(r, g.class, gates[g.class]))
			}
		}
	}
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		needs := []string{gate}
		for class, key := range gates {
			if len(r.Classes) == 0 || slices.Contains(r.Classes, class) {
				needs = append(needs, key)
			}
			if key := pathOf(r) + "/erase/" + class; c.keys[key] {
				needs = append(needs, key)
			}
		}
		s := tenure.Step{
			Key: pathOf(r) + "/delete", Stage: tenure.StageErasure, Action: tenure.ActDelete, Destructive: true, Resource: r.ID, System: r.System,
			Environment: r.Environment, Needs: needs, Summary: fmt.Sprintf("delete %s from %s", r.Type, r.System),
		}
		if r.Keep {
			s.Summary = fmt.Sprintf("leave %s in %s without the mark", r.Type, r.System)
		}
		done = append(done, c.add(s))
	}
	last := c.add(tenure.Step{Key: "reconcile/last", Stage: tenure.StageReconcile, Action: tenure.ActSweep, To: "all", Needs: done, Summary: "reconciliation: nothing in any system is the tenant's"})
	certificate := c.add(tenure.Step{Key: "certificate/supplementary", Stage: tenure.StageCertify, Action: tenure.ActCertify, To: "supplementary", Needs: []string{last}, Summary: "supplementary certificate"})
	c.add(tenure.Step{Key: "forget", Stage: tenure.StageCertify, Action: tenure.ActForget, Needs: []string{certificate}, Summary: "forget what Tenure's own rows say of the tenant"})
	return nil
}

// holding are the resources that hold a group's class; with the last group those
// that hold none, too.
func (c *compiler) holding(g group, last bool) (out []*tenure.PlannedResource) {
	for i := range c.plan.Resources {
		if r := &c.plan.Resources[i]; g.class == "" || slices.Contains(r.Classes, g.class) || last && len(r.Classes) == 0 {
			out = append(out, r)
		}
	}
	return out
}
