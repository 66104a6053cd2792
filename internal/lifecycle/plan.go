package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
)

// Intent is what somebody asks for.
type Intent struct {
	Kind         tenure.OperationKind `json:"kind"`
	Tenant       string               `json:"tenant"`              // id or name; the new name for onboard
	Blueprint    string               `json:"blueprint,omitempty"` // name, name@version or digest; onboard and upgrade
	Parameters   map[string]any       `json:"parameters,omitempty"`
	Features     map[string]bool      `json:"features,omitempty"`
	Tier         string               `json:"tier,omitempty"`
	Labels       map[string]string    `json:"labels,omitempty"` // onboard; later they are set beside operations
	Organization string               `json:"organization,omitempty"`
	Contact      string               `json:"contact,omitempty"`
	Reason       string               `json:"reason,omitempty"`
	ContractEnd  time.Time            `json:"contractEnd,omitzero"`
	Recipient    string               `json:"recipient,omitempty"` // age1…, of the exports
	Adopt        bool                 `json:"adopt,omitempty"`     // onboard: mark what stands there as the tenant's, and make nothing
	AtOnce       bool                 `json:"atOnce,omitempty"`    // offboard without grace
	EraseOnly    bool                 `json:"eraseOnly,omitempty"` // offboard without export
	Reissue      bool                 `json:"reissue,omitempty"`   // repair with new credentials
	Overdue      bool                 `json:"overdue,omitempty"`   // repair: issue those credentials anew that should have been rotated by now, and repair nothing else
	Resources    []string             `json:"resources,omitempty"` // environment/key or id: revoke what gives access; repair with Reissue these credentials, and nothing else
	Trigger      string               `json:"trigger,omitempty"`   // idempotency key
}

// Planned is a plan with its name.
type Planned struct {
	Plan   *tenure.Plan `json:"plan"`
	Digest string       `json:"digest"`
	Body   []byte       `json:"-"` // the canonical bytes that the digest is of
}

