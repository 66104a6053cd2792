package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// confirmation is how many persons confirm a point of no return, and for how
// long their word is good (DESIGN: fresh counts, two persons, 72 hours).
const confirmations = 2

var confirmedFor = mustPeriod("PT72H")

func mustPeriod(s string) tenure.Period {
	p, err := tenure.ParsePeriod(s)
	if err != nil {
		panic(err)
	}
	return p
}

// offboard: approval, grace, access cut in layers and proven cut, first
// reconciliation, hand-over, retention clocks, quarantine, points of no return,
// erasure in the reverse order of the needs, reclaim, second reconciliation,
// interim certificate, expiry of backups and keys, last reconciliation, closing
// certificate.
func (c *compiler) offboard() error {
	all, err := c.planned()
	if err != nil {
		return err
	}
	if err := c.dispose(); err != nil {
		return err
	}
	for i := range c.plan.Resources {
		if r := &c.plan.Resources[i]; c.staged(r) { // it tells of the tenant to the end, and stands on nothing
			r.Needs = nil
		}
	}
	c.plan.Parameters = object(c.in.Tenant.Parameters)
	c.plan.Destructive = 1 // an offboarding is always approved
	gate := c.approve()
	c.plan.Destructive = 0
	cutAt, leaving := c.grace(gate)
	cut := c.proven(c.cut(tenure.ActRevoke, "revoke", leaving), leaving)
	sweep := c.add(tenure.Step{Key: "reconcile/first", Stage: tenure.StageReconcile, Action: tenure.ActSweep, Needs: cut, Optional: true, Summary: "first reconciliation: ghosts and residue show now"})
	handed, dropped := c.handover(cut, sweep)
	retained := c.move("retained", tenure.StageRetention, tenure.TenantRetained, append(slices.Clone(cut), sweep)...)
	c.notices("terminating", tenure.StageCut, leaving)
	c.notices("retained", tenure.StageRetention, retained)
	c.writes(tenure.TenantTerminating, leaving)
	c.writes(tenure.TenantRetained, retained)
	groups, err := c.groups(all, cutAt)
	if err != nil {
		return err
	}
	erased := c.erasure(all, groups, append(slices.Clone(handed), retained), false)
	if err := c.depart(all, groups, append(erased, dropped...), retained); err != nil {
		return err
	}
	for i, d := range c.plan.Forecast(c.plan.At, nil, c.in.Anchors, nil) { // such as by how long the export stays
		if !d.At.IsZero() {
			c.plan.Dates[i] = d
		}
	}
	return nil
}

// grace adds the notice and the time of full service, and returns the projected
// moment of the cut and the step after which access goes.
func (c *compiler) grace(gate string) (time.Time, string) {
	grace := c.in.Blueprint.Offboarding.Grace
	if c.in.AtOnce || grace.String() == "PT0S" {
		c.date("access is cut", "terminating", c.plan.At, time.Time{}, "at once")
		return c.plan.At, c.move("terminating", tenure.StageCut, tenure.TenantTerminating, gate)
	}
	notice := c.move("transition", tenure.StageGrace, tenure.TenantTransition, gate)
	c.writes(tenure.TenantTransition, notice)
	c.notices("transition", tenure.StageGrace, notice)
	wait := c.add(tenure.Step{Key: "grace", Stage: tenure.StageGrace, Action: tenure.ActDate, Needs: []string{notice}, Gate: &tenure.Gate{After: notice, Period: grace}, Summary: "full service and export at will for " + grace.String()})
	at := grace.After(c.plan.At)
	c.date("access is cut", "terminating", at, at, "after a grace of "+grace.String())
	return at, c.move("terminating", tenure.StageCut, tenure.TenantTerminating, wait)
}

func (c *compiler) date(what, step string, at, undo time.Time, why string) {
	c.plan.Dates = append(c.plan.Dates, tenure.Projection{What: what, Step: step, At: at, Undo: undo, Why: why})
}

