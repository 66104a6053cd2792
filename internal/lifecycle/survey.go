package lifecycle

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/planner"
	"github.com/tenurehq/tenure/internal/store"
)

// searchPlanned is how long a store may be searched for the tenant's key in columns
// that its catalog doesn't give away, when a person waits for the answer. A look at
// the fleet doesn't search.
const searchPlanned = 3 * time.Second

// classOrder is the order in which a departure's classes go: that of their last points
// of no return.
func classOrder(p *tenure.Plan) (out []string) {
	for i := range p.Steps {
		if class := p.ClassOf(&p.Steps[i]); p.Steps[i].Action == tenure.ActNoReturn && class != "" {
			out = append(slices.DeleteFunc(out, func(c string) bool { return c == class }), class)
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
	err := s.look.Maps(ctx, in.Inventory, in.Inventory, ask, func(v hygiene.Map) error {
		for _, place := range v.Places {
			switch {
			case place.Blocks:
				if line := v.Line(place); !slices.Contains(open, line) {
					open = append(open, line)
				}
			case place.Kind == connector.PlaceReference:
				seen = append(seen, tenure.Difference{Resource: v.Path(), Field: place.Name, From: plural(int(place.Rows), "reference", "references") + " of other tenants' rows", To: "null"})
			case place.Kind == connector.PlaceShared:
				seen = append(seen, tenure.Difference{Resource: v.Path(), Field: place.Name, From: place.Says, To: "stay"})
			}
		}
		findings = append(findings, v.Findings(now)...)
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

// barred is Blocked for an onboarding from a revision while nothing covers some place
// that a tenant bound to it has in a shared store. What a tenant made in a store of
// its own, or what belongs to its role, stops no other tenant.
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
		if typ, _ := sys.Info.Type(f.Type); typ.Whole || typ.Owner {
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
