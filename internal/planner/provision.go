package planner

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// tenantKeys are the purposes of the keys that every tenant gets.
var tenantKeys = []string{"personal", "credential"}

// onboard: intake, approval, keys, resources in the order of their needs, probes,
// persons' tasks, hand-over. The tenant isn't active until every probe has passed and
// every task is done.
func (c *compiler) onboard() error {
	c.plan.OnFailure = c.in.Blueprint.Failure
	c.plan.Organization, c.plan.Contact = c.in.Tenant.Organization, c.in.Tenant.Contact
	c.plan.Labels = c.in.Tenant.Labels
	if err := c.desire(nil); err != nil {
		return err
	}
	if c.in.Adopt {
		if err := c.standing(); err != nil {
			return err
		}
	}
	intake := c.move("intake", tenure.StageIntake, tenure.TenantValidating)
	gate := c.approve()
	if gate != "" {
		c.plan.Steps[len(c.plan.Steps)-1].Needs = []string{intake}
	}
	start := c.move("begin", tenure.StageProvision, tenure.TenantProvisioning, intake, gate)
	var keys []string
	for _, purpose := range c.keyPurposes() {
		keys = append(keys, c.add(tenure.Step{Key: "key/" + purpose, Stage: tenure.StageKeys, Action: tenure.ActKeyCreate, To: purpose, Needs: []string{start}, Summary: "make the tenant's key for " + purpose}))
	}
	look := ""
	if c.in.Adopt {
		look = c.lookAgain(append(slices.Clone(keys), start))
	}
	var made []string
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if c.in.Adopt && !c.staged(r) {
			made = append(made, c.takeOver(r, []string{look}))
			continue
		}
		made = append(made, c.ensure(r, tenure.StageProvision, "make", some(append(slices.Clone(keys), start, look))))
	}
	if len(made) == 0 {
		made = keys
	}
	probes := append(c.probes(made), c.seen()...)
	probes = append(probes, c.add(tenure.Step{Key: "verify/teardown", Stage: tenure.StageVerify, Action: tenure.ActTeardown, Needs: made, Summary: "the teardown plan is complete"}))
	probed := slices.Clone(probes)
	for i, task := range c.in.Blueprint.Onboarding.Tasks {
		probes = append(probes, c.add(tenure.Step{Key: fmt.Sprintf("task/%d", i+1), Stage: tenure.StageVerify, Action: tenure.ActTask, Needs: slices.Clone(probed), Gate: task.Gate(), Summary: task.Task}))
	}
	active := c.move("active", tenure.StageHandover, tenure.TenantActive, probes...)
	out := c.outputs(active)
	c.notices("active", tenure.StageHandover, active, out)
	c.writes(tenure.TenantActive, active)
	return nil
}

// keyPurposes are the keys of a tenant: the general ones and one for each class
// that is erased by destroying its key.
func (c *compiler) keyPurposes() []string {
	keys := slices.Clone(tenantKeys)
	for _, d := range c.in.Blueprint.DataClasses {
		if d.Disposition == tenure.CryptoErase || slices.ContainsFunc(d.Rules, func(r tenure.DispositionRule) bool { return r.Disposition == tenure.CryptoErase }) {
			keys = append(keys, "class-"+d.Name)
		}
	}
	return keys
}

// desire fills the plan with what the tenant shall have, keeping the ids of what
// it has. Without have, everything is new.
func (c *compiler) desire(have map[string]*tenure.Resource) error {
	d := c.in.Desired
	c.plan.Parameters, c.plan.Features = d.Params, d.Features
	c.plan.Classes = c.in.Blueprint.DataClasses
	c.plan.Outputs = make(map[string]map[string]any)
	for _, env := range d.Environments {
		if len(env.Outputs) > 0 {
			c.plan.Outputs[env.Name] = env.Outputs
		}
		ids := make(map[string]tenure.ResourceID)
		for _, r := range env.Resources {
			ids[r.Key] = r.ID
		}
		for _, r := range env.Resources {
			pr := tenure.PlannedResource{
				ID: r.ID, Key: r.Key, Environment: env.Name, System: r.System, Type: r.Type, Name: r.Name, Layer: r.Layer,
				Desired: r.Attributes, Classes: r.Data, New: have[path(env.Name, r.Key)] == nil, Keep: c.keeps(r.Key),
			}
			if set := r.Stages[tenure.TenantActive]; set != nil && have != nil { // who changes is active
				pr.Desired = set
			}
			for _, n := range r.Needs {
				pr.Needs = append(pr.Needs, ids[n])
			}
			if err := c.fits(&pr); err != nil {
				return err
			}
			c.plan.Resources = append(c.plan.Resources, pr)
		}
	}
	return nil
}

