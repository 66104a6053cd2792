package tenure_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

// creates is a plan that only creates.
func creates() *tenure.Plan {
	return &tenure.Plan{
		Kind: tenure.Onboard, Tier: "team", Labels: map[string]string{"region": "eu"}, Blueprint: tenure.BlueprintRef{Name: "small", Version: "1.0", Digest: "sha256:b"},
		Resources: []tenure.PlannedResource{{ID: "res_1", Key: "db", Environment: "prod", New: true}, {ID: "res_2", Key: "key", Environment: "prod", New: true}},
		Steps: []tenure.Step{
			{Key: "intake", Action: tenure.ActMove, To: string(tenure.TenantValidating)},
			{Key: "approve", Action: tenure.ActApproval, Gate: &tenure.Gate{Approvals: 1}},
			{Key: "begin", Action: tenure.ActMove, To: string(tenure.TenantProvisioning)},
			{Key: "prod/db/ensure", Action: tenure.ActEnsure, Resource: "res_1"},
			{Key: "prod/db/probe", Action: tenure.ActProbe, Resource: "res_1"},
			{Key: "active", Action: tenure.ActMove, To: string(tenure.TenantActive)},
			{Key: "outputs", Action: tenure.ActOutputs},
		},
	}
}

func signUps() tenure.StandingRule {
	return tenure.StandingRule{Name: "sign-ups", Trigger: "shop:", Source: "shop", Blueprint: "small", MaxResources: 2, PerDay: 3, EndsAt: at.Add(24 * time.Hour)}
}

func standing(r tenure.StandingRule) tenure.Standing {
	d := must(r.Digest())
	review := func(by string) tenure.StandingReview {
		return tenure.StandingReview{By: by, Digest: d, Roles: []tenure.Role{tenure.Approver}, At: at}
	}
	return tenure.Standing{ID: "std_x", Rule: r, Digest: d, State: tenure.StandingActive, ProposedBy: "p", Reviews: []tenure.StandingReview{review("a"), review("b")}}
}