// proven adds the probes that access is off: what worked before must be refused.
func (c *compiler) proven(cut []string, leaving string) []string {
	needs := cut
	if len(needs) == 0 {
		needs = []string{leaving}
	}
	out := slices.Clone(needs)
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		sys := c.in.Systems[r.System]
		if !r.Layer.IsAccess() || sys == nil || !sys.Can("probe") {
			continue
		}
		t, _ := sys.Info.Type(r.Type)
		for _, k := range sys.Info.Probes {
			if k.Name == "reachable" && t.Credential && slices.Contains(k.Types, r.Type) && !c.untried(r, "the credential of "+pathOf(r)+" is refused") {
				out = append(out, c.refused(pathOf(r), r.System, r, tenure.Probe{Name: "the credential of " + pathOf(r) + " is refused", Kind: k.Name}, needs))
			}
		}
	}
	return append(out, c.refusedOwn(needs)...)
}

func (c *compiler) refused(key, system string, r *tenure.PlannedResource, p tenure.Probe, needs []string) string {
	p.Refused = true
	return c.add(tenure.Step{Key: "cut/" + key, Stage: tenure.StageCut, Action: tenure.ActProbe, System: system, Resource: r.ID, Environment: r.Environment, Needs: needs, Probe: &p, Summary: "probe: " + p.Name})
}

// refusedOwn repeats the blueprint's own probes that show a credential and want to
// be let in: now they must be turned away.
func (c *compiler) refusedOwn(needs []string) []string {
	if c.in.Desired == nil {
		return nil
	}
	var out []string
	for _, e := range c.in.Desired.Environments {
		for _, p := range e.Probes {
			for i := range c.plan.Resources {
				r := &c.plan.Resources[i]
				if letsIn(p) && r.Layer.IsAccess() && r.Environment == e.Name && r.Key == p.Resource && p.System != r.System && !c.untried(r, p.Name+" is refused") {
					out = append(out, c.refused(path(e.Name, "blueprint/"+p.Name), p.System, r, tenure.Probe{Name: p.Name + " is refused", Kind: p.Kind, Params: p.Params}, needs))
				}
			}
		}
	}
	return out
}

// letsIn says whether a probe shows a resource's credential and wants success.
func letsIn(p blueprint.Probe) bool {
	if p.Resource == "" {
		return false
	}
	return p.Kind == "reachable" || p.Params["auth"] == "credential" && strings.HasPrefix(p.Params["expectStatus"], "2")
}

// artifacts are what gets another owner or is put away, with the texts worked out for the tenant.
func (c *compiler) artifacts() []tenure.ArtifactSpec {
	if c.in.Desired != nil {
		return c.in.Desired.Artifacts
	}
	return c.in.Blueprint.Offboarding.Artifacts
}

// handover exports what the blueprint hands over, lets persons do their tasks,
// keeps the export for the customer, and drops it after. The erasure waits for the
// customer's time, and not for the drop, which a hold on any of it stops.
func (c *compiler) handover(cut []string, sweep string) (out, dropped []string) {
	var exports []string
	handed := make(map[string]bool)
	for _, s := range c.in.Blueprint.Resources {
		handed[s.Key] = s.Handover
	}
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if sys := c.in.Systems[r.System]; c.in.EraseOnly || !handed[r.Key] || sys == nil || !sys.Can("export") {
			continue
		}
		exports = append(exports, c.add(tenure.Step{Key: pathOf(r) + "/export", Stage: tenure.StageHandover, Action: tenure.ActExport, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: cut, Summary: fmt.Sprintf("export %s %s", r.Type, r.Name)}))
	}
	for i, task := range c.in.Blueprint.Offboarding.Tasks {
		out = append(out, c.add(tenure.Step{Key: fmt.Sprintf("task/%d", i+1), Stage: tenure.StageHandover, Action: tenure.ActTask, Needs: some([]string{sweep}), Gate: task.Gate(), Summary: task.Task}))
	}
	for i, a := range c.artifacts() {
		out = append(out, c.add(tenure.Step{Key: fmt.Sprintf("artifact/%d", i+1), Stage: tenure.StageHandover, Action: tenure.ActTask, Needs: some([]string{sweep}), Gate: a.Gate(), Summary: a.Summary()}))
	}
	if len(exports) == 0 {
		return out, nil
	}
	ready := c.add(tenure.Step{Key: "handover", Stage: tenure.StageHandover, Action: tenure.ActOutputs, Needs: exports, Summary: "the export is ready for the customer"})
	period := c.in.Blueprint.Offboarding.Retrieval
	wait := c.add(tenure.Step{Key: "retrieval", Stage: tenure.StageHandover, Action: tenure.ActDate, Needs: []string{ready}, Gate: &tenure.Gate{After: ready, Period: period}, Summary: "the export stays for the customer for " + period.String()})
	drop := c.add(tenure.Step{Key: "handover/drop", Stage: tenure.StageHandover, Action: tenure.ActDropExport, Destructive: true, Needs: []string{wait}, Summary: "drop the hand-over's files"})
	return append(out, wait), []string{drop}
}

