// Package planner compiles an intent, a blueprint's evaluation and the inventory
// into a plan. It is pure: it reads no clock, no database and no system, and the
// same input gives the same bytes.
package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// Input is all that a plan is made of.
type Input struct {
	Kind        tenure.OperationKind
	At          time.Time
	Reason      string
	Tenant      tenure.Tenant
	Blueprint   *tenure.Blueprint
	Ref         tenure.BlueprintRef
	From        *tenure.BlueprintRef // upgrade: the revision that the tenant leaves
	Was         *tenure.Blueprint    // upgrade: that revision itself
	Desired     *blueprint.Desired   // of Blueprint; not needed to suspend
	Inventory   []tenure.Resource    // what isn't gone
	Normal      map[tenure.ResourceID]json.RawMessage
	Systems     map[string]*connector.System // asked what they are and can, never called
	Drifted     map[tenure.ResourceID]bool   // repair: what to bring back
	Lost        map[tenure.ResourceID]bool   // repair: what of it stands there without its mark
	Anchors     map[tenure.Anchor]time.Time
	Recipient   string                     // age recipient of the exports
	AtOnce      bool                       // offboard: no grace
	EraseOnly   bool                       // offboard: the customer chose erasure, so no export
	Reissue     bool                       // repair: with new credentials
	Rules       []tenure.ApprovalRule      // what approvals plans need; they only raise what the blueprint asks for
	WasTier     string                     // the tenant's tier until now, where the plan changes it
	WasFeatures map[string]bool            // change, upgrade: the tenant's features until now
	Revoke      map[tenure.ResourceID]bool // revoke: what to take off
	Off         map[tenure.ResourceID]bool // reinstate: what a revoke took off, and stays off
	Adopt       bool                       // onboard: what stands there becomes the tenant's, and nothing is made
	Standing    map[tenure.ResourceID]Sight
	Foreseen    []tenure.Finding                     // what a look at drift would find once it is adopted
	Found       []tenure.Finding                     // repair: what was found at what has drifted
	Rights      map[tenure.ResourceID][]tenure.Right // repair: those at what has drifted that nothing declares
	Unheld      map[tenure.ResourceID]bool           // what has a credential that Tenure doesn't hold, as it was adopted
	Held        map[tenure.ResourceID][]Held         // change, upgrade: what stands in what the tenant has and shall not have; none of what can't be counted
	Uncovered   map[tenure.ResourceID][]Held         // the same: what stands in what stays and isn't covered any more
	Shared      []connector.SharedChange             // what making the resources changes for others than the tenant
	Language    string                               // of the tenant's people, by its tag
	House       string                               // of everybody else
}

// Held is how much stands at a place of a resource.
type Held struct {
	Place   string
	Class   string // "" is none
	Records int64
	Unseen  bool
}

// Sight is what was seen of a resource that is to be adopted.
type Sight struct {
	connector.Observed
	Normal  json.RawMessage // what its attributes are to be
	Blurred bool            // what wasn't found may be there all the same
}

// Make compiles the plan. An intent that the tenant's state doesn't allow is
// Conflict; one that can't be carried out is Invalid or Blocked with the reason.
func Make(in Input) (*tenure.Plan, error) {
	from, ok := tenure.OperationKinds[in.Kind]
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "there is no operation %q", in.Kind)
	}
	if !slices.Contains(from, in.Tenant.State) {
		return nil, tenure.Errorf(tenure.Conflict, "a tenant that is %s can't be taken through %s", in.Tenant.State, in.Kind).
			WithHint("it may start from: %s", join(from))
	}
	p, err := compile(in, false)
	if err != nil || !asks(in, p) {
		return p, err
	}
	if lacksGate(in, p) {
		// Rules look at the whole plan, so the gate that they want where there is none
		// is put in by making the plan again.
		if p, err = compile(in, true); err != nil {
			return nil, err
		}
	}
	raise(in, p)
	return p, nil
}