// Plan compiles an intent and stores the plan. Nothing runs yet. For onboard it
// reserves nothing either: the tenant comes to be when the plan is started.
func (s *Service) Plan(ctx context.Context, in Intent, by string) (*Planned, error) {
	if err := person(by); err != nil {
		return nil, err
	}
	if in.Adopt && in.Kind != tenure.Onboard {
		return nil, tenure.Errorf(tenure.Invalid, "only an onboarding adopts what stands there, and this is %s", in.Kind)
	}
	if err := blueprint.WithoutSecrets(in.Parameters); err != nil {
		return nil, err
	}
	input, err := s.input(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := s.weighLosses(ctx, input); err != nil {
		return nil, err
	}
	if input.Shared, err = foresee(ctx, input); err != nil {
		return nil, err
	}
	return s.makePlan(ctx, input, by)
}

// foresee asks the systems what making the tenant's resources would change for others.
func foresee(ctx context.Context, in *planner.Input) (out []connector.SharedChange, err error) {
	switch in.Kind {
	case tenure.Onboard, tenure.Change, tenure.Upgrade, tenure.Repair, tenure.Resume, tenure.Reinstate:
		if in.Adopt {
			return nil, nil
		}
	default:
		return nil, nil // nothing is made, and a system that is away must not stand in the way
	}
	all := map[string][]connector.Desired{}
	for _, env := range in.Desired.Environments {
		for _, r := range env.Resources {
			sys := in.Systems[r.System]
			if sys == nil {
				continue
			}
			if t, ok := sys.Info.Type(r.Type); ok && t.Shared {
				all[r.System] = append(all[r.System], connector.Desired{Ref: connector.Ref{Resource: r.ID, Tenant: in.Tenant.ID, Environment: env.Name, Type: r.Type, Name: r.Name, Attributes: r.Attributes}})
			}
		}
	}
	for name, desired := range all {
		changes, err := in.Systems[name].Foresee(ctx, desired)
		if err != nil {
			return nil, err
		}
		out = append(out, changes...)
	}
	return out, nil
}

func (s *Service) makePlan(ctx context.Context, input *planner.Input, by string) (*Planned, error) {
	p, err := planner.Make(*input)
	if err != nil {
		return nil, err
	}
	if p.Kind == tenure.Offboard {
		detached, err := s.covered(ctx, input, p)
		if err != nil {
			return nil, err
		}
		p.Diff = append(p.Diff, detached...)
	}
	for name := range p.Systems {
		if region := s.o.Settings[name].Region; region != "" {
			if p.Regions == nil {
				p.Regions = make(map[string]string)
			}
			p.Regions[name] = region
		}
	}
	body, digest, err := p.Encode()
	if err != nil {
		return nil, err
	}
	e, err := s.entry(ctx, "plan.made", by, p.Tenant, "", digest, map[string]string{"kind": string(p.Kind), "steps": fmt.Sprint(len(p.Steps)), "destructive": fmt.Sprint(p.Destructive)})
	if err != nil {
		return nil, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SavePlan(digest, body, p, by); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return &Planned{p, digest, body}, err
}

// input gathers what the planner needs: it reads, and calls systems only to see
// what they are.
func (s *Service) input(ctx context.Context, in Intent) (*planner.Input, error) {
	now := s.Now()
	var err error
	if in.Reason, err = tenure.Line("the reason", in.Reason, tenure.MaxReason); err != nil {
		return nil, err
	}
	if in.Kind == tenure.Onboard {
		return s.onboardInput(ctx, in, now)
	}
	t, err := s.o.DB.Tenant(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	out := &planner.Input{Kind: in.Kind, At: now, Reason: in.Reason, Tenant: t.Tenant, Ref: t.Blueprint, Anchors: t.Anchors, Recipient: in.Recipient, AtOnce: in.AtOnce, EraseOnly: in.EraseOnly, Reissue: in.Reissue, Rules: s.o.Approvals, Language: s.LanguageOf(t).Tag(), House: s.Language().Tag()}
	out.Tenant.Labels = t.Labels
	c, err := s.plannable(ctx, t.Blueprint.Digest)
	if err != nil {
		return nil, err
	}
	params, features := map[string]any{}, t.Features
	if in.Kind == tenure.Supplement {
		t.Parameters = []byte("{}") // they are forgotten
	}
	dec := json.NewDecoder(bytes.NewReader(t.Parameters))
	dec.UseNumber() // whole numbers stay whole
	if err := dec.Decode(&params); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "parameters of %s: %w", t.Name, err)
	}
	switch in.Kind {
	case tenure.Upgrade:
		from := t.Blueprint
		out.From, out.Was = &from, &c.Blueprint
		if in.Blueprint == "" {
			in.Blueprint = t.Blueprint.Name
		}
		if c, err = s.plannable(ctx, in.Blueprint); err != nil {
			return nil, err
		}
		if err := bound(c); err != nil && c.Ref() != from {
			return nil, err
		}
		if c.Ref().Name != from.Name {
			return nil, tenure.Errorf(tenure.Invalid, "%s is bound to blueprint %s and can't be upgraded to %s", t.Name, from.Name, c.Ref().Name)
		}
		out.Ref = c.Ref()
		fallthrough
	case tenure.Change:
		for k, v := range in.Parameters {
			params[k] = v
		}
		features = maps.Clone(features)
		for k, v := range in.Features {
			if features == nil {
				features = map[string]bool{}
			}
			features[k] = v
		}
		if in.Tier != "" {
			out.WasTier, out.Tenant.Tier = t.Tier, in.Tier
			features = c.Retiered(t.Tier, in.Tier, features, in.Features)
		}
		out.WasFeatures = t.Features
	case tenure.Offboard:
		if in.Recipient != "" {
			if _, err := age.ParseX25519Recipient(in.Recipient); err != nil {
				return nil, tenure.Errorf(tenure.Invalid, "the recipient %q of the export isn't an age recipient", in.Recipient).WithHint("it begins with age1; the customer makes it with: age-keygen")
			}
		}
		if out.Anchors == nil {
			out.Anchors = map[tenure.Anchor]time.Time{}
		}
		if !in.ContractEnd.IsZero() {
			out.Anchors[tenure.FromContractEnd] = in.ContractEnd.UTC()
		}
	case tenure.Reinstate:
		if out.Off, err = s.takenOff(ctx, t.ID); err != nil {
			return nil, err
		}
	case tenure.Repair:
		if in.Overdue || len(in.Resources) > 0 {
			break // what is to be issued anew is looked for in the inventory
		}
		if out.Drifted, out.Lost, out.Found, err = s.drifted(ctx, t.ID, in.Reissue); err != nil {
			return nil, err
		}
	}
	out.Blueprint = &c.Blueprint
	if in.Kind == tenure.Supplement {
		if out.Inventory, out.Tenant.Name, err = s.reopenable(ctx, t.ID); err != nil {
			return nil, err
		}
		return out, s.openSystems(ctx, out)
	}
	rows, err := s.o.DB.Resources(ctx, t.ID, false)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]tenure.ResourceID, len(rows))
	for _, r := range rows {
		out.Inventory = append(out.Inventory, r.Resource)
		ids[r.Environment+"\x00"+r.Key] = r.ID
	}
	if in.Kind == tenure.Revoke {
		if out.Revoke, err = named(out.Inventory, in.Resources); err != nil {
			return nil, err
		}
	}
	if in.Kind == tenure.Repair && (in.Overdue || len(in.Resources) > 0) {
		if !in.Reissue && !in.Overdue {
			return nil, tenure.Errorf(tenure.Invalid, "a repair brings back what has drifted; only with new credentials it takes names").WithHint("issue these anew: --reissue --resource ENVIRONMENT/KEY")
		}
		out.Reissue = true
		if out.Drifted, err = s.rotating(ctx, t, out.Inventory, in.Resources, in.Overdue); err != nil {
			return nil, err
		}
	}
	days, err := s.days(ctx, &t)
	if err != nil {
		return nil, err
	}
	out.Desired, err = s.evaluate(c, out.Tenant, in.Kind, params, features, days, func(env, key string) tenure.ResourceID {
		if id := ids[env+"\x00"+key]; id != "" {
			return id
		}
		return tenure.DeriveID[tenure.ResourceID](now, string(t.ID), env, key)
	})
	if err != nil {
		return nil, err
	}
	if err := s.withAdditions(ctx, t.ID, out.Desired); err != nil {
		return nil, err
	}
	if out.Unheld, err = s.unheld(ctx, t.ID, out.Inventory); err != nil {
		return nil, err
	}
	if in.Kind == tenure.Repair || in.Kind == tenure.Resume || in.Kind == tenure.Reinstate {
		if err := rebind(c, out); err != nil {
			return nil, err
		}
	}
	if err := s.openSystems(ctx, out); err != nil || in.Kind != tenure.Repair || in.Overdue || len(in.Resources) > 0 {
		return out, err
	}
	return out, s.undeclared(ctx, out)
}

