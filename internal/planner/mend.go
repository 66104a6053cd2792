package planner

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
)

// isCut says that the tenant's access is cut: then a repair marks things anew, and no more.
func (c *compiler) isCut() bool {
	return !slices.Contains([]tenure.TenantState{tenure.TenantActive, tenure.TenantSuspended, tenure.TenantTransition}, c.in.Tenant.State)
}

// takesFromOthers says whether the repair takes a right from somebody who is no tenant's,
// such as an application.
func (c *compiler) takesFromOthers() bool {
	for id, rights := range c.in.Rights {
		if c.in.Drifted[id] && !c.isCut() && !c.off(id) && slices.ContainsFunc(rights, func(r tenure.Right) bool { return r.Outside && !r.Waived }) {
			return true
		}
	}
	for _, f := range c.in.Found {
		if f.Kind == tenure.FindingDrift && c.in.Drifted[f.Resource] && !c.isCut() && !c.off(f.Resource) && c.loses(f) {
			return true
		}
	}
	return false
}

// loses says whether somebody who is no tenant's may lose a right by an attribute that is
// brought back.
func (c *compiler) loses(f tenure.Finding) bool {
	i := slices.IndexFunc(c.in.Inventory, func(r tenure.Resource) bool { return r.ID == f.Resource })
	sys := c.in.Systems[f.System]
	if i < 0 || sys == nil || f.Got == "" || f.Field == "presence" || f.Field == "state" {
		return false
	}
	t, _ := sys.Info.Type(f.Type)
	by, is := t.Loses[f.Field]
	if !is {
		by, is = t.Loses["*"]
	}
	if !is || !more(f.Got, f.Want) {
		return false
	}
	who, _ := object(c.in.Inventory[i].Desired)[by].(string)
	return who == "" || !slices.ContainsFunc(c.in.Inventory, func(r tenure.Resource) bool { return r.System == f.System && r.Name == who })
}

// more says whether an attribute as it is may give more than it should: a list that is a
// part of the other doesn't.
func more(got, want string) bool {
	var is, should []string
	if json.Unmarshal([]byte(got), &is) != nil || json.Unmarshal([]byte(want), &should) != nil {
		return true
	}
	return slices.ContainsFunc(is, func(one string) bool { return !slices.Contains(should, one) })
}

// mends writes into the plan what a repair brings back at r and which rights it takes away.
func (c *compiler) mends(r *tenure.PlannedResource, step *tenure.Step) {
	rights := c.in.Rights[r.ID]
	for _, f := range c.in.Found {
		if f.Resource != r.ID || f.Kind != tenure.FindingDrift && f.Kind != tenure.FindingExposure || f.Want == "" || slices.ContainsFunc(rights, func(t tenure.Right) bool { return t.Field == f.Field }) {
			continue
		}
		d := tenure.Difference{Resource: pathOf(r), Field: f.Field, From: plain(f.Got), To: plain(f.Want)}
		if !slices.Contains(c.plan.Diff, d) {
			c.plan.Diff = append(c.plan.Diff, d)
		}
	}
	n := 0 // that go
	for _, t := range rights {
		if t.Waived {
			continue
		}
		n++
		c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: pathOf(r), Field: t.Field, From: t.Got, To: taken(t)})
	}
	step.Takes = rights
	switch {
	case n == 1:
		step.Summary += ", and take away 1 right or setting that nothing declares"
	case n > 1:
		step.Summary += fmt.Sprintf(", and take away %d rights and settings that nothing declares", n)
	}
}

// plain is an attribute's value as people write it.
func plain(raw string) string {
	var text string
	if json.Unmarshal([]byte(raw), &text) == nil {
		return text
	}
	return raw
}

// taken says from whom a right is taken.
func taken(t tenure.Right) string {
	switch {
	case t.Holder == "":
		return "taken away"
	case t.Holder == "PUBLIC":
		return "taken away from everybody"
	case t.Setting:
		return "taken away from role " + t.Holder
	case t.Outside:
		return "taken away from role " + t.Holder + ", which is no tenant's"
	}
	return "taken away from role " + t.Holder + ", a tenant's"
}
