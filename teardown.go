package tenure

import (
	"fmt"
	"slices"
	"strings"
)

// ProveTeardown is Blocked with the flaws of an offboarding plan, which may not start
// then; nil if the plan's own graph proves that everything goes, and nothing goes
// before what must come first:
//
//   - what destroys data needs the clock and the point of no return of every data
//     class that it touches, and the count of what goes;
//   - a store is set aside after all of its clocks, and deleted after each of its
//     classes was erased, or after the point of no return of a class that goes with it;
//   - every resource is deleted: after those that need it, and a backup after its
//     copies have expired;
//   - what a system physically keeps is cleaned, and looked at, after all that goes from it;
//   - a company is told to erase after every point of no return of what goes now;
//   - a key goes after what it protects, the hand-over after its time of retrieval;
//   - the last reconciliation, the closing certificate and the close come last.
//
// It trusts no planner: an order that isn't in the graph isn't proven.
func ProveTeardown(p *Plan) error {
	g, err := graphOf(p)
	if err != nil {
		return err
	}
	for i := range p.Steps {
		g.proveStep(i)
	}
	for i := range p.Resources {
		g.proveResource(&p.Resources[i])
	}
	g.proveEnd()
	if len(g.flaws) == 0 {
		return nil
	}
	flaws := g.flaws
	if len(flaws) > 10 {
		flaws = append(slices.Clone(flaws[:10]), fmt.Sprintf("and %d more", len(g.flaws)-10))
	}
	return Errorf(Blocked, "the plan doesn't prove its own order: %s", strings.Join(flaws, "; "))
}

// teardown is a plan's graph with all that comes before each step.
type teardown struct {
	p      *Plan
	index  map[string]int
	past   [][]uint64 // by step: a bit for each step that must have ended
	flaws  []string
	clocks map[gated]int
	points map[gated]int
}

// gated is what a clock or a point of no return is of: a class, "" for what holds none,
// and whether it is the one at the end of what stays.
type gated struct {
	class string
	end   bool
}

// gatedBy is the gate that a step which destroys waits for.
func (g *teardown) gatedBy(s *Step, class string) gated {
	if s.Action == ActPseudonymise {
		return gated{class: class}
	}
	if r := g.p.resource(s.Resource); r != nil {
		return gated{class, g.p.Stays(r, class)}
	}
	_, end := g.points[gated{class, true}] // of a key: what it seals may be in every environment
	return gated{class, end}
}