// fits refuses what the system can't make, before anything is made.
func (c *compiler) fits(r *tenure.PlannedResource) error {
	sys, err := c.system(r.System)
	if err != nil {
		return err
	}
	if _, ok := sys.Info.Type(r.Type); !ok {
		return tenure.Errorf(tenure.Invalid, "system %s (%s) has no type %q", r.System, sys.Info.Name, r.Type)
	}
	_, err = sys.Normalise(connector.Desired{Ref: refOf(c.in.Tenant.ID, r), Encryption: c.in.Blueprint.Encryption})
	return err
}

func refOf(tenant tenure.TenantID, r *tenure.PlannedResource) connector.Ref {
	return connector.Ref{Resource: r.ID, Tenant: tenant, Environment: r.Environment, Type: r.Type, Name: r.Name, Attributes: r.Desired, Classes: r.Classes}
}

// ensure adds the step that makes a resource, after what it stands on.
func (c *compiler) ensure(r *tenure.PlannedResource, stage tenure.Stage, verb string, needs []string) string {
	all := byID(c.plan.Resources)
	needs = append(slices.Clone(needs), c.sharedGate(r, needs))
	for _, id := range r.Needs {
		if n := all[id]; n != nil {
			if key := pathOf(n) + "/ensure"; c.keys[key] {
				needs = append(needs, key)
			}
		}
	}
	return c.add(tenure.Step{
		Key: pathOf(r) + "/ensure", Stage: stage, Action: tenure.ActEnsure, Resource: r.ID, System: r.System, Environment: r.Environment,
		Needs: some(needs), Summary: fmt.Sprintf("%s %s %s in %s", verb, r.Type, r.Name, r.System),
	})
}

// outputs adds the hand-over of names, addresses and one-time secrets.
func (c *compiler) outputs(needs ...string) string {
	if len(c.plan.Outputs) == 0 {
		return ""
	}
	return c.add(tenure.Step{Key: "outputs", Stage: tenure.StageHandover, Action: tenure.ActOutputs, Needs: some(needs), Summary: "outputs for the requester"})
}

// probes adds every check of what must work and what must be refused: those that
// connectors run by themselves on a type, the encryption profile, test against
// production, and the blueprint's own.
func (c *compiler) probes(needs []string) []string {
	var keys []string
	add := func(key, system string, r *tenure.PlannedResource, p tenure.Probe) {
		s := tenure.Step{Key: "verify/" + key, Stage: tenure.StageVerify, Action: tenure.ActProbe, System: system, Needs: needs, Probe: &p, Summary: "probe: " + p.Name}
		if r != nil {
			s.Resource, s.Environment = r.ID, r.Environment
		}
		keys = append(keys, c.add(s))
	}
	all := make(map[string]*tenure.PlannedResource)
	for i := range c.plan.Resources {
		if r := &c.plan.Resources[i]; !r.Retire {
			all[pathOf(r)] = r
		}
	}
	kinds := make(map[string]string)
	for _, e := range c.in.Blueprint.Environments {
		kinds[e.Name] = e.Kind
	}
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		sys := c.in.Systems[r.System]
		if r.Retire || sys == nil || !sys.Can("probe") || c.off(r.ID) {
			continue
		}
		for _, k := range sys.Info.Probes {
			if !slices.Contains(k.Types, r.Type) {
				continue
			}
			switch k.Name {
			case "encryption":
				if c.in.Blueprint.Encryption == (tenure.Encryption{}) {
					continue
				}
			case "environment":
				if kinds[r.Environment] != "test" || c.untried(r, k.Name+" of "+pathOf(r)) {
					continue
				}
				for _, other := range c.across(r, kinds) {
					add(pathOf(r)+"/environment/"+pathOf(other), r.System, r, tenure.Probe{Name: fmt.Sprintf("the credential of %s is refused at %s", pathOf(r), pathOf(other)), Kind: k.Name, Target: other.ID})
				}
				continue
			}
			if c.untried(r, k.Name+" of "+pathOf(r)) {
				continue
			}
			add(pathOf(r)+"/"+k.Name, r.System, r, tenure.Probe{Name: k.Name + " of " + pathOf(r), Kind: k.Name})
		}
	}
	for _, e := range c.in.Desired.Environments {
		for _, p := range e.Probes {
			r := all[path(e.Name, p.Resource)]
			if r != nil && (c.off(r.ID) || c.untried(r, p.Name)) {
				continue
			}
			add(path(e.Name, "blueprint/"+p.Name), p.System, r, tenure.Probe{Name: p.Name, Kind: p.Kind, Params: p.Params})
		}
	}
	return keys
}