// compile makes the plan; gate says that it has an approval gate in any case.
func compile(in Input, gate bool) (*tenure.Plan, error) {
	c := &compiler{in: in, gate: gate, plan: &tenure.Plan{
		Format: tenure.PlanFormat, Kind: in.Kind, Tenant: in.Tenant.ID, Name: in.Tenant.Name, Reason: in.Reason,
		Tier: in.Tenant.Tier, At: in.At.UTC().Truncate(time.Microsecond), Blueprint: in.Ref, From: in.From, OnFailure: tenure.Park,
		Connectors: map[string]string{}, Systems: map[string]string{}, Anchors: in.Anchors, Recipient: in.Recipient,
		Encryption: in.Blueprint.Encryption,
	}}
	build := map[tenure.OperationKind]func() error{
		tenure.Onboard: c.onboard, tenure.Change: c.change, tenure.Upgrade: c.change, tenure.Repair: c.repair,
		tenure.Suspend: c.suspend, tenure.Resume: c.resume, tenure.Offboard: c.offboard, tenure.Reinstate: c.reinstate,
		tenure.Revoke: c.revoke, tenure.Supplement: c.supplement,
	}
	if err := build[in.Kind](); err != nil {
		return nil, err
	}
	return c.finish()
}

func join[T ~string](in []T) string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// compiler holds the plan in the making.
type compiler struct {
	in   Input
	plan *tenure.Plan
	keys map[string]bool
	gate bool // an approval gate is wanted by a rule
	err  error
}

// add puts a step into the plan and gives its key back.
func (c *compiler) add(s tenure.Step) string {
	if c.keys == nil {
		c.keys = make(map[string]bool)
	}
	if c.keys[s.Key] && c.err == nil {
		c.err = tenure.Errorf(tenure.Internal, "two steps named %q", s.Key)
	}
	c.keys[s.Key] = true
	sort.Strings(s.Needs)
	s.Needs = slices.Compact(s.Needs)
	if s.Destructive {
		c.plan.Destructive++
	}
	c.plan.Steps = append(c.plan.Steps, s)
	return s.Key
}

// finish checks that the graph holds together and pins what it was made with.
func (c *compiler) finish() (*tenure.Plan, error) {
	if c.err != nil {
		return nil, c.err
	}
	for _, s := range c.plan.Steps {
		for _, n := range s.Needs {
			if !c.keys[n] {
				return nil, tenure.Errorf(tenure.Internal, "step %q needs %q, which isn't in the plan", s.Key, n)
			}
		}
	}
	if len(c.plan.Steps) == 0 {
		return nil, tenure.Errorf(tenure.Conflict, "there is nothing to do: %s is as it should be", c.in.Tenant.Name)
	}
	for _, s := range c.plan.Steps {
		if s.System == "" {
			continue
		}
		sys, err := c.system(s.System)
		if err != nil {
			return nil, err
		}
		c.plan.Systems[s.System] = sys.Fingerprint
		c.plan.Connectors[sys.Info.Name] = sys.Info.Version
	}
	return c.plan, nil
}

func (c *compiler) system(name string) (*connector.System, error) {
	sys, ok := c.in.Systems[name]
	if !ok {
		return nil, tenure.Errorf(tenure.Blocked, "system %q isn't configured", name).WithHint("add it to systems.yaml and run: tenure system add %s", name)
	}
	return sys, nil
}

// path is how a resource is called in step keys: environment/key.
func path(env, key string) string {
	if env == "" {
		return key
	}
	return env + "/" + key
}

func pathOf(r *tenure.PlannedResource) string { return path(r.Environment, r.Key) }

// approve adds the approval gate that the blueprint asks for; blank if none.
func (c *compiler) approve() string {
	n := c.in.Blueprint.Approvals[c.in.Kind]
	if c.plan.Destructive > 0 && n < 1 {
		n = 1
	}
	if c.in.Kind == tenure.Repair && len(c.in.Lost) > 0 { // what is marked as a tenant's is deleted with it
		n = max(n, 2)
	}
	if c.losesData() {
		n = max(n, 1)
	}
	if c.in.Adopt { // for the same reason
		n = max(n, 2)
	}
	if c.in.Kind == tenure.Repair && c.takesFromOthers() { // who may need what it has
		n = max(n, 1)
	}
	if n < 1 && !c.gate {
		return ""
	}
	return c.add(tenure.Step{
		Key: tenure.ApprovalKey, Stage: tenure.StageApproval, Action: tenure.ActApproval, Gate: &tenure.Gate{Approvals: n},
		Summary: approvalOf(n),
	})
}