func graphOf(p *Plan) (*teardown, error) {
	g := &teardown{p: p, index: make(map[string]int, len(p.Steps)), past: make([][]uint64, len(p.Steps)), clocks: map[gated]int{}, points: map[gated]int{}}
	for i := range p.Steps {
		s := &p.Steps[i]
		if _, twice := g.index[s.Key]; twice {
			return nil, Errorf(Blocked, "the plan has two steps named %q", s.Key)
		}
		g.index[s.Key] = i
		switch s.Action {
		case ActRetention:
			g.clocks[gated{s.Class, s.To == AtEnd}] = i
		case ActNoReturn:
			g.points[gated{p.ClassOf(s), s.To == AtEnd}] = i
		}
	}
	state := make([]int, len(p.Steps))
	for i := range p.Steps {
		if err := g.close(i, state); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// close fills in what comes before a step.
func (g *teardown) close(i int, state []int) error {
	switch state[i] {
	case 1:
		return Errorf(Blocked, "step %q of the plan waits for itself", g.p.Steps[i].Key)
	case 2:
		return nil
	}
	state[i] = 1
	past := make([]uint64, (len(g.p.Steps)+63)/64)
	for _, key := range g.p.Steps[i].Needs {
		j, ok := g.index[key]
		if !ok {
			return Errorf(Blocked, "step %q needs %q, which isn't in the plan", g.p.Steps[i].Key, key)
		}
		if err := g.close(j, state); err != nil {
			return err
		}
		past[j/64] |= 1 << (j % 64)
		for w, bits := range g.past[j] {
			past[w] |= bits
		}
	}
	g.past[i], state[i] = past, 2
	return nil
}

// after says whether step i comes after step j.
func (g *teardown) after(i, j int) bool { return g.past[i][j/64]&(1<<(j%64)) != 0 }

func (g *teardown) flaw(format string, args ...any) {
	g.flaws = append(g.flaws, fmt.Sprintf(format, args...))
}

// wants notes a flaw unless step i comes after a step that fits.
func (g *teardown) wants(i int, what string, fits func(*Step) bool) {
	for j := range g.p.Steps {
		if g.after(i, j) && fits(&g.p.Steps[j]) {
			return
		}
	}
	g.flaw("%s doesn't wait for %s", g.p.Steps[i].Key, what)
}

// everyOf notes a flaw for each step that fits and that step i doesn't come after.
func (g *teardown) everyOf(i int, fits func(*Step) bool) {
	for j := range g.p.Steps {
		if i != j && !g.after(i, j) && fits(&g.p.Steps[j]) {
			g.flaw("%s doesn't wait for %s", g.p.Steps[i].Key, g.p.Steps[j].Key)
		}
	}
}

// classesOf are the data classes that a step destroys data of.
func (p *Plan) classesOf(s *Step) []string {
	var out []string
	for _, subject := range p.Destroys(s) {
		out = append(out, subject.Classes...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ClassOf is the data class that a step is about; "" is none, or whatever its resource
// holds. Format 1 says that of a count and of a point of no return in their keys alone.
func (p *Plan) ClassOf(s *Step) string {
	if s.Class != "" || p.Format > 1 {
		return s.Class
	}
	class := ""
	switch {
	case s.Action == ActNoReturn:
		class = strings.TrimPrefix(s.Key, "noreturn/")
	case s.Action.IsCount():
		_, class, _ = strings.Cut(s.Key, "/count/")
	}
	if slices.ContainsFunc(p.Classes, func(c DataClass) bool { return c.Name == class }) {
		return class
	}
	return ""
}

func (g *teardown) proveStep(i int) {
	s := &g.p.Steps[i]
	switch {
	case s.Action == ActQuarantine:
		for _, class := range g.p.classesOf(s) {
			g.wantsGate(i, g.clocks, g.gatedBy(s, class), "clock")
		}
	case s.Action == ActRetention && s.To == AtEnd:
		g.wants(i, "the interim certificate", func(o *Step) bool { return o.Action == ActCertify && o.To == "interim" })
	case s.Action == ActNoReturn:
		g.proveCounts(i, gated{g.p.ClassOf(s), s.To == AtEnd})
	case s.Action == ActVendor:
		g.everyOf(i, func(o *Step) bool { return o.Action == ActNoReturn && o.To != AtEnd })
	case s.Action == ActClean, s.Action == ActRemnants:
		g.proveClean(i)
	case s.Action == ActDropExport:
		g.everyOf(i, func(o *Step) bool { return o.Action == ActExport })
		g.wants(i, "the end of the retrieval", func(o *Step) bool {
			j, ok := -1, false
			if o.Action == ActDate && o.Gate != nil {
				j, ok = g.index[o.Gate.After]
			}
			return ok && !slices.ContainsFunc(g.p.Steps, func(e Step) bool { return e.Action == ActExport && !g.after(j, g.index[e.Key]) })
		})
	case s.Action == ActKeyDestroy && pseudonymKey(s):
		g.wants(i, "the key's own clock", func(o *Step) bool { return o.Action == ActRetention && o.To == s.To })
	case s.Destructive:
		for _, class := range g.p.classesOf(s) {
			g.wantsGate(i, g.clocks, g.gatedBy(s, class), "clock")
			g.wantsGate(i, g.points, g.gatedBy(s, class), "point of no return")
		}
		g.wants(i, "an approval", func(o *Step) bool { return o.Action == ActApproval })
		g.wants(i, "any point of no return", func(o *Step) bool { return o.Action == ActNoReturn })
	}
	if s.Action == ActKeyDestroy {
		g.proveKey(i)
	}
}

// proveClean: what is physically left of a system's data is cleaned, and looked at, after
// all that goes from it, or with the last such step after what stays until its end, too.
func (g *teardown) proveClean(i int) {
	s := &g.p.Steps[i]
	interim := slices.IndexFunc(g.p.Steps, func(o Step) bool { return o.Action == ActCertify && o.To == "interim" })
	if interim < 0 {
		g.flaw("%s stands in a plan without an interim certificate", s.Key)
		return
	}
	takes := func(o *Step) bool {
		if o.System != s.System || o.Action != ActErase && o.Action != ActPseudonymise && o.Action != ActDelete {
			return false
		}
		r := g.p.resource(o.Resource)
		return r != nil && r.Layer != LayerBackup && (!r.Keep || o.Action != ActDelete) // of a record that stays nothing is left but what is meant to
	}
	late := func(o *Step) bool { return g.after(g.index[o.Key], interim) }
	all := s.Action == ActRemnants || late(s)
	g.everyOf(i, func(o *Step) bool { return takes(o) && (all || !late(o)) })
	stays := func(r PlannedResource) bool {
		return r.System == s.System && r.Layer != LayerBackup && slices.ContainsFunc(r.Classes, func(class string) bool { return g.p.Stays(&r, class) })
	}
	if !all && slices.ContainsFunc(g.p.Resources, stays) &&
		!slices.ContainsFunc(g.p.Steps, func(o Step) bool { return o.Action == ActClean && o.System == s.System && o.To == s.To && late(&o) }) {
		g.flaw("nothing cleans %s of %s again after what stays until its end", s.To, s.System)
	}
}

func (g *teardown) wantsGate(i int, gates map[gated]int, of gated, what string) {
	j, ok := gates[of]
	if !ok {
		g.flaw("%s touches the data class %s, which has no %s", g.p.Steps[i].Key, of.class, what)
	} else if !g.after(i, j) {
		g.flaw("%s doesn't wait for %s", g.p.Steps[i].Key, g.p.Steps[j].Key)
	}
}

// proveCounts: a point of no return comes after its class's clock and after the
// count of each store that holds the class.
func (g *teardown) proveCounts(i int, of gated) {
	if of.class == "" {
		return
	}
	g.wantsGate(i, g.clocks, of, "clock")
	for k := range g.p.Resources {
		r := &g.p.Resources[k]
		if r.Layer == LayerBackup || !slices.Contains(r.Classes, of.class) {
			continue
		}
		if g.p.Stays(r, of.class) == of.end || g.p.Disposes(of.class, r.Environment) == Pseudonymise {
			g.wants(i, "the count of "+r.Path(), func(o *Step) bool {
				return o.Resource == r.ID && o.Action.IsCount() && (o.To == AtEnd) == of.end
			})
		}
	}
}

// proveKey: a key of a class goes after the class's data, one of the tenant's after
// everything.
func (g *teardown) proveKey(i int) {
	class, ofClass := strings.CutPrefix(g.p.Steps[i].To, "class-")
	g.everyOf(i, func(o *Step) bool {
		switch {
		case pseudonymKey(&g.p.Steps[i]):
			return o.Action == ActPseudonymise
		case !ofClass:
			return o.Action == ActDelete || o.Action == ActErase || o.Action == ActPseudonymise || o.Action == ActExpire
		case o.Action == ActErase:
			return o.Class == class
		case o.Action == ActDelete:
			r := g.p.resource(o.Resource)
			return r != nil && r.Layer != LayerBackup && slices.Contains(r.Classes, class) && g.p.erasure(r.ID, class) == nil
		}
		return false
	})
}

// proveResource: it is deleted, after what stands on it, and after its classes.
func (g *teardown) proveResource(r *PlannedResource) {
	deleted := -1
	for i := range g.p.Steps {
		if s := &g.p.Steps[i]; s.Action == ActDelete && s.Resource == r.ID {
			deleted = i
		}
	}
	if deleted < 0 {
		g.flaw("nothing deletes %s", r.Path())
		return
	}
	if r.Layer == LayerBackup {
		g.wants(deleted, "the expiry of its copies", func(o *Step) bool { return o.Action == ActExpire && o.Resource == r.ID })
	}
	for i := range g.p.Resources {
		if on := &g.p.Resources[i]; on.Layer != LayerBackup && slices.Contains(on.Needs, r.ID) {
			g.wants(deleted, "the deletion of "+on.Path(), func(o *Step) bool { return o.Action == ActDelete && o.Resource == on.ID })
		}
	}
	if r.Layer == LayerBackup {
		return
	}
	for _, class := range r.Classes {
		if e := g.p.erasure(r.ID, class); e != nil {
			g.everyOf(deleted, func(o *Step) bool { return o == e })
		} else if j, ok := g.points[g.gatedBy(&g.p.Steps[deleted], class)]; ok && !slices.Contains(g.p.Steps[deleted].Needs, g.p.Steps[j].Key) {
			g.flaw("%s takes the data class %s along and doesn't itself need %s", g.p.Steps[deleted].Key, class, g.p.Steps[j].Key)
		}
	}
}

// proveEnd: the closing certificate, and the close after it.
func (g *teardown) proveEnd() {
	closing, closed := -1, -1
	for i := range g.p.Steps {
		switch s := &g.p.Steps[i]; {
		case s.Action == ActCertify && s.To == "closing":
			closing = i
		case s.Action == ActMove && s.To == string(TenantClosed):
			closed = i
		}
	}
	if closing < 0 || closed < 0 {
		g.flaw("it lacks the closing certificate or the close")
		return
	}
	g.everyOf(closing, func(o *Step) bool {
		return o.Destructive || o.Action == ActSweep || o.Action == ActCertify || o.Action == ActClean || o.Action == ActRemnants || o.Action == ActVendor
	})
	g.everyOf(closing, func(o *Step) bool { return o.Action == ActObserve && o.To == "absent" })
	g.everyOf(closed, func(o *Step) bool { return o.Action == ActCertify })
	last := -1 // looks at every system once nothing more is destroyed
	for i := range g.p.Steps {
		if g.p.Steps[i].Action == ActSweep && g.p.Steps[i].To == "all" {
			last = i
		}
	}
	if last < 0 {
		g.flaw("it lacks the last reconciliation")
		return
	}
	g.everyOf(last, func(o *Step) bool { return o.Destructive })
}

// erasure is the step that erases a class from a resource; nil if there is none, and
// the class goes with the resource itself.
func (p *Plan) erasure(id ResourceID, class string) *Step {
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Action == ActErase && s.Resource == id && s.Class == class {
			return s
		}
	}
	return nil
}

func (p *Plan) resource(id ResourceID) *PlannedResource {
	for i := range p.Resources {
		if p.Resources[i].ID == id {
			return &p.Resources[i]
		}
	}
	return nil
}

// Completed returns an offboarding plan of format 1 with the needs that today's
// planner would have given it, so that it finishes under today's rules; any other
// plan is returned as it is. What was approved is the original's digest, which
// doesn't change.
func (p *Plan) Completed() *Plan {
	if p.Format >= 2 || p.Kind != Offboard {
		return p
	}
	out := *p
	out.Steps = slices.Clone(p.Steps)
	points := make(map[string]string) // by class
	var every []string
	for i := range p.Steps {
		if p.Steps[i].Action == ActNoReturn {
			points[p.ClassOf(&p.Steps[i])] = p.Steps[i].Key
			every = append(every, p.Steps[i].Key)
		}
	}
	for i := range out.Steps {
		s := &out.Steps[i]
		switch {
		case s.Action == ActSweep && s.To == "stores":
			s.Needs = merged(s.Needs, every...)
		case s.Action == ActQuarantine:
			for _, class := range p.classesOf(s) {
				s.Needs = merged(s.Needs, "clock/"+class)
			}
		case s.Action == ActDelete:
			s.Needs = merged(s.Needs, p.classGates(s.Resource, points)...)
		case s.Action == ActKeyDestroy && s.Class != "":
			s.Needs = merged(s.Needs, p.sealed(s.Class)...)
		}
	}
	return &out
}

// classGates are what a store's deletion needs: the erasure of each class, or the
// point of no return of one that goes with the store.
func (p *Plan) classGates(id ResourceID, points map[string]string) []string {
	r := p.resource(id)
	if r == nil || r.Layer == LayerBackup {
		return nil
	}
	var out []string
	for _, class := range r.Classes {
		if e := p.erasure(id, class); e != nil {
			out = append(out, e.Key)
		} else if point, ok := points[class]; ok {
			out = append(out, point)
		}
	}
	return out
}

// sealed are the steps that take what a class's key protects.
func (p *Plan) sealed(class string) []string {
	var out []string
	for i := range p.Steps {
		s := &p.Steps[i]
		r := p.resource(s.Resource)
		if r == nil || r.Layer == LayerBackup || !slices.Contains(r.Classes, class) {
			continue
		}
		if s.Action == ActErase && s.Class == class || s.Action == ActDelete && p.erasure(r.ID, class) == nil {
			out = append(out, s.Key)
		}
	}
	return out
}

func merged(needs []string, more ...string) []string {
	out := append(slices.Clone(needs), more...)
	slices.Sort(out)
	return slices.Compact(out)
}
