package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// places makes each data map of the site end with these.
func (s *site) places(f func(connector.Survey) []connector.Place) {
	hook := func(v connector.Survey, m *connector.Map) { m.Places = append(m.Places, f(v)...) }
	s.onMap.Store(&hook)
}

var notes = connector.Place{Name: "notes", Rows: 3, Blocks: true, Says: "no data class covers it", Fix: "tables: {notes: CLASS}"}

// A store that holds more than its blueprint knows would leave a tenant that can't
// go: it is refused before the first tenant comes, with the line to add.
func TestPublishComparesWithTheSystems(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.places(func(v connector.Survey) []connector.Place {
		if v.Ref.Resource != "" {
			return nil
		}
		if v.Ref.Tenant != "" || v.Ref.Name == "" {
			t.Errorf("a revision is compared for %+v", v.Ref)
		}
		return []connector.Place{notes, {Name: "events_by_day", Kind: connector.PlaceDerived, Says: "it can't be refreshed by Tenure"}}
	})
	b, err := s.SubmitBlueprint(ctx, []byte(strings.ReplaceAll(blueprintText, `"%s"`, `"2.0"`)), "small.yaml", "author")
	s.must(err)
	_, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
	wantCode(t, err, tenure.Blocked, "notes in prod/store", "notes in test/store", "tables: {notes: CLASS}")
	if now, err := s.Blueprint(ctx, b.Digest); err != nil || now.Published() {
		t.Fatalf("it was published all the same: %v", err)
	}
	s.places(func(connector.Survey) []connector.Place {
		return []connector.Place{{Name: "events_by_day", Kind: connector.PlaceDerived, Says: "it can't be refreshed by Tenure"}}
	})
	b, err = s.PublishBlueprint(ctx, b.Digest, "reviewer")
	s.must(err)
	if !slices.ContainsFunc(b.Says, func(text string) bool {
		return strings.Contains(text, "events_by_day") && strings.Contains(text, "can't be refreshed")
	}) {
		t.Errorf("what can't be erased isn't said: %q", b.Says)
	}
}

// What depends on a customer's answer isn't guessed at: it is said that it wasn't
// compared.
func TestPublishSaysWhatItCantCompare(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.places(func(v connector.Survey) []connector.Place {
		if strings.Contains(v.Ref.Name, "xxx") {
			t.Errorf("a guessed name was compared: %q", v.Ref.Name)
		}
		return nil
	})
	text := strings.NewReplacer("name: small", "name: asking", `"%s"`, `"1.0"`, "login: {type: string, minLength: 1}", "login: {type: string, minLength: 3}",
		"name: ${tenant.name}-${env.name}\n", "name: ${tenant.name}-${params.login}-${env.name}\n").Replace(blueprintText)
	b := s.publishText(text)
	if !slices.ContainsFunc(b.Says, func(text string) bool { return strings.Contains(text, "prod/store") && strings.Contains(text, "login") }) {
		t.Errorf("what couldn't be compared isn't said: %q", b.Says)
	}
}

// A place that nobody named is found at the next look, bars the departure of who is
// there, and is settled when it is gone.
func TestUncoveredPlaceIsAFinding(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.onboard("acme")
	covered := connector.Place{Name: "orders", Class: "orders", Rows: 2}
	told := connector.Place{Name: "orders.tenant_key", Kind: connector.PlaceKey, Rows: 1, Says: "1 row has no key"}
	reference := connector.Place{Name: "page.tpl_id", Kind: connector.PlaceReference, Rows: 4, Says: "4 references become null"}
	s.places(func(v connector.Survey) []connector.Place { return []connector.Place{covered, told, reference, notes} })
	look, err := s.Drift(ctx, "acme")
	s.must(err)
	severities := make(map[string]tenure.Severity)
	for _, f := range look.Findings {
		if f.Kind == tenure.FindingUncovered {
			severities[f.Field] = f.Severity
		}
	}
	if len(severities) != 2 || severities["notes"] != tenure.High || severities["orders.tenant_key"] != tenure.Medium {
		t.Errorf("the findings are %v", severities)
	}
	_, _, err = s.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"}, "operator")
	wantCode(t, err, tenure.Blocked, "notes in prod/store", "notes in test/store", "tables: {notes: CLASS}")

	s.places(func(connector.Survey) []connector.Place { return nil })
	look, err = s.Drift(ctx, "acme")
	s.must(err)
	if len(look.Findings) > 0 {
		t.Errorf("what is gone is still a finding: %+v", look.Findings)
	}
}