// group is the data classes' erasure in the order of their clocks: the stores
// whose last class it is are dropped with it.
type group struct {
	class string
	at    time.Time // projected end of the retention
	why   string
	end   bool // of what stays beyond its retention: the end is that of the class
}

// groups orders the classes by the projected end of their retention; what holds
// no class leaves with the last.
func (c *compiler) groups(all map[tenure.ResourceID]*tenure.PlannedResource, cutAt time.Time) ([]group, error) {
	used := make(map[string]bool)
	for _, r := range all {
		for _, class := range r.Classes {
			used[class] = true
		}
	}
	anchors := map[tenure.Anchor]time.Time{tenure.FromNotice: c.plan.At, tenure.FromTermination: cutAt}
	for k, v := range c.in.Anchors {
		anchors[k] = v
	}
	var out []group
	for _, d := range c.plan.Classes {
		for _, end := range []bool{false, true} {
			g := group{class: d.Name, end: end}
			if !used[d.Name] || !c.concernsAny(all, g) {
				continue
			}
			if err := c.dates(&g, d, anchors, cutAt); err != nil {
				return nil, err
			}
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b group) int {
		switch {
		case a.end != b.end && a.end:
			return 1
		case a.end != b.end:
			return -1
		}
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.class, b.class))
	})
	if len(out) == 0 || out[0].end {
		out = append([]group{{at: cutAt, why: "it holds no data class that goes now"}}, out...)
	}
	return out, nil
}

// dates projects when a group's clock opens.
func (c *compiler) dates(g *group, d tenure.DataClass, anchors map[tenure.Anchor]time.Time, cutAt time.Time) error {
	if g.end {
		d = d.AtEnd()
	}
	clock := tenure.SolveRetention(d, anchors, nil, tenure.HoldSubject{Tenant: c.in.Tenant.ID}, c.plan.At)
	g.at, g.why = clock.KeepUntil, clock.Because
	if g.at.Before(cutAt) {
		g.at = cutAt
	}
	switch clock.State {
	case tenure.ClockPending:
		return tenure.Errorf(tenure.Invalid, "data class %s can't be planned: %s", d.Name, clock.Because).WithHint("give the date: --contract-end")
	case tenure.ClockConflict:
		c.plan.Dates = append(c.plan.Dates, tenure.Projection{What: "conflict in the retention of " + d.Name, Why: clock.Because})
	}
	return nil
}