// across lists what of production a test environment's credential must not open:
// its counterpart, and everything in the same system that holds data.
func (c *compiler) across(r *tenure.PlannedResource, kinds map[string]string) []*tenure.PlannedResource {
	var out []*tenure.PlannedResource
	for i := range c.plan.Resources {
		o := &c.plan.Resources[i]
		if !o.Retire && o.System == r.System && kinds[o.Environment] == "production" && (o.Key == r.Key || len(o.Classes) > 0 && o.Layer != tenure.LayerBackup) {
			out = append(out, o)
		}
	}
	return out
}

// change: other parameters or another revision. What is new is made, what differs
// is brought to desired, what is no longer wanted leaves; then every probe again.
func (c *compiler) change() error {
	have := make(map[string]*tenure.Resource)
	for i := range c.in.Inventory {
		r := &c.in.Inventory[i]
		have[path(r.Environment, r.Key)] = r
	}
	if err := c.desire(have); err != nil {
		return err
	}
	c.sameKind(have)
	changed, err := c.differences(have)
	if err != nil {
		return err
	}
	retired := c.retire(have)
	if len(changed) == 0 && len(retired) == 0 && (c.in.From == nil || c.in.From.Digest == c.in.Ref.Digest) && !c.parametersDiffer() {
		return tenure.Errorf(tenure.Conflict, "there is nothing to do: %s has these parameters and this revision already", c.in.Tenant.Name)
	}
	c.losses(retired)
	c.plan.Destructive += len(retired) // so that the approval is asked for
	gate := c.approve()
	c.plan.Destructive -= len(retired)
	var done []string
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		if word := changed[r.ID]; word != "" {
			done = append(done, c.ensure(r, tenure.StageChange, word, []string{gate}))
		}
	}
	ready := done
	if len(ready) == 0 {
		ready = some([]string{gate})
	}
	probes := c.probes(ready)
	bind := c.add(tenure.Step{Key: "bind", Stage: tenure.StageHandover, Action: tenure.ActBind, Needs: append(slices.Clone(probes), ready...), Summary: "bind the tenant to " + c.in.Ref.Name + " " + c.in.Ref.Version})
	if len(retired) > 0 {
		c.leave(retired, bind, gate)
	}
	c.outputs(bind)
	return nil
}

// sameKind refuses to turn a resource into another type or to move it to another
// system or name under its id: that is one that leaves and one that comes.
func (c *compiler) sameKind(have map[string]*tenure.Resource) {
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		old := have[pathOf(r)]
		if old == nil || old.System == r.System && old.Type == r.Type && old.Name == r.Name {
			continue
		}
		c.err = tenure.Errorf(tenure.Invalid, "%s would become %s %q in %s instead of %s %q in %s: a resource keeps its system, type and name", pathOf(r), r.Type, r.Name, r.System, old.Type, old.Name, old.System).
			WithHint("give the new one another key; the old one then leaves with its retention")
		return
	}
}

// differences says which resources to make or change, and writes the diff.
func (c *compiler) differences(have map[string]*tenure.Resource) (map[tenure.ResourceID]string, error) {
	out := make(map[tenure.ResourceID]string)
	for i := range c.plan.Resources {
		r := &c.plan.Resources[i]
		old := have[pathOf(r)]
		if old == nil || old.State == tenure.ResourcePlanned {
			out[r.ID] = "make"
			c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: pathOf(r), To: r.Type + " " + r.Name})
			continue
		}
		want, err := tenure.Canonical(r.Desired)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(want, old.Desired) || len(r.Desired) == 0 && len(old.Desired) == 0 || c.off(r.ID) {
			continue
		}
		out[r.ID] = "change"
		c.plan.Diff = append(c.plan.Diff, fieldDiff(pathOf(r), old.Desired, want)...)
	}
	return out, nil
}

