package planner_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/planner"
)

// A plan whose graph lacks an edge that matters can't start: each edge of a real
// plan is taken out, one at a time. An edge matters if what destroys, what is
// confirmed or what certifies comes after less than before.
func TestProofNoticesEachMissingEdge(t *testing.T) {
	t.Parallel()
	systems := systems(t, "main", "other")
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, systems)
		in.Kind, in.Tenant.State = tenure.Offboard, tenure.TenantActive
		p, err := planner.Make(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := tenure.ProveTeardown(p); err != nil {
			t.Fatalf("a plan of today's planner: %v", err)
		}
		before := pasts(p)
		for i := range p.Steps {
			for _, need := range p.Steps[i].Needs {
				if slices.ContainsFunc(p.Steps[i].Needs, func(other string) bool { return before[other][need] }) {
					continue // it comes before all the same
				}
				less := *p
				less.Steps = slices.Clone(p.Steps)
				less.Steps[i].Needs = slices.DeleteFunc(slices.Clone(p.Steps[i].Needs), func(n string) bool { return n == need })
				lost := lostBy(p, before, &less)
				if lost == "" {
					continue
				}
				if err := tenure.ProveTeardown(&less); err == nil {
					t.Fatalf("without %s needing %s, %s, and the proof doesn't notice", p.Steps[i].Key, need, lost)
				}
			}
		}
	})
}

// lostBy says what could go wrong in a plan that lacks an edge; "" if nothing.
func lostBy(p *tenure.Plan, before map[string]map[string]bool, less *tenure.Plan) string {
	after := pasts(less)
	for i := range p.Steps {
		s := &p.Steps[i]
		for past := range before[s.Key] {
			if after[s.Key][past] {
				continue
			}
			n := stepOf(p, past)
			switch {
			case s.Action == tenure.ActDelete && n.Action == tenure.ActDelete && standsOn(p, n.Resource, s.Resource):
				return s.Key + " goes before " + past + ", which stands on it"
			case s.Action == tenure.ActDelete && n.Action == tenure.ActErase && n.Resource == s.Resource:
				return s.Key + " goes before " + past
			case s.Action == tenure.ActDelete && n.Action == tenure.ActExpire && n.Resource == s.Resource:
				return s.Key + " goes before " + past
			case s.Destructive && s.Action != tenure.ActDropExport && n.Action.IsGate() && n.Class != "" && touches(p, s, n):
				return s.Key + " goes before " + past
			case s.Action == tenure.ActNoReturn && n.Action == tenure.ActCount && n.Class == s.Class && s.Class != "":
				return s.Key + " is confirmed without " + past
			case s.Action == tenure.ActDropExport && (n.Action == tenure.ActExport || past == "retrieval"):
				return s.Key + " goes before " + past
			case s.Action == tenure.ActKeyDestroy && !strings.HasPrefix(s.To, "class-") && n.Destructive && n.Action != tenure.ActKeyDestroy && n.Action != tenure.ActDropExport:
				return s.Key + " goes before " + past
			case s.Key == "certificate/closing" && (n.Destructive || n.Action == tenure.ActSweep && n.To == "all"):
				return s.Key + " comes before " + past
			case s.Key == "certificate/closing" && (n.Action == tenure.ActClean || n.Action == tenure.ActRemnants):
				return s.Key + " comes before " + past
			case (s.Action == tenure.ActClean || s.Action == tenure.ActRemnants) && n.System == s.System && (n.Action == tenure.ActErase || n.Action == tenure.ActDelete || n.Action == tenure.ActPseudonymise) && resourceOf(p, n.Resource).Layer != tenure.LayerBackup:
				return s.Key + " cleans before " + past
			case s.Key == "closed" && n.Action == tenure.ActCertify:
				return s.Key + " comes before " + past
			case s.Key == "reconcile/last" && n.Destructive:
				return s.Key + " looks before " + past
			}
		}
	}
	return ""
}

func stepOf(p *tenure.Plan, key string) *tenure.Step {
	i := slices.IndexFunc(p.Steps, func(s tenure.Step) bool { return s.Key == key })
	return &p.Steps[i]
}

func resourceOf(p *tenure.Plan, id tenure.ResourceID) *tenure.PlannedResource {
	i := slices.IndexFunc(p.Resources, func(r tenure.PlannedResource) bool { return r.ID == id })
	if i < 0 {
		return &tenure.PlannedResource{}
	}
	return &p.Resources[i]
}

