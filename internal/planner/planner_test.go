package planner_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/planner"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func period(t interface{ Fatal(...any) }, s string) tenure.Period {
	p, err := tenure.ParsePeriod(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func systems(t *testing.T, names ...string) map[string]*connector.System {
	t.Helper()
	out := make(map[string]*connector.System)
	for _, name := range names {
		info := memory.InfoOf(memory.NewWorld(name))
		d, err := info.Open(context.Background(), connector.Config{System: name})
		if err != nil {
			t.Fatal(err)
		}
		out[name] = connector.NewSystem(name, info, d, "fingerprint of "+name, 0)
	}
	return out
}

// draw is a tenant of any shape that is to be taken through an operation.
func draw(t *rapid.T, systems map[string]*connector.System) planner.Input {
	kind := rapid.SampledFrom([]tenure.OperationKind{tenure.Offboard, tenure.Suspend, tenure.Resume, tenure.Reinstate, tenure.Repair, tenure.Revoke}).Draw(t, "kind")
	in := planner.Input{
		Kind: kind, At: start, Systems: systems, Ref: tenure.BlueprintRef{Name: "small", Version: "1"}, Drifted: map[tenure.ResourceID]bool{},
		Tenant: tenure.Tenant{ID: tenure.DeriveID[tenure.TenantID](start, "acme"), Name: "acme", State: tenure.OperationKinds[kind][0], Parameters: []byte(`{"b":1,"a":{"z":1,"y":2}}`)},
		AtOnce: rapid.Bool().Draw(t, "at once"), EraseOnly: rapid.Bool().Draw(t, "erase only"),
	}
	b := &tenure.Blueprint{
		Name: "small", Version: "1", Approvals: map[tenure.OperationKind]int{kind: rapid.IntRange(0, 2).Draw(t, "approvals")},
		Offboarding:  tenure.OffboardingSpec{Grace: period(t, "P14D"), Retrieval: period(t, "P30D"), Quarantine: period(t, "P7D"), Tasks: []tenure.TaskSpec{{Task: "hand over the keys"}}},
		Notices:      []tenure.NoticeSpec{{On: "closed", To: "platform", Text: tenure.PlainText("gone")}},
		Environments: []tenure.Environment{{Name: "prod", Kind: "production"}, {Name: "test", Kind: "test"}},
		Pseudonyms:   map[string]tenure.Pseudonym{"people": {Retention: []tenure.RetentionRule{{Name: "key", Kind: tenure.KeepUntil, Period: period(t, "P90D"), From: tenure.FromTermination}}}},
	}
	b.Systems = map[string]tenure.SystemNeed{"main": {Connector: "memory"}, "other": {Connector: "memory"}}
	for _, name := range []string{"main", "other"} {
		var specs []tenure.RemnantSpec
		for _, kind := range rapid.SliceOfNDistinct(rapid.SampledFrom([]tenure.RemnantKind{tenure.RemnantRows, tenure.RemnantLog, tenure.RemnantSnapshots}), 0, 3, rapid.ID).Draw(t, "remnants of "+name) {
			spec := tenure.RemnantSpec{Kinds: []tenure.RemnantKind{kind}}
			switch rapid.IntRange(0, 2).Draw(t, "what becomes of "+string(kind)) {
			case 0:
				spec.Clean = true
			case 1:
				spec.Expires = period(t, "P14D")
			case 2:
				spec.Attest = &tenure.TaskSpec{Task: "they are gone"}
			}
			specs = append(specs, spec)
		}
		b.Systems[name] = tenure.SystemNeed{Connector: "memory", Remnants: specs}
	}
	classes := []string{"a", "b", "c"}
	for _, name := range classes {
		days := rapid.IntRange(0, 3).Draw(t, "retention of "+name) * 100
		disposition := rapid.SampledFrom([]tenure.Disposition{tenure.Purge, tenure.CryptoErase, tenure.Keep, tenure.Anonymise, tenure.Pseudonymise, tenure.Aggregate})
		rule := tenure.DispositionRule{Name: "in test", Environments: []string{"test"}, Disposition: disposition.Draw(t, "in test, disposition of "+name)}
		b.DataClasses = append(b.DataClasses, tenure.DataClass{
			Name: name, Disposition: disposition.Draw(t, "disposition of "+name), Rules: []tenure.DispositionRule{rule},
			End:       []tenure.RetentionRule{{Name: "end", Kind: tenure.KeepUntil, Period: period(t, fmt.Sprintf("P%dD", days+500)), From: tenure.FromTermination}},
			Retention: []tenure.RetentionRule{{Name: "rule", Kind: tenure.KeepUntil, Period: period(t, fmt.Sprintf("P%dD", days)), From: tenure.FromTermination}},
		})
	}
	names := make([]string, 0, len(systems))
	for name := range systems {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range rapid.IntRange(1, 12).Draw(t, "resources") {
		system := systems[rapid.SampledFrom(names).Draw(t, "system")]
		typ := rapid.SampledFrom(system.Info.Types).Draw(t, "type")
		r := tenure.Resource{
			ID: tenure.DeriveID[tenure.ResourceID](start, fmt.Sprint(i)), Environment: rapid.SampledFrom([]string{"prod", "test"}).Draw(t, "environment"),
			Key: fmt.Sprint("r", i), System: system.Name, Type: typ.Name, Name: fmt.Sprint("acme-", i), Layer: typ.Layer, State: tenure.ResourcePresent,
		}
		if typ.Holds == tenure.HoldsData {
			r.Classes = rapid.SliceOfNDistinct(rapid.SampledFrom(classes), 0, 3, rapid.ID).Draw(t, "classes")
		}
		for _, earlier := range in.Inventory {
			if earlier.Layer != tenure.LayerBackup && rapid.IntRange(0, 3).Draw(t, "need") == 0 {
				r.Needs = append(r.Needs, earlier.ID)
			}
		}
		in.Drifted[r.ID] = true
		in.Inventory = append(in.Inventory, r)
		b.Resources = append(b.Resources, tenure.ResourceSpec{Key: r.Key, System: r.System, Type: r.Type, Handover: rapid.Bool().Draw(t, "handover")})
	}
	if kind == tenure.Revoke {
		in.Inventory = append(in.Inventory, tenure.Resource{
			ID: tenure.DeriveID[tenure.ResourceID](start, "account"), Environment: "prod", Key: "account", System: names[0], Type: "account", Name: "acme-account",
			Layer: tenure.LayerAccount, State: tenure.ResourcePresent,
		})
		in.Revoke = make(map[tenure.ResourceID]bool)
		for _, r := range in.Inventory {
			in.Revoke[r.ID] = r.Layer.IsAccess()
		}
	}
	in.Blueprint = b
	return in
}

// Approvals sign the plan's digest, so one intent must have one digest: the same
// input gives the same bytes, in whatever order the inventory was read.
func TestMakeIsDeterministic(t *testing.T) {
	t.Parallel()
	systems := systems(t, "main", "other")
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, systems)
		first := encode(t, in)
		if !bytes.Equal(first, encode(t, in)) {
			t.Fatal("made twice, the plan has other bytes")
		}
		in.Inventory = rapid.Permutation(in.Inventory).Draw(t, "order")
		if !bytes.Equal(first, encode(t, in)) {
			t.Fatal("the plan's bytes depend on the order of the inventory")
		}
	})
}