// erasure adds, for each group of one kind (of what goes, or of what stays until an end),
// the clock, the quarantine, the fresh counts, the point of no return, the erasures and
// the deletions, and returns the last steps. What holds no class leaves with the last of
// what goes.
func (c *compiler) erasure(all map[tenure.ResourceID]*tenure.PlannedResource, groups []group, needs []string, end bool) []string {
	seen := c.places(groups, all)
	where := make(map[int][]*tenure.PlannedResource)
	for i := range c.plan.Resources {
		if r := &c.plan.Resources[i]; !c.staged(r) {
			where[seen[r.ID]] = append(where[seen[r.ID]], r)
		}
	}
	for _, g := range groups {
		if g.class != "" && g.end == end {
			c.add(tenure.Step{Key: g.key("clock"), Stage: tenure.StageRetention, Action: tenure.ActRetention, Class: g.class, To: g.to(), Needs: slices.Clone(needs), Summary: "retention of " + g.label()})
		}
	}
	var done []string
	for n, g := range groups {
		if g.end != end {
			continue
		}
		open := slices.Clone(needs)
		if g.class != "" {
			open = []string{g.key("clock")}
		}
		aside, noReturn := c.setAside(where[n], g, open)
		gate := c.pointOfNoReturn(g.label(), where[n], g, open, aside)
		c.date("point of no return: "+g.label(), gate, noReturn, noReturn, g.why)
		erasing := gate
		if !end {
			erasing = c.erasing(n, g, gate)
		}
		done = append(done, gate, erasing)
		done = append(done, c.pseudonymise(g, needs, gate, erasing)...)
		for i := range c.plan.Resources {
			if r := &c.plan.Resources[i]; c.leaves(r, g) && c.erasesApart(r, g.class, seen[r.ID] == n) {
				done = append(done, c.erase(r, g.class, gate, erasing))
			}
		}
		for _, r := range where[n] {
			if r.Layer == tenure.LayerBackup {
				continue
			}
			c.date("gone: "+pathOf(r), pathOf(r)+"/delete", noReturn, noReturn, g.why)
			rests := append(c.classGates(r, groups), erasing)
			if len(r.Classes) == 0 {
				rests = append(rests, gate)
			}
			done = append(done, c.remove(r, all, append(rests, aside...)...))
		}
	}
	for n, g := range groups {
		if g.end == end && c.unsealed(g, groups[n+1:]) {
			done = append(done, c.destroyKey(n, g))
		}
	}
	return done
}

// destroyKey destroys a class's key, after all that is sealed under it.
func (c *compiler) destroyKey(n int, g group) string {
	needs := []string{g.key("noreturn")}
	switch {
	case g.end:
	case n > 0:
		needs = append(needs, "erasing/"+g.label())
	default:
		needs = append(needs, "erasing")
	}
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if r.Layer == tenure.LayerBackup || !slices.Contains(r.Classes, g.class) {
			continue
		}
		if key := pathOf(r) + "/erase/" + g.class; c.keys[key] {
			needs = append(needs, key)
		} else {
			needs = append(needs, pathOf(r)+"/delete")
		}
	}
	return c.add(tenure.Step{Key: "key/class-" + g.class + "/destroy", Stage: tenure.StageErasure, Action: tenure.ActKeyDestroy, To: "class-" + g.class, Class: g.class, Destructive: true, Needs: needs, Summary: "destroy the key of " + g.class})
}

func (g group) label() string {
	switch {
	case g.class == "":
		return "all"
	case g.end:
		return g.class + "/" + tenure.AtEnd
	}
	return g.class
}

// key is that of one of the group's gates.
func (g group) key(of string) string { return of + "/" + g.label() }

// to is the To of the group's gates and counts.
func (g group) to() string {
	if g.end {
		return tenure.AtEnd
	}
	return ""
}

// setAside quarantines the stores that leave with a group, once the clocks of all
// their classes have opened, and returns what their deletion waits for and the
// projected point of no return.
func (c *compiler) setAside(rs []*tenure.PlannedResource, g group, open []string) (needs []string, noReturn time.Time) {
	var aside []string
	for _, r := range rs {
		if c.canQuarantine(r) {
			aside = append(aside, c.add(tenure.Step{Key: pathOf(r) + "/quarantine", Stage: tenure.StageQuaran, Action: tenure.ActQuarantine, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: append(c.clocks(r), open...), Summary: fmt.Sprintf("set %s %s aside", r.Type, r.Name)}))
		}
	}
	if len(aside) == 0 {
		return nil, g.at
	}
	period := c.in.Blueprint.Offboarding.Quarantine
	wait := c.add(tenure.Step{Key: "quarantine/" + g.label(), Stage: tenure.StageQuaran, Action: tenure.ActDate, Needs: slices.Clone(aside), Gate: &tenure.Gate{After: aside[len(aside)-1], Period: period}, Summary: "quarantine for " + period.String()})
	return append(aside, wait), period.After(g.at)
}

// erasing moves the tenant once the first point of no return is passed, whichever
// it is.
func (c *compiler) erasing(n int, g group, gate string) string {
	if n > 0 {
		return c.move("erasing/"+g.label(), tenure.StageErasure, tenure.TenantErasing, gate)
	}
	key := c.move("erasing", tenure.StageErasure, tenure.TenantErasing, gate)
	c.notices("erasing", tenure.StageErasure, key)
	c.writes(tenure.TenantErasing, key)
	return key
}

