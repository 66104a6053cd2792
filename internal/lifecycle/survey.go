package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
)

// How long a store may be searched for the tenant's key in columns that its catalog
// doesn't give away: when a person waits for the answer, and in a look at the fleet,
// which doesn't search.
const (
	searchPlanned = 3 * time.Second
	searchLook    = 0
)

// surveyed is the data map of one resource.
type surveyed struct {
	connector.Map
	resource tenure.Resource
	system   *connector.System
	whole    bool           // the store is the tenant's own
	absent   tenure.Verdict // on what wasn't found
}

// path is how the resource is called: environment/key.
func (v *surveyed) path() string { return pathOf(v.resource.Environment, v.resource.Key) }

func pathOf(env, key string) string {
	if env == "" {
		return key
	}
	return env + "/" + key
}

// mapped says whether a system can map what a resource holds.
func mapped(sys *connector.System, r tenure.Resource) (tenure.ResourceType, bool) {
	typ, _ := sys.Info.Type(r.Type)
	return typ, typ.Holds == tenure.HoldsData && typ.Layer != tenure.LayerBackup && sys.Can("map")
}

// survey yields the data map of each resource that can be mapped: at onboarding, with
// each drift look, when a departure is planned, at the last reconciliation and after.
// All are their tenants' resources: what one covers isn't missed in another.
func (s *Service) survey(ctx context.Context, rows, all []tenure.Resource, ask connector.Survey, yield func(surveyed) error) error {
	for _, r := range rows {
		sys, err := s.system(ctx, r.System)
		if err != nil {
			return err
		}
		typ, ok := mapped(sys, r)
		if !ok || !ask.Gone && (r.State == tenure.ResourcePlanned || r.State == tenure.ResourceGone) {
			continue
		}
		q := ask
		q.Ref, q.Beside = refOf(r), beside(all, r)
		m, absent, err := sys.DataMap(ctx, q)
		if err != nil {
			return tenure.Errorf(tenure.CodeOf(err), "data map of %s: %w", pathOf(r.Environment, r.Key), err)
		}
		if err := yield(surveyed{Map: m, resource: r, system: sys, whole: typ.Whole, absent: absent}); err != nil {
			return err
		}
	}
	return nil
}

// beside are the other resources of a resource's tenant in its system.
func beside(all []tenure.Resource, of tenure.Resource) (out []connector.Ref) {
	for _, r := range all {
		if r.Tenant == of.Tenant && r.System == of.System && (r.Environment != of.Environment || r.Key != of.Key) {
			out = append(out, refOf(r))
		}
	}
	return out
}

// line is a place that stands in the way, with what would settle it.
func (v *surveyed) line(p connector.Place) string {
	out := p.Name + " in " + v.path()
	if p.Says != "" {
		out += ": " + p.Says
	}
	if p.Fix != "" {
		out += " (" + p.Fix + ")"
	}
	return out
}

// findings are the places that are covered by nothing, or that a person must know
// of. What is covered, and references that the approver of a departure is shown,
// are no findings.
func (v *surveyed) findings(now time.Time) (out []tenure.Finding) {
	for _, p := range v.Places {
		covered := p.IsData() && p.Class != "" || p.Kind == connector.PlaceReference || p.Kind == connector.PlaceShared
		if !p.Blocks && (p.Says == "" || covered) {
			continue
		}
		f := tenure.Finding{
			ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingUncovered, Severity: tenure.Medium, Tenant: v.resource.Tenant, Resource: v.resource.ID,
			System: v.resource.System, Type: v.resource.Type, Name: v.resource.Name, Field: p.Name, Want: p.Fix, Got: fmt.Sprint(p.Rows), Detail: v.line(p), SeenAt: now,
		}
		if p.Blocks {
			f.Severity = tenure.High
		}
		out = append(out, f)
	}
	return out
}

// classOrder is the order in which a departure's classes go: that of their points
// of no return.
func classOrder(p *tenure.Plan) (out []string) {
	for i := range p.Steps {
		if class := p.ClassOf(&p.Steps[i]); p.Steps[i].Action == tenure.ActNoReturn && class != "" {
			out = append(out, class)
		}
	}
	return out
}

