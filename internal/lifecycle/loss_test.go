package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// tieredText has a store for a feature of the tier team, and tables that are the tenant's
// with another.
const tieredText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: tiered
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  main: {connector: memory}
  pool: {connector: sqlite}
features:
  archive: {tiers: [team], default: true}
  reports: {tiers: [team], default: true}
dataClasses:
  aa: {disposition: purge, retention: [{name: law, kind: keep_until, period: P10D, from: termination}]}
  bb: {disposition: purge, retention: [{name: b, kind: keep_until, period: P20D, from: termination}]}
resources:
  - {key: archive, system: main, type: store, name: "${tenant.name}-archive", data: [aa], when: features.archive}
  - key: data
    system: pool
    type: rows
    name: ${tenant.name}-data
    data: [aa, bb]
    attributes: {column: tenant, key: "${tenant.name}", tables: "${features.reports ? {'a': 'aa', 'b': 'bb'} : {'a': 'aa'}}"}
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`

// A downgrade says which data loses its feature, how much of it there is, and what becomes of
// it, names what nothing covers afterwards, and waits for a person.
func TestADowngradeSaysWhatDataItOrphans(t *testing.T) {
	t.Parallel()
	s, db := pooled(t)
	ctx := context.Background()
	s.sql(db, `drop table c; drop table b`)
	s.publishText(tieredText) // refused while there is a table that it doesn't cover without the feature
	s.sql(db, `create table b (id integer primary key, tenant text not null)`)
	s.wantState(s.begin("acme", "tiered"), tenure.OperationSucceeded)
	free, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Features: map[string]bool{"reports": false}}, "operator")
	s.must(err)
	for _, st := range free.Plan.Steps {
		if st.Action == tenure.ActApproval {
			t.Errorf("without any data the plan asks for %s", st.Summary)
		}
	}
	s.sql(db, `insert into b (tenant) values ('acme'), ('acme'), ('acme'), ('other')`)
	s.world.Fill("store", "acme-archive", "aa", "one", "two")

	planned, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Tier: "basic"}, "operator")
	s.must(err)
	want := map[string]tenure.Loss{
		"prod/archive": {Class: "aa", Features: []string{"archive"}, Records: 2, Fate: tenure.FateErased},
		"prod/data":    {Place: "b", Class: "bb", Features: []string{"reports"}, Records: 3, Fate: tenure.FateOrphaned},
	}
	if len(planned.Plan.Losses) != len(want) {
		t.Errorf("the plan's losses are %+v", planned.Plan.Losses)
	}
	for _, l := range planned.Plan.Losses {
		w := want[l.Resource]
		if l.Class != w.Class || l.Place != w.Place || l.Records != w.Records || l.Fate != w.Fate || strings.Join(l.Features, " ") != strings.Join(w.Features, " ") {
			t.Errorf("%s: %+v, want %+v", l.Resource, l, w)
		}
		if l.Fate == tenure.FateErased && !strings.Contains(l.Why, "law (P10D from termination)") {
			t.Errorf("the plan doesn't say which rule isn't waited for: %s", l.Why)
		}
	}
	gated := false
	for _, st := range planned.Plan.Steps {
		gated = gated || st.Key == tenure.ApprovalKey && st.Gate.Approvals > 0
	}
	if !gated {
		t.Error("nobody is asked before data loses its feature")
	}
	orphaned, err := s.Plan(ctx, lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Features: map[string]bool{"reports": false}}, "operator")
	s.must(err)
	gated = false
	for _, st := range orphaned.Plan.Steps {
		gated = gated || st.Key == tenure.ApprovalKey && st.Gate.Approvals > 0
	}
	if !gated {
		t.Error("nobody is asked before data is orphaned")
	}
}