// sharedGate adds the gate at which a person lets the plan change what others see of
// shared things, and gives its key; blank where making r changes nothing of theirs.
func (c *compiler) sharedGate(r *tenure.PlannedResource, needs []string) string {
	if !slices.ContainsFunc(c.in.Shared, func(s connector.SharedChange) bool { return s.Resource == r.ID }) {
		return ""
	}
	if c.keys[tenure.SharedKey] {
		return tenure.SharedKey
	}
	var says []string
	for _, s := range c.in.Shared {
		says = append(says, s.Says)
	}
	slices.Sort(says)
	return c.add(tenure.Step{
		Key: tenure.SharedKey, Stage: tenure.StageApproval, Action: tenure.ActApproval, Gate: &tenure.Gate{Approvals: 1}, Needs: some(needs),
		Summary: "a person lets this plan change what others share: " + strings.Join(slices.Compact(says), "; "),
	})
}

func (c *compiler) move(key string, stage tenure.Stage, to tenure.TenantState, needs ...string) string {
	return c.add(tenure.Step{Key: key, Stage: stage, Action: tenure.ActMove, To: string(to), Needs: some(needs), Summary: "the tenant becomes " + strings.ReplaceAll(string(to), "_", " ")})
}

func some(needs []string) []string {
	var out []string
	for _, n := range needs {
		if n != "" {
			out = append(out, n)
		}
	}
	return out
}

// planned turns what the inventory holds into the plan's records, in the order of
// their paths, and returns them by id.
func (c *compiler) planned() (map[tenure.ResourceID]*tenure.PlannedResource, error) {
	c.plan.Resources = make([]tenure.PlannedResource, 0, len(c.in.Inventory))
	for _, r := range c.in.Inventory {
		pr := tenure.PlannedResource{
			ID: r.ID, Key: r.Key, Environment: r.Environment, System: r.System, Type: r.Type, Name: r.Name,
			Layer: r.Layer, Classes: r.Classes, Needs: r.Needs, Keep: c.keeps(r.Key),
		}
		if len(r.Desired) > 0 {
			if err := json.Unmarshal(r.Desired, &pr.Desired); err != nil {
				return nil, tenure.Errorf(tenure.Internal, "resource %s: %w", r.ID, err)
			}
		}
		c.plan.Resources = append(c.plan.Resources, pr)
	}
	sortResources(c.plan.Resources)
	return byID(c.plan.Resources), nil
}

func sortResources(rs []tenure.PlannedResource) {
	slices.SortFunc(rs, func(a, b tenure.PlannedResource) int {
		return strings.Compare(pathOf(&a)+"\x00"+string(a.ID), pathOf(&b)+"\x00"+string(b.ID))
	})
}

func byID(rs []tenure.PlannedResource) map[tenure.ResourceID]*tenure.PlannedResource {
	out := make(map[tenure.ResourceID]*tenure.PlannedResource, len(rs))
	for i := range rs {
		out[rs[i].ID] = &rs[i]
	}
	return out
}

// notices adds the notices that the blueprint wants on an event, and gives their
// keys.
func (c *compiler) notices(on string, stage tenure.Stage, needs ...string) (keys []string) {
	for i, n := range c.noticeSpecs() {
		if n.On == on {
			lang := c.in.House
			if n.To == "contact" || strings.Contains(n.To, "@") {
				lang = c.in.Language
			}
			keys = append(keys, c.add(tenure.Step{Key: fmt.Sprintf("notify/%s/%d", on, i+1), Stage: stage, Action: tenure.ActNotify, To: n.To, Note: n.Text.In(lang), Optional: true, Needs: some(needs), Summary: "notice to " + n.To}))
		}
	}
	return keys
}

func (c *compiler) noticeSpecs() []tenure.NoticeSpec {
	if c.in.Desired != nil {
		return c.in.Desired.Notices
	}
	return c.in.Blueprint.Notices
}