// What nobody covers in a shared store would be the next tenant's, too, so none is
// taken in. What a tenant made in a store of its own bars nobody: no tenant stops
// another's entry.
func TestUncoveredSharedPlaceBarsOnboardings(t *testing.T) {
	t.Parallel()
	for typ, barred := range map[string]bool{"rows": true, "store": false} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			ctx := context.Background()
			s.publishText(classesText(typ))
			s.wantState(s.begin("acme", "classes-"+typ), tenure.OperationSucceeded)
			s.places(func(v connector.Survey) []connector.Place {
				if v.Ref.Name == "acme-data" {
					return []connector.Place{notes}
				}
				return nil
			})
			_, err := s.Drift(ctx, "")
			s.must(err)
			enter := lifecycle.Intent{Kind: tenure.Onboard, Tenant: "birch", Blueprint: "classes-" + typ}
			_, _, err = s.Request(ctx, enter, "operator")
			if barred {
				wantCode(t, err, tenure.Blocked, "notes in prod/data")
			} else {
				s.must(err)
			}
			s.places(func(connector.Survey) []connector.Place { return nil })
			_, err = s.Drift(ctx, "")
			s.must(err)
			_, _, err = s.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: "cedar", Blueprint: "classes-" + typ}, "operator")
			s.must(err)
		})
	}
}

// Who approves a departure sees beforehand which references of other tenants' rows
// will become null; the plan asks for the order of its classes, proven.
func TestPlanShowsNeighboursReferences(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *lifecycle.Options) {
		o.Settings["main"] = lifecycle.SystemSettings{Connector: "memory", Region: "eu-central"}
	})
	s.onboard("acme")
	s.places(func(v connector.Survey) []connector.Place {
		if !v.Prove || v.Search == 0 || !slices.Equal(v.Order, []string{"orders", "invoices"}) {
			t.Errorf("the departure is surveyed as %+v", v)
		}
		return []connector.Place{{Name: "page.tpl_id", Kind: connector.PlaceReference, Rows: 4}}
	})
	p, err := s.Plan(context.Background(), lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "r"}, "operator")
	s.must(err)
	if !slices.ContainsFunc(p.Plan.Diff, func(d tenure.Difference) bool {
		return d.Resource == "prod/store" && d.Field == "page.tpl_id" && strings.Contains(d.From, "4 references") && d.To == "null"
	}) {
		t.Errorf("the plan doesn't show the references: %+v", p.Plan.Diff)
	}
	if p.Plan.Regions["main"] != "eu-central" {
		t.Errorf("the plan's regions are %v", p.Plan.Regions)
	}
}

// An onboarding that was taken back since a place is covered by nothing leaves no
// finding: its tenant has nothing there any more, and nobody could ever settle it.
func TestFailedOnboardingLeavesNoFinding(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	s.places(func(v connector.Survey) []connector.Place {
		if v.Ref.Resource == "" {
			return nil
		}
		return []connector.Place{notes}
	})
	op := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Parameters: map[string]any{"login": "a"}}, "operator")
	s.approve(op, "reviewer")
	s.wantState(op, tenure.OperationFailed)
	if s.row(op, "verify/teardown").State != tenure.StepFailed {
		t.Fatalf("it failed elsewhere\n%s", s.show(op))
	}
	if why := s.view(op).Reason; !strings.Contains(why, "verify/teardown") || !strings.Contains(why, "notes") {
		t.Errorf("that it failed is said without why: %q", why)
	}
	if all, err := s.Findings(ctx, "", false); err != nil || len(all) > 0 {
		t.Errorf("findings stand of a tenant that was never there: %v, %v", all, err)
	}
}
