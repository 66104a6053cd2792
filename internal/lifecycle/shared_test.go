package lifecycle_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// crowded is a system in which the first setting that is made changes what others see,
// and that is half full.
type crowded struct {
	*memory.Driver
	world *memory.World
	dark  *atomic.Bool // and the lamps would go out
}

func (c crowded) Foresee(_ context.Context, all []connector.Desired) (out []connector.SharedChange, err error) {
	for _, d := range all {
		if _, there := c.world.Get("setting", "first-prod-seats"); !there && d.Name == "first-prod-seats" {
			out = append(out, connector.SharedChange{Resource: d.Resource, Says: "everybody's seats are locked"})
		}
		if c.dark.Load() {
			out = append(out, connector.SharedChange{Resource: d.Resource, Says: "everybody's lamps go out"})
		}
	}
	return out, nil
}

// Ensure refuses what the engine doesn't hand on: what a person let pass.
func (c crowded) Ensure(ctx context.Context, d connector.Desired) (connector.Observed, connector.Receipt, error) {
	if d.Type == "setting" && (d.Foreseen == nil || d.Name == "first-prod-seats" && !strings.Contains(*d.Foreseen, "everybody's seats are locked")) {
		return connector.Observed{}, connector.Receipt{}, tenure.Errorf(tenure.Conflict, "nobody let it pass")
	}
	return c.Driver.Ensure(ctx, d)
}

func (crowded) Gauge(context.Context) ([]connector.Level, error) {
	return []connector.Level{{Name: "the list of seats", Used: 60, Limit: 100, Unit: "seats", Fix: "Take seats away."}}, nil
}

func newCrowdedLife(t *testing.T) (l *life, dark *atomic.Bool) {
	dark = &atomic.Bool{}
	w := memory.NewWorld("main")
	info := memory.InfoOf(w)
	info.Types = slices.Clone(info.Types)
	for i := range info.Types {
		info.Types[i].Shared = info.Types[i].Name == "setting"
	}
	open := info.Open
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		d, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		return crowded{d.(*memory.Driver), w, dark}, nil
	}
	return newLifeOn(t, w, info), dark
}

// TestSharedChangeWaitsForItsOwnApproval: the approval of the plan doesn't let what it
// changes for others pass; that waits for a word of its own, once.
func TestSharedChangeWaitsForItsOwnApproval(t *testing.T) {
	t.Parallel()
	l, dark := newCrowdedLife(t)
	intent := func(name string) lifecycle.Intent {
		return lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}
	}
	op := l.request(intent("first"), "operator")
	l.approve(op, "reviewer")
	if _, there := l.world.Get("setting", "first-prod-seats"); there || l.state("first") == tenure.TenantActive {
		t.Fatalf("the setting was made without its approval\n%s", l.show(op))
	}
	p, err := l.Operation(t.Context(), op)
	l.must(err)
	i := slices.IndexFunc(p.Body.Steps, func(s tenure.Step) bool { return s.Key == tenure.SharedKey })
	if i < 0 || !strings.Contains(p.Body.Steps[i].Summary, "everybody's seats are locked") {
		t.Fatalf("the gate doesn't say what it lets pass\n%s", l.show(op))
	}
	l.approve(op, "reviewer")
	if l.state("first") != tenure.TenantActive {
		t.Fatalf("approved, and still\n%s", l.show(op))
	}
	op = l.request(intent("second"), "operator")
	l.approve(op, "reviewer")
	if l.state("second") != tenure.TenantActive {
		t.Errorf("nothing changes for others any more\n%s", l.show(op))
	}

	op = l.request(intent("third"), "operator")
	dark.Store(true)
	l.approve(op, "reviewer")
	if _, there := l.world.Get("setting", "third-prod-seats"); there || !strings.Contains(l.show(op), "everybody's lamps go out") {
		t.Fatalf("what nobody let pass since the plan was made was done\n%s", l.show(op))
	}
	dark.Store(false)
	l.approve(l.request(intent("fourth"), "operator"), "reviewer")
	if l.state("fourth") != tenure.TenantActive {
		t.Error("what stood in the way is gone, and still no tenant can come")
	}
}

// TestHalfFullLimitIsAFinding: a look names what is half used up before it refuses tenants.
func TestHalfFullLimitIsAFinding(t *testing.T) {
	t.Parallel()
	l, _ := newCrowdedLife(t)
	look, err := l.Drift(t.Context(), "")
	l.must(err)
	i := slices.IndexFunc(look.Findings, func(f tenure.Finding) bool { return f.Kind == tenure.FindingLimit })
	if i < 0 || !strings.Contains(look.Findings[i].Detail, "60 of at most 100 seats") || look.Findings[i].Severity != tenure.Medium {
		t.Errorf("the findings: %+v", look.Findings)
	}
}
