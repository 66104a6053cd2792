package lifecycle

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
)

// adoptLot is how many things one look at a system asks for.
const adoptLot = 500

// standing looks at what an onboarding is to adopt: it reads, in bulk, and changes nothing.
func standing(ctx context.Context, in *planner.Input) (map[tenure.ResourceID]planner.Sight, error) {
	all, normal := map[string][]connector.Ref{}, map[tenure.ResourceID][]byte{}
	for _, env := range in.Desired.Environments {
		for _, r := range env.Resources {
			sys := in.Systems[r.System]
			if sys == nil || r.Stages != nil {
				continue // the planner says so
			}
			ref := connector.Ref{Resource: r.ID, Tenant: in.Tenant.ID, Environment: env.Name, Type: r.Type, Name: r.Name, Attributes: r.Attributes, Classes: r.Data}
			want, err := sys.Normalise(connector.Desired{Ref: ref, Encryption: in.Blueprint.Encryption})
			if err != nil {
				return nil, err
			}
			all[r.System], normal[r.ID] = append(all[r.System], ref), want
		}
	}
	out := make(map[tenure.ResourceID]planner.Sight)
	for name, refs := range all {
		sys := in.Systems[name]
		if err := sys.Identify(ctx); err != nil {
			return nil, err
		}
		for part := range slices.Chunk(refs, adoptLot) {
			seen, absent, err := sys.Observe(connector.Adopting(ctx, refs), part)
			if err != nil {
				return nil, err
			}
			for i, o := range seen {
				out[part[i].Resource] = planner.Sight{Observed: o, Normal: normal[part[i].Resource], Blurred: absent != tenure.Verified}
			}
		}
	}
	return out, nil
}

// coming are the things that an onboarding is to adopt, as the inventory would have them.
func coming(in *planner.Input) (out []tenure.Resource, err error) {
	for _, env := range in.Desired.Environments {
		for _, r := range env.Resources {
			if r.Stages != nil { // a record is written to, whatever it says
				continue
			}
			row := tenure.Resource{ID: r.ID, Tenant: in.Tenant.ID, Environment: env.Name, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name, Classes: r.Data}
			if row.Desired, err = tenure.Canonical(r.Attributes); err != nil {
				return nil, err
			}
			out = append(out, row)
		}
	}
	return out, nil
}

// foreseen is what a look at drift would find of things once they are adopted.
func (s *Service) foreseen(ctx context.Context, c *blueprint.Compiled, in blueprint.Input, all []tenure.Resource, system func(string) (*connector.System, error)) (out []tenure.Finding, err error) {
	by := map[string][]store.ResourceRow{}
	for _, r := range all {
		by[r.System] = append(by[r.System], store.ResourceRow{Resource: r})
	}
	changes := func(r tenure.Resource) (map[string]tenure.Disposition, error) { return changesIn(c, in, r.Environment) }
	for _, name := range slices.Sorted(maps.Keys(by)) {
		sys, err := system(name)
		if err != nil {
			return nil, err
		}
		for i := range by[name] {
			r := &by[name][i]
			ref := connector.RefOf(r.Resource)
			if r.Normal, err = sys.Normalise(connector.Desired{Ref: ref, Encryption: c.Blueprint.Encryption}); err != nil {
				return nil, err
			}
		}
		found, unseen, err := s.look.Foresee(ctx, sys, hygiene.Coming{Rows: by[name], Beside: all, Changes: changes})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
		if unseen != nil {
			out = append(out, tenure.Finding{Kind: tenure.FindingUnproven, System: name, Detail: "who else has rights there can't be told: " + unseen.Error(), Steps: tenure.HintsOf(unseen)})
		}
	}
	return out, nil
}

