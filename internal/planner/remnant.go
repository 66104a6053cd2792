package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// erases says whether a system holds data of the tenant's that goes, and whether some of
// it goes only at the end of what stays.
func (c *compiler) erases(system string) (any, late bool) {
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if r.System != system || len(r.Classes) == 0 || r.Layer == tenure.LayerBackup {
			continue
		}
		any = true
		late = late || slices.ContainsFunc(r.Classes, func(class string) bool { return c.plan.Stays(r, class) })
	}
	return any, late
}

// clean adds the steps that do something about what the systems physically keep, where the
// blueprint asks for it, and returns them: once all that goes now has gone, or with end
// again after what stayed until the end of its class.
func (c *compiler) clean(needs []string, end bool) (done []string) {
	for _, name := range slices.Sorted(maps.Keys(c.in.Blueprint.Systems)) {
		any, late := c.erases(name)
		if !any || end && !late {
			continue
		}
		for _, spec := range c.in.Blueprint.Systems[name].Remnants {
			for _, kind := range spec.Kinds {
				if !spec.Clean {
					continue
				}
				key := fmt.Sprintf("remnants/%s/clean/%s", name, kind)
				if end {
					key += "/" + tenure.AtEnd
				}
				known, _ := c.in.Systems[name].Info.Remnant(kind)
				done = append(done, c.add(tenure.Step{Key: key, Stage: tenure.StageErasure, Action: tenure.ActClean, System: name, To: string(kind), Needs: slices.Clone(needs), Note: spec.Source, Summary: fmt.Sprintf("%s of %s: %s", kind, name, strings.ReplaceAll(known.Clean, "`", ""))}))
			}
		}
	}
	return done
}

// remnants adds, for each system of which the blueprint says what becomes of its remnants,
// a look at them once everything has gone, and then the dates on which they go by
// themselves and the attestations of persons. It returns what the closing waits for.
func (c *compiler) remnants(needs []string) (done []string) {
	for _, name := range slices.Sorted(maps.Keys(c.in.Blueprint.Systems)) {
		specs := c.in.Blueprint.Systems[name].Remnants
		if any, _ := c.erases(name); !any || len(specs) == 0 {
			continue
		}
		look := c.add(tenure.Step{Key: "remnants/" + name, Stage: tenure.StageExpiry, Action: tenure.ActRemnants, System: name, Needs: slices.Clone(needs), Summary: "see what " + name + " physically keeps of what was deleted"})
		done = append(done, look)
		for i, spec := range specs {
			var kinds []string
			for _, kind := range spec.Kinds {
				kinds = append(kinds, string(kind))
			}
			st := tenure.Step{Key: fmt.Sprintf("remnants/%s/%d", name, i+1), Stage: tenure.StageExpiry, System: name, To: strings.Join(kinds, ","), Needs: []string{look}, Note: spec.Source}
			switch {
			case spec.Attest != nil:
				st.Action, st.Gate, st.Summary = tenure.ActTask, spec.Attest.Gate(), spec.Attest.Task
			case !spec.Expires.IsZero():
				st.Action, st.Gate = tenure.ActDate, &tenure.Gate{After: look, Period: spec.Expires}
				st.Summary = fmt.Sprintf("%s of %s: gone by itself", strings.Join(kinds, ", "), name)
			default:
				continue
			}
			done = append(done, c.add(st))
		}
	}
	return done
}