func TestStandingApprovalStartsOnlyWhatItIsFor(t *testing.T) {
	t.Parallel()
	type ask struct {
		rule  tenure.StandingRule
		st    func(*tenure.Standing)
		plan  *tenure.Plan
		facts tenure.StartFacts
		today int
		now   time.Time
	}
	for name, c := range map[string]struct {
		change func(*ask)
		says   string
	}{
		"all fits":              {func(*ask) {}, ""},
		"no trigger":            {func(a *ask) { a.facts.Trigger = "" }, "another trigger"},
		"another trigger":       {func(a *ask) { a.facts.Trigger = "xshop:1" }, "another trigger"},
		"another source":        {func(a *ask) { a.facts.By = "shopper" }, "another source"},
		"another blueprint":     {func(a *ask) { a.plan.Blueprint.Name = "large" }, "another blueprint"},
		"its revision":          {func(a *ask) { a.rule.Revision = "1.0" }, ""},
		"its digest":            {func(a *ask) { a.rule.Revision = "sha256:b" }, ""},
		"another revision":      {func(a *ask) { a.rule.Revision = "1.1" }, "another revision"},
		"its tier":              {func(a *ask) { a.rule.Tiers = []string{"free", "team"} }, ""},
		"another tier":          {func(a *ask) { a.rule.Tiers = []string{"free"} }, "another tier"},
		"its label":             {func(a *ask) { a.rule.Labels = []string{"region=eu"} }, ""},
		"another label":         {func(a *ask) { a.rule.Labels = []string{"region=us"} }, "other labels"},
		"too many resources":    {func(a *ask) { a.rule.MaxResources = 1 }, "makes 2 resources"},
		"over budget":           {func(a *ask) { a.today = 3 }, "its budget is 3"},
		"at its end":            {func(a *ask) { a.now = a.rule.EndsAt }, "its time is over"},
		"proposed":              {func(a *ask) { a.st = func(s *tenure.Standing) { s.State = tenure.StandingProposed } }, "it is proposed"},
		"ended":                 {func(a *ask) { a.st = func(s *tenure.Standing) { *s = s.End("a", at) } }, "it is ended"},
		"one review":            {func(a *ask) { a.st = func(s *tenure.Standing) { s.Reviews = s.Reviews[:1] } }, "two persons"},
		"one reviewer twice":    {func(a *ask) { a.st = func(s *tenure.Standing) { s.Reviews[1].By = "a" } }, "two persons"},
		"its proposer reviewed": {func(a *ask) { a.st = func(s *tenure.Standing) { s.Reviews[1].By = "p" } }, "its proposer"},
		"a reviewer asks":       {func(a *ask) { a.rule.Source = ""; a.facts.By = "a" }, "a reviewed it, and asks"},
		"a reviewer's machine":  {func(a *ask) { a.facts.Answers = "b" }, "b reviewed it, and asks"},
		"a wider rule":          {func(a *ask) { a.st = func(s *tenure.Standing) { s.Rule.PerDay = 1000 } }, "isn't the one that was reviewed"},
		"a wider rule, renamed": {func(a *ask) {
			a.st = func(s *tenure.Standing) { s.Rule.PerDay = 1000; s.Digest = must(s.Rule.Digest()) }
		}, "with another rule"},
		"two are asked for":   {func(a *ask) { a.plan.Steps[1].Gate.Approvals = 2 }, ""},
		"three are asked for": {func(a *ask) { a.plan.Steps[1].Gate.Approvals = 3 }, "more than its two reviewers"},
		"legal is asked for":  {func(a *ask) { a.plan.Steps[1].Gate.From = []tenure.Quorum{{Role: tenure.Legal, Count: 1}} }, "1 of legal"},
		"legal reviewed": {func(a *ask) {
			a.plan.Steps[1].Gate.From = []tenure.Quorum{{Role: tenure.Legal, Count: 1}}
			a.st = func(s *tenure.Standing) { s.Reviews[0].Roles = []tenure.Role{tenure.Legal} }
		}, ""},
		"no onboarding":           {func(a *ask) { a.plan.Kind = tenure.Change }, "no onboarding"},
		"something is there":      {func(a *ask) { a.plan.Resources[0].New = false }, "isn't new"},
		"a new credential":        {func(a *ask) { a.plan.Steps[3].Reissue = true }, "anew"},
		"a tenant is suspended":   {func(a *ask) { a.plan.Steps[5].To = string(tenure.TenantSuspended) }, "elsewhere"},
		"a key is destroyed":      {func(a *ask) { a.plan.Steps[6].Action = tenure.ActKeyDestroy }, "does more than create"},
		"an action of the future": {func(a *ask) { a.plan.Steps[6].Action = "merge" }, "does more than create"},
	} {
		a := &ask{rule: signUps(), plan: creates(), facts: tenure.StartFacts{By: "shop", Trigger: "shop:1"}, now: at, st: func(*tenure.Standing) {}}
		c.change(a)
		s := standing(a.rule)
		a.st(&s)
		op := tenure.Operation{Kind: a.plan.Kind, Plan: "sha256:x", RequestedBy: a.facts.By}
		got := s.Starts(a.plan, op, &a.plan.Steps[1], a.facts, a.today, a.now)
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}

// Whatever the rule, whoever asks: a plan with a step that destroys, revokes or
// does anything but create is never started without a person.
func TestStandingApprovalNeverStartsWhatDestroys(t *testing.T) {
	t.Parallel()
	harm := []tenure.Action{
		tenure.ActErase, tenure.ActDelete, tenure.ActRevoke, tenure.ActSuspend, tenure.ActQuarantine, tenure.ActExpire, tenure.ActKeyDestroy, tenure.ActForget,
		tenure.ActDropExport, tenure.ActNoReturn, tenure.ActRetention, tenure.ActBind, tenure.ActExport, tenure.ActCertify, tenure.ActSweep, tenure.ActReclaim,
	}
	rapid.Check(t, func(t *rapid.T) {
		p := creates()
		i := rapid.IntRange(0, len(p.Steps)).Draw(t, "where")
		step := tenure.Step{Key: fmt.Sprint("x", i), Action: rapid.SampledFrom(harm).Draw(t, "action"), Destructive: rapid.Bool().Draw(t, "marked")}
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0: // a creating action that is marked as destroying
			step.Action, step.Destructive = tenure.ActEnsure, true
		case 1: // counted, and marked nowhere
			step.Action, step.Destructive, p.Destructive = tenure.ActProbe, false, rapid.IntRange(1, 9).Draw(t, "counted")
		}
		p.Steps = slices.Insert(p.Steps, i, step)
		if rapid.Bool().Draw(t, "other kind") {
			p.Kind = rapid.SampledFrom([]tenure.OperationKind{tenure.Change, tenure.Offboard, tenure.Upgrade, tenure.Repair}).Draw(t, "kind")
		}
		r := signUps()
		r.MaxResources, r.PerDay = 10_000, 10_000
		if rapid.Bool().Draw(t, "any source") {
			r.Source = ""
		}
		r.Trigger = rapid.SampledFrom([]string{"", "s", "shop:"}).Draw(t, "trigger")
		gate := &tenure.Step{Key: "approve", Action: tenure.ActApproval, Gate: &tenure.Gate{Approvals: rapid.IntRange(0, 2).Draw(t, "approvals")}}
		op := tenure.Operation{Kind: p.Kind, Plan: "sha256:x", RequestedBy: "shop"}
		if why := standing(r).Starts(p, op, gate, tenure.StartFacts{By: "shop", Trigger: "shop:1"}, 0, at); why == "" {
			t.Fatalf("started: %+v", p.Steps)
		}
	})
}

func TestStandingRuleIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*tenure.StandingRule)
		says   string
	}{
		"as it is":            {func(*tenure.StandingRule) {}, ""},
		"no name":             {func(r *tenure.StandingRule) { r.Name = " " }, "name"},
		"anybody's":           {func(r *tenure.StandingRule) { r.Trigger, r.Source = "", "" }, "by which trigger"},
		"any blueprint":       {func(r *tenure.StandingRule) { r.Blueprint = "" }, "one blueprint"},
		"no bound":            {func(r *tenure.StandingRule) { r.MaxResources = 0 }, "resources"},
		"no budget":           {func(r *tenure.StandingRule) { r.PerDay = 0 }, "a day"},
		"a budget of nothing": {func(r *tenure.StandingRule) { r.PerDay = -1 }, "a day"},
		"no end":              {func(r *tenure.StandingRule) { r.EndsAt = time.Time{} }, "to come"},
		"for years":           {func(r *tenure.StandingRule) { r.EndsAt = at.Add(367 * 24 * time.Hour) }, "a year"},
		"no label":            {func(r *tenure.StandingRule) { r.Labels = []string{"eu"} }, "key=value"},
	} {
		r := signUps()
		c.change(&r)
		if err := r.Check(at); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	a, b := signUps(), signUps()
	b.PerDay++
	if must(a.Digest()) == must(b.Digest()) {
		t.Error("another budget is the same rule")
	}
	for name, c := range map[string]struct {
		tiers, labels []string
		reach         tenure.Scope
		want          bool
	}{
		"everything by all":       {nil, nil, tenure.Scope{All: true}, true},
		"everything by some":      {nil, nil, tenure.Scope{Tiers: []string{"team"}}, false},
		"a tier by its own":       {[]string{"team"}, nil, tenure.Scope{Tiers: []string{"team", "free"}}, true},
		"two tiers by one":        {[]string{"team", "gold"}, nil, tenure.Scope{Tiers: []string{"team"}}, false},
		"a tier's label by label": {[]string{"gold"}, []string{"region=eu"}, tenure.Scope{Labels: []string{"region=eu"}}, true},
		"a label by another":      {nil, []string{"region=eu"}, tenure.Scope{Labels: []string{"region=us"}}, false},
	} {
		if got := (tenure.StandingRule{Tiers: c.tiers, Labels: c.labels}).Within(c.reach); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