func standsOn(p *tenure.Plan, child, on tenure.ResourceID) bool {
	c := resourceOf(p, child)
	return c.Layer != tenure.LayerBackup && slices.Contains(c.Needs, on)
}

// touches says whether a step destroys data of a gate's class: at the end of what stays, where
// that is.
func touches(p *tenure.Plan, s, gate *tenure.Step) bool {
	class := gate.Class
	switch s.Action {
	case tenure.ActErase:
		return s.Class == class
	case tenure.ActKeyDestroy:
		return s.To == "class-"+class || !strings.HasPrefix(s.To, "class-")
	}
	r := resourceOf(p, s.Resource)
	return slices.Contains(r.Classes, class) && (gate.To != tenure.AtEnd || p.Stays(r, class))
}

func pasts(p *tenure.Plan) map[string]map[string]bool {
	g := make(graph)
	for i := range p.Steps {
		g[p.Steps[i].Key] = &p.Steps[i]
	}
	out := make(map[string]map[string]bool)
	for key := range g {
		out[key] = make(map[string]bool)
		g.before(key, out[key])
	}
	return out
}

// A plan of format 1 that is still under way when this program takes over has, completed,
// what today's proof asks for: of each kind of need that its planner didn't know, none
// is missing.
func TestPlansOfFormat1AreCompleted(t *testing.T) {
	t.Parallel()
	systems := systems(t, "main", "other")
	kinds := map[string]int{} // how often the proof noticed that the needs of a kind lack
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, systems)
		in.Kind, in.Tenant.State = tenure.Offboard, tenure.TenantActive
		for i := range in.Blueprint.DataClasses { // what format 1 knew
			class := &in.Blueprint.DataClasses[i]
			if class.Rules = nil; class.Disposition != tenure.Purge {
				class.Disposition = tenure.CryptoErase
			}
		}
		today, err := planner.Make(in)
		if err != nil {
			t.Fatal(err)
		}
		old := *today
		old.Format, old.Steps = 1, slices.Clone(today.Steps)
		for i := range old.Steps {
			s := &old.Steps[i]
			kind := older(&old, s)
			if kind == "" {
				continue
			}
			one := *today
			one.Steps = slices.Clone(today.Steps)
			one.Steps[i].Needs = s.Needs
			if tenure.ProveTeardown(&one) != nil {
				kinds[kind]++
			}
		}
		done := old.Completed()
		if err := tenure.ProveTeardown(done); err != nil {
			t.Fatalf("completed: %v", err)
		}
		for _, s := range done.Steps {
			for _, gate := range done.Steps {
				if s.Action == tenure.ActSweep && s.To == "stores" && gate.Action == tenure.ActNoReturn && !slices.Contains(s.Needs, gate.Key) {
					t.Fatalf("%s doesn't wait for %s", s.Key, gate.Key)
				}
			}
		}
	})
	for _, kind := range []string{"delete", "quarantine", "key"} {
		if kinds[kind] == 0 {
			t.Errorf("no plan lacked the needs of a %s", kind)
		}
	}
}

// older makes a step of today's planner one of format 1, without what Completed adds;
// it gives the kind of what it took.
func older(p *tenure.Plan, s *tenure.Step) (kind string) {
	without := func(gone func(string) bool) { s.Needs = slices.DeleteFunc(slices.Clone(s.Needs), gone) }
	switch {
	case s.Action == tenure.ActCount:
		s.Action, s.Class = tenure.ActObserve, ""
	case s.Action == tenure.ActNoReturn:
		s.Class = ""
	case s.Action == tenure.ActSweep && s.To == "stores":
		without(func(n string) bool { return strings.HasPrefix(n, "noreturn/") })
	case s.Action == tenure.ActDelete && len(resourceOf(p, s.Resource).Classes) > 0:
		without(func(n string) bool { return strings.HasPrefix(n, "noreturn/") || strings.Contains(n, "/erase/") })
		return "delete"
	case s.Action == tenure.ActQuarantine:
		without(func(n string) bool { return strings.HasPrefix(n, "clock/") })
		return "quarantine"
	case s.Action == tenure.ActKeyDestroy && s.Class != "":
		without(func(n string) bool { return strings.Contains(n, "/erase/") || strings.HasSuffix(n, "/delete") })
		return "key"
	}
	return ""
}