// covered surveys what a departure would take, in the order of its plan. What no data
// class covers, and what can't go in that order, is a finding and Blocked, each with
// the line to add. It returns what the approver must see: references of other
// tenants' rows that will become null.
func (s *Service) covered(ctx context.Context, in *planner.Input, p *tenure.Plan) ([]tenure.Difference, error) {
	now := s.Now()
	var open []string
	var findings []tenure.Finding
	var seen []tenure.Difference
	ask := connector.Survey{Order: classOrder(p), Prove: true, Search: searchPlanned}
	err := s.survey(ctx, in.Inventory, in.Inventory, ask, func(v surveyed) error {
		for _, place := range v.Places {
			switch {
			case place.Blocks:
				open = append(open, v.line(place))
			case place.Kind == connector.PlaceReference:
				seen = append(seen, tenure.Difference{Resource: v.path(), Field: place.Name, From: plural(int(place.Rows), "reference", "references") + " of other tenants' rows", To: "null"})
			case place.Kind == connector.PlaceShared:
				seen = append(seen, tenure.Difference{Resource: v.path(), Field: place.Name, From: place.Says, To: "stay"})
			}
		}
		findings = append(findings, v.findings(now)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for system := range in.Systems {
			if err := tx.ResolveUnseen([]tenure.FindingKind{tenure.FindingUncovered}, system, in.Tenant.ID, findings, now); err != nil {
				return err
			}
		}
		return saveFindings(tx, findings)
	})
	if err == nil && len(open) > 0 {
		err = tenure.Errorf(tenure.Blocked, "%s in the way of a departure: %s", plural(len(open), "place stands", "places stand"), strings.Join(open, "; ")).
			WithHint("cover them in a revision and upgrade the tenant, or for this tenant alone: tenure tenant cover %s --resource ENVIRONMENT/KEY, with --table NAME=CLASS or what else each asks for", in.Tenant.Name).
			WithHint("see them one by one: tenure finding list --tenant %s", in.Tenant.Name)
	}
	return seen, err
}

func saveFindings(tx *store.Tx, found []tenure.Finding) error {
	for _, f := range found {
		if err := tx.SaveFinding(f); err != nil {
			return err
		}
	}
	return nil
}

// uncovered is a drift look's part that compares the data maps of what stands in a
// system with what the blueprints cover.
func (s *Service) uncovered(ctx context.Context, sys *connector.System, tenant tenure.TenantID) ([]tenure.Finding, error) {
	if !sys.Can("map") {
		return nil, nil
	}
	now := s.Now()
	var out []tenure.Finding
	err := s.o.DB.Inventory(ctx, sys.Name, tenant, func(row store.InventoryRow) error {
		if _, ok := mapped(sys, tenure.Resource{Type: row.Type}); !ok || len(out) >= maxFindings {
			return nil
		}
		rows, err := s.o.DB.Resources(ctx, row.Tenant, true)
		if err != nil {
			return err
		}
		var one, all []tenure.Resource
		for _, r := range rows {
			if all = append(all, r.Resource); r.ID == row.ID && stands(r.State) {
				one = append(one, r.Resource)
			}
		}
		err = s.survey(ctx, one, all, connector.Survey{Search: searchLook}, func(v surveyed) error {
			out = append(out, v.findings(now)...)
			return nil
		})
		if tenure.CodeOf(err) == tenure.NotFound || tenure.CodeOf(err) == tenure.Conflict {
			return nil // it is gone or another's: the comparison with the inventory says so
		}
		return err
	})
	return out, err
}

// stands says whether a resource in this state holds what it held.
func stands(state tenure.ResourceState) bool {
	switch state {
	case tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceRevoked, tenure.ResourceQuarantined, tenure.ResourceErasing:
		return true
	}
	return false
}

// barred is Blocked for an onboarding from a revision while nothing covers some place
// that a tenant bound to it has in a shared store. What a tenant made in a store of
// its own stops no other tenant.
func (s *Service) barred(ctx context.Context, ref tenure.BlueprintRef) error {
	open, err := s.o.DB.FindingsPage(ctx, store.FindingFilter{Kind: tenure.FindingUncovered, Severity: tenure.High, Limit: maxFindings})
	if err != nil {
		return err
	}
	for _, f := range open {
		sys, err := s.system(ctx, f.System)
		if err != nil {
			continue // a system that can't be opened stops an onboarding by itself
		}
		if typ, _ := sys.Info.Type(f.Type); typ.Whole {
			continue
		}
		t, err := s.o.DB.Tenant(ctx, string(f.Tenant))
		if err != nil {
			return err
		}
		if t.Blueprint.Digest == ref.Digest {
			return tenure.Errorf(tenure.Blocked, "no tenant can be onboarded from %s %s while no data class covers a place that it reaches: %s", ref.Name, ref.Version, f.Detail).
				WithHint("publish a revision that covers it; after the change, look again: tenure drift")
		}
	}
	return nil
}
