package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// losses says what the tenant loses by a change, and what becomes of the data there.
func (c *compiler) losses(retired []tenure.ResourceID) {
	all := byID(c.plan.Resources)
	for _, id := range retired {
		r := all[id]
		features := c.lostWith(r.Key)
		if len(r.Classes) == 0 {
			if len(features) > 0 {
				c.lose(tenure.Loss{Resource: pathOf(r), Features: features, Fate: tenure.FateEmpty, Why: "it holds no data, and is deleted"})
			}
			continue
		}
		held, counted := c.in.Held[id]
		for _, class := range r.Classes {
			l := tenure.Loss{Resource: pathOf(r), Class: class, Features: features, Unseen: !counted, Fate: tenure.FateErased, Why: c.erasedBy(r, class)}
			for _, h := range held {
				if h.Class == class {
					l.Records += h.Records
				}
			}
			c.lose(l)
		}
		for _, h := range held {
			if !slices.Contains(r.Classes, h.Class) && h.Records > 0 {
				c.lose(tenure.Loss{Resource: pathOf(r), Place: h.Place, Features: features, Records: h.Records, Fate: tenure.FateOrphaned, Why: "no data class covers it, so that nothing erases it"})
			}
		}
	}
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		for _, h := range c.in.Uncovered[r.ID] {
			c.lose(tenure.Loss{
				Resource: pathOf(r), Place: h.Place, Class: h.Class, Features: c.lostWith(r.Key), Records: h.Records, Unseen: h.Unseen, Fate: tenure.FateOrphaned,
				Why: "it stays where it is, and no data class of " + pathOf(r) + " covers it any more: erase it, or keep it covered",
			})
		}
	}
}

func (c *compiler) lose(l tenure.Loss) {
	if l.Records == 0 && !l.Unseen {
		l.Fate, l.Why = tenure.FateEmpty, strings.Replace(l.Why, "it is erased", "what comes until then is erased", 1)
	}
	c.plan.Losses = append(c.plan.Losses, l)
	lost, becomes := l.Says()
	c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: l.Resource, Field: "data", From: lost, To: becomes})
}

// erasedBy says by which rule the data of a class goes with a resource that a change takes
// away: its retention counts from the tenant's departure, and isn't waited for.
func (c *compiler) erasedBy(r *tenure.PlannedResource, class string) string {
	how := "it is erased with " + pathOf(r) + " as two persons confirm its fresh counts"
	if c.canQuarantine(r) {
		how = fmt.Sprintf("it is erased with %s after a quarantine of %s, as two persons confirm its fresh counts", pathOf(r), c.in.Blueprint.Offboarding.Quarantine)
	}
	for _, d := range c.in.Blueprint.DataClasses {
		if d.Name != class {
			continue
		}
		var keep []string
		for _, rule := range d.Retention {
			if rule.Kind == tenure.KeepUntil {
				keep = append(keep, fmt.Sprintf("%s (%s from %s)", rule.Name, rule.Period, rule.From))
			}
		}
		if len(keep) > 0 {
			how += "; its retention, " + strings.Join(keep, ", ") + ", counts from the tenant's departure and isn't waited for: hand it over or hold it before"
		}
	}
	return how
}

// lostWith are the features that the tenant loses by the plan and on which a resource hangs.
func (c *compiler) lostWith(key string) (out []string) {
	s := c.spec(key)
	if c.in.Desired == nil || s == nil {
		return nil
	}
	text := s.When
	if raw, err := tenure.Canonical(s.Attributes); err == nil {
		text += string(raw)
	}
	for _, name := range slices.Sorted(maps.Keys(c.in.WasFeatures)) {
		if c.in.WasFeatures[name] && !c.in.Desired.Features[name] && strings.Contains(text, "features."+name) {
			out = append(out, name)
		}
	}
	return out
}

// losesData says whether a person must let the plan take a feature away from data.
func (c *compiler) losesData() bool {
	return slices.ContainsFunc(c.plan.Losses, func(l tenure.Loss) bool { return l.Data() })
}