func encode(t *rapid.T, in planner.Input) []byte {
	p, err := planner.Make(in)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// graph answers what comes before what in a plan.
type graph map[string]*tenure.Step

func (g graph) before(key string, seen map[string]bool) {
	for _, n := range g[key].Needs {
		if !seen[n] {
			seen[n] = true
			g.before(n, seen)
		}
	}
}

// What no offboarding may do, whatever the tenant's shape: destroy without an
// approval and a point of no return, before access is cut, or what something else
// still stands on; nor leave anything out.
func TestOffboardOrder(t *testing.T) {
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
			t.Fatal(err)
		}
		g := make(graph)
		for i := range p.Steps {
			g[p.Steps[i].Key] = &p.Steps[i]
		}
		destructive := 0
		for key, s := range g {
			past := make(map[string]bool)
			g.before(key, past)
			if past[key] {
				t.Fatalf("step %s needs itself", key)
			}
			if !s.Destructive {
				continue
			}
			destructive++
			if !past["approve"] {
				t.Fatalf("%s destroys without an approval", key)
			}
			noReturn := false
			for before := range past {
				noReturn = noReturn || g[before].Action == tenure.ActNoReturn
			}
			if !noReturn && s.Action != tenure.ActDropExport {
				t.Fatalf("%s destroys before a point of no return", key)
			}
			for other, r := range g {
				if r.Action == tenure.ActRevoke && !past[other] {
					t.Fatalf("%s destroys before %s has cut access", key, other)
				}
			}
		}
		if p.Destructive != destructive {
			t.Fatalf("the plan says that %d steps destroy, %d do", p.Destructive, destructive)
		}
		closed := make(map[string]bool)
		g.before("closed", closed)
		for i := range in.Inventory {
			r := &in.Inventory[i]
			key := r.Environment + "/" + r.Key + "/delete"
			if g[key] == nil || !closed[key] {
				t.Fatalf("the tenant closes without %s", key)
			}
			past := make(map[string]bool)
			g.before(key, past)
			for j := range in.Inventory {
				on := &in.Inventory[j]
				if slices.Contains(on.Needs, r.ID) && on.Layer != tenure.LayerBackup && !past[on.Environment+"/"+on.Key+"/delete"] {
					t.Fatalf("%s goes before %s, which stands on it", key, on.Key)
				}
			}
			for _, class := range r.Classes {
				clock := "clock/" + class
				if d := p.Disposes(class, r.Environment); d == tenure.Keep || d == tenure.Pseudonymise {
					clock += "/end"
				}
				if r.Layer != tenure.LayerBackup && !past[clock] {
					t.Fatalf("%s goes before the retention of %s has ended", key, class)
				}
			}
		}
	})
}