// erasesApart says whether a class's rows go from a resource in a step of their
// own: always where the resource is a share of something that stays, and from a
// whole store unless it is the last class, which goes with the store.
func (c *compiler) erasesApart(r *tenure.PlannedResource, class string, last bool) bool {
	sys := c.in.Systems[r.System]
	if class == "" || r.Layer == tenure.LayerBackup || !slices.Contains(r.Classes, class) || sys == nil || !sys.Can("erase") {
		return false
	}
	t, _ := sys.Info.Type(r.Type)
	return t.Holds == tenure.HoldsData && (!t.Whole || !last)
}

func (c *compiler) erase(r *tenure.PlannedResource, class string, needs ...string) string {
	to, what := "", "erase %s from %s %s"
	switch d := c.disposes(r, class); d {
	case tenure.Anonymise:
		to, what = string(d), "anonymise %s in %s %s"
	case tenure.Aggregate:
		to, what = string(d), "aggregate %s, and erase it from %s %s"
	}
	return c.add(tenure.Step{
		Key: pathOf(r) + "/erase/" + class, Stage: tenure.StageErasure, Action: tenure.ActErase, Class: class, To: to, Destructive: true, Resource: r.ID, System: r.System, Environment: r.Environment,
		Needs: append(c.clocks(&tenure.PlannedResource{Environment: r.Environment, Classes: []string{class}}), needs...), Summary: fmt.Sprintf(what, class, r.Type, r.Name),
	})
}

// classGates are what the deletion of a store rests on: the clock of each class,
// and its erasure, or its point of no return where it goes along with the store.
func (c *compiler) classGates(r *tenure.PlannedResource, groups []group) []string {
	out := c.clocks(r)
	for _, g := range groups {
		if g.class == "" || !c.leaves(r, g) {
			continue
		}
		if key := pathOf(r) + "/erase/" + g.class; c.keys[key] {
			out = append(out, key)
		} else {
			out = append(out, g.key("noreturn"))
		}
	}
	return out
}

// clocks are the gates of every class that a resource holds: the last one by its
// projected date may open before another that a conflict or a later date delays.
func (c *compiler) clocks(r *tenure.PlannedResource) []string {
	var out []string
	for _, class := range r.Classes {
		g := group{class: class, end: c.plan.Stays(r, class)}
		if key := g.key("clock"); c.keys[key] {
			out = append(out, key)
		}
	}
	return out
}

func (c *compiler) canQuarantine(r *tenure.PlannedResource) bool {
	sys := c.in.Systems[r.System]
	if sys == nil || !sys.Can("quarantine") || len(r.Classes) == 0 {
		return false
	}
	t, _ := sys.Info.Type(r.Type)
	return t.Recovery.Quarantine && r.Layer != tenure.LayerBackup
}

// pointOfNoReturn adds the fresh counts of what is about to go, and the gate. A
// store that was set aside is counted, and confirmed, when its quarantine is over.
func (c *compiler) pointOfNoReturn(label string, rs []*tenure.PlannedResource, g group, open, aside []string) string {
	needs := open
	if len(aside) > 0 {
		needs = append(slices.Clone(open), aside...)
	}
	leaving := make(map[tenure.ResourceID]bool)
	for _, r := range rs {
		leaving[r.ID] = g.class == "" || c.concerns(r, g)
	}
	var counts []string
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if len(r.Classes) == 0 || r.Layer == tenure.LayerBackup || !leaving[r.ID] && !c.concerns(r, g) {
			continue
		}
		counts = append(counts, c.add(tenure.Step{Key: pathOf(r) + "/count/" + label, Stage: tenure.StageErasure, Action: tenure.ActCount, Class: g.class, To: g.to(), Resource: r.ID, System: r.System, Environment: r.Environment, Needs: slices.Clone(needs), Summary: fmt.Sprintf("count what %s %s holds", r.Type, r.Name)}))
	}
	after := needs
	gate := &tenure.Gate{Approvals: confirmations, Period: confirmedFor}
	if len(counts) > 0 {
		after, gate.After = counts, counts[len(counts)-1]
	} else if len(needs) > 0 {
		gate.After = needs[len(needs)-1]
	}
	return c.add(tenure.Step{Key: "noreturn/" + label, Stage: tenure.StageErasure, Action: tenure.ActNoReturn, Class: g.class, To: g.to(), Needs: slices.Clone(after), Gate: gate, Summary: fmt.Sprintf("point of no return for %s: %d persons confirm the counts", label, confirmations)})
}