// retire adds to the plan what the tenant has and shall not have any more.
func (c *compiler) retire(have map[string]*tenure.Resource) []tenure.ResourceID {
	wanted := make(map[string]bool)
	for i := range c.plan.Resources {
		wanted[pathOf(&c.plan.Resources[i])] = true
	}
	var gone []string
	for p := range have {
		if !wanted[p] {
			gone = append(gone, p)
		}
	}
	slices.Sort(gone)
	var ids []tenure.ResourceID
	for _, p := range gone {
		old := have[p]
		pr := tenure.PlannedResource{
			ID: old.ID, Key: old.Key, Environment: old.Environment, System: old.System, Type: old.Type, Name: old.Name,
			Layer: old.Layer, Classes: old.Classes, Needs: old.Needs, Desired: object(old.Desired), Retire: true, Keep: c.keeps(old.Key),
		}
		c.plan.Resources = append(c.plan.Resources, pr)
		c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: p, From: old.Type + " " + old.Name})
		ids = append(ids, old.ID)
	}
	return ids
}

func (c *compiler) parametersDiffer() bool {
	a, err1 := tenure.Canonical(c.in.Desired.Params)
	return err1 != nil || !bytes.Equal(a, c.in.Tenant.Parameters)
}

// repair brings what has drifted back to what the inventory says. What has lost its
// mark is marked again first; once access is cut that is all a repair does.
func (c *compiler) repair() error {
	if _, err := c.planned(); err != nil {
		return err
	}
	c.plan.Parameters = object(c.in.Tenant.Parameters)
	cut := c.isCut()
	gate := c.approve()
	kept := c.plan.Resources[:0]
	for i := range c.plan.Resources {
		r := c.plan.Resources[i]
		before := len(c.plan.Steps)
		first := gate
		if c.in.Lost[r.ID] {
			first = c.adopt(&r, gate)
		}
		switch {
		case cut || !c.in.Drifted[r.ID]:
		case c.off(r.ID):
			c.offAgain(&r, first)
		default:
			c.ensure(&r, tenure.StageChange, "repair", []string{first})
			c.plan.Steps[len(c.plan.Steps)-1].Reissue = c.in.Reissue
			c.mends(&r, &c.plan.Steps[len(c.plan.Steps)-1])
		}
		if len(c.plan.Steps) > before { // only what the plan touches stays in it
			kept = append(kept, r)
		}
	}
	c.plan.Resources = slices.Clip(kept)
	if len(kept) == 0 && c.in.Reissue {
		return tenure.Errorf(tenure.Conflict, "there is no credential of %s to issue anew", c.in.Tenant.Name).WithHint("see what it has, and when each is due: tenure secret list --tenant %s", c.in.Tenant.Name)
	}
	if len(kept) == 0 {
		return tenure.Errorf(tenure.Conflict, "there is nothing to repair: %s shows no drift", c.in.Tenant.Name).WithHint("look again: tenure drift --tenant %s", c.in.Tenant.Name)
	}
	for i := range c.plan.Resources {
		p := &c.plan.Resources[i]
		last := pathOf(p) + "/ensure"
		if c.keys[pathOf(p)+"/adopt"] && !c.keys[last] && !c.keys[pathOf(p)+"/revoke"] {
			last = pathOf(p) + "/adopt"
		}
		if c.keys[last] {
			c.add(tenure.Step{Key: pathOf(p) + "/observe", Stage: tenure.StageVerify, Action: tenure.ActObserve, Resource: p.ID, System: p.System, Environment: p.Environment, Needs: []string{last}, Summary: "see that " + p.Name + " is as it should be"})
		}
	}
	if c.in.Reissue {
		c.reissued()
	}
	return nil
}

// adopt adds the step that marks a thing anew, in the state that the inventory knows.
func (c *compiler) adopt(r *tenure.PlannedResource, gate string) string {
	state := tenure.ResourcePresent
	for i := range c.in.Inventory {
		if c.in.Inventory[i].ID == r.ID {
			state = c.in.Inventory[i].State
		}
	}
	c.plan.Diff = append(c.plan.Diff, tenure.Difference{Resource: pathOf(r), Field: "mark", From: "none that can be authenticated", To: r.Type + " " + r.Name + " in " + r.System + " is the tenant's"})
	return c.add(tenure.Step{
		Key: pathOf(r) + "/adopt", Stage: tenure.StageChange, Action: tenure.ActAdopt, Resource: r.ID, System: r.System, Environment: r.Environment, To: string(state),
		Needs: some([]string{gate}), Summary: fmt.Sprintf("mark %s %s in %s as the tenant's again", r.Type, r.Name, r.System),
	})
}