// runLook looks, right before the first mark, for what a plan that adopts is refused for:
// it may have come since.
func (s *Service) runLook(ctx context.Context, t *engine.Task) engine.Result {
	c, err := s.compiled(ctx, t.Plan.Blueprint.Digest, false)
	if err != nil {
		return engine.Result{Err: err}
	}
	var all []tenure.Resource
	for i := range t.Plan.Resources {
		p := &t.Plan.Resources[i]
		if slices.ContainsFunc(t.Plan.Steps, func(st tenure.Step) bool { return st.Action == tenure.ActEnsure && st.Resource == p.ID }) {
			continue // a record, which isn't adopted
		}
		row := tenure.Resource{ID: p.ID, Tenant: t.Plan.Tenant, Environment: p.Environment, Key: p.Key, System: p.System, Type: p.Type, Name: p.Name, Classes: p.Classes}
		if row.Desired, err = tenure.Canonical(p.Desired); err != nil {
			return engine.Result{Err: err}
		}
		all = append(all, row)
	}
	in := blueprint.Input{Tenant: t.Plan.Tenant, Name: t.Plan.Name, Tier: t.Plan.Tier, Organization: t.Plan.Organization, Installation: s.o.Installation, Params: t.Plan.Parameters, Features: t.Plan.Features}
	found, err := s.foreseen(ctx, c, in, all, func(name string) (*connector.System, error) { return s.system(ctx, name) })
	if err != nil {
		return engine.Result{Err: err}
	}
	var wrong []string
	for _, f := range found {
		if planner.AgainstAdopting(f) {
			wrong = append(wrong, strings.TrimSpace(f.Type+" "+f.Name)+" in "+f.System+": "+f.Detail)
		}
	}
	if len(wrong) > 0 {
		return engine.Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Blocked, "nothing was marked: %s", strings.Join(wrong, "; ")).
			WithHint("take it away, then: tenure operation retry %s; or cancel, and plan again with a blueprint that declares it", t.Operation.ID)}
	}
	return engine.Result{Verdict: tenure.Verified, Receipt: map[string]int{"looked at": len(all), "to be waived": len(found)}}
}

// unheld are the resources of a tenant with a credential that Tenure doesn't hold: they were
// adopted with one, and none has been issued since.
func (s *Service) unheld(ctx context.Context, t tenure.TenantID, inventory []tenure.Resource) (map[tenure.ResourceID]bool, error) {
	out := make(map[tenure.ResourceID]bool)
	p, err := s.adopting(ctx, t)
	if p == nil || err != nil {
		return out, err
	}
	for i := range inventory {
		r := &inventory[i]
		sys, err := s.system(ctx, r.System)
		if err != nil {
			continue // what needs it says so
		}
		if t, _ := sys.Info.Type(r.Type); !t.Credential || !adoptedBy(p, r) {
			continue
		}
		_, _, _, err = s.o.DB.Secret(ctx, r.ID)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound:
			out[r.ID] = true
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

// adopted says whether a resource that has no kept credential was adopted with its own, which
// the tenant still uses.
func (s *Service) adopted(ctx context.Context, r *tenure.Resource) (bool, error) {
	if !stood(r) { // what is being made
		return false, nil
	}
	p, err := s.adopting(ctx, r.Tenant)
	return p != nil && adoptedBy(p, r), err
}

// adopting is the plan by which a tenant was adopted, nil if it was made by Tenure.
func (s *Service) adopting(ctx context.Context, t tenure.TenantID) (*tenure.Plan, error) {
	ops, err := s.o.DB.Operations(ctx, store.OperationFilter{Tenant: t, Kind: tenure.Onboard, Limit: 1})
	if err != nil || len(ops) == 0 {
		return nil, err
	}
	p, err := s.o.DB.Plan(ctx, ops[0].Plan)
	if err != nil || !p.Adopt {
		return nil, err
	}
	return p, nil
}

func adoptedBy(p *tenure.Plan, r *tenure.Resource) bool {
	return stood(r) && slices.ContainsFunc(p.Resources, func(pr tenure.PlannedResource) bool { return pr.ID == r.ID })
}

// stood says that a resource has been seen there.
func stood(r *tenure.Resource) bool {
	switch r.State {
	case tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceUnknown:
		return true
	}
	return false
}