// remove adds the deletion of a resource, after everything that stands on it.
func (c *compiler) remove(r *tenure.PlannedResource, all map[tenure.ResourceID]*tenure.PlannedResource, needs ...string) string {
	for i := range c.plan.Resources {
		other := &c.plan.Resources[i]
		if slices.Contains(other.Needs, r.ID) && other.Layer != tenure.LayerBackup {
			needs = append(needs, pathOf(other)+"/delete")
		}
	}
	s := tenure.Step{
		Key: pathOf(r) + "/delete", Stage: tenure.StageErasure, Action: tenure.ActDelete, Destructive: true, Resource: r.ID, System: r.System,
		Environment: r.Environment, Needs: some(needs), Summary: fmt.Sprintf("delete %s %s from %s", r.Type, r.Name, r.System),
	}
	c.asRecord(r, &s)
	return c.lagging(r, c.add(s))
}

// lagging adds a second reading after the lag that a type declares: a system that
// answers late may still show what is gone, or hide what is there.
func (c *compiler) lagging(r *tenure.PlannedResource, deleted string) string {
	t, _ := c.in.Systems[r.System].Info.Type(r.Type)
	if t.Lag.IsZero() || t.Lag.String() == "PT0S" {
		return deleted
	}
	wait := c.add(tenure.Step{Key: pathOf(r) + "/lag", Stage: tenure.StageErasure, Action: tenure.ActDate, Needs: []string{deleted}, Gate: &tenure.Gate{After: deleted, Period: t.Lag}, Summary: r.System + " may answer late"})
	return c.add(tenure.Step{
		Key: pathOf(r) + "/absent", Stage: tenure.StageErasure, Action: tenure.ActObserve, To: "absent", Resource: r.ID, System: r.System,
		Environment: r.Environment, Needs: []string{wait}, Summary: fmt.Sprintf("see again that %s %s is gone", r.Type, r.Name),
	})
}