// days are those of a tenant's life that its records may speak of and that are known.
func (s *Service) days(ctx context.Context, t *store.TenantRow) (map[string]string, error) {
	live, err := s.o.DB.WentLive(ctx, t.ID)
	if live.IsZero() {
		live = t.CreatedAt
	}
	return map[string]string{"live": live.UTC().Format(time.DateOnly)}, err
}

func (s *Service) evaluate(c *blueprint.Compiled, t tenure.Tenant, kind tenure.OperationKind, params map[string]any, features map[string]bool, days map[string]string, id func(env, key string) tenure.ResourceID) (*blueprint.Desired, error) {
	return c.Evaluate(blueprint.Input{
		Tenant: t.ID, Name: t.Name, Tier: t.Tier, Organization: t.Organization, Installation: s.o.Installation,
		Params: params, Features: features, ResourceID: id, Dates: days,
		Leaving: kind == tenure.Offboard || kind == tenure.Suspend || kind == tenure.Revoke || kind == tenure.Supplement,
	})
}

func (s *Service) onboardInput(ctx context.Context, in Intent, now time.Time) (*planner.Input, error) {
	if err := tenure.CheckTenantName(in.Tenant); err != nil {
		return nil, err
	}
	if err := checkLabels(in.Labels); err != nil {
		return nil, err
	}
	if _, err := s.o.DB.Tenant(ctx, in.Tenant); err == nil {
		return nil, tenure.Errorf(tenure.Conflict, "there is a tenant named %q already", in.Tenant).WithHint("choose another name, or offboard that one first")
	}
	if strings.TrimSpace(in.Blueprint) == "" {
		return nil, tenure.Errorf(tenure.Invalid, "an onboarding needs a blueprint").WithHint("list them: tenure blueprint list")
	}
	c, err := s.compiled(ctx, in.Blueprint, true)
	if err != nil {
		return nil, err
	}
	if err := bound(c); err != nil {
		return nil, err
	}
	if err := s.o.DB.VouchedRow(ctx, "blueprint", c.Digest); err != nil { // that another person has published it
		return nil, err
	}
	if err := s.barred(ctx, c.Ref()); err != nil {
		return nil, err
	}
	if in.Organization, err = tenure.Line("the organization", in.Organization, tenure.MaxTitle); err != nil {
		return nil, err
	}
	if in.Contact, err = tenure.Line("the contact", in.Contact, 254); err != nil {
		return nil, err
	}
	t := tenure.Tenant{
		ID: tenure.NewID[tenure.TenantID](now), Name: in.Tenant, Organization: in.Organization, Contact: in.Contact, Tier: in.Tier, Labels: in.Labels,
		State: tenure.TenantRequested, Blueprint: c.Ref(), CreatedAt: now,
	}
	d, err := s.evaluate(c, t, in.Kind, in.Parameters, in.Features, nil, func(env, key string) tenure.ResourceID {
		return tenure.DeriveID[tenure.ResourceID](now, string(t.ID), env, key)
	})
	if err != nil {
		return nil, err
	}
	out := &planner.Input{Kind: tenure.Onboard, At: now, Reason: in.Reason, Tenant: t, Blueprint: &c.Blueprint, Ref: c.Ref(), Desired: d, Rules: s.o.Approvals, Adopt: in.Adopt, Language: s.LanguageOf(store.TenantRow{Tenant: t}).Tag(), House: s.Language().Tag()}
	if err := s.openSystems(ctx, out); err != nil || !in.Adopt {
		return out, err
	}
	if out.Standing, err = standing(ctx, out); err != nil {
		return nil, err
	}
	all, err := coming(out)
	if err != nil {
		return nil, err
	}
	told := blueprint.Input{Tenant: t.ID, Name: t.Name, Tier: t.Tier, Organization: t.Organization, Installation: s.o.Installation, Params: d.Params, Features: in.Features}
	out.Foreseen, err = s.foreseen(ctx, c, told, all, func(name string) (*connector.System, error) { return s.system(ctx, name) })
	return out, err
}

// openSystems gives the planner the systems that the plan may touch.
func (s *Service) openSystems(ctx context.Context, in *planner.Input) error {
	need := make(map[string]bool)
	for name := range in.Blueprint.Systems {
		need[name] = true
	}
	for _, r := range in.Inventory {
		need[r.System] = true
	}
	in.Systems = make(map[string]*connector.System, len(need))
	for name := range need {
		sys, err := s.system(ctx, name)
		if err != nil {
			return err
		}
		if want := in.Blueprint.Systems[name].Connector; want != "" && want != sys.Info.Name {
			return tenure.Errorf(tenure.Invalid, "the blueprint wants system %s to be %s, and it is %s", name, want, sys.Info.Name)
		}
		in.Systems[name] = sys
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