// An intent that the tenant's state doesn't allow is refused, and says from where
// it may start.
func TestMakeRefusals(t *testing.T) {
	t.Parallel()
	for kind, from := range tenure.OperationKinds {
		for _, state := range tenure.TenantStates {
			if slices.Contains(from, state) {
				continue
			}
			_, err := planner.Make(planner.Input{Kind: kind, At: start, Tenant: tenure.Tenant{State: state}, Blueprint: &tenure.Blueprint{}})
			if tenure.CodeOf(err) != tenure.Conflict || !strings.Contains(strings.Join(tenure.HintsOf(err), " "), string(from[0])) {
				t.Errorf("%s of a tenant that is %s: %v", kind, state, err)
			}
		}
	}
	if _, err := planner.Make(planner.Input{Kind: "explode", Blueprint: &tenure.Blueprint{}}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("an unknown operation: %v", err)
	}
	lost := planner.Input{
		Kind: tenure.Repair, At: start, Tenant: tenure.Tenant{State: tenure.TenantActive}, Blueprint: &tenure.Blueprint{},
		Inventory: []tenure.Resource{{ID: "res_1", Key: "db", System: "away"}}, Drifted: map[tenure.ResourceID]bool{"res_1": true},
	}
	if _, err := planner.Make(lost); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "away") {
		t.Errorf("a system that isn't configured: %v", err)
	}
}

// TestNoticesOfStages: a blueprint's notice comes with the stage that it names, after the tenant
// has reached it, and with no other.
func TestNoticesOfStages(t *testing.T) {
	t.Parallel()
	all, made := systems(t, "main", "other"), 0
	moves := map[string]tenure.TenantState{
		"suspended": tenure.TenantSuspended, "resumed": tenure.TenantActive, "transition": tenure.TenantTransition, "terminating": tenure.TenantTerminating,
		"retained": tenure.TenantRetained, "erasing": tenure.TenantErasing, "closed": tenure.TenantClosed,
	}
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t, all)
		b := *in.Blueprint
		b.Notices = nil
		for on := range moves {
			b.Notices = append(b.Notices, tenure.NoticeSpec{On: on, To: on, Text: tenure.PlainText("x")})
		}
		in.Blueprint = &b
		if in.Desired != nil {
			d := *in.Desired
			d.Notices, in.Desired = b.Notices, &d
		}
		p, err := planner.Make(in)
		if err != nil {
			return
		}
		made++
		reached := map[tenure.TenantState][]string{}
		for _, s := range p.Steps {
			if s.Action == tenure.ActMove {
				reached[tenure.TenantState(s.To)] = append(reached[tenure.TenantState(s.To)], s.Key)
			}
		}
		told := map[string]bool{}
		for _, s := range p.Steps {
			if s.Action != tenure.ActNotify {
				continue
			}
			told[s.To] = true
			if !slices.ContainsFunc(reached[moves[s.To]], func(key string) bool { return slices.Contains(s.Needs, key) }) {
				t.Fatalf("the notice on %s needs %v, and the stage is reached by %v", s.To, s.Needs, reached[moves[s.To]])
			}
		}
		for on, state := range moves {
			if len(reached[state]) > 0 && !told[on] {
				t.Fatalf("a plan of kind %s reaches %s and tells nobody on %s", p.Kind, state, on)
			}
		}
	})
	if made < 20 {
		t.Errorf("%d plans were made", made)
	}
}