// depart adds what follows the erasure of the stores, to the closed tenant.
func (c *compiler) depart(all map[tenure.ResourceID]*tenure.PlannedResource, groups []group, erased []string, retained string) error {
	reclaim := c.add(tenure.Step{Key: "reclaim", Stage: tenure.StageReclaim, Action: tenure.ActReclaim, Needs: erased, Summary: "say what cost has stopped"})
	sweep := c.add(tenure.Step{Key: "reconcile/second", Stage: tenure.StageReconcile, Action: tenure.ActSweep, To: "stores", Needs: append(slices.Clone(erased), retained), Summary: "second reconciliation: no residue in any system"})
	interim := c.add(tenure.Step{Key: "certificate/interim", Stage: tenure.StageCertify, Action: tenure.ActCertify, To: "interim", Needs: append([]string{reclaim, sweep}, c.clean(erased, false)...), Summary: "interim certificate"})
	waiting := c.move("awaiting", tenure.StageExpiry, tenure.TenantAwaitingExpiry, interim)
	c.writes(tenure.TenantAwaitingExpiry, waiting)
	kept := c.erasure(all, groups, []string{waiting}, true)
	// A confirmation is good for 72 hours, and what comes after these doesn't rest on it.
	kept = slices.DeleteFunc(kept, func(key string) bool { return strings.HasPrefix(key, "noreturn/") })
	kept = append(kept, c.clean(kept, true)...)
	expired := append([]string{waiting}, kept...)
	expired = append(expired, c.remnants(expired)...)
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if r.Layer != tenure.LayerBackup {
			continue
		}
		if sys := c.in.Systems[r.System]; sys == nil || !sys.Can("expire") {
			return tenure.Errorf(tenure.Blocked, "nobody can see when the backups in %s expire", pathOf(r))
		}
		seen := c.add(tenure.Step{Key: pathOf(r) + "/expire", Stage: tenure.StageExpiry, Action: tenure.ActExpire, Destructive: true, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: append(c.ends(r), waiting), Summary: "backups in " + r.Name + " expire, and are seen to be gone"})
		expired = append(expired, c.remove(r, all, seen))
	}
	expired = append(expired, c.records(all, groups, expired)...)
	expired = append(expired, c.forgetPseudonyms(append(slices.Clone(erased), expired[0]))...)
	answers := c.vendors(erased)
	for _, purpose := range tenantKeys {
		expired = append(expired, c.add(tenure.Step{Key: "key/" + purpose + "/destroy", Stage: tenure.StageExpiry, Action: tenure.ActKeyDestroy, To: purpose, Destructive: true, Needs: slices.Clone(expired), Summary: "destroy the tenant's key for " + purpose}))
	}
	last := c.add(tenure.Step{Key: "reconcile/last", Stage: tenure.StageReconcile, Action: tenure.ActSweep, To: "all", Needs: append(expired, answers...), Summary: "last reconciliation: nothing in any system bears the tenant's mark"})
	closing := c.add(tenure.Step{Key: "certificate/closing", Stage: tenure.StageCertify, Action: tenure.ActCertify, To: "closing", Needs: append([]string{last}, answers...), Summary: "closing certificate"})
	closed := c.move("closed", tenure.StageCertify, tenure.TenantClosed, closing)
	told := append(c.notices("closed", tenure.StageCertify, closed), closed) // a notice names the tenant: none may come after it is forgotten
	c.add(tenure.Step{Key: "forget", Stage: tenure.StageCertify, Action: tenure.ActForget, Needs: told, Summary: "forget what Tenure's own rows say of the tenant"})
	return nil
}

// leave is the teardown of what an upgrade drops: access first, then a point of
// no return, quarantine and deletion, while the tenant goes on.
func (c *compiler) leave(ids []tenure.ResourceID, needs ...string) {
	all := byID(c.plan.Resources)
	var rs []*tenure.PlannedResource
	for _, id := range ids {
		rs = append(rs, all[id])
	}
	open := some(needs)
	for _, r := range rs {
		sys := c.in.Systems[r.System]
		switch {
		case r.Layer.IsAccess() && sys != nil && sys.Can("revoke"):
			open = append(open, c.add(tenure.Step{Key: pathOf(r) + "/revoke", Stage: tenure.StageCut, Action: tenure.ActRevoke, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: some(needs), Summary: "revoke " + r.Type + " " + r.Name}))
		case c.canQuarantine(r):
			key := c.add(tenure.Step{Key: pathOf(r) + "/quarantine", Stage: tenure.StageQuaran, Action: tenure.ActQuarantine, Resource: r.ID, System: r.System, Environment: r.Environment, Needs: some(needs), Summary: "set " + r.Type + " " + r.Name + " aside"})
			period := c.in.Blueprint.Offboarding.Quarantine
			open = append(open, c.add(tenure.Step{Key: pathOf(r) + "/quarantined", Stage: tenure.StageQuaran, Action: tenure.ActDate, Gate: &tenure.Gate{After: key, Period: period}, Needs: []string{key}, Summary: "quarantine for " + period.String()}))
			c.date("point of no return: "+pathOf(r), pathOf(r)+"/quarantined", period.After(c.plan.At), period.After(c.plan.At), "the new revision doesn't have it")
		}
	}
	gate := c.pointOfNoReturn("retired", rs, group{}, open, nil)
	for _, r := range rs {
		needs := []string{gate}
		for _, class := range r.Classes {
			if d := c.disposes(r, class); d.Stays() && c.err == nil {
				c.err = tenure.Errorf(tenure.Blocked, "the new revision drops %s, whose data of class %s is to be kept (%s)", pathOf(r), class, d).WithHint("leave it in the blueprint until its tenants have left")
			}
			if c.erasesApart(r, class, true) {
				needs = append(needs, c.erase(r, class, gate))
			}
		}
		c.remove(r, all, needs...)
	}
}
